"""The worksheet asks what the lessons ask, and its answers are right."""

import re
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "notebooks"))
import worksheet  # noqa: E402

from reidlib.collection import datasets  # noqa: E402


@pytest.fixture(scope="module")
def search():
    return worksheet.search()


def test_the_six_images_are_those_of_the_lesson():
    from reidlib.features import extractors
    from reidlib.model import distances, networks

    cells = nbformat.read(ROOT / "notebooks" / "04_model.ipynb", as_version=4).cells
    source = next(cell.source for cell in cells if "def five(" in cell.source)
    plaza = datasets.load("plaza")
    lesson = {"plaza": plaza, "datasets": datasets, "distances": distances, "np": np}
    lesson |= {"networks": networks, "PARTS": ("train", "query", "gallery")}
    out = lesson | {"histogram": extractors.load("histogram")}
    exec(source, out)
    rows = out["five"](out["q"])
    far = out["test_distances"][out["q"], rows]
    number, ours, ours_far = worksheet.six_images(plaza)
    assert number == out["q"] and ours.tolist() == rows[np.argsort(far)].tolist()
    assert ours_far == pytest.approx(np.sort(far), abs=1e-6)


def test_the_library_says_the_same_of_the_ranking(search):
    assert search["ranks"] == ["wrong", "right", "wrong", "right"]
    for by_hand, name in ((search["by_rule"], "checked"), (search["without"], "flattered")):
        by_code = search[name]
        assert by_code.mAP == pytest.approx(by_hand["AP"])
        assert by_code.mINP == pytest.approx(by_hand["INP"])
        assert by_code.cmc[0] == by_hand["rank1"]
    assert (
        search["by_rule"]["AP"] == 0.5 and search["without"]["written"] == "(1/1 + 2/3 + 3/5) / 3"
    )


@pytest.mark.parametrize("puzzle", worksheet.PUZZLES)
def test_the_arithmetic_of_a_puzzle_gives_what_the_code_gives(puzzle):
    found = worksheet.solved(puzzle)
    errors = found["misses"] + found["false_positives"] + found["switches"]
    assert found["MOTA"] == pytest.approx(1 - errors / found["true"])
    assert found["IDF1"] == pytest.approx(2 * found["agreeing"] / (found["true"] + found["found"]))


def test_the_puzzles_can_be_done_by_hand():
    first, second = (worksheet.solved(puzzle) for puzzle in worksheet.PUZZLES)
    assert (first["MOTA"], first["IDF1"]) == pytest.approx((0.8, 0.6))  # as in lesson 02
    assert [second[name] for name in ("misses", "false_positives", "switches")] == [1, 1, 1]
    assert second["agreeing"] == 10  # 6 of Cy, 4 of Di


def test_greedy_pays_more_on_the_sheet():
    found = worksheet.assigned(worksheet.COSTS)
    greedy, best = (float(found[way].rsplit("= ")[1]) for way in ("greedy", "hungarian"))
    assert (greedy, best) == (1.4, 1.0)
    assert found["greedy"].startswith("1 with A") and "1 with B, 2 with A" in found["hungarian"]


@pytest.fixture(scope="module")
def page():
    return worksheet.render()


def test_the_page_is_black_and_white_and_needs_nothing(page):
    style = page[page.index("<style>") : page.index("</style>")]
    assert set(re.findall(r"#[0-9a-f]{3,6}\b", style)) == {"#000", "#fff"}
    sources = re.findall(r'(?:src|href)="([^"]{12})', page)
    assert sources == ["data:image/p"] * 6
    assert page.count("<section>") == 4 and page.index("do not hand out") > page.index("Greedy")


@pytest.mark.skipif(worksheet.find_browser() is None, reason="no Chromium or Chrome found")
def test_it_prints_on_four_sheets_of_both_papers(page, tmp_path):
    for paper, corner in {"a4": "594.9", "letter": "612"}.items():
        target = tmp_path / f"{paper}.pdf"
        worksheet.print_pdf(page, paper, target)
        pages = re.findall(rb"/MediaBox \[0 0 ([\d.]+)", target.read_bytes())
        assert len(pages) == 4 and all(size.decode().startswith(corner) for size in pages)


def test_without_a_browser_it_says_what_to_do(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(worksheet, "find_browser", lambda: None)
    monkeypatch.setattr(worksheet, "render", lambda: "<style></style>")
    assert worksheet.main(["--out", str(tmp_path), "--pdf"]) == 1
    told = capsys.readouterr()
    assert "worksheet.html" in told.out and "print it" in told.err
    assert [path.name for path in tmp_path.iterdir()] == ["worksheet.html"]
