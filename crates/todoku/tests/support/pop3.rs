//! As much of a POP3 client as the tests need.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::PASSWORD;

/// A server that says nothing for so long has lost us.
const PATIENCE: Duration = Duration::from_secs(15);

/// All messages of the maildrop, in order. RFC 1939 §5.
pub(crate) fn retrieve_all(address: &str, account: &str) -> Result<Vec<Vec<u8>>> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    status(&mut reader)?;
    command(&mut reader, &format!("USER {account}"))?;
    command(&mut reader, &format!("PASS {PASSWORD}"))?;
    let stat = command(&mut reader, "STAT")?;
    let count: u32 = stat.split(' ').nth(1).and_then(|count| count.parse().ok()).context("no count")?;
    let mut messages = Vec::new();
    for number in 1..=count {
        command(&mut reader, &format!("RETR {number}"))?;
        messages.push(multi_line(&mut reader)?);
    }
    command(&mut reader, "QUIT")?;
    Ok(messages)
}

fn command(reader: &mut BufReader<TcpStream>, line: &str) -> Result<String> {
    reader.get_mut().write_all(format!("{line}\r\n").as_bytes())?;
    status(reader).with_context(|| line.to_owned())
}

fn status(reader: &mut BufReader<TcpStream>) -> Result<String> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    ensure!(line.starts_with("+OK"), "{line:?}");
    Ok(line.trim_end().to_owned())
}

/// Up to the line with a dot alone, stuffing removed. RFC 1939 §3.
fn multi_line(reader: &mut BufReader<TcpStream>) -> Result<Vec<u8>> {
    let mut octets = Vec::new();
    loop {
        let mut line = Vec::new();
        ensure!(reader.read_until(b'\n', &mut line)? > 0, "connection lost");
        if line == b".\r\n" {
            return Ok(octets);
        }
        octets.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}
