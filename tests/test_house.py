"""How the library is built: flat, imports in one direction, files that are read in one sitting."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "reidlib"
FILES = sorted(PACKAGE.rglob("*.py"))


def room(path):
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def imports(path):
    """The rooms of the library that a file uses, wherever in it they are imported."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom):
            start = "reidlib." * (node.level == 1) + (node.module or "")
            for name in node.names:
                full = f"{start.rstrip('.')}.{name.name}".removeprefix("reidlib.")
                found |= {full, full.rpartition(".")[0]}
    return found & {room(path) for path in FILES}


def test_imports_run_in_one_direction():
    order = list(TopologicalSorter({room(p): imports(p) for p in FILES}).static_order())
    assert order.index("boxes") < order.index("tracker") < order.index("demo")  # no cycle, no error


@pytest.mark.parametrize("path", FILES, ids=room)
def test_files_are_short(path):
    assert len(path.read_text("utf-8").splitlines()) <= 300


def lines_of_code(path):
    """Count the lines that are neither blank nor comment nor docstring."""
    text, left_out = path.read_text("utf-8"), set()
    for node in ast.walk(ast.parse(text)):
        documented = isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
        if documented and ast.get_docstring(node) is not None:
            left_out |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    lines = enumerate(map(str.strip, text.splitlines()), 1)
    return sum(bool(line) and line[0] != "#" and number not in left_out for number, line in lines)


def test_what_the_course_teaches_is_small():
    """All rooms but figures, panels, commands and the demo: about 3,600 lines of code."""
    outer = {"demo", "summary", "report", "films", "commands", "dataset_commands", "__main__"}
    inner = [p for p in FILES if p.parent == PACKAGE and room(p) not in outer]
    assert 3000 < sum(map(lines_of_code, inner)) < 3700
