"""The panels of lesson 01 survive every control, and the labelling panel edits what it says."""

import gc

import ipywidgets
import numpy as np
import pandas as pd
import pytest
from panels import sweep

from reidlib import style
from reidlib.collection import annotation, camera_plots, encoding, panels, quality
from reidlib.panel import Panel


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (96, 128, 3), np.uint8) for _ in range(20)]


@pytest.fixture(scope="module")
def clip(images, tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "noise.avi"
    encoding.write(path, images, fps=10)
    return path


@pytest.fixture
def table():
    """Track 1 lives in frames 0 to 9, track 2 in 10 to 19, track 3 in all of them."""
    lives = {1: range(10), 2: range(10, 20), 3: range(20)}
    rows = [
        (f, t, 10.0 * t, 5.0, 10.0 * t + 8, 60.0) for t, frames in lives.items() for f in frames
    ]
    return pd.DataFrame(rows, columns=["frame", "track", "x1", "y1", "x2", "y2"])


@pytest.fixture
def labeller(clip, table):
    return panels.Labeller(table, annotation.cut(clip, table))


def put(panel, **values):
    for name, value in values.items():
        panel.controls[name].value = value


def test_planner_says_what_a_person_looks_like():
    said = camera_plots.planner(640, focal=2.8, height=10.0, tilt=60.0, distance=50.0)[1]
    assert "outside the picture" in said
    said = camera_plots.planner(1920, focal=4.0, height=1.5, tilt=0.0, distance=10.0)[1]
    assert "160 pixels per metre (recognise)" in said  # 1920 * 4 / 4.8 / 10
    assert "272 pixels tall" in said


def test_planner_says_no_distance_beyond_the_ground_that_is_seen():
    """Seen are 15 ± 3.1 degrees down, from 3 m up: the ground up to 14.2 m, not up to 82."""
    said = camera_plots.planner(3840, focal=25.0, height=3.0, tilt=15.0, distance=11.0)[1]
    assert "recognise is reached from 9.2 to 14.2 m" in said


def test_thresholds_judge_anew(clip):
    panel = panels.thresholds({"noise": quality.report(clip, every=1)})
    sweep(panel)
    put(panel, sharpness=0.0)
    assert "blurred" not in panel.message.value
    put(panel, sharpness=1.0)
    assert "noise: reject" in panel.message.value and "blurred" in panel.message.value


def test_thresholds_begin_where_the_library_does(clip):
    """A slider whose range ends below its value would change it without a word."""
    values = panels.thresholds({"noise": quality.report(clip, every=1)}).values()
    default = quality.Thresholds()
    shown = {name: getattr(default, name) for name in values if name != "clip"}
    assert {name: values[name] for name in shown} == shown


def test_bench_survives_every_control(images):
    panel = panels.bench({"one": images[0][:, :48], "two": images[1]})
    assert sweep(panel) > 30


def test_crops_are_cut_at_their_frames(clip, table):
    crops = annotation.cut(clip, table, every=5)
    assert sorted(table.frame[list(crops)].unique()) == [0, 5, 10, 15]
    assert all(crop.shape == (55, 8, 3) for crop in crops.values())


def test_labeller_does_again_what_the_browser_did(labeller, table):
    assert labeller.actions == [] and labeller.state["track"] == 1
    labeller.state = labeller.state | {"actions": [["name", 1, 7], ["merge", 1, 2]]}
    assert labeller.actions == [("name", 1, 7), ("merge", 1, 2)]
    assert labeller.result.pid[labeller.result.track == 1].tolist() == [7] * 20
    labeller.state = labeller.state | {"actions": [["split", 3, 12]]}
    assert (labeller.result.track == 4).sum() == 8


def test_labeller_goes_on_where_it_stopped(clip, table, tmp_path):
    crops = annotation.cut(clip, table)
    path = tmp_path / "labels.json"
    panel = panels.Labeller(table, crops, path)
    panel.state = panel.state | {"actions": [["split", 3, 12], ["name", 4, 9]]}
    again = panels.Labeller(table, crops, path)
    assert again.actions == [("split", 3, 12), ("name", 4, 9)]
    assert again.result.equals(panel.result) and (again.result.pid == 9).sum() == 8


def test_labeller_refuses_one_person_in_two_places(table):
    with pytest.raises(ValueError, match="two places at once"):
        annotation.replay(table, [("merge", 1, 3)])


def test_a_merged_track_keeps_the_name_of_either(table):
    named = annotation.replay(table, [("name", 2, 5), ("merge", 1, 2)])
    assert named.pid[named.track == 1].unique().tolist() == [5]


def test_a_panel_leaves_what_exists_out_of_the_collectors_rounds():
    notebook = [[] for _ in range(5000)]
    Panel(lambda: style.axes()[0])
    assert gc.get_freeze_count() > len(notebook)


def test_an_error_shows_names_as_text_never_as_html():
    def draw(name):
        raise ValueError(f"no such camera: {name}")

    quiet = Panel(lambda name: style.axes()[0], name=ipywidgets.Text(""))
    quiet.draw = draw
    quiet.controls["name"].value = "<img src=x onerror=alert(1)>"
    assert "&lt;img" in quiet.message.value and "<img" not in quiet.message.value
