"""A handed-in notebook's source: does it change the checks, or ask for the book's own answers?"""

import ast

OWN, ROOM, PLACE = ("own", "EXERCISES"), "exercises", "dpo_from_scratch.lab"


def code_of(book) -> list:
    """The code cells."""
    return [cell for cell in book.cells if cell.cell_type == "code"]


def tampering(book) -> list[str]:
    """Remarks on what stands in the cells; cells that Python can't read are left out."""
    from IPython.core.inputtransformer2 import TransformerManager

    plain, found = TransformerManager().transform_cell, {}
    for count, cell in enumerate(code_of(book), start=1):
        try:
            tree = ast.parse(plain(cell.source))
        except SyntaxError:
            continue
        for node in ast.walk(tree):
            if why := remark(node):
                found.setdefault(why, count)
    return [f"code cell {count} {why}" for why, count in found.items()]


def remark(node: ast.AST) -> str:
    """What a piece of code does to the checks, or ""."""
    if isinstance(node, ast.Attribute):
        if node.attr in OWN:
            return f"asks for the book's own answers (.{node.attr})"
        if isinstance(node.ctx, ast.Store | ast.Del) and _named(node.value):
            return f"changes exercises.{node.attr}: its marks say nothing"
    shadows = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id == ROOM
    shadows |= isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == ROOM
    shadows |= isinstance(node, ast.Import) and any(a.asname == ROOM for a in node.names)
    shadows |= isinstance(node, ast.ImportFrom) and any(
        (a.asname or a.name) == ROOM and (node.module, a.name) != (PLACE, ROOM) for a in node.names
    )
    if shadows:
        return "puts something else in the place of exercises: its marks say nothing"
    sets = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "setattr"
    if sets and node.args and _named(node.args[0]):
        return "changes exercises with setattr: its marks say nothing"
    return ""


def _named(node: ast.AST) -> bool:
    """Whether this is the name or the attribute `exercises`."""
    return ROOM in (getattr(node, "id", ""), getattr(node, "attr", ""))
