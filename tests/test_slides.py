"""Decks come from the lessons' own cells: a good number of slides, short ones, with notes."""

import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat import v4

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "notebooks"))
import reading  # noqa: E402
import slides  # noqa: E402

WRONG = slides.mistakes((ROOT / "notebooks" / "teaching" / "NOTES.md").read_text("utf-8"))
LESSONS = [path.stem for path in slides.lessons([])]


def lesson(name):
    return nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)


def shown(slide):
    return "\n".join(cell.source for cell in slide.cells if cell.cell_type == "markdown")


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_is_a_deck_of_short_slides(name):
    notebook = lesson(name)
    untyped = [cell.id for cell in notebook.cells if "slideshow" not in cell.metadata]
    assert untyped == [], "new cells: python notebooks/slides.py --choose"
    deck = slides.slides(notebook, WRONG[name[:2]])
    assert 15 <= len(deck) <= slides.MOST
    for slide in deck:
        words = reading.words(shown(slide))
        figures = sum(cell.cell_type == "code" for cell in slide.cells)
        assert figures <= 1 and words <= (110 if figures else 190), (slide.title, words)
        assert slide.notes or not figures  # a list or a table speaks for itself


@pytest.mark.parametrize("name", LESSONS)
def test_every_question_of_a_lesson_has_its_wrong_answers(name):
    cells = lesson(name).cells
    questions = [question for cell in cells for question, *_ in slides.asked(cell)]
    assert sorted(WRONG[name[:2]]) == sorted(questions)
    deck = slides.slides(lesson(name), WRONG[name[:2]])
    spoken = "\n".join(note for slide in deck for note in slide.notes)
    assert spoken.count("**Expect.**") >= 4


@pytest.mark.parametrize("name", LESSONS)
def test_what_many_say_is_not_what_came_out(name):
    """Lessons that are run again may print another answer, which then is no wrong one."""
    compared = 0
    for cell in lesson(name).cells:
        asked = re.findall(r'guess\.answer\(\s*"([^"]+)"', cell.source)
        answers = [answer.removeprefix("It is: ").rstrip(".") for answer in slides.told(cell)]
        for question, answer in zip(asked, answers):
            said = WRONG[name[:2]][question].splitlines()[0].lower()
            compared += 1
            assert answer.lower() not in said, f"{question}: NOTES.md calls {answer!r} wrong"
    assert compared >= 4


def test_numbers_of_slides_are_those_of_the_outputs():
    """An answer is taken from what the cell printed, and nothing of a deck is written twice."""
    notebook = lesson("03_features")
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if "text" in output:
                output.text = re.sub(r"It is: \d+ %", "It is: 12.34 %", output.text)
    deck = slides.slides(notebook, WRONG["03"])
    assert "It is: 12.34 %." in "\n".join(map(shown, deck))


def code(source, text="", image=False, table=False):
    outputs = [v4.new_output("stream", text=text)] if text else []
    data = {"image/png": "iVBORw0KGgo="} if image else {"text/html": "<table>"} if table else None
    outputs += [v4.new_output("display_data", data=data)] if data else []
    return v4.new_code_cell(source, outputs=outputs)


def made(*cells):
    cells = [v4.new_markdown_cell(cell) if isinstance(cell, str) else cell for cell in cells]
    notebook = v4.new_notebook(cells=cells)
    slides.choose(notebook)
    return notebook, [cell.metadata.slideshow.slide_type for cell in notebook.cells]


def test_questions_answers_and_first_figures_are_chosen():
    notebook, kinds = made(
        "# Lesson\n\n## What you will be able to do\n\n- to see",
        code("import numpy"),
        "## 1 One\n\n*On the 45-minute path*\n\nA picture. More of it.",
        code("plot()", image=True),
        code("plot()", image=True),
        "Prose. **Predict first.** How many?",
        code('guess.number("many", "How many?")'),
        code("draw()", "No guess yet. It is: 7.\n", image=True),
        "**What happened.** Seven of them.\n\nAnd so on.",
        "## 2 Two\n\n*Deeper*\n\n- a\n- b",
        code("plot()", image=True),
    )
    assert kinds == [
        "slide", "skip", "slide", "-", "skip", "slide", "-", "slide", "fragment", "skip", "skip",
    ]  # fmt: skip
    deck = slides.slides(notebook, {"many": "Eight."})
    assert [slide.title for slide in deck] == ["Lesson", "1 One", "1 One", "1 One"]
    assert "How many?" in shown(deck[2]) and "It is: 7." not in shown(deck[2])
    assert "Eight." in deck[2].notes[-1] and "Prose." in deck[2].notes
    assert "It is: 7." in shown(deck[3]) and "Seven of them" in shown(deck[3])
    assert "And so on." in deck[3].notes and "And so on" not in shown(deck[3])


def test_a_hand_that_leaves_a_slide_out_is_heard():
    notebook, _ = made("# Lesson", "## 1 One\n\n- a", "## 2 Two\n\n- b")
    notebook.cells[1].metadata.slideshow.slide_type = "skip"
    assert [slide.title for slide in slides.slides(notebook, {})] == ["2 Two"]


def test_too_many_slides_lose_subsections_without_a_prediction_first():
    figures = [(f"### {i}\n\nPicture {i}.", code("plot()", image=True)) for i in range(30)]
    notebook, _ = made("# Lesson", *[cell for pair in figures for cell in pair], "### List\n\n- a")
    titles = [slide.title for slide in slides.slides(notebook, {})]
    assert titles == [str(i) for i in range(25)]


def test_a_long_answer_is_cut_between_sentences():
    text = "It is 0.5. " + "So it goes on and on. " * 20
    assert reading.words(slides.first_sentences(text)) <= slides.WORDS
    assert slides.first_sentences(text).endswith("on.")
    bold = "One **bold word. And** more. " + "w " * 50
    assert slides.first_sentences(bold) == "One **bold word.**"


def test_a_page_takes_nothing_from_elsewhere():
    pytest.importorskip("nbconvert")
    pytest.importorskip("docutils", reason='slides need: pip install -e ".[book]"')
    deck = slides.deck(lesson("04_model"), WRONG["04"])
    page = slides.page(deck, "04_model")
    begun = [cell for cell in deck.cells if cell.metadata.slideshow.slide_type == "slide"]
    assert page.count('<aside class="notes">') == len(begun) >= 15
    assert not re.findall(r"""(?:src|href)=["'](?:https?:)?//""", page)
    assert "mathjax" not in page.lower() and "import course" not in page
    pictures = re.findall(r"<img[^>]*>", page)
    assert pictures and all('alt="' in picture and 'alt=""' not in picture for picture in pictures)
