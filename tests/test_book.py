"""The web book builds without a warning, and what its pages point to is there."""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

pytest.importorskip("myst_nb", reason="the book needs: pip install -e '.[book]'")
pytest.importorskip("furo", reason="the book needs: pip install -e '.[book]'")

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").rglob("[!.]*.ipynb"))
NOTEBOOKS = [path for path in NOTEBOOKS if ".ipynb_checkpoints" not in path.parts]


class Page(HTMLParser):
    """What one page points to, and the ids it offers."""

    def __init__(self, path):
        super().__init__()
        self.text = path.read_text("utf-8")
        self.targets, self.ids, self.loaded = [], set(), []
        self.feed(self.text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.ids |= {given[key] for key in ("id", "name") if given.get(key)}
        pointing = [given[key] for key in ("href", "src", "data") if given.get(key)]
        self.targets += pointing
        if tag in ("script", "img", "video", "iframe") or given.get("rel") == "stylesheet":
            self.loaded += pointing


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    folder = tmp_path_factory.mktemp("build") / "book"
    command = [sys.executable, "-m", "sphinx", "-q", "-E", "-c", "notebooks/book", ".", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and not done.stderr.strip(), done.stderr
    return {path: Page(path) for path in sorted(folder.rglob("*.html"))}, folder


def test_every_link_and_picture_resolves(book):
    pages, _ = book
    dead = []
    for path, page in pages.items():
        for target in page.targets:
            if re.match(r"https?:|mailto:|data:", target):
                continue
            file, _, anchor = unquote(target).partition("#")
            file = (path.parent / file.split("?")[0]).resolve() if file else path
            known = pages.get(file)
            if not file.is_file() or (anchor and known and anchor not in known.ids):
                dead.append(f"{path.name}: {target}")
    assert not dead


def test_nothing_is_fetched_from_elsewhere_but_badges(book):
    for path, page in book[0].items():
        away = [url for url in page.loaded if re.match(r"(https?:)?//", url)]
        assert not [url for url in away if "badge" not in url], path


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_notebook_is_in_the_contents_with_all_its_figures(book, notebook):
    pages, folder = book
    name = notebook.relative_to(ROOT).with_suffix(".html")
    assert name.as_posix() in pages[folder / "README.html"].targets
    page = pages[folder / name]
    cells = json.loads(notebook.read_text("utf-8"))["cells"]
    outputs = [output.get("data", {}) for cell in cells for output in cell.get("outputs", [])]
    figures = sum("image/png" in data or "image/jpeg" in data for data in outputs)
    assert page.text.count("<img ") >= figures
    assert "widget-view" not in page.text and "Run this cell to use it" not in page.text


def test_panels_find_their_module_and_data_beside_the_page(book):
    pages, folder = book
    found = set()
    for path, page in pages.items():
        for module, data in re.findall(r'data-module="(.+?)" data-data="(.+?)"', page.text):
            assert "export default" in (path.parent / module).read_text("utf-8")
            record = json.loads((path.parent / data).read_text("utf-8"))
            assert record["module"].replace("/", "-") == Path(module).name and record["data"]
            found.add(Path(data).name)
    recorded = (ROOT / "notebooks" / "book" / "panels").glob("*.json")
    assert found == {path.name for path in recorded} and len(found) >= 5


def test_a_page_weighs_at_most_six_megabytes_before_anybody_asks_for_more(book):
    """With its panels; the network of the search comes when a visitor gives a picture."""
    for path, page in book[0].items():
        panels = re.findall(r'data-module="(.+?)" data-data="(.+?)"', page.text)
        names = {*page.loaded, *(name for pair in panels for name in pair)}
        names = {name for name in names if not name.startswith("data:")}  # is in the page itself
        files = {path, *((path.parent / unquote(name.split("?")[0])).resolve() for name in names)}
        weight = sum(file.stat().st_size for file in files if file.is_file())
        assert weight <= 6e6, f"{path} weighs {weight / 1e6:.1f} MB"


def test_the_query_browser_searches_by_a_picture_or_says_why_not(book):
    folder = book[1] / "_static"
    records = [json.loads(path.read_text("utf-8")) for path in folder.glob("panels/*browser.json")]
    assert len(records) == 2
    for search in [record["search"] for record in records]:
        if "missing" in search:
            assert "onnxruntime-web" in search["missing"] and "left out" in search["missing"]
            continue
        assert (folder / "panels" / search["module"]).is_file()
        inside = {path.name: path.stat().st_size for path in (folder / "search").iterdir()}
        assert set(inside) == {"runtime.js", "runtime.wasm", "network.onnx"}
        assert round(sum(inside.values()) / 1e6) == search["megabytes"] < 25


def test_search_finds_a_term_in_its_lesson(book):
    text = (book[1] / "searchindex.js").read_text("utf-8")
    index = json.loads(text.removeprefix("Search.setIndex(").rstrip(")"))
    found = [index[kind].get("hungarian", []) for kind in ("terms", "titleterms")]
    numbers = [i for some in found for i in (some if isinstance(some, list) else [some])]
    names = [index["docnames"][i] for i in numbers]
    assert "notebooks/02_detection_and_tracking" in names
