"""Small changes of one function of a source text, as edits (start, end, new text) by character.

The operators are those of mutation testing (comparison, arithmetic, constants, conditions, statements, names, arguments);
layout and comments stay, so that a change makes a patch as a person would write it.
"""

import ast
import re

COMPARE = {
    ast.Lt: ["<=", ">", "!="], ast.LtE: ["<", ">=", "=="], ast.Gt: [">=", "<", "!="], ast.GtE: [">", "<=", "=="],
    ast.Eq: ["!=", "<=", ">="], ast.NotEq: ["==", "<", ">"], ast.In: ["not in"], ast.NotIn: ["in"],
    ast.Is: ["is not"], ast.IsNot: ["is"],
}
ARITHMETIC = {
    ast.Add: ["-"], ast.Sub: ["+"], ast.Mult: ["+", "//"], ast.Div: ["//", "*"], ast.FloorDiv: ["/", "*"],
    ast.Mod: ["//"], ast.Pow: ["*"], ast.BitAnd: ["|", "^"], ast.BitOr: ["&"], ast.BitXor: ["&", "|"],
    ast.LShift: [">>"], ast.RShift: ["<<"],
}
MOST_NAMES = 4


class Places:
    """Offsets of the nodes of a text."""

    def __init__(self, text):
        self.text = text
        self.starts = [0]
        for line in text.splitlines(keepends=True):
            self.starts.append(self.starts[-1] + len(line))
        self.lines = text.splitlines(keepends=True)

    def at(self, line, column):
        """Columns of Python's tree count bytes."""
        return self.starts[line - 1] + len(self.lines[line - 1].encode()[:column].decode(errors="replace"))

    def span(self, node):
        return self.at(node.lineno, node.col_offset), self.at(node.end_lineno, node.end_col_offset)

    def of(self, node):
        start, end = self.span(node)
        return self.text[start:end]


def find(text, name):
    """The definition of a function at the top of a text."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return node
    return None


def mutants(text, name):
    """All changed texts of the function `name`."""
    function = find(text, name)
    places = Places(text)
    seen, out = {text}, []
    for start, end, new in edits(function, places):
        changed = text[:start] + new + text[end:]
        if changed in seen:
            continue
        seen.add(changed)
        try:
            compile(changed, "<mutant>", "exec")
        except (SyntaxError, ValueError):
            continue
        out.append(changed)
    return out


def edits(function, places):
    """The edits, operator by operator."""
    body = function.body
    if isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
        body = body[1:]  # a docstring is no code
    names = sorted({a.arg for a in function.args.args} | {
        n.id for b in body for n in ast.walk(b) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    })
    for top in body:
        for node in ast.walk(top):
            yield from _of(node, places, names)


def _of(node, places, names):
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        yield from _between(node.left, node.comparators[0], COMPARE.get(type(node.ops[0]), []), places)
    elif isinstance(node, ast.BinOp):
        yield from _between(node.left, node.right, ARITHMETIC.get(type(node.op), []), places)
    elif isinstance(node, ast.BoolOp):
        other = "or" if isinstance(node.op, ast.And) else "and"
        for left, right in zip(node.values, node.values[1:]):
            yield from _between(left, right, [other], places)
        for value in node.values:
            yield (*places.span(node), places.of(value))
    elif isinstance(node, ast.Constant):
        yield from _constant(node, places)
    elif isinstance(node, ast.UnaryOp):
        yield (*places.span(node), places.of(node.operand))
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in names:
        for other in [n for n in names if n != node.id][:MOST_NAMES]:
            yield (*places.span(node), other)
    elif isinstance(node, ast.Call):
        yield from _call(node, places)
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
        for bound in (node.slice.lower, node.slice.upper):
            if bound is not None:
                yield from _beside(bound, places)
    elif isinstance(node, ast.Subscript):
        yield from _beside(node.slice, places)
    elif isinstance(node, (ast.If, ast.While, ast.IfExp)):
        test = places.of(node.test)
        for new in (f"not ({test})", "True", "False"):
            if not (isinstance(node, ast.While) and new == "True"):
                yield (*places.span(node.test), new)
    elif isinstance(node, (ast.Break, ast.Continue)):
        yield (*places.span(node), "continue" if isinstance(node, ast.Break) else "break")
    elif isinstance(node, (ast.Assign, ast.AugAssign, ast.Expr, ast.Raise)):
        if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            yield (*places.span(node), "pass")
    elif isinstance(node, ast.Return) and node.value is not None:
        yield (*places.span(node.value), "None")
        yield from _beside(node.value, places)


def _between(left, right, news, places):
    start, end = places.span(left)[1], places.span(right)[0]
    middle = places.text[start:end]
    found = re.search(r"not\s+in|is\s+not|[^\s()]+", middle)
    if found and "#" not in middle and "\\" not in middle:
        for new in news:
            yield start + found.start(), start + found.end(), new


def _constant(node, places):
    value = node.value
    if value is True or value is False:
        yield (*places.span(node), str(not value))
    elif isinstance(value, int):
        for new in (value + 1, value - 1):
            yield (*places.span(node), str(new))
    elif value is None:
        yield (*places.span(node), "0")


def _call(node, places):
    if len(node.args) == 1 and not node.keywords:
        yield (*places.span(node), places.of(node.args[0]))
    if len(node.args) == 2 and not any(isinstance(a, ast.Starred) for a in node.args):
        first, second = node.args
        start, end = places.span(first)[0], places.span(second)[1]
        yield start, end, f"{places.of(second)}, {places.of(first)}"
    for keyword in node.keywords:
        if isinstance(keyword.value, ast.Constant) and isinstance(keyword.value.value, bool):
            yield (*places.span(keyword.value), str(not keyword.value.value))
    if isinstance(node.func, ast.Name) and node.func.id in ("range", "min", "max", "len"):
        for argument in node.args:
            if not isinstance(argument, ast.Starred):
                yield from _beside(argument, places)


def _beside(node, places):
    if isinstance(node, (ast.Name, ast.BinOp, ast.Call, ast.Constant)) and not (
        isinstance(node, ast.Constant) and not isinstance(node.value, int)
    ):
        text = places.of(node)
        yield (*places.span(node), f"{text} + 1")
        yield (*places.span(node), f"{text} - 1")
