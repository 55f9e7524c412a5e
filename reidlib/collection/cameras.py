"""Where to put a camera: what it resolves at a distance, and the ground that it sees."""

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from reidlib.boxes import BOX, as_boxes

# Pixels per metre that an operator needs, IEC 62676-4:2014.
LEVELS = {"monitor": 12.5, "detect": 25.0, "observe": 62.5, "recognise": 125.0, "identify": 250.0}
LARGEST = 1e9  # of a number in a calibration; geometry with much more would overflow
# What a calibration holds: intrinsics, rotation world to camera, translation; size in pixels.
SHAPES = {"K": (3, 3), "R": (3, 3), "t": (3,), "width": (), "height": ()}


def focal_pixels(width: int, focal: float, sensor: float) -> float:
    """Return the focal length in pixels from millimetres and the sensor's width in millimetres."""
    return focal / sensor * width


def pixels_per_metre(
    distance: float | Sequence[float],
    focal: float,
    height: float = 0.0,
    tilt: float = 0.0,
    target: float = 0.0,
) -> np.ndarray:
    """Return how many pixels a metre across the view takes, at a distance along the ground.

    `focal` is in pixels (see `focal_pixels`); the camera hangs at `height` metres, tilted down by
    `tilt` degrees; `target` is the height above ground looked at. NaN behind the camera.

    >>> pixels_per_metre([10, 20], focal_pixels(1920, 4.0, 4.8)).tolist()
    [160.0, 80.0]
    """
    depth, _ = _camera_axes(distance, height - target, tilt)
    return np.where(depth > 0, focal / np.where(depth > 0, depth, 1.0), np.nan)


def person_pixels(
    distance: float | Sequence[float],
    focal: float,
    height: float = 0.0,
    tilt: float = 0.0,
    person: float = 1.7,
) -> np.ndarray:
    """Return the height in pixels of someone `person` metres tall; arguments as above."""
    ends = [_camera_axes(distance, height - end, tilt) for end in (0.0, person)]
    feet, head = (np.where(z > 0, y / np.where(z > 0, z, 1.0), np.nan) for z, y in ends)
    return focal * (feet - head)


def level(values: float | Sequence[float]) -> np.ndarray:
    """Return the highest level of `LEVELS` that pixels per metre reach, ``"none"`` below all.

    >>> level([10, 130]).tolist()
    ['none', 'recognise']
    """
    names = np.array(["none", *LEVELS])
    return names[np.searchsorted(list(LEVELS.values()), values, side="right")]


def reach(need: float, focal: float, height: float = 0.0, tilt: float = 0.0) -> float:
    """Return the distance in metres up to which the ground gets `need` pixels per metre."""
    slope = np.radians(tilt)
    return float((focal / need - height * np.sin(slope)) / np.cos(slope))


def _camera_axes(distance, drop: float, tilt: float) -> tuple[np.ndarray, np.ndarray]:
    """Return depth along the optical axis and offset below it of a point, in metres."""
    distance, slope = np.asarray(distance, float), np.radians(tilt)
    depth = distance * np.cos(slope) + drop * np.sin(slope)
    return depth, drop * np.cos(slope) - distance * np.sin(slope)


def read_cameras(path: str | Path) -> dict[str, dict]:
    """Read calibrations from JSON, ``{"cameras": {"c1": {"K": ..., ...}}}``: name to camera.

    A camera holds ``K`` (3, 3), ``R`` (3, 3, world to camera), ``t`` (3, metres), ``width`` and
    ``height`` (pixels), as `on_ground` and `ground_view` take it; what else it says is kept. Raises
    ValueError naming the camera and the entry that is missing or of another shape, and for a ``K``
    or ``R`` that no camera has.
    """
    try:
        document = json.loads(Path(path).read_text("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}; expected calibrations") from error
    cameras = document.get("cameras") if isinstance(document, dict) else None
    if not isinstance(cameras, dict) or not all(isinstance(c, dict) for c in cameras.values()):
        raise ValueError(
            f'{path} holds no calibrations; expected {{"cameras": {{"c1": {{"K": ..., "R": ..., '
            '"t": ..., "width": ..., "height": ...}}}}'
        )
    for name, camera in cameras.items():
        _check_camera(camera, f"camera {name!r} of {path}")
    return cameras


def _check_camera(camera: dict, which: str) -> None:
    for key, shape in SHAPES.items():
        if key not in camera:
            raise ValueError(f"{which} has no {key}; expected {', '.join(SHAPES)}")
        try:
            value = np.array(camera[key])
            good = value.dtype.kind in "iuf" and (np.abs(value.astype(float)) < LARGEST).all()
        except ValueError:  # rows of different lengths
            good = False
        if not good or value.shape != shape:
            said = " x ".join(map(str, shape)) or "one"
            raise ValueError(
                f"{which} has the {key} {str(camera[key])[:60]}; expected {said} numbers below 1e9"
            )
    K, R = np.array(camera["K"], float), np.array(camera["R"], float)
    if not np.allclose(R @ R.T, np.eye(3), atol=1e-3) or np.linalg.det(R) < 0:
        raise ValueError(
            f"{which} has an R that is no rotation; its rows must be of length 1 and "
            "at right angles"
        )
    least = min(K[0, 0], K[1, 1], camera["width"], camera["height"])
    if least < 1e-6 or not np.allclose(K[[1, 2, 2, 2], [0, 0, 1, 2]], [0, 0, 0, 1]):
        raise ValueError(
            f"{which} has the K {camera['K']}, {camera['width']}x{camera['height']}; expected "
            "[[fx, s, cx], [0, fy, cy], [0, 0, 1]] with focal lengths and a size above 0"
        )


def on_ground(boxes, camera: Mapping) -> np.ndarray:
    """Return where the feet of each box stand on the ground, x y in metres, shape (N, 2).

    The middle of a box's lower edge is carried to the plane Z = 0 by the calibration of `camera`,
    ``K`` (3, 3), ``R`` (3, 3, world to camera) and ``t`` (3), as in Hartley and Zisserman (2004),
    chapter 8. A camera may have instead a ``ground``, as from `ground_from_points`. Feet above the
    horizon stand nowhere: NaN.
    """
    if "ground" in camera:
        to_ground = camera["ground"]
    else:
        K, R, t = (np.asarray(camera[key], float) for key in ("K", "R", "t"))
        to_ground = np.linalg.inv(K @ np.column_stack([R[:, 0], R[:, 1], t]))
    boxes = as_boxes(boxes).astype(float)
    feet = np.column_stack([(boxes[:, 0] + boxes[:, 2]) / 2, boxes[:, 3], np.ones(len(boxes))])
    points = feet @ to_ground.T
    points[points[:, 2] <= 0] = np.nan  # the third value is 1 / depth
    return points[:, :2] / points[:, 2:]


def ground_from_points(image, plan) -> np.ndarray:
    """Return the homography (3, 3) from pixels to a plan, by four points known in both.

    `image` holds four points on the ground, x y in pixels, and `plan` where they lie, x y in
    metres, (4, 2) each and in the same order. It is scaled so that the third value of a point
    before the camera is above 0, as `on_ground` expects. Raises ValueError where three points of
    four lie on a line, and where their orders differ.
    """
    image, plan = np.asarray(image, float), np.asarray(plan, float)
    for what, points in (("image", image), ("plan", plan)):
        spread = np.ptp(points, axis=0).max()
        for a, b, c in itertools.combinations(points, 3):
            twice_its_area = abs(np.linalg.det([b - a, c - a]))
            if twice_its_area <= 0.01 * spread**2:
                raise ValueError(f"three of the four {what} points lie on a line; spread them out")
    to_plan, _ = cv2.findHomography(image, plan)
    third = np.column_stack([image, np.ones(4)]) @ to_plan[2]
    if third.min() * third.max() <= 0:
        raise ValueError("the points have another order on the plan than in the image")
    return to_plan * np.sign(third[0])


def ground_view(camera: Mapping, reach: float = 40.0) -> np.ndarray:
    """Return the outline (metres, shape (N, 2)) of the ground that a calibrated camera sees.

    `camera` is as from `read_cameras`; the outline is cut `reach` metres from the camera.
    """
    K, R, t = (np.asarray(camera[key], float) for key in ("K", "R", "t"))
    width, height = camera["width"], camera["height"]
    corners = [(0, height), (width, height), (width, 0), (0, 0), (0, height)]
    border = np.concatenate([np.linspace(a, b, 40) for a, b in itertools.pairwise(corners)])
    rays = np.column_stack([border, np.ones(len(border))]) @ np.linalg.inv(K).T @ R
    eye = -R.T @ t.reshape(3)
    length = np.linalg.norm(rays[:, :2], axis=1, keepdims=True)
    slope = np.minimum(rays[:, 2:] / length, -1e-6)
    return eye[:2] + rays[:, :2] / length * np.minimum(-eye[2] / slope, reach)


def ground_points(table: pd.DataFrame, camera: Mapping) -> pd.DataFrame:
    """Return tracks on the ground: frame, track, x, y in metres, by `on_ground`."""
    x, y = on_ground(table[BOX].to_numpy(), camera).T
    return table[["frame", "track"]].assign(x=x, y=y)
