//! `todoku health`: what a container's health check runs.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use service_runtime::Config;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A process that has no answer in this time is not ready.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks `/readyz` of the process that serves `[http] listen` on this host.
///
/// # Errors
/// When it is not there or not ready.
pub(crate) async fn run(config: &Config) -> Result<()> {
    let listen = config.http.listen.replace("0.0.0.0", "127.0.0.1").replace("[::]", "[::1]");
    if listen.is_empty() {
        bail!("[http] listen is empty, so there is nothing to ask");
    }
    let answer =
        timeout(PATIENCE, ask(&listen)).await.with_context(|| format!("no answer from {listen}"))??;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if head.split(' ').nth(1) == Some("200") {
        println!("ready");
        return Ok(());
    }
    bail!("not ready: {}", body.trim())
}

async fn ask(listen: &str) -> Result<String> {
    let mut stream = TcpStream::connect(listen).await.with_context(|| format!("cannot reach {listen}"))?;
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {listen}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
