//! Mail programs that people use, against both shapes of the running system: one process on SQLite; a cluster on
//! PostgreSQL and Redis. They read the standards in their own ways.
//!
//! A program that is not installed skips its test, except in continuous integration; `cargo xtask test` installs them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "programs/postfix.rs"]
mod postfix;
#[path = "programs/stage.rs"]
mod stage;

use std::path::Path;

use postfix::Postfix;
use stage::{MESSAGE, Shape, Stage, all_of};

macro_rules! programs {
    ($($name:ident($program:literal, $package:literal, $stage:ident) $body:block)*) => {
        mod run {
            use super::*;
            $(pub(super) async fn $name(shape: Shape) {
                let Some($stage) = Stage::set(shape, $program, $package).await else { return };
                $body
                $stage.end().await;
            })*
        }

        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::run::$name(super::Shape::Sqlite).await;
            })*
        }

        mod cluster {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::run::$name(super::Shape::Cluster).await;
            })*
        }
    };
}

programs! {
    python_libraries("python3", "python3", stage) {
        stage.python("libraries").await;
    }

    python_samples("python3", "python3", stage) {
        stage.python("samples").await;
    }

    python_large_message("python3", "python3", stage) {
        stage.python("large").await;
    }

    python_ten_thousand_messages("python3", "python3", stage) {
        stage.python("ten_thousand").await;
    }

    curl_smtp_then_imap("curl", "curl", stage) {
        stage.deliver(2).await;
        for base in [format!("imap://127.0.0.1:{}", stage.imap_port()), format!("imaps://{}", stage.system.imaps)] {
            let list = stage.curl(&["--url", &format!("{base}/")]).await;
            assert!(list.contains("INBOX") && list.contains("Trash"), "{list}");
            let message = stage.curl(&["--url", &format!("{base}/INBOX;MAILINDEX=1")]).await;
            assert!(message.ends_with("Subject: hello\r\n\r\n.dot\r\nend\r\n"), "{message:?}");
            let message = stage.curl(&["--url", &format!("{base}/INBOX;UID=2;SECTION=TEXT")]).await;
            assert_eq!(message, ".dot\r\nend\r\n");
            let found = stage.curl(&["--url", &format!("{base}/INBOX?SUBJECT%20hello")]).await;
            assert_eq!(found.trim_end(), "* SEARCH 1 2");
        }
        let base = format!("imap://127.0.0.1:{}", stage.imap_port());
        let sent = stage.write("sent.eml", MESSAGE);
        stage.curl(&["--url", &format!("{base}/Sent"), "--upload-file", &sent]).await;
        assert_eq!(stage.messages_in("Sent").await, 1);
        stage.curl(&["--ssl-reqd", "--url", &format!("{base}/INBOX"), "--request", "STORE 1 +FLAGS (\\Deleted)"]).await;
        stage.curl(&["--url", &format!("{base}/INBOX"), "--request", "EXPUNGE"]).await;
        assert_eq!(stage.messages_in("INBOX").await, 1);
    }

    curl_pop3("curl", "curl", stage) {
        stage.deliver(2).await;
        for base in [format!("pop3://127.0.0.1:{}", stage.pop3_port()), format!("pop3s://{}", stage.system.pop3s)] {
            let list = stage.curl(&["--url", &format!("{base}/")]).await;
            assert_eq!(list.lines().count(), 2, "{list}");
            let message = stage.curl(&["--url", &format!("{base}/1")]).await;
            assert!(message.ends_with("Subject: hello\r\n\r\n.dot\r\nend\r\n"), "{message:?}");
            let uidl = stage.curl(&["--url", &format!("{base}/"), "--request", "UIDL"]).await;
            assert_eq!(uidl.lines().count(), 2, "{uidl}");
        }
        let base = format!("pop3://127.0.0.1:{}", stage.pop3_port());
        stage.curl(&["--ssl-reqd", "--url", &format!("{base}/2"), "--request", "DELE", "--list-only"]).await;
        assert_eq!(stage.messages_in("INBOX").await, 1);
    }

    swaks_lmtp_and_smtp("swaks", "swaks", stage) {
        for (protocol, port) in [("LMTP", stage.lmtp_port()), ("ESMTP", stage.smtp_port()), ("SMTP", stage.smtp_port())] {
            let to = &stage.alice.address;
            let arguments = ["--server", "127.0.0.1", "--port", &port, "--protocol", protocol, "--to", to];
            stage.run("swaks", &[&arguments[..], &["--from", "s@far.example", "--h-Subject", protocol]].concat()).await;
        }
        let port = stage.smtp_port();
        let arguments = ["--server", "127.0.0.1", "--port", &port, "--to", &stage.alice.address, "--pipeline"];
        stage.run("swaks", &[&arguments[..], &["--from", "<>", "--attach", "some text"]].concat()).await;
        assert_eq!(stage.messages_in("INBOX").await, 4);
        let arguments = ["--server", "127.0.0.1", "--port", &port, "--to", "nobody-of-that-name@test.example"];
        let refused = stage.run_any("swaks", &arguments).await;
        assert!(!refused.status.success() && all_of(&refused).contains("550 5.1.1"), "{}", all_of(&refused));
    }

    mbsync_both_ways("mbsync", "isync", stage) {
        stage.deliver(3).await;
        std::fs::create_dir(stage.path("mail")).unwrap();
        let mail = stage.path("mail").display().to_string();
        let configuration = stage.write("mbsyncrc", &format!(
            "IMAPAccount a\nHost 127.0.0.1\nPort {}\nUser {}\nPass {}\nSSLType None\nAuthMechs LOGIN\n\n\
             IMAPStore far\nAccount a\n\nMaildirStore near\nPath {mail}/\nInbox {mail}/INBOX\nSubFolders Verbatim\n\n\
             Channel c\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nExpunge Both\nSyncState *\n",
            stage.imap_port(), stage.alice.address, stage.alice.password
        ));
        stage.run("mbsync", &["-c", &configuration, "-a"]).await;
        let new = stage.path("mail/INBOX/new");
        assert_eq!(std::fs::read_dir(&new).unwrap().count(), 3);
        assert!(stage.path("mail/Trash").is_dir(), "every mailbox is made");
        // A message of ours goes up, one of theirs is thrown away here, one is read here.
        std::fs::write(stage.path("mail/INBOX/cur/1.local:2,S"), "Subject: ours\n\nx\n").unwrap();
        let mut theirs: Vec<_> = std::fs::read_dir(&new).unwrap().map(|entry| entry.unwrap().path()).collect();
        theirs.sort();
        let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().split(":2,").next().unwrap().to_owned();
        let cur = stage.path("mail/INBOX/cur");
        std::fs::rename(&theirs[0], cur.join(format!("{}:2,T", name(&theirs[0])))).unwrap();
        std::fs::rename(&theirs[1], cur.join(format!("{}:2,FS", name(&theirs[1])))).unwrap();
        stage.run("mbsync", &["-c", &configuration, "-a"]).await;
        assert_eq!(stage.messages_in("INBOX").await, 3);
        let url = format!("imap://127.0.0.1:{}/INBOX?SEEN", stage.imap_port());
        assert_eq!(stage.curl(&["--url", &url]).await.split_whitespace().count(), 2 + 2, "ours and the one read");
        stage.run("mbsync", &["-c", &configuration, "-a"]).await;
        assert_eq!(stage.messages_in("INBOX").await, 3, "nothing comes twice");
    }

    fetchmail_pop3_and_imap("fetchmail", "fetchmail", stage) {
        for (protocol, port) in [("POP3", stage.pop3_port()), ("IMAP", stage.imap_port())] {
            stage.deliver(2).await;
            let _ = std::fs::remove_file(stage.path("got"));
            let configuration = stage.write("fetchmailrc", &format!(
                "poll 127.0.0.1 protocol {protocol} port {port} user \"{}\" password \"{}\" sslproto \"\" \
                 mda \"cat >> {}\"\n",
                stage.alice.address, stage.alice.password, stage.path("got").display()
            ));
            restrict(&configuration);
            let pid = stage.path("pid").display().to_string();
            stage.run("fetchmail", &["-f", &configuration, "--nosyslog", "--pidfile", &pid]).await;
            assert_eq!(stage.read("got").matches("Subject: hello").count(), 2, "{protocol}");
            assert_eq!(stage.messages_in("INBOX").await, 0, "{protocol}: fetched mail is deleted");
        }
    }

    offlineimap_down("offlineimap", "offlineimap3", stage) {
        stage.deliver(3).await;
        let configuration = stage.write("offlineimaprc", &format!(
            "[general]\naccounts = a\nmetadata = {0}/meta\nui = quiet\n[Account a]\nlocalrepository = l\n\
             remoterepository = r\n[Repository l]\ntype = Maildir\nlocalfolders = {0}/mail\n[Repository r]\ntype = IMAP\n\
             remotehost = 127.0.0.1\nremoteport = {1}\nremoteuser = {2}\nremotepass = {3}\nssl = no\nstarttls = no\n",
            stage.folder.path().display(), stage.imap_port(), stage.alice.address, stage.alice.password
        ));
        stage.run("offlineimap", &["-c", &configuration, "-o"]).await;
        assert_eq!(std::fs::read_dir(stage.path("mail/INBOX/new")).unwrap().count(), 3);
        stage.run("offlineimap", &["-c", &configuration, "-o"]).await;
        assert_eq!(stage.messages_in("INBOX").await, 3, "nothing comes twice");
    }

    getmail_pop3_and_imap("getmail", "getmail6", stage) {
        for (kind, port) in [("SimplePOP3Retriever", stage.pop3_port()), ("SimpleIMAPRetriever", stage.imap_port())] {
            stage.deliver(2).await;
            let _ = std::fs::remove_file(stage.path("got"));
            // It delivers to no folder as root, but to a program when told so.
            let configuration = stage.write("getmailrc", &format!(
                "[retriever]\ntype = {kind}\nserver = 127.0.0.1\nport = {port}\nusername = {}\npassword = {}\n\
                 [destination]\ntype = MDA_external\npath = /bin/sh\narguments = (\"-c\", \"cat >> {}\")\n\
                 allow_root_commands = true\n[options]\nread_all = false\n",
                stage.alice.address, stage.alice.password, stage.path("got").display()
            ));
            restrict(&configuration);
            let folder = stage.folder.path().display().to_string();
            let arguments = ["--getmaildir", &folder, "--rcfile", &configuration];
            let count = || stage.read("got").matches("Subject: hello").count();
            stage.run("getmail", &arguments).await;
            assert_eq!(count(), 2, "{kind}");
            stage.run("getmail", &arguments).await;
            assert_eq!(count(), 2, "{kind}: what was seen is known by its UIDL or UID, and not fetched again");
            stage.run("getmail", &[&arguments[..], &["--all", "--delete"]].concat()).await;
            assert_eq!(count(), 4, "{kind}");
            assert_eq!(stage.messages_in("INBOX").await, 0, "{kind}: fetched mail is deleted");
        }
    }

    neomutt_with_qresync("neomutt", "neomutt", stage) {
        stage.deliver(4).await;
        let log = stage.path("debug").display().to_string();
        let configuration = stage.write("neomuttrc", &format!(
            "set imap_user=\"{}\"\nset imap_pass=\"{}\"\nset ssl_starttls=no\nset ssl_force_tls=no\nset quit=yes\n\
             set delete=yes\nset move=no\nset wait_key=no\nset folder=.\n\
             set header_cache=\"{2}/cache\"\nset imap_condstore=yes\nset imap_qresync=yes\n\
             set debug_level=2\nset debug_file=\"{log}\"\n",
            stage.alice.address, stage.alice.password, stage.folder.path().display()
        ));
        let url = format!("imap://127.0.0.1:{}/INBOX", stage.imap_port());
        let neomutt = async |keys: &str| {
            let command = format!("neomutt -n -F {configuration} -f {url} -e \"push '{keys}<quit>'\"");
            stage.run("script", &["-qec", &command, "/dev/null"]).await
        };
        neomutt("").await;
        // Meanwhile one changes, one comes (RFC 7162 §3.2.6).
        stage.curl(&["--url", &url, "--request", "STORE 2 +FLAGS (\\Flagged)"]).await;
        stage.deliver(1).await;
        // The flagged one is found by its flag: the cache was brought up to date.
        let screen = neomutt("<delete-pattern>~F<enter><sync-mailbox>").await;
        let log = stage.read("debug0");
        assert!(log.contains("(CHANGEDSINCE ") && !log.contains("QRESYNC failed"), "{log}\n{screen}");
        // Meanwhile one goes: it is told, and this program, which counts wrong then, starts afresh.
        stage.curl(&["--url", &url, "--request", "STORE 4 +FLAGS (\\Deleted)"]).await;
        stage.curl(&["--url", &url, "--request", "EXPUNGE"]).await;
        neomutt("").await;
        let log = stage.read("debug0");
        assert!(log.contains("(CHANGEDSINCE ") && log.contains("Handling VANISHED"), "{log}\n{screen}");
        let url = format!("imap://127.0.0.1:{}/INBOX?ALL", stage.imap_port());
        assert_eq!(stage.curl(&["--url", &url]).await.trim_end(), "* SEARCH 1 2 3", "{screen}");
        assert_eq!(stage.messages_in("INBOX").await, 3);
    }

    postfix_delivers_by_lmtp("postfix", "postfix", stage) {
        let nobody = "nobody-of-that-name@test.example";
        if let Some(postfix) = Postfix::start(&stage).await {
            postfix.send(&["a@far.example", &stage.alice.address]).await;
            postfix.logged("status=sent (250 2.", 1).await;
            // One transaction, two recipients, two replies (RFC 2033 §4.2).
            postfix.send(&["a@far.example", nobody, &stage.alice.address]).await;
            postfix.logged("status=sent (250 2.", 2).await;
            postfix.logged("status=bounced (host 127.0.0.1[127.0.0.1] said: 550 5.1.1", 1).await;
            let large = "x".repeat(70) + "\n";
            postfix.send_text(&["a@far.example", &stage.alice.address], &large.repeat(40_000)).await;
            postfix.logged("status=sent (250 2.", 3).await;
            assert_eq!(stage.messages_in("INBOX").await, 3);
        }
    }

    mutt_reads_and_saves("mutt", "mutt", stage) {
        stage.deliver(2).await;
        let configuration = stage.write("muttrc", &format!(
            "set imap_user=\"{}\"\nset imap_pass=\"{}\"\nset ssl_starttls=no\nset ssl_force_tls=no\nset confirmcreate=no\n\
             set confirmappend=no\nset quit=yes\nset delete=yes\nset move=no\nset mbox_type=mbox\nset wait_key=no\nset folder=.\n",
            stage.alice.address, stage.alice.password
        ));
        // mutt wants a terminal; `script` is one. It copies a message and deletes it.
        let keys = "push '<first-entry><copy-message>./saved<enter><delete-message><sync-mailbox><quit>'";
        let command = format!(
            "mutt -n -F {configuration} -f imap://127.0.0.1:{}/INBOX -e \"{keys}\"",
            stage.imap_port()
        );
        let screen = stage.run("script", &["-qec", &command, "/dev/null"]).await;
        let saved = stage.read("saved");
        assert_eq!(saved.matches("Subject: hello").count(), 1, "{saved}\n{screen}");
        assert_eq!(stage.messages_in("INBOX").await, 1);
    }
}

/// Programs refuse files with passwords that others can read.
fn restrict(path: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}
