"""What a visitor sees first: pictures made by a script, links that lead somewhere."""

import json
import re
import subprocess
from html import unescape
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from data import front_page
from reidlib import drawing
from reidlib.demonstration import pipeline
from reidlib.features import extractors

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
RESULTS = (ROOT / "notebooks" / "RESULTS.md").read_text("utf-8")
LESSONS = sorted(ROOT.glob("notebooks/0*.ipynb"))
LIMITS = {"cameras.webp": 3e6, "cameras.jpg": 3e5, "matches.jpg": 3e5, "lessons.svg": 1e4}
STAYS = pd.DataFrame(
    [("c1", 1.0, 4.0, 5), ("c1", 6.0, 9.0, 3), ("c2", 2.0, 5.0, 5), ("c2", 0.0, 1.0, 8)],
    columns=["camera", "start", "end", "identity"],
)


def pixels(picture, colour):
    return (picture == np.array(colour, np.uint8)).all(axis=2)


def test_bars_grow_with_time_and_a_person_has_one_row_everywhere():
    colour = drawing.person_colour(5)
    shown = [front_page.time_line(STAYS, "c1", now, 10.0) for now in (0.5, 2.0, 3.0, 4.0, 9.0)]
    widths = [pixels(picture, colour).any(axis=0).sum() for picture in shown]
    assert widths[0] == 0 < widths[1] < widths[2] < widths[3] == widths[4]
    other = front_page.time_line(STAYS, "c2", 9.0, 10.0)
    rows = [np.flatnonzero(pixels(picture, colour).any(axis=1)) for picture in (shown[-1], other)]
    assert np.array_equal(*rows)
    assert rows[0].min() // front_page.ROW == rows[0].max() // front_page.ROW == 1  # second to come
    assert not pixels(shown[-1], drawing.person_colour(8)).any()  # camera 1 never saw person 8


def test_a_small_film_is_made_of_stored_tracks(tmp_path):
    found = pipeline.clips(seconds=1)
    extractor = extractors.load("histogram")
    for clip in found:
        front_page.follow(clip, extractor)
        known = np.isfinite(clip.vectors).all(axis=1)
        assert set(clip.table.loc[known, "frame"]) == {0, 3, 6, 9, 12}
    table = pd.concat([clip.table for clip in found]).assign(identity=lambda rows: rows["track"])
    shown = list(front_page.pictures(found, table, STAYS))
    assert len(shown) == 4 and shown[0].shape[1] == 3 * front_page.WIDTH
    count = dict.fromkeys(("split", "nobody", "merged", "missed", "seen too briefly"), 0)
    ended = front_page.closing(shown[-1], count | {"found": 3, "true": 2, "split": 1})
    assert (ended != shown[-1]).any()
    front_page.write_film([*shown, ended], tmp_path / "film.webp")
    with Image.open(tmp_path / "film.webp") as film:
        assert film.n_frames == 5 and film.size == shown[0].shape[1::-1]
        film.seek(4)
        assert np.abs(np.asarray(film.convert("RGB"), int) - ended).mean() < 12


def test_the_query_shown_is_an_average_one():
    result = type("Result", (), {"ap": np.array([0.1, 0.72, 0.69, 1.0]), "mAP": 0.7})
    marks = [np.array(mark) for mark in ([1, 0], [0, 1], [1, 1], [1, 1])]
    assert front_page.average_query(result, marks) == 1  # the third is nearer, but all right


@pytest.mark.parametrize("name", LIMITS)
def test_a_picture_is_small(name):
    assert 0 < (ROOT / "data" / "front_page" / name).stat().st_size <= LIMITS[name]


def test_the_film_moves_and_ends_with_the_still():
    folder = ROOT / "data" / "front_page"
    with Image.open(folder / "cameras.webp") as film, Image.open(folder / "cameras.jpg") as still:
        assert film.n_frames > 80 and film.size == still.size
        film.seek(film.n_frames - 1)
        last = np.asarray(film.convert("RGB"), int)
        assert np.abs(last - np.asarray(still)).mean() < 6


def test_the_diagram_is_what_the_script_draws_and_names_the_lessons():
    text = (ROOT / "data" / "front_page" / "lessons.svg").read_text("utf-8")
    assert text == front_page.diagram()
    told = "".join(ElementTree.fromstring(text).itertext())
    alt = re.search(r"!\[([^]]*)\]\(data/front_page/lessons.svg\)", README)[1]
    for number, path in enumerate(LESSONS, 1):
        title = json.loads(path.read_text("utf-8"))["cells"][0]["source"][0]
        name = re.match(r"# \d+ ([^:\n]+)", title)[1]
        assert f"{number} {name}" in told and f"{number} {name}" in alt


@pytest.mark.parametrize("name, taken, given", front_page.LESSONS)
def test_a_lesson_fits_its_box(name, taken, given):
    assert front_page.font(17).getlength(f"{taken} → {given}") <= 532 - 72
    assert front_page.font(19, "bold").getlength(name) <= 532 - 72


def slug(heading):
    return re.sub(r"[^\w\- ]", "", heading.lower().strip()).replace(" ", "-")


@pytest.mark.parametrize("page", ["README.md", "notebooks/RESULTS.md"])
def test_links_and_pictures_resolve(page):
    text = (ROOT / page).read_text("utf-8")
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src(?:set)?="([^"]+)"', text)
    assert len(targets) > 5
    for target in map(unescape, targets):
        if target.startswith("https:"):
            continue
        file, _, anchor = target.partition("#")
        path = (ROOT / page).parent / file if file else ROOT / page
        assert path.exists(), target
        if anchor:
            headings = re.findall(r"(?m)^#+ (.+)$", path.read_text("utf-8"))
            assert anchor in map(slug, headings), target


def test_every_picture_is_told_in_words():
    told = re.findall(r"!\[([^]]*)\]\(data/", README) + re.findall(r'<img [^>]*alt="(.*?)"', README)
    assert len(told) == 3 and all(len(text) > 80 for text in told)


def test_the_hours_are_those_of_the_lessons():
    headers = ["".join(json.loads(p.read_text("utf-8"))["cells"][0]["source"]) for p in LESSONS]
    headers = [" ".join(header.split()) for header in headers]
    path, read, exercises = (
        sum(int(re.search(pattern, header)[1]) for header in headers) / 60
        for pattern in (
            r"(\d+) minutes on the marked path",
            r"about (\d+) minutes for everything",
            r"plus (\d+) for all five exercises",
        )
    )
    promised = re.search(r"under (\d+) hours on the marked\s+path, about (\d+) with", README)
    assert int(promised[1]) - 1 <= path <= int(promised[1])
    assert int(promised[2]) == pytest.approx(read + exercises, abs=0.5)


def test_two_results_only_and_each_stands_on_the_page_of_all_results():
    shown = README[README.index("## Two results") : README.index("## On your own footage")]
    assert len(re.findall(r"(?m)^\|---", shown)) == 2
    figures = set(re.findall(r"(?<![\d\w])\.\d{3}\b", shown))
    assert len(figures) > 10 and not figures - set(re.findall(r"\.\d{3}\b", RESULTS))


def test_the_working_tree_stays_small():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a clone")
    paths = [ROOT / name for name in listed.stdout.rstrip("\0").split("\0")]
    assert sum(path.stat().st_size for path in paths if path.is_file()) <= 60e6
