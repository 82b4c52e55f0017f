//! A Redis of our own, to be killed.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// It starts in milliseconds.
const START_MAX: Duration = Duration::from_secs(10);

pub(crate) struct Redis {
    address: String,
    child: Option<Child>,
}

impl Redis {
    pub(crate) fn start(address: String) -> Result<Self> {
        let mut redis = Self { address, child: None };
        redis.restart()?;
        Ok(redis)
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    pub(crate) fn restart(&mut self) -> Result<()> {
        let (host, port) = self.address.split_once(':').context("no port")?;
        let child = Command::new("redis-server")
            .args(["--bind", host, "--port", port, "--save", "", "--appendonly", "no"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("no redis-server: run `cargo xtask test`")?;
        self.child = Some(child);
        let begun = Instant::now();
        while TcpStream::connect(&self.address).is_err() {
            ensure!(begun.elapsed() < START_MAX, "redis-server does not start");
            sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}
