//! Cargo projects: packages, workspaces, their binaries.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;
use toml::{Table, Value};

use crate::glob;
use crate::project::hints::{is_source, port_env_in};
use crate::project::{
    BuildGuess, CommandLine, Confidence, PortContract, ProjectDetector, ProjectGuess, StartCommand, Tree,
};

pub(super) struct Detector;

static FIXED_PORT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"(?:(?:0\.0\.0\.0|127\.0\.0\.1|localhost|\[::1?\]):|\(\[(?:\d+,\s*){3}\d+\],\s*|["']0\.0\.0\.0["'],\s*|["']127\.0\.0\.1["'],\s*)(\d{2,5})\b"#)
        .expect("a constant pattern")
});
static PORT_OPTION: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?s)#\[(?:arg|clap)\([^)]*\blong\b[^)]*\)\]\s*(?:pub\s+)?port\s*:").expect("a constant pattern")
});
/// Workspace members that are looked into.
const MAX_MEMBERS: usize = 60;

impl ProjectDetector for Detector {
    fn detect(&self, tree: &Tree<'_>, guess: &mut ProjectGuess) {
        let Some(root) = tree.toml("Cargo.toml") else { return };
        let packages = packages(tree, &root);
        build(tree, guess);
        for package in &packages {
            for framework in &super::DATA.frameworks {
                if package.depends_on(&framework.dependency) {
                    let why = format!("a dependency in {}Cargo.toml", package.dir);
                    guess.frameworks.add(framework.name.clone(), Confidence::High, why);
                }
            }
        }
        if let [package] = packages.as_slice() {
            guess.name.add(
                package.name.clone(),
                Confidence::High,
                format!("found in {}Cargo.toml", package.dir),
            );
        }
        start(tree, &packages, guess);
        test(tree, guess);
    }

    fn localise(&self, _tree: &Tree<'_>, command: &str) -> Option<CommandLine> {
        let command = command.trim().trim_start_matches("exec ");
        let known = command.starts_with("target/") || command.starts_with("./target/") || command.starts_with("cargo ");
        known.then(|| CommandLine {
            command: command.to_owned(),
            env: BTreeMap::new(),
        })
    }
}

struct Package {
    /// Empty, or a path that ends with `/`.
    dir: String,
    name: String,
    manifest: Table,
}

impl Package {
    fn read(tree: &Tree<'_>, dir: String) -> Option<Self> {
        let manifest = tree.toml(&format!("{dir}Cargo.toml"))?;
        let name = manifest.get("package")?.get("name")?.as_str()?.to_owned();
        Some(Self { dir, name, manifest })
    }

    fn depends_on(&self, name: &str) -> bool {
        self.manifest
            .get("dependencies")
            .and_then(Value::as_table)
            .is_some_and(|list| list.contains_key(name))
    }

    fn serves_http(&self) -> bool {
        super::DATA
            .frameworks
            .iter()
            .any(|framework| framework.http && self.depends_on(&framework.dependency))
    }

    /// The names of the package's binaries.
    fn binaries(&self, tree: &Tree<'_>) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        let declared = self.manifest.get("bin").and_then(Value::as_array);
        names.extend(
            declared
                .into_iter()
                .flatten()
                .filter_map(|bin| bin.get("name")?.as_str().map(str::to_owned)),
        );
        if names.is_empty() && tree.has(&format!("{}src/main.rs", self.dir)) {
            names.push(self.name.clone());
        }
        let bin_dir = format!("{}src/bin/", self.dir);
        for path in tree.files().filter_map(|path| path.strip_prefix(&bin_dir)) {
            let name = path.strip_suffix("/main.rs").or_else(|| path.strip_suffix(".rs"));
            if let Some(name) = name.filter(|name| !name.contains('/') && !names.iter().any(|known| known == name)) {
                names.push(name.to_owned());
            }
        }
        let default = self
            .manifest
            .get("package")
            .and_then(|package| package.get("default-run")?.as_str());
        // The default binary first, the others in their order.
        names.sort_by_key(|name| Some(name.as_str()) != default);
        names
    }
}

fn packages(tree: &Tree<'_>, root: &Table) -> Vec<Package> {
    let mut found: Vec<Package> = Package::read(tree, String::new()).into_iter().collect();
    let workspace = root.get("workspace").and_then(Value::as_table);
    let strings = |key: &str| -> Vec<&str> {
        let list = workspace.and_then(|table| table.get(key)).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).collect()
    };
    let (members, excluded) = (strings("members"), strings("exclude"));
    for path in tree
        .files()
        .filter(|path| path.ends_with("/Cargo.toml"))
        .take(MAX_MEMBERS * 4)
    {
        let dir = path.trim_end_matches("/Cargo.toml");
        let listed = |patterns: &[&str]| {
            patterns
                .iter()
                .any(|pattern| *pattern == dir || (pattern.contains('/') && glob::matches(pattern, dir)))
        };
        if listed(&members) && !listed(&excluded) && found.len() < MAX_MEMBERS {
            found.extend(Package::read(tree, format!("{dir}/")));
        }
    }
    found
}

fn build(tree: &Tree<'_>, guess: &mut ProjectGuess) {
    let locked = tree.has("Cargo.lock");
    let command = if locked {
        "cargo build --release --locked"
    } else {
        "cargo build --release"
    };
    let mut lockfiles = tree.existing(&[
        "Cargo.lock",
        "rust-toolchain.toml",
        "rust-toolchain",
        ".cargo/config.toml",
    ]);
    if !locked {
        lockfiles.push("Cargo.toml".to_owned());
    }
    // The build directory serves as a cache: Cargo itself knows what is stale.
    let build = BuildGuess {
        deps_command: None,
        outputs: vec!["target".to_owned()],
        lockfiles,
        command: Some(command.to_owned()),
    };
    guess.build.add(build, Confidence::High, "found Cargo.toml");
}

fn start(tree: &Tree<'_>, packages: &[Package], guess: &mut ProjectGuess) {
    let any_http = packages.iter().any(Package::serves_http);
    for package in packages {
        for (at, binary) in package.binaries(tree).into_iter().enumerate().take(8) {
            let confidence = match (package.serves_http() || !any_http, at) {
                (true, 0) => Confidence::High,
                (true, _) => Confidence::Medium,
                (false, _) => Confidence::Low,
            };
            let (command, port) = with_source_port(tree, &package.dir, format!("target/release/{binary}"));
            let start = StartCommand {
                command,
                env: BTreeMap::new(),
                port,
            };
            guess
                .start
                .add(start, confidence, format!("a binary of {}Cargo.toml", package.dir));
        }
    }
}

/// How the package's binaries learn their port, by what its sources read.
fn with_source_port(tree: &Tree<'_>, dir: &str, command: String) -> (String, PortContract) {
    let prefix = format!("{dir}src/");
    let sources = tree
        .files()
        .filter(|path| path.starts_with(&prefix) && is_source(path))
        .take(80);
    let texts: Vec<String> = sources.filter_map(|path| tree.read(path)).collect();
    if let Some(name) = texts.iter().find_map(|text| port_env_in(text)) {
        return (command, PortContract::Env(name));
    }
    if texts.iter().any(|text| PORT_OPTION.is_match(text)) {
        return (format!("{command} --port {{port}}"), PortContract::Argument);
    }
    let fixed = texts.iter().find_map(|text| FIXED_PORT.captures(text)?[1].parse().ok());
    (command, fixed.map_or(PortContract::Unknown, PortContract::Fixed))
}

fn test(tree: &Tree<'_>, guess: &mut ProjectGuess) {
    let line = |command: &str| CommandLine {
        command: command.to_owned(),
        env: BTreeMap::new(),
    };
    guess
        .test
        .add(line("cargo test --workspace"), Confidence::High, "found Cargo.toml");
    if tree.has(".config/nextest.toml") {
        guess.test.add(
            line("cargo nextest run --workspace --no-fail-fast"),
            Confidence::Medium,
            "found .config/nextest.toml",
        );
    }
}
