//! The closing table: what was compared, the ratio, the limit, the verdict.

use std::fmt;
use std::time::Duration;

use crate::measure::Result;

/// What a figure must keep.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Limit {
    /// ours / other at most this: a floor.
    AtMost(f64),
    /// other / ours at least this: a peer.
    Faster(f64),
    /// ours minus other at most this.
    Above(Duration),
    /// The peak of ours in KiB, below this.
    Memory(u64),
}

/// One comparison.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) what: &'static str,
    pub(crate) other: std::result::Result<Result, String>,
    pub(crate) ours: Result,
    pub(crate) limit: Limit,
}

impl Row {
    /// The figure, when both sides have one.
    fn figure(&self) -> Option<f64> {
        let ours = self.ours.time?.as_secs_f64();
        if matches!(self.limit, Limit::Memory(_)) {
            return Some(kib(self.ours.peak_kib));
        }
        let other = self.other.as_ref().ok()?.time?.as_secs_f64();
        Some(match self.limit {
            Limit::AtMost(_) | Limit::Memory(_) => ours / other,
            Limit::Faster(_) => other / ours,
            Limit::Above(_) => (ours - other) * 1000.0,
        })
    }

    /// Whether the limit is kept; a peer that is not there misses nothing.
    pub(crate) fn kept(&self) -> bool {
        if self.other.is_err() {
            return true;
        }
        self.figure().is_some_and(|figure| match self.limit {
            Limit::AtMost(limit) => figure <= limit,
            Limit::Faster(limit) => figure >= limit,
            Limit::Above(limit) => figure <= limit.as_secs_f64() * 1000.0,
            Limit::Memory(limit) => figure < kib(limit),
        })
    }

    fn verdict(&self) -> String {
        match &self.other {
            Err(why) => format!("skipped: {why}"),
            Ok(_) if self.figure().is_none() => "MISSED: a run failed".to_string(),
            Ok(_) if self.kept() => "kept".to_string(),
            Ok(_) => "MISSED".to_string(),
        }
    }
}

/// MiB, exactly: a peak of this machine has fewer bits than an f64.
fn kib(value: u64) -> f64 {
    f64::from(u32::try_from(value).unwrap_or(u32::MAX)) / 1024.0
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(ratio) => write!(f, "<= {ratio}x"),
            Self::Faster(ratio) => write!(f, ">= {ratio}x"),
            Self::Above(time) => write!(f, "<= {:.1} ms", time.as_secs_f64() * 1000.0),
            Self::Memory(limit) => write!(f, "< {:.0} MiB", kib(*limit)),
        }
    }
}

fn time(result: Option<Duration>) -> String {
    result.map_or_else(
        || "-".into(),
        |time| format!("{:.2} ms", time.as_secs_f64() * 1000.0),
    )
}

/// Prints every row.
pub(crate) fn print(rows: &[Row]) {
    println!(
        "{:<14} {:<22} {:>13} {:>12} {:>10} {:>10}  verdict",
        "suite", "against", "theirs", "ours", "figure", "limit"
    );
    for row in rows {
        let (name, theirs) = match &row.other {
            Ok(result) => (result.name, time(result.time)),
            Err(_) => ("-", "-".into()),
        };
        let unit = match row.limit {
            Limit::AtMost(_) | Limit::Faster(_) => "x",
            Limit::Above(_) => " ms",
            Limit::Memory(_) => " MiB",
        };
        let figure = row
            .figure()
            .map_or_else(|| "-".into(), |figure| format!("{figure:.2}{unit}"));
        println!(
            "{:<14} {:<22} {:>13} {:>12} {:>10} {:>10}  {}",
            row.what,
            name,
            theirs,
            time(row.ours.time),
            figure,
            row.limit.to_string(),
            row.verdict()
        );
    }
}
