"""A class's files in one table: guesses and exercises, and nothing stops it."""

import json
import os
import sys
from pathlib import Path

import pandas as pd
import pytest

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
sys.path.insert(0, str(NOTEBOOKS))
import collect  # noqa: E402
from guesses import Guesses  # noqa: E402


def hand_in(folder, who, said, monkeypatch, truth=0.3):
    """Write a learner's guesses as the widget exports them."""
    monkeypatch.setenv("REIDLIB_GUESSES", str(folder / f".{who}"))
    guess = Guesses("01")
    guess.number("size", "How large?", unit="MB")
    guess.choice("frozen", "Which one?", ["change", "contrast"])
    if said is not None:
        guess.commit("size", said)
        guess.answer("size", truth)
    path = folder / f"{who}.json"
    return guess.export(path, who=who)


def test_a_class_is_one_table(tmp_path, monkeypatch, capsys):
    hand_in(tmp_path, "seat 1", 0.31, monkeypatch)
    hand_in(tmp_path, "seat 2", 12, monkeypatch)
    hand_in(tmp_path, "seat 3", 12, monkeypatch)
    hand_in(tmp_path, "seat 4", None, monkeypatch)
    out = tmp_path / "class.csv"
    assert collect.main([str(tmp_path), "--out", str(out)]) == 0
    table = pd.read_csv(out)
    assert list(table.columns) == collect.COLUMNS
    size = table[table.question == "size"]
    assert size.who.tolist() == ["seat 1", "seat 2", "seat 3", "seat 4"]
    assert size.right.tolist()[:3] == [True, False, False] and pd.isna(size.right.iloc[3])
    rows = collect.summary(collect.collect(tmp_path)[0]).set_index("question")
    assert rows.loc["size", ["learners", "answered", "right"]].tolist() == [4, 3, "33%"]
    assert rows.loc["size", "commonest wrong answer"] == "12 (2)"
    assert rows.loc["frozen", ["answered", "right"]].tolist() == [0, ""]
    assert "commonest wrong answer" in capsys.readouterr().out


def notebook(*outputs):
    cells = [
        {"cell_type": "code", "source": ["lens = 6\n", "checks.check_01_lens(lens);"],
         "outputs": [{"output_type": "stream", "text": list(outputs)}]},
        {"cell_type": "code", "source": "checks.check_01_divide(divide);", "outputs": []},
        {"cell_type": "markdown", "source": "checks"},
    ]  # fmt: skip
    return json.dumps({"cells": cells})


def test_exercises_are_read_from_saved_notebooks(tmp_path):
    (tmp_path / "Ada.ipynb").write_text(notebook("Correct.\n"))
    (tmp_path / "Ben.ipynb").write_text(notebook("Not yet: that is enough.\n"))
    table, left_out = collect.collect(tmp_path)
    lens = table[table.question == "lens"]
    assert not left_out and lens.right.tolist() == [True, False]
    assert table[table.question == "divide"].right.isna().all()


def test_the_newer_of_two_files_counts(tmp_path, monkeypatch):
    first = hand_in(tmp_path, "seat 1", 12, monkeypatch)
    old = tmp_path / "before" / "seat 1.json"
    old.parent.mkdir()
    first.rename(old)
    os.utime(old, (1, 1))
    monkeypatch.setenv("REIDLIB_GUESSES", str(tmp_path / ".new"))
    hand_in(tmp_path, "seat 1", 0.3, monkeypatch).write_text(
        (tmp_path / "seat 1.json").read_text().replace('"said": 12', '"said": 0.3')
    )
    table, _ = collect.collect(tmp_path)
    assert table[table.question == "size"].said.tolist() == ["0.3"]


BAD = {
    "empty": "", "cut": '{"lesson": "01", "gues', "list": "[1, 2]", "number": "3",
    "other": '{"a": 1}', "nobody": '{"lesson": 1, "who": [], "guesses": []}',
    "parts": '{"lesson": "01", "who": "x", "guesses": [{"kind": "number"}]}',
    "no dictionary": '{"lesson": "01", "who": "x", "guesses": [7]}',
    "no kind": '{"lesson": "01", "who": "x", "guesses": [{"question": "q", "said": 1}]}',
    "no options": '{"lesson": "01", "who": "x", "guesses": '
                  '[{"kind": "choice", "question": "q", "said": 1}]}',
    "no cells": '{"cells": []}', "odd cells": '{"cells": [1, null, {"outputs": 3}]}',
    "deep": "[" * 100_000,
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_named_and_left_out(tmp_path, monkeypatch, capsys, name):
    hand_in(tmp_path, "seat 1", 12, monkeypatch)
    (tmp_path / "bad.json").write_text(BAD[name])
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "lost.json").symlink_to(tmp_path / "nowhere")
    assert collect.main([str(tmp_path)]) == 0
    told = capsys.readouterr()
    assert told.err.count("Left out: ") == 3 and "Left out: bad.json" in told.err
    assert "size" in told.out


def test_nothing_to_collect_is_said(tmp_path, capsys):
    assert collect.main([str(tmp_path)]) == 1
    assert "No guess and no exercise" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        collect.main([str(tmp_path / "none")])
    assert "is no folder" in capsys.readouterr().err
