"""Calibrations from a file: what is read, and what is refused."""

import copy
import json

import numpy as np
import pytest

from reidlib import assets
from reidlib.collection import cameras

CAMERA = {
    "width": 640,
    "height": 360,
    "K": [[700.0, 0, 320], [0, 700, 180], [0, 0, 1]],
    "R": [[1, 0, 0], [0, 0, -1], [0, 1, 0]],
    "t": [0, 3.0, 0],
    "place": "yard",
}


def read(tmp_path, document, text=None):
    (tmp_path / "cameras.json").write_text(text or json.dumps(document), "utf-8")
    return cameras.read_cameras(tmp_path / "cameras.json")


def test_calibrations_are_read_as_they_are(tmp_path):
    assert read(tmp_path, {"cameras": {"c1": CAMERA}, "fps": 12.5}) == {"c1": CAMERA}
    assert read(tmp_path, {"cameras": {}}) == {}
    bundled = cameras.read_cameras(assets.data("plaza", "cameras.json"))
    assert list(bundled) == ["c1", "c2", "c3", "c4", "c5", "c6"]
    feet = cameras.on_ground([[300, 100, 340, 320]], bundled["c1"])
    assert feet.shape == (1, 2) and np.isfinite(feet).all()
    with pytest.raises(FileNotFoundError, match="none.json"):
        cameras.read_cameras(tmp_path / "none.json")


@pytest.mark.parametrize("text", [" ", "{", "cameras", "\x00", "[" * 100_000, "{'cameras': {}}"])
def test_what_is_not_json(tmp_path, text):
    with pytest.raises(ValueError, match=r"cameras\.json is not JSON"):
        read(tmp_path, None, text)


@pytest.mark.parametrize("value", [None, 1, "c1", [], [CAMERA], True])
def test_what_holds_no_calibrations(tmp_path, value):
    for document in (value, {"cameras": value}, {"cameras": {"c1": value}}, {"c1": CAMERA}):
        with pytest.raises(ValueError, match="holds no calibrations; expected"):
            read(tmp_path, document)


@pytest.mark.parametrize("key", list(cameras.SHAPES))
@pytest.mark.parametrize(
    "value",
    [None, "1", True, {}, [], [[]], [1, 2], [[1, 2], [3]], [["a", "b", "c"]] * 3, float("nan")]
    + [float("inf"), [None, 1, 2], [[1, 2, 3]] * 4, [[[1, 2, 3]]], [1, 2, "3"], 10**400],
)
def test_entries_of_another_shape_are_named(tmp_path, key, value):
    with pytest.raises(ValueError, match=rf"camera 'c2' of .*cameras\.json has the {key} .*expect"):
        read(tmp_path, {"cameras": {"c1": CAMERA, "c2": CAMERA | {key: value}}})


@pytest.mark.parametrize("size", [1e9, -1e300, 2**63, -(2**63)])
def test_numbers_that_no_place_has_are_named(tmp_path, size):
    with pytest.raises(ValueError, match=r"has the t .* expected 3 numbers below 1e9"):
        read(tmp_path, {"cameras": {"c1": CAMERA | {"t": [0, size, 3]}}})
    read(tmp_path, {"cameras": {"c1": CAMERA | {"t": [0, 1e6, 3]}}})


@pytest.mark.parametrize("key", list(cameras.SHAPES))
def test_missing_entries_are_named(tmp_path, key):
    camera = copy.deepcopy(CAMERA)
    del camera[key]
    with pytest.raises(ValueError, match=f"camera 'c1' .*has no {key}; expected K, R, t, width"):
        read(tmp_path, {"cameras": {"c1": camera}})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"R": [[0, 0, 0]] * 3}, "R that is no rotation"),
        ({"R": [[2, 0, 0], [0, 1, 0], [0, 0, 0.5]]}, "R that is no rotation"),
        ({"R": [[-1, 0, 0], [0, 1, 0], [0, 0, 1]]}, "R that is no rotation"),  # a mirror
        ({"K": [[0, 0, 320], [0, 700, 180], [0, 0, 1]]}, r"has the K .*\[0, fy, cy\]"),
        ({"K": [[700, 0, 320], [0, -700, 180], [0, 0, 1]]}, "has the K .*above 0"),
        ({"K": [[1e-320, 0, 320], [0, 700, 180], [0, 0, 1]]}, "has the K .*above 0"),
        ({"K": [[700, 0, 320], [0, 700, 180], [0, 0, 0]]}, "has the K"),
        ({"K": [[700, 0, 320], [5, 700, 180], [0, 0, 1]]}, "has the K"),
        ({"width": 0}, "0x360"),
        ({"height": -360}, "640x-360"),
    ],
)
def test_cameras_that_cannot_be(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, {"cameras": {"c1": CAMERA | change}})


SQUARE = [[0, 0], [4, 0], [4, 10], [0, 10]]
SEEN = [[120, 340], [520, 340], [370, 150], [270, 150]]  # the horizon is at y = 87


def test_four_points_known_in_both_give_the_ground():
    ground = cameras.ground_from_points(SEEN, SQUARE)
    feet = [[x - 9, y - 50, x + 9, y] for x, y in SEEN]
    np.testing.assert_allclose(cameras.on_ground(feet, {"ground": ground}), SQUARE, atol=1e-6)
    assert np.isnan(cameras.on_ground([[310, 0, 330, 20]], {"ground": ground})).all()  # the sky


def test_the_ground_of_a_calibration_comes_from_four_of_its_points():
    camera = cameras.read_cameras(assets.data("plaza", "cameras.json"))["c1"]
    feet = np.array(
        [[100, 100, 120, 340], [500, 90, 530, 330], [420, 60, 440, 190], [200, 50, 220, 180]]
    )
    pixels = np.column_stack([feet[:, [0, 2]].mean(axis=1), feet[:, 3]])
    ground = cameras.ground_from_points(pixels, cameras.on_ground(feet, camera))
    others = np.array([[300, 100, 340, 300], [50, 80, 90, 250], [10, 0, 30, 20]])
    np.testing.assert_allclose(
        cameras.on_ground(others, {"ground": ground}), cameras.on_ground(others, camera), atol=1e-4
    )


@pytest.mark.parametrize(
    ("image", "plan", "words"),
    [
        (SEEN, [[0, 0], [4, 0], [8, 0], [0, 10]], "three of the four plan points lie on a line"),
        ([[9, 9]] * 4, SQUARE, "three of the four image points"),
        (SEEN, [SQUARE[i] for i in (0, 2, 1, 3)], "another order on the plan"),
    ],
)
def test_points_that_give_no_ground(image, plan, words):
    with pytest.raises(ValueError, match=words):
        cameras.ground_from_points(image, plan)
