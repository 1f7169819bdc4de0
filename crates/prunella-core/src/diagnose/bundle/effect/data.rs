//! Data: tables, indexes, queries, fields, types and formats.
//!
//! *Method*: words of SQL; names in tags, quotes and declarations that changed while the rest of the line stayed;
//! names of types that became narrower or other.

use super::super::diff::{Hunk, Line};
use super::super::lexis::{Token, norm, says, says_any};
use super::{Effect, Finding};

const TYPES: &[&str] = &[
    "int",
    "int8",
    "int16",
    "int32",
    "int64",
    "i8",
    "i16",
    "i32",
    "i64",
    "u8",
    "u16",
    "u32",
    "u64",
    "uint",
    "uint32",
    "uint64",
    "long",
    "short",
    "float",
    "float32",
    "float64",
    "double",
    "decimal",
    "bigdecimal",
    "string",
    "str",
    "varchar",
    "text",
    "bool",
    "boolean",
    "bigint",
    "integer",
    "bytes",
    "number",
    "date",
    "datetime",
    "timestamp",
    "optional",
    "vec",
    "list",
    "array",
    "map",
    "object",
    "uuid",
    "time",
];
const FORMATS: &[&str] = &[
    "marshal",
    "serializ",
    "encode",
    "encoding",
    "json",
    "protobuf",
    "avro",
    "msgpack",
    "pickle",
    "yaml",
    "gzip",
    "utf",
    "base64",
    "charset",
    "content type",
    "compress",
    "csv",
    "xml",
    "parquet",
    "codec",
    "parse",
];
/// How dates are written: whoever reads them has to know.
const DATES: &[&str] = &[
    "iso8601",
    "iso 8601",
    "isoformat",
    "iso format",
    "to iso string",
    "toisostring",
    "rfc3339",
    "rfc 3339",
    "strftime",
    "strptime",
    "date format",
    "date time format",
    "datetimeformat",
    "time format",
];
const TIMES: &[&str] = &[
    "utc",
    "timezone",
    "time zone",
    "localtime",
    "local time",
    "now_",
    "tz_",
    "strftime",
    "date format",
    "epoch",
    "unix_",
    "milli",
    "nano",
    "clock",
];

pub(super) fn read(hunk: &Hunk, found: &mut Vec<Finding>) {
    sql(hunk, found);
    interface(hunk, found);
    renamed(hunk, found);
    types(hunk, found);
    conversions(hunk, found);
    formats(hunk, found);
}

/// Definitions that others have compiled in: what changes its number, name or type is another field to them.
fn interface(hunk: &Hunk, found: &mut Vec<Finding>) {
    let file = hunk.file.to_lowercase();
    let defines = [".proto", ".avsc", ".thrift", ".fbs", ".graphql", ".xsd", ".wsdl"];
    if !defines.iter().any(|ending| file.ends_with(ending)) {
        return;
    }
    let real = |line: &&Line| line.tokens.len() > 1;
    if let Some((_, new)) = hunk.replaced().find(|(old, new)| old.tokens != new.tokens) {
        let told = format!("changes an interface: `{}`", new.text.trim());
        found.push(Finding::new(Effect::TypeChanged, 0.9, told));
    } else if let Some(line) = hunk.gone().find(real) {
        let told = format!("takes out of an interface: `{}`", line.text.trim());
        found.push(Finding::new(Effect::FieldRenamed, 0.9, told));
    }
}

fn sql(hunk: &Hunk, found: &mut Vec<Finding>) {
    let added = norm(
        &hunk
            .added
            .iter()
            .map(|line| line.text.as_str())
            .collect::<Vec<_>>()
            .join(" "),
    );
    let removed = norm(
        &hunk
            .removed
            .iter()
            .map(|line| line.text.as_str())
            .collect::<Vec<_>>()
            .join(" "),
    );
    let migration = says_any(
        &norm(&hunk.file),
        &[
            "migration",
            "migrate",
            "sql",
            "schema",
            "ddl",
            "alembic",
            "versions",
            "flyway",
            "liquibase",
            "changelog",
            "ecto",
        ],
    );
    if says(&added, "drop index")
        || (says_any(&removed, &["create index", "add index", "index true"]) && !says(&added, "index"))
    {
        found.push(Finding::new(Effect::IndexRemoved, 1.0, "removes an index"));
    }
    let statement = |line: &Line| {
        let first = line
            .text
            .trim()
            .trim_start_matches(['"', '`', '\''])
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_lowercase();
        [
            "alter", "create", "drop", "lock", "update", "delete", "vacuum", "cluster", "reindex", "rename", "insert",
        ]
        .contains(&first.as_str())
    };
    let speaks_sql = migration || hunk.added.iter().any(statement) || says(&added, "alter table");
    let destructive = [
        "drop column",
        "rename column",
        "rename to",
        "drop table",
        "rename table",
        "alter type",
        "alter column",
        "remove column",
        "change column",
        "set not null",
        "removefield",
        "renamefield",
    ];
    if speaks_sql && says_any(&added, &destructive) {
        found.push(Finding::new(
            Effect::SchemaChanged,
            0.9,
            "takes away or changes a column or a table",
        ));
    }
    let locks = speaks_sql
        && (says_any(&added, &["lock table", "vacuum full", "cluster_"])
            || (says(&added, "create index") || says(&added, "create unique index")) && !says(&added, "concurrently")
            || says(&added, "alter table")
                && says_any(&added, &["default", "not null", "add constraint", "foreign key"]));
    if locks {
        found.push(Finding::new(
            Effect::LockAdded,
            if migration { 0.8 } else { 0.6 },
            "changes a table in a way that locks it",
        ));
    } else if says_any(&added, &["update_", "delete from"]) && migration {
        found.push(Finding::new(
            Effect::LockAdded,
            0.7,
            "rewrites rows of a table in a migration",
        ));
    }
    for (old, new) in hunk.replaced() {
        let (old, new) = (norm(&old.text), norm(&new.text));
        let clauses = [
            "select", "from_", "where", "order by", "group by", "join", "limit", "having",
        ];
        let sql = hunk.file.to_lowercase().ends_with(".sql");
        if says_any(
            &old,
            if sql {
                &clauses
            } else {
                &["select", "where", "order by", "join"]
            },
        ) && says_any(&new, &clauses)
            && old != new
        {
            let columns = projection(&old) != projection(&new) && rest(&old) == rest(&new);
            let (risk, what) = if columns {
                (0.25, "asks for other columns")
            } else {
                (0.7, "changes a query")
            };
            found.push(Finding::new(Effect::QueryChanged, risk, what));
        }
    }
    let filters = ["where", "limit", "index", "hint", "using index"];
    let is_query = says_any(&removed, &["select", "from", "query", "find"]) || says_any(&added, &["select", "from_"]);
    if is_query && filters.iter().any(|word| says(&removed, word) && !says(&added, word)) {
        found.push(Finding::new(
            Effect::QueryChanged,
            0.9,
            "takes a condition or a limit out of a query",
        ));
    }
}

/// What a normed query selects.
fn projection(query: &str) -> &str {
    query.split_once(" from ").map_or("", |(before, _)| before)
}

/// Where from, under which conditions, in which order.
fn rest(query: &str) -> &str {
    query.split_once(" from ").map_or(query, |(_, after)| after)
}

/// Quoted names, tags and keys that changed while the rest of the line is as before.
fn renamed(hunk: &Hunk, found: &mut Vec<Finding>) {
    for (old, new) in hunk.replaced() {
        let (before, after) = (texts(old), texts(new));
        if before.len() == after.len() {
            let changed = before
                .iter()
                .zip(&after)
                .find(|(before, after)| before != after && is_name(before) && is_name(after));
            if let Some((before, after)) = changed {
                let risk = if is_typo(before, after) {
                    0.1
                } else if says_any(
                    &norm(&old.text),
                    &[
                        "json", "yaml", "xml", "column", "field", "db_", "bson", "proto", "header", "key", "get_",
                        "topic",
                    ],
                ) {
                    0.9
                } else {
                    0.6
                };
                found.push(Finding::new(
                    Effect::FieldRenamed,
                    risk,
                    format!("renames `{before}` to `{after}`"),
                ));
                continue;
            }
        }
        if let (Some(before), Some(after)) = (key(old), key(new))
            && before != after
            && is_data(&hunk.file)
        {
            found.push(Finding::new(
                Effect::KeyRenamed,
                0.8,
                format!("renames the key `{before}` to `{after}`"),
            ));
        }
    }
    let lost = hunk
        .gone()
        .filter(|line| {
            line.text.contains("json:")
                || line.text.contains("@JsonProperty")
                || line.text.contains("serde(")
                || line.text.contains("= Field(")
        })
        .count();
    if lost > 0 {
        found.push(Finding::new(Effect::FieldRenamed, 0.8, "takes a field out of a format"));
    }
}

/// Whether two words are one, spelt otherwise: a letter more, less or doubled, in words for people.
fn is_typo(one: &str, two: &str) -> bool {
    let word =
        |text: &str| text.len() >= 5 && text.chars().all(char::is_alphabetic) && text.starts_with(char::is_uppercase);
    let common = |one: &str, two: &str| one.chars().zip(two.chars()).take_while(|(a, b)| a == b).count();
    let reversed = |text: &str| text.chars().rev().collect::<String>();
    let same = common(one, two) + common(&reversed(one), &reversed(two));
    word(one) && word(two) && one.len().abs_diff(two.len()) <= 1 && same + 1 >= one.len().min(two.len())
}

fn texts(line: &Line) -> Vec<String> {
    let quoted = line.tokens.iter().filter_map(|token| match token {
        Token::Text(text) => Some(text.clone()),
        _ => None,
    });
    quoted.collect()
}

/// A name, not a sentence or an address: `user_id`, `json:"userId,omitempty"`.
fn is_name(text: &str) -> bool {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '"' | ',' | '/');
    !text.starts_with(|c: char| c.is_ascii_digit())
        && text.len() <= 80
        && text.chars().all(fits)
        && text.contains(char::is_alphabetic)
        && !text.contains("://")
}

fn key(line: &Line) -> Option<String> {
    let (key, _) = line.text.split_once([':', '='])?;
    let key = key.trim().trim_matches(['"', '\'']);
    (is_name(key) && !key.is_empty()).then(|| key.to_owned())
}

/// Whether a file holds settings or data instead of code.
pub(in crate::diagnose::bundle) fn is_data(path: &str) -> bool {
    let lower = path.to_lowercase();
    [
        ".yaml",
        ".yml",
        ".json",
        ".toml",
        ".ini",
        ".env",
        ".properties",
        ".conf",
        ".cfg",
        ".tf",
        ".hcl",
        ".xml",
        ".tfvars",
        ".cnf",
    ]
    .iter()
    .any(|ending| lower.ends_with(ending))
        || lower.contains(".env")
}

fn types(hunk: &Hunk, found: &mut Vec<Finding>) {
    for (old, new) in hunk.replaced() {
        let named = |line: &Line| -> Vec<String> {
            let is_type =
                |token: &Token| matches!(token, Token::Word(word) if TYPES.contains(&word.to_lowercase().as_str()));
            // A type stands beside a name, or behind `:`, `<`, `[`, `*` or `as`: what is called or dotted is none.
            let typed = line.tokens.iter().enumerate().filter(|(at, token)| {
                let before = at.checked_sub(1).map(|at| &line.tokens[at]);
                let after = line.tokens.get(at + 1);
                let beside = matches!(before, Some(Token::Word(_) | Token::Sign(':' | '<' | '[' | '*')))
                    || matches!(after, Some(Token::Word(_)));
                is_type(token) && beside && !matches!(after, Some(Token::Sign('.' | '(')))
            });
            typed
                .filter_map(|(_, token)| {
                    if let Token::Word(word) = token {
                        Some(word.to_lowercase())
                    } else {
                        None
                    }
                })
                .collect()
        };
        let (before, after) = (named(old), named(new));
        if before != after && !before.is_empty() && !after.is_empty() {
            let bits = |types: &[String]| {
                types
                    .iter()
                    .filter_map(|name| name.trim_start_matches(char::is_alphabetic).parse::<u32>().ok())
                    .sum::<u32>()
            };
            let narrower = bits(&after) > 0 && bits(&after) < bits(&before);
            let what = format!("changes a type: `{}`", new.text.trim());
            found.push(Finding::new(
                Effect::TypeChanged,
                if narrower { 0.9 } else { 0.7 },
                what,
            ));
        }
    }
}

/// Values that are converted to another type than before: `Decimal(x)`, `float(x)`, `parseInt(x)`.
fn conversions(hunk: &Hunk, found: &mut Vec<Finding>) {
    let named = |lines: &[Line]| -> std::collections::BTreeSet<String> {
        let names = lines.iter().flat_map(super::calls::called);
        names
            .map(|name| name.trim_start_matches("parse").trim_start_matches("to").to_owned())
            .filter(|name| TYPES.contains(&name.as_str()))
            .collect()
    };
    let (before, after) = (named(&hunk.removed), named(&hunk.added));
    if !before.is_empty() && !after.is_empty() && before != after {
        let told = |names: std::collections::BTreeSet<String>| names.into_iter().collect::<Vec<_>>().join(", ");
        found.push(Finding::new(
            Effect::TypeChanged,
            0.7,
            format!("converts to {} instead of {}", told(after), told(before)),
        ));
    }
}

fn formats(hunk: &Hunk, found: &mut Vec<Finding>) {
    let told = |lines: &mut dyn Iterator<Item = &Line>, words: &[&str]| -> Vec<String> {
        lines
            .filter(|line| !line.tokens.is_empty())
            .map(|line| norm(&line.text))
            .filter(|text| says_any(text, words))
            .collect()
    };
    for (words, effect, risk, what) in [
        (
            FORMATS,
            Effect::FormatChanged,
            0.5,
            "changes how data is written or read",
        ),
        (TIMES, Effect::TimeHandling, 0.6, "changes how time is handled"),
        (DATES, Effect::TypeChanged, 0.6, "changes how dates are written"),
    ] {
        let (before, after) = (
            told(&mut hunk.removed.iter(), words),
            told(&mut hunk.added.iter(), words),
        );
        if before != after && !before.is_empty() && !after.is_empty() {
            found.push(Finding::new(effect, risk, what));
        }
    }
}
