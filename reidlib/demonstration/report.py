"""One HTML page that holds everything, nothing from elsewhere; and numbers as JSON."""

from __future__ import annotations

import base64
import html
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

import reidlib
from reidlib import assets
from reidlib.demonstration.summary import portraits
from reidlib.drawing import person_colour

EMBED_BELOW = 12_000_000  # bytes; a longer film stays a file beside the page
TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".mp4": "video/mp4"}

STYLE = """
:root { color-scheme: light dark; --ink: #1d2129; --soft: #5c6570; --page: #f5f6f8;
  --card: #fff; --line: #dfe3e8; --accent: #0072b2; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --soft: #a4acb8; --page: #14171c;
  --card: #1e232b; --line: #343b46; --accent: #56b4e9; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 17px/1.55 system-ui, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 2.5rem 1.2rem 4rem; }
h1 { font-size: 2.1rem; line-height: 1.2; margin: 0 0 .4rem; }
h2 { font-size: 1.35rem; margin: 2.8rem 0 .6rem; }
p { max-width: 44rem; } .lead { font-size: 1.15rem; color: var(--soft); margin-top: 0; }
.facts, .people { display: grid; gap: .8rem; padding: 0; list-style: none;
  grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); }
.facts li, .people li, figure { background: var(--card); border: 1px solid var(--line);
  border-radius: .7rem; }
.facts li { padding: .8rem 1rem; color: var(--soft); font-size: .9rem; }
.facts b { display: block; color: var(--ink); font-size: 1.55rem; line-height: 1.25; }
.people { grid-template-columns: repeat(auto-fill, minmax(15.5rem, 1fr)); }
.people li { padding: .8rem; border-left: .45rem solid; font-size: .88rem; }
.people b { font-size: 1.05rem; } .people div { display: flex; gap: .25rem; margin: .4rem 0; }
.people img { width: 52px; height: 104px; border-radius: .25rem; }
figure { margin: 1rem 0; padding: .8rem; }
figure > img, video { display: block; width: 100%; height: auto; border-radius: .35rem; }
figure > img { background: #fff; margin: 0 auto; max-width: 100%; width: auto; }
figcaption { color: var(--soft); font-size: .92rem; margin-top: .6rem; }
.wide { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .93rem; }
th, td { padding: .32rem .85rem; text-align: right; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; }
a { color: var(--accent); } footer { margin-top: 3rem; color: var(--soft); font-size: .88rem; }
@media print { :root { --page: #fff; --card: #fff; --ink: #000; --soft: #444; --line: #bbb; }
  body { font-size: 11pt; } video { display: none; } figure, .people li, tr { break-inside: avoid; }
  h2 { break-after: avoid; } }
"""


def page(title: str, lead: str, parts: Sequence[str], footer: str = "") -> str:
    """Return a whole HTML page made of `parts`, pieces of HTML from the functions below."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        f'<h1>{html.escape(title)}</h1>\n<p class="lead">{html.escape(lead)}</p>\n'
        + "\n".join(parts)
        + f"\n<footer>{html.escape(footer)}</footer>\n</main>\n</body>\n</html>\n"
    )


def write(path: str | Path, text: str) -> Path:
    """Write a page, whole or not at all; returns its path."""
    with assets.atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)


def section(title: str, text: str, *parts: str) -> str:
    """Return a heading, a paragraph and the parts below them."""
    return "\n".join(
        [f"<section>\n<h2>{html.escape(title)}</h2>", f"<p>{html.escape(text)}</p>", *parts]
        + ["</section>"]
    )


def facts(values: Mapping[str, object]) -> str:
    """Return a row of small cards, a large value over its label."""
    cards = (
        f"<li><b>{html.escape(str(value))}</b>{html.escape(label)}</li>"
        for label, value in values.items()
    )
    return f'<ul class="facts">{"".join(cards)}</ul>'


def picture(path: str | Path, caption: str) -> str:
    """Return a picture file, embedded, with a caption that also describes it."""
    text = html.escape(caption)
    return (
        f'<figure><img src="{_embed(path)}" alt="{text}"><figcaption>{text}</figcaption></figure>'
    )


def film(path: str | Path, caption: str) -> str:
    """Return a video player; a film of up to 12 MB is embedded, a larger one linked by its name."""
    path = Path(path)
    source = _embed(path) if path.stat().st_size <= EMBED_BELOW else _address(path)
    return (
        f'<figure><video src="{source}" controls muted loop playsinline preload="metadata"></video>'
        f"<figcaption>{html.escape(caption)} ({_link(path)})</figcaption></figure>"
    )


def links(paths: Sequence[Path]) -> str:
    """Return links to files that lie beside the page, in one line."""
    return f"<p>{' · '.join(map(_link, paths))}</p>" if paths else ""


def table(
    values: pd.DataFrame, formats: Mapping[str, Callable] | None = None, digits: int = 3
) -> str:
    """Return a data frame as a table; its index becomes the first column.

    Numbers get `digits` after the point, unless `formats` has a function for their column.
    """
    text = values.to_html(
        border=0,
        formatters=dict(formats or {}),
        float_format=lambda value: f"{round(value, digits) + 0.0:.{digits}f}",  # no minus zero
        na_rep="–",
    )
    return f'<div class="wide">{text}</div>'


def people(cards: Mapping[object, tuple[str, Sequence[np.ndarray]]]) -> str:
    """Return a card a person: number, a line of text, small pictures (H, W, 3), own colour."""
    items = []
    for person, (text, images) in cards.items():
        pictures = "".join(
            f'<img src="{_jpeg(image)}" alt="person {html.escape(str(person))}">'
            for image in images
        )
        edge = "rgb({}, {}, {})".format(*person_colour(person))
        items.append(
            f'<li style="border-left-color: {edge}"><b>Person {html.escape(str(person))}</b>'
            f"<div>{pictures}</div>{html.escape(text)}</li>"
        )
    return f'<ul class="people">{"".join(items)}</ul>'


def _address(path: Path) -> str:
    return html.escape(urllib.parse.quote(path.name))


def _link(path: Path) -> str:
    return f'<a href="{_address(path)}">{html.escape(path.name)}</a>'


def _embed(path: str | Path) -> str:
    path = Path(path)
    return f"data:{TYPES[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _jpeg(image: np.ndarray) -> str:
    _, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 88])
    return f"data:image/jpeg;base64,{base64.b64encode(data.tobytes()).decode()}"


SCORES = ["MOTA", "IDF1", "HOTA", "precision", "recall", "switches", "people", "tracks"]


TEXTS = {  # figure: its heading, what to see in it, its caption
    "timeline": (
        "Who was where, and when",
        "A row a person, a bar a stay, its pattern the camera.",
        "Time line of all cameras",
    ),
    "rank_grid": (
        "The ranking",
        " Blue with ✓ is the same person, dashed orange with ✗ is not; grey: nobody knows.",
        "Ranked matches with their similarity",
    ),
    "embedding_map": (
        "How the network sees them",
        "Each point is one picture of a person, placed so that similar vectors are neighbours. "
        "Good vectors make one island a person, whatever the camera.",
        "Map of the embeddings (t-SNE)",
    ),
}
RANKED = {  # several cameras: what is ranked
    True: "On the left a person as one camera saw them, then the most similar tracks of others.",
    False: "With one camera, the early half of a track is looked for among the late halves of "
    "all: a first test of whether the vectors tell these people apart. Where the truth counts a "
    "person who comes back as somebody new, ✗ marks the same person too.",
}


def write_report(
    path: Path,
    clips: Sequence,
    rows: pd.DataFrame,
    found: Mapping,
    films: Sequence[Path],
    pictures: Mapping[str, Path],
) -> Path:
    """Write the page that shows films, people, figures and, where the truth is known, scores.

    `found` is the result of `metrics`, `films` and `pictures` the files to show.
    """
    where = f"{len(clips)} cameras" if len(clips) > 1 else "one camera"
    lead = (
        f"{found['people']} people in {where}, found without anybody naming them: "
        "a detector drew the boxes, a tracker joined them, and a network decided who is who."
    )
    parts = [
        _facts(clips, found),
        _film_section(films),
        _people_section(clips, rows),
        _picture_section(pictures, "timeline"),
        _picture_section(pictures, "rank_grid", RANKED[len(clips) > 1]),
        _picture_section(pictures, "embedding_map"),
        _quality_section(found),
        _making_section(found),
    ]
    footer = f"Made by reidlib {reidlib.__version__} on {found['made'][:10]}."
    return write(path, page("Who was where", lead, parts, footer))


def _facts(clips: Sequence, found: Mapping) -> str:
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
    return facts(shown)


def _film_section(films: Sequence[Path]) -> str:
    text = (
        "One number is one person, whatever the camera; of the colours there are only 21. Grey "
        "boxes are people seen too briefly to tell."
    )
    caption = films[0].stem.replace("_", " ")
    parts = [film(films[0], caption), links(films[1:])]
    return section("See for yourself", text, *parts)


def _people_section(clips: Sequence, rows: pd.DataFrame) -> str:
    cards, known = {}, [clip.camera for clip in clips if clip.truth is not None]
    for person, images in portraits(clips, rows, 4).items():
        stays = rows[rows["identity"] == person].sort_values("start")
        spans = (f"{row.camera} {row.start:.0f}–{row.end:.0f} s" for row in stays.itertuples())
        seen = ", ".join(spans)
        if (stays["pid"] < 0).all() and stays["camera"].isin(known).all():
            seen += "; the truth has nobody there"
        cards[person] = seen, [image for _, image in images]
    return section("Who is who", "In order of appearance.", people(cards))


def _picture_section(pictures: Mapping[str, Path], name: str, before: str = "") -> str:
    if name not in pictures:
        return ""
    title, text, caption = TEXTS[name]
    return section(title, before + text, picture(pictures[name], caption))


def _quality_section(found: Mapping) -> str:
    if not found["scores"]:
        text = (
            "For this footage nobody wrote down who is who, so there is nothing to score against. "
            "Give MOT ground truth with --truth to have MOTA, IDF1 and HOTA here."
        )
        return section("How good is it?", text)
    text = (
        "Compared with the truth. MOTA counts missed and false boxes, IDF1 how long each person "
        "keeps one identity, HOTA balances both; 1 is perfect. The linked rows use the identities "
        "shown here; all cameras asks for one identity everywhere. Wrong links lower IDF1, and "
        "right ones do too where a truth counts a person who comes back as somebody new."
    )
    rows = pd.DataFrame.from_dict(found["scores"], orient="index")[SCORES]
    counts = {name: "{:.0f}".format for name in ("switches", "people", "tracks")}
    parts = [table(rows, counts)]
    if found["between cameras"]:
        values = ", ".join(
            f"{name} {value:.2f}" for name, value in found["between cameras"].items()
        )
        parts.append(f"<p>Looking for each track in the other cameras: {values}.</p>")
    return section("How good is it?", text, *parts)


def _making_section(found: Mapping) -> str:
    text = (
        "An identity here is the network's best guess, not evidence. It fails after a change of "
        "clothes, in other light, when somebody is hidden, and for people unlike those it learnt "
        "from; look at the films before you believe a number."
    )
    cameras = pd.DataFrame.from_dict(found["cameras"], orient="index")
    whole = {name: "{:.0f}".format for name in ("width", "height", "frames", "tracks", "people")}
    seconds = pd.DataFrame({"seconds": found["seconds"]})
    setup = pd.DataFrame({"value": {**found["settings"], **found["versions"]}})
    tables = (table(cameras, whole, 1), table(seconds, {}, 1), table(setup))
    return section("How it was made, and what to make of it", text, *tables)
