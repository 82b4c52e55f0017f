//! Random choices.

use fastrand::Rng;

/// A few indexes below `count`, ascending: one, a run, or scattered ones.
pub fn some(rng: &mut Rng, count: usize) -> Vec<usize> {
    if count == 0 {
        return Vec::new();
    }
    let first = rng.usize(..count);
    match rng.u8(..4) {
        0 | 1 => vec![first],
        2 => (first..count.min(first + 1 + rng.usize(..6))).collect(),
        _ => (0..count).filter(|_| rng.u8(..5) == 0).take(8).collect(),
    }
}

/// `1,3:5`
pub fn set(numbers: &[u32]) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *number => *last = *number,
            _ => ranges.push((*number, *number)),
        }
    }
    let show = |(first, last): &(u32, u32)| {
        if first == last { first.to_string() } else { format!("{first}:{last}") }
    };
    ranges.iter().map(show).collect::<Vec<_>>().join(",")
}

/// The octets of message `id`: different kinds, each findable by its words.
pub fn message(rng: &mut Rng, id: u64) -> Vec<u8> {
    let head = format!(
        "From: Sender {id} <sender@test.example>\r\nTo: soak@test.example\r\nSubject: subject tok{id}x\r\n\
         Date: Mon, 01 Jan 2024 10:{:02}:{:02} +0100\r\nMessage-ID: <{id}@soak.test.example>\r\nX-Soak-Id: {id}\r\n",
        id / 60 % 60,
        id % 60
    );
    let body = match rng.u8(..4) {
        0 => format!("\r\nbody bod{id}y\r\n.leading dot\r\n..two\r\n"),
        1 => format!(
            "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\
             届くbod{id}y é\r\n{}",
            "line of text\r\n".repeat(rng.usize(..200))
        ),
        2 => format!(
            "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"b{id}\"\r\n\r\n--b{id}\r\n\
             Content-Type: text/plain\r\n\r\nbod{id}y\r\n--b{id}\r\nContent-Type: application/octet-stream; name=\"a\\\"b\"\r\n\
             Content-Transfer-Encoding: base64\r\n\r\nAAECAwQ=\r\n--b{id}--\r\n"
        ),
        _ => format!("\r\nbod{id}y {}\r\n", "x".repeat(rng.usize(..900))),
    };
    (head + &body).into_bytes()
}
