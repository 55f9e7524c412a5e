"""The files that people expect beside the code: whole, linked, and agreed about the version."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent
FORMS = sorted(p for p in ROOT.glob(".github/ISSUE_TEMPLATE/*.yml") if p.name != "config.yml")
PAGES = ["CONTRIBUTING.md", "CODE_OF_CONDUCT.md", "CHANGELOG.md", "data/generator/README.md"]
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]


def test_one_version_everywhere():
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))["version"] == VERSION
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert re.findall(r"(?m)^## (\d+\.\d+\.\d+)", changes)[0] == VERSION


@pytest.mark.parametrize("page", PAGES)
def test_links_resolve(page):
    text = (ROOT / page).read_text("utf-8")
    for target in re.findall(r"\]\(([^)\s#]+)[^)]*\)", text):
        assert target.startswith("https:") or (ROOT / page).parent.joinpath(target).exists(), target


def test_the_guide_names_what_there_is():
    """Paths in the contributing guide exist; `NN_name` and `<lesson>` stand for a new one's."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    paths = re.findall(r"(?:\.ci|data|notebooks|reidlib|tests)/[\w./]+\b", text)
    named = {path for path in paths if not path.endswith(("NN_name.ipynb", "test_panels_"))}
    assert {"tests/test_house.py", "notebooks/run.py"} <= named
    assert not [path for path in named if not (ROOT / path).exists()]


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_asks_each_question_once(path):
    form = yaml.safe_load(path.read_text("utf-8"))
    assert form["name"] and form["description"]
    asked = [part["id"] for part in form["body"] if part["type"] != "markdown"]
    assert len(asked) == len(set(asked)) > 0


def test_commit_hooks_call_what_there_is():
    settings = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    words = [word for hook in settings["repos"][0]["hooks"] for word in hook["entry"].split()]
    scripts = [word for word in words if word.endswith(".py")]
    assert scripts == ["notebooks/check_saved.py"] and (ROOT / scripts[0]).is_file()
