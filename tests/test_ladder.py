"""The ladder of lesson 02: its trackers do what they say, and its file is what they made."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "notebooks"))
import ladder

BOX = ["x1", "y1", "x2", "y2"]


def walk(frames, step=30.0):
    """Somebody 40 pixels wide who goes `step` pixels a frame, seen in `frames` only."""
    rows = [(f, 100 + step * f, 100.0, 140 + step * f, 200.0, 0.9) for f in frames]
    return pd.DataFrame(rows, columns=["frame", *BOX, "confidence"])


@pytest.mark.parametrize("motion", [ladder.Velocity, ladder.Kalman])
def test_motion_carries_over_a_gap_where_the_last_box_does_not(motion):
    seen = walk([0, 1, 2, 3, 4, 5, 9, 10], step=12.0)
    assert ladder.plain(seen, "hungarian", motion).track.nunique() == 1
    assert ladder.plain(seen, "hungarian", ladder.LastBox).track.nunique() == 2


def test_whoever_is_away_for_long_is_somebody_new():
    standing = walk([*range(3), *range(3 + ladder.MAX_AGE, 20)], step=0.0)
    assert ladder.plain(standing, "greedy", ladder.LastBox).track.nunique() == 1
    away = walk([*range(3), *range(4 + ladder.MAX_AGE, 20)], step=0.0)
    assert ladder.plain(away, "greedy", ladder.LastBox).track.nunique() == 2


def test_the_file_holds_every_rung_of_every_clip():
    kept = pd.read_csv(ladder.FILE)
    assert kept.groupby("clip", sort=False).rung.apply(list).to_dict() == {
        clip: list(ladder.RUNGS) for clip in ladder.CLIPS
    }


@pytest.mark.parametrize("rung", ["Hungarian", "Kalman", "grown boxes, heights"])
def test_the_file_is_what_the_trackers_make_today(rung):
    kept = pd.read_csv(ladder.FILE).set_index(["clip", "rung"])
    made = ladder.climb("c1_dusk", [rung]).iloc[0]
    idf1 = made["IDF1"]
    assert made.switches == kept.switches["c1_dusk", rung]
    assert idf1 == pytest.approx(kept.IDF1["c1_dusk", rung], abs=0.002)


def test_an_interval_is_of_the_mean():
    low, high = ladder.interval(np.array([0.6, 0.7, 0.8, 0.9]))
    assert 0.6 < low < 0.75 < high < 0.9
    assert ladder.interval(np.full(7, 0.5)) == (0.5, 0.5)
