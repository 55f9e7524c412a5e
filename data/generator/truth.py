"""Ground truth: tight boxes from projected vertices, visibility from the owner buffer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .actors import Shown
from .cameras import Camera

THINNING = 2  # every second vertex is enough for a visibility share


@dataclass(frozen=True)
class Box:
    """A person's box in pixels, clipped to the picture, and the share of the body that shows."""

    pid: int
    x1: float
    y1: float
    x2: float
    y2: float
    visibility: float

    @property
    def height(self) -> float:
        return self.y2 - self.y1


def boxes(shown: list[Shown], camera: Camera, owner: np.ndarray) -> list[Box]:
    """Boxes of everybody of whom something is in the picture; `owner` numbers `shown` from 1."""
    found = []
    height, width = owner.shape
    eye = np.asarray(camera.eye, "f4")
    for number, one in enumerate(shown, 1):
        pixels = camera.project(one.points)
        if pixels[:, 2].min() < 0.4:
            continue
        x1, y1 = pixels[one.body, :2].min(0)
        x2, y2 = pixels[one.body, :2].max(0)
        if x2 <= 0 or y2 <= 0 or x1 >= width or y1 >= height:
            continue
        visible = visibility(one, number, pixels[:, :2], eye, owner)
        found.append(
            Box(one.pid, max(x1, 0.0), max(y1, 0.0), min(x2, width), min(y2, height), visible)
        )
    return found


def visibility(
    one: Shown, number: int, pixels: np.ndarray, eye: np.ndarray, owner: np.ndarray
) -> float:
    """Share of a body's camera-facing surface that one sees, as it appears in the picture.

    Vertices count by the area that they turn to the camera, and are seen where the owner buffer
    holds their person's `number`. What is outside the picture is not seen.
    """
    height, width = owner.shape
    pixels, points, normals = pixels[::THINNING], one.points[::THINNING], one.normals[::THINNING]
    towards = eye - points
    weight = (towards * normals).sum(1) / (towards * towards).sum(1) ** 1.5
    weight = np.maximum(weight, 0) * (one.areas * one.body)[::THINNING]
    column, row = np.floor(pixels).astype(int).T
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    seen = np.zeros(len(pixels), bool)
    seen[inside] = owner[row[inside], column[inside]] == number
    return float((weight * seen).sum() / max(weight.sum(), 1e-12))


def mot_lines(frame: int, found: list[Box], least: float = 0.05) -> list[str]:
    """MOT Challenge lines of one frame (counted from 1), people too hidden to see left out."""
    return [
        f"{frame},{b.pid},{b.x1:.2f},{b.y1:.2f},{b.x2 - b.x1:.2f},{b.y2 - b.y1:.2f},1,1,"
        f"{b.visibility:.3f}"
        for b in sorted(found, key=lambda b: b.pid)
        if b.visibility >= least
    ]


def yolo_lines(
    found: list[Box], width: int, height: int, least: float = 0.15, shortest: float = 14.0
) -> list[str]:
    """YOLO label lines: class 0, centre and size as shares of the picture."""
    return [
        f"0 {(b.x1 + b.x2) / 2 / width:.5f} {(b.y1 + b.y2) / 2 / height:.5f} "
        f"{(b.x2 - b.x1) / width:.5f} {(b.y2 - b.y1) / height:.5f}"
        for b in found
        if b.visibility >= least and b.height >= shortest
    ]
