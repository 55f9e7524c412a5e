"""A camera that moves: how it moved is found in the pictures, and tracks are carried along."""

import cv2
import numpy as np
import pandas as pd
import pytest

from reidlib.detection import tracking
from reidlib.detection.association import move_with_camera, start_motion
from reidlib.detection.camera_motion import CameraMotion
from reidlib.detection.tracker import Tracker

SIZE = 480, 320


def wall(seed=0):
    """A picture with something to hold on to everywhere."""
    rng, coarse_and_fine = np.random.default_rng(seed), np.zeros((*SIZE[::-1], 3))
    for cells in (4, 8, 16, 32):
        noise = rng.uniform(0, 60, (cells, cells * 3 // 2, 3))
        coarse_and_fine += cv2.resize(noise, SIZE, interpolation=cv2.INTER_CUBIC)
    return np.clip(coarse_and_fine, 0, 255).astype(np.uint8)


def seen_by(camera, image):
    return cv2.warpAffine(image, camera, SIZE, borderMode=cv2.BORDER_REFLECT)


def pushed(x, y):
    return np.array([[1.0, 0, x], [0, 1, y]])


@pytest.mark.parametrize("shift", [(9, -4), (-0.5, 0.3), (0, 0)])
def test_a_shift_is_found(shift):
    motion, image = CameraMotion(), wall()
    assert (motion(image) == np.eye(2, 3)).all()
    found = motion(seen_by(pushed(*shift), image))
    np.testing.assert_allclose(found[:, 2], shift, atol=0.3)
    np.testing.assert_allclose(found[:, :2], np.eye(2), atol=2e-3)


def test_a_turn_and_a_zoom_are_found():
    camera = cv2.getRotationMatrix2D((240, 160), 2.0, 1.05)
    motion, image = CameraMotion(), wall()
    motion(image)
    found = motion(seen_by(camera, image))
    corners = np.array([[100, 60, 1], [400, 60, 1], [100, 260, 1], [400, 260, 1.0]])
    np.testing.assert_allclose(corners @ found.T, corners @ camera.T, atol=1.0)


def test_people_do_not_count():
    """Half the picture walks to the right: that is no motion of the camera."""
    image, people = wall(), np.array([[0, 0, 290, 320]])
    later = image.copy()
    later[:, 8:290] = image[:, :282]
    motion = CameraMotion()
    motion(image, people)
    middle = np.array([240.0, 160, 1])
    np.testing.assert_allclose(motion(later, people) @ middle, middle[:2], atol=0.3)
    motion(image)  # nobody says who is in the way
    assert (motion(later) @ middle)[0] > 244


def test_where_nothing_can_be_followed_the_camera_stands():
    """A blank wall, a cut to another picture, another size."""
    motion = CameraMotion()
    for image in (np.full((*SIZE[::-1], 3), 90, np.uint8), wall(), wall()[:160], wall(3)[:160]):
        np.testing.assert_array_equal(motion(image), np.eye(2, 3))


def test_tracks_are_carried_along():
    """A point, its speed, its size and its uncertainty under a quarter turn with a zoom of 2."""
    mean, covariance = (a[None] for a in start_motion(np.array([10.0, 20, 30, 60])))
    mean[0, :2, 1] = 3, 1
    camera = np.array([[0.0, -2, 100], [2, 0, 5]])
    moved, wider = move_with_camera(mean, covariance, camera)
    assert moved[0, :, 0].tolist() == [100 - 2 * 40, 5 + 2 * 20, 40, 80]
    assert moved[0, :2, 1].tolist() == [-2, 6]
    np.testing.assert_allclose(wider, 4 * covariance)


def walkers(frame, offset):
    places = [(100 + 3 * frame, 100), (160 + 3 * frame, 100), (300 - 3 * frame, 180)]
    rows = [(x + offset, y, x + offset + 20, y + 50, 0.9) for x, y in places]
    return pd.DataFrame(rows, columns=["x1", "y1", "x2", "y2", "confidence"])


def test_a_jolt_costs_no_identity_if_it_is_known():
    """The camera jumps by the distance of two people: everybody seems to be the next one."""

    def numbers(told):
        tracker = Tracker(size=SIZE, fps=10)
        for frame in range(12):
            jolt = 60.0 if frame == 8 else 0.0
            camera = pushed(-jolt, 0) if told else None
            table = tracker.update(walkers(frame, -60 if frame >= 8 else 0), camera=camera)
        return table.track.tolist()

    assert numbers(told=True) == [1, 2, 3]
    assert numbers(told=False) != [1, 2, 3]


def test_a_video_is_tracked_with_its_camera():
    background, frames = wall(), range(12)
    offsets = [-60 if frame >= 8 else 0 for frame in frames]
    video = [(f, f / 10, seen_by(pushed(o, 0), background)) for f, o in zip(frames, offsets)]

    def tracks(camera_motion):
        boxes = iter([walkers(frame, offset) for frame, offset in zip(frames, offsets)])
        found = tracking.track(
            video, lambda images: [next(boxes) for _ in images], camera_motion=camera_motion
        )
        first, last = (found[found.frame == frame].track.tolist() for frame in (0, 11))
        return first, last

    first, last = tracks(camera_motion=True)
    assert first == last == [1, 2, 3]
    assert tracks(camera_motion=False)[1] != [1, 2, 3]
