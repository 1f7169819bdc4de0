//! What a person or a script gets to see: data on stdout, talk on stderr, errors with a fault and a remedy.

mod problem;

use std::fmt;
use std::io::{self, IsTerminal as _, Write as _};

use miette::Diagnostic;
use serde::Serialize;

pub use problem::{Exit, Fault, Problem, Retry};

use crate::cli::{Color, Global};

/// Shows a [`Problem`] that travelled as a [`miette::Report`]; other diagnostics are shown with what they have.
struct Handler;

impl miette::ReportHandler for Handler {
    fn debug(&self, error: &dyn Diagnostic, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {error}")?;
        let mut cause = error.source();
        while let Some(inner) = cause {
            write!(f, "\n  because: {inner}")?;
            cause = inner.source();
        }
        if let Some(code) = error.code() {
            write!(f, "\n  at fault: {code}")?;
        }
        if let Some(help) = error.help() {
            let help = help.to_string();
            if !help.is_empty() {
                write!(f, "\n  next: {help}")?;
            }
        }
        Ok(())
    }
}

/// The exit code of a report.
#[must_use]
pub fn exit_of(report: &miette::Report) -> Exit {
    report.downcast_ref::<Problem>().map_or(Exit::Internal, Problem::exit)
}

/// Shows an error on stderr. The report must have been made after [`install_errors`].
pub fn show_error(report: &miette::Report) {
    let retry = match report.downcast_ref::<Problem>().map(Problem::retry) {
        Some(Retry::AfterThat) => "\n  retry: does not help before that",
        Some(Retry::MayHelp) => "\n  retry: may help",
        None => "",
    };
    let _ = writeln!(anstream::stderr(), "{report:?}{retry}");
}

/// JSON leaves the C1 control and the direction characters as they are, and a terminal obeys them. They can stand in
/// strings only, so the escaped text means the same.
fn escape_invisible(json: &str) -> String {
    let hidden = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    json.chars().fold(String::with_capacity(json.len()), |mut out, c| {
        if hidden(c) {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
        out
    })
}

/// Makes every later report one that is shown in Prunella's form.
pub fn install_errors() {
    // A second installation in one process changes nothing.
    let _ = miette::set_hook(Box::new(|_| Box::new(Handler)));
}

/// Where output goes.
#[derive(Clone, Debug)]
pub struct Ui {
    json: bool,
    quiet: bool,
    chatty: bool,
}

/// Prints to stdout, with a line break at the end. A reader that went away is no error.
fn print(mut out: String) -> Result<(), Problem> {
    if !out.ends_with('\n') {
        out.push('\n');
    }
    let mut stdout = anstream::stdout();
    match stdout.write_all(out.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

impl Ui {
    /// Sets colour, errors and logging up for this process.
    #[must_use]
    pub fn install(global: &Global) -> Self {
        match global.color {
            Color::Auto => anstream::ColorChoice::Auto,
            Color::Always => anstream::ColorChoice::Always,
            Color::Never => anstream::ColorChoice::Never,
        }
        .write_global();
        install_errors();
        Self {
            json: global.json,
            quiet: global.quiet,
            chatty: global.verbose > 0 || (!global.quiet && io::stderr().is_terminal()),
        }
    }

    /// Whether data is wanted as JSON.
    #[must_use]
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Data, on stdout: the document as JSON if that is wanted, otherwise the text for people.
    ///
    /// # Errors
    /// If stdout cannot be written; a reader that has gone away is no error.
    pub fn data<T: Serialize>(&self, document: &T, text: impl FnOnce() -> String) -> Result<(), Problem> {
        if self.json {
            return self.document(document);
        }
        print(text())
    }

    /// Prints data as one JSON document, whatever was asked for.
    ///
    /// # Errors
    /// If it has no JSON form, or stdout cannot be written to.
    #[allow(clippy::unused_self, reason = "data goes through the one door")]
    pub fn document<T: Serialize>(&self, document: &T) -> Result<(), Problem> {
        let json = serde_json::to_string_pretty(document).map_err(|e| {
            Problem::new(
                Fault::Defect,
                format!("the data has no JSON form: {e}"),
                "Run it without --json.",
            )
        })?;
        print(escape_invisible(&json))
    }

    /// Something that a person should know, on stderr.
    pub fn warn(&self, text: &str) {
        if !self.quiet {
            let _ = writeln!(anstream::stderr(), "{}: {text}", crate::render::yellow("warning"));
        }
    }

    /// What could be done next, on stderr: only where somebody is there to read it.
    pub fn hint(&self, text: &str) {
        if self.chatty {
            let _ = writeln!(anstream::stderr(), "{text}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ConfigError;
    use crate::home::HomeError;
    use crate::store::StoreError;

    fn check(problem: Problem, exit: Exit, shown: &[&str]) {
        install_errors();
        assert_eq!(problem.exit(), exit);
        let report = miette::Report::from(problem);
        assert_eq!(exit_of(&report), exit);
        let text = format!("{report:?}");
        for part in shown {
            assert!(text.contains(part), "{part} is missing in:\n{text}");
        }
    }

    #[test]
    fn errors_name_the_fault_and_the_remedy() {
        check(
            ConfigError::Missing("prunella.toml".into()).into(),
            Exit::Usage,
            &[
                "there is no prunella.toml",
                "at fault: prunella.toml",
                "next: `prunella init`",
            ],
        );
        let corrupt = StoreError::Corrupt {
            path: "ledger.db".into(),
            what: "malformed".into(),
        };
        check(
            corrupt.into(),
            Exit::Machine,
            &["is damaged", "at fault: this machine", "next: Nothing was changed."],
        );
        check(
            HomeError::Taken { pid: "7".into() }.into(),
            Exit::No,
            &["process 7", "next: `prunella status`"],
        );
    }

    #[test]
    fn invisible_characters_are_escaped_and_mean_the_same() {
        let json = serde_json::to_string_pretty(&["a\u{9b}31m\u{202e}b\n"]).unwrap();
        let shown = escape_invisible(&json);
        assert!(!shown.contains(['\u{9b}', '\u{202e}']), "{shown}");
        let back: Vec<String> = serde_json::from_str(&shown).unwrap();
        assert_eq!(back, ["a\u{9b}31m\u{202e}b\n"]);
    }

    #[test]
    fn an_error_of_unknown_kind_is_a_defect() {
        install_errors();
        assert_eq!(exit_of(&miette::miette!("odd")), Exit::Internal);
    }
}
