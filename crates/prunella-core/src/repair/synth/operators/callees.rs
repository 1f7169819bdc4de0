//! The wrong function.
//!
//! *Signals*: a call on an executed line.
//! *Method*: functions and methods that are mistaken for each other (families), and the functions of the file that take as
//! many arguments.
//! *Source*: ManySStuBs4J "wrong function name"; TBar FP10.1; Getafix's "wrong API" patterns.
//! *Fix safety*: changes what is called, with the same arguments.

use super::Operator;
use crate::repair::synth::change::Proposals;
use crate::repair::synth::site::Site;
use crate::repair::synth::tree::{Kind, NodeId, Role};

pub(super) struct Callees;

/// Functions of the languages and their libraries that are taken for each other.
const FAMILIES: &[&[&str]] = &[
    &["any", "all"],
    &["min", "max", "sum"],
    &["sorted", "list", "set", "tuple", "reversed"],
    &["int", "float", "round", "abs"],
    &["str", "repr"],
    &["range", "enumerate"],
    &["isinstance", "issubclass"],
    &["append", "extend", "add", "appendleft", "insert"],
    &["pop", "popleft", "remove", "discard"],
    &[
        "update",
        "add",
        "union",
        "intersection",
        "difference",
        "symmetric_difference",
    ],
    &["issubset", "issuperset", "isdisjoint"],
    &["keys", "values", "items"],
    &["get", "setdefault", "pop"],
    &["index", "find", "rindex", "rfind"],
    &["strip", "lstrip", "rstrip"],
    &["split", "rsplit", "splitlines", "partition", "rpartition"],
    &["startswith", "endswith"],
    &["upper", "lower", "capitalize", "title", "casefold"],
    &["floor", "ceil", "trunc", "round"],
    &["isdigit", "isalpha", "isalnum", "isspace", "isnumeric"],
    &["ljust", "rjust", "center", "zfill"],
    &["match", "search", "fullmatch", "findall", "finditer"],
    &["push", "unshift", "concat"],
    &["shift", "pop"],
    &["slice", "splice", "substring"],
    &["some", "every"],
    &["map", "filter", "forEach", "flatMap"],
    &["indexOf", "lastIndexOf", "findIndex", "includes"],
    &["startsWith", "endsWith", "includes"],
    &["toUpperCase", "toLowerCase"],
    &["encode", "decode"],
    &["copy", "deepcopy"],
    &["load", "loads"],
    &["dump", "dumps"],
    &["exists", "isfile", "isdir"],
    &["basename", "dirname"],
    &["read", "readline", "readlines"],
    &["write", "writelines"],
    &["now", "utcnow"],
    &["fromtimestamp", "utcfromtimestamp"],
    &["strftime", "strptime"],
    &["log", "log2", "log10", "log1p"],
    &["exp", "expm1"],
    &["sin", "cos", "tan"],
    &["randint", "randrange"],
    &["zip", "zip_longest"],
    &["izip", "zip"],
    &["permutations", "combinations", "product"],
    &["takewhile", "dropwhile"],
    &["bisect", "bisect_left", "bisect_right"],
    &["insort", "insort_left", "insort_right"],
    &["heappush", "heappop", "heappushpop", "heapreplace"],
    &["nlargest", "nsmallest"],
    &["iteritems", "items"],
    &["itervalues", "values"],
    &["xrange", "range"],
    &["lower", "casefold"],
    &["isinstance", "type"],
    &["getattr", "hasattr"],
    &["quote", "quote_plus", "unquote", "unquote_plus"],
    &["debug", "info", "warning", "error"],
    &["issubset", "isdisjoint"],
    &["trim", "trimStart", "trimEnd"],
    &["padStart", "padEnd"],
    &["parseInt", "parseFloat", "Number"],
    &["floor", "ceil", "round", "trunc"],
    &["keys", "values", "entries"],
    &["find", "findIndex", "filter"],
    &["replace", "replaceAll"],
    &["charAt", "charCodeAt", "codePointAt"],
    &["substr", "substring", "slice"],
    &["reduce", "reduceRight"],
    &["sort", "toSorted"],
    &["reverse", "toReversed"],
    &["getMonth", "getDate", "getDay"],
];

impl Operator for Callees {
    fn name(&self) -> &'static str {
        "callee"
    }

    fn prior(&self) -> f64 {
        0.05
    }

    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
        let tree = site.tree;
        if tree.kind(node) != Kind::Call {
            return;
        }
        let Some(callee) = tree.child(node, Role::Callee) else {
            return;
        };
        let label = if tree.kind(callee) == Kind::Attribute {
            tree.child(callee, Role::Name)
        } else {
            Some(callee)
        };
        let Some(label) = label else { return };
        let now = tree.text(label);
        let mut family: Vec<&str> = FAMILIES
            .iter()
            .filter(|f| f.contains(&now))
            .flat_map(|f| f.iter().copied())
            .collect();
        family.sort_unstable();
        family.dedup();
        family.retain(|other| *other != now);
        #[allow(clippy::cast_precision_loss, reason = "a handful of names")]
        let share = 0.7 / family.len().max(1) as f64;
        for other in family {
            out.replace(label, other, share);
        }
        if tree.kind(callee) == Kind::Name {
            own_functions(site, node, callee, out);
        }
    }
}

fn own_functions(site: &Site<'_>, call: NodeId, callee: NodeId, out: &mut Proposals<'_>) {
    let tree = site.tree;
    let given = tree
        .node(call)
        .children
        .iter()
        .find(|c| tree.kind(**c) == Kind::Args)
        .map_or(1, |args| tree.node(*args).children.len());
    let takes = |function: NodeId| {
        let params = tree
            .node(function)
            .children
            .iter()
            .find(|c| tree.kind(**c) == Kind::Params);
        params.map_or(0, |p| tree.node(*p).children.len())
    };
    let mut names: Vec<&str> = tree
        .functions()
        .into_iter()
        .filter(|f| takes(*f) == given && site.scope.shape(tree.name(*f)).is_some())
        .map(|f| tree.name(f))
        .filter(|name| *name != tree.text(callee))
        .take(12)
        .collect();
    names.dedup();
    #[allow(clippy::cast_precision_loss, reason = "at most twelve")]
    let share = 0.3 / names.len().max(1) as f64;
    for name in names {
        out.replace(callee, name, share);
    }
}
