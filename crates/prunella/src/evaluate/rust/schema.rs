//! Sources that say which of their statements ran, and sources that hold many candidates behind a switch.
//!
//! *Method*: a function's body becomes a choice among its candidates' bodies, made at run time by a variable of the
//! environment; what the function gives, borrows and moves stays as it is written, so that the compiler judges each
//! candidate on its own. Tracing puts a call before each statement. Both only change the bodies of functions that are
//! compiled for run time: no `const fn`, no macros, no test code.
//! *Source*: mutant schemata (Untch, Offutt, Harrold, ISSTA 1993); statement coverage by instrumenting the source.

use std::ops::Range;

use prunella_core::repair::synth::{Change, Kind, NodeId, Role, Tree};

/// The variable that chooses a candidate.
pub(super) const CHOICE: &str = "PRUNELLA_CHOICE";
/// The variable that names the file to which a trace is written.
pub(super) const TRACE: &str = "PRUNELLA_TRACE";

/// Lints of what is generated are nobody's business.
const QUIET: &str = "#[allow(warnings)] ";

/// Where a piece of a generated source comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Its bytes in the generated source.
    pub(super) span: Range<usize>,
    /// The function.
    pub(super) unit: NodeId,
    /// The candidate, if it is one's body.
    pub(super) choice: Option<u32>,
}

/// A generated source.
#[derive(Clone, Debug, Default)]
pub(super) struct Generated {
    /// The source.
    pub(super) text: String,
    /// Its pieces, candidates before the functions that they are in.
    pub(super) parts: Vec<Part>,
}

/// The innermost piece around these bytes.
pub(super) fn part_at(parts: &[Part], span: &Range<usize>) -> Option<Part> {
    let around = |part: &&Part| part.span.start <= span.start && span.end <= part.span.end;
    parts.iter().filter(around).min_by_key(|part| part.span.len()).cloned()
}

/// The body of a function whose body can be exchanged at run time; `None` where it cannot.
pub(super) fn body(tree: &Tree, unit: NodeId) -> Option<NodeId> {
    let body = tree.child(unit, Role::Body).filter(|b| tree.kind(*b) == Kind::Block)?;
    let head = &tree.source[tree.node(unit).span.start..tree.node(body).span.start];
    let mut words = head
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .take_while(|word| *word != "fn");
    let is_const = words.any(|word| word == "const");
    (!is_const && !is_test_code(tree, unit)).then_some(body)
}

/// Whether all bodies of a function must be of the same unnamed type: then each needs a build of its own.
pub(super) fn is_opaque(tree: &Tree, unit: NodeId) -> bool {
    let Some(body) = tree.child(unit, Role::Body) else {
        return true;
    };
    let head = &tree.source[tree.node(unit).span.start..tree.node(body).span.start];
    head.rsplit_once("->")
        .is_some_and(|(_, result)| result.contains("impl "))
}

/// Whether a function is a test or stands in a module of tests.
fn is_test_code(tree: &Tree, unit: NodeId) -> bool {
    std::iter::once(unit).chain(tree.ancestors(unit)).any(|at| {
        let start = tree.node(at).span.start;
        let attributes = attributes_before(&tree.source[..start]);
        let is_marked = attributes.contains("#[test]")
            || attributes.contains("::test]")
            || attributes.contains("::test(")
            || attributes.contains("#[bench]")
            || attributes.contains("proc_macro")
            || attributes.contains("cfg(test)")
            || attributes.contains("cfg(all(test");
        let is_named = tree.kind(at) == Kind::Class
            && tree.source[start..]
                .split_whitespace()
                .take(3)
                .any(|word| word == "mod")
            && matches!(tree.name(at), "test" | "tests");
        is_marked || is_named
    })
}

/// The lines of attributes and comments directly before something.
fn attributes_before(before: &str) -> &str {
    let mut at = before.rfind('\n').map_or(0, |at| at + 1);
    while at > 0 {
        let above = before[..at - 1].rfind('\n').map_or(0, |at| at + 1);
        let line = before[above..at].trim();
        let belongs = line.starts_with('#') || line.starts_with("//") || line.ends_with(")]") || line.ends_with("],");
        if !belongs {
            break;
        }
        at = above;
    }
    &before[at..]
}

/// A file with candidates: each is a change of one of the units, with the number that chooses it.
pub(super) fn switched(tree: &Tree, candidates: &[(NodeId, u32, &Change)]) -> Generated {
    let mut units: Vec<NodeId> = candidates.iter().map(|(unit, ..)| *unit).collect();
    units.sort_by_key(|unit| tree.node(*unit).span.start);
    units.dedup();
    let mut out = Generated::default();
    let mut at = 0;
    for unit in units {
        let Some(body) = body(tree, unit) else { continue };
        let (whole, inside) = (tree.node(unit).span.clone(), tree.node(body).span.clone());
        out.text.push_str(&tree.source[at..whole.start]);
        let begin = out.text.len();
        out.text.push_str(QUIET);
        out.text.push_str(&tree.source[whole.start..inside.start]);
        out.text.push_str("{ ");
        out.text.push_str(&chooser());
        out.text.push_str(" match __prunella_choice() { ");
        for (_, choice, change) in candidates.iter().filter(|(of, ..)| *of == unit) {
            let extent = change.extent();
            if extent.start <= inside.start || extent.end >= inside.end {
                continue;
            }
            out.text.push_str(&format!("{choice}u32 => "));
            let from = out.text.len();
            out.text.push_str(&change.apply_within(&tree.source, inside.clone()));
            out.parts.push(Part {
                span: from..out.text.len(),
                unit,
                choice: Some(*choice),
            });
            out.text.push_str(", ");
        }
        out.text.push_str("_ => ");
        out.text.push_str(&tree.source[inside.clone()]);
        out.text.push_str(" } }");
        out.text.push_str(&tree.source[inside.end..whole.end]);
        out.parts.push(Part {
            span: begin..out.text.len(),
            unit,
            choice: None,
        });
        at = whole.end;
    }
    out.text.push_str(&tree.source[at..]);
    out
}

/// A function that reads the choice once.
fn chooser() -> String {
    format!(
        "{QUIET}fn __prunella_choice() -> u32 {{ extern crate std as __prunella_std; \
         static CHOICE: __prunella_std::sync::atomic::AtomicU32 = __prunella_std::sync::atomic::AtomicU32::new(4294967295); \
         let order = __prunella_std::sync::atomic::Ordering::Relaxed; let known = CHOICE.load(order); \
         if known != 4294967295 {{ return known; }} \
         let read = __prunella_std::env::var(\"{CHOICE}\").ok().and_then(|text| text.parse::<u32>().ok()).unwrap_or(0); \
         CHOICE.store(read, order); read }}"
    )
}

/// A file that writes down what of it runs: the generated source, and the lines of each mark.
pub(super) fn traced(tree: &Tree, file: usize, but: &[NodeId]) -> (Generated, Vec<Vec<u32>>) {
    let mut out = Generated::default();
    let mut lines = Vec::new();
    let mut at = 0;
    for unit in tree.functions() {
        if tree.ancestors(unit).any(|a| tree.kind(a) == Kind::Function) || but.contains(&unit) {
            continue;
        }
        let Some(body) = body(tree, unit) else { continue };
        let (whole, inside) = (tree.node(unit).span.clone(), tree.node(body).span.clone());
        let marks = marks(tree, body);
        out.text.push_str(&tree.source[at..whole.start]);
        let begin = out.text.len();
        out.text.push_str(QUIET);
        out.text.push_str(&tree.source[whole.start..=inside.start]);
        out.text.push_str(&marker(file, lines.len(), marks.len()));
        at = inside.start + 1;
        for (number, (place, of)) in marks.into_iter().enumerate() {
            out.text.push_str(&tree.source[at..place]);
            out.text.push_str(&format!(" __prunella_mark({number}); "));
            lines.push(of);
            at = place;
        }
        out.text.push_str(&tree.source[at..whole.end]);
        at = whole.end;
        out.parts.push(Part {
            span: begin..out.text.len(),
            unit,
            choice: None,
        });
    }
    out.text.push_str(&tree.source[at..]);
    (out, lines)
}

/// Places between statements of a body, with the lines that run when they are passed.
fn marks(tree: &Tree, body: NodeId) -> Vec<(usize, Vec<u32>)> {
    let mut found: Vec<(usize, Vec<u32>)> = Vec::new();
    for block in tree.below(body).into_iter().filter(|id| tree.kind(*id) == Kind::Block) {
        // Functions and types inside of a function have a trace of their own, or none.
        let mut around = tree.ancestors(block).take_while(|a| *a != body);
        if block != body && around.any(|a| matches!(tree.kind(a), Kind::Function | Kind::Class)) {
            continue;
        }
        let span = tree.node(block).span.clone();
        // The body of a closure or an arm is one too; `unsafe` and `async` blocks are not told apart.
        if !tree.source[span.clone()].starts_with('{') {
            continue;
        }
        found.push((span.start + 1, vec![tree.line_at(span.start)]));
        for statement in &tree.node(block).children {
            let here = tree.node(*statement);
            let is_item = matches!(here.kind, Kind::Function | Kind::Class | Kind::Import)
                || here.kind == Kind::OtherStmt && !tree.text(*statement).starts_with("match");
            let before = tree.source[..here.span.start].trim_end();
            if is_item || !before.ends_with([';', '{', '}']) {
                continue;
            }
            let lines = own_lines(tree, *statement);
            match found
                .last_mut()
                .filter(|(place, _)| before.len() == span.start + 1 && *place == before.len())
            {
                Some(first) => first.1.extend(lines),
                None => found.push((here.span.start, lines)),
            }
        }
    }
    found.sort_by_key(|(place, _)| *place);
    found.dedup_by(|b, a| a.0 == b.0);
    found
}

/// The lines of a statement without those of blocks in it.
fn own_lines(tree: &Tree, statement: NodeId) -> Vec<u32> {
    let span = tree.node(statement).span.clone();
    let of = |span: &Range<usize>| tree.line_at(span.start)..=tree.line_at(span.end.saturating_sub(1));
    let inside: Vec<Range<usize>> = tree
        .below(statement)
        .into_iter()
        .filter(|id| tree.kind(*id) == Kind::Block)
        .map(|id| tree.node(id).span.clone())
        .collect();
    let is_inner = |line: u32| {
        inside.iter().any(|block| {
            let lines = of(block);
            *lines.start() < line && line <= *lines.end()
        })
    };
    of(&span).filter(|line| !is_inner(*line)).collect()
}

/// A function that appends a mark to the trace when it is passed for the first time. Without `use`, which in the edition of
/// 2015 looks for names at the crate's root only.
fn marker(file: usize, first: usize, count: usize) -> String {
    let words = count / 32 + 1;
    let atomic = "__prunella_std::sync::atomic";
    format!(
        "{QUIET}fn __prunella_mark(at: usize) {{ extern crate std as __prunella_std; \
         const NONE: {atomic}::AtomicUsize = {atomic}::AtomicUsize::new(0); \
         static SEEN: [{atomic}::AtomicUsize; {words}] = [NONE; {words}]; \
         let (word, bit) = (at / 32, 1usize << (at % 32)); \
         if SEEN[word].fetch_or(bit, {atomic}::Ordering::Relaxed) & bit != 0 {{ return; }} \
         if let Some(path) = __prunella_std::env::var_os(\"{TRACE}\") {{ \
         if let Ok(mut file) = __prunella_std::fs::OpenOptions::new().append(true).create(true).open(path) {{ \
         let text = __prunella_std::format!(\"{file} {{}}\\n\", {first} + at); \
         let _ = __prunella_std::io::Write::write_all(&mut file, text.as_bytes()); }} }} }}"
    )
}

#[cfg(test)]
mod tests {
    use prunella_core::repair::synth::Replace;
    use prunella_core::signal::Language;
    use prunella_lang::syntax::parse;

    use super::*;

    const SOURCE: &str = "const fn one() -> u8 { 1 }\n\npub fn f(n: u32) -> u32 {\n    let m = n + 1;\n    if m > 3 {\n        return m;\n    }\n    m * 2\n}\n\n#[cfg(test)]\nmod tests {\n    fn helper() -> u8 { 2 }\n}\n";

    fn change(tree: &Tree, from: &str, to: &str) -> Change {
        let at = tree.source.find(from).unwrap();
        Change {
            operator: "test",
            edits: vec![Replace {
                span: at..at + from.len(),
                text: to.to_owned(),
            }],
            at: tree.root(),
            score: 0.0,
            swallows: false,
        }
    }

    #[test]
    fn candidates_stand_behind_a_switch_and_are_found_again() {
        let tree = parse(Language::Rust, SOURCE).unwrap();
        let unit = tree.functions()[1];
        let changes = [
            change(&tree, "m > 3", "m >= 3"),
            change(&tree, "m * 2", "m * 3"),
            change(&tree, "n: u32", "n: u8"),
        ];
        let candidates: Vec<(NodeId, u32, &Change)> = (7..).zip(&changes).map(|(n, c)| (unit, n, c)).collect();
        let out = switched(&tree, &candidates);
        assert!(parse(Language::Rust, &out.text).is_ok(), "{}", out.text);
        let at = out.text.find("m >= 3").unwrap();
        assert_eq!(part_at(&out.parts, &(at..at + 6)).unwrap().choice, Some(7));
        let at = out.text.find("m > 3").unwrap();
        // The first body that still asks the old question is that of the second change.
        assert_eq!(part_at(&out.parts, &(at..at + 5)).unwrap().choice, Some(8));
        assert!(!out.text.contains("n: u8"), "only bodies are exchanged");
        assert!(out.text.contains("_ => {\n    let m = n + 1;") && out.text.ends_with("fn helper() -> u8 { 2 }\n}\n"));
    }

    #[test]
    fn marks_know_their_lines_and_leave_constants_and_tests_alone() {
        let tree = parse(Language::Rust, SOURCE).unwrap();
        let (out, lines) = traced(&tree, 3, &[]);
        assert!(parse(Language::Rust, &out.text).is_ok(), "{}", out.text);
        assert_eq!(lines, [vec![3, 4], vec![5], vec![5, 6], vec![8]]);
        assert!(out.text.contains("const fn one() -> u8 { 1 }") && out.text.contains("fn helper() -> u8 { 2 }"));
        assert_eq!(traced(&tree, 3, &[tree.functions()[1]]).0.text, SOURCE);
    }

    #[test]
    fn what_cannot_be_exchanged_is_known() {
        let source =
            "#[test]\nfn t() {}\n\nfn it() -> impl Iterator<Item = u8> { 0..1 }\n\nfn plain(f: impl Fn()) {}\n";
        let tree = parse(Language::Rust, source).unwrap();
        let of = |name: &str| tree.functions().into_iter().find(|f| tree.name(*f) == name).unwrap();
        assert!(body(&tree, of("t")).is_none());
        assert!(is_opaque(&tree, of("it")) && !is_opaque(&tree, of("plain")));
    }
}
