"""Puts a note before each statement of a source: `__ran__[LINE] = 1`."""

import ast
from pathlib import Path
from types import CodeType

_BLOCKS = ("body", "orelse", "finalbody")


def compile_noted(path: Path) -> CodeType:
    """The code of a source with its notes."""
    source = path.read_bytes()
    tree = ast.parse(source, path)
    for node in list(ast.walk(tree)):
        for name in _BLOCKS:
            block = getattr(node, name, None)
            if isinstance(block, list):
                setattr(node, name, _noted(block, node, is_body=name == "body"))
    num_lines = source.count(b"\n") + 1
    begin = ast.parse(f"__ran__ = __import__('sitecustomize').lines_of({str(path)!r}, {num_lines})").body
    place = _num_leading(tree.body)
    tree.body[place:place] = begin
    return compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)


def _noted(block: list[ast.stmt], owner: ast.AST, *, is_body: bool) -> list[ast.stmt]:
    noted: list[ast.stmt] = []
    before = _heads(owner) if is_body else []
    leading = _num_leading(block) if is_body else 0
    before += [statement.lineno for statement in block[:leading] if isinstance(statement, ast.ImportFrom)]
    for place, statement in enumerate(block):
        if place >= leading:
            decorators = [decorator.lineno for decorator in getattr(statement, "decorator_list", ())]
            noted += [_note(line, statement) for line in (*before, *decorators, statement.lineno)]
            before = []
        noted.append(statement)
    return noted


def _heads(owner: ast.AST) -> list[int]:
    """The line of `except …:` or `case …:`, which is no statement's: it has run when its block runs."""
    if isinstance(owner, ast.ExceptHandler):
        return [owner.lineno]
    return [owner.pattern.lineno] if isinstance(owner, ast.match_case) else []


def _note(line: int, statement: ast.stmt) -> ast.stmt:
    note = ast.parse(f"__ran__[{line}] = 1").body[0]
    for node in ast.walk(note):
        ast.copy_location(node, statement)
    return note


def _num_leading(block: list[ast.stmt]) -> int:
    """Statements that must stay first: a docstring, and imports from the future."""
    first = block[0] if block else None
    count = int(isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant))
    while count < len(block) and isinstance(found := block[count], ast.ImportFrom) and found.module == "__future__":
        count += 1
    return count
