//! The failing command of a case, and what a user's work tree has beside the commits: installed modules, a build.

use std::path::Path;

use super::Case;
use super::build::Built;
use crate::exec;
use crate::report::BenchError;

/// How long the build before the heal may take, in seconds.
const BUILD: &str = "300";

/// The command of a case.
pub(super) fn command(root: &Path, case: &Case) -> Vec<String> {
    let python = root.join("venv/bin/python").to_string_lossy().into_owned();
    let file = case.test.split("::").next().unwrap_or(&case.test);
    match &case.command {
        None => [&python, "-m", "pytest", "-q", file].map(str::to_owned).to_vec(),
        Some(words) => words
            .iter()
            .map(|word| {
                word.replace("{python}", &python)
                    .replace("{file}", file)
                    .replace("{test}", &case.test)
            })
            .collect(),
    }
}

/// Installs what the case's command needs into its work tree, without anything that git would see.
pub(super) fn prepare(root: &Path, case: &Case, built: &Built) -> Result<(), BenchError> {
    let run = |program: &str, args: &[&str]| exec::in_directory(Path::new(program), args, &built.dir, &built.env, b"");
    let modules = root.join("modules").join(&case.repo).join("node_modules");
    if modules.is_dir() {
        ignore(built, "/node_modules/\n")?;
        run("cp", &["-a", &modules.to_string_lossy(), "."])?;
    }
    if case
        .command
        .as_ref()
        .is_some_and(|words| words.first().is_some_and(|word| word == "cargo"))
    {
        ignore(built, "/target/\n/Cargo.lock\n")?;
        let words = command(root, case);
        let mut args = vec![BUILD];
        args.extend(words.iter().map(String::as_str));
        run("timeout", &args)?;
    }
    Ok(())
}

/// Adds to what git ignores in this clone alone.
fn ignore(built: &Built, rule: &str) -> Result<(), BenchError> {
    let path = built.dir.join(".git/info/exclude");
    let had = std::fs::read_to_string(&path).unwrap_or_default();
    std::fs::create_dir_all(path.parent().unwrap_or(&built.dir)).map_err(BenchError::io("git's info folder"))?;
    std::fs::write(&path, had + rule).map_err(BenchError::io("git's exclude file"))
}
