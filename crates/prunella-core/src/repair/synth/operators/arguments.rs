//! Arguments in the wrong order, one too many, one too few.
//!
//! *Signals*: a call, a tuple or a composite index on an executed line.
//! *Method*: exchanges each pair, leaves one out, puts in a variable, names one.
//! *Source*: ManySStuBs4J "swap arguments", "same function more/less args"; Rice et al., "Detecting argument selection
//! defects" (OOPSLA 2017); TBar FP10.
//! *Fix safety*: changes what one call is given.

use super::Operator;
use crate::repair::synth::change::{Proposals, Replace};
use crate::repair::synth::scope::Origin;
use crate::repair::synth::site::Site;
use crate::repair::synth::tree::{Kind, NodeId, Role};

pub(super) struct Arguments;

/// Lists of more elements are data.
const MAX_ARGUMENTS: usize = 6;

impl Operator for Arguments {
    fn name(&self) -> &'static str {
        "arguments"
    }

    fn prior(&self) -> f64 {
        0.07
    }

    fn propose(&self, site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
        let tree = site.tree;
        let is_call = tree.kind(node) == Kind::Args;
        let is_list = matches!(tree.kind(node), Kind::Tuple | Kind::List) && tree.is_read(node);
        let items = &tree.node(node).children;
        if !(is_call || is_list) || items.len() > MAX_ARGUMENTS {
            return;
        }
        exchanged(site, node, out);
        if is_call {
            fewer(site, node, out);
            more(site, node, out);
            named(site, node, out);
        }
    }
}

fn exchanged(site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
    let tree = site.tree;
    let items = &tree.node(node).children;
    let pairs = items.len() * items.len().saturating_sub(1) / 2;
    #[allow(clippy::cast_precision_loss, reason = "at most 15")]
    let share = 0.5 / pairs.max(1) as f64;
    for (at, a) in items.iter().enumerate() {
        for b in &items[at + 1..] {
            let edits = [(a, b), (b, a)].map(|(at, by)| Replace {
                span: tree.node(*at).span.clone(),
                text: tree.text(*by).to_owned(),
            });
            out.edits(node, edits.to_vec(), share);
        }
    }
}

fn fewer(site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
    let tree = site.tree;
    let items = &tree.node(node).children;
    #[allow(clippy::cast_precision_loss, reason = "at most six")]
    let share = 0.15 / items.len().max(1) as f64;
    for (at, item) in items.iter().enumerate() {
        let span = tree.node(*item).span.clone();
        let gone = match (at, items.get(at + 1)) {
            (_, Some(next)) => span.start..tree.node(*next).span.start,
            (0, None) => span,
            (_, None) => tree.node(items[at - 1]).span.end..span.end,
        };
        out.edits(
            node,
            vec![Replace {
                span: gone,
                text: String::new(),
            }],
            share,
        );
    }
}

/// Parameters of the standard library that are left out by mistake, and variables handed on under their own names.
fn named(site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
    let tree = site.tree;
    let items = &tree.node(node).children;
    let call = tree.node(node).parent;
    let Some(callee) = call
        .and_then(|call| tree.child(call, Role::Callee))
        .filter(|_| site.is_python())
    else {
        return;
    };
    let name = tree
        .child(callee, Role::Name)
        .map_or_else(|| tree.text(callee), |n| tree.text(n));
    let usual: &[&str] = match name {
        "sorted" | "sort" | "min" | "max" | "nlargest" | "nsmallest" => &[
            "reverse=True",
            "key=len",
            "key=str",
            "key=str.lower",
            "key=abs",
            "key=lambda x: x[0]",
            "key=lambda x: x[1]",
            "key=lambda x: -x[1]",
        ],
        "open" | "read_text" | "write_text" => &["encoding='utf-8'", "newline=''"],
        "loads" | "dumps" => &["sort_keys=True", "ensure_ascii=False", "default=str"],
        "zip" => &["strict=True"],
        "round" => &["2"],
        "decode" | "encode" => &["'utf-8'", "errors='replace'", "errors='ignore'"],
        "print" => &["end=''"],
        "makedirs" | "mkdir" => &["exist_ok=True", "parents=True"],
        "rmtree" => &["ignore_errors=True"],
        "int" => &["16", "2"],
        _ => &[],
    };
    let mut texts: Vec<(String, f64)> = usual.iter().map(|text| ((*text).to_owned(), 0.1)).collect();
    let given: Vec<&str> = items
        .iter()
        .filter(|i| tree.kind(**i) == Kind::Keyword)
        .map(|i| tree.text(*i))
        .collect();
    // A call that names its arguments, or hands on what it was given, may have forgotten one.
    let weight = if given.is_empty() { 0.01 } else { 0.04 };
    for variable in site
        .variables(node)
        .into_iter()
        .filter(|n| n.origin == Origin::Local)
        .take(8)
    {
        let is_given = given
            .iter()
            .any(|g| g.split('=').next() == Some(variable.name.as_str()));
        if !is_given && variable.name != "self" {
            texts.push((format!("{0}={0}", variable.name), weight));
        }
    }
    for (text, share) in texts {
        let edit = if let Some(last) = items.last() {
            let at = tree.node(*last).span.end;
            Replace {
                span: at..at,
                text: format!(", {text}"),
            }
        } else {
            let at = tree.node(node).span.start + 1;
            Replace { span: at..at, text }
        };
        out.edits(node, vec![edit], share);
    }
}

fn more(site: &Site<'_>, node: NodeId, out: &mut Proposals<'_>) {
    let tree = site.tree;
    let items = &tree.node(node).children;
    if tree
        .node(node)
        .parent
        .is_none_or(|call| tree.child(call, Role::Callee).is_none())
    {
        return;
    }
    let variables = site.variables(node);
    let mut texts: Vec<String> = variables.iter().map(|n| n.name.clone()).collect();
    texts.extend(["0", "1", "-1", site.words().nil].map(ToOwned::to_owned));
    #[allow(clippy::cast_precision_loss, reason = "a handful of names")]
    let share = 0.35 / (texts.len() * (items.len() + 1)) as f64;
    let inside = tree.node(node).span.start + 1;
    for text in texts {
        for place in 0..=items.len() {
            let edit = if let Some(next) = items.get(place) {
                let at = tree.node(*next).span.start;
                Replace {
                    span: at..at,
                    text: format!("{text}, "),
                }
            } else if let Some(last) = items.last() {
                let at = tree.node(*last).span.end;
                Replace {
                    span: at..at,
                    text: format!(", {text}"),
                }
            } else {
                Replace {
                    span: inside..inside,
                    text: text.clone(),
                }
            };
            out.edits(node, vec![edit], share);
        }
    }
}
