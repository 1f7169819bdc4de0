//! The layout of LogHub: `DIR/<Set>/<Set>_2k.log_structured.csv` with the columns Content, EventId, EventTemplate.

use std::collections::HashMap;
use std::path::Path;

/// One labelled log.
pub(crate) struct Set {
    pub(crate) name: String,
    /// The lines, without their headers.
    pub(crate) lines: Vec<String>,
    /// The true group of each line.
    pub(crate) truth: Vec<u32>,
    /// The true template of each line.
    pub(crate) templates: Vec<String>,
}

/// Every set below `dir`, by name.
pub(crate) fn load(dir: &Path) -> Result<Vec<Set>, String> {
    let entries = std::fs::read_dir(dir).map_err(|e| format!("{}: {e}", dir.display()))?;
    let mut sets = Vec::new();
    for entry in entries.flatten().filter(|e| e.path().is_dir()) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let file = entry.path().join(format!("{name}_2k.log_structured.csv"));
        if let Ok(bytes) = std::fs::read(&file) {
            let text = String::from_utf8_lossy(&bytes);
            sets.push(read(name, &text).map_err(|e| format!("{}: {e}", file.display()))?);
        }
    }
    sets.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(sets)
}

fn read(name: String, text: &str) -> Result<Set, String> {
    let mut rows = records(text).into_iter();
    let header = rows.next().unwrap_or_default();
    let column = |name: &str| {
        let at = header.iter().position(|c| c.trim_start_matches('\u{feff}') == name);
        at.ok_or_else(|| format!("there is no column {name}"))
    };
    let (content, id, template) = (column("Content")?, column("EventId")?, column("EventTemplate")?);
    let mut set = Set {
        name,
        lines: Vec::new(),
        truth: Vec::new(),
        templates: Vec::new(),
    };
    let mut ids: HashMap<String, u32> = HashMap::new();
    for mut row in rows.filter(|r| r.len() == header.len()) {
        let next = ids.len() as u32;
        set.truth.push(*ids.entry(std::mem::take(&mut row[id])).or_insert(next));
        set.lines.push(std::mem::take(&mut row[content]));
        set.templates.push(std::mem::take(&mut row[template]));
    }
    if set.lines.is_empty() {
        Err("there are no rows".into())
    } else {
        Ok(set)
    }
}

/// The records of a CSV text (RFC 4180).
fn records(text: &str) -> Vec<Vec<String>> {
    let (mut all, mut row, mut field, mut quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => field.extend(chars.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut field)),
            '\r' if !quoted && chars.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                row.push(std::mem::take(&mut field));
                all.push(std::mem::take(&mut row));
            }
            c => field.push(c),
        }
    }
    if !field.is_empty() || !row.is_empty() {
        row.push(field);
        all.push(row);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_fields_keep_commas_quotes_and_newlines() {
        let text = "LineId,Content,EventId,EventTemplate\r\n1,\"a, \"\"b\"\"\nc\",E1,<*>\r\n2,d,E2,d\n3,e,E1,<*>";
        let set = read("s".into(), text).unwrap();
        assert_eq!(set.lines, ["a, \"b\"\nc", "d", "e"]);
        assert_eq!(set.truth, [0, 1, 0]);
        assert_eq!(set.templates, ["<*>", "d", "<*>"]);
    }

    #[test]
    fn a_missing_column_is_named() {
        let error = read("s".into(), "Content,EventId\na,b\n").err().unwrap();
        assert!(error.contains("EventTemplate"), "{error}");
    }
}
