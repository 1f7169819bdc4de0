//! Folds of the ledger as text for terminals. Whatever came from outside goes through
//! [`plain`](prunella_core::diagnose::plain) here, never later.

mod incident;
mod list;
mod next;
mod replayed;
mod status;
mod table;
mod time;

pub use incident::{Explanation, Reviewed, Seconds, explain};
pub use list::{Summary, incidents};
pub use next::{what_next, working_on};
pub use replayed::replayed;
pub use status::{GatewayStatus, Status, status};
pub use table::Table;
pub use time::{clock_time, seconds, utc};

use anstyle::{AnsiColor, Style};

fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// A heading.
#[must_use]
pub fn bold(text: &str) -> String {
    paint(Style::new().bold(), text)
}

/// Good news.
#[must_use]
pub fn green(text: &str) -> String {
    paint(AnsiColor::Green.on_default(), text)
}

/// Something to look at.
#[must_use]
pub fn yellow(text: &str) -> String {
    paint(AnsiColor::Yellow.on_default(), text)
}

/// Bad news.
#[must_use]
pub fn red(text: &str) -> String {
    paint(AnsiColor::Red.on_default(), text)
}

/// Beside the point.
#[must_use]
pub fn dim(text: &str) -> String {
    paint(Style::new().dimmed(), text)
}
