//! Which lines ran, from V8's own coverage: what `NODE_V8_COVERAGE` makes any Node process write.
//!
//! *Source*: the Chrome DevTools protocol, `Profiler.takePreciseCoverage` with block coverage: ranges of UTF-16 units that
//! nest, the innermost one counts.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::wire::rows_of_folder;

#[derive(Deserialize)]
struct Report {
    #[serde(default)]
    result: Vec<Script>,
}

#[derive(Deserialize)]
struct Script {
    url: String,
    #[serde(default)]
    functions: Vec<Function>,
}

#[derive(Deserialize)]
struct Function {
    #[serde(default)]
    ranges: Vec<Range>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Range {
    start_offset: usize,
    end_offset: usize,
    count: u64,
}

/// The most files whose lines are counted.
const MAX_FILES: usize = 400;

/// The executed lines of the files below `root`, by their path below it; sources are read from `tree`.
pub(super) fn executed(reports: &Path, root: &Path, tree: &Path) -> BTreeMap<String, Vec<u32>> {
    let mut found: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for report in rows_of_folder::<Report>(reports) {
        for script in report.result {
            let Some(file) = below(&script.url, root) else { continue };
            if found.len() >= MAX_FILES || file.contains("node_modules/") {
                continue;
            }
            let Ok(source) = std::fs::read_to_string(tree.join(&file)) else {
                continue;
            };
            let ranges: Vec<Range> = script.functions.into_iter().flat_map(|f| f.ranges).collect();
            let lines = found.entry(file).or_default();
            lines.extend(lines_of(&source, &ranges));
            lines.sort_unstable();
            lines.dedup();
        }
    }
    found
}

/// The path below the root that a script's address names.
fn below(url: &str, root: &Path) -> Option<String> {
    let path = url.strip_prefix("file://")?;
    let rest = Path::new(path).strip_prefix(root).ok()?;
    let is_plain = rest
        .components()
        .all(|part| matches!(part, std::path::Component::Normal(_)));
    is_plain.then(|| rest.to_str().map(ToOwned::to_owned))?
}

/// The lines (from 1) of which a character that is no space ran.
fn lines_of(source: &str, ranges: &[Range]) -> Vec<u32> {
    let units = source.encode_utf16().count();
    let mut ran = vec![false; units];
    let mut outermost: Vec<&Range> = ranges.iter().collect();
    // What begins later or ends earlier is further inside.
    outermost.sort_by_key(|range| (range.start_offset, usize::MAX - range.end_offset));
    for range in outermost {
        let end = range.end_offset.min(units);
        if range.start_offset < end {
            ran[range.start_offset..end].fill(range.count > 0);
        }
    }
    let (mut line, mut at, mut found) = (1_u32, 0, Vec::new());
    for character in source.chars() {
        let is_mark = !character.is_whitespace() && !matches!(character, '}' | ')' | ';');
        if is_mark && ran.get(at) == Some(&true) && found.last() != Some(&line) {
            found.push(line);
        }
        at += character.len_utf16();
        line += u32::from(character == '\n');
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start_offset: usize, end_offset: usize, count: u64) -> Range {
        Range {
            start_offset,
            end_offset,
            count,
        }
    }

    #[test]
    fn the_innermost_range_counts() {
        let source = "function f(é) {\n  if (é) {\n    g();\n  }\n  return '𝄞';\n}\n";
        let inside = source.find("g()").unwrap() - 4;
        let ranges = [range(0, 1000, 1), range(0, 1000, 2), range(inside - 8, inside + 6, 0)];
        assert_eq!(lines_of(source, &ranges), [1, 2, 5]);
        assert!(lines_of(source, &[range(0, 1000, 0)]).is_empty());
    }

    #[test]
    fn only_files_below_the_root_count() {
        let root = Path::new("/srv/app");
        assert_eq!(below("file:///srv/app/lib/a.js", root).as_deref(), Some("lib/a.js"));
        assert_eq!(below("file:///srv/app/../x.js", root), None);
        assert_eq!(below("node:fs", root), None);
    }

    #[test]
    fn reports_are_read_from_files() {
        let folder = tempfile::tempdir().unwrap();
        let tree = tempfile::tempdir().unwrap();
        std::fs::write(tree.path().join("a.js"), "f();\n").unwrap();
        let text = r#"{"result":[{"url":"file:///srv/app/a.js","functions":[{"ranges":[{"startOffset":0,"endOffset":4,"count":1}]}]}]}"#;
        std::fs::write(folder.path().join("coverage-1.json"), text).unwrap();
        std::fs::write(folder.path().join("coverage-2.json"), "{").unwrap();
        let found = executed(folder.path(), Path::new("/srv/app"), tree.path());
        assert_eq!(found, BTreeMap::from([("a.js".to_owned(), vec![1])]));
    }
}
