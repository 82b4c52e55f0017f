//! From files and environment to a [`Config`] that says where each value came from.

use std::collections::{BTreeMap, HashMap};
use std::net::ToSocketAddrs;
use std::path::{Path, PathBuf};

use super::sections::is_empty;
use super::{Config, Secret};

/// Environment variables that set keys start so; the rest is `SECTION__KEY`.
const ENV_PREFIX: &str = "TODOKU__";

/// Why there is no configuration. The texts name the file or variable, the key, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is missing or unreadable.
    #[error("{}: cannot read the configuration file: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{}: not TOML: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The parser's words, with line and column.
        message: String,
    },
    /// A key that does not exist.
    #[error("{origin}: unknown key `{key}`; {hint}")]
    UnknownKey {
        /// File or variable.
        origin: String,
        /// `section.key`.
        key: String,
        /// The keys that do exist there.
        hint: String,
    },
    /// A value of the wrong kind.
    #[error("{0}")]
    Value(String),
    /// Values that contradict each other or are not safe.
    #[error("{key}: {problem}")]
    Refused {
        /// `section.key`.
        key: String,
        /// What is wrong and what to do.
        problem: String,
    },
}

impl Config {
    /// Defaults, then `file`, then the environment, then `data_dir` (the `--data` argument).
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn load(file: Option<&Path>, data_dir: Option<&Path>) -> Result<Self, ConfigError> {
        load_from(file, data_dir, std::env::vars_os().filter_map(text_pair).collect())
    }

    /// One line a key, `key = value  (from default | file X | env TODOKU__…)`, secrets masked.
    pub fn explain(&self) -> Vec<String> {
        let mut values = flatten(&as_table(self));
        for (key, secret) in [
            ("database.url", &self.database.url),
            ("redis.url", &self.redis.url),
            ("grants.key", &self.grants.key),
        ] {
            values.insert(key.to_owned(), toml::Value::String(secret.to_string()));
        }
        let line = |(key, value): (String, toml::Value)| {
            let origin = self.origins.get(&key).map_or("default", String::as_str);
            format!("{key} = {value}  (from {origin})")
        };
        values.into_iter().map(line).collect()
    }
}

/// [`Config::load`] with the environment as an argument, so that tests need not change the process's.
fn load_from(
    file: Option<&Path>,
    data_dir: Option<&Path>,
    env: HashMap<String, String>,
) -> Result<Config, ConfigError> {
    let known = flatten(&as_table(&Config::default()));
    let mut builder = config::Config::builder();
    let mut origins = BTreeMap::new();
    if let Some(path) = file {
        let text = read_file(path, &known, &mut origins)?;
        builder = builder.add_source(config::File::from_str(&text, config::FileFormat::Toml));
    }
    let env: HashMap<String, String> =
        env.into_iter().filter(|(name, _)| name.starts_with(ENV_PREFIX)).collect();
    for name in env.keys() {
        let key = name[ENV_PREFIX.len()..].to_ascii_lowercase().replace("__", ".");
        let origin = format!("env {name}");
        check_known(&key, &known, &origin)?;
        origins.insert(key, origin);
    }
    builder = builder.add_source(
        config::Environment::with_prefix("TODOKU").prefix_separator("__").separator("__").source(Some(env)),
    );
    let merged = builder.build().map_err(|error| ConfigError::Value(error.to_string()))?;
    let mut config: Config = merged.try_deserialize().map_err(|error| value_error(&error, file))?;
    if let Some(dir) = data_dir {
        dir.clone_into(&mut config.data.dir);
        origins.insert("data.dir".into(), "--data".into());
    }
    config.origins = origins;
    complete(&mut config);
    check(&config)?;
    Ok(config)
}

fn read_file(
    path: &Path,
    known: &BTreeMap<String, toml::Value>,
    origins: &mut BTreeMap<String, String>,
) -> Result<String, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| ConfigError::Syntax {
        path: path.to_owned(),
        message: error.to_string(),
    })?;
    let origin = format!("file {}", path.display());
    for key in flatten(&table).into_keys() {
        check_known(&key, known, &path.display().to_string())?;
        origins.insert(key, origin.clone());
    }
    Ok(text)
}

fn check_known(key: &str, known: &BTreeMap<String, toml::Value>, origin: &str) -> Result<(), ConfigError> {
    if known.contains_key(key) {
        return Ok(());
    }
    let section = key.split('.').next().unwrap_or_default();
    let siblings: Vec<&str> =
        known.keys().filter_map(|k| k.strip_prefix(section)?.strip_prefix('.')).collect();
    let hint = if siblings.is_empty() {
        let mut sections: Vec<&str> = known.keys().filter_map(|k| k.split('.').next()).collect();
        sections.dedup();
        format!("the sections are {}", sections.join(", "))
    } else {
        format!("[{section}] has {}", siblings.join(", "))
    };
    Err(ConfigError::UnknownKey { origin: origin.to_owned(), key: key.to_owned(), hint })
}

/// What depends on other settings.
fn complete(config: &mut Config) {
    if config.database.url.is_empty() {
        config.database.url = Secret::from(format!("sqlite:{}/todoku.db", config.data.dir.display()));
    }
    if config.smtp.hostname.is_empty() {
        config.smtp.hostname = crate::net::host_name();
    }
}

fn check(config: &Config) -> Result<(), ConfigError> {
    let refused = |key: &str, problem: &str| {
        Err(ConfigError::Refused { key: key.to_owned(), problem: problem.to_owned() })
    };
    if is_empty(&config.tls.certificate) != is_empty(&config.tls.key) {
        return refused("tls", "set both certificate and key, or neither for a self-signed certificate");
    }
    let mtls = &config.mtls;
    let set = [&mtls.ca, &mtls.certificate, &mtls.key].iter().filter(|path| !is_empty(path)).count();
    if set != 0 && set != 3 {
        return refused(
            "mtls",
            "set ca, certificate and key, or none of them; `todoku certs` makes all three",
        );
    }
    for (key, listen) in [("storage.listen", &config.storage.listen), ("auth.listen", &config.auth.listen)] {
        if set == 0 && !mtls.allow_plaintext && !is_loopback(listen) {
            return refused(
                key,
                "plain text is only allowed on loopback: set [mtls] (`todoku certs` makes the files), \
                 or mtls.allow_plaintext = true if the network is trusted",
            );
        }
    }
    if config.limits.message_size_max.as_u64() == 0 {
        return refused("limits.message_size_max", "must be more than 0");
    }
    Ok(())
}

/// An address that cannot be looked up is not loopback.
fn is_loopback(listen: &str) -> bool {
    listen.is_empty()
        || listen.to_socket_addrs().is_ok_and(|mut addresses| addresses.all(|a| a.ip().is_loopback()))
}

fn value_error(error: &config::ConfigError, file: Option<&Path>) -> ConfigError {
    let place =
        file.map_or_else(|| "environment".to_owned(), |path| format!("{} or environment", path.display()));
    ConfigError::Value(format!("{place}: {error}"))
}

fn as_table(config: &Config) -> toml::Table {
    toml::Table::try_from(config).expect("every section is a table of plain values")
}

/// `{imap: {listen: x}}` to `imap.listen = x`.
fn flatten(table: &toml::Table) -> BTreeMap<String, toml::Value> {
    let mut flat = BTreeMap::new();
    for (section, value) in table {
        match value {
            toml::Value::Table(keys) => {
                flat.extend(keys.iter().map(|(key, value)| (format!("{section}.{key}"), value.clone())));
            }
            other => {
                flat.insert(section.clone(), other.clone());
            }
        }
    }
    flat
}

fn text_pair((name, value): (std::ffi::OsString, std::ffi::OsString)) -> Option<(String, String)> {
    Some((name.into_string().ok()?, value.into_string().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> HashMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn defaults_are_the_documented_ones() {
        let config = load_from(None, None, HashMap::new()).unwrap();
        assert_eq!(config.imap.listen, "127.0.0.1:1143");
        assert_eq!(&*config.database.url, "sqlite:./data/todoku.db");
        assert_eq!(config.domains.local, ["localhost"]);
        assert_eq!(config.limits.message_size_max.as_u64(), 50 << 20);
    }

    #[test]
    fn every_key_is_documented() {
        let page = include_str!("../../../../docs/configuration.md");
        for key in flatten(&as_table(&Config::default())).into_keys() {
            assert!(page.contains(&format!("| `{key}` |")), "docs/configuration.md does not explain {key}");
        }
    }

    #[test]
    fn environment_beats_file_beats_default() {
        let file =
            file("[imap]\nlisten = \"127.0.0.1:1\"\nlisten_tls = \"\"\n[quota]\ndefault_bytes = \"1GiB\"\n");
        let env = env(&[
            ("TODOKU__IMAP__LISTEN", "127.0.0.1:2"),
            ("TODOKU__DOMAINS__LOCAL", "example.com, example.org"),
            ("TODOKU__IMAP__ALLOW_CLEAR_LOGIN", "true"),
            ("TODOKU__LIMITS__CONNECTIONS", "7"),
            ("TODOKU__PROXY_PROTOCOL__TRUSTED", "10.0.0.0/8"),
            ("TODOKU_SERVICE_HOST", "not ours"),
        ]);
        let config = load_from(Some(file.path()), Some(Path::new("/srv/mail")), env).unwrap();
        assert_eq!(config.imap.listen, "127.0.0.1:2");
        assert_eq!(config.imap.listen_tls, "");
        assert!(config.imap.allow_clear_login);
        assert_eq!(config.domains.local, ["example.com", "example.org"]);
        assert_eq!(config.limits.connections, 7);
        assert_eq!(config.proxy_protocol.trusted, ["10.0.0.0/8"]);
        assert_eq!(config.quota.default_bytes.as_u64(), 1 << 30);
        assert_eq!(&*config.database.url, "sqlite:/srv/mail/todoku.db");
        let lines = config.explain().join("\n");
        assert!(lines.contains("imap.listen = \"127.0.0.1:2\"  (from env TODOKU__IMAP__LISTEN)"), "{lines}");
        assert!(lines.contains("imap.listen_tls = \"\"  (from file "), "{lines}");
        assert!(lines.contains("pop3.listen = \"127.0.0.1:1110\"  (from default)"), "{lines}");
        assert!(lines.contains("data.dir = \"/srv/mail\"  (from --data)"), "{lines}");
    }

    #[test]
    fn hexadecimal_keys_are_texts_even_when_they_look_like_numbers() {
        let key = "12345678901234567890123456789012";
        let config = load_from(None, None, env(&[("TODOKU__GRANTS__KEY", key)])).unwrap();
        assert_eq!(config.grants.load_key().unwrap().unwrap(), hex::decode(key).unwrap());
        assert!(!config.explain().join("\n").contains(key));
        assert!(!format!("{config:?}").contains(key));
    }

    #[test]
    fn unknown_keys_are_named() {
        let file = file("[imap]\nlisten_tsl = \"x\"\n");
        let error = load_from(Some(file.path()), None, HashMap::new()).unwrap_err().to_string();
        assert!(error.contains("imap.listen_tsl") && error.contains("listen_tls"), "{error}");
        let error = load_from(None, None, env(&[("TODOKU__IMPA__LISTEN", "")])).unwrap_err().to_string();
        assert!(error.contains("TODOKU__IMPA__LISTEN") && error.contains("imap"), "{error}");
    }

    #[test]
    fn wrong_values_are_named() {
        let file = file("[limits]\nconnections = \"many\"\n");
        let error = load_from(Some(file.path()), None, HashMap::new()).unwrap_err().to_string();
        assert!(error.contains("limits.connections"), "{error}");
        let error =
            load_from(None, None, env(&[("TODOKU__QUOTA__DEFAULT_BYTES", "lots")])).unwrap_err().to_string();
        assert!(error.contains("lots"), "{error}");
    }

    #[test]
    fn plain_text_beyond_loopback_is_refused() {
        let open = ("TODOKU__STORAGE__LISTEN", "0.0.0.0:7001");
        let error = load_from(None, None, env(&[open])).unwrap_err().to_string();
        assert!(error.contains("storage.listen") && error.contains("mtls"), "{error}");
        assert!(load_from(None, None, env(&[open, ("TODOKU__MTLS__ALLOW_PLAINTEXT", "true")])).is_ok());
    }

    #[test]
    fn short_grant_keys_are_refused() {
        let config = load_from(None, None, env(&[("TODOKU__GRANTS__KEY", "abcd")])).unwrap();
        assert!(config.grants.load_key().unwrap_err().to_string().contains("at least 16"));
    }
}
