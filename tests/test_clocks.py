"""Clocks: the footage tells by how much they differ, or that it cannot tell."""

import numpy as np
import pandas as pd
import pytest

from reidlib import assets
from reidlib.boxes import BOX
from reidlib.collection import formats, video
from reidlib.demonstration import clocks, matching
from reidlib.features import extractors

VIEWS = {
    "door": np.array([[60, -20, 400], [5, 10, 300], [0.01, -0.03, 1.0]]),
    "yard": np.array([[-50, 30, 500], [8, -12, 350], [-0.02, 0.02, 1.0]]),
}


def walk(view, ways, late=0.0, noise=1.0, seed=0):
    """Return the boxes of people who walk along `ways` (x, y, dx, dy, in metres and per second)."""
    rng, tables = np.random.default_rng(seed), []
    times = np.arange(0, 20, 0.1)
    for track, (x, y, dx, dy) in enumerate(ways, 1):
        ground = np.column_stack([x + dx * (times - 10), y + dy * (times - 10), np.ones(200)])
        feet = ground @ VIEWS[view].T
        feet = feet[:, :2] / feet[:, 2:] + rng.normal(0, noise, (200, 2))
        sides = {"x1": feet[:, 0] - 20, "x2": feet[:, 0] + 20, "y1": feet[:, 1] - 90}
        tables.append(
            pd.DataFrame({"time": times + late, "track": track, "y2": feet[:, 1], **sides})
        )
    return pd.concat(tables, ignore_index=True)


@pytest.fixture
def crossing():
    """Eight people who cross a place in all directions."""
    rng = np.random.default_rng(4)
    angle = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    speed = rng.uniform(0.3, 0.6, 8)[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    return np.column_stack([rng.uniform(-2, 2, (8, 2)), speed])


@pytest.mark.parametrize("late", [0.0, 4.4, -5.35])
def test_clocks_that_differ_are_found_though_some_pairs_are_wrong(crossing, late):
    pairs = [(track, track) for track in range(1, 7)] + [(7, 8), (8, 7)]
    first, second = walk("door", crossing), walk("yard", crossing, late, seed=1)
    found = clocks.suggest_offset(first, second, pairs, within=7)
    assert found.seconds == pytest.approx(-late, abs=0.1)
    assert found.people == 6 and found.compared == 8 and found.ratio >= clocks.CLEAR


def test_what_cannot_be_told_is_not_told(crossing):
    pairs = [(track, track) for track in range(1, 9)]
    first = walk("door", crossing)
    strangers = walk("yard", np.roll(crossing[:, [1, 0, 3, 2]], 3, axis=0) * [1, -1, 1.4, -0.7])
    few = clocks.suggest_offset(first, walk("yard", crossing), pairs[:4], within=3)
    assert few.seconds is None and few.people == 0
    # Along one street at one pace, a later clock is the same picture a step further.
    street = crossing * [1, 1, 0, 0] + [0, 0, 0.5, 0]
    along = clocks.suggest_offset(walk("door", street), walk("yard", street), pairs, within=3)
    assert along.seconds is None and along.people >= 6 and along.ratio < clocks.CLEAR
    assert clocks.suggest_offset(first, strangers, pairs, within=3).seconds is None
    assert clocks.suggest_offset(first, strangers, [], within=3) == clocks.Offset(None, 0.0, 0, 0)


def test_lookalikes_are_nearest_both_ways():
    tracklets = pd.DataFrame({"camera": list("aaabbc"), "track": [1, 2, 3, 4, 5, 6]})
    vectors = np.eye(3)[[0, 1, 1, 0, 1, 2]] + [[0.0], [0.0], [0.1], [0.0], [0.1], [0.0]]
    vectors[0] = np.nan
    assert clocks.lookalikes(tracklets, vectors, "a", "b") == [(3, 5)]
    assert clocks.lookalikes(tracklets, vectors, "a", "nowhere") == []


@pytest.fixture(scope="module")
def plaza():
    """The bundled tracks of a day, and vectors of their tracks from one picture in 25 frames."""
    extractor, tables, samples, vectors = extractors.load(), {}, [], []
    for camera in ("c1", "c2", "c3"):
        table = formats.read_mot(assets.data("plaza", "tracks", f"{camera}_day.txt"))
        tables[camera] = table.assign(time=table["frame"] / 12.5, camera=camera)
        clip = assets.data("plaza", "clips", f"{camera}_day.mp4")
        for frame, _, image in video.read(clip, every=25):
            rows = tables[camera][tables[camera]["frame"] == frame]
            corners = rows[BOX].round().astype(int).clip(lower=0).to_numpy()
            crops = [image[y1:y2, x1:x2] for x1, y1, x2, y2 in corners]
            samples.append(rows)
            vectors.append(extractor(crops))
    rows, means = matching.tracklets(pd.concat(samples, ignore_index=True), np.vstack(vectors), 1)
    return tables, rows, means


def test_plaza_tells_its_clocks_and_its_overlap(plaza):
    tables, rows, means = plaza
    tables = tables | {"c2": tables["c2"].assign(time=tables["c2"]["time"] - 7.4)}
    found = clocks.suggest(tables, rows, means, within=10)
    assert found["c1", "c2"].seconds == pytest.approx(7.4, abs=0.15)
    assert found["c1", "c3"].seconds is None and found["c2", "c3"].seconds is None
    said = clocks.sentence(("c1", "c2"), found["c1", "c2"])
    assert "add +7." in said and said.endswith("s to the start of c2")
    assert "cannot tell" in clocks.sentence(("c1", "c3"), found["c1", "c3"])
