//! The terminal: a transcript for people, and a line that moves where somebody watches.

use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use tokio::time::Instant;

use crate::clock;

/// How often the moving line moves.
const EVERY: Duration = Duration::from_millis(250);

/// Where the transcript goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transcript {
    /// It is what was asked for: stdout.
    Data,
    /// An object was asked for, the transcript is talk: stderr.
    Talk,
}

/// The screen of one demo.
pub(super) struct Screen {
    transcript: Transcript,
    is_live: bool,
    is_drawn: bool,
    began_ms: i64,
    drawn_at: Option<Instant>,
}

const WORD: usize = 9;

impl Screen {
    pub(super) fn new(transcript: Transcript) -> Self {
        Self {
            transcript,
            is_live: io::stderr().is_terminal(),
            is_drawn: false,
            began_ms: clock::now_ms(),
            drawn_at: None,
        }
    }

    /// A line of the transcript: how long the demo runs, a word, a sentence.
    pub(super) fn say(&mut self, word: &str, text: &str) {
        self.say_at(clock::now_ms(), word, text);
    }

    /// A line about what happened at this time, milliseconds since the epoch.
    pub(super) fn say_at(&mut self, at_ms: i64, word: &str, text: &str) {
        let at = self.seconds(at_ms);
        let style = style(word);
        self.write(&format!("{at:>7.2} s  {style}{word:<WORD$}{style:#}  {text}\n"));
    }

    /// A block below a line, as it is.
    pub(super) fn block(&mut self, text: &str) {
        self.write(text);
    }

    /// The moving line, at most four times a second; without a terminal there is none.
    pub(super) fn progress(&mut self, text: impl FnOnce() -> String) {
        let is_due = self.drawn_at.is_none_or(|at| at.elapsed() >= EVERY);
        if !self.is_live || !is_due {
            return;
        }
        self.drawn_at = Some(Instant::now());
        self.is_drawn = true;
        let dim = Style::new().dimmed();
        let at = self.seconds(clock::now_ms());
        let _ = write!(anstream::stderr(), "\r\x1b[2K{dim}{at:>7.2} s  {}{dim:#}", text());
        let _ = io::stderr().flush();
    }

    /// Takes the moving line away.
    pub(super) fn clear(&mut self) {
        if self.is_drawn {
            self.is_drawn = false;
            let _ = write!(anstream::stderr(), "\r\x1b[2K");
        }
    }

    fn seconds(&self, at_ms: i64) -> f64 {
        at_ms.saturating_sub(self.began_ms).max(0) as f64 / 1000.0
    }

    fn write(&mut self, text: &str) {
        self.clear();
        // Nobody who listens any more is no reason to stop before everything is cleaned up.
        let _ = match self.transcript {
            Transcript::Data => put(&mut anstream::stdout(), text),
            Transcript::Talk => put(&mut anstream::stderr(), text),
        };
    }
}

fn put(out: &mut impl Write, text: &str) -> io::Result<()> {
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn style(word: &str) -> Style {
    let color = match word {
        "onset" | "refuted" | "setback" | "failed" => AnsiColor::Red,
        "detected" | "closed" | "unproven" => AnsiColor::Yellow,
        "mitigated" | "diagnosed" | "verified" | "healed" => AnsiColor::Green,
        _ => return Style::new(),
    };
    Style::new().bold().fg_color(Some(color.into()))
}
