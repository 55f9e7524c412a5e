"""A guess is committed, survives the kernel, and is laid over what was measured."""

import json
import os
import sys
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
sys.path.insert(0, str(NOTEBOOKS))
import guesses  # noqa: E402
import run  # noqa: E402

from reidlib import style  # noqa: E402


@pytest.fixture
def guess(tmp_path, monkeypatch):
    monkeypatch.setenv("REIDLIB_GUESSES", str(tmp_path / "kept"))
    return guesses.Guesses("01")


def commit(question, said):
    """Do what a person does: fill in the control, press the button."""
    control = question.control
    for place, option in zip(getattr(control, "children", ()), said):
        place.value = option
    if not getattr(control, "children", ()):
        control.value = said
    question.button.click()


def test_a_number_is_committed_and_compared(guess, capsys):
    question = guess.number("size", "How large is the file?", unit="MB")
    commit(question, "5")
    assert "You said 5. Committed." in question.message.value
    assert question.control.disabled and question.button.disabled
    guess.answer("size", 0.3)
    told = capsys.readouterr().out
    assert "You said: 5 MB. It is: 0.3 MB. Too high by 4.7." in told
    assert "0 of 1 guesses right" in told


@pytest.mark.parametrize("said, good", [("80", 1), ("95", 1), ("96", 1), ("97", 0), ("60", 0)])
def test_a_number_is_right_within_a_fifth(guess, capsys, said, good):
    commit(guess.number("half", "How many at 20 m?"), said)
    guess.answer("half", 80)
    assert f"{good} of 1 guesses right" in capsys.readouterr().out


@pytest.mark.parametrize("said", ["", "many", "nan", "inf"])
def test_what_is_no_number_is_not_committed(guess, said):
    question = guess.number("size", "How large?")
    commit(question, said)
    assert "Type a number" in question.message.value
    assert not question.control.disabled and not guess.path.exists()
    commit(question, "12,5 %")
    assert guess.guessed("size") == 12.5


def test_a_choice(guess, capsys):
    question = guess.choice("data", "Personal data?", ["yes", "no"])
    question.button.click()
    assert "Choose one first" in question.message.value
    commit(question, "no")
    guess.answer("data", "yes")
    assert "You said: no. It is: yes. Not so." in capsys.readouterr().out
    with pytest.raises(ValueError, match="none of"):
        guess.answer("data", "perhaps")


def test_an_order(guess, capsys):
    question = guess.order("rungs", "Which helps most?", ["a", "b", "c"])
    commit(question, ["a", "a", "b"])
    assert "only in one" in question.message.value
    commit(question, ["b", "a", "c"])
    guess.answer("rungs", ("a", "b", "c"))
    told = capsys.readouterr().out
    assert "You said: b → a → c. It is: a → b → c. 2 of 3 pairs stand in the right order." in told
    with pytest.raises(ValueError, match="none of"):
        guess.answer("rungs", ["a", "b"])


def test_nobody_has_to_guess(guess, capsys):
    guess.number("size", "How large?", unit="MB")
    guess.answer("size", 0.3)
    guess.score()
    assert capsys.readouterr().out.splitlines() == [
        "No guess yet. It is: 0.3 MB.", "Lesson 01: 0 of 0 guesses right, 1 questions met.",
    ]  # fmt: skip


def test_an_answer_without_its_question_says_what_to_do(guess):
    with pytest.raises(KeyError, match="run the cell that asks it"):
        guess.answer("size", 3)


def test_guesses_survive_a_restart_and_can_be_forgotten(guess, capsys):
    commit(guess.number("size", "How large?"), "5")
    commit(guess.order("rungs", "Which?", ["a", "b"]), ["b", "a"])
    again = guesses.Guesses("01")  # as a new kernel does
    question = again.number("size", "How large?")
    assert question.control.value == "5" and question.button.disabled
    assert [p.value for p in again.order("rungs", "Which?", ["a", "b"]).control.children] == [
        "b", "a",
    ]  # fmt: skip
    again.answer("size", 5)
    assert "1 of 1 guesses right" in capsys.readouterr().out
    assert guesses.Guesses("02").said == {}
    again.forget()
    assert guesses.Guesses("01").said == {}


def test_a_guess_for_a_question_that_has_changed_is_left_aside(guess):
    commit(guess.choice("data", "Personal?", ["yes", "no"]), "no")
    again = guesses.Guesses("01")
    assert not again.choice("data", "Personal?", ["true", "false"]).button.disabled


def test_a_damaged_file_is_no_end(guess):
    commit(guess.number("size", "How large?"), "5")
    for text in ("[1, 2", '["size"]'):
        guess.path.write_text(text)
        assert guesses.Guesses("01").said == {}


def test_where_nothing_can_be_written_the_guess_holds_for_the_kernel(guess, tmp_path, capsys):
    (tmp_path / "kept").write_text("a file where the folder should be")
    question = guess.number("size", "How large?")
    commit(question, "5")
    assert "until the kernel stops" in question.message.value
    guess.answer("size", 5)
    assert "1 of 1 guesses right" in capsys.readouterr().out


def test_a_guess_is_drawn_over_the_result(guess):
    figure, ax = style.axes()
    ax.plot([0, 1], [1, 2])
    guess.number("size", "How large?")
    assert guess.mark(figure, "size") is figure and len(ax.lines) == 1  # nobody guessed
    guess.commit("size", 1.5)
    guess.mark(figure, "size")
    assert ax.lines[1].get_ydata()[0] == 1.5 and ax.lines[1].get_label() == "you said 1.5"


def test_an_export_holds_questions_guesses_and_answers(guess, tmp_path, capsys):
    commit(guess.number("size", "How large?", unit="MB"), "5")
    guess.choice("data", "Personal?", ["yes", "no"])
    guess.answer("size", 0.3)
    document = json.loads(guess.export(tmp_path / "mine.json", who="seat 4").read_text())
    assert (document["lesson"], document["who"]) == ("01", "seat 4")
    first, second = document["guesses"]
    assert (first["question"], first["said"], first["truth"], first["right"]) == (
        "size", 5.0, 0.3, False,
    )  # fmt: skip
    assert second["said"] is None and "truth" not in second


def test_a_saved_notebook_shows_that_a_guess_is_asked_and_no_state(guess):
    question = guess.number("size", "How large?")
    data = question._repr_mimebundle_()
    view = "application/vnd.jupyter.widget-view+json"
    assert view in data and data["text/plain"] == guesses.SAVED
    cell = run.nbformat.v4.new_code_cell("guess.number('size', 'How large?')")
    cell.outputs = [run.nbformat.v4.new_output("display_data", data=data)]
    notebook = run.nbformat.v4.new_notebook(cells=[cell], metadata={"widgets": {"state": {}}})
    cleaned = run.clean(notebook)
    assert cleaned.cells[0].outputs[0].data == {"text/plain": guesses.SAVED}
    assert "widgets" not in cleaned.metadata


def test_every_control_can_be_reached_and_is_labelled(guess):
    text = "How large?"
    number, choice = guess.number("a", text), guess.choice("b", text, ["x", "y"])
    order = guess.order("c", text, ["x", "y"])
    for control in (number.control, choice.control, *order.control.children):
        assert control.tooltip == text
    assert [p.description for p in order.control.children] == ["first", "second"]
    assert text in number.children[0].value and number.button.description == "Commit"


def test_guesses_are_no_part_of_the_repository():
    assert ".guesses/" in (NOTEBOOKS.parent / ".gitignore").read_text().split()
    kept = os.environ.pop("REIDLIB_GUESSES", None)
    try:
        assert guesses.folder() == NOTEBOOKS / ".guesses"
    finally:
        if kept is not None:
            os.environ["REIDLIB_GUESSES"] = kept
