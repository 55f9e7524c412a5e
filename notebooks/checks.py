"""Checks for the exercises: each prints "Correct" or "Not yet" with a hint, and never crashes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from reidlib import boxes, quality


def check(test: Callable[..., str | None]) -> Callable[..., bool]:
    """Turn a test that returns a hint (or None when all is well) into a check that prints.

    An answer of None counts as not begun, and an error inside the test as an answer of the wrong
    kind, so a check can be run at any time.
    """

    @functools.wraps(test)
    def run(*answers) -> bool:
        if any(answer is None for answer in answers):
            print("Not yet: replace None by your answer, then run this cell again.")
            return False
        try:
            hint = test(*answers)
        except Exception as error:
            hint = f"the answer could not be used ({type(error).__name__}: {error})."
        print(f"Not yet: {hint}" if hint else "Correct.")
        return not hint

    return run


# Lesson 01


@check
def check_01_lens(millimetres: float) -> str | None:
    pixels = quality.focal_pixels(1920, millimetres, 4.8)
    here = float(quality.pixels_per_metre(15, pixels, height=3.5, tilt=20))
    if here < 125:
        return f"{millimetres:g} mm gives {here:.0f} pixels per metre at 15 m, too few."
    if millimetres != 6:
        return "that is enough, but not the shortest lens of the list that is."
    return None


def stuck_order(count: int) -> list[int]:
    """Return the order of `count` frames of a video that freezes from frame 24 to 37."""
    return [*range(24), *[23] * 14, *range(38, count)]


@check
def check_01_frozen(frames: Sequence[int]) -> str | None:
    found, true = set(frames), set(range(24, 38))
    if found - true:
        return f"frame {min(found - true)} shows something new; how small is `change` there?"
    if true - found:
        return f"{len(true - found)} repeated frames are missing; measure with every=1."
    return None


@check
def check_01_people(named: pd.DataFrame, truth: pd.DataFrame) -> str | None:
    pairs = [
        (pid, person)
        for frame, here in named.groupby("frame")
        for pid, person in _matches(here, truth[truth.frame == frame])
    ]
    counts = pd.DataFrame(pairs, columns=["pid", "person"]).value_counts()
    given = counts[counts.index.get_level_values("pid") > 0]
    best = given.groupby("pid").idxmax().tolist()  # the person that each given number means
    people = [person for _, person in best]
    if twice := [pid for pid, person in best if people.count(person) > 1]:
        return f"pids {twice} hold the same person: merge their tracks or name them alike."
    right = given[best].sum() / counts.sum()
    return None if right >= 0.9 else f"{right:.0%} of the boxes have the right name, 90% are asked."


def _matches(named: pd.DataFrame, truth: pd.DataFrame) -> list[tuple[int, int]]:
    corners = ["x1", "y1", "x2", "y2"]
    overlap = boxes.iou(named[corners], truth[corners])
    best = overlap.argmax(axis=1) if len(truth) else []
    hits = [(row, column) for row, column in enumerate(best) if overlap[row, column] >= 0.5]
    return [(int(named.pid.iloc[row]), int(truth.track.iloc[column])) for row, column in hits]


@check
def check_01_divide(divide: Callable) -> str | None:
    table = pd.DataFrame({"pid": np.repeat(np.arange(1, 41), 5), "camid": [1, 2, 3, 4, 5] * 40})
    if divide(table, 0.5, 0) is None:
        return "divide() returns None; return two tables."
    first, second = divide(table, 0.25, 0)
    if set(first.pid) & set(second.pid):
        return "some people are in both tables."
    if len(first) + len(second) != len(table):
        return "some rows are lost or doubled."
    if first.pid.nunique() != 10:
        return f"{first.pid.nunique()} of 40 people are in the first table for share=0.25, not 10."
    draws = [tuple(sorted(set(divide(table, 0.25, seed)[0].pid))) for seed in (0, 0, 1, 2)]
    if draws[0] != draws[1] or len(set(draws)) == 1:
        return "the same seed must give the same people, and other seeds others."
    return None


@check
def check_01_record(record: pd.DataFrame, due: pd.DataFrame) -> str | None:
    if len(record) != 5:
        return f"the record has {len(record)} rows; the notes tell of five, Chi twice."
    by_row = record.set_index(["clip", "person"])
    if by_row.consent.get(("in.mp4", "Ben")) != "withdrawn":
        return "what became of Ben's consent to in.mp4?"
    if by_row.consent.get(("yard.mp4", "Chi")) != "refused":
        return "what did Chi say about yard.mp4?"
    gone = set(zip(due.clip, due.person))
    if gone != {("in.mp4", n) for n in ("Ada", "Ben", "Chi")} | {("yard.mp4", "Chi")}:
        return f"{len(gone)} rows must go, you say; 60 days after 5 January is 6 March."
    return None
