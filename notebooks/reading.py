"""How long a lesson takes to read, section by section; renews the line under each heading.

    python notebooks/reading.py notebooks/01_collection.ipynb

A section is on the marked path of 45 minutes, or deeper. The line under its heading says which:
"*On the 45-minute path · 3 minutes*" or "*Deeper · 2 minutes*". Minutes are words at 200 a minute,
code not counted. An exercise says in its heading what it takes: "(5 minutes, on the path)".
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import NamedTuple

import nbformat

WORDS_A_MINUTE = 200
PATH = 45  # minutes
MARK = re.compile(r"(?m)^\*(On the 45-minute path|Deeper)(?: · \d+ minutes?)?\*$")
HEADING = re.compile(r"(?m)^(#{1,3} .+)$")
UNCOUNTED = ("Quiz", "References")  # read after the lesson


class Section(NamedTuple):
    """A heading and what stands below it, up to the next one."""

    heading: str
    words: int
    on_path: bool
    exercise: int  # minutes that its heading asks for, 0 where it is none


def words(text: str) -> int:
    """Return how many words a reader of Markdown reads: no addresses, no marks, no formulas."""
    text = MARK.sub("", text)
    text = re.sub(r"\]\([^)]*\)|<[^>]+>|\$\$.*?\$\$", " ", text, flags=re.S)
    return len(re.findall(r"[^\W_][\w’'.,-]*", text))


def minutes(count: int) -> int:
    """Return the minutes that so many words take, at least one."""
    return max(1, round(count / WORDS_A_MINUTE))


def sections(notebook: nbformat.NotebookNode) -> list[Section]:
    """Return the sections of a lesson. One without a mark is on the path as the one above it is."""
    found, on_path = [], True
    text = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    _, *parts = HEADING.split(text)
    for heading, body in zip(parts[::2], parts[1::2]):
        if mark := MARK.search(body):
            on_path = mark[1] != "Deeper"
        asked = re.search(r"Exercise .*\((\d+) minutes", heading)
        name = heading.lstrip("# ")
        counted = on_path and not name.startswith(UNCOUNTED)
        if asked:
            counted = "on the path" in heading
        found.append(Section(name, words(body), counted, int(asked[1]) if asked else 0))
    return found


def path_minutes(notebook: nbformat.NotebookNode, seconds: float) -> float:
    """Return how long the marked path takes: reading, exercises, and the lesson's own run."""
    on_path = [section for section in sections(notebook) if section.on_path]
    reading = sum(section.words for section in on_path) / WORDS_A_MINUTE
    return reading + sum(section.exercise for section in on_path) + seconds / 60


def renew(notebook: nbformat.NotebookNode) -> None:
    """Write the minutes of each marked section into the line under its heading.

    They are those of its text up to the next marked heading.
    """
    marked = _marked(notebook)
    places = iter(marked)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = MARK.sub(
                lambda match: f"*{match[1]} · {_say(next(places))}*", cell.source
            )


def _say(count: int) -> str:
    return f"{minutes(count)} minute{'s' if minutes(count) > 1 else ''}"


def _marked(notebook: nbformat.NotebookNode) -> list[int]:
    """Return the words that follow each mark, up to the next one or to the exercises."""
    text = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    parts = MARK.split(text)[2::2]
    return [words(re.split(r"(?m)^## Exercises", part)[0]) for part in parts]


def main(arguments: list[str]) -> int:
    measured = json.loads(Path(__file__).with_name("measured.json").read_text())
    for path in map(Path, arguments):
        notebook = nbformat.read(path, as_version=4)
        renew(notebook)
        nbformat.write(notebook, path)
        seconds = measured[path.name]["seconds"]
        taken, total = path_minutes(notebook, seconds), sum(s.words for s in sections(notebook))
        print(f"{path.name}: path {taken:.0f} of {PATH} minutes; all {total / 200:.0f} of reading")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
