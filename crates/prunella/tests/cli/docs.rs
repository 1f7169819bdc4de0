//! The documentation says everything that the program knows, and nothing else.

use std::collections::BTreeMap;
use std::path::Path;

use clap::CommandFactory as _;
use prunella::config::{Command, Config};
use serde_json::Value;

fn read(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Every key with its default as it is written in TOML; "none" where there is none.
fn defaults() -> BTreeMap<String, String> {
    let config = Config::minimal("NAME", Command::Shell("COMMAND".into()));
    let mut keys = BTreeMap::new();
    for (section, value) in serde_json::to_value(config).unwrap().as_object().unwrap() {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    keys.insert(format!("{section}.{key}"), shown(value));
                }
            }
            other => {
                keys.insert(section.clone(), shown(other));
            }
        }
    }
    keys
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) if text == "NAME" || text == "COMMAND" => "required".to_owned(),
        other => format!("`{other}`"),
    }
}

/// The rows of the tables: key and default.
fn documented() -> BTreeMap<String, String> {
    let text = read("configuration.md");
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        (cells[1].trim_matches('`').to_owned(), cells[2].to_owned())
    })
    .collect()
}

#[test]
fn every_key_is_documented_with_its_default() {
    let (known, documented) = (defaults(), documented());
    for (key, default) in &known {
        assert_eq!(documented.get(key), Some(default), "{key} in docs/configuration.md");
    }
    let extra: Vec<&String> = documented.keys().filter(|key| !known.contains_key(*key)).collect();
    assert!(extra.is_empty(), "documented, but unknown: {extra:?}");
}

#[test]
fn every_command_and_option_is_documented() {
    let text = read("cli.md");
    let command = prunella::cli::Cli::command();
    for verb in command.get_subcommands().filter(|c| !c.is_hide_set()) {
        let heading = format!("## `prunella {}", verb.get_name());
        let section = text.split("\n## ").find(|s| format!("## {s}").starts_with(&heading));
        let section = section.unwrap_or_else(|| panic!("{heading} is missing in docs/cli.md"));
        for option in verb
            .get_arguments()
            .filter_map(clap::Arg::get_long)
            .filter(|l| *l != "help")
        {
            assert!(section.contains(&format!("--{option}")), "{heading}: --{option}");
        }
    }
    for option in command.get_arguments().filter_map(clap::Arg::get_long) {
        assert!(text.contains(&format!("--{option}")), "--{option}");
    }
    for code in 0..=5 {
        assert!(text.contains(&format!("\n| {code} |")), "exit code {code}");
    }
}
