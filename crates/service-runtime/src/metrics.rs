//! Metrics of the process, in the OpenMetrics format.
//!
//! Labels are `&'static str`: a client can never make a new series.

use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text::encode};
pub use prometheus_client::metrics::counter::Counter;
pub use prometheus_client::metrics::family::Family;
pub use prometheus_client::metrics::gauge::Gauge;
pub use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::histogram::exponential_buckets;
use prometheus_client::registry::{Metric, Registry};

/// What HTTP says `/metrics` is.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Names of a series' labels and their values.
pub type Labels<const N: usize> = [(&'static str, &'static str); N];

/// Counters by labels.
pub type Counters<const N: usize> = Family<Labels<N>, Counter>;

/// Histograms of seconds by labels.
pub type Timings<const N: usize> = Family<Labels<N>, Histogram, fn() -> Histogram>;

/// All metrics of this process.
pub struct Metrics {
    registry: Mutex<Registry>,
    sessions: Family<Labels<1>, Gauge>,
    logins: Counters<2>,
    commands: Counters<3>,
    command_seconds: Timings<2>,
    deliveries: Counters<2>,
    push_seconds: Histogram,
    errors: Counters<2>,
    rpc_seconds: Timings<1>,
    served_seconds: Timings<2>,
    commit_messages: Histogram,
    commit_seconds: Histogram,
    password_wait_seconds: Histogram,
    database_seconds: Timings<1>,
    connections_refused: Counters<2>,
    bytes_received: Counters<1>,
    bytes_sent: Counters<1>,
    messages_rebuilt: Counter,
}

/// Handles of one protocol's busiest series, looked up once per connection or listener.
#[derive(Clone, Debug)]
pub struct ProtocolMetrics {
    /// Open sessions.
    pub sessions: Gauge,
    /// Bytes from clients, after decryption and decompression.
    pub bytes_received: Counter,
    /// Bytes to clients, before compression and encryption.
    pub bytes_sent: Counter,
}

/// Handles of one command's series, to be kept by whoever counts often.
#[derive(Clone, Debug)]
pub struct CommandMetrics {
    count: Counter,
    seconds: Histogram,
}

impl CommandMetrics {
    /// Counts one command that took so long.
    pub fn record(&self, took: Duration) {
        self.count.inc();
        self.seconds.observe(took.as_secs_f64());
    }
}

/// The metrics of this process.
pub fn metrics() -> &'static Metrics {
    static METRICS: OnceLock<Metrics> = OnceLock::new();
    METRICS.get_or_init(Metrics::new)
}

impl Metrics {
    fn new() -> Self {
        let mut registry = Registry::with_prefix("todoku");
        let seconds: fn() -> Histogram = timing;
        Self {
            sessions: add(&mut registry, "sessions", "Open sessions", Family::default()),
            logins: add(&mut registry, "logins", "Attempts to log in", Family::default()),
            commands: add(&mut registry, "commands", "Commands answered", Family::default()),
            command_seconds: add(
                &mut registry,
                "command_seconds",
                "From a command's last byte to its reply",
                Family::new_with_constructor(seconds),
            ),
            deliveries: add(&mut registry, "deliveries", "Messages by recipient", Family::default()),
            push_seconds: add(
                &mut registry,
                "push_seconds",
                "From a commit's hint to the push at the client",
                timing(),
            ),
            errors: add(&mut registry, "errors", "Faults of our own", Family::default()),
            rpc_seconds: add(
                &mut registry,
                "rpc_seconds",
                "Calls between services, at the caller",
                Family::new_with_constructor(seconds),
            ),
            served_seconds: add(
                &mut registry,
                "served_seconds",
                "Calls between services, at who answers them",
                Family::new_with_constructor(seconds),
            ),
            commit_messages: add(
                &mut registry,
                "commit_messages",
                "Deliveries and appends that shared a commit",
                Histogram::new(exponential_buckets(1.0, 2.0, 8)),
            ),
            commit_seconds: add(
                &mut registry,
                "commit_seconds",
                "Such a commit, the wait for a database connection included",
                timing(),
            ),
            password_wait_seconds: add(
                &mut registry,
                "password_wait_seconds",
                "Wait of a password for its turn to be checked",
                timing(),
            ),
            database_seconds: add(
                &mut registry,
                "database_seconds",
                "Wait for a database connection and one round trip, at every look whether the service is ready",
                Family::new_with_constructor(seconds),
            ),
            connections_refused: add(
                &mut registry,
                "connections_refused",
                "Connections refused at a limit",
                Family::default(),
            ),
            bytes_received: add(&mut registry, "bytes_received", "Bytes from clients", Family::default()),
            bytes_sent: add(&mut registry, "bytes_sent", "Bytes to clients", Family::default()),
            messages_rebuilt: add(
                &mut registry,
                "messages_rebuilt",
                "Messages whose derived data was derived again",
                Counter::default(),
            ),
            registry: Mutex::new(registry),
        }
    }

    /// Handles of what every connection of a protocol counts.
    pub fn protocol(&self, protocol: &'static str) -> ProtocolMetrics {
        let labels = [("protocol", protocol)];
        ProtocolMetrics {
            sessions: self.sessions.get_or_create_owned(&labels),
            bytes_received: self.bytes_received.get_or_create_owned(&labels),
            bytes_sent: self.bytes_sent.get_or_create_owned(&labels),
        }
    }

    /// Messages whose derived data another version had made and that were derived again.
    pub fn messages_rebuilt(&self, count: u64) {
        self.messages_rebuilt.inc_by(count);
    }

    /// An attempt to log in: `outcome` is such as `ok`, `refused`, `error`.
    pub fn login(&self, protocol: &'static str, outcome: &'static str) {
        self.logins.get_or_create(&[("protocol", protocol), ("outcome", outcome)]).inc();
    }

    /// A command that was answered; `outcome` is such as `ok`, `no`, `bad`.
    pub fn command(
        &self,
        protocol: &'static str,
        command: &'static str,
        outcome: &'static str,
        took: Duration,
    ) {
        self.commands
            .get_or_create(&[("protocol", protocol), ("command", command), ("outcome", outcome)])
            .inc();
        self.command_seconds
            .get_or_create(&[("protocol", protocol), ("command", command)])
            .observe(took.as_secs_f64());
    }

    /// Handles for a command that is counted often.
    pub fn command_handle(
        &self,
        protocol: &'static str,
        command: &'static str,
        outcome: &'static str,
    ) -> CommandMetrics {
        let count = [("protocol", protocol), ("command", command), ("outcome", outcome)];
        CommandMetrics {
            count: self.commands.get_or_create_owned(&count),
            seconds: self
                .command_seconds
                .get_or_create_owned(&[("protocol", protocol), ("command", command)]),
        }
    }

    /// A message for one recipient: `outcome` is such as `stored`, `duplicate`, `refused`, `deferred`.
    pub fn delivery(&self, protocol: &'static str, outcome: &'static str) {
        self.deliveries.get_or_create(&[("protocol", protocol), ("outcome", outcome)]).inc();
    }

    /// A change that reached a waiting client, so long after its hint.
    pub fn push(&self, took: Duration) {
        self.push_seconds.observe(took.as_secs_f64());
    }

    /// A fault of our own: `kind` is such as `panic`, `database`, `rpc`.
    pub fn error(&self, service: &'static str, kind: &'static str) {
        self.errors.get_or_create(&[("service", service), ("kind", kind)]).inc();
    }

    /// A call to another service.
    pub fn rpc(&self, rpc: &'static str, took: Duration) {
        self.rpc_seconds.get_or_create(&[("rpc", rpc)]).observe(took.as_secs_f64());
    }

    /// A call of another service that was answered; `outcome` is `ok`, `refused`, `unavailable` or `failed`.
    pub fn served(&self, rpc: &'static str, outcome: &'static str, took: Duration) {
        self.served_seconds.get_or_create(&[("rpc", rpc), ("outcome", outcome)]).observe(took.as_secs_f64());
    }

    /// Deliveries and appends that were committed together.
    pub fn commit(&self, messages: usize, took: Duration) {
        self.commit_messages.observe(messages as f64);
        self.commit_seconds.observe(took.as_secs_f64());
    }

    /// A password that waited so long for its check to begin.
    pub fn password_waited(&self, took: Duration) {
        self.password_wait_seconds.observe(took.as_secs_f64());
    }

    /// How long the service's database took to say that it is there.
    pub fn database(&self, service: &'static str, took: Duration) {
        self.database_seconds.get_or_create(&[("service", service)]).observe(took.as_secs_f64());
    }

    /// A connection refused: `reason` is such as `connections`, `per_ip`, `proxy_header`, `tls`.
    pub fn connection_refused(&self, protocol: &'static str, reason: &'static str) {
        self.connections_refused.get_or_create(&[("protocol", protocol), ("reason", reason)]).inc();
    }

    /// Adds a metric of one crate's own, as `todoku_<name>`; the caller keeps a clone.
    pub fn register(&self, name: &'static str, help: &'static str, metric: impl Metric) {
        let mut registry = self.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        registry.register(name, help, metric);
    }

    /// All series as OpenMetrics text, ending in `# EOF`.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        encode(&mut text, &registry).expect("writing to a String does not fail");
        text
    }
}

/// From 100 µs to 100 s in steps of 2: a cached reply as well as a stuck database.
fn timing() -> Histogram {
    Histogram::new(exponential_buckets(0.000_1, 2.0, 21))
}

fn add<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

const _: fn() = || {
    fn encodes<L: EncodeLabelSet>() {}
    encodes::<Labels<3>>();
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodes_all_families() {
        let metrics = Metrics::new();
        metrics.protocol("imap").sessions.inc();
        metrics.login("imap", "ok");
        metrics.command("imap", "FETCH", "ok", Duration::from_millis(3));
        metrics.command_handle("imap", "FETCH", "ok").record(Duration::from_millis(3));
        metrics.delivery("lmtp", "stored");
        metrics.push(Duration::from_millis(5));
        metrics.error("imap", "panic");
        metrics.rpc("Mailbox.Open", Duration::from_millis(1));
        metrics.served("Mailbox.Open", "ok", Duration::from_millis(1));
        metrics.commit(3, Duration::from_millis(2));
        metrics.password_waited(Duration::from_millis(2));
        metrics.database("storage", Duration::from_millis(1));
        metrics.connection_refused("pop3", "per_ip");
        let text = metrics.encode();
        for line in [
            "todoku_sessions{protocol=\"imap\"} 1",
            "todoku_logins_total{protocol=\"imap\",outcome=\"ok\"} 1",
            "todoku_commands_total{protocol=\"imap\",command=\"FETCH\",outcome=\"ok\"} 2",
            "todoku_command_seconds_count{protocol=\"imap\",command=\"FETCH\"} 2",
            "todoku_deliveries_total{protocol=\"lmtp\",outcome=\"stored\"} 1",
            "todoku_push_seconds_count 1",
            "todoku_errors_total{service=\"imap\",kind=\"panic\"} 1",
            "todoku_rpc_seconds_count{rpc=\"Mailbox.Open\"} 1",
            "todoku_served_seconds_count{rpc=\"Mailbox.Open\",outcome=\"ok\"} 1",
            "todoku_commit_messages_sum 3.0",
            "todoku_commit_seconds_count 1",
            "todoku_password_wait_seconds_count 1",
            "todoku_database_seconds_count{service=\"storage\"} 1",
            "todoku_connections_refused_total{protocol=\"pop3\",reason=\"per_ip\"} 1",
            "todoku_bytes_received_total{protocol=\"imap\"} 0",
        ] {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }
}
