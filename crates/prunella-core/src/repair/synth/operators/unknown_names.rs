//! A name that nobody defines.
//!
//! *Signals*: `NameError`, `UnboundLocalError`, `AttributeError` or `ReferenceError`, and a name on an executed line.
//! *Method*: the name that is written most like it, of the scope, of the file or of the language; the same name as a
//! member of the own object or of an imported module; a declaration that the name belongs to the scope around.
//! *Source*: TBar FP13; the spelling suggestions of compilers (restricted Damerau-Levenshtein distance); Pyflakes F821.
//! *Fix safety*: the code did not run before: what it does afterwards is decided by the tests alone.

use super::Operator;
use super::blocks::before;
use crate::repair::synth::change::Proposals;
use crate::repair::synth::site::Site;
use crate::repair::synth::tree::{Kind, NodeId, Role, Tree};

pub(super) struct UnknownNames;

/// The farthest that two names may be apart, as a share of the longer one.
const FARTHEST: f64 = 0.45;

/// Functions of the language that are misspelt or were renamed.
const BUILTINS: &[&str] = &[
    "abs",
    "all",
    "any",
    "dict",
    "enumerate",
    "filter",
    "float",
    "input",
    "int",
    "isinstance",
    "len",
    "list",
    "map",
    "max",
    "min",
    "range",
    "reversed",
    "round",
    "set",
    "sorted",
    "str",
    "sum",
    "tuple",
    "zip",
];

/// Modules of Python's standard library that are used by their own names.
const MODULES: &[&str] = &[
    "base64",
    "bisect",
    "collections",
    "contextlib",
    "copy",
    "csv",
    "datetime",
    "decimal",
    "functools",
    "glob",
    "hashlib",
    "heapq",
    "inspect",
    "io",
    "itertools",
    "json",
    "logging",
    "math",
    "operator",
    "os",
    "pathlib",
    "random",
    "re",
    "shutil",
    "statistics",
    "string",
    "struct",
    "subprocess",
    "sys",
    "tempfile",
    "textwrap",
    "threading",
    "time",
    "traceback",
    "types",
    "unicodedata",
    "uuid",
    "warnings",
    "zlib",
];

/// What is commonly taken from a module.
const MEMBERS: &[(&str, &[&str])] = &[
    (
        "collections",
        &["Counter", "OrderedDict", "defaultdict", "deque", "namedtuple"],
    ),
    ("copy", &["deepcopy"]),
    ("datetime", &["date", "datetime", "timedelta", "timezone"]),
    ("decimal", &["Decimal"]),
    ("functools", &["lru_cache", "partial", "reduce", "wraps"]),
    ("heapq", &["heapify", "heappop", "heappush"]),
    (
        "itertools",
        &[
            "accumulate",
            "chain",
            "combinations",
            "islice",
            "permutations",
            "product",
            "zip_longest",
        ],
    ),
    ("math", &["ceil", "floor", "gcd", "inf", "isnan", "log", "sqrt"]),
    ("operator", &["attrgetter", "itemgetter"]),
    ("pathlib", &["Path"]),
    (
        "urllib.parse",
        &["quote", "unquote", "urlencode", "urljoin", "urlparse"],
    ),
];

impl Operator for UnknownNames {
    fn name(&self) -> &'static str {
        "unknown_name"
    }

    fn prior(&self) -> f64 {
        0.08
    }

    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
        let tree = site.tree;
        match tree.kind(node) {
            Kind::Name if site.raised(&["NameError", "UnboundLocalError", "ReferenceError"]) => {
                named(site, node, out);
            }
            Kind::Label if site.raised(&["AttributeError", "TypeError"]) => member(site, node, out),
            _ => {}
        }
    }
}

fn named(site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
    let tree = site.tree;
    if !tree.is_read(node) || matches!(tree.node(node).role, Role::Name | Role::Target) {
        return;
    }
    let now = tree.text(node);
    let is_known = site.scope.visible(tree, node).any(|n| n.name == now) || BUILTINS.contains(&now);
    let weight = if is_known { 0.1 } else { 1.0 };
    let mut near: Vec<(f64, &str)> = site
        .scope
        .visible(tree, node)
        .map(|n| n.name.as_str())
        .chain(BUILTINS.iter().copied())
        .filter(|other| *other != now)
        .map(|other| (distance(now, other), other))
        .filter(|(far, _)| *far <= FARTHEST)
        .collect();
    near.sort_by(|a, b| a.0.total_cmp(&b.0));
    near.dedup_by(|a, b| a.1 == b.1);
    for (far, other) in near.iter().take(4) {
        out.replace(node, *other, weight * 0.4 * (1.0 - far));
    }
    if site.is_python() {
        if let Some(first) = first_parameter(site).filter(|p| matches!(*p, "self" | "cls")) {
            out.replace(node, format!("{first}.{now}"), weight * 0.3);
        }
        declared(site, node, now, out);
        if !is_known {
            imported(site, node, now, out);
        }
    } else {
        out.replace(node, format!("this.{now}"), weight * 0.2);
    }
    for module in modules(tree) {
        out.replace(node, format!("{module}.{now}"), weight * 0.05);
    }
}

/// A module of the standard library, or what is commonly taken from one, that was not imported. The function imports it
/// itself: only the function is exchanged.
fn imported(site: &Site<'_>, node: NodeId, now: &str, out: &mut Proposals<'_>) {
    let tree = site.tree;
    let unit = tree.unit(site.function).unwrap_or(site.function);
    let body = tree.child(unit, Role::Body);
    let statements = body.map_or(&[][..], |b| tree.node(b).children.as_slice());
    let is_doc = |id: &&NodeId| {
        let only = tree.node(**id).children.first();
        tree.kind(**id) == Kind::ExprStmt && only.is_some_and(|o| tree.kind(*o) == Kind::Str)
    };
    let Some(first) = statements.iter().find(|s| !is_doc(s)) else {
        return;
    };
    if MODULES.contains(&now) {
        out.edits(node, vec![before(site, *first, &format!("import {now}"))], 0.5);
    }
    for (module, names) in MEMBERS {
        if names.contains(&now) {
            let text = format!("from {module} import {now}");
            out.edits(node, vec![before(site, *first, &text)], 0.5);
        }
    }
}

/// A variable that is assigned here and was meant to be the one around.
fn declared(site: &Site<'_>, node: NodeId, now: &str, out: &mut Proposals<'_>) {
    let tree = site.tree;
    let is_assigned = tree.below(site.function).into_iter().any(|id| {
        matches!(tree.kind(id), Kind::Assign | Kind::AugAssign)
            && tree.function(id) == Some(site.function)
            && tree.child(id, Role::Left).is_some_and(|left| tree.text(left) == now)
    });
    let body = tree.child(site.function, Role::Body);
    let first = body.and_then(|b| tree.node(b).children.first().copied());
    if let (true, Some(first)) = (is_assigned, first) {
        let word = if tree.function(site.function).is_some() {
            "nonlocal"
        } else {
            "global"
        };
        out.edits(node, vec![before(site, first, &format!("{word} {now}"))], 0.4);
    }
}

/// The member of the file that is written most like this one.
fn member(site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
    let tree = site.tree;
    let now = tree.text(node);
    let all = tree.below(tree.root()).into_iter();
    let mut near: Vec<(f64, &str)> = all
        .filter(|id| tree.kind(*id) == Kind::Label || tree.kind(*id) == Kind::Function)
        .map(|id| {
            if tree.kind(id) == Kind::Function {
                tree.name(id)
            } else {
                tree.text(id)
            }
        })
        .filter(|other| *other != now)
        .map(|other| (distance(now, other), other))
        .filter(|(far, _)| *far <= FARTHEST)
        .collect();
    near.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(b.1)));
    near.dedup_by(|a, b| a.1 == b.1);
    for (far, other) in near.iter().take(4) {
        out.replace(node, *other, 0.4 * (1.0 - far));
    }
}

fn first_parameter<'a>(site: &Site<'a>) -> Option<&'a str> {
    let tree = site.tree;
    let around = std::iter::once(site.function).chain(tree.ancestors(site.function));
    let method = around.filter(|at| tree.kind(*at) == Kind::Function).last()?;
    let mut parts = tree.node(method).children.iter().copied();
    let params = parts.find(|c| tree.kind(*c) == Kind::Params)?;
    tree.node(params).children.first().map(|p| tree.text(*p))
}

/// Modules that the file imports as a whole.
fn modules(tree: &Tree) -> Vec<&str> {
    let all = tree.node(tree.root()).children.iter();
    let plain = all.filter(|id| tree.kind(**id) == Kind::Import).filter_map(|id| {
        let name = tree.text(*id).strip_prefix("import ")?.trim();
        let is_name = name.chars().all(|c| c.is_alphanumeric() || c == '_');
        (is_name && !name.is_empty()).then_some(name)
    });
    plain.take(12).collect()
}

/// How far two names are apart, from 0 to 1: exchanged neighbours count once, case and underscores hardly.
pub(super) fn distance(a: &str, b: &str) -> f64 {
    let plain = |text: &str| -> Vec<char> {
        let lower = text.chars().flat_map(char::to_lowercase);
        lower.filter(|c| *c != '_').take(40).collect()
    };
    let (a, b) = (plain(a), plain(b));
    let longest = a.len().max(b.len()).max(1);
    let mut rows: Vec<Vec<usize>> = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for (i, x) in a.iter().enumerate() {
        for (j, y) in b.iter().enumerate() {
            let differs = usize::from(x != y);
            let mut best = (rows[i][j + 1] + 1).min(rows[i + 1][j] + 1).min(rows[i][j] + differs);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            rows[i + 1][j + 1] = best;
        }
    }
    #[allow(clippy::cast_precision_loss, reason = "at most 40 characters")]
    let far = rows[a.len()][b.len()] as f64 / longest as f64;
    far
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn near_names_are_near() {
        let near = |a, b| assert!(distance(a, b) < 0.3, "{a} {b} {}", distance(a, b));
        near("maketree", "make_tree");
        near("xrange", "range");
        near("lenght", "length");
        assert!(distance("total", "items") > 0.6);
    }
}
