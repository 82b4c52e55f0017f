//! Lines, counted bytes and dot-stuffed data over real sockets.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use line_server::{Connection, DataStep, DotReader, ReadError, within};
use support::{ask, connect, echo, read_all, read_until, settings, start};
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

#[tokio::test]
async fn pipelined_lines_and_both_endings() {
    let server = start(settings("t-lines"), echo).await;
    let mut client = connect(&server).await;
    ask(&mut client, b"one\r\ntwo\n\r\nthr", "<one>\r\n<two>\r\n<>\r\n").await;
    ask(&mut client, b"ee\r\n", "<three>\r\n").await;
}

#[tokio::test]
async fn the_longest_line_fits_and_one_more_byte_does_not() {
    let server = start(settings("t-long"), echo).await;
    let mut client = connect(&server).await;
    let fits = "x".repeat(98);
    ask(&mut client, format!("{fits}\r\n").as_bytes(), &format!("<{fits}>\r\n")).await;
    ask(&mut client, format!("x{fits}\r\n").as_bytes(), "<too long>\r\n").await;
    ask(&mut client, format!("{}\r\nnext\r\n", "y".repeat(300_000)).as_bytes(), "<too long>\r\n<next>\r\n")
        .await;
}

#[tokio::test]
async fn a_long_line_in_pieces_is_one_too_long() {
    let server = start(settings("t-pieces"), echo).await;
    let mut client = connect(&server).await;
    for _ in 0..5 {
        client.write_all(&[b'z'; 70]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    ask(&mut client, b"\r\nnext\r\n", "<too long>\r\n<next>\r\n").await;
}

#[tokio::test]
async fn an_endless_line_is_given_up_in_bounded_memory() {
    let (report, mut reported) = tokio::sync::mpsc::channel(1);
    let server = start(settings("t-endless"), move |mut connection: Connection| {
        let report = report.clone();
        async move {
            let error = connection.read_line(1000).await.unwrap_err();
            let kept = connection.buffer().capacity();
            report.send((matches!(error, ReadError::Endless), kept)).await.unwrap();
        }
    })
    .await;
    let mut client = connect(&server).await;
    for _ in 0..100 {
        if client.write_all(&[b'x'; 64 * 1024]).await.is_err() {
            break;
        }
    }
    let (endless, kept) = reported.recv().await.unwrap();
    assert!(endless);
    assert!(kept <= 256 * 1024, "{kept} bytes kept");
}

#[tokio::test]
async fn dropped_reads_lose_nothing() {
    let server = start(settings("t-cancel"), |mut connection: Connection| async move {
        loop {
            // A read that is dropped again and again, as in `select!` with a busy other branch.
            let line = tokio::select! {
                line = connection.read_line(100) => line,
                () = tokio::time::sleep(Duration::from_millis(1)) => continue,
            };
            let Ok(line) = line else { return };
            connection.queue(line.text());
            connection.queue(b"|");
            connection.flush().await.unwrap();
        }
    })
    .await;
    let mut client = connect(&server).await;
    for byte in b"hello there\r\nagain\r\n" {
        client.write_all(&[*byte]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(read_until(&mut client, "again|").await, "hello there|again|");
}

#[tokio::test]
async fn data_and_commands_stay_in_step() {
    let server = start(settings("t-data"), |mut connection: Connection| async move {
        let mut reader = DotReader::new();
        let (mut length, mut faults) = (0, 0);
        loop {
            match connection.next_data_chunk(&mut reader).await.unwrap() {
                DataStep::Data(bytes) => length += bytes.len(),
                DataStep::Fault(_) => faults += 1,
                DataStep::End => {
                    let line = connection.read_line(100).await.unwrap();
                    let text = String::from_utf8_lossy(line.text()).into_owned();
                    connection.queue(format!("{length} {faults} {text}\r\n").as_bytes());
                    connection.flush().await.unwrap();
                    reader = DotReader::new();
                    (length, faults) = (0, 0);
                }
            }
        }
    })
    .await;
    let mut client = connect(&server).await;
    let message = "..stuffed line of some length\r\n".repeat(20_000);
    ask(&mut client, format!("{message}.\r\nNOOP\r\n").as_bytes(), &format!("{} 0 NOOP\r\n", 20_000 * 30))
        .await;
    ask(&mut client, b"a\r\n.\nMAIL FROM:<smuggled>\r\n.\r\nRSET\r\n", " 1 RSET\r\n").await;
}

#[tokio::test]
async fn chunks_of_a_literal() {
    let server = start(settings("t-chunk"), |mut connection: Connection| async move {
        let mut left = 100_000;
        while left > 0 {
            left -= connection.chunk(left).await.unwrap().len();
        }
        let line = connection.read_line(100).await.unwrap();
        connection.queue(line.text());
        connection.shutdown().await;
    })
    .await;
    let mut client = connect(&server).await;
    let mut bytes = vec![b'\n'; 100_000];
    bytes.extend_from_slice(b"after\r\n");
    client.write_all(&bytes).await.unwrap();
    assert_eq!(read_all(&mut client).await, "after");
}

#[tokio::test]
async fn silence_deadline_and_state_limits_time_out() {
    let server = start(settings("t-time"), |mut connection: Connection| async move {
        let timed_out = |result| matches!(result, Err(ReadError::TimedOut));
        let limit = Duration::from_millis(20);
        assert!(timed_out(within(limit, connection.read_line(100)).await));
        connection.set_read_timeout(limit);
        connection.touch();
        assert!(timed_out(connection.read_line(100).await));
        connection.set_read_timeout(Duration::from_secs(60));
        connection.set_deadline(Some(Instant::now() + limit));
        assert!(timed_out(connection.read_line(100).await));
        connection.set_deadline(None);
        connection.queue(b"done\r\n");
        connection.shutdown().await;
    })
    .await;
    let mut client = connect(&server).await;
    assert_eq!(read_all(&mut client).await, "done\r\n");
}

#[tokio::test]
async fn large_and_small_writes_keep_their_order() {
    let server = start(settings("t-write"), |mut connection: Connection| async move {
        for round in 0..20u8 {
            connection.queue(b"* head ");
            connection.write(vec![b'a' + round; 100_000]).await.unwrap();
            connection.write("tail\r\n").await.unwrap();
        }
        connection.shutdown().await;
    })
    .await;
    let mut client = connect(&server).await;
    let expected: String = (0..20u8)
        .map(|n| format!("* head {}tail\r\n", char::from(b'a' + n).to_string().repeat(100_000)))
        .collect();
    assert!(read_all(&mut client).await == expected);
}
