"""The panels of lesson 05 survive every control and show what the figures and the library say."""

import ipywidgets
import numpy as np
import pandas as pd
import pytest
from panels import sweep

from reidlib.demonstration import panels, plots, saliency
from reidlib.model import distances

CAMERA = {"K": [[400, 0, 160], [0, 400, 90], [0, 0, 1]], "t": [0, 0.84, 8.68]} | {
    "R": [[1, 0, 0], [0, -0.34, -0.94], [0, 0.94, -0.34]],
    "width": 320,
    "height": 180,
}


@pytest.fixture(scope="module")
def tracklets():
    """Three people in two cameras, one of them twice in c2, and a box on nobody."""
    rows = [
        ("c1", 1, 0.0, 4.0, 50, 1, 7),
        ("c1", 2, 0.0, 6.0, 70, 2, 8),
        ("c1", 3, 2.0, 3.0, 10, 3, 9),
        ("c2", 1, 5.0, 9.0, 40, 1, 7),
        ("c2", 2, 1.0, 5.0, 30, 2, 8),
        ("c2", 3, 7.0, 8.0, 12, 2, 8),
        ("c2", 4, 2.0, 2.5, 6, 4, -1),
    ]
    columns = ["camera", "track", "start", "end", "frames", "identity", "pid"]
    return pd.DataFrame(rows, columns=columns)


@pytest.fixture(scope="module")
def vectors(tracklets):
    """Ten degrees between cameras, a right angle between people."""
    angle = np.radians(10) * (tracklets.camera == "c2")
    rows = np.zeros((len(tracklets), 5), np.float32)
    rows[range(len(rows)), tracklets.identity - 1] = np.cos(angle)
    rows[:, 4] = np.sin(angle)
    return rows


@pytest.fixture(scope="module")
def faces(tracklets):
    return list(np.random.default_rng(0).integers(0, 255, (len(tracklets), 128, 64, 3), np.uint8))


def flat(images):
    return distances.unit(np.asarray(images, np.float32).mean(axis=(1, 2))[:, [0, 1, 2, 0, 1]])


def test_browser_survives_every_control(tracklets, vectors, faces):
    browser = panels.Browser(tracklets, vectors, faces, flat)
    assert sweep(browser.panel) > 20


def test_a_click_asks_for_the_longest_track_of_a_person(tracklets, vectors, faces):
    browser = panels.Browser(tracklets, vectors, faces, flat)
    assert list(browser.buttons) == [1, 2, 3, 4]
    browser.buttons[2].click()
    assert browser.panel.controls["query"].value == 1
    browser.buttons[1].click()
    assert browser.panel.controls["query"].value == 0


def test_the_sentence_counts_claims_and_what_was_missed(tracklets, vectors, faces):
    def said(query, claim, **more):
        return plots.search(tracklets, vectors, faces, query, claim, **more)[1]

    assert "claims 2 tracks; 2 of the person's 2 are among them" in said(1, 0.1)
    assert "claims 4 tracks; 2 of the person's 2" in said(1, 1.1)
    assert "claims 0 tracks; 0 of the person's 2" in said(1, 0.001)
    assert "claims 6 tracks; 2 of the person's 2" in said(1, 1.1, elsewhere=False)
    assert "0 of the person's 0" in said(2, 0.1)
    assert "nobody knows" in said(6, 0.1)


def test_marks_follow_the_truth(tracklets, vectors, faces):
    figure, _ = plots.search(tracklets, vectors, faces, 1)
    titles = [ax.get_title() for ax in figure.axes[1:]]
    assert titles[:3] == ["1 ✓", "2 ✓", "3 ✗"]
    assert "4" in titles  # nobody knows who this is: no mark


def test_importance_finds_what_the_extractor_looks_at():
    def upper_left(images):  # red against green, in one corner only
        seen = np.asarray(images, np.float32)[:, :32, :24, :2].mean(axis=(1, 2))
        return distances.unit(seen)

    image = np.full((128, 64, 3), 100, np.uint8)
    image[:32, :24] = (250, 10, 0)
    image[40:64] = (0, 250, 0)
    before = image.copy()
    weight = saliency.importance(upper_left, image, np.array([1, 0], np.float32))
    assert (image == before).all() and weight.shape == (128, 64)
    assert np.unravel_index(weight.argmax(), weight.shape) < (32, 24)
    assert weight[:32, :24].mean() > 0.01 and np.abs(weight[64:]).max() < 1e-5
    tinted = plots.heat(image, weight)
    assert tinted.shape == image.shape and tinted.dtype == np.uint8


def test_linking_survives_every_control_and_scores_what_it_shows(tracklets, vectors):
    places = [
        np.column_stack([np.linspace(row.start, row.end, 5), np.full((5, 2), row.identity)])
        for row in tracklets.itertuples()
    ]
    knowledge = {"the clock": {}, "the ground as well": {"positions": places}}
    panel = panels.linking(tracklets, vectors, knowledge, lambda numbers: 1 / max(numbers), 0.1)
    assert "4 people; IDF1 over all cameras 0.250" in panel.message.value
    panel.controls["threshold"].value = 0.0  # only two tracks look exactly alike
    assert "6 people; IDF1 over all cameras 0.167" in panel.message.value
    assert sweep(panel) > 5
    assert panel.controls["known"].options == ("the clock", "the ground as well")


@pytest.fixture
def player(tracklets):
    frames = [0, 5, 10]
    stills = {c: {f: np.zeros((90, 160, 3), np.uint8) for f in frames} for c in ("c1", "c2")}
    box = {"x1": 100.0, "y1": 60.0, "x2": 120.0, "y2": 110.0}
    seen = [("c1", 0, 1), ("c2", 0, 1), ("c2", 0, -1), ("c1", 5, 2)]
    table = pd.DataFrame(seen, columns=["camera", "frame", "identity"]).assign(**box)
    return panels.Player(stills, table, tracklets, {"c1": CAMERA, "c2": CAMERA}, width=320)


def test_player_survives_its_slider_and_counts_people_once(player):
    assert "0.0 s: 1 people" in player.message.value
    player.controls["time"].value = 1
    assert "0.4 s: 1 people" in player.message.value
    player.controls["time"].value = 2
    assert "0.8 s: 0 people" in player.message.value
    assert sweep(player) > 2
    assert isinstance(player.play, ipywidgets.Play) and player.play.max == 2


def test_moment_writes_each_person_once_on_the_ground(tracklets):
    images = {c: np.zeros((90, 160, 3), np.uint8) for c in ("c1", "c2")}
    box = {"x1": 100.0, "y1": 60.0, "x2": 120.0, "y2": 110.0}
    seen = [("c1", 1), ("c2", 1), ("c2", 2), ("c2", -1)]
    table = pd.DataFrame(seen, columns=["camera", "identity"]).assign(**box)
    cameras = {"c1": CAMERA, "c2": CAMERA}
    figure = plots.moment(images, table, tracklets, 2.0, cameras, width=320)
    film, plan, line = figure.axes
    numbers = [text.get_text() for text in plan.texts if text.get_text().isdigit()]
    assert numbers == ["1", "2"]
    assert film.images[0].get_array().max() > 0  # boxes and banner are drawn
    assert line.lines[0].get_xdata()[0] == 2.0
    assert len(plots.moment(images, table, tracklets, 2.0, width=320).axes) == 2
