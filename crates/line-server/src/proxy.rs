//! The PROXY protocol, versions 1 and 2, from load balancers that are trusted.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use proxy_header::{ParseConfig, ProxyHeader};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A load balancer sends the header with its first segment.
const PROXY_HEADER_TIMEOUT: Duration = Duration::from_secs(5);
/// Version 1 lines are at most 107 bytes with CR LF (proxy-protocol.txt §2.1).
const V1_BYTES_MAX: usize = 107;
/// The shortest version 1 line, `PROXY UNKNOWN` CR LF; version 2 headers are longer.
const HEADER_BYTES_MIN: usize = 15;
/// Signature, version, family, length (proxy-protocol.txt §2.2).
const V2_FIXED_BYTES: usize = 16;
/// Most bytes of version 2 addresses and TLVs; ours are addresses and a few TLVs.
const V2_BYTES_MAX: usize = 4 * 1024;

/// Source and destination that the load balancer saw.
pub(crate) struct Proxied {
    pub(crate) source: SocketAddr,
    pub(crate) destination: SocketAddr,
}

/// Reads the header and not one byte more, since TLS may follow. `None`: the load balancer speaks
/// for itself, as in a health check.
pub(crate) async fn read_header(stream: &mut TcpStream) -> io::Result<Option<Proxied>> {
    let read = timeout(PROXY_HEADER_TIMEOUT, read_bytes(stream)).await;
    let bytes = read.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no PROXY header"))??;
    let (header, _) = ProxyHeader::parse(&bytes, ParseConfig::default())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
    let address = header.proxied_address();
    Ok(address.map(|address| Proxied { source: address.source, destination: address.destination }))
}

async fn read_bytes(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; HEADER_BYTES_MIN];
    stream.read_exact(&mut bytes).await?;
    if bytes.starts_with(b"PROXY ") {
        while !bytes.ends_with(b"\n") {
            if bytes.len() >= V1_BYTES_MAX {
                return Err(invalid("PROXY line too long"));
            }
            bytes.push(stream.read_u8().await?);
        }
        return Ok(bytes);
    }
    if !bytes.starts_with(b"\r\n\r\n\0\r\nQUIT\n") {
        return Err(invalid("no PROXY header from a peer in proxy_protocol.trusted"));
    }
    bytes.push(stream.read_u8().await?);
    let length = usize::from(u16::from_be_bytes([bytes[V2_FIXED_BYTES - 2], bytes[V2_FIXED_BYTES - 1]]));
    if length > V2_BYTES_MAX {
        return Err(invalid("PROXY header too long"));
    }
    bytes.resize(V2_FIXED_BYTES + length, 0);
    stream.read_exact(&mut bytes[V2_FIXED_BYTES..]).await?;
    Ok(bytes)
}

fn invalid(text: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}
