//! Files that say how to run a service of any language: Procfile, Dockerfile, Makefile.

use std::sync::LazyLock;

use regex::Regex;

use super::commands::with_port;
use super::{Confidence, PortContract, ProjectGuess, StartCommand, Tree, localised};

static PROCESS: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?m)^([A-Za-z][\w-]*):[ \t]*(\S.*)$").expect("a constant pattern"));
static TARGET: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?m)^(run|start|serve|server|test|tests|check)\s*:(?:[^=]|$)").expect("a constant pattern")
});

pub(super) fn detect(tree: &Tree<'_>, guess: &mut ProjectGuess) {
    procfile(tree, guess);
    dockerfile(tree, guess);
    makefile(tree, guess);
}

fn add_start(tree: &Tree<'_>, guess: &mut ProjectGuess, command: &str, http: bool, confidence: Confidence, why: &str) {
    let local = localised(tree, command);
    // A program that is not of this project exists in the container only.
    let confidence = if local.is_some() { confidence } else { Confidence::Low };
    let line = local.unwrap_or_else(|| super::CommandLine {
        command: command.to_owned(),
        ..Default::default()
    });
    let (command, port) = with_port(&line.command);
    // The language may have found out how the same command learns its port.
    let known = guess
        .start
        .all()
        .iter()
        .find(|known| known.value.command == command)
        .map(|known| known.value.port.clone());
    let port = match known {
        _ if !http => PortContract::None,
        Some(known) if port == PortContract::Unknown => known,
        _ => port,
    };
    guess.start.add(
        StartCommand {
            command,
            env: line.env,
            port,
        },
        confidence,
        why,
    );
}

fn procfile(tree: &Tree<'_>, guess: &mut ProjectGuess) {
    let Some(text) = tree.read("Procfile") else { return };
    let has_web = PROCESS.captures_iter(&text).any(|found| &found[1] == "web");
    for found in PROCESS.captures_iter(&text).take(16) {
        let name = &found[1];
        let confidence = match name {
            "web" => Confidence::High,
            // Runs once before a release.
            "release" => continue,
            _ if has_web => Confidence::Low,
            _ => Confidence::Medium,
        };
        add_start(
            tree,
            guess,
            &found[2],
            name == "web",
            confidence,
            &format!("found in Procfile, process {name}"),
        );
    }
}

/// `CMD`, appended to `ENTRYPOINT` where both are in exec form; of several stages the last.
fn dockerfile(tree: &Tree<'_>, guess: &mut ProjectGuess) {
    let Some(text) = tree.read("Dockerfile") else { return };
    let text = text.replace("\\\n", " ");
    let (mut entry, mut command) = (None, None);
    for line in text.lines() {
        let (word, rest) = line.trim().split_once(char::is_whitespace).unwrap_or((line.trim(), ""));
        match word.to_ascii_uppercase().as_str() {
            "FROM" => (entry, command) = (None, None),
            "ENTRYPOINT" => entry = Some(docker_command(rest)),
            "CMD" => command = Some(docker_command(rest)),
            _ => {}
        }
    }
    let whole = [entry, command]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" ")
        .trim()
        .to_owned();
    if !whole.is_empty() && !whole.contains(".sh") {
        add_start(tree, guess, &whole, true, Confidence::Medium, "found in Dockerfile CMD");
    }
}

fn docker_command(rest: &str) -> String {
    let words: Option<Vec<String>> = serde_json::from_str(rest.trim()).ok();
    match words {
        Some(words) => match words.as_slice() {
            [shell, flag, script] if shell.ends_with("sh") && flag == "-c" => script.clone(),
            _ => words
                .iter()
                .map(|word| super::commands::quoted(word))
                .collect::<Vec<_>>()
                .join(" "),
        },
        // Broken exec form: Docker would hand the brackets to a shell.
        None if rest.trim_start().starts_with('[') => String::new(),
        None => rest.trim().to_owned(),
    }
}

fn makefile(tree: &Tree<'_>, guess: &mut ProjectGuess) {
    let Some((path, text)) = ["Makefile", "makefile", "GNUmakefile"]
        .iter()
        .find_map(|path| Some((*path, tree.read(path)?)))
    else {
        return;
    };
    for found in TARGET.captures_iter(&text).take(8) {
        let target = &found[1];
        let why = format!("found in {path}, target {target}");
        if matches!(target, "test" | "tests" | "check") {
            let line = super::CommandLine {
                command: format!("make {target}"),
                ..Default::default()
            };
            guess.test.add(line, Confidence::Low, why);
        } else {
            let start = StartCommand {
                command: format!("make {target}"),
                env: Default::default(),
                port: PortContract::Unknown,
            };
            guess.start.add(start, Confidence::Low, why);
        }
    }
}
