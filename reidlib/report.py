"""One HTML page that holds everything, nothing from elsewhere; and numbers as JSON."""

from __future__ import annotations

import base64
import html
import importlib.metadata
import json
import math
import platform
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

import reidlib
from reidlib import assets
from reidlib.drawing import person_colour

EMBED_BELOW = 12_000_000  # bytes; a longer film stays a file beside the page
PACKAGES = ("numpy", "opencv-python", "openvino", "torch", "ultralytics", "pandas", "scipy")
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


def versions() -> dict[str, str]:
    """Return the versions of what computed the result; nothing is imported for it."""
    found = {"reidlib": reidlib.__version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found | {"machine": f"{platform.system()} {platform.machine()}"}


def write_json(path: str | Path, values: Mapping) -> None:
    """Write numbers as JSON, NumPy's as Python's and NaN as null."""

    def plain(value):
        if isinstance(value, Mapping):
            return {str(key): plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, float):
            return round(value, 4) if math.isfinite(value) else None
        return value if isinstance(value, int | bool | type(None)) else str(value)

    with assets.atomic(path) as temporary:
        temporary.write_text(json.dumps(plain(values), indent=1), encoding="utf-8")


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
