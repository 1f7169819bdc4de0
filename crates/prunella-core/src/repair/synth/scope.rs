//! Which names may stand where, and what their values are like.
//!
//! *Method*: bindings are read from the tree, shapes from literals, uses and the types that were observed while the
//! tests ran. A shape is a guess that errs towards "may be": it removes what cannot work, and every candidate is run.

use std::collections::{BTreeMap, BTreeSet};

use super::tree::{Dialect, Kind, NodeId, Role, Tree};
use super::typed;

/// What a value may be like: a set of shapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape(u16);

impl Shape {
    /// A number.
    pub const NUMBER: Self = Self(1);
    /// Text or bytes.
    pub const TEXT: Self = Self(2);
    /// A list, tuple or other sequence.
    pub const LIST: Self = Self(4);
    /// A mapping.
    pub const MAP: Self = Self(8);
    /// A set.
    pub const SET: Self = Self(16);
    /// A truth value.
    pub const BOOL: Self = Self(32);
    /// A function or class.
    pub const CALLABLE: Self = Self(64);
    /// An object with members of its own, or none.
    pub const OBJECT: Self = Self(128);
    /// Nothing is known.
    pub const ANY: Self = Self(255);
    /// What can be measured, indexed or iterated over.
    pub const CONTAINER: Self = Self(2 | 4 | 8 | 16);

    /// Whether a value of one may be one of the other.
    #[must_use]
    pub fn fits(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether it is known to be at most this.
    #[must_use]
    pub fn is_only(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Either.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Of a type's name at run time.
    #[must_use]
    pub fn of_type(name: &str) -> Self {
        match name {
            "int" | "float" | "complex" | "Decimal" | "Fraction" | "number" | "bigint" => Self::NUMBER,
            "bool" | "boolean" => Self::BOOL,
            "str" | "bytes" | "bytearray" | "string" => Self::TEXT,
            "list" | "tuple" | "deque" | "range" | "Array" | "array" => Self::LIST,
            "dict" | "defaultdict" | "OrderedDict" | "Counter" | "Map" => Self::MAP,
            "set" | "frozenset" | "Set" => Self::SET,
            "function" | "method" | "builtin_function_or_method" | "type" => Self::CALLABLE,
            _ => Self::OBJECT,
        }
    }
}

/// Where a name comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A parameter or a variable of the function or of one around it.
    Local,
    /// Of the module.
    Global,
}

/// A name that can be used.
#[derive(Clone, Debug)]
pub struct Named {
    /// The name.
    pub name: String,
    /// What its value is like.
    pub shape: Shape,
    /// Where it comes from.
    pub origin: Origin,
    /// Where it is bound first; 0 for parameters and what is bound before the function runs.
    pub from: usize,
    /// The only part of the source that sees it, for the variables of comprehensions.
    pub only_in: Option<std::ops::Range<usize>>,
}

/// The types that were seen at run time: function (qualified name) → variable → type names.
pub type ObservedTypes = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// The names that a function can use.
#[derive(Clone, Debug)]
pub struct Scope {
    names: Vec<Named>,
    /// What the members of declared types are like.
    fields: BTreeMap<String, Shape>,
}

impl Scope {
    /// The scope of a function of this tree.
    #[must_use]
    pub fn of(tree: &Tree, function: NodeId, types: &ObservedTypes) -> Self {
        let mut scope = Self {
            names: Vec::new(),
            fields: match tree.dialect {
                Dialect::Rust => typed::fields(tree),
                Dialect::Python | Dialect::JavaScript => BTreeMap::new(),
            },
        };
        let around = std::iter::once(function)
            .chain(tree.ancestors(function))
            .filter(|at| tree.kind(*at) == Kind::Function);
        for (depth, at) in around.enumerate() {
            let seen = types.get(&tree.qualified_name(at));
            scope.add_locals(tree, at, depth == 0, seen);
        }
        scope.add_globals(tree);
        scope
    }

    fn add(&mut self, named: Named) {
        if named.name != "_"
            && !self
                .names
                .iter()
                .any(|n| n.name == named.name && n.only_in == named.only_in)
        {
            self.names.push(named);
        }
    }

    fn add_locals(
        &mut self,
        tree: &Tree,
        function: NodeId,
        is_own: bool,
        seen: Option<&BTreeMap<String, BTreeSet<String>>>,
    ) {
        for id in tree.below(function) {
            let is_inner = tree.function(id).is_some_and(|f| f != function);
            let kind = tree.kind(id);
            if kind == Kind::Function && id != function && !is_inner {
                self.add(local(tree.name(id), Shape::CALLABLE, 0));
            }
            if kind != Kind::Name || is_inner || tree.is_read(id) {
                continue;
            }
            let name = tree.text(id);
            let observed = seen.and_then(|seen| seen.get(name));
            let shape = observed.map_or_else(|| guessed(tree, function, id), union);
            let comprehension = tree
                .ancestors(id)
                .take_while(|at| *at != function)
                .find(|at| matches!(tree.kind(*at), Kind::Comprehension | Kind::Lambda));
            let is_parameter = tree.ancestors(id).take(2).any(|at| tree.kind(at) == Kind::Params);
            let from = if is_parameter || !is_own {
                0
            } else {
                tree.node(id).span.start
            };
            self.add(Named {
                only_in: comprehension.map(|at| tree.node(at).span.clone()),
                ..local(name, shape, from)
            });
        }
        // Assigned in statements of a form that is not looked into.
        for (name, types) in seen.into_iter().flatten() {
            if !self.names.iter().any(|n| n.name == *name) && tree.text(function).contains(name.as_str()) && is_own {
                let shape = union(types);
                if tree.functions().iter().all(|f| tree.name(*f) != name) {
                    self.add(local(name, shape, tree.node(function).span.start));
                }
            }
        }
    }

    fn add_globals(&mut self, tree: &Tree) {
        for id in tree.node(tree.root()).children.clone() {
            match tree.kind(id) {
                Kind::Function | Kind::Class => self.add(global(tree.name(id), Shape::CALLABLE)),
                Kind::Assign => {
                    let Some(left) = tree.child(id, Role::Left) else {
                        continue;
                    };
                    let shape = tree
                        .child(id, Role::Right)
                        .map_or(Shape::ANY, |right| literal_shape(tree, right));
                    for at in tree.below(left).into_iter().filter(|at| tree.kind(*at) == Kind::Name) {
                        self.add(global(tree.text(at), shape));
                    }
                }
                Kind::Import => {
                    for name in imported(tree.text(id)) {
                        self.add(global(name, Shape::CALLABLE.or(Shape::OBJECT)));
                    }
                }
                _ => {}
            }
        }
    }

    /// The names that may be read at a node.
    pub fn visible<'a>(&'a self, tree: &'a Tree, at: NodeId) -> impl Iterator<Item = &'a Named> + 'a {
        let span = tree.node(at).span.clone();
        let begin = tree.statement(at).map_or(span.start, |s| tree.node(s).span.start);
        let outermost_loop = tree
            .ancestors(at)
            .take_while(|a| tree.kind(*a) != Kind::Function)
            .filter(|a| matches!(tree.kind(*a), Kind::For | Kind::While))
            .last()
            .map(|a| tree.node(a).span.clone());
        self.names.iter().filter(move |named| match &named.only_in {
            Some(part) => part.start <= span.start && span.end <= part.end,
            None => {
                named.from < begin.max(span.start) || outermost_loop.as_ref().is_some_and(|l| l.contains(&named.from))
            }
        })
    }

    /// The shape of a name.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<Shape> {
        self.names
            .iter()
            .find(|named| named.name == name)
            .map(|named| named.shape)
    }

    /// What the value of an expression is like.
    #[must_use]
    pub fn shape_of(&self, tree: &Tree, id: NodeId) -> Shape {
        match tree.kind(id) {
            Kind::Name => self.shape(tree.text(id)).unwrap_or(Shape::ANY),
            Kind::Attribute if !self.fields.is_empty() => {
                let label = tree.child(id, Role::Name).map_or("", |name| tree.text(name));
                self.fields.get(label).copied().unwrap_or(Shape::ANY)
            }
            Kind::Paren | Kind::Await => {
                let inner = tree.node(id).children.first().copied();
                inner.map_or(Shape::ANY, |inner| self.shape_of(tree, inner))
            }
            Kind::Subscript => {
                let index = tree.child(id, Role::Index);
                let object = tree
                    .child(id, Role::Object)
                    .map_or(Shape::ANY, |o| self.shape_of(tree, o));
                let is_slice = index.is_some_and(|i| tree.kind(i) == Kind::Slice);
                if is_slice || object == Shape::TEXT {
                    object
                } else {
                    Shape::ANY
                }
            }
            Kind::Binary => {
                let of = |role| tree.child(id, role).map_or(Shape::ANY, |o| self.shape_of(tree, o));
                let (left, right) = (of(Role::Left), of(Role::Right));
                if left == Shape::ANY { right } else { left }
            }
            _ => literal_shape(tree, id),
        }
    }
}

fn local(name: &str, shape: Shape, from: usize) -> Named {
    Named {
        name: name.to_owned(),
        shape,
        origin: Origin::Local,
        from,
        only_in: None,
    }
}

fn global(name: &str, shape: Shape) -> Named {
    Named {
        origin: Origin::Global,
        ..local(name, shape, 0)
    }
}

fn union(types: &BTreeSet<String>) -> Shape {
    let shapes = types.iter().filter(|t| *t != "NoneType").map(|t| Shape::of_type(t));
    shapes.reduce(Shape::or).unwrap_or(Shape::OBJECT)
}

/// From what is assigned to the name and how it is used in the function.
fn guessed(tree: &Tree, function: NodeId, binding: NodeId) -> Shape {
    if tree.dialect == Dialect::Rust
        && let Some(shape) = typed::declared(tree, binding)
    {
        return shape;
    }
    let parent = tree.node(binding).parent;
    let assigned = parent.filter(|p| matches!(tree.kind(*p), Kind::Assign | Kind::Param));
    if let Some(value) = assigned.and_then(|p| tree.child(p, Role::Right).or_else(|| tree.child(p, Role::Value))) {
        let shape = literal_shape(tree, value);
        if shape != Shape::ANY && tree.kind(value) != Kind::Nil {
            return shape;
        }
    }
    let name = tree.text(binding);
    let uses = tree
        .below(function)
        .into_iter()
        .filter(|id| tree.kind(*id) == Kind::Name && tree.text(*id) == name);
    let hints = uses.filter_map(|id| {
        let node = tree.node(id);
        match (tree.kind(node.parent?), node.role) {
            (Kind::Call, Role::Callee) => Some(Shape::CALLABLE),
            (Kind::Subscript, Role::Object) | (Kind::For | Kind::ForIn, Role::Iterable) => Some(Shape::CONTAINER),
            (Kind::Subscript, Role::Index) if tree.dialect == Dialect::Rust => Some(Shape::NUMBER),
            (Kind::Subscript, Role::Index) => Some(Shape::NUMBER.or(Shape::TEXT).or(Shape::OBJECT)),
            _ => None,
        }
    });
    hints.reduce(Shape::or).unwrap_or(Shape::ANY)
}

fn literal_shape(tree: &Tree, id: NodeId) -> Shape {
    match tree.kind(id) {
        Kind::Int | Kind::Float => Shape::NUMBER,
        Kind::Str => Shape::TEXT,
        Kind::True | Kind::False | Kind::Compare | Kind::Chain | Kind::Not => Shape::BOOL,
        Kind::Nil => Shape::OBJECT,
        Kind::List | Kind::Tuple | Kind::Comprehension => Shape::LIST,
        Kind::Set => Shape::SET,
        Kind::Dict => Shape::MAP,
        Kind::Lambda => Shape::CALLABLE,
        Kind::Unary => Shape::NUMBER,
        _ if tree.dialect == Dialect::Rust => typed::of_expression(tree, id),
        Kind::Call => match tree.child(id, Role::Callee).map_or("", |callee| tree.text(callee)) {
            "len" | "int" | "float" | "sum" | "abs" | "round" | "ord" | "Number" => Shape::NUMBER,
            "str" | "repr" | "chr" | "input" | "String" => Shape::TEXT,
            "list" | "sorted" | "tuple" | "range" | "reversed" | "enumerate" | "zip" | "map" | "filter" | "deque" => {
                Shape::LIST
            }
            "set" | "frozenset" => Shape::SET,
            "dict" | "defaultdict" | "Counter" => Shape::MAP,
            "any" | "all" | "isinstance" | "bool" | "callable" | "hasattr" => Shape::BOOL,
            _ => Shape::ANY,
        },
        _ => Shape::ANY,
    }
}

/// The names that an import statement binds.
fn imported(text: &str) -> Vec<&str> {
    let list = text.split_once("import").map_or("", |(_, list)| list);
    let names = list.split([',', '(', ')', '{', '}', '\n']);
    let bound = names.filter_map(|item| {
        let item = item.split('#').next().unwrap_or_default();
        let last = item.split(" as ").last()?.trim();
        let first = last.split('.').next()?;
        (!first.is_empty() && first.chars().all(|c| c.is_alphanumeric() || c == '_')).then_some(first)
    });
    bound.collect()
}
