"""The repository's address: set everywhere at once, again for another, and nothing else changes."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "notebooks"))
import address  # noqa: E402

LESSONS = sorted(ROOT.glob("notebooks/*.ipynb"))
SOLUTIONS = sorted(ROOT.glob("notebooks/solutions/*.ipynb"))


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A copy of the files that hold the address, at which the script is pointed."""
    for path in address.files(ROOT):
        target = tmp_path / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    monkeypatch.setattr(address, "ROOT", tmp_path)
    return tmp_path


@pytest.fixture
def run(monkeypatch):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["address.py", *arguments])
        return address.main()

    return run


def contents(copy):
    return {path: path.read_bytes() for path in address.files(copy)}


def setup_cell(path):
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return "".join(next(c for c in cells if c["cell_type"] == "code")["source"])


def test_every_badge_and_setup_cell_gets_the_address(copy, run):
    assert run("a-lab", "re.id_2", "--tag", "v1.0") == 0
    for path, content in contents(copy).items():
        assert b"OWNER" not in content and b"REPOSITORY" not in content, path
    for path in LESSONS:
        text = (copy / path.relative_to(ROOT)).read_text("utf-8")
        where = f"notebooks%2F{path.name}"
        assert f"https://mybinder.org/v2/gh/a-lab/re.id_2/v1.0?labpath={where}" in text
        colab = "https://colab.research.google.com/github/a-lab/re.id_2/blob/v1.0/notebooks/"
        assert colab + path.name in text
    for path in LESSONS + SOLUTIONS:
        cell = setup_cell(copy / path.relative_to(ROOT))
        assert '"--branch=v1.0", "https://github.com/a-lab/re.id_2", "/content/course"' in cell


def test_another_address_replaces_the_first_and_no_address_brings_back_every_byte(copy, run):
    assert run(*address.UNKNOWN) == 0
    before = contents(copy)
    run("first", "one", "--tag", "v1.0")
    once = contents(copy)
    run("second", "two")
    twice = contents(copy)
    assert all(before[path] != once[path] != twice[path] for path in before)
    assert not [path for path in twice if b"first/one" in twice[path] or b"v1.0" in twice[path]]
    run(*address.UNKNOWN)
    assert contents(copy) == before


def test_nothing_but_the_address_changes(copy, run):
    before = contents(copy)
    run("first", "one", "--tag", "v1.0")
    for path in before:
        if path.suffix == ".ipynb":
            old, new = before[path].splitlines(), path.read_bytes().splitlines()
            changed = [(a, b) for a, b in zip(old, new, strict=True) if a != b]
            lesson = path.parent.name == "notebooks"
            assert len(changed) == (3 if lesson else 1)  # two badges and the setup cell
            assert all(b"first/one" in b for _, b in changed)


def test_the_readme_shows_badges_only_when_there_is_an_address():
    readme = (ROOT / "README.md").read_text("utf-8")
    assert len(re.findall(address.BLOCK, readme)) == 1
    unknown = address.readdress(readme, *address.UNKNOWN, "main")
    assert "badge" not in re.search(address.BLOCK, unknown)[0].replace("lesson's badges", "")
    known = address.readdress(readme, "a-lab", "reid", "v1.0")
    assert known.count("badge_logo.svg") == known.count("colab-badge.svg") == 1
    assert "a-lab/reid/v1.0?labpath=notebooks%2F01_collection.ipynb" in known


@pytest.mark.parametrize("wrong", ["two words", "https://github.com/a/b", "", "a/b"])
def test_what_is_no_name_is_refused(copy, run, wrong, capsys):
    before = contents(copy)
    with pytest.raises(SystemExit, match="2"):
        run("owner", wrong)
    assert f"{wrong!r} is not a plain name" in capsys.readouterr().err
    assert contents(copy) == before


@pytest.mark.parametrize("paths", [LESSONS, SOLUTIONS], ids=["lessons", "solutions"])
def test_setup_cells_are_the_same(paths):
    assert len({setup_cell(path) for path in paths}) == 1


def test_no_other_file_holds_the_address():
    apart = ":!tests", ":!notebooks/address.py"
    grep = ["git", "grep", "-l", "/OWNER/REPOSITORY", "--", *apart]
    found = subprocess.run(grep, cwd=ROOT, capture_output=True, text=True)
    if found.returncode > 1:
        pytest.skip("not a clone")
    assert {ROOT / name for name in found.stdout.splitlines()} <= set(address.files(ROOT))
