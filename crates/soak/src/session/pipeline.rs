//! Several commands sent at once (INV-17).

use super::{Phase, Session};
use crate::fault::Checked;

impl Session {
    /// Looks that do not depend on each other's numbers: sequence numbers first, then what may announce expunges.
    pub(crate) async fn pipeline(&mut self) -> Checked {
        if self.view.is_none() {
            return Ok(());
        }
        self.drain().await?;
        let mut sent = Vec::new();
        let mut octets = Vec::new();
        let count = self.rng.usize(2..5);
        for turn in 0..count {
            let last = turn + 1 == count;
            let line = if last { "NOOP".to_owned() } else { self.harmless_fetch() };
            let phase = match (last, line.starts_with("UID")) {
                (true, _) => Phase::Free,
                (false, true) => Phase::FreeData,
                (false, false) => Phase::FixedData,
            };
            // After a command that may announce expunges numbers mean nothing until it is answered (RFC 9051 §5.5).
            if line.starts_with("FETCH") && sent.iter().any(|(_, phase, _)| *phase == Phase::FreeData) {
                continue;
            }
            let tag = self.next_tag();
            let begun = self.begin(&line);
            octets.extend(format!("{tag} {line}\r\n").bytes());
            sent.push((tag, phase, begun));
        }
        self.wire.send(&octets).await?;
        let mut last = (0, 0);
        for (tag, phase, begun) in sent {
            self.answer(&tag, phase, begun).await?;
            last = begun;
        }
        self.settle(last.0, last.1).await
    }

    fn harmless_fetch(&mut self) -> String {
        match self.plan_fetch() {
            Some((line, ..)) if !line.contains("BODY[]") => {
                self.condstore |= line.contains("MODSEQ");
                line
            }
            _ => "UID FETCH 1:* (FLAGS)".to_owned(),
        }
    }
}
