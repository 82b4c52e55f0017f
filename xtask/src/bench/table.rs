//! The table that is printed: rows by servers, in Markdown.

use std::fmt::Write as _;
use std::time::Duration;

use super::rows::Row;
use super::server::Server;
use super::stats::median;
use super::system;

/// Longest explanation shown in a cell, in characters.
const EXPLANATION_MAX: usize = 80;

/// What one server did in one row.
#[derive(Default)]
pub(super) struct Cell {
    turns: Vec<Turn>,
    /// Why there is no figure.
    refusal: Option<String>,
}

struct Turn {
    values: Vec<f64>,
    processor: Duration,
    elapsed: Duration,
}

pub(super) struct Table {
    head: Vec<String>,
    names: Vec<String>,
    rows: Vec<(&'static Row, Vec<Cell>)>,
}

impl Cell {
    pub(super) fn add(&mut self, values: Vec<f64>, processor: Duration, elapsed: Duration) {
        self.turns.push(Turn { values, processor, elapsed });
    }

    pub(super) fn skip(&mut self, reason: String) {
        self.refusal = Some(format!("– ({reason})"));
    }

    pub(super) fn wrong(&mut self, reason: String) {
        self.refusal = Some(format!("wrong: {reason}"));
    }

    /// Whether another turn makes sense.
    pub(super) fn can_go_on(&self) -> bool {
        self.refusal.is_none()
    }

    /// All figures in short.
    pub(super) fn summary(&self, row: &Row) -> String {
        let figures: Vec<_> = row.figures.iter().enumerate().map(|(n, _)| self.shown(n)).collect();
        format!("{} [{}]", figures.join(" / "), row.figures[0].unit)
    }

    /// The median of the turns, or why there is none.
    fn shown(&self, figure: usize) -> String {
        if let Some(refusal) = &self.refusal {
            let short: String = refusal.chars().take(EXPLANATION_MAX).collect();
            return short.replace('|', "\\|").replace(['\r', '\n'], " ");
        }
        let values: Vec<f64> =
            self.turns.iter().filter_map(|turn| turn.values.get(figure).copied()).collect();
        number(median(&values))
    }

    /// Processor seconds for each second of a turn, and a turn's seconds.
    fn processor(&self) -> String {
        if self.turns.is_empty() {
            return "–".into();
        }
        let of = |time: fn(&Turn) -> Duration| {
            median(&self.turns.iter().map(|turn| time(turn).as_secs_f64()).collect::<Vec<_>>())
        };
        format!("{:.2} of {:.2}", of(|turn| turn.processor), of(|turn| turn.elapsed))
    }
}

impl Table {
    pub(super) fn new(servers: &[Server], machine: Vec<String>) -> Self {
        let words: Vec<_> = std::env::args().skip(1).collect();
        let mut head = vec![
            format!("`cargo xtask {}`", words.join(" ")),
            system::first_line("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
        ];
        head.extend(machine);
        head.extend(servers.iter().map(|server| format!("{}: {}", server.name, server.version)));
        Self { head, names: servers.iter().map(|server| server.name.clone()).collect(), rows: Vec::new() }
    }

    pub(super) fn add(&mut self, row: &'static Row, cells: Vec<Cell>) {
        self.rows.push((row, cells));
    }

    pub(super) fn markdown(&self) -> String {
        let mut text = String::new();
        for line in &self.head {
            let _ = writeln!(text, "* {line}");
        }
        text.push('\n');
        self.line(&mut text, "row | unit", self.names.iter().cloned());
        self.line(&mut text, "--- | ---", self.names.iter().map(|_| "---:".into()));
        for (row, cells) in &self.rows {
            for (number, figure) in row.figures.iter().enumerate() {
                let start = format!("{} | {}", figure.label, figure.unit);
                self.line(&mut text, &start, cells.iter().map(|cell| cell.shown(number)));
            }
        }
        text.push_str("\nProcessor seconds of the server in a turn, of the turn's seconds (with what the row does before and after its clock runs):\n\n");
        self.line(&mut text, "row", self.names.iter().cloned());
        self.line(&mut text, "---", self.names.iter().map(|_| "---:".into()));
        for (row, cells) in &self.rows {
            self.line(&mut text, row.name, cells.iter().map(Cell::processor));
        }
        text
    }

    fn line(&self, text: &mut String, start: &str, cells: impl Iterator<Item = String>) {
        let _ = write!(text, "| {start} |");
        for cell in cells {
            let _ = write!(text, " {cell} |");
        }
        text.push('\n');
    }
}

/// Three digits that count.
fn number(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        _ => 2,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::super::rows::ROWS;
    use super::*;

    #[test]
    fn three_digits_count() {
        let shown = [1234.5, 99.96, 12.34, 9.994, 0.123].map(number);
        assert_eq!(shown, ["1234", "100", "12.3", "9.99", "0.12"]);
    }

    #[test]
    fn a_cell_shows_the_median_or_what_went_wrong() {
        let second = Duration::from_secs(1);
        let mut cell = Cell::default();
        for value in [3.0, 100.0, 2.0] {
            cell.add(vec![value], second, 2 * second);
        }
        assert_eq!((cell.shown(0).as_str(), cell.processor().as_str()), ("3.00", "1.00 of 2.00"));
        cell.wrong("3 FETCH\ninstead | of 4".into());
        assert_eq!(cell.shown(0), "wrong: 3 FETCH instead \\| of 4");
        assert!(!cell.can_go_on());
    }

    #[test]
    fn every_figure_is_a_line_of_the_table() {
        let names = vec!["a".into(), "b".into()];
        let mut table = Table { head: vec!["x".into()], names, rows: Vec::new() };
        let mut figures = 0;
        for row in ROWS {
            figures += row.figures.len();
            table.add(row, vec![Cell::default(), Cell::default()]);
        }
        let text = table.markdown();
        let lines = text.lines().filter(|line| line.matches('|').count() == 5);
        assert_eq!(lines.count(), figures + 2);
    }
}
