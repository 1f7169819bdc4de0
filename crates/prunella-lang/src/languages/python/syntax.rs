//! What the nodes of Python's grammar are.

use prunella_core::repair::synth::{Dialect, Kind, Role};

use crate::syntax::{Grammar, Lowered};

/// The grammar `tree-sitter-python`.
pub(crate) static GRAMMAR: Grammar = Grammar {
    language: || tree_sitter_python::LANGUAGE.into(),
    dialect: Dialect::Python,
    node: lowered,
    role,
};

fn lowered(node: &tree_sitter::Node<'_>) -> Lowered {
    use Lowered::{Drop, Leaf, Node, Through};
    match node.kind() {
        "function_definition" => Node(Kind::Function),
        "class_definition" => Node(Kind::Class),
        "parameters" | "lambda_parameters" => Node(Kind::Params),
        "default_parameter"
        | "typed_parameter"
        | "typed_default_parameter"
        | "list_splat_pattern"
        | "dictionary_splat_pattern" => Node(Kind::Param),
        "block" => Node(Kind::Block),
        "if_statement" => Node(Kind::If),
        "elif_clause" => Node(Kind::Elif),
        "else_clause" | "finally_clause" => Node(Kind::Else),
        "while_statement" => Node(Kind::While),
        "for_statement" => Node(Kind::For),
        "return_statement" => Node(Kind::Return),
        "expression_statement" => expression_statement(node),
        "assignment" => Node(Kind::Assign),
        "augmented_assignment" => Node(Kind::AugAssign),
        "raise_statement" => Node(Kind::Raise),
        "try_statement" => Node(Kind::Try),
        "except_clause" | "except_group_clause" => Node(Kind::Except),
        "with_statement" => Node(Kind::With),
        "assert_statement" => Node(Kind::Assert),
        "break_statement" => Leaf(Kind::Break),
        "continue_statement" => Leaf(Kind::Continue),
        "pass_statement" => Leaf(Kind::Pass),
        "import_statement" | "import_from_statement" | "future_import_statement" => Leaf(Kind::Import),
        "global_statement" | "nonlocal_statement" => Leaf(Kind::OtherStmt),
        "decorated_definition" | "with_clause" | "with_item" | "as_pattern" | "as_pattern_target" => Through,
        "decorator" | "type" | "comment" | "type_parameter" | "line_continuation" => Drop,
        "identifier" => Leaf(name(node)),
        "integer" => Leaf(Kind::Int),
        "float" => Leaf(Kind::Float),
        "string" | "concatenated_string" => Leaf(Kind::Str),
        "true" => Leaf(Kind::True),
        "false" => Leaf(Kind::False),
        "none" => Leaf(Kind::Nil),
        "call" => Node(Kind::Call),
        "argument_list" => Node(Kind::Args),
        "keyword_argument" => Node(Kind::Keyword),
        "list_splat" | "dictionary_splat" | "parenthesized_list_splat" => Node(Kind::Splat),
        "attribute" => Node(Kind::Attribute),
        "subscript" => Node(Kind::Subscript),
        "slice" => Node(Kind::Slice),
        "binary_operator" => Node(Kind::Binary),
        "unary_operator" => Node(Kind::Unary),
        "not_operator" => Node(Kind::Not),
        "boolean_operator" => Node(Kind::BoolOp),
        "comparison_operator" if node.named_child_count() == 2 => Node(Kind::Compare),
        "comparison_operator" => Node(Kind::Chain),
        "conditional_expression" => Node(Kind::Conditional),
        "lambda" => Node(Kind::Lambda),
        "list" | "list_pattern" => Node(Kind::List),
        "tuple" | "expression_list" | "pattern_list" | "tuple_pattern" => Node(Kind::Tuple),
        "set" => Node(Kind::Set),
        "dictionary" => Node(Kind::Dict),
        "pair" => Node(Kind::Pair),
        "list_comprehension" | "set_comprehension" | "dictionary_comprehension" | "generator_expression" => {
            Node(Kind::Comprehension)
        }
        "for_in_clause" => Node(Kind::ForIn),
        "if_clause" => Node(Kind::IfClause),
        "parenthesized_expression" => Node(Kind::Paren),
        "await" => Node(Kind::Await),
        "yield" => Node(Kind::Yield),
        other if other.ends_with("_statement") => Node(Kind::OtherStmt),
        _ => Node(Kind::OtherExpr),
    }
}

/// An assignment is a statement by itself here.
fn expression_statement(node: &tree_sitter::Node<'_>) -> Lowered {
    match node.named_child(0).map(|child| child.kind()) {
        Some("assignment" | "augmented_assignment") => Lowered::Through,
        _ => Lowered::Node(Kind::ExprStmt),
    }
}

/// A variable's name, or the name of a member or keyword.
fn name(node: &tree_sitter::Node<'_>) -> Kind {
    let Some(parent) = node.parent() else { return Kind::Name };
    let is_field = |field| parent.child_by_field_name(field).is_some_and(|child| child == *node);
    match parent.kind() {
        "attribute" if is_field("attribute") => Kind::Label,
        "keyword_argument" if is_field("name") => Kind::Label,
        "function_definition" | "class_definition" if is_field("name") => Kind::Label,
        _ => Kind::Name,
    }
}

fn role(node: &tree_sitter::Node<'_>, field: Option<&str>, place: usize) -> Role {
    let parent = node.parent().map_or("", |parent| parent.kind());
    match (parent, field) {
        ("for_statement" | "for_in_clause", Some("left")) => Role::Target,
        ("for_statement" | "for_in_clause", Some("right")) => Role::Iterable,
        ("parameters" | "lambda_parameters" | "list_splat_pattern" | "dictionary_splat_pattern", _)
            if node.kind() == "identifier" =>
        {
            Role::Target
        }
        ("typed_parameter", _) if place == 0 => Role::Target,
        ("default_parameter" | "typed_default_parameter" | "named_expression", Some("name")) => Role::Target,
        ("as_pattern_target", _) => Role::Target,
        ("argument_list", _) => Role::Argument,
        ("call", Some("arguments")) if node.kind() == "generator_expression" => Role::Argument,
        ("subscript", Some("value")) => Role::Object,
        ("subscript", Some("subscript")) => Role::Index,
        ("conditional_expression", _) => [Role::Body, Role::Condition, Role::Otherwise][place.min(2)],
        ("comparison_operator", _) => [Role::Left, Role::Right][place.min(1)],
        ("if_clause" | "assert_statement", _) if place == 0 => Role::Condition,
        ("return_statement" | "raise_statement" | "yield" | "await" | "list_splat", _) => Role::Value,
        (_, Some("left")) => Role::Left,
        (_, Some("right")) => Role::Right,
        (_, Some("function")) => Role::Callee,
        (_, Some("object")) => Role::Object,
        (_, Some("name" | "attribute")) => Role::Name,
        (_, Some("condition")) => Role::Condition,
        (_, Some("body" | "consequence")) => Role::Body,
        (_, Some("alternative")) => Role::Otherwise,
        (_, Some("value" | "argument")) => Role::Value,
        _ => Role::Part,
    }
}
