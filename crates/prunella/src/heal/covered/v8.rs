//! Reads V8's block coverage, as Node writes it into `NODE_V8_COVERAGE`.
//!
//! *Source*: the DevTools protocol, `Profiler.takePreciseCoverage`: ranges are nested, an inner one overrules the outer.

use serde::Deserialize;

use super::Covered;

#[derive(Deserialize)]
struct Record {
    result: Vec<Script>,
}

#[derive(Deserialize)]
struct Script {
    url: String,
    functions: Vec<Function>,
}

#[derive(Deserialize)]
struct Function {
    ranges: Vec<Block>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Block {
    start_offset: usize,
    end_offset: usize,
    count: u64,
}

/// The lines that ran, of files below `root`; each weighs the same, for there is no record by test.
pub(super) fn lines(text: &str, root: &str, read: impl Fn(&str) -> Option<String>) -> Covered {
    let mut covered = Covered::new();
    let Ok(record) = serde_json::from_str::<Record>(text) else {
        return covered;
    };
    let prefix = format!("file://{root}/");
    for script in record.result {
        let Some(path) = script.url.strip_prefix(&prefix) else {
            continue;
        };
        if path.contains("node_modules/") {
            continue;
        }
        if let Some(source) = read(path) {
            covered.insert(path.to_owned(), executed(&source, &script.functions));
        }
    }
    covered
}

/// Offsets count UTF-16 units.
fn executed(source: &str, functions: &[Function]) -> std::collections::BTreeMap<u32, f64> {
    let units: Vec<u16> = source.encode_utf16().collect();
    let mut ran = vec![false; units.len()];
    for block in functions.iter().flat_map(|function| &function.ranges) {
        let end = block.end_offset.min(ran.len());
        if let Some(part) = ran.get_mut(block.start_offset.min(end)..end) {
            part.fill(block.count > 0);
        }
    }
    let blank = |unit: u16| char::from_u32(u32::from(unit)).is_some_and(char::is_whitespace);
    let mut lines = std::collections::BTreeMap::new();
    let mut number = 1;
    for (unit, ran) in units.iter().zip(ran) {
        if *unit == u16::from(b'\n') {
            number += 1;
        } else if ran && !blank(*unit) {
            lines.insert(number, 1.0);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_blocks_overrule_outer_ones() {
        let source = "a();\nif (b) {\n  c();\n}\nd();\n";
        let at = |words: &str| source.find(words).unwrap();
        let text = format!(
            "{{\"result\":[{{\"scriptId\":\"1\",\"url\":\"file:///w/lib/a.js\",\"functions\":[{{\"functionName\":\"\",\
             \"isBlockCoverage\":true,\"ranges\":[{{\"startOffset\":0,\"endOffset\":{},\"count\":1}},\
             {{\"startOffset\":{},\"endOffset\":{},\"count\":0}}]}}]}},{{\"url\":\"node:fs\",\"functions\":[]}}]}}",
            source.len(),
            at("  c()"),
            at("}\nd"),
        );
        let found = lines(&text, "/w", |path| (path == "lib/a.js").then(|| source.to_owned()));
        assert_eq!(found["lib/a.js"].keys().copied().collect::<Vec<_>>(), [1, 2, 4, 5]);
        assert!(lines("{", "/w", |_| None).is_empty());
    }
}
