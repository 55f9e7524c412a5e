"""Guess, commit, compare: what a learner believed before a result was shown, beside the result.

    from guesses import Guesses
    guess = Guesses("01")
    guess.number("size", "How large is the .mp4?", unit="MB")   # the cell before the result
    guess.answer("size", 0.3)                                   # the cell after it
    guess.score()

A committed guess is kept in `.guesses`, beside the notebooks (or in $REIDLIB_GUESSES): running a
cell again, or restarting the kernel, brings it back. Nobody has to guess: an answer without a guess
says so and the lesson goes on.
"""

from __future__ import annotations

import html
import itertools
import json
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import ipywidgets

from reidlib import assets, style

PLACES = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth")
SAVED = "Your guess: run this cell to commit one."  # what a saved notebook shows in its place


def folder() -> Path:
    """Return where guesses are kept: `.guesses` beside this file, or $REIDLIB_GUESSES."""
    return Path(os.environ.get("REIDLIB_GUESSES") or Path(__file__).parent / ".guesses")


class Question(ipywidgets.VBox):
    """A question with a control and a button; a committed guess can no longer be changed."""

    def __init__(self, text: str, control, read: Callable, write: Callable, commit: Callable):
        self.control, self.read, self.write, self.commit = control, read, write, commit
        self.button = ipywidgets.Button(description="Commit", tooltip="Commit this guess")
        self.message = ipywidgets.HTML()
        heading = ipywidgets.HTML(f"<b>{html.escape(text)}</b>")
        self.button.on_click(self._pressed)
        # Not beside one another in a box of their own: a panel of the course is known by that.
        super().__init__([heading, control, self.button, self.message])

    def _pressed(self, _button) -> None:
        try:
            said = self.read()
        except ValueError as error:
            self.message.value = html.escape(str(error))
            return
        self.show(said, self.commit(said))

    def show(self, said, note: str = "") -> None:
        """Show a guess that was committed, now or earlier, and lock the controls."""
        self.write(said)
        for control in (self.control, *getattr(self.control, "children", ()), self.button):
            control.disabled = True
        self.message.value = html.escape(f"You said {spoken(said)}. {note}")

    def _repr_mimebundle_(self, **kwargs):
        return super()._repr_mimebundle_(**kwargs) | {"text/plain": SAVED}


class Guesses:
    """The guesses of one lesson: questions, answers, the score so far."""

    def __init__(self, lesson: str):
        self.lesson, self.path = lesson, folder() / f"{lesson}.json"
        self.questions: dict[str, dict] = {}
        self.said = self._kept()

    def _kept(self) -> dict:
        """Return the guesses committed before; none where the file is missing or damaged."""
        try:
            kept = json.loads(self.path.read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return kept if isinstance(kept, dict) else {}

    def number(self, name: str, text: str, unit: str = "", within: float = 0.2) -> Question:
        """Ask for a number; it is right when it is off by at most the share `within`."""
        control = ipywidgets.Text(placeholder="a number", description=unit, tooltip=text)
        control.style.description_width = "initial"
        about = {"kind": "number", "text": text, "unit": unit, "within": within}
        return self._ask(name, about, control, lambda: typed(control.value))

    def choice(self, name: str, text: str, options: Sequence[str]) -> Question:
        """Ask for one of several options, an answer in words each."""
        control = ipywidgets.RadioButtons(
            options=list(options), value=None, tooltip=text, layout={"width": "auto"}
        )

        def read() -> str:
            if control.value is None:
                raise ValueError("Choose one first.")
            return control.value

        about = {"kind": "choice", "text": text, "options": list(options)}
        return self._ask(name, about, control, read)

    def order(self, name: str, text: str, options: Sequence[str]) -> Question:
        """Ask for an order: which option is first, which second, and so on."""
        options = list(options)
        if len(options) > len(PLACES):
            raise ValueError(f"{len(options)} options to order; at most {len(PLACES)} are legible")
        control = ipywidgets.VBox([
            ipywidgets.Dropdown(options=options, value=None, description=place, tooltip=text)
            for place in PLACES[: len(options)]
        ])  # fmt: skip

        def read() -> list[str]:
            chosen = [place.value for place in control.children]
            if set(chosen) != set(options):
                raise ValueError("Every option must stand in one place, and only in one.")
            return chosen

        return self._ask(name, {"kind": "order", "text": text, "options": options}, control, read)

    def _ask(self, name: str, about: dict, control, read: Callable) -> Question:
        self.questions[name] = about

        def write(said) -> None:
            if about["kind"] == "order":
                for place, option in zip(control.children, said):
                    place.value = option
            else:
                control.value = spoken(said)

        question = Question(about["text"], control, read, write, lambda s: self.commit(name, s))
        said = self.guessed(name)
        if said is not None:
            question.show(said, "Kept from before.")
        return question

    def commit(self, name: str, said) -> str:
        """Keep a guess; return a sentence on whether it will outlast the kernel."""
        self.said = self._kept() | self.said | {name: said}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with assets.atomic(self.path) as temporary:
                temporary.write_text(json.dumps(self.said, indent=1), "utf-8")
        except OSError as error:
            return f"Kept until the kernel stops, for it cannot be written: {error}"
        return "Committed."

    def guessed(self, name: str):
        """Return what was committed for a question; None without a guess that fits it."""
        about, said = self.questions[name], self.said.get(name)
        return said if fits(about, said) else None  # the question may have changed since

    def answer(self, name: str, truth) -> None:
        """Print what was guessed beside what is so; the measured `truth` enters the score."""
        if name not in self.questions:
            raise KeyError(f"no question {name!r} was asked; run the cell that asks it first")
        about = self.questions[name]
        if about["kind"] == "number":
            truth = float(truth)
        elif about["kind"] == "order":
            truth = list(truth)
        if not fits(about, truth):
            raise ValueError(f"the answer {truth!r} is none of {about['options']}")
        about["truth"] = truth
        unit = f" {about['unit']}" if about.get("unit") else ""
        said = self.guessed(name)
        if said is None:
            print(f"No guess yet. It is: {spoken(truth)}{unit}.")
            return
        about["right"] = right(about, said)
        print(
            f"You said: {spoken(said)}{unit}. It is: {spoken(truth)}{unit}.", verdict(about, said)
        )
        print(self._standing())

    def mark(self, figure, name: str, axis: str = "y"):
        """Draw a committed number as a line across a figure's first axes; return the figure."""
        said = self.guessed(name)
        if said is not None:
            ax = figure.axes[0]
            line = ax.axhline if axis == "y" else ax.axvline
            line(said, color=style.PURPLE, ls="--", lw=1.6, label=f"you said {spoken(said)}")
            ax.legend()
        return figure

    def score(self) -> None:
        """Print how many guesses of this lesson were right so far."""
        print(self._standing())

    def _standing(self) -> str:
        met = [about for about in self.questions.values() if "truth" in about]
        made = [about for about in met if "right" in about]
        good = sum(about["right"] for about in made)
        return (
            f"Lesson {self.lesson}: {good} of {len(made)} guesses right, {len(met)} questions met."
        )

    def forget(self) -> None:
        """Delete the guesses of this lesson, for whoever comes next at this machine."""
        self.said = {}
        self.path.unlink(missing_ok=True)

    def export(self, path: str | Path, who: str = "") -> Path:
        """Write questions, guesses and answers as JSON, to be compared within a class.

        `who` is a name or a pseudonym, and may stay empty.
        """
        rows = []
        for name, about in self.questions.items():
            row = {"question": name, **about, "said": self.guessed(name)}
            rows.append(row)
        document = {"lesson": self.lesson, "who": who, "guesses": rows}
        with assets.atomic(path) as temporary:
            temporary.write_text(json.dumps(document, indent=1), "utf-8")
        return Path(path)


def typed(text: str) -> float:
    """Return the number that was typed; ValueError, with what to do, when it is none."""
    try:
        value = float(text.strip().rstrip("%").replace(",", "."))
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError("Type a number, such as 12 or 0.5.")
    return value


def fits(about: dict, value) -> bool:
    """Return whether a guess or a truth is of the kind that the question asks for."""
    if about["kind"] == "number":
        return isinstance(value, int | float) and math.isfinite(value)
    if about["kind"] == "choice":
        return value in about["options"]
    return isinstance(value, list) and sorted(map(str, value)) == sorted(about["options"])


def right(about: dict, said) -> bool:
    """Return whether a guess counts as right: near enough, or the same."""
    if about["kind"] == "number":
        return abs(said - about["truth"]) <= about["within"] * abs(about["truth"])
    return said == about["truth"]


def verdict(about: dict, said) -> str:
    """Return a few words on a guess beside its answer."""
    if right(about, said):
        return "Right."
    if about["kind"] == "order":
        pairs = list(itertools.combinations(about["truth"], 2))
        kept = sum(said.index(a) < said.index(b) for a, b in pairs)
        return f"{kept} of {len(pairs)} pairs stand in the right order."
    if about["kind"] == "number":
        off = said - about["truth"]
        return f"Too {'high' if off > 0 else 'low'} by {spoken(abs(off))}."
    return "Not so."


def spoken(value) -> str:
    """Return a guess as it is read: a number with few digits, an order with arrows."""
    if isinstance(value, list | tuple):
        return " → ".join(map(str, value))
    return f"{value:.4g}" if isinstance(value, int | float) else str(value)
