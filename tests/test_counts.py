import numpy as np
import pandas as pd
import pytest

from reidlib.boxes import BOX
from reidlib.demonstration import counts


@pytest.fixture
def tracklets():
    """Two cameras and three people, of whom the second stays over the full hour."""
    rows = [
        ("door", 1, 1, 10.0, 30.0),
        ("door", 2, 2, 3590.0, 3650.0),
        ("door", 3, 1, 40.0, 50.0),
        ("yard", 1, 3, 3700.0, 3710.0),
    ]
    return pd.DataFrame(rows, columns=["camera", "track", "identity", "start", "end"])


def test_visitors_a_camera_and_hour(tracklets):
    table = counts.visitors(tracklets)
    assert table.values.tolist() == [
        ["door", 0, 2, 45.0],
        ["door", 1, 1, 60.0],
        ["yard", 1, 1, 10.0],
    ]
    stays = counts.dwell(tracklets)
    assert stays["seconds"].tolist() == [30, 60, 10] and stays["end"].tolist() == [50, 3650, 3710]
    with pytest.raises(ValueError, match="lacks identity"):
        counts.visitors(tracklets.drop(columns="identity"))


def walk(track, xs, y=100.0):
    """Return the boxes of somebody 40 pixels tall whose feet are at xs, a frame each."""
    boxes = [(frame, track, x - 5, y - 40, x + 5, y) for frame, x in enumerate(xs)]
    return pd.DataFrame(boxes, columns=["frame", "track", *BOX])


LINE = (50, 200, 50, 0)  # upwards: its right is the picture's right


def test_who_crosses_a_line_and_which_way():
    tracks = pd.concat(
        [
            walk(1, [10, 30, 49, 51, 49, 51, 70]),  # trembles on the line: once
            walk(2, [90, 60, 40, 10, 40, 60]),  # there and back
            walk(3, [10, 30, 49.5, 30]),  # turns back
            walk(4, [10, 90], y=300.0),  # below its end
        ]
    )
    found = counts.crossings(tracks, LINE)
    assert found.values.tolist() == [[1, 6, "right"], [2, 2, "left"], [2, 5, "right"]]
    swapped = counts.crossings(tracks, (50, 0, 50, 200))
    assert swapped["to"].tolist() == ["left", "right", "left"]
    assert counts.crossings(tracks[:0], LINE).empty


@pytest.mark.parametrize("line", [(1, 2, 1, 2), (1, 2, 3), (0, 0, np.nan, 1)])
def test_a_line_has_two_ends(line):
    with pytest.raises(ValueError, match="expected x1, y1, x2, y2 of two points"):
        counts.crossings(walk(1, [0, 9]), line)


def world(seed, people=12, stays=4, split=0.1, merge=0.1):
    """Return tracklets of people whose numbers are wrong at random, all pairs, and all labels."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(people), stays)
    identity = person.copy()
    for i in range(len(person)):
        if rng.random() < split:
            identity[i] = people + i  # a number of its own
        elif rng.random() < merge:
            identity[i] = rng.integers(people)
    times = np.arange(len(person)) * 10.0
    tracklets = pd.DataFrame({"camera": "door", "identity": identity, "start": times})
    a, b = np.triu_indices(len(person), 1)
    pairs = pd.DataFrame({"a": a, "b": b})
    labels = pairs.assign(same=person[a] == person[b], weight=1.0)
    return tracklets.assign(end=times + 5), pairs, labels


def test_without_errors_the_estimate_is_the_count():
    tracklets, pairs, labels = world(0, split=0, merge=0)
    result = counts.people(tracklets, pairs, labels)
    assert result["found"] == 12 and result["estimate"] == pytest.approx(12)
    assert result["low"] < 12 < result["high"]  # 1,128 pairs prove nothing about all pairs


@pytest.mark.parametrize("seed", range(5))
def test_splits_alone_are_taken_back(seed):
    tracklets, pairs, labels = world(seed, split=0.15, merge=0)
    result = counts.people(tracklets, pairs, labels)
    assert result["found"] > 14 and abs(result["estimate"] - 12) < 0.5 * (result["found"] - 12)
    assert result["low"] <= 12 <= result["high"]


def test_merged_people_are_counted():
    person = np.repeat(np.arange(12), 3)
    tracklets = world(0, stays=3)[0].assign(identity=person // 2)  # two people under one number
    a, b = np.triu_indices(36, 1)
    pairs = pd.DataFrame({"a": a, "b": b})
    labels = pairs.assign(same=person[a] == person[b], weight=1.0)
    result = counts.people(tracklets, pairs, labels)
    assert result["found"] == 6 and result["estimate"] > 9
    assert result["low"] <= 12 <= result["high"]


def test_of_sampled_labels_19_intervals_in_20_hold_the_truth():
    """Splits and tracks under another's number, 30 pairs of one number and 200 of two labelled."""
    held, narrower = [], []
    for seed in range(40):
        tracklets, pairs, labels = world(seed)
        identity = tracklets["identity"].to_numpy()
        linked = identity[labels["a"]] == identity[labels["b"]]
        parts = [(labels[linked], 30), (labels[~linked], 200)]
        drawn = [
            part.sample(n, random_state=seed).assign(weight=len(part) / n) for part, n in parts
        ]
        result, whole = (counts.people(tracklets, pairs, f) for f in (pd.concat(drawn), labels))
        held.append(result["low"] <= 12 <= result["high"])
        narrower.append(whole["high"] - whole["low"] < result["high"] - result["low"])
    assert np.mean(held) >= 0.95 and np.mean(narrower) > 0.8  # more labels, less doubt


def test_without_labels_no_interval_and_a_reason():
    tracklets, pairs, labels = world(0)
    same_number = (
        tracklets["identity"].to_numpy()[labels["a"]]
        == tracklets["identity"].to_numpy()[labels["b"]]
    )
    for given, reason in (
        (None, "nobody has labelled"),
        (labels[:0], "nobody has labelled"),
        (labels[same_number], "no labelled pair is under two numbers"),
        (labels[~same_number], "no labelled pair is under one number"),
    ):
        result = counts.people(tracklets, pairs, given)
        assert result["low"] is None and reason in result["why"]


def test_people_seen_at_once_are_the_least_there_can_be():
    """All labels say that all are one person; but three were in view together."""
    tracklets, pairs, labels = world(0, people=4, stays=1, split=0, merge=0)
    tracklets = tracklets.assign(start=[0, 1, 2, 9], end=[5, 6, 7, 9])
    assert counts.at_once(tracklets) == 3
    result = counts.people(tracklets, pairs, labels.assign(same=True))
    assert result["low"] == result["estimate"] == 3
