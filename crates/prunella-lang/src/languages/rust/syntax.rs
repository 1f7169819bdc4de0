//! What the nodes of Rust's grammar are.
//!
//! Patterns are passed through, so that the names which they bind stand below the construct that binds them; types,
//! attributes and lifetimes are left out. A macro's tokens are no tree, so a macro is one expression.

use prunella_core::repair::synth::{Dialect, Kind, Role};

use crate::syntax::{Grammar, Lowered};

/// The grammar `tree-sitter-rust`.
pub(crate) static GRAMMAR: Grammar = Grammar {
    language: || tree_sitter_rust::LANGUAGE.into(),
    dialect: Dialect::Rust,
    node: lowered,
    role,
};

fn lowered(node: &tree_sitter::Node<'_>) -> Lowered {
    use Lowered::{Drop, Leaf, Node, Through};
    if is_type_of_pattern(node) {
        return Drop;
    }
    match node.kind() {
        "function_item" => Node(Kind::Function),
        "impl_item" | "trait_item" | "mod_item" => Node(Kind::Class),
        "parameters" | "closure_parameters" => Node(Kind::Params),
        "parameter" | "self_parameter" => Node(Kind::Param),
        "block" => Node(Kind::Block),
        "expression_statement" => expression_statement(node),
        "declaration_list" | "match_block" | "match_pattern" | "generic_function" => Through,
        "let_declaration" | "assignment_expression" | "const_item" | "static_item" => Node(Kind::Assign),
        "compound_assignment_expr" => Node(Kind::AugAssign),
        "if_expression" => Node(Kind::If),
        "else_clause" => Node(Kind::Else),
        "while_expression" | "loop_expression" => Node(Kind::While),
        "for_expression" => Node(Kind::For),
        "match_expression" if is_statement(node) => Node(Kind::OtherStmt),
        "match_arm" | "field_initializer" => Node(Kind::Pair),
        "return_expression" => Node(Kind::Return),
        "break_expression" => Leaf(Kind::Break),
        "continue_expression" => Leaf(Kind::Continue),
        "empty_statement" => Leaf(Kind::Pass),
        "use_declaration" | "extern_crate_declaration" => Leaf(Kind::Import),
        "struct_item"
        | "enum_item"
        | "union_item"
        | "type_item"
        | "macro_definition"
        | "foreign_mod_item"
        | "associated_type"
        | "function_signature_item" => Leaf(Kind::OtherStmt),
        "identifier" | "self" => Leaf(Kind::Name),
        "field_identifier" | "shorthand_field_identifier" | "shorthand_field_initializer" => Leaf(Kind::Label),
        "scoped_identifier" if is_binding(node) => Drop,
        "scoped_identifier" => Leaf(Kind::Attribute),
        "type_identifier" | "generic_type" | "scoped_type_identifier" => type_name(node),
        other => expression(node, other),
    }
}

fn expression(node: &tree_sitter::Node<'_>, kind: &str) -> Lowered {
    use Lowered::{Drop, Leaf, Node, Through};
    match kind {
        "integer_literal" => Leaf(Kind::Int),
        "float_literal" => Leaf(Kind::Float),
        "string_literal" | "raw_string_literal" | "char_literal" => Leaf(Kind::Str),
        "boolean_literal" if node.child(0).is_some_and(|word| word.kind() == "true") => Leaf(Kind::True),
        "boolean_literal" => Leaf(Kind::False),
        "call_expression" => Node(Kind::Call),
        "arguments" => Node(Kind::Args),
        "field_expression" => Node(Kind::Attribute),
        "index_expression" => Node(Kind::Subscript),
        "range_expression" => Node(Kind::Slice),
        "binary_expression" => Node(operation(node)),
        "unary_expression" => Node(unary(node)),
        "parenthesized_expression" => Node(Kind::Paren),
        "tuple_expression" => Node(Kind::Tuple),
        "unit_expression" => Leaf(Kind::Tuple),
        "array_expression" => Node(Kind::List),
        "closure_expression" => Node(Kind::Lambda),
        "await_expression" => Node(Kind::Await),
        "yield_expression" => Node(Kind::Yield),
        "macro_invocation" | "const_block" => Leaf(Kind::OtherExpr),
        "field_initializer_list" | "base_field_initializer" => Through,
        _ if kind.ends_with("_pattern") => Through,
        "reference_expression"
        | "type_cast_expression"
        | "try_expression"
        | "struct_expression"
        | "unsafe_block"
        | "async_block"
        | "try_block"
        | "match_expression"
        | "let_condition"
        | "let_chain" => Node(Kind::OtherExpr),
        // Types, attributes, comments, visibility, lifetimes, labels, bounds.
        _ => Drop,
    }
}

/// `Some` of `Some(x)`.
fn is_type_of_pattern(node: &tree_sitter::Node<'_>) -> bool {
    node.parent().is_some_and(|parent| {
        parent.kind().ends_with("_pattern") && parent.child_by_field_name("type").is_some_and(|of| of == *node)
    })
}

/// Whether it stands where names are bound.
fn is_binding(node: &tree_sitter::Node<'_>) -> bool {
    node.parent().is_some_and(|parent| parent.kind().ends_with("_pattern"))
}

/// The type that an `impl` is of, or a trait's name, is the name of what holds functions.
fn type_name(node: &tree_sitter::Node<'_>) -> Lowered {
    let of = node.parent().is_some_and(|parent| match parent.kind() {
        "impl_item" => parent.child_by_field_name("type").is_some_and(|of| of == *node),
        "trait_item" => parent.child_by_field_name("name").is_some_and(|of| of == *node),
        _ => false,
    });
    if of { Lowered::Leaf(Kind::Label) } else { Lowered::Drop }
}

/// Whether its value is not used.
fn is_statement(node: &tree_sitter::Node<'_>) -> bool {
    node.parent()
        .is_some_and(|parent| parent.kind() == "expression_statement")
}

/// What is a statement by itself here.
fn expression_statement(node: &tree_sitter::Node<'_>) -> Lowered {
    match node.named_child(0).map(|child| child.kind()) {
        Some(
            "assignment_expression"
            | "compound_assignment_expr"
            | "if_expression"
            | "while_expression"
            | "loop_expression"
            | "for_expression"
            | "match_expression"
            | "return_expression"
            | "break_expression"
            | "continue_expression",
        ) => Lowered::Through,
        _ => Lowered::Node(Kind::ExprStmt),
    }
}

fn operation(node: &tree_sitter::Node<'_>) -> Kind {
    match node
        .child_by_field_name("operator")
        .map_or("", |operator| operator.kind())
    {
        "&&" | "||" => Kind::BoolOp,
        "==" | "!=" | "<" | ">" | "<=" | ">=" => Kind::Compare,
        _ => Kind::Binary,
    }
}

fn unary(node: &tree_sitter::Node<'_>) -> Kind {
    match node.child(0).map(|operator| operator.kind()) {
        Some("!") => Kind::Not,
        Some("-") => Kind::Unary,
        _ => Kind::OtherExpr,
    }
}

fn role(node: &tree_sitter::Node<'_>, field: Option<&str>, place: usize) -> Role {
    let parent = node.parent().map_or("", |parent| parent.kind());
    match (parent, field) {
        ("match_pattern" | "if_expression" | "while_expression", Some("condition")) => Role::Condition,
        ("let_declaration", Some("pattern")) | ("const_item" | "static_item", Some("name")) => Role::Left,
        ("let_declaration" | "const_item" | "static_item", Some("value")) => Role::Right,
        ("for_expression", Some("value")) => Role::Iterable,
        ("self_parameter" | "closure_parameters", _) | (_, Some("pattern")) => Role::Target,
        ("tuple_struct_pattern" | "struct_pattern", Some("type")) => Role::Name,
        (of, _) if of.ends_with("_pattern") => Role::Target,
        ("impl_item", Some("type")) => Role::Name,
        ("arguments", _) => Role::Argument,
        ("field_expression", Some("value")) => Role::Object,
        ("field_expression", Some("field")) => Role::Name,
        ("index_expression", _) if place == 0 => Role::Object,
        ("index_expression", _) => Role::Index,
        ("range_expression", _) if place == 0 => Role::Left,
        ("range_expression", _) => Role::Right,
        ("return_expression" | "unary_expression" | "try_expression" | "await_expression", _) => Role::Value,
        ("call_expression", Some("function")) => Role::Callee,
        (_, Some("left")) => Role::Left,
        (_, Some("right")) => Role::Right,
        (_, Some("name")) => Role::Name,
        (_, Some("body" | "consequence")) => Role::Body,
        (_, Some("alternative")) => Role::Otherwise,
        (_, Some("value")) => Role::Value,
        _ => Role::Part,
    }
}
