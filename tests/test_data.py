"""The bundled footage: whole, as the datasheet describes it, and small enough to travel."""

import importlib.util
import json
import shutil

import numpy as np
import pandas as pd
import pytest

from reidlib import assets, boxes
from reidlib.collection import cameras, datasets, formats, video

CLIPS = ["c1_day", "c2_day", "c3_day", "c1_dusk", "c2_dusk", "c3_dusk", "c4_hall"]


@pytest.fixture(scope="module")
def checksums():
    path = assets.data("checksums.py")
    spec = importlib.util.spec_from_file_location("checksums", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_bundled_files_agree_with_their_checksums(checksums):
    assert checksums.differences() == []


def test_a_changed_file_is_noticed(checksums, tmp_path, monkeypatch):
    for part in ("plaza/truth", "weights"):
        shutil.copytree(assets.data(part), tmp_path / part)
    shutil.copy(checksums.SUMS, tmp_path)
    with open(tmp_path / "plaza" / "truth" / "c1_day.txt", "a", encoding="utf-8") as file:
        file.write("1,999,0,0,1,1,1,1,1\n")
    monkeypatch.setattr(checksums, "HERE", tmp_path)
    assert "plaza/truth/c1_day.txt differs from its checksum" in checksums.differences()


def test_plaza_fits_its_budget():
    assert sum(f.stat().st_size for f in assets.data("plaza").rglob("*") if f.is_file()) < 40e6
    for file in assets.data("weights").rglob("*"):
        assert file.stat().st_size <= 8e6, file


@pytest.mark.parametrize("clip", CLIPS)
def test_truth_fits_its_clip(clip):
    about = video.probe(assets.data("plaza", "clips", f"{clip}.mp4"))
    assert (about.width, about.height, about.fps) == (640, 360, 12.5)
    truth = formats.read_mot(assets.data("plaza", "truth", f"{clip}.txt"))
    assert truth.frame.max() < about.frames
    corners = boxes.as_boxes(truth[["x1", "y1", "x2", "y2"]])
    assert np.allclose(boxes.clip(corners, 640, 360), corners, atol=0.02)
    assert truth.visibility.between(0.05, 1).all()
    assert truth.track.between(201, 220).all()
    for kind in ("detections", "tracks"):
        found = formats.read_mot(assets.data("plaza", kind, f"{clip}.txt"))
        assert len(found) and found.frame.max() < about.frames


def test_people_move_between_cameras_and_places():
    seen = {
        clip: set(formats.read_mot(assets.data("plaza", "truth", f"{clip}.txt")).track)
        for clip in CLIPS
    }
    assert seen["c1_day"] & seen["c2_day"]
    assert (seen["c1_day"] | seen["c2_day"]) & seen["c3_day"]
    assert seen["c4_hall"] & (seen["c1_day"] | seen["c2_day"] | seen["c3_day"])


def test_calibration_puts_feet_on_the_ground():
    """The same person's feet, seen by two cameras at once, are at one place on the ground."""
    calibrations = json.loads(assets.data("plaza", "cameras.json").read_text("utf-8"))["cameras"]
    assert len(calibrations) == 6
    places = []
    for name in ("c1", "c2"):
        truth = formats.read_mot(assets.data("plaza", "truth", f"{name}_day.txt"))
        truth = truth[(truth.visibility > 0.9) & (truth.y2 < 350)]
        xy = cameras.on_ground(truth[["x1", "y1", "x2", "y2"]], calibrations[name])
        places.append(truth.assign(x=xy[:, 0], y=xy[:, 1])[["frame", "track", "x", "y"]])
    both = places[0].merge(places[1], on=["frame", "track"])
    assert len(both) > 100
    assert np.median(np.hypot(both.x_x - both.x_y, both.y_x - both.y_y)) < 0.5


def test_crops_are_split_by_identity():
    plaza = datasets.load("plaza")
    train, query = set(plaza.train.pid), set(plaza.query.pid)
    assert len(train) == 150 and len(query) == 100 and not train & query
    assert query <= set(plaza.gallery.pid) and {0, -1} <= set(plaza.gallery.pid)
    assert set(plaza.query.camid) == set(plaza.train.camid) == {1, 2, 3, 4, 5, 6}
    people = pd.read_csv(assets.data("plaza", "identities.csv"))
    assert train | query <= set(people.pid)


@pytest.mark.parametrize("scenario", ["clothes", "dusk", "pose", "occlusion", "lowres"])
def test_scenarios_query_the_normal_gallery(scenario):
    changed = datasets.load("plaza", scenario=scenario)
    assert len(changed.query) > 250
    assert set(changed.query.pid) <= set(changed.gallery.pid)
