"""The tracker's settings, searched on clips whose truth is known."""

import inspect

import numpy as np
import pandas as pd
import pytest
from stand_ins import in_white

from reidlib import __main__, studies
from reidlib.collection import encoding, formats
from reidlib.detection import detectors, scores, tracking, tuning
from reidlib.detection.tracker import Tracker
from reidlib.features import extractors

pytest.importorskip("optuna")


def clip(folder, name, step):
    """Write a film in which a white box walks, and the truth of it."""
    truth = []
    with encoding.Writer(folder / f"{name}.mp4", 10) as writer:
        for frame in range(16):
            x = 10 + step * frame
            image = np.full((120, 160, 3), 90, np.uint8)
            image[40:100, x : x + 24] = 240
            writer.write(image)
            truth.append((frame, 1, x, 40, x + 24, 100, 1.0))
    columns = ["frame", "track", "x1", "y1", "x2", "y2", "confidence"]
    formats.write_mot(pd.DataFrame(truth, columns=columns), folder / f"{name}.txt")
    return str(folder / f"{name}.mp4")


def colour(crops):
    """Stand in for a network: a box's mean colour, as a unit vector."""
    means = np.array([crop.mean(axis=(0, 1)) for crop in crops], np.float32)
    return means / np.linalg.norm(means, axis=1, keepdims=True)


def test_what_a_search_tries_first_is_the_tracker_as_it_is():
    usual = inspect.signature(Tracker).parameters
    assert {name: usual[name].default for name in tuning.USUAL} == tuning.USUAL
    assert tuning.USUAL.keys() == tuning.SPACE.keys()
    for name, (low, high) in tuning.SPACE.items():
        assert low <= tuning.USUAL[name] <= high


def test_recorded_boxes_are_tracked_as_the_video_is(tmp_path):
    video = clip(tmp_path, "door", 6)
    truth = formats.read_mot(tmp_path / "door.txt")
    calls = []

    def made():
        calls.append(1)
        return tuning.record(video, in_white, colour)

    cache = tmp_path / "door.npz"
    first, again = (tuning.footage("door", truth, (160, 120), cache, made) for _ in range(2))
    assert len(calls) == 1 and np.array_equal(first.embeddings, again.embeddings)
    live = []  # as known at the time
    tracking.track(
        video, in_white, colour, on_frame=lambda i, _, now: live.append(now.assign(frame=i))
    )
    expected = scores.evaluate(truth, pd.concat(live))["IDF1"]
    assert tuning.idf1(again, tuning.USUAL) == expected > 0.9
    cache.write_bytes(cache.read_bytes()[:100])
    with pytest.raises(ValueError, match="door.npz holds no detections.*delete it"):
        tuning.footage("door", truth, (160, 120), cache, made)


def test_a_clip_left_out_takes_no_part_in_the_choice():
    table = pd.DataFrame({"a": [0.9, 0.2, 0.6], "b": [0.1, 0.8, 0.6], "c": [0.5, 0.5, 0.6]})
    # Without a the last is best by .60 to .65: the second, which has .2 on a; and so on.
    assert tuning.left_out(table, ["a", "b", "c"]) == pytest.approx((0.2 + 0.1 + 0.6) / 3)
    with pytest.raises(ValueError, match="1 clip"):
        tuning.left_out(table, ["a"])
    with pytest.raises(ValueError, match="clips .*expected at least one"):
        tuning.objective([])


def test_the_command(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(detectors, "load", lambda *_, **__: in_white)
    monkeypatch.setattr(extractors, "load", lambda *_, **__: colour)
    in_white.name, colour.name = "white", "colour"
    videos = [clip(tmp_path, "door", 6), clip(tmp_path, "yard", 3)]
    storage = tmp_path / "tracker.journal"
    truth = ["--truth", str(tmp_path / "door.txt"), str(tmp_path / "yard.txt")]
    rest = ["--trials", "6", "--storage", str(storage)]
    assert __main__.main(["tune-tracker", *videos, *truth, *rest]) == 0
    said = capsys.readouterr().out
    assert "best of 6 trials" in said and "as usual" in said and "best on the others" in said
    table = pd.read_csv(storage.with_suffix(".csv"))
    assert len(table) == 6 and {"door", "yard", "IDF1", "high", "patience"} <= set(table)
    assert table.loc[0, list(tuning.USUAL)].to_dict() == pytest.approx(tuning.USUAL)
    assert (tmp_path / "tracker.journal.door.npz").exists()
    assert __main__.main(["tune-tracker", *videos, *rest]) == 2
    assert "the truth of door, yard is missing" in capsys.readouterr().err
    study = {"searched": "x"}
    with pytest.raises(ValueError, match="holds a study with searched 'tracker' and not 'x'"):
        studies.open_study(storage, study)
