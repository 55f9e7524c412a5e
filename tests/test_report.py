"""The report's account of how many people there are."""

from types import SimpleNamespace

import numpy as np
import pandas as pd

from reidlib.demonstration import report, summary

WHO = {
    "split": {201: [4, 18], 213: [1, 21]},
    "nobody": [],
    "merged": {205: 3},
    "seen too briefly": [],
    "missed": list(range(220, 230)),
}
COUNT = {"found": 11, "true": 20, "split": 2, "nobody": 0, "merged": 1}
COUNT |= {"seen too briefly": 0, "missed": 10, "who": WHO}


def found(count, people=11, most=3):
    return {"count": count, "people": people, "most at once in a camera": most}


def test_the_sum_goes_from_the_truth_to_what_was_found():
    account = report.how_many(found(COUNT))
    sums = account["sums"]
    assert [number for _, number, _ in sums] == [20, 2, 1, 10, 11]
    signs = {"": 1, "+": 1, "−": -1, "=": -1}
    assert sum(signs[sign] * number for sign, number, _ in sums) == 0
    assert "(201 is 4 and 18; 213 is 1 and 21)" in sums[1][2]
    assert "(205 is 3)" in sums[2][2] and "225; ...)" in sums[3][2] and "226" not in sums[3][2]
    assert account["remarks"] == ["Nobody is seen too briefly.", "Every number is somebody's."]
    page = report.render(count=account)
    assert "How many people?" in page and page.index(">20<") < page.index(">11<")


def test_cameras_without_a_truth_are_told_apart():
    remarks = report.how_many(found(COUNT, people=15))["remarks"]
    assert remarks[-1] == "With the cameras whose truth is not known, 15 were found."


def test_without_a_truth_only_what_is_certain_is_said():
    account = report.how_many(found(None, 7, 4))
    assert account["sums"] == [] and "7 found" in account["remarks"][0]
    assert account["remarks"][1].startswith("At least 4 are different people")
    assert "<table" not in report.render(count=account)
    assert "No two of them" in " ".join(report.how_many(found(None, 1, 1))["remarks"])


def test_how_many_there_must_be_is_what_lasted_for_a_second():
    clips = [SimpleNamespace(camera=name, about=SimpleNamespace(fps=5.0)) for name in "ab"]
    rows = [("a", frame, number) for frame in range(20) for number in (1, 2)]
    rows += [("a", frame, 3) for frame in range(5)] + [("a", frame, 4) for frame in range(4)]
    rows += [("b", frame, -1) for frame in range(20)] + [("b", 0, n) for n in range(9)]
    table = pd.DataFrame(rows, columns=["camera", "frame", "identity"])
    assert summary.most_at_once(clips, table) == 3
    assert summary.most_at_once(clips[1:], table) == 0
    assert summary.most_at_once(clips, table[:0].astype({"identity": np.int64})) == 0
