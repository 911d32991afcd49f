//! The tables that are printed: ratios first, with the target beside them.

use std::fmt;

use crate::race::{Ratio, Series};

/// What a ratio must reach.
#[derive(Clone, Copy)]
pub(crate) enum Target {
    AtLeast(f64),
    AtMost(f64),
    /// Shown for comparison only.
    Open,
}

impl Target {
    fn verdict(self, ratio: f64) -> &'static str {
        let reached = match self {
            Self::AtLeast(bound) => ratio >= bound,
            Self::AtMost(bound) => ratio <= bound,
            Self::Open => return "",
        };
        if reached { "reached" } else { "**missed**" }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(bound) => write!(f, "≥ {bound:.2}"),
            Self::AtMost(bound) => write!(f, "≤ {bound:.2}"),
            Self::Open => f.write_str("–"),
        }
    }
}

/// A table in Markdown, so that it can go into `benches/README.md` as it is.
pub(crate) struct Table {
    rows: Vec<String>,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self { rows: Vec::new() }
    }

    /// A row of one ratio, ours to the peer's.
    pub(crate) fn row(
        &mut self,
        what: &str,
        ratio: &Ratio,
        target: Target,
        ours: &str,
        peer: &str,
    ) {
        let spread = ratio.quartiles.map_or(String::new(), |(low, high)| {
            format!(" ({low:.2}–{high:.2})")
        });
        let verdict = target.verdict(ratio.median);
        self.rows.push(format!(
            "| {what} | {:.2}{spread} | {target} | {verdict} | {ours} | {peer} |",
            ratio.median
        ));
    }

    /// Requests per second of two series.
    pub(crate) fn rate(&mut self, what: &str, ours: &Series, peer: &Series, target: Target) {
        self.row(
            &format!("{what}: requests/s to {}", peer.name),
            &ours.rate_ratio(peer),
            target,
            &format!("{:.0}/s", ours.rate()),
            &format!("{:.0}/s", peer.rate()),
        );
    }

    /// Server CPU per request of two series, compared in each round: for CPU times that are exact.
    pub(crate) fn cpu_by_round(
        &mut self,
        what: &str,
        ours: &Series,
        peer: &Series,
        target: Target,
    ) {
        self.row(
            &format!("{what}: CPU per request to {}", peer.name),
            &ours.cpu_ratio(peer),
            target,
            &format!("{:.2} µs", ours.cpu_of_rounds()),
            &format!("{:.2} µs", peer.cpu_of_rounds()),
        );
    }

    /// Server CPU per request of two series, over all rounds at once.
    pub(crate) fn cpu(&mut self, what: &str, ours: &Series, peer: &Series, target: Target) {
        self.row(
            &format!("{what}: CPU per request to {}", peer.name),
            &Ratio::whole(ours.cpu() / peer.cpu()),
            target,
            &format!("{:.2} µs", ours.cpu()),
            &format!("{:.2} µs", peer.cpu()),
        );
    }

    /// Prints the table under a heading.
    pub(crate) fn print(&self, heading: &str) {
        println!("\n### {heading}\n");
        println!("| what | ratio (quartiles) | target | | ours | peer |");
        println!("|---|---|---|---|---|---|");
        for row in &self.rows {
            println!("{row}");
        }
    }
}
