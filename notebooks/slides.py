"""Slides from the lessons' own cells, with what to say and the wrong answers to expect as notes.

    python notebooks/slides.py                # build/slides/*.html: open in a browser, S for notes
    python notebooks/slides.py 01             # one lesson
    python notebooks/slides.py --choose       # set the cells' slide types by rule, in the notebooks

Needs `pip install -e ".[book]"` once and no network afterwards: reveal.js is copied beside the
decks. A cell's slide type (the notebook's metadata, as JupyterLab edits it) says what becomes of
it: `slide` begins a slide, `-` and `fragment` go on with it, `notes` is only spoken, `skip` is left
out. Of a text a slide shows the heading, the first sentence, a table, and what is asked; the rest
is for the speaker. What learners answer wrongly is in teaching/NOTES.md, a row a question.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import re
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
import reading
from nbformat import NotebookNode, v4

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
IMAGES = ("image/png", "image/jpeg")
MOST = 25  # slides of a lesson
WORDS = 45  # of an answer or a first sentence, more or less: longer ones are for the speaker
BLOCK = re.compile(r"(?s)^(\||- |\d\. |\$\$|```)")  # tables, lists, formulas, drawings
_NOTHING: defaultdict[str, str] = defaultdict(str)  # no notes, to count slides with
END = ("Quiz", "References", "Next", "Your score", "Your guesses", "Exercise")


ABLE = "What you will be able to do"


@dataclass
class Part:
    """What one text says under one heading: a cell may hold several."""

    title: str = ""
    on_path: bool = True
    prose: list[str] = field(default_factory=list)  # paragraphs
    blocks: list[str] = field(default_factory=list)
    question: str = ""
    answer: str = ""

    @property
    def begins(self) -> bool:
        """Whether a slide can begin here."""
        return bool(self.title or self.question)


def parts(source: str, on_path: bool) -> list[Part]:
    """Return the parts of a text; `on_path` is how the section before it was marked."""
    found = [Part(on_path=on_path)]
    for paragraph in _paragraphs(source):
        if heading := re.match(r"#+ (.+)", paragraph):
            found.append(Part(heading[1], on_path))
        elif mark := reading.MARK.match(paragraph):
            on_path = found[-1].on_path = mark[1] != "Deeper"
        elif "Predict first." in paragraph or paragraph.startswith("**A guess to keep.**"):
            before, bold, _ = paragraph.partition("**Predict first.**")
            if found[-1].question:
                found.append(Part(on_path=on_path))
            if bold and before:
                found[-1].prose.append(before.strip())
            found[-1].question = paragraph[len(before) :] if bold else paragraph
        elif paragraph.startswith("**What happened.**"):
            found[-1].answer = paragraph
        elif BLOCK.match(paragraph):
            found[-1].blocks.append(paragraph)
        else:
            found[-1].prose.append(paragraph)
    return found


def _paragraphs(source: str) -> list[str]:
    text = re.sub(r"(?s)<details>.*?</details>|\[!\[[^\n]*", "", source)
    text = re.sub(r"(?s)```.*?```", lambda match: match[0].replace("\n\n", "\n"), text)
    return [paragraph.strip() for paragraph in re.split(r"\n\s*\n", text) if paragraph.strip()]


def first_sentences(text: str, words: int = WORDS) -> str:
    """Return the first sentence of a text, and further ones while they fit in so many words."""
    sentences = re.split(r"(?<=[.!?])\s+(?=[A-Z“*(])", text.replace("\n", " "))
    shown = sentences[:1]
    for sentence in sentences[1:]:
        if reading.words(" ".join([*shown, sentence])) > words:
            break
        shown.append(sentence)
    text = " ".join(shown)
    return text + "**" if text.count("**") % 2 else text  # bold that went on


def asked(cell: NotebookNode) -> list[tuple[str, str, list[str]]]:
    """Return name, text and options of each guess that a code cell asks for."""
    found = []
    if cell.cell_type != "code" or "guess." not in cell.source:
        return found
    for node in ast.walk(ast.parse(re.sub(r"(?m)^[%!].*$", "", cell.source))):
        called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
        if called in ("guess.number", "guess.choice", "guess.order"):
            name, text, *more = [_literal(argument, cell.source) for argument in node.args]
            options = more[0] if more and isinstance(more[0], list | tuple) else []
            found.append((name, text, [str(option) for option in options]))
    return found


def _literal(node: ast.expr, source: str):
    """Return what an argument says, also where it is a name that the same cell gives."""
    if isinstance(node, ast.Name):
        for given in ast.parse(source).body:
            if isinstance(given, ast.Assign) and ast.unparse(given.targets[0]) == node.id:
                node = given.value
                break
    if isinstance(node, ast.List | ast.Tuple):
        return [_literal(item, source) for item in node.elts]
    return node.value if isinstance(node, ast.Constant) else None


def picture(cell: NotebookNode) -> NotebookNode | None:
    """Return a cell's first figure; where it only answers a question by a table, that."""
    outputs = [output for output in cell.get("outputs", []) if "data" in output]
    for output in outputs:
        if any(kind in output.data for kind in IMAGES):
            return output
    tables = [output for output in outputs if "<table" in output.data.get("text/html", "")]
    return tables[0] if tables and told(cell) else None


def told(cell: NotebookNode) -> list[str]:
    """Return the answers that a code cell prints, "It is: 27 %."."""
    text = "".join(output.get("text", "") for output in cell.get("outputs", []))
    return re.findall(r"(?m)^No guess yet\. (It is: .+)$", text)


# Choosing


def choose(notebook: NotebookNode) -> None:
    """Set the slide type of every cell by rule: the path's questions, answers, first figures.

    A section on the marked path gives a slide if it has a figure, a table or a list; each of its
    predictions gives one, and another if a figure answers it. Where that is more than `MOST`,
    subsections without a prediction are left out: those without a figure, then the last ones.
    """
    _choose(notebook, set())
    spare = _spare(notebook)
    left_out: set[str] = set()
    while len(slides(notebook, _NOTHING)) > MOST:
        left_out.add(next(spare))
        _choose(notebook, left_out)


def _choose(notebook: NotebookNode, left_out: set[str]) -> None:
    on_path, wanting, open_question = True, False, False  # wanting: a figure is still welcome
    for place, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            found = parts(cell.source, on_path)
            on_path = found[-1].on_path
            kind = _kind_of_text(found, _shows(notebook.cells[place + 1 :]), left_out)
            if any(part.begins for part in found):
                wanting = kind == "slide" and place > 0
        elif not on_path:
            kind = "skip"
        elif asked(cell):
            kind, wanting, open_question = "-", True, True
        elif told(cell) or (wanting and picture(cell)):
            kind = "slide" if picture(cell) and open_question else "-"
            wanting, open_question = False, False
        else:
            kind = "skip"
        cell.metadata["slideshow"] = {"slide_type": kind}


def _shows(following: list[NotebookNode]) -> bool:
    """Return whether a figure follows before the next heading."""
    for cell in following:
        if cell.cell_type == "markdown" and any(p.begins for p in parts(cell.source, True)):
            return False
        if any(kind in o.get("data", {}) for o in cell.get("outputs", []) for kind in IMAGES):
            return True
    return False


def _kind_of_text(found: list[Part], figure_follows: bool, left_out: set[str]) -> str:
    path = [part for part in found if part.on_path and not part.title.startswith(END)]
    begun = [part for part in path if part.begins and part.title not in left_out]
    if any(part.question or part.blocks for part in begun) or (begun and figure_follows):
        return "slide"
    if any(part.answer for part in path):
        return "fragment"
    return "notes" if any(part.prose or part.blocks for part in path) else "skip"


def _spare(notebook: NotebookNode) -> Iterator[str]:
    """Yield the titles of subsections in the order in which a deck can best do without them."""
    bare, drawn = [], []
    text = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    predicting = {part.title for part in parts(text, True) if part.question}
    below = set(re.findall(r"(?m)^### (.+)$", text)) - predicting
    for slide in slides(notebook, _NOTHING):
        if slide.title in below:
            figures = [cell for cell in slide.cells if cell.cell_type == "code"]
            (drawn if figures else bare).append(slide.title)
    yield from bare
    yield from reversed(drawn)


# Building


@dataclass
class Slide:
    """One slide: cells that it shows, and what is said to it."""

    title: str
    cells: list[NotebookNode] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, text: str, fragment: bool = False) -> None:
        kind = "fragment" if fragment else "-"
        self.cells.append(_text(text, kind))


def _text(text: str, kind: str) -> NotebookNode:
    plain = re.sub(r"(?<!!)\[([^]]+)\]\([^)]*\)", r"\1", text)  # slides have no links
    return v4.new_markdown_cell(mathml(plain), metadata={"slideshow": {"slide_type": kind}})


def slides(notebook: NotebookNode, wrong: dict[str, str]) -> list[Slide]:
    """Return the slides of a lesson, by the slide types of its cells.

    `wrong` has, for each question, what learners answer wrongly and what that reveals.
    """
    deck, title, on_path = [], "", True
    for cell in notebook.cells:
        kind = cell.metadata.get("slideshow", {}).get("slide_type", "-")
        if cell.cell_type == "markdown":
            found = parts(cell.source, on_path)
            on_path = found[-1].on_path
            for part in found:
                title = part.title or title
                if kind != "skip" and part.on_path and not part.title.startswith(END):
                    _tell(deck, part, kind, title)
        elif kind != "skip":
            if kind == "slide":
                deck.append(Slide(title))
            _show(deck[-1], cell, wrong)
    return [slide for slide in deck if slide.cells]


def _tell(deck: list[Slide], part: Part, kind: str, title: str) -> None:
    if part.answer and deck:
        deck[-1].add(first_sentences(part.answer), fragment=True)
        deck[-1].notes.append(part.answer)
    if kind == "slide" and part.begins:
        if part.title != ABLE:  # what a lesson is for stands on its first slide
            deck.append(Slide(title))
        lead = first_sentences(" ".join(part.prose[:1]), 30)
        if part.question:
            short = [block for block in part.blocks if block.count("\n") < 6]
            deck[-1].cells += [_text(block, "-") for block in short[-1:]]
            deck[-1].add(first_sentences(part.question, 90))
        elif part.title == ABLE:
            deck[-1].add(part.blocks[0])
        else:
            deck[-1].cells += [_text(text, "-") for text in [lead, *part.blocks[:1]] if text]
    if deck:
        deck[-1].notes += [*part.prose, *([part.question] if part.question else [])]


def _show(slide: Slide, cell: NotebookNode, wrong: dict[str, str]) -> None:
    for name, text, options in asked(cell):
        listed = "\n".join(f"- {option}" for option in options)
        if len(options) > 5:
            listed = " · ".join(options)
        slide.add(f"**{text}**\n\n{listed}".strip())
        slide.notes.append(f"**Expect.** {wrong[name]}")
    if output := picture(cell):
        shown = v4.new_code_cell(outputs=[output], metadata=dict(cell.metadata))
        shown.metadata["slideshow"] = {"slide_type": "-"}
        slide.cells.append(shown)
    if answers := told(cell):
        slide.add("  \n".join(f"**{answer}**" for answer in answers), fragment=True)


def mathml(text: str) -> str:
    """Return Markdown whose formulas are MathML, which browsers draw without any script."""
    from docutils.utils.math.latex2mathml import tex2mathml

    text = re.sub(r"(?s)\$\$(.+?)\$\$", lambda m: tex2mathml(m[1], as_block=True), text)
    return re.sub(r"\$([^$\n]+)\$", lambda m: tex2mathml(m[1]), text)


def mistakes(text: str) -> dict[str, dict[str, str]]:
    """Return, for each lesson ("01") and question, what NOTES.md expects of learners."""
    found: dict[str, dict[str, str]] = {}
    for line in text.splitlines():
        if heading := re.match(r"## (\d\d) ", line):
            rows = found.setdefault(heading[1], {})
        elif row := re.match(r"\| `([^`]+)` \| ([^|]+) \| ([^|]+) \|$", line):
            rows[row[1]] = f"{row[2]}  \n{row[3]}"
    return found


def deck(notebook: NotebookNode, wrong: dict[str, str]) -> NotebookNode:
    """Return a lesson as a notebook of slides, which nbconvert turns into a page."""
    cells = []
    for number, slide in enumerate(slides(notebook, wrong)):
        heading = f"# {slide.title}" if number == 0 else f"## {slide.title}"
        cells.append(_text(heading, "slide"))
        cells += slide.cells
        cells.append(_text("\n\n".join(slide.notes) or "No notes.", "notes"))
    return v4.new_notebook(cells=cells, metadata=notebook.metadata)


def page(notebook: NotebookNode, name: str) -> str:
    """Return a notebook of slides as HTML."""
    from nbconvert import SlidesExporter

    exporter = SlidesExporter(
        template_name="slides", extra_template_basedirs=[str(HERE / "book")], exclude_input=True,
        exclude_output_prompt=True,
    )  # fmt: skip
    return exporter.from_notebook_node(notebook, {"metadata": {"name": name}})[0]


def reveal() -> Path:
    """Return the folder of reveal.js that the package sphinx-revealjs brings."""
    found = importlib.util.find_spec("sphinx_revealjs")
    if found is None:
        raise RuntimeError('slides need reveal.js: python -m pip install -e ".[book]" brings it')
    return Path(found.origin).parent / "_static" / "revealjs"


def lessons(names: list[str]) -> Iterator[Path]:
    """Yield the lessons whose names begin so, all of them where none is given."""
    for path in sorted(HERE.glob("0*.ipynb")):
        if not names or path.name.startswith(tuple(names)):
            yield path


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="beginnings of lesson names; all by default")
    parser.add_argument("--choose", action="store_true", help="set slide types by rule, no decks")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "slides")
    given = parser.parse_args(arguments)
    wrong = mistakes((HERE / "teaching" / "NOTES.md").read_text("utf-8"))
    if not given.choose:
        shutil.copytree(reveal(), given.out / "reveal", dirs_exist_ok=True,
                        ignore=shutil.ignore_patterns("css", "*.map", "*.esm.js", "*.eot"))  # fmt: skip
    for path in lessons(given.names):
        notebook = nbformat.read(path, as_version=4)
        if given.choose:
            choose(notebook)
            nbformat.write(notebook, path)
            continue
        made = deck(notebook, wrong[path.name[:2]])
        (given.out / f"{path.stem}.html").write_text(page(made, path.stem), "utf-8")
        count = sum(cell.metadata.slideshow.slide_type == "slide" for cell in made.cells)
        print(f"{given.out / path.stem}.html: {count} slides")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
