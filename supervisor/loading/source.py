"""Where in its file something stands, so that a complaint can name the line."""

from __future__ import annotations

import ast
from pathlib import Path


def line_of(file: Path, class_name: str, member: str = "") -> int:
    """Find the line of a class or of something in its body.

    Args:
        file: A Python file that compiles.
        class_name: The class.
        member: A method or attribute of it; the class's own line if it is not in its body.

    Returns:
        The 1-based line, 0 if the file has no such class.
    """
    tree = ast.parse(file.read_bytes())
    classes = [n for n in ast.walk(tree) if isinstance(n, ast.ClassDef) and n.name == class_name]
    if not classes:
        return 0
    last = classes[-1]  # the one that is left when a name is defined twice
    for node in reversed(last.body):
        if member in _names(node):
            return node.lineno
    return last.lineno


def _names(node: ast.stmt) -> list[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return [name]
        case ast.Assign(targets=targets):
            return [target.id for target in targets if isinstance(target, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
        case _:
            return []
