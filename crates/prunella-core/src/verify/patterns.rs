//! Shapes of change that hide a failure instead of mending it, read from the syntax trees before and after.
//!
//! *Signals*: two trees of one file.
//! *Method*: what stands after and did not stand before (and the reverse), by its text: moved code is no sign.
//! *Source*: Tan et al., "Anti-patterns in search-based program repair", FSE 2016.

use std::collections::BTreeMap;

use super::refutation::{Pattern, PatternKind, Size};
use crate::diagnose::hunks::{line_hunks, lines};
use crate::repair::synth::{Kind, NodeId, Role, Tree};

/// The most patterns of one file.
const MOST: usize = 20;

/// The anti-patterns of a change of one file.
#[must_use]
pub fn patterns(file: &str, before: &Tree, after: &Tree) -> Vec<Pattern> {
    let new = Fresh::of(before);
    let mut found = Vec::new();
    for id in all(after) {
        let kind = match after.kind(id) {
            Kind::If | Kind::Elif | Kind::Conditional if new.is_new(after, id) => condition(after, id, &new),
            Kind::While if new.is_new(after, id) => dead(after, id, &new),
            Kind::Except if new.is_new(after, id) && does_nothing(after, id) => Some(if catches_all(after, id) {
                PatternKind::SwallowsAll
            } else {
                PatternKind::SwallowedException
            }),
            Kind::Return if new.is_new(after, id) && is_early(after, id) => Some(PatternKind::EarlyReturn),
            _ => None,
        };
        found.extend(kind.map(|kind| pattern(kind, file, after.line(id), after.text(id))));
    }
    found.extend(gone(file, before, after));
    found.truncate(MOST);
    found
}

fn pattern(kind: PatternKind, file: &str, line: u32, text: &str) -> Pattern {
    Pattern {
        kind,
        place: format!("{file}:{line}"),
        what: crate::diagnose::plain(text, 120),
    }
}

fn all(tree: &Tree) -> Vec<NodeId> {
    tree.below(tree.root())
}

/// How often each text of a kind stands in the tree before: what stands there more often after is new.
struct Fresh {
    known: BTreeMap<(Kind, String), usize>,
}

impl Fresh {
    fn of(before: &Tree) -> Self {
        let mut known = BTreeMap::new();
        for id in all(before) {
            *known.entry((before.kind(id), squeezed(before.text(id)))).or_default() += 1;
        }
        Self { known }
    }

    fn is_new(&self, tree: &Tree, id: NodeId) -> bool {
        !self.known.contains_key(&(tree.kind(id), squeezed(tree.text(id))))
    }
}

/// A text without its layout.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A condition that is constant, or that picks out one value and answers it.
fn condition(tree: &Tree, id: NodeId, new: &Fresh) -> Option<PatternKind> {
    dead(tree, id, new).or_else(|| {
        let asked = tree.child(id, Role::Condition)?;
        let body = tree.child(id, Role::Body)?;
        let special = picks_a_value(tree, asked) && new.is_new(tree, asked) && answers_a_constant(tree, body);
        special.then_some(PatternKind::SpecialCase)
    })
}

fn dead(tree: &Tree, id: NodeId, new: &Fresh) -> Option<PatternKind> {
    let asked = tree.child(id, Role::Condition)?;
    let is_dead = is_decided(tree, asked) && new.is_new(tree, asked);
    // `while True` is how loops are written.
    let is_loop = tree.kind(id) == Kind::While && tree.kind(asked) == Kind::True;
    (is_dead && !is_loop).then_some(PatternKind::DeadCondition)
}

/// Whether an expression is the same whatever happens: `True`, `not 1`, `x and False`.
fn is_decided(tree: &Tree, id: NodeId) -> bool {
    let constant = |id: NodeId| matches!(tree.kind(id), Kind::True | Kind::False | Kind::Int | Kind::Nil);
    let parts = || tree.node(id).children.clone();
    match tree.kind(id) {
        Kind::Paren | Kind::Not => parts().iter().any(|part| is_decided(tree, *part)),
        Kind::BoolOp => parts().iter().any(|part| constant(*part)),
        _ => constant(id),
    }
}

/// `x == "some literal"`, also as a part of `and`.
fn picks_a_value(tree: &Tree, id: NodeId) -> bool {
    match tree.kind(id) {
        Kind::Paren | Kind::BoolOp => tree.node(id).children.iter().any(|part| picks_a_value(tree, *part)),
        Kind::Compare => {
            let equals = matches!(tree.operator(id), "==" | "===" | "is" | "in");
            equals && tree.node(id).children.iter().any(|side| is_particular(tree, *side))
        }
        _ => false,
    }
}

/// A literal that no general rule would name: not 0, 1, an empty string or list.
fn is_particular(tree: &Tree, id: NodeId) -> bool {
    let text = tree.text(id);
    match tree.kind(id) {
        Kind::Int | Kind::Float => !matches!(text, "0" | "1" | "2" | "0.0" | "1.0"),
        Kind::Str => text.len() > 3,
        Kind::List | Kind::Tuple | Kind::Set | Kind::Dict => {
            let below = tree.below(id);
            let literal = below.iter().any(|part| is_literal(tree, *part));
            let named = below
                .iter()
                .any(|part| matches!(tree.kind(*part), Kind::Name | Kind::Call));
            literal && !named
        }
        Kind::Unary | Kind::Paren => tree.node(id).children.iter().any(|part| is_particular(tree, *part)),
        _ => false,
    }
}

fn is_literal(tree: &Tree, id: NodeId) -> bool {
    matches!(
        tree.kind(id),
        Kind::Int | Kind::Float | Kind::Str | Kind::True | Kind::False | Kind::Nil
    )
}

/// Whether all that an expression is made of are literals.
fn is_constant(tree: &Tree, id: NodeId) -> bool {
    let leaves = tree.below(id);
    let is_container = |id: &NodeId| {
        matches!(
            tree.kind(*id),
            Kind::List | Kind::Tuple | Kind::Set | Kind::Dict | Kind::Pair | Kind::Unary | Kind::Paren
        )
    };
    leaves.iter().all(|part| is_literal(tree, *part) || is_container(part))
}

/// A block, or an expression, that only answers a constant.
fn answers_a_constant(tree: &Tree, body: NodeId) -> bool {
    let returns = |id: &NodeId| {
        tree.kind(*id) == Kind::Return
            && tree
                .child(*id, Role::Value)
                .is_none_or(|value| is_constant(tree, value))
    };
    match tree.kind(body) {
        Kind::Block => tree.node(body).children.first().is_some_and(returns),
        _ => returns(&body) || is_constant(tree, body),
    }
}

/// A handler of whatever is raised, by its first words; JavaScript has no other.
fn catches_all(tree: &Tree, id: NodeId) -> bool {
    let head = tree.text(id).split(':').next().unwrap_or_default();
    matches!(
        head.split_whitespace().collect::<Vec<_>>().as_slice(),
        ["except"] | ["except", "Exception" | "BaseException", ..]
    )
}

/// A handler that passes, goes on, or answers a constant.
fn does_nothing(tree: &Tree, id: NodeId) -> bool {
    // Not every grammar names a handler's block.
    let block = || {
        tree.node(id)
            .children
            .iter()
            .copied()
            .find(|c| tree.kind(*c) == Kind::Block)
    };
    let Some(body) = tree.child(id, Role::Body).or_else(block) else {
        return false;
    };
    let statements = &tree.node(body).children;
    statements.iter().all(|statement| match tree.kind(*statement) {
        Kind::Pass | Kind::Continue | Kind::Break => true,
        Kind::Return => tree
            .child(*statement, Role::Value)
            .is_none_or(|value| is_constant(tree, value)),
        Kind::ExprStmt => is_literal_statement(tree, *statement),
        _ => false,
    })
}

fn is_literal_statement(tree: &Tree, id: NodeId) -> bool {
    tree.node(id).children.iter().all(|part| tree.kind(*part) == Kind::Str)
}

/// A return of a constant after which statements of the same block follow.
fn is_early(tree: &Tree, id: NodeId) -> bool {
    let Some(block) = tree.ancestors(id).next() else {
        return false;
    };
    let is_last = tree.node(block).children.last() == Some(&id);
    !is_last && tree.child(id, Role::Value).is_none_or(|value| is_constant(tree, value))
}

/// What is there no more: checks, and statements for which nothing came.
fn gone(file: &str, before: &Tree, after: &Tree) -> Vec<Pattern> {
    let kept = Fresh::of(after);
    let is_check = |id: &NodeId| matches!(before.kind(*id), Kind::Raise | Kind::Assert);
    let missing = |id: &NodeId| kept.is_new(before, *id);
    let count = |tree: &Tree, kinds: &[Kind]| all(tree).iter().filter(|id| kinds.contains(&tree.kind(**id))).count();
    let mut found = Vec::new();
    let checks = [Kind::Raise, Kind::Assert];
    if count(after, &checks) < count(before, &checks)
        && let Some(id) = all(before).iter().find(|id| is_check(id) && missing(id))
    {
        found.push(pattern(
            PatternKind::DisabledCheck,
            file,
            before.line(*id),
            before.text(*id),
        ));
    }
    if count(after, &[Kind::Pass]) > count(before, &[Kind::Pass])
        && let Some(id) = all(after)
            .into_iter()
            .find(|id| came_for_a_statement(before, after, *id))
    {
        found.push(pattern(
            PatternKind::DeletedFunctionality,
            file,
            after.line(id),
            after.text(id),
        ));
    }
    let (old, new) = (before.source.as_bytes(), after.source.as_bytes());
    let hunks = line_hunks(old, new);
    for (was, is) in &hunks {
        let text: Vec<&[u8]> = lines(old)[was.start as usize..was.end as usize].to_vec();
        let code = |line: &&[u8]| {
            let text = String::from_utf8_lossy(line);
            let text = text.trim();
            !text.is_empty() && !text.starts_with('#') && !text.starts_with("//")
        };
        if is.is_empty() && hunks.len() == 1 && text.iter().any(code) {
            let shown = String::from_utf8_lossy(text[0]).into_owned();
            found.push(pattern(PatternKind::DeletedFunctionality, file, was.start + 1, &shown));
        }
    }
    found
}

/// A `pass` in a changed place that held a statement.
fn came_for_a_statement(before: &Tree, after: &Tree, id: NodeId) -> bool {
    if after.kind(id) != Kind::Pass {
        return false;
    }
    let (line, old) = (after.line(id), lines(before.source.as_bytes()));
    let hunks = line_hunks(before.source.as_bytes(), after.source.as_bytes());
    hunks.iter().any(|(was, is)| {
        let was_code = old[was.start as usize..was.end as usize]
            .iter()
            .any(|line| line.iter().any(|c| c.is_ascii_alphanumeric()));
        (is.start + 1..=is.end).contains(&line) && was.len() == is.len() && was_code
    })
}

/// How much a change of one text is, without layout.
#[must_use]
pub fn size(before: &str, after: &str) -> Size {
    let (old, new) = (before.as_bytes(), after.as_bytes());
    let mut size = Size {
        files: 1,
        ..Size::default()
    };
    let (was, is) = (lines(old), lines(new));
    for (gone, come) in line_hunks(old, new) {
        size.removed += gone.len() as u32;
        size.added += come.len() as u32;
        let words = |lines: &[&[u8]]| tokens(&String::from_utf8_lossy(&lines.concat()));
        let left = words(&was[gone.start as usize..gone.end as usize]);
        let right = words(&is[come.start as usize..come.end as usize]);
        size.tokens += apart(&left, &right) + apart(&right, &left);
    }
    size
}

/// Words and signs.
fn tokens(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    for c in text.chars() {
        match out.last_mut() {
            Some(last) if is_word(c) && last.chars().all(is_word) => last.push(c),
            _ if c.is_whitespace() => out.push(String::new()),
            _ => out.push(c.to_string()),
        }
    }
    out.retain(|token| !token.is_empty());
    out
}

/// How many of the one are not among the other.
fn apart(of: &[String], other: &[String]) -> u32 {
    let mut known: BTreeMap<&str, i64> = BTreeMap::new();
    for token in other {
        *known.entry(token).or_default() += 1;
    }
    let mut missing = 0;
    for token in of {
        let left = known.entry(token).or_default();
        *left -= 1;
        missing += u32::from(*left < 0);
    }
    missing
}
