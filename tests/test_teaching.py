"""The teaching package holds: minutes by rule, answers that add up, a key that fits the test."""

import contextlib
import io
import re
import sys
from math import sqrt
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOKS = ROOT / "notebooks"
sys.path.insert(0, str(NOTEBOOKS))
import reading  # noqa: E402

GUIDE = (NOTEBOOKS / "teaching" / "README.md").read_text("utf-8")
TEST = (NOTEBOOKS / "teaching" / "TEST.md").read_text("utf-8")
TEACHING = (NOTEBOOKS / "TEACHING.md").read_text("utf-8")
LESSONS = sorted(NOTEBOOKS.glob("0*.ipynb"))
RENEW = "python notebooks/reading.py renews it"


def section(title, text=GUIDE):
    return re.search(rf"(?ms)^## {title}$(.*?)(?=^## |\Z)", text)[1]


def rows(text):
    """Return the words and the numbers of each row of Markdown's tables."""
    cells = [re.split(r" *\| *", line.strip("| ")) for line in text.splitlines() if "|" in line]
    return [[c for c in row if not c.isdigit()] for row in cells], [
        [int(c) for c in row if c.isdigit()] for row in cells
    ]


def test_minutes_are_by_rule():
    told_words, told = rows(reading.TABLES.search(GUIDE)[0])
    words, numbers = rows(reading.tables(reading.lessons()))
    assert told_words == words, RENEW
    for name, written, now in zip(words, told, numbers):
        assert len(written) == len(now) and all(abs(a - b) <= 1 for a, b in zip(written, now)), (
            f"{name}: {written} is now {now}; {RENEW}"
        )


def test_no_path_is_longer_than_promised():
    found = reading.summary(reading.lessons())
    assert len(found) == 5 and all(row["path"] <= reading.PATH for row in found)
    assert f"at most\n{reading.PATH} minutes" in section("Minutes")


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_header_says_what_the_exercises_ask(path):
    notebook = nbformat.read(path, as_version=4)
    header = " ".join(notebook.cells[0].source.split())
    assert f"**Time**: {reading.PATH} minutes on the marked path, with exercise" in header
    numbered = [s for s in reading.sections(notebook) if s.exercise]
    path_ones = [s.heading.split()[1].rstrip(":") for s in numbered if s.on_path]
    named = re.search(r"with exercises? ([\d and]+\d|\d)", header)[1].split(" and ")
    assert named == path_ones
    total = re.search(r"plus (\d+) for all five exercises", header)
    assert int(total[1]) == sum(s.exercise for s in numbered)
    everything = int(re.search(r"about (\d+) minutes for everything", header)[1])
    words = sum(s.words for s in reading.sections(notebook) if not s.exercise)
    assert everything >= words / reading.WORDS_A_MINUTE


def test_readme_and_teaching_notes_promise_the_same_path():
    promise = f"a marked path of {reading.PATH} minutes at most"
    assert promise in TEACHING and promise in (ROOT / "README.md").read_text("utf-8")


def test_the_self_test_prints_its_answers():
    blocks = re.findall(r"(?s)```(?:python|text)\n(.*?)```", section("A self-test of five minutes"))
    source, answers = blocks
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(source, {})
    assert printed.getvalue() == answers and len(answers.splitlines()) == 6


def test_the_key_fits_the_test():
    questions = re.findall(r"(?s)\*\*(\d+)\.\*\* (.*?)(?=\*\*\d+\.\*\*|\[The key\])", TEST)
    assert [int(number) for number, _ in questions] == list(range(1, 11))
    for _, text in questions:
        assert re.findall(r"\(([abc])\)", text) == ["a", "b", "c"]
    right, believed, number = {}, {}, ""
    for line in section("Key to the test").splitlines():
        if row := re.match(r"\| *(\d*) *\| *([abc]?) *\| ([abc]) \| (.{20,}) \|$", line):
            number = row[1] or number
            right.setdefault(number, row[2])
            believed.setdefault(number, []).append(row[3])
    assert list(right) == [number for number, _ in questions]
    for number, letter in right.items():  # what each wrong answer reveals
        assert sorted([letter, *believed[number]]) == ["a", "b", "c"], number
    assert max(map(list(right.values()).count, "abc")) <= 5  # no letter gives the test away


def test_every_prompt_has_an_answer():
    prompts = re.findall(r"(?m)^\d\. ", section("Discussion prompts", TEACHING))
    answers = re.findall(r"(?m)^\*\*\d\. ", section("Answers to the discussion prompts"))
    assert len(prompts) == len(answers) == 7


def test_the_arithmetic_of_the_answers():
    text = " ".join(section("Answers to the discussion prompts").split())
    visitors = 1000 * 30
    rate = 0.05 / visitors
    assert f"{visitors:,} others. At a false match rate of 1 %, {visitors * 0.01:.0f} of" in text
    assert "less than 2 in a million" in text and 1e-6 < rate < 2e-6
    assert f"so {30 / rate / 1e6:.0f} million pairs" in text
    right = 0.01 * 0.9
    assert "are a million comparisons a day" in text and 100_000 * 10 == 1_000_000
    assert f"that is {right:.3f} right alarms" in text and right / (right + 1) < 0.01
    assert f"({30 * 100_000 * 10 // 1_000_000} million pairs for 30)" in text
    share = sqrt(0.8 * 0.2)
    assert f"with 30 volunteers ± {100 * 1.96 * share / sqrt(30):.0f} points" in text
    assert f"about {(1.96 * share / 0.05) ** 2:.0f} people" in text
    spread = sqrt(0.85 * 0.15)
    one = 1.96 * spread / sqrt(17)
    assert f"± {100 * one:.0f} points and the difference to ± {100 * one * sqrt(2):.0f}:" in text
    assert f"takes about {2 * (1.96 * spread / 0.05) ** 2:.0f} people a group" in text
    assert "they stay half an hour" in text and 45 / 90 == 0.5


def test_the_rubric_adds_up():
    found = [line for line in section("Rubric for the page for marks").splitlines() if "**" in line]
    assert len(found) * 4 == 20 and all(line.count("|") == 5 for line in found)
