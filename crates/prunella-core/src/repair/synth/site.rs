//! Where an operator is asked: a node, what is in scope there, and the expressions that the repair can be made of.

use std::collections::{BTreeMap, BTreeSet};

use super::scope::{Named, Origin, Scope, Shape};
use super::symptoms::Symptoms;
use super::tree::{Dialect, Kind, NodeId, Role, Tree};

/// The longest expression, in bytes, that is used as an ingredient.
const MAX_INGREDIENT: usize = 48;
/// The most ingredients of a function.
const MAX_INGREDIENTS: usize = 160;

/// An expression of the function that may stand elsewhere too ("plastic surgery": fixes are made of what is there).
#[derive(Clone, Debug)]
pub struct Ingredient {
    /// Its text.
    pub text: String,
    /// What it is.
    pub kind: Kind,
    /// What its value is like.
    pub shape: Shape,
    /// The names in it; all must be visible where it is put.
    pub names: Vec<String>,
    /// Where it was first seen.
    pub node: NodeId,
    /// How often it was seen.
    pub count: u32,
}

/// A function under repair.
#[derive(Debug)]
pub struct Site<'a> {
    /// The file.
    pub tree: &'a Tree,
    /// The innermost function around what is looked at.
    pub function: NodeId,
    /// The names that can be used.
    pub scope: Scope,
    /// The expressions of the whole unit, the most frequent first.
    pub ingredients: Vec<Ingredient>,
    /// The variables of which the file takes a member, by the member's name.
    pub owners: BTreeMap<&'a str, BTreeSet<&'a str>>,
    /// What the failing tests show.
    pub symptoms: &'a Symptoms,
}

impl<'a> Site<'a> {
    /// A site for a function.
    #[must_use]
    pub fn new(tree: &'a Tree, function: NodeId, scope: Scope, symptoms: &'a Symptoms) -> Self {
        let ingredients = ingredients(tree, tree.unit(function).unwrap_or(function), &scope);
        Self {
            tree,
            function,
            scope,
            ingredients,
            owners: owners(tree),
            symptoms,
        }
    }

    /// Whether failing tests end with one of these exceptions.
    #[must_use]
    pub fn raised(&self, names: &[&str]) -> bool {
        self.symptoms.exceptions.iter().any(|e| names.contains(&e.as_str()))
    }

    /// The variables (not functions, classes or modules) that may be read at a node.
    #[must_use]
    pub fn variables(&self, at: NodeId) -> Vec<&Named> {
        let all = self.scope.visible(self.tree, at);
        all.filter(|n| !n.shape.is_only(Shape::CALLABLE.or(Shape::OBJECT)) || n.origin == Origin::Local)
            .filter(|n| n.shape != Shape::CALLABLE || n.origin == Origin::Local)
            .collect()
    }

    /// Variables whose value may have this shape.
    #[must_use]
    pub fn of_shape(&self, at: NodeId, shape: Shape) -> Vec<&Named> {
        self.variables(at).into_iter().filter(|n| n.shape.fits(shape)).collect()
    }

    /// The ingredients that can stand at a node.
    pub fn usable(&self, at: NodeId) -> Vec<&Ingredient> {
        let visible: Vec<&str> = self.scope.visible(self.tree, at).map(|n| n.name.as_str()).collect();
        let locals = |name: &String| self.scope.shape(name).is_none() || visible.contains(&name.as_str());
        self.ingredients.iter().filter(|i| i.names.iter().all(locals)).collect()
    }

    /// What its value is like.
    #[must_use]
    pub fn shape_of(&self, id: NodeId) -> Shape {
        self.scope.shape_of(self.tree, id)
    }

    /// Whether the language is Python.
    #[must_use]
    pub fn is_python(&self) -> bool {
        self.tree.dialect == Dialect::Python
    }

    /// Whether the language is Rust.
    #[must_use]
    pub fn is_rust(&self) -> bool {
        self.tree.dialect == Dialect::Rust
    }

    /// Whether a node is an expression whose value is used, not a target, callee or name.
    #[must_use]
    pub fn is_value(&self, id: NodeId) -> bool {
        let node = self.tree.node(id);
        node.kind.is_expression()
            && !matches!(node.role, Role::Callee | Role::Name | Role::Target)
            && self.tree.is_read(id)
            && !self.tree.ancestors(id).any(|a| self.tree.kind(a) == Kind::Import)
    }

    /// The condition, if the node is one: of a branch, loop, filter, assertion, or an operand of one.
    #[must_use]
    pub fn is_condition(&self, id: NodeId) -> bool {
        let node = self.tree.node(id);
        node.role == Role::Condition && node.kind.is_expression()
    }

    /// Words of the language.
    #[must_use]
    pub fn words(&self) -> &'static Words {
        match self.tree.dialect {
            Dialect::Python => &PYTHON,
            Dialect::JavaScript => &JAVASCRIPT,
            Dialect::Rust => &RUST,
        }
    }
}

/// How a language writes things.
#[derive(Debug)]
#[allow(missing_docs, reason = "each is its own text in the language")]
pub struct Words {
    pub and: &'static str,
    pub or: &'static str,
    pub not: &'static str,
    pub nil: &'static str,
    pub is: &'static str,
    pub is_not: &'static str,
    pub yes: &'static str,
    pub no: &'static str,
    pub equal: &'static [&'static str],
    pub order: &'static [&'static str],
}

static PYTHON: Words = Words {
    and: "and",
    or: "or",
    not: "not ",
    nil: "None",
    is: "is",
    is_not: "is not",
    yes: "True",
    no: "False",
    equal: &["==", "!="],
    order: &["<", "<=", ">", ">="],
};

static JAVASCRIPT: Words = Words {
    and: "&&",
    or: "||",
    not: "!",
    nil: "null",
    is: "==",
    is_not: "!=",
    yes: "true",
    no: "false",
    equal: &["===", "!=="],
    order: &["<", "<=", ">", ">="],
};

static RUST: Words = Words {
    and: "&&",
    or: "||",
    not: "!",
    nil: "None",
    is: "==",
    is_not: "!=",
    yes: "true",
    no: "false",
    equal: &["==", "!="],
    order: &["<", "<=", ">", ">="],
};

fn ingredients(tree: &Tree, unit: NodeId, scope: &Scope) -> Vec<Ingredient> {
    let mut found: Vec<Ingredient> = Vec::new();
    for id in tree.below(unit) {
        let node = tree.node(id);
        let is_plain =
            !matches!(node.kind, Kind::Yield | Kind::Lambda | Kind::Str | Kind::Paren) || node.span.len() < 20;
        if !node.kind.is_expression() || node.span.len() > MAX_INGREDIENT || !is_plain || node.role == Role::Callee {
            continue;
        }
        let text = tree.text(id);
        let is_bare_tuple = node.kind == Kind::Tuple && !text.starts_with('(');
        if text.contains('\n') || is_bare_tuple || is_keyword_default(tree, id) {
            continue;
        }
        if let Some(known) = found.iter_mut().find(|i| i.text == text) {
            known.count += 1;
            continue;
        }
        if found.len() < MAX_INGREDIENTS {
            let inside = tree.below(id).into_iter();
            found.push(Ingredient {
                text: text.to_owned(),
                kind: node.kind,
                shape: scope.shape_of(tree, id),
                names: inside
                    .filter(|at| tree.kind(*at) == Kind::Name)
                    .map(|at| tree.text(at).to_owned())
                    .collect(),
                node: id,
                count: 1,
            });
        }
    }
    found.sort_by_key(|i| (std::cmp::Reverse(i.count), i.text.len()));
    found
}

fn owners(tree: &Tree) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for id in tree.below(tree.root()) {
        if tree.kind(id) != Kind::Attribute {
            continue;
        }
        if let (Some(object), Some(name)) = (tree.child(id, Role::Object), tree.child(id, Role::Name))
            && tree.kind(object) == Kind::Name
        {
            found.entry(tree.text(name)).or_default().insert(tree.text(object));
        }
    }
    found
}

fn is_keyword_default(tree: &Tree, id: NodeId) -> bool {
    tree.ancestors(id).any(|a| tree.kind(a) == Kind::Params)
}

/// The text as an operand: in parentheses if it would bind more loosely than what is put beside it.
#[must_use]
pub(super) fn operand(kind: Kind, text: &str) -> String {
    let is_tight = matches!(
        kind,
        Kind::Name
            | Kind::Int
            | Kind::Float
            | Kind::Str
            | Kind::True
            | Kind::False
            | Kind::Nil
            | Kind::Call
            | Kind::Attribute
            | Kind::Subscript
            | Kind::Paren
            | Kind::List
            | Kind::Dict
            | Kind::Set
    );
    let is_bracketed = kind == Kind::Comprehension && text.starts_with(['[', '{', '(']);
    if is_tight || is_bracketed {
        text.to_owned()
    } else {
        format!("({text})")
    }
}
