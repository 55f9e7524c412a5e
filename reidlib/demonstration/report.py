"""One HTML page that holds everything, nothing from elsewhere: report.html.jinja, filled in."""

import base64
import functools
import os
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import cv2
import jinja2
import markupsafe
import numpy as np
import pandas as pd

import reidlib
from reidlib import assets
from reidlib.demonstration import counts as counting
from reidlib.demonstration.summary import portraits
from reidlib.drawing import person_colour
from reidlib.words import counted

TEMPLATE = "report.html.jinja"
EMBED_BELOW = 12_000_000  # bytes; a longer film stays a file beside the page
TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".mp4": "video/mp4"}
SCORES = ["MOTA", "IDF1", "HOTA", "precision", "recall", "switches", "people", "tracks"]
WHOLE = "{:.0f}".format


def write_report(
    path: str | Path,
    clips: Sequence,
    rows: pd.DataFrame,
    found: Mapping,
    films: Sequence[Path],
    pictures: Mapping[str, Path],
) -> Path:
    """Write the page that shows films, people, figures and, where the truth is known, scores.

    `clips` and `rows` are the cameras and their identified tracklets, `found` is the result of
    `summary.metrics`, `films` and `pictures` are the files to show. The page is written whole or
    not at all; returns its path.
    """
    where = f"{len(clips)} cameras" if len(clips) > 1 else "one camera"
    counts = dict.fromkeys(("switches", "people", "tracks"), WHOLE)
    scores = pd.DataFrame.from_dict(found["scores"], orient="index")
    text = render(
        title="Who was where",
        lead=f"{counted(found['people'], 'person', 'people')} in {where}, found without anybody "
        "naming them: a detector drew the boxes, a tracker joined them, and a network decided who "
        "is who.",
        cameras=len(clips),
        facts=_facts(clips, found),
        count=how_many(found),
        films=films,
        people=_people(clips, rows),
        visitors=_visitors(rows, found),
        pictures=pictures,
        scores=table(scores[SCORES], counts) if found["scores"] else "",
        between=found["between cameras"],
        tables=_making(found),
        footer=f"Made by reidlib {reidlib.__version__} on {found['made'][:10]}.",
    )
    with assets.atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="replace")
    return Path(path)


def render(template: str = TEMPLATE, **content) -> str:
    """Return a page as HTML, the report unless a template says otherwise.

    Sections of which nothing is given are left out. All text is escaped, so that a name such as
    ``<b>.mp4`` is shown and does nothing.
    """
    return _environment().get_template(template).render(**content)


@functools.cache
def _environment() -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    nothing = jinja2.ChainableUndefined  # what is not given leads to a section left out
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=nothing)
    environment.filters |= {"source": source, "address": address, "jpeg": _jpeg}
    return environment


def table(
    values: pd.DataFrame, formats: Mapping[str, Callable] | None = None, digits: int = 3
) -> markupsafe.Markup:
    """Return a data frame as an HTML table; its index becomes the first column.

    Numbers get `digits` after the point, unless `formats` has a function for their column.
    """
    text = values.to_html(
        border=0,
        formatters=dict(formats or {}),
        float_format=lambda value: f"{round(value, digits) + 0.0:.{digits}f}",  # no minus zero
        na_rep="–",
    )
    return markupsafe.Markup(text)  # pandas has escaped what is in it


def source(path: Path) -> str:
    """Return what a page shows a file by: its content, or its address if it is a long film."""
    if path.suffix == ".mp4" and path.stat().st_size > EMBED_BELOW:
        return address(path)
    return _embedded(path.read_bytes(), TYPES[path.suffix])


def address(path: Path) -> str:
    """Return the address of a file that lies beside the page, whatever its name."""
    return urllib.parse.quote(os.fsencode(path.name))


def _jpeg(image: np.ndarray) -> str:
    _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    return _embedded(data.tobytes(), TYPES[".jpg"])


def _embedded(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _facts(clips: Sequence, found: Mapping) -> dict[str, object]:
    """Return what the cards at the top say: label to value."""
    seconds = sum(clip.about.duration for clip in clips)
    shown = {"people": found["people"], "of footage": f"{seconds:.0f} s"}
    if found["people in the truth"]:
        shown["people in the truth"] = found["people in the truth"]
    if len(clips) > 1:
        shown["cameras"] = len(clips)
        shown["people seen by several cameras"] = found["people in several cameras"]
    if found["frames a second"]:
        shown["frames a second"] = f"{found['frames a second']:.0f}"
    if found["between cameras"]:
        shown["rank-1 between cameras"] = f"{found['between cameras']['rank-1']:.0%}"
    return shown


def how_many(found: Mapping) -> dict[str, list]:
    """Return the account of how many people there are: a list of sums, and one of remarks.

    A sum is (sign, number, text): from the people in the truth to those found, by the reasons of
    matching.explain_count. Where nobody knows the truth there are none, and the remarks say what is
    certain all the same. `found` is as from `summary.metrics`, with "count".
    """
    count, most = found["count"], found["most at once in a camera"]
    if not count:
        least = f"At least {most} are different people: so many were in one picture."
        return {
            "sums": [],
            "remarks": [
                f"{found['people']} found; how many there were, nobody wrote down.",
                least if most > 1 else "No two of them were in one picture.",
                "A person whose tracks were not joined counts twice, two who look alike may count "
                "once: look through the people below for both.",
            ],
        }
    who = {reason: _listed(names) for reason, names in count["who"].items()}
    sums = [
        ("", count["true"], "people in the truth"),
        (
            "+",
            count["split"],
            f"split: one person of the truth has several numbers here ({who['split']})",
        ),
        ("+", count["nobody"], f"nobody: numbers of no person in the truth ({who['nobody']})"),
        ("−", count["merged"], f"merged: people under another's number ({who['merged']})"),
        ("−", count["seen too briefly"], f"seen too briefly ({who['seen too briefly']})"),
        ("−", count["missed"], f"missed: no box on them ({who['missed']})"),
        ("=", count["found"], "people found"),
    ]
    absent = [reason for reason in who if reason != "nobody" and not count[reason]]
    remarks = [f"Nobody is {' or '.join(absent)}."] if absent else []
    remarks += [] if count["nobody"] else ["Every number is somebody's."]
    if count["found"] != found["people"]:
        remarks.append(f"With the cameras whose truth is not known, {found['people']} were found.")
    return {"sums": [row for row in sums if row[1] or row[0] in ("", "=")], "remarks": remarks}


def _listed(who: Sequence | Mapping, most: int = 6) -> str:
    """Return "201 is 4 and 18; 213 is 1 and 21", or a list of names, cut after `most`."""
    names = [str(name) for name in who]
    if isinstance(who, Mapping):
        numbers = [value if isinstance(value, list) else [value] for value in who.values()]
        names = [f"{name} is {' and '.join(map(str, n))}" for name, n in zip(names, numbers)]
    return "; ".join(names[:most] + (["..."] if len(names) > most else []))


def _people(clips: Sequence, rows: pd.DataFrame) -> list[dict]:
    """Return a card a person: number, colour, small pictures, and where they were seen when."""
    cards, known = [], [clip.camera for clip in clips if clip.truth is not None]
    for person, crops in portraits(clips, rows, 4).items():
        stays = rows[rows["identity"] == person].sort_values("start")
        spans = [f"{stay.camera} {stay.start:.0f}–{stay.end:.0f} s" for stay in stays.itertuples()]
        if (stays["pid"] < 0).all() and stays["camera"].isin(known).all():
            spans[-1] += "; the truth has nobody there"
        card = {"number": person, "colour": person_colour(person), "seen": ", ".join(spans)}
        cards.append(card | {"images": [image for _, image in crops]})
    return cards


def _visitors(rows: pd.DataFrame, found: Mapping) -> dict[str, object]:
    """Return what is said of visitors: their number, a table of stays, and what it cannot say."""
    seen = counting.visitors(rows).rename(columns={"stay": "median stay, s"}).set_index("camera")
    named = table(seen, dict.fromkeys(("hour", "visitors"), WHOLE), 1)
    people = found["people by labels"]
    said = counting.in_words(people)
    if people["low"] is None:
        said += "; python -m reidlib count FOLDER --labels PAIRS.csv takes labels from elsewhere"
    return {"said": said, "table": named, "limits": counting.LIMITS}


def _making(found: Mapping) -> list[markupsafe.Markup]:
    """Return the tables of the cameras, of the time that each step took, and of the settings."""
    cameras = pd.DataFrame.from_dict(found["cameras"], orient="index")
    counts = dict.fromkeys(("width", "height", "frames", "tracks", "people"), WHOLE)
    seconds = pd.DataFrame({"seconds": found["seconds"]})
    setup = pd.DataFrame({"value": {**found["settings"], **found["versions"]}})
    return [table(cameras, counts, 1), table(seconds, {}, 1), table(setup)]
