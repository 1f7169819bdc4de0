//! Node.js projects: npm, Yarn, pnpm; scripts of `package.json`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use crate::paths::is_test_path;
use crate::project::commands::{is_simple, quoted, takes_port_variable, with_port};
use crate::project::hints::{MAX_SOURCES, is_source, port_env_in};
use crate::project::{
    BuildGuess, CommandLine, Confidence, PortContract, ProjectDetector, ProjectGuess, StartCommand, Tree,
};

pub(super) struct Detector;

static LISTENS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\.listen\(|createServer\(|\bserve\(|Bun\.serve|new Koa\(|express\(\)|[fF]astify\(")
        .expect("a constant pattern")
});
static FIXED_PORT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?:\.listen\(\s*(?:\{\s*port:\s*)?|(?i:\bport)\s*[=:]\s*)(\d{2,5})\b").expect("a constant pattern")
});
/// A `--port` option, as argument parsers and usage texts write it.
static PORT_OPTION: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"--port\b").expect("a constant pattern"));
/// Where a service usually starts.
const MAINS: &[&str] = &[
    "server.js",
    "app.js",
    "index.js",
    "main.js",
    "server.mjs",
    "index.mjs",
    "src/server.js",
    "src/index.js",
    "src/app.js",
    "src/main.js",
    "bin/www",
];

impl ProjectDetector for Detector {
    fn detect(&self, tree: &Tree<'_>, guess: &mut ProjectGuess) {
        let Some(package) = tree.json("package.json").filter(Value::is_object) else {
            scripts_without_manifest(tree, guess);
            return;
        };
        if let Some(name) = package.get("name").and_then(Value::as_str) {
            guess
                .name
                .add(name.to_owned(), Confidence::High, "found in package.json name");
        }
        for framework in &super::DATA.frameworks {
            if has_dependency(&package, &framework.dependency) {
                guess
                    .frameworks
                    .add(framework.name.clone(), Confidence::High, "a dependency in package.json");
            }
        }
        build(tree, &package, guess);
        start(tree, &package, guess);
        test(tree, &package, guess);
    }

    fn localise(&self, tree: &Tree<'_>, command: &str) -> Option<CommandLine> {
        let command = command.trim().trim_start_matches("exec ");
        let program = command.split(' ').next()?;
        let line = |command: String| CommandLine {
            command,
            env: BTreeMap::new(),
        };
        if ["node", "npm", "npx", "yarn", "pnpm"].contains(&program.rsplit('/').next()?) {
            return Some(line(command.to_owned()));
        }
        let package = tree.json("package.json")?;
        let (_, file) = binaries(&package).into_iter().find(|(name, _)| name == program)?;
        Some(line(command.replacen(program, &format!("node {}", quoted(&file)), 1)))
    }
}

fn has_dependency(package: &Value, name: &str) -> bool {
    ["dependencies", "devDependencies", "optionalDependencies"]
        .iter()
        .any(|kind| package.get(kind).is_some_and(|list| list.get(name).is_some()))
}

/// The package's programs: name and file.
fn binaries(package: &Value) -> Vec<(String, String)> {
    let clean = |file: &str| file.trim_start_matches("./").to_owned();
    match package.get("bin") {
        Some(Value::String(file)) => {
            let name = package.get("name").and_then(Value::as_str).unwrap_or("");
            vec![(name.rsplit('/').next().unwrap_or(name).to_owned(), clean(file))]
        }
        Some(Value::Object(map)) => map
            .iter()
            .filter_map(|(name, file)| Some((name.clone(), clean(file.as_str()?))))
            .collect(),
        _ => Vec::new(),
    }
}

fn script<'p>(package: &'p Value, name: &str) -> Option<&'p str> {
    package
        .get("scripts")?
        .get(name)?
        .as_str()
        .map(str::trim)
        .filter(|script| !script.is_empty())
}

/// The package manager and the lockfile that gives it away.
fn manager(tree: &Tree<'_>) -> (&'static str, Option<&'static str>) {
    const LOCKS: &[(&str, &str)] = &[
        ("pnpm-lock.yaml", "pnpm"),
        ("yarn.lock", "yarn"),
        ("package-lock.json", "npm"),
        ("npm-shrinkwrap.json", "npm"),
        ("bun.lock", "bun"),
        ("bun.lockb", "bun"),
    ];
    let found = LOCKS.iter().find(|(lock, _)| tree.has(lock));
    found.map_or(("npm", None), |(lock, manager)| (manager, Some(lock)))
}

fn build(tree: &Tree<'_>, package: &Value, guess: &mut ProjectGuess) {
    let (manager, lock) = manager(tree);
    let install = match (manager, lock) {
        ("pnpm", _) => "pnpm install --frozen-lockfile",
        ("yarn", _) if tree.has(".yarnrc.yml") => "yarn install --immutable",
        ("yarn", _) => "yarn install --frozen-lockfile",
        ("bun", _) => "bun install --frozen-lockfile",
        (_, Some(_)) => "npm ci",
        _ => "npm install --no-package-lock",
    };
    let count = |kind: &str| {
        package
            .get(kind)
            .and_then(Value::as_object)
            .map_or(0, serde_json::Map::len)
    };
    let any = count("dependencies") + count("devDependencies") > 0 || package.get("workspaces").is_some();
    let command = script(package, "build").map(|_| format!("{manager} run build"));
    if !any && command.is_none() {
        return;
    }
    let mut lockfiles = vec!["package.json".to_owned()];
    lockfiles.extend(lock.map(str::to_owned));
    lockfiles.extend(tree.existing(&[".npmrc", ".yarnrc", ".yarnrc.yml", "pnpm-workspace.yaml"]));
    let outputs = if any {
        vec!["node_modules".to_owned()]
    } else {
        Vec::new()
    };
    let build = BuildGuess {
        deps_command: any.then(|| install.to_owned()),
        outputs,
        lockfiles,
        command,
    };
    let (confidence, why) = match lock {
        Some(lock) => (Confidence::High, format!("found package.json and {lock}")),
        None => (
            Confidence::Medium,
            "found package.json without a lockfile: versions are not pinned".to_owned(),
        ),
    };
    guess.build.add(build, confidence, why);
}

fn start(tree: &Tree<'_>, package: &Value, guess: &mut ProjectGuess) {
    let (manager, _) = manager(tree);
    if let Some(line) = script(package, "start") {
        let hooked = script(package, "prestart").is_some() || script(package, "poststart").is_some();
        let why = "found in package.json scripts.start";
        // Without npm in between the service gets its signals itself and one process less runs.
        let direct = (!hooked).then(|| direct_command(package, line)).flatten();
        let by_manager = with_script_port(tree, package, &format!("{manager} start"), line);
        match direct {
            Some(command) => {
                let found = with_script_port(tree, package, &command, line);
                guess.start.add(found, Confidence::High, why);
                guess.start.add(by_manager, Confidence::Medium, why);
            }
            None => guess.start.add(by_manager, Confidence::High, why),
        }
    }
    for (name, file) in binaries(package).into_iter().take(4) {
        let Some(text) = tree.read(&file) else { continue };
        let (command, port) = with_main_port(format!("node {}", quoted(&file)), &text, " ");
        let found = StartCommand {
            command,
            env: BTreeMap::new(),
            port,
        };
        guess
            .start
            .add(found, Confidence::Medium, format!("found in package.json bin.{name}"));
    }
    let mains = package
        .get("main")
        .and_then(Value::as_str)
        .into_iter()
        .map(|main| (main, "package.json main"));
    for (main, why) in mains.chain(MAINS.iter().map(|main| (*main, "its name"))) {
        let main = main.trim_start_matches("./");
        let Some(text) = tree.read(main).filter(|text| LISTENS.is_match(text)) else {
            continue;
        };
        let (command, port) = with_main_port(format!("node {}", quoted(main)), &text, " ");
        let found = StartCommand {
            command,
            env: BTreeMap::new(),
            port,
        };
        guess
            .start
            .add(found, Confidence::Medium, format!("{main} listens, found by {why}"));
    }
    for name in ["serve", "dev"] {
        if let Some(line) = script(package, name) {
            let found = with_script_port(tree, package, &format!("{manager} run {name}"), line);
            guess
                .start
                .add(found, Confidence::Low, format!("found in package.json scripts.{name}"));
        }
    }
}

/// A script that is one program, as it runs without the package manager.
fn direct_command(package: &Value, line: &str) -> Option<String> {
    if !is_simple(line) || line.contains('$') {
        return None;
    }
    let mut words = line.split(' ');
    // `NODE_ENV=production node x.js` is for the shell, which the command is for.
    let program = words.find(|word| !word.contains('='))?;
    match program {
        "node" => Some(line.to_owned()),
        "next" | "tsx" | "ts-node" | "nest" | "nuxt" | "fastify" | "nodemon" if has_dependency(package, program) => {
            Some(line.replacen(program, &format!("node_modules/.bin/{program}"), 1))
        }
        _ => None,
    }
}

/// The start command for a script, with its way to learn the port.
fn with_script_port(tree: &Tree<'_>, package: &Value, command: &str, line: &str) -> StartCommand {
    let (command, port) = with_port(command);
    if port == PortContract::Argument {
        return StartCommand {
            command,
            env: BTreeMap::new(),
            port,
        };
    }
    // npm and its kin pass on what follows `--`.
    let separator = if command.starts_with("node") { " " } else { " -- " };
    if takes_port_variable(line) {
        return StartCommand {
            command,
            env: BTreeMap::new(),
            port: PortContract::Env("PORT".to_owned()),
        };
    }
    let text = main_of(tree, package, line)
        .and_then(|main| tree.read(&main))
        .unwrap_or_default();
    let (command, port) = with_main_port(command, &text, separator);
    let port = if port == PortContract::Unknown {
        port_anywhere(tree)
    } else {
        port
    };
    StartCommand {
        command,
        env: BTreeMap::new(),
        port,
    }
}

/// The file that a script starts.
fn main_of(tree: &Tree<'_>, package: &Value, line: &str) -> Option<String> {
    let file = line
        .split_whitespace()
        .find(|word| tree.has(word.trim_start_matches("./")));
    let file = file.or_else(|| package.get("main").and_then(Value::as_str));
    file.map(|file| file.trim_start_matches("./").to_owned())
}

/// `command` with the port option that the program's own text names, or its contract.
fn with_main_port(command: String, text: &str, separator: &str) -> (String, PortContract) {
    match port_of(text) {
        PortContract::Env(name) => (command, PortContract::Env(name)),
        _ if PORT_OPTION.is_match(text) => (format!("{command}{separator}--port {{port}}"), PortContract::Argument),
        contract => (command, contract),
    }
}

fn port_of(text: &str) -> PortContract {
    match port_env_in(text) {
        Some(name) => PortContract::Env(name),
        None => {
            let fixed = FIXED_PORT.captures(text).and_then(|found| found[1].parse().ok());
            fixed.map_or(PortContract::Unknown, PortContract::Fixed)
        }
    }
}

fn port_anywhere(tree: &Tree<'_>) -> PortContract {
    let sources = tree.files().filter(|path| is_source(path)).take(MAX_SOURCES);
    let texts: Vec<String> = sources
        .filter_map(|path| tree.read(path))
        .filter(|text| LISTENS.is_match(text))
        .collect();
    let contracts: Vec<PortContract> = texts.iter().map(|text| port_of(text)).collect();
    let env = contracts.iter().find(|found| matches!(found, PortContract::Env(_)));
    let other = contracts.iter().find(|found| **found != PortContract::Unknown);
    env.or(other).cloned().unwrap_or(PortContract::Unknown)
}

fn test(tree: &Tree<'_>, package: &Value, guess: &mut ProjectGuess) {
    let (manager, _) = manager(tree);
    if let Some(line) = script(package, "test").filter(|line| !line.contains("no test specified")) {
        let test = CommandLine {
            command: format!("{manager} test"),
            env: BTreeMap::new(),
        };
        guess.test.add(
            test,
            Confidence::High,
            format!("found in package.json scripts.test: {line}"),
        );
        return;
    }
    let is_test = |path: &str| is_test_path(path) && (path.contains(".test.") || path.starts_with("test/"));
    if tree
        .files()
        .any(|path| is_test(path) && (path.ends_with("js") || path.ends_with("mjs")))
    {
        let test = CommandLine {
            command: "node --test".to_owned(),
            env: BTreeMap::new(),
        };
        guess.test.add(test, Confidence::Low, "test files without scripts.test");
    }
}

/// A server in plain files, without a `package.json`.
fn scripts_without_manifest(tree: &Tree<'_>, guess: &mut ProjectGuess) {
    for main in MAINS {
        let Some(text) = tree.read(main).filter(|text| LISTENS.is_match(text)) else {
            continue;
        };
        let found = StartCommand {
            command: format!("node {main}"),
            env: BTreeMap::new(),
            port: port_of(&text),
        };
        guess.start.add(found, Confidence::Medium, format!("{main} listens"));
    }
}
