//! A syntax tree that repair operators read, the same for every language.
//!
//! `prunella-lang` fills it from a grammar; the operators here never see which one. Every node is a span of the source,
//! so that an edit replaces exactly the bytes of the nodes that it changes and keeps all others.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Index of a node in its tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NodeId(u32);

impl NodeId {
    fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is the ordinary word for that construct")]
pub enum Kind {
    // Statements and what holds them.
    Module,
    Function,
    Class,
    Params,
    Param,
    Block,
    If,
    Elif,
    Else,
    While,
    For,
    Return,
    ExprStmt,
    Assign,
    AugAssign,
    Raise,
    Try,
    Except,
    With,
    Assert,
    Break,
    Continue,
    Pass,
    Import,
    OtherStmt,
    // Expressions.
    /// A variable.
    Name,
    /// The name of a member or of a keyword argument.
    Label,
    Int,
    Float,
    Str,
    True,
    False,
    /// `None`, `null`, `undefined`.
    Nil,
    Call,
    Args,
    Keyword,
    Splat,
    Attribute,
    Subscript,
    Slice,
    Binary,
    Unary,
    Not,
    BoolOp,
    Compare,
    /// `a < b < c`.
    Chain,
    Conditional,
    Lambda,
    List,
    Tuple,
    Set,
    Dict,
    Pair,
    Comprehension,
    ForIn,
    IfClause,
    Paren,
    Await,
    Yield,
    OtherExpr,
}

impl Kind {
    /// Whether it is a statement of a block.
    #[must_use]
    pub fn is_statement(self) -> bool {
        use Kind::{
            Assert, Assign, AugAssign, Break, Class, Continue, ExprStmt, For, Function, If, Import, OtherStmt, Pass,
            Raise, Return, Try, While, With,
        };
        matches!(
            self,
            Function
                | Class
                | If
                | While
                | For
                | Return
                | ExprStmt
                | Assign
                | AugAssign
                | Raise
                | Try
                | With
                | Assert
                | Break
                | Continue
                | Pass
                | Import
                | OtherStmt
        )
    }

    /// Whether it has a value that can stand wherever an expression may.
    #[must_use]
    pub fn is_expression(self) -> bool {
        use Kind::{
            Attribute, Await, Binary, BoolOp, Call, Chain, Compare, Comprehension, Conditional, Dict, False, Float,
            Int, Lambda, List, Name, Nil, Not, OtherExpr, Paren, Set, Str, Subscript, True, Tuple, Unary, Yield,
        };
        matches!(
            self,
            Name | Int
                | Float
                | Str
                | True
                | False
                | Nil
                | Call
                | Attribute
                | Subscript
                | Binary
                | Unary
                | Not
                | BoolOp
                | Compare
                | Chain
                | Conditional
                | Lambda
                | List
                | Tuple
                | Set
                | Dict
                | Comprehension
                | Paren
                | Await
                | Yield
                | OtherExpr
        )
    }
}

/// What a node is to its parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Nothing particular.
    Part,
    /// A function's, class's or keyword's name, a member's name.
    Name,
    /// Left operand, or what is assigned to.
    Left,
    /// Right operand, or what is assigned.
    Right,
    /// What is called.
    Callee,
    /// One argument of a call.
    Argument,
    /// What an attribute or subscript is taken of.
    Object,
    /// What is between the brackets.
    Index,
    /// What is asked by `if`, `while`, an assertion or a conditional expression.
    Condition,
    /// The block, or the element of a comprehension.
    Body,
    /// The other branch.
    Otherwise,
    /// What is iterated over.
    Iterable,
    /// The variable of a loop or parameter.
    Target,
    /// What is returned, raised, yielded, awaited, or a parameter's default.
    Value,
}

/// One node.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// What it is to its parent.
    pub role: Role,
    /// Its bytes in the source.
    pub span: Range<usize>,
    /// Its operator's bytes, for operations and augmented assignments.
    pub operator: Option<Range<usize>>,
    /// Its parent; the root has none.
    pub parent: Option<NodeId>,
    /// Its children in the order of the source.
    pub children: Vec<NodeId>,
}

/// How a language writes what operators insert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Python 3.
    Python,
    /// JavaScript and TypeScript.
    JavaScript,
    /// Rust.
    Rust,
}

/// A parsed file.
#[derive(Clone, Debug)]
pub struct Tree {
    /// The source text.
    pub source: String,
    /// The language's way of writing.
    pub dialect: Dialect,
    nodes: Vec<Node>,
    lines: Vec<usize>,
}

impl Tree {
    /// A tree with only its root.
    #[must_use]
    pub fn new(source: String, dialect: Dialect) -> Self {
        let lines = std::iter::once(0)
            .chain(source.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        let root = Node {
            kind: Kind::Module,
            role: Role::Part,
            span: 0..source.len(),
            operator: None,
            parent: None,
            children: Vec::new(),
        };
        Self {
            source,
            dialect,
            nodes: vec![root],
            lines,
        }
    }

    /// Adds a node below `parent`, after its other children.
    ///
    /// # Panics
    /// If `parent` is not of this tree.
    pub fn add(
        &mut self,
        parent: NodeId,
        kind: Kind,
        role: Role,
        span: Range<usize>,
        operator: Option<Range<usize>>,
    ) -> NodeId {
        let id = NodeId(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        self.nodes.push(Node {
            kind,
            role,
            span,
            operator,
            parent: Some(parent),
            children: Vec::new(),
        });
        self.nodes[parent.index()].children.push(id);
        id
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> NodeId {
        NodeId(0)
    }

    /// The node with this id.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self, id: NodeId) -> Kind {
        self.node(id).kind
    }

    /// Its text.
    #[must_use]
    pub fn text(&self, id: NodeId) -> &str {
        &self.source[self.node(id).span.clone()]
    }

    /// The text of its operator; empty if it has none.
    #[must_use]
    pub fn operator(&self, id: NodeId) -> &str {
        self.node(id).operator.clone().map_or("", |span| &self.source[span])
    }

    /// Its first child with this role.
    #[must_use]
    pub fn child(&self, id: NodeId, role: Role) -> Option<NodeId> {
        self.node(id)
            .children
            .iter()
            .copied()
            .find(|c| self.node(*c).role == role)
    }

    /// All of its children with this role.
    pub fn children(&self, id: NodeId, role: Role) -> impl Iterator<Item = NodeId> + '_ {
        let all = self.node(id).children.iter().copied();
        all.filter(move |c| self.node(*c).role == role)
    }

    /// Its ancestors, the nearest first.
    pub fn ancestors(&self, id: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        std::iter::successors(self.node(id).parent, |at| self.node(*at).parent)
    }

    /// The node and all below it, parents first.
    #[must_use]
    pub fn below(&self, id: NodeId) -> Vec<NodeId> {
        let (mut found, mut open) = (Vec::new(), vec![id]);
        while let Some(at) = open.pop() {
            found.push(at);
            open.extend(self.node(at).children.iter().rev().copied());
        }
        found
    }

    /// The nearest statement that it is in, or it is.
    #[must_use]
    pub fn statement(&self, id: NodeId) -> Option<NodeId> {
        std::iter::once(id)
            .chain(self.ancestors(id))
            .find(|at| self.kind(*at).is_statement())
    }

    /// The innermost function around it.
    #[must_use]
    pub fn function(&self, id: NodeId) -> Option<NodeId> {
        self.ancestors(id).find(|at| self.kind(*at) == Kind::Function)
    }

    /// The outermost function that it is in, or it is: what can be compiled and replaced on its own.
    #[must_use]
    pub fn unit(&self, id: NodeId) -> Option<NodeId> {
        let all = std::iter::once(id).chain(self.ancestors(id));
        all.filter(|at| self.kind(*at) == Kind::Function).last()
    }

    /// All functions, outermost first.
    #[must_use]
    pub fn functions(&self) -> Vec<NodeId> {
        let all = self.below(self.root());
        all.into_iter().filter(|at| self.kind(*at) == Kind::Function).collect()
    }

    /// The name of a function or class.
    #[must_use]
    pub fn name(&self, id: NodeId) -> &str {
        self.child(id, Role::Name).map_or("", |name| self.text(name))
    }

    /// The dotted name as the interpreter has it (`Class.method`, `outer.<locals>.inner`).
    #[must_use]
    pub fn qualified_name(&self, id: NodeId) -> String {
        let mut parts = vec![self.name(id).to_owned()];
        for at in self.ancestors(id) {
            match self.kind(at) {
                Kind::Function => parts.push(format!("{}.<locals>", self.name(at))),
                Kind::Class => parts.push(self.name(at).to_owned()),
                _ => {}
            }
        }
        parts.reverse();
        parts.join(".")
    }

    /// The line of a byte, from 1.
    #[must_use]
    pub fn line_at(&self, byte: usize) -> u32 {
        u32::try_from(self.lines.partition_point(|begin| *begin <= byte)).unwrap_or(u32::MAX)
    }

    /// The line where a node begins, from 1.
    #[must_use]
    pub fn line(&self, id: NodeId) -> u32 {
        self.line_at(self.node(id).span.start)
    }

    /// The byte where the line of this byte begins.
    #[must_use]
    pub fn line_start(&self, byte: usize) -> usize {
        let at = self.lines.partition_point(|begin| *begin <= byte);
        self.lines[at.saturating_sub(1)]
    }

    /// The byte after the last one of this byte's line, its line end included.
    #[must_use]
    pub fn line_end(&self, byte: usize) -> usize {
        let at = self.lines.partition_point(|begin| *begin <= byte);
        self.lines.get(at).copied().unwrap_or(self.source.len())
    }

    /// The white space before the first character of this byte's line.
    #[must_use]
    pub fn indent(&self, byte: usize) -> &str {
        let rest = &self.source[self.line_start(byte)..];
        let end = rest.find(|c: char| c != ' ' && c != '\t').unwrap_or(rest.len());
        &rest[..end]
    }

    /// How the file ends its lines.
    #[must_use]
    pub fn newline(&self) -> &'static str {
        if self.source.contains("\r\n") { "\r\n" } else { "\n" }
    }

    /// Whether a node is read (not assigned to, defined or declared).
    #[must_use]
    pub fn is_read(&self, id: NodeId) -> bool {
        let mut at = id;
        loop {
            let node = self.node(at);
            let Some(parent) = node.parent else { return true };
            match (self.kind(parent), node.role) {
                (_, Role::Target | Role::Name)
                | (Kind::Assign | Kind::AugAssign, Role::Left)
                | (Kind::Param | Kind::Params | Kind::Import, Role::Part) => return false,
                (Kind::Tuple | Kind::List | Kind::Paren, _) => at = parent,
                _ => return true,
            }
        }
    }
}
