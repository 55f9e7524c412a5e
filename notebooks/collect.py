"""Collect a class: what everybody guessed and which exercises are done, in one table.

    python notebooks/collect.py FOLDER                    # prints a summary of each question
    python notebooks/collect.py FOLDER --out class.csv    # and writes a row a learner and question

FOLDER holds what learners handed in: the files that `guess.export("seat4.json", who="seat 4")`
wrote in a lesson, and, if you like, their saved notebooks, whose exercises say *Correct* or *Not
yet*. Names come from `who`, or else from the file. A file that cannot be read, or is something
else, is named and left out; of the same learner's two files of a lesson the newer one counts.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

import guesses
import pandas as pd

from reidlib import assets

COLUMNS = ["who", "lesson", "kind", "question", "said", "truth", "right"]
LARGEST = 20_000_000  # bytes: more is no notebook of this course
EXERCISE = re.compile(r"checks\.check_(\d\d)_(\w+)\(")


def read(path: Path) -> list[dict]:
    """Return the rows of one file: `COLUMNS` each; `right` is None where nothing was answered.

    ValueError, with a sentence on why, for what is no export of guesses and no notebook.
    """
    if path.stat().st_size > LARGEST:
        raise ValueError(f"has {path.stat().st_size / 1e6:.0f} MB; such a file has less than 20")
    try:
        document = json.loads(path.read_text("utf-8-sig"))
    except (ValueError, RecursionError):
        raise ValueError("is no JSON: was it cut short, or saved as something else?") from None
    if isinstance(document, dict) and isinstance(document.get("guesses"), list):
        return _guesses(document, path)
    if isinstance(document, dict) and isinstance(document.get("cells"), list):
        return _exercises(document, path)
    raise ValueError("is neither an export of guesses nor a notebook")


def _guesses(document: dict, path: Path) -> list[dict]:
    who, lesson = document.get("who") or path.stem, document.get("lesson")
    if not isinstance(who, str) or not isinstance(lesson, str):
        raise ValueError("does not say in words who wrote it, in which lesson")
    rows = []
    for about in document["guesses"]:
        try:
            said, truth = about["said"], about.get("truth")
            row = {"kind": "guess", "question": about["question"], "said": None, "right": None}
            row["truth"] = None if truth is None else guesses.spoken(truth)
            if said is not None and guesses.fits(about, said):
                row["said"] = guesses.spoken(said)
                if truth is not None and guesses.fits(about, truth):
                    row["right"] = bool(guesses.right(about, said))
            if not isinstance(row["question"], str):
                raise TypeError
        except (AttributeError, KeyError, TypeError):
            raise ValueError(f"holds a guess that lacks its parts: {about!r:.60}") from None
        rows.append({"who": who, "lesson": lesson, **row})
    return rows


def _exercises(document: dict, path: Path) -> list[dict]:
    rows = []
    for cell in document["cells"]:
        source, outputs = (_text(cell, key) for key in ("source", "outputs"))
        for lesson, name in EXERCISE.findall(source):
            said = re.search(r"(?m)^(Correct\.|Not yet: .*)$", outputs)
            row = {"who": path.stem, "lesson": lesson, "kind": "exercise", "question": name}
            row |= {"said": None, "truth": "Correct.", "right": None}
            if said:
                row |= {"said": said[1], "right": said[1] == "Correct."}
            rows.append(row)
    if not rows:
        raise ValueError("is a notebook without an exercise of this course")
    return rows


def _text(cell, key: str) -> str:
    """Return a cell's source, or what its outputs print; "" where there is nothing of the kind."""
    found = cell.get(key) if isinstance(cell, dict) else None
    parts = found if isinstance(found, list) else [found]
    if key == "outputs":
        parts = [_text(output, "text") for output in parts]
    return "".join(part for part in parts if isinstance(part, str))


def collect(folder: Path) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows of all files under a folder, and a line for each file that was left out.

    FileNotFoundError where there is no such folder.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no folder; give the one with the learners' files")
    latest: dict[tuple[str, str, str], list[dict]] = {}
    left_out = []
    paths = [path for path in folder.rglob("*") if path.suffix in (".json", ".ipynb")]
    shown = [path for path in paths if "/." not in f"/{path.relative_to(folder).as_posix()}"]
    for path in sorted(shown, key=lambda path: (path.lstat().st_mtime, path)):
        try:
            rows = read(path)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None)
            said = f"cannot be opened ({why})" if why else error
            left_out.append(f"{path.relative_to(folder)} {said}")
            continue
        for key in {(row["who"], row["lesson"], row["kind"]) for row in rows}:
            latest[key] = [r for r in rows if (r["who"], r["lesson"], r["kind"]) == key]
    found = [row for rows in latest.values() for row in rows]
    table = pd.DataFrame(found, columns=COLUMNS).sort_values(COLUMNS[1:4] + ["who"], kind="stable")
    return table.reset_index(drop=True), left_out


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Return a row a question: how many answered, the share that was right, the commonest answer.

    The commonest of the *wrong* answers is given: it is what to talk about.
    """
    rows = []
    for (lesson, kind, question), group in table.groupby(["lesson", "kind", "question"]):
        judged = group[group.right.notna()]
        wrong = judged[judged.right == False].said.value_counts()  # noqa: E712, it may be None
        rows.append({
            "lesson": lesson, "kind": kind, "question": question, "learners": len(group),
            "answered": int(group.said.notna().sum()),
            "right": f"{judged.right.astype(bool).mean():.0%}" if len(judged) else "",
            "commonest wrong answer": f"{wrong.index[0]} ({wrong.iloc[0]})" if len(wrong) else "",
        })  # fmt: skip
    return pd.DataFrame(rows)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="the folder with the learners' files")
    parser.add_argument("--out", type=Path, help="write every row to this CSV file")
    given = parser.parse_args(arguments)
    try:
        table, left_out = collect(given.folder)
    except FileNotFoundError as error:
        parser.error(str(error))
    for line in left_out:
        print(f"Left out: {line}.", file=sys.stderr)
    if table.empty:
        print("No guess and no exercise was found.", file=sys.stderr)
        return 1
    print(summary(table).to_string(index=False, max_colwidth=60))
    if given.out:
        with assets.atomic(given.out) as temporary:
            table.to_csv(temporary, index=False)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
