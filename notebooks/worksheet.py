"""A worksheet for the exercises on paper, with answers: six images, a scoring puzzle, a matrix.

    python notebooks/worksheet.py            # build/worksheet/worksheet.html: print it from a browser
    python notebooks/worksheet.py --pdf      # and A4 and Letter as PDF, by a Chromium or Chrome

Three pages to hand out and one of answers, on A4 or Letter, in black and white. The six images are
those of lesson 04, section 5, the first puzzle is that of lesson 02, section 6. Every answer is
computed, by the same functions as in the lessons. Pictures: plaza, rendered people, CC BY 4.0.
"""

from __future__ import annotations

import argparse
import base64
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import jinja2
import numpy as np
import pandas as pd

from reidlib import assets
from reidlib.boxes import BOX
from reidlib.collection import datasets
from reidlib.detection import association, scores
from reidlib.features import extractors
from reidlib.model import distances, ranking

HERE = Path(__file__).resolve().parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PAPERS = {"a4": "A4", "letter": "Letter"}
SIZE = (128, 64)  # of a crop, as in the lesson
# Who wears which number in each frame; 0: the person is missed. `ghosts` are boxes on nobody.
PUZZLES = [
    {"people": {"Ann": [1, 1, 1, 2, 2], "Bo": [2, 2, 2, 1, 1]}, "ghosts": [0, 0, 0, 0, 0]},
    {"people": {"Cy": [1, 1, 1, 1, 1, 1], "Di": [2, 0, 3, 3, 3, 3]}, "ghosts": [0, 0, 0, 0, 9, 0]},
]
COSTS = np.array([[0.2, 0.3, 0.9], [0.3, 0.8, 0.9], [0.7, 0.9, 0.4]])


def six_images(plaza: datasets.Dataset) -> tuple[int, np.ndarray, np.ndarray]:
    """Return a query, five gallery rows from near to far, and their distances by colour.

    It is the query of lesson 04: nearest is its own camera's image of the person, then strangers
    and partners take turns.
    """
    histogram = extractors.load("histogram")
    query, gallery = plaza.query, plaza.gallery
    known = histogram(datasets.read_images(gallery.path, SIZE))
    for number, row in enumerate(query.itertuples()):
        vector = histogram(datasets.read_images([row.path], SIZE))
        to_all = distances.distances(vector, known)[0]
        near = np.argsort(to_all)
        same, own = gallery.pid == row.pid, gallery.camid == row.camid
        kept = near[(same & own).to_numpy()[near]][:1]
        partners = near[(same & ~own).to_numpy()[near]][[0, 4]]
        strangers = near[(~same & ~own & (gallery.pid > 0)).to_numpy()[near]][[0, 3]]
        wanted = [*kept, strangers[0], partners[0], strangers[1], partners[1]]
        if np.all(np.diff(to_all[wanted]) > 0):
            return number, np.array(wanted), to_all[wanted]
    raise ValueError("no query of this data set has such a ranking")


@dataclass(frozen=True)
class Place:
    """A gallery image on the worksheet, and what it counts for."""

    picture: str  # a data address
    pid: int
    camid: int
    distance: float
    junk: bool
    right: bool


def picture(path: Path) -> str:
    """Return a crop in grey as a data address: what one sees is what a printer prints."""
    image = datasets.read_images([path], SIZE)[0]
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    grey = cv2.normalize(grey, None, 30, 255, cv2.NORM_MINMAX)  # dark crops waste ink
    _, png = cv2.imencode(".png", cv2.resize(grey, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC))
    return "data:image/png;base64," + base64.b64encode(png.tobytes()).decode()


def search() -> dict:
    """Return the query, the five places, and the answers with their arithmetic."""
    plaza = datasets.load("plaza")
    number, rows, far = six_images(plaza)
    asked, shown = plaza.query.iloc[number], plaza.gallery.iloc[rows]
    same = (shown.pid == asked.pid).tolist()
    junk = ((shown.pid == asked.pid) & (shown.camid == asked.camid)).tolist()
    places = [
        Place(picture(row.path), row.pid, row.camid, distance, is_junk, is_same and not is_junk)
        for row, distance, is_junk, is_same in zip(shown.itertuples(), far, junk, same)
    ]
    counted = [place.right for place in places if not place.junk]
    return {
        "query": Place(picture(asked.path), asked.pid, asked.camid, 0.0, False, True),
        "places": places,
        "by_rule": precision(counted), "without": precision(same),
        "ranks": ["right" if right else "wrong" for right in counted],
        "checked": _evaluated(far, asked, shown, True), "flattered": _evaluated(far, asked, shown, False),
    }  # fmt: skip


def _evaluated(far, asked, shown, rule: bool) -> ranking.Ranking:
    """Return what the library says of this ranking, by the same-camera rule or without it."""
    cameras = ([asked.camid], shown.camid) if rule else (None, None)
    return ranking.evaluate_distances(far[None], [asked.pid], cameras[0], shown.pid, cameras[1])


def precision(right: list[bool]) -> dict:
    """Return rank-1, average precision and INP of a ranking, with the fractions they come from."""
    ranks = [rank for rank, is_right in enumerate(right, 1) if is_right]
    parts = [Fraction(hit, rank) for hit, rank in enumerate(ranks, 1)]
    written = " + ".join(f"{hit}/{rank}" for hit, rank in enumerate(ranks, 1))
    return {
        "rank1": int(right[0]),
        "AP": float(sum(parts) / len(parts)), "INP": len(ranks) / ranks[-1],
        "written": f"({written}) / {len(parts)}", "last": f"{len(ranks)}/{ranks[-1]}",
    }  # fmt: skip


def tables(puzzle: dict) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a puzzle's truth and tracks, as `scores.evaluate` takes them."""
    true, found = [], []
    for person, numbers in enumerate(puzzle["people"].values(), 1):
        for frame, number in enumerate(numbers):
            corners = [100 * person, 100, 100 * person + 40, 200]
            true.append([frame, person, *corners])
            if number:
                found.append([frame, number, *corners])
    for frame, number in enumerate(puzzle["ghosts"]):
        if number:
            found.append([frame, number, 900, 100, 940, 200])
    columns = ["frame", "track", *BOX]
    kinds = {"confidence": 1.0, "visibility": 1.0}
    true, found = (pd.DataFrame(rows, columns=columns).assign(**kinds) for rows in (true, found))
    return true, found


def solved(puzzle: dict) -> dict:
    """Return a puzzle's scores and what they are made of."""
    true, found = tables(puzzle)
    by_code = scores.evaluate(true, found)
    counts = {name: int(by_code[name]) for name in ("misses", "false_positives", "switches")}
    agreeing = round(by_code.IDF1 * (len(true) + len(found)) / 2)
    return {
        **puzzle, **counts, "true": len(true), "found": len(found), "agreeing": agreeing,
        "MOTA": by_code.MOTA, "IDF1": by_code.IDF1, "HOTA": by_code.HOTA,
    }  # fmt: skip


def assigned(cost: np.ndarray) -> dict:
    """Return what both ways of assignment choose of a cost matrix, and what each pays."""
    names = "ABC"
    ways = {}
    for way in ("greedy", "hungarian"):
        pairs = sorted((int(row), int(column)) for row, column in association.assign(cost, way))
        paid = " + ".join(f"{cost[pair]:.1f}" for pair in pairs)
        written = ", ".join(f"{row + 1} with {names[column]}" for row, column in pairs)
        ways[way] = f"{written}: {paid} = {sum(cost[pair] for pair in pairs):.1f}"
    return {"rows": cost.tolist(), "names": names, **ways}


def render() -> str:
    """Return the worksheet as a page that needs nothing from elsewhere."""
    loader = jinja2.FileSystemLoader(HERE / "teaching")
    template = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    return template.get_template("worksheet.html.jinja").render(
        search=search(), puzzles=[solved(puzzle) for puzzle in PUZZLES], matrix=assigned(COSTS)
    )


def find_browser() -> str | None:
    """Return a Chromium or Chrome: $REIDLIB_BROWSER, or one that is found; None without any."""
    found = filter(None, map(shutil.which, BROWSERS))
    return os.environ.get("REIDLIB_BROWSER") or next(found, None)


def print_pdf(page: str, paper: str, target: Path) -> None:
    """Print a page to a PDF; RuntimeError without a browser, or when it fails."""
    browser = find_browser()
    if browser is None:
        raise RuntimeError(
            "no Chromium or Chrome was found; open the page in any browser and print it"
        )
    with tempfile.TemporaryDirectory() as folder, assets.atomic(target) as temporary:
        sized = page.replace("<style>", f"<style>@page {{ size: {PAPERS[paper]}; }}", 1)
        source = Path(folder, "worksheet.html")
        source.write_text(sized, "utf-8")
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"]
        command += [f"--user-data-dir={folder}/profile", f"--print-to-pdf={temporary}"]
        done = subprocess.run([*command, source.as_uri()], capture_output=True, text=True)
        if done.returncode or not temporary.stat().st_size:
            raise RuntimeError(f"{browser} did not print: {done.stderr.strip()[-300:]}")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE.parent / "build" / "worksheet")
    parser.add_argument("--pdf", action="store_true", help="A4 and Letter, by Chromium or Chrome")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    page, path = render(), given.out / "worksheet.html"
    with assets.atomic(path) as temporary:
        temporary.write_text(page, "utf-8")
    print(path)
    for paper in PAPERS if given.pdf else ():
        target = given.out / f"worksheet-{paper}.pdf"
        try:
            print_pdf(page, paper, target)
        except RuntimeError as error:
            print(error, file=sys.stderr)
            return 1
        print(target)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
