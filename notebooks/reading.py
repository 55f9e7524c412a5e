"""How long a lesson takes to read, section by section; renews the line under each heading.

    python notebooks/reading.py notebooks/01_collection.ipynb

It also renews the tables of minutes in `teaching/README.md`, which need all five lessons.

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
HERE = Path(__file__).resolve().parent
TABLES = re.compile(r"(?s)(?<=<!-- minutes -->\n).*?(?=<!-- end of minutes -->)")


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


def summary(lessons: dict[str, tuple[nbformat.NotebookNode, float]]) -> list[dict]:
    """Return a row of minutes a lesson; `lessons` has, by name, notebooks and seconds of their run.

    "path" is reading, run and exercises of the marked path together; "all" is to read everything.
    """
    rows = []
    for name, (notebook, seconds) in lessons.items():
        found = [s for s in sections(notebook) if not s.heading.startswith(UNCOUNTED)]
        on_path = [section for section in found if section.on_path]
        rows.append({
            "lesson": name,
            "reading": sum(section.words for section in on_path) / WORDS_A_MINUTE,
            "run": seconds / 60,
            "exercises": sum(section.exercise for section in on_path),
            "path": path_minutes(notebook, seconds),
            "all": sum(section.words for section in found) / WORDS_A_MINUTE,
            "all exercises": sum(section.exercise for section in found),
        })  # fmt: skip
    return rows


def tables(lessons: dict[str, tuple[nbformat.NotebookNode, float]]) -> str:
    """Return the minutes of lessons and of their sections as tables of Markdown."""
    rows = summary(lessons)
    lines = ["| minutes | " + " | ".join(list(rows[0])[1:]) + " |", "|---" * len(rows[0]) + "|"]
    for name, *values in (row.values() for row in rows):
        lines.append(f"| {name} | " + " | ".join(f"{value:.0f}" for value in values) + " |")
    for name, (notebook, _) in lessons.items():
        lines += ["", f"<details><summary>{name}, section by section</summary>", ""]
        lines += ["| section | path | deeper |", "|---|---|---|"]
        for section in sections(notebook):
            taken = section.exercise or minutes(section.words)
            if section.words and not section.heading.startswith((*UNCOUNTED, "Next", "Exercises")):
                heading = re.sub(r" \(\d+ minutes.*\)$", "", section.heading)
                places = (taken, "") if section.on_path else ("", taken)
                lines.append(f"| {heading} | {places[0]} | {places[1]} |")
        lines += ["", "</details>"]
    return "\n".join(lines)


def lessons() -> dict[str, tuple[nbformat.NotebookNode, float]]:
    """Return the five lessons with the measured seconds of their run, by their titles."""
    measured = json.loads((HERE / "measured.json").read_text("utf-8"))
    found = {}
    for path in sorted(HERE.glob("0*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        title = re.match(r"# ([^:\n]+)", notebook.cells[0].source)[1]
        found[title] = notebook, measured[path.name]["seconds"]
    return found


def main(arguments: list[str]) -> int:
    measured = json.loads(Path(__file__).with_name("measured.json").read_text())
    for path in map(Path, arguments):
        notebook = nbformat.read(path, as_version=4)
        renew(notebook)
        nbformat.write(notebook, path)
        seconds = measured[path.name]["seconds"]
        taken, total = path_minutes(notebook, seconds), sum(s.words for s in sections(notebook))
        print(f"{path.name}: path {taken:.0f} of {PATH} minutes; all {total / 200:.0f} of reading")
    guide = HERE / "teaching" / "README.md"
    made = f"\n{tables(lessons())}\n\n"
    guide.write_text(TABLES.sub(lambda _: made, guide.read_text("utf-8")), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
