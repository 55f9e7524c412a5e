"""Frames at which nobody looks: which they are, and what tracks do meanwhile."""

import cv2
import numpy as np
import pandas as pd
import pytest
from stand_ins import in_white

from reidlib.detection import tracking
from reidlib.detection.looks import Looks, expected, moved, small
from reidlib.detection.tracker import Tracker


def place(seed=0, size=(180, 320)):
    """A place with structure, as a sensor with noise sees it."""
    ground = np.random.default_rng(7).integers(60, 140, (9, 16, 3), dtype=np.uint8)
    ground = cv2.resize(ground, size[::-1]).astype(float)
    noise = np.random.default_rng(seed).normal(0, 4, ground.shape)
    return np.clip(ground + noise, 0, 255).astype(np.uint8)


def film(frames=60, enters=20, step=4):
    """Frames at 10 a second; a light box comes in at frame `enters` and walks to the right."""
    for index in range(frames):
        image = place(index)
        if index >= enters:
            x = step * (index - enters)
            image[60:120, x : x + 24] = 240
        yield index, index / 10, image


class Counted:
    """The stand-in detector, and the images it was shown."""

    def __init__(self):
        self.images = []

    def __call__(self, images):
        self.images += images
        return in_white(images)


def test_noise_and_a_cloud_are_no_motion_and_a_distant_person_is():
    before = small(place(1))
    assert before.shape == (90, 160)
    assert not moved(before, small(place(2)))
    darker = small(np.clip(place(3).astype(int) - 25, 0, 255).astype(np.uint8))
    assert not moved(before, darker)
    image = place(4)
    image[100:120, 150:158] = 10  # 20 pixels tall, in dark clothes
    assert moved(before, small(image))
    assert moved(None, before) and moved(before[:50], before)


@pytest.mark.parametrize("shape", [(1, 1), (7, 1000), (97, 161), (1080, 1920), (2160, 3840)])
def test_any_picture_becomes_a_small_one(shape):
    picture = small(np.zeros((*shape, 3), np.uint8))
    assert picture.dtype == np.uint8 and picture.ndim == 2 and max(picture.shape) < 320


def test_by_default_every_frame_is_looked_at():
    looks = Looks()
    assert all(looks(0.1 * i, place()) for i in range(5))


def test_an_nth_frame_and_a_look_that_is_due():
    looks, image = Looks(every=3), place()
    assert [looks(0.1 * i, image) for i in range(7)] == [True, False, False] * 2 + [True]
    looks = Looks(gate=True, forced=1.0)
    seen = [i for i in range(40) if looks(0.1 * i, place(i))]
    assert seen == [0, 10, 20, 30]
    assert looks(4.0, image, followed=True) and looks(4.1, image, followed=True)
    with pytest.raises(ValueError, match="frame number 0; expected 1 or more"):
        Looks(every=0)


def test_the_gate_opens_for_somebody_who_comes_in():
    every, gated = Counted(), Counted()
    whole = tracking.track(film(), every)
    found = tracking.track(film(), gated, gate=True)
    assert len(every.images) == 60 and len(gated.images) < 45
    pd.testing.assert_frame_equal(found, whole)


def test_between_two_looks_tracks_are_on_a_straight_line():
    counted, shown = Counted(), {}

    def look(index, image, tracks):
        shown[index] = tracks

    whole = tracking.track(film(), in_white)
    found, vectors = tracking.track(
        film(), counted, lambda crops: np.ones((len(crops), 2)), on_frame=look,
        detect_every=3, embeddings=True,
    )  # fmt: skip
    assert len(counted.images) == 20 and list(shown) == list(range(60))
    assert found["track"].nunique() == 1 and found["time"].is_monotonic_increasing
    both = found.merge(whole, on="frame", suffixes=("", "_true"))
    assert list(found["frame"]) == list(range(both["frame"].min(), 58))
    assert (both["x1"] - both["x1_true"]).abs().max() < 1.5
    looked = found["frame"] % 3 == 0
    assert (np.isfinite(vectors).all(axis=1) == looked).all()
    # As known at the time they are where they were heading: less sure, still on the person.
    guessed = shown[52].iloc[0]
    assert abs(guessed["x1"] - 4 * 32) < 4 and guessed["track"] == found["track"][0]


def test_a_gap_in_which_somebody_was_lost_is_left_to_the_second_pass():
    """Only between two looks in a row is it certain that nobody looked."""

    def blind(images):
        counted(images)
        hidden = 20 <= len(counted.images) < 24
        return [table[:0] if hidden else table for table in in_white(images)]

    counted = Counted()
    found = tracking.track(film(enters=0), blind, detect_every=2, batch=1)
    assert not set(range(38, 45)) & set(found["frame"])
    assert {37 - 1, 46} <= set(found["frame"]) and found["track"].nunique() == 1


def test_a_tracker_without_tracks_expects_nobody():
    table = expected(Tracker(), 1.0)
    assert list(table) == ["track", "x1", "y1", "x2", "y2", "confidence"] and table.empty
