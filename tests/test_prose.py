"""The lessons' prose holds: numbers as in the outputs, predictions answered, figures told.

A lesson is added to `LESSONS` when its second edition is written. A number of a prose cell that
follows code must be found in what that code printed or says. What cannot be found there (it was
read off a figure, or names a lesson) stands in the cell's metadata, with the reason:
``"unchecked": {"80": "read off the figure"}``; for a table from elsewhere, ``{"*": "..."}``.
"""

import json
import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat import v4

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
sys.path.insert(0, str(NOTEBOOKS))
import reading  # noqa: E402

LESSONS = ["01_collection", "02_detection_and_tracking", "03_features", "04_model"]
LESSONS += ["05_demonstration"]
OTHERS = ["own_footage", *[f"solutions/{name}" for name in LESSONS]]
NUMBER = re.compile(r"(?<![\w.])[-−]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+)?(?![\w]|\.\d)")
# What is no claim about an output: code, addresses, formulas, years in brackets, places in a text.
ASIDE = re.compile(
    r"`[^`]*`|\]\([^)]*\)|<[^>]*>|\$\$.*?\$\$|\$[^$\n]+\$|\((?:19|20)\d\d\)|, (?:19|20)\d\d\b"
    r"|\barticle \d+\(\d+\)|\bguidelines \d+/\d+|\brecital \d+|(?m:^\d+\. )"
    r"|\b(?:lessons?|sections?|cameras?|camera|person|rounds?|crops?|tracks?|exercises?|articles?)"
    r" \d+(?:\.\d+)*(?:(?:,| and| to| or) \d+)*|\b[A-Za-z]+-?\d+\w*",
    re.S | re.I,
)
IMAGES = ("image/png", "image/jpeg")


def lesson(name):
    return nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)


def numbers(text):
    """Return the numbers of a text, as they are written."""
    return [found for found in NUMBER.findall(text) if re.search(r"\d", found)]


def value(written):
    return float(written.replace(",", "").replace("−", "-"))


def says(written, known):
    """Return whether a number, as precise as it is written, is one of `known`, or a share of it."""
    digits = len(written.partition(".")[2])
    told = value(written)
    tolerance = 0.5001 * 10**-digits
    return any(
        abs(abs(told) - abs(v) * scale) <= tolerance for v in known for scale in (1, 100, 0.01)
    )


def printed(cell):
    """Return what a code cell says: its source and the text of its outputs."""
    parts = [cell.source]
    for output in cell.outputs:
        data = output.get("data", {})
        parts += [output.get("text", ""), data.get("text/plain", "")]
        markup = re.compile(r"<style.*?</style>|<[^>]+>", re.S)
        parts.append(markup.sub(" ", data.get("text/html", "")))
    return "\n".join(parts)


def claims(text):
    """Return the part of a prose cell that tells of what was just shown.

    That is up to the next heading or prediction; from there on the text looks ahead.
    """
    return re.split(r"(?m)^#+ |^(?:\*\*Case \d+\. |\*\*)Predict first", text)[0]


def disagreements(notebook):
    """Return, for each prose cell behind code, its numbers that no output says."""
    found, known, before = [], [], None
    for cell in notebook.cells:
        if cell.cell_type == "code":
            if before != "code":  # a new group of cells; what the group before printed still counts
                known = known[-1:]
            known.append([value(number) for number in numbers(printed(cell))])
        elif before == "code":
            free = cell.metadata.get("unchecked", {})
            told = numbers(ASIDE.sub(" ", claims(cell.source)))
            every = [number for group in known for number in group]
            wrong = [n for n in told if not {n, "*"} & set(free) and not says(n, every)]
            if wrong:
                found.append((cell.id, wrong))
        before = cell.cell_type
    return found


def untold(notebook):
    """Return the cells that show a figure without alternative text that says what is seen."""
    found = []
    for cell in notebook.cells:
        outputs = [o.get("data", {}) for o in cell.get("outputs", [])]
        if any(kind in data for data in outputs for kind in IMAGES):
            text = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
            empty = re.match(r"(?i)(a |the )?(figure|image|picture)", text)
            if empty or not 40 <= len(text) <= 250:
                found.append(cell.id)
    return found


def unanswered(notebook):
    """Return what was predicted and not answered: the text, or the name of a question."""
    text = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    _, *parts = re.split(r"Predict first\.", text)
    found, spare = [], 0  # an answer may come some predictions later, but each needs its own
    for part in reversed(parts):
        spare += part.count("**What happened.**") - 1
        if spare < 0:
            found.append(part.strip("* \n")[:60])
            spare = 0
    asked, answered = [], []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            asked += re.findall(r'guess\.(?:number|choice|order)\(\s*"([^"]+)"', cell.source)
            answered += re.findall(r'guess\.answer\("([^"]+)"', cell.source)
            if "guess.answer(name," in cell.source:  # a loop over several
                answered += re.findall(r'"([^"]+)"', cell.source)
    return found + [name for name in asked if name not in answered]


def bold_terms(notebook):
    """Return the terms that a lesson introduces, "a **track** is": one to three small words."""
    text = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    found = re.findall(r"\b[Aa]n? \*\*([a-z][a-z-]+(?: [a-z-]+){0,2})\*\*", text)
    return sorted({term for term in found if not term.endswith(("panel", "planner", "bench"))})


@pytest.fixture(params=LESSONS)
def notebook(request):
    return lesson(request.param)


def test_numbers_beside_outputs_are_those_of_the_outputs(notebook):
    assert disagreements(notebook) == []


def test_what_is_not_checked_is_there_and_has_a_reason(notebook):
    for cell in notebook.cells:
        told = numbers(ASIDE.sub(" ", claims(cell.source)))
        for number, reason in cell.metadata.get("unchecked", {}).items():
            assert number in {*told, "*"}, f"{cell.id} no longer says {number}"
            assert len(reason) > 7, f"{cell.id} gives no reason for {number}"


def test_every_figure_is_told(notebook):
    assert untold(notebook) == []


@pytest.mark.parametrize("name", OTHERS)
def test_figures_beside_the_lessons_are_told_too(name):
    assert untold(lesson(name)) == []


def test_every_prediction_is_answered(notebook):
    assert unanswered(notebook) == []
    source = "\n".join(c.source for c in notebook.cells if c.cell_type == "code")
    assert len(re.findall(r"guess\.(?:number|choice|order)\(", source)) >= 4
    assert "guess.score()" in source


@pytest.mark.parametrize("name", LESSONS)
def test_the_marked_path_takes_45_minutes_at_most(name):
    measured = json.loads((NOTEBOOKS / "measured.json").read_text())
    seconds = measured[f"{name}.ipynb"]["seconds"]
    assert 20 <= reading.path_minutes(lesson(name), seconds) <= reading.PATH


def test_minutes_under_headings_are_those_of_the_text(notebook):
    before = [cell.source for cell in notebook.cells]
    reading.renew(notebook)
    assert [cell.source for cell in notebook.cells] == before


def glossary():
    text = (NOTEBOOKS / "GLOSSARY.md").read_text("utf-8")
    return dict(re.findall(r"(?m)^\| ([^|]+) \| .*\[(.*?)\] \|$", text))


def test_terms_in_bold_are_in_the_glossary(notebook):
    known = {part for term in glossary() for part in re.split(r",\s*", term.lower())}
    assert [term for term in bold_terms(notebook) if term not in known] == []


@pytest.mark.parametrize("name", LESSONS)
def test_terms_of_the_glossary_are_used_where_it_says(name):
    cells = lesson(name).cells
    text = " ".join(cell.source for cell in cells).lower()
    lacking = []
    for term, lessons in glossary().items():
        words = re.split(r",\s*", term.lower())
        if name[:2] in lessons and not any(word.rstrip("s") in text for word in words):
            lacking.append(term)
    assert lacking == []


# Each of these tests can fail:


def made(*cells):
    copies = [nbformat.from_dict({**cell, "id": f"cell{i}"}) for i, cell in enumerate(cells)]
    return v4.new_notebook(cells=copies)


def code(text="", source="evaluate()", **metadata):
    outputs = [v4.new_output("stream", name="stdout", text=text)] if text else []
    return v4.new_code_cell(source, outputs=outputs, metadata=metadata)


def prose(text, **metadata):
    return v4.new_markdown_cell(text, metadata=metadata)


@pytest.mark.parametrize(
    "text, wrong",
    [
        ("IDF1 is 0.77 and rank-1 85 %.", []),
        ("IDF1 is 0.768, in lesson 03, for camera 2 (2016).", []),
        ("It falls to 0.78.", ["0.78"]),
        ("It falls to 0.7.", ["0.7"]),  # .768 is .8 with one digit
        ("It has 3,260 boxes and 3,261 rows.", ["3,261"]),
        ("About 84 %.", ["84"]),
        ("It is 0.77.\n\n**Predict first.** And with 99?", []),
        ("It is 0.77.\n\n## 2 Next\n\nWith 99 people.", []),
    ],
)
def test_a_number_that_disagrees_is_found(text, wrong):
    cell = prose(text)
    found = disagreements(made(code("IDF1 0.768, rank-1 0.85, boxes 3260"), cell))
    assert [numbers for _, numbers in found] == ([wrong] if wrong else [])


def test_numbers_are_looked_for_near_by_and_may_be_set_free():
    early, late = code("0.5"), code("0.9")
    assert disagreements(made(early, prose("0.5"), late, prose("0.9 after 0.5"))) == []
    far = made(early, prose("0.5"), code("1"), prose("1"), late, prose("0.5"))
    assert [wrong for _, wrong in disagreements(far)] == [["0.5"]]
    for number in ("0.4", "*"):
        free = prose("0.4", unchecked={number: "read off the figure"})
        assert disagreements(made(early, free)) == []


def test_a_figure_without_words_is_found():
    picture = v4.new_output("display_data", data={"image/png": "..."})
    for alt, good in {
        "": False, "Figure 1 of the lesson, which shows what it shows, and no more": False,
        "Two curves of precision against recall; by day and at dusk they coincide.": True,
    }.items():  # fmt: skip
        cell = code(mystnb={"image": {"alt": alt}})
        cell.outputs = [picture]
        assert (untold(made(cell)) == []) == good


def test_a_prediction_left_open_is_found():
    asked = prose("**Predict first.** How many?")
    question = code(source='guess.number("many", "How many?")')
    answer = code(source='guess.answer("many", 3)')
    told = prose("**What happened.** Three.")
    assert unanswered(made(asked, question, answer, told)) == []
    assert unanswered(made(asked, question, answer)) == ["How many?"]
    assert unanswered(made(asked, question, told)) == ["many"]
    assert len(unanswered(made(asked, told, asked))) == 1
    assert unanswered(made(asked, asked, told, told, question, answer)) == []
    assert len(unanswered(made(asked, asked, told))) == 1


def test_a_term_is_what_is_introduced_as_one():
    text = "A **contact sheet** is first; **not** this, nor the **whole**, nor a **planner panel**."
    assert bold_terms(made(prose(text))) == ["contact sheet"]


def test_the_path_counts_its_words_its_exercises_and_the_run():
    cells = [
        prose("# Lesson\n\n" + "word " * 200),
        prose("## 1 One\n\n*On the 45-minute path*\n\n" + "word " * 400),
        prose("### More\n\n*Deeper*\n\n" + "word " * 1000),
        prose("## Exercises\n\n*On the 45-minute path*"),
        prose("### Exercise 1: try (5 minutes, on the path)\n\n### Exercise 2: more (20 minutes)"),
        prose("## Quiz\n\n" + "word " * 400),
    ]
    assert reading.path_minutes(made(*cells), 60) == pytest.approx(1 + 2 + 5 + 1, abs=0.1)
    renewed = made(*cells)
    reading.renew(renewed)
    assert "*On the 45-minute path · 2 minutes*" in renewed.cells[1].source
    assert "*Deeper · 5 minutes*" in renewed.cells[2].source
