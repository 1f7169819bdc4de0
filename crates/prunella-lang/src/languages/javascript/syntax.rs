//! What the nodes of JavaScript's grammar are.

use prunella_core::repair::synth::{Dialect, Kind, Role};

use crate::syntax::{Grammar, Lowered};

/// The grammar `tree-sitter-javascript`.
pub(crate) static GRAMMAR: Grammar = Grammar {
    language: || tree_sitter_javascript::LANGUAGE.into(),
    dialect: Dialect::JavaScript,
    node: lowered,
    role,
};

fn lowered(node: &tree_sitter::Node<'_>) -> Lowered {
    use Lowered::{Drop, Leaf, Node, Through};
    match node.kind() {
        "function_declaration"
        | "function_expression"
        | "generator_function_declaration"
        | "generator_function"
        | "method_definition" => Node(Kind::Function),
        // One with statements is a function like any other, only without a name.
        "arrow_function" if has_block(node) => Node(Kind::Function),
        "arrow_function" => Node(Kind::Lambda),
        "class_declaration" | "class" => Node(Kind::Class),
        "formal_parameters" => Node(Kind::Params),
        "assignment_pattern" | "rest_pattern" => Node(Kind::Param),
        "statement_block" => Node(Kind::Block),
        "if_statement" => Node(Kind::If),
        "else_clause" | "finally_clause" => Node(Kind::Else),
        "while_statement" | "do_statement" => Node(Kind::While),
        "for_statement" | "for_in_statement" => Node(Kind::For),
        "return_statement" => Node(Kind::Return),
        "expression_statement" => expression_statement(node),
        "lexical_declaration" | "variable_declaration" | "export_statement" | "class_body" => Through,
        "variable_declarator" | "assignment_expression" => Node(Kind::Assign),
        "augmented_assignment_expression" => Node(Kind::AugAssign),
        "throw_statement" => Node(Kind::Raise),
        "try_statement" => Node(Kind::Try),
        "catch_clause" => Node(Kind::Except),
        "break_statement" => Leaf(Kind::Break),
        "continue_statement" => Leaf(Kind::Continue),
        "empty_statement" => Leaf(Kind::Pass),
        "import_statement" => Leaf(Kind::Import),
        "comment" => Drop,
        "identifier" | "this" | "super" | "shorthand_property_identifier" | "shorthand_property_identifier_pattern" => {
            Leaf(Kind::Name)
        }
        "property_identifier" | "private_property_identifier" | "statement_identifier" => Leaf(Kind::Label),
        "number" => Leaf(Kind::Int),
        "string" | "template_string" | "regex" => Leaf(Kind::Str),
        "true" => Leaf(Kind::True),
        "false" => Leaf(Kind::False),
        "null" | "undefined" => Leaf(Kind::Nil),
        "call_expression" | "new_expression" => Node(Kind::Call),
        "arguments" => Node(Kind::Args),
        "spread_element" => Node(Kind::Splat),
        "member_expression" => Node(Kind::Attribute),
        "subscript_expression" => Node(Kind::Subscript),
        "binary_expression" => Node(operation(node)),
        "unary_expression" => Node(unary(node)),
        "ternary_expression" => Node(Kind::Conditional),
        "array" | "array_pattern" => Node(Kind::List),
        "object" | "object_pattern" => Node(Kind::Dict),
        "pair" | "pair_pattern" => Node(Kind::Pair),
        "parenthesized_expression" => parenthesized(node),
        "await_expression" => Node(Kind::Await),
        "yield_expression" => Node(Kind::Yield),
        other if other.ends_with("_statement") || other.ends_with("_declaration") => Node(Kind::OtherStmt),
        _ => Node(Kind::OtherExpr),
    }
}

fn has_block(node: &tree_sitter::Node<'_>) -> bool {
    node.child_by_field_name("body")
        .is_some_and(|body| body.kind() == "statement_block")
}

fn operation(node: &tree_sitter::Node<'_>) -> Kind {
    match node
        .child_by_field_name("operator")
        .map_or("", |operator| operator.kind())
    {
        "&&" | "||" | "??" => Kind::BoolOp,
        "==" | "!=" | "===" | "!==" | "<" | ">" | "<=" | ">=" | "in" | "instanceof" => Kind::Compare,
        _ => Kind::Binary,
    }
}

fn unary(node: &tree_sitter::Node<'_>) -> Kind {
    match node.child_by_field_name("operator").map(|operator| operator.kind()) {
        Some("!") => Kind::Not,
        _ => Kind::Unary,
    }
}

/// The parentheses of `if (…)` belong to the statement.
fn parenthesized(node: &tree_sitter::Node<'_>) -> Lowered {
    match node.parent().map(|parent| parent.kind()) {
        Some("if_statement" | "while_statement" | "do_statement" | "switch_statement") => Lowered::Through,
        _ => Lowered::Node(Kind::Paren),
    }
}

/// An assignment is a statement by itself here.
fn expression_statement(node: &tree_sitter::Node<'_>) -> Lowered {
    match node.named_child(0).map(|child| child.kind()) {
        Some("assignment_expression" | "augmented_assignment_expression") => Lowered::Through,
        _ => Lowered::Node(Kind::ExprStmt),
    }
}

fn role(node: &tree_sitter::Node<'_>, field: Option<&str>, _place: usize) -> Role {
    let parent = node.parent().map_or("", |parent| parent.kind());
    match (parent, field) {
        ("for_in_statement", Some("left")) => Role::Target,
        ("for_in_statement", Some("right")) => Role::Iterable,
        ("for_statement", Some("initializer" | "increment")) => Role::Part,
        ("formal_parameters" | "rest_pattern", _) | ("assignment_pattern", Some("left")) => Role::Target,
        ("arrow_function", Some("parameter")) | ("catch_clause", Some("parameter")) => Role::Target,
        ("assignment_pattern", Some("right")) => Role::Value,
        ("variable_declarator", Some("name")) => Role::Left,
        ("variable_declarator", Some("value")) => Role::Right,
        ("arguments", _) => Role::Argument,
        ("member_expression" | "subscript_expression", Some("object")) => Role::Object,
        ("member_expression", Some("property")) => Role::Name,
        ("subscript_expression", Some("index")) => Role::Index,
        ("return_statement" | "throw_statement" | "yield_expression" | "await_expression", _) => Role::Value,
        (_, Some("left")) => Role::Left,
        (_, Some("right")) => Role::Right,
        (_, Some("function" | "constructor")) => Role::Callee,
        (_, Some("name")) => Role::Name,
        (_, Some("condition")) => Role::Condition,
        (_, Some("body" | "consequence")) => Role::Body,
        (_, Some("alternative")) => Role::Otherwise,
        (_, Some("value" | "argument")) => Role::Value,
        _ => Role::Part,
    }
}
