"""Every lesson has its parts, its links and pictures resolve, and its names of code are real."""

import ast
import importlib
import json
import operator
import pkgutil
import re
from pathlib import Path

import check_saved
import nbformat
import pytest

import reidlib

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
LESSONS = sorted(NOTEBOOKS.glob("0*.ipynb"))
SOLUTIONS = sorted(NOTEBOOKS.glob("solutions/*.ipynb"))
ALL = LESSONS + SOLUTIONS + [NOTEBOOKS / "own_footage.ipynb"]
MEASURED = json.loads((NOTEBOOKS / "measured.json").read_text())
PARTS = [
    "What you will be able to do", "Time", "Exercises", "Recap", "Quiz", "References", "Next",
]  # fmt: skip


def cells(path, kind):
    return [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == kind]


def text(path):
    return "\n\n".join(cell.source for cell in cells(path, "markdown"))


def by_name(path):
    return path.stem


@pytest.mark.parametrize("path", LESSONS, ids=by_name)
def test_a_lesson_has_its_parts(path):
    prose = text(path)
    lacking = [part for part in PARTS if not re.search(rf"(?m)^#+ .*{part}|\*\*{part}", prose)]
    assert not lacking
    assert len(re.findall("Predict first", prose)) >= 3
    assert 3 <= len(re.findall(r"(?m)^#+ Exercise \d", prose)) <= 5
    assert 3 <= prose.count("<details>") <= 8
    assert "import course" in cells(path, "code")[0].source


@pytest.mark.parametrize("path", ALL, ids=by_name)
def test_a_notebook_was_run_and_saved_clean(path):
    nbformat.validate(nbformat.read(path, as_version=4))
    assert check_saved.faults(path) == []


@pytest.mark.parametrize("path", ALL, ids=by_name)
def test_links_and_pictures_resolve(path):
    for target in re.findall(r"\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"", text(path)):
        target = (target[0] or target[1]).split("#")[0]
        if target and not re.match(r"https?:|mailto:|data:", target):
            assert (path.parent / target).exists(), target


def rooms(name):
    """Return the modules of the library called `name`; each folder has its `plots`, `panels`."""
    found = [m.name for m in pkgutil.walk_packages(reidlib.__path__, "reidlib.")]
    return [m for m in found if m.rpartition(".")[2] == name and ".data." not in m]


@pytest.mark.parametrize("path", ALL, ids=by_name)
def test_names_of_code_in_the_prose_are_real(path):
    for dotted in set(re.findall(r"`(?:reidlib\.)?([a-z_]+(?:\.\w+)+)\b[^`]*`", text(path))):
        module, *names = dotted.split(".")
        homes = [importlib.import_module(name) for name in rooms(module)]
        is_file = names[-1] in ("json", "csv", "txt", "npz", "html")
        if homes and not is_file:  # else it is another library's
            having = [home for home in homes if hasattr(home, names[0])]
            assert having and operator.attrgetter(".".join(names))(having[0]), dotted


@pytest.mark.parametrize("path", ALL, ids=by_name)
def test_cells_are_short_and_parse(path):
    for cell in cells(path, "code"):
        source = re.sub(r"(?m)^[%!].*$", "", cell.source)
        ast.parse(source)
        assert len(source.splitlines()) <= 32, source[:200]


def hard_to_read_aloud(source):
    """Return what a reader of this code, on a projector, would stumble over."""
    source = re.sub(r"(?m)^[%!].*$", "", source)  # what IPython alone understands
    lines = source.splitlines()
    found = [f"a line of {len(line)} characters" for line in lines if len(line) > 100]
    if len(lines) > 30:
        found.append(f"a cell of {len(lines)} lines")
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.NamedExpr):
            found.append("a walrus")
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Lambda):
            found.append("a lambda with a name")
        if isinstance(node, ast.Lambda) and node.args.defaults:
            found.append("a lambda with a default")
        if isinstance(node, ast.Starred) and isinstance(node.value, ast.BinOp):
            found.append("a computed list spread out")
        if isinstance(node, ast.Import | ast.ImportFrom) and node not in tree.body:
            found.append("an import inside a block")
    return found


@pytest.mark.parametrize("path", ALL, ids=by_name)
def test_code_is_read_aloud(path):
    for cell in cells(path, "code"):
        assert hard_to_read_aloud(cell.source) == [], f"{cell.id}: {cell.source[:200]}"


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("x = " + "1 + " * 24 + "1", "a line of 101 characters"),
        ("x = 1\n" * 31, "a cell of 31 lines"),
        ("if scores := evaluate():\n    print(scores)", "a walrus"),
        ("distance = lambda a, b: a - b", "a lambda with a name"),
        ("runs = {n: lambda n=n: load(n) for n in names}", "a lambda with a default"),
        ("swap = dict(zip(*[iter(people)] * 2))", "a computed list spread out"),
        ("try:\n    import trackers\nexcept ImportError:\n    pass", "an import inside a block"),
    ],
)
def test_what_is_hard_to_read_aloud_is_noticed(source, fault):
    assert hard_to_read_aloud(source) == [fault]
    fine = "%xmode Minimal\nimport re\nlongest = max(tracks, key=lambda track: len(track))"
    assert hard_to_read_aloud(fine) == []


@pytest.mark.parametrize("path", LESSONS, ids=by_name)
def test_the_time_that_is_quoted_was_measured(path):
    seconds = MEASURED[path.name]["seconds"]
    header = re.search(r"bottom\s+in\s+about\s+(\d+)\s+seconds", cells(path, "markdown")[0].source)
    readme = (NOTEBOOKS.parent / "README.md").read_text(encoding="utf-8")
    row = re.search(rf"(?m)^\|.*notebooks/{path.name}.*\| (\d+) s \|$", readme)
    for quoted in (header, row):
        assert int(quoted[1]) == pytest.approx(seconds, rel=0.2, abs=6)


@pytest.mark.parametrize("path", LESSONS, ids=by_name)
def test_a_lesson_stayed_within_its_budget(path):
    assert MEASURED[path.name]["seconds"] <= 120  # a goal; the gate fails above 180 s
    assert MEASURED[path.name]["gigabytes"] <= 1.3
