//! Whether the program that a command starts is there, and whether it runs in the sandbox.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use prunella_core::diagnose::plain;
use prunella_sandbox::{Backend as _, CancelToken, Exit, JailSpec, Tier, find_toolchain, native};

use super::{Check, fail, ok, warn};
use crate::config::{Command, Config};
use crate::supervise::base_env;

/// Words of `sh` that are no programs.
const BUILTINS: &[&str] = &[
    ".", ":", "cd", "command", "eval", "exec", "exit", "export", "for", "if", "set", "source", "trap", "ulimit",
    "umask", "unset", "until", "while", "{", "(", "!",
];
/// Programs that answer `--version` with their version and do nothing else.
const INTERPRETERS: &[&str] = &[
    "python", "python3", "node", "npm", "npx", "yarn", "pnpm", "bun", "deno", "cargo", "uv", "poetry", "ruby", "php",
    "java", "go",
];

/// Where a command's program is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Here.
    At(PathBuf),
    /// Made by the build, so it is not there yet.
    Built(String),
    /// Nowhere.
    Missing(String),
    /// The command is a script of `sh` whose program cannot be told.
    Script,
}

/// The program that a command starts: past assignments, `exec` and `env`.
fn program_of(command: &Command) -> Option<String> {
    let text = match command {
        Command::Argv(argv) => return argv.first().cloned(),
        Command::Shell(text) => text,
    };
    let is_assignment = |word: &str| word.contains('=') && !word.starts_with(['/', '.']);
    let mut words = text.split_ascii_whitespace();
    let first = words.find(|word| *word != "exec" && *word != "env" && !is_assignment(word))?;
    let is_script = BUILTINS.contains(&first) || first.contains(['$', '`', '(', '"', '\'', ';', '|', '&', '<', '>']);
    (!is_script).then(|| first.to_owned())
}

fn runs(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

fn search_path() -> String {
    let path = base_env().into_iter().find(|(name, _)| name == "PATH");
    path.map_or_else(|| "/usr/local/bin:/usr/bin:/bin".to_owned(), |(_, value)| value)
}

/// Finds the program of a command that runs in the repository's root.
pub(super) fn place(command: &Command, root: &Path, config: &Config) -> Place {
    let Some(program) = program_of(command) else {
        return Place::Script;
    };
    if !program.contains('/') {
        let dirs = search_path();
        let found = env::split_paths(&dirs).map(|dir| dir.join(&program)).find(|p| runs(p));
        return found.map_or(Place::Missing(program), Place::At);
    }
    let relative = program.trim_start_matches("./");
    let built = config.build.outputs.iter().chain(&config.build.reuse);
    if built
        .map(|b| b.trim_start_matches("./"))
        .any(|b| Path::new(relative).starts_with(b))
    {
        return Place::Built(program);
    }
    let path = root.join(&program);
    if runs(&path) {
        Place::At(path)
    } else {
        Place::Missing(program)
    }
}

/// Checks the program of one command. Without it, `blocks` says whether `run` cannot work.
pub(super) fn check(name: &str, command: &Command, root: &Path, config: &Config, blocks: bool) -> Check {
    match place(command, root, config) {
        Place::At(path) => ok(name, format!("{} ({})", plain(&command.text(), 80), path.display())),
        Place::Built(_) => ok(name, format!("{} (made by the build)", plain(&command.text(), 80))),
        Place::Script => ok(
            name,
            format!(
                "{} (a shell script; its programs were not looked for)",
                plain(&command.text(), 80)
            ),
        ),
        Place::Missing(program) => {
            let program = plain(&program, 80);
            let detail = format!("`{program}` was not found: {}", plain(&command.text(), 80));
            let fix = if program.contains('/') {
                format!("commit {program} with its executable bit, or let [build] make it and name it in build.outputs")
            } else {
                format!(
                    "install {program}, or write its full path in prunella.toml; PATH is {}",
                    search_path()
                )
            };
            if blocks {
                fail(name, detail, fix)
            } else {
                warn(name, detail, fix)
            }
        }
    }
}

/// The interpreter's version, asked inside the sandbox: where an interpreter lives in an odd place, that is where it
/// fails.
pub(super) fn interpreter(command: &Command, root: &Path, config: &Config) -> Option<Check> {
    let Place::At(path) = place(command, root, config) else {
        return None;
    };
    let program = path.file_name()?.to_str()?;
    let is_known = INTERPRETERS.contains(&program) || program.starts_with("python3.");
    if !is_known || native().probe().tier == Tier::D {
        return None;
    }
    let name = format!("{program} in the sandbox");
    let fix = "name the directory that it lives in under sandbox.toolchains in prunella.toml";
    Some(match version_inside(&path, config) {
        Ok(version) => ok(&name, version),
        Err(why) => warn(&name, plain(&why, 160), fix),
    })
}

fn version_inside(program: &Path, config: &Config) -> Result<String, String> {
    let mut spec = JailSpec::new([program.to_string_lossy().into_owned(), "--version".to_owned()]);
    let path = search_path();
    let mut toolchains = find_toolchain(program.as_os_str(), OsStr::new(&path));
    toolchains.extend(config.sandbox.toolchains.iter().cloned());
    spec.toolchains = toolchains;
    spec.env.insert("PATH".to_owned(), path);
    spec.limits.wall = Duration::from_secs(20);
    let report = native().run(&spec, &CancelToken::new()).map_err(|e| e.to_string())?;
    if report.exit == Exit::Exited(0) {
        let said = format!("{}{}", report.stdout.text(), report.stderr.text());
        Ok(plain(said.lines().next().unwrap_or_default(), 80))
    } else {
        Err(format!(
            "`--version` ended with {:?}: {}",
            report.exit,
            report.stderr.text()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        let mut config = Config::minimal("shop", Command::Shell("x".into()));
        config.build.outputs = vec![".venv".into()];
        config
    }

    fn check(line: &str, expected: &Place) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("start.sh"), "#!/bin/sh\n").unwrap();
        assert_eq!(
            place(&Command::Shell(line.into()), dir.path(), &config()),
            *expected,
            "{line}"
        );
    }

    #[test]
    fn the_program_of_a_command_is_found_past_what_comes_before() {
        let sh = ["/usr/local/bin/sh", "/usr/bin/sh", "/bin/sh"];
        let place = place(
            &Command::Shell("A=1 exec env B=2 sh x".into()),
            Path::new("/"),
            &config(),
        );
        assert!(
            matches!(&place, Place::At(p) if sh.iter().any(|s| Path::new(s) == p)),
            "{place:?}"
        );
        check(
            "no-such-program-here --x",
            &Place::Missing("no-such-program-here".into()),
        );
        check(".venv/bin/gunicorn app", &Place::Built(".venv/bin/gunicorn".into()));
        check("./.venv/bin/python -m x", &Place::Built("./.venv/bin/python".into()));
        // There, but not executable.
        check("./start.sh", &Place::Missing("./start.sh".into()));
        check("cd app && ./start", &Place::Script);
        check("$START", &Place::Script);
    }
}
