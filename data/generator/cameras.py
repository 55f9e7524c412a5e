"""Pinhole cameras: calibration, projection, back-projection to the ground, and the plaza's six."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

NEAR, FAR = 0.3, 120.0


def look_at(eye, target, up=(0.0, 0.0, 1.0)) -> np.ndarray:
    """World to eye space (x right, y up, looking along -z), float64 (4, 4)."""
    eye, target = np.asarray(eye, float), np.asarray(target, float)
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forward, up)
    right /= np.linalg.norm(right)
    view = np.eye(4)
    view[:3, :3] = right, np.cross(right, forward), -forward
    view[:3, 3] = -view[:3, :3] @ eye
    return view


def orthographic(half: float, near: float, far: float) -> np.ndarray:
    """Parallel projection of a square of side 2 * half, float64 (4, 4)."""
    return np.array(
        [
            [1 / half, 0, 0, 0],
            [0, 1 / half, 0, 0],
            [0, 0, -2 / (far - near), -(far + near) / (far - near)],
            [0, 0, 0, 1.0],
        ]
    )


@dataclass(frozen=True)
class Camera:
    """An ideal pinhole camera without distortion; `fov` is vertical, in degrees."""

    name: str
    eye: tuple[float, float, float]
    target: tuple[float, float, float]
    fov: float
    width: int = 640
    height: int = 360

    @property
    def focal(self) -> float:
        """Focal length in pixels."""
        return self.height / 2 / np.tan(np.deg2rad(self.fov) / 2)

    def view_projection(self) -> np.ndarray:
        return self._view_projection

    @cached_property
    def _view_projection(self) -> np.ndarray:
        scale = 1 / np.tan(np.deg2rad(self.fov) / 2)
        projection = np.array(
            [
                [scale * self.height / self.width, 0, 0, 0],
                [0, scale, 0, 0],
                [0, 0, (FAR + NEAR) / (NEAR - FAR), 2 * FAR * NEAR / (NEAR - FAR)],
                [0, 0, -1, 0.0],
            ]
        )
        return projection @ look_at(self.eye, self.target)

    def project(self, points: np.ndarray) -> np.ndarray:
        """World points (N, 3) to pixel x, pixel y and depth in metres, (N, 3)."""
        clip = (
            np.asarray(points, float) @ self._view_projection[:, :3].T + self._view_projection[:, 3]
        )
        depth = np.where(np.abs(clip[:, 3]) < 1e-9, 1e-9, clip[:, 3])
        x = (clip[:, 0] / depth * 0.5 + 0.5) * self.width
        y = (0.5 - clip[:, 1] / depth * 0.5) * self.height
        return np.stack([x, y, depth], 1)

    def ground(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels (N, 2) to the ground points that they show, (N, 2); NaN above the horizon."""
        k, r, t = self.calibration()
        rays = np.c_[np.asarray(pixels, float), np.ones(len(pixels))] @ np.linalg.inv(k).T @ r
        eye = -r.T @ t
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = -eye[2] / rays[:, 2]
        reach = np.where(reach > 0, reach, np.nan)
        return (eye + rays * reach[:, None])[:, :2]

    def calibration(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """K (3, 3), R (3, 3), t (3,) in the computer-vision frame: x right, y down, z forward."""
        k = np.array(
            [[self.focal, 0, self.width / 2], [0, self.focal, self.height / 2], [0, 0, 1.0]]
        )
        view = look_at(self.eye, self.target)
        flip = np.diag([1.0, -1.0, -1.0])
        return k, flip @ view[:3, :3], flip @ view[:3, 3]

    def describe(self) -> dict:
        """Everything about the camera, ready for JSON."""
        k, r, t = self.calibration()
        return {
            "width": self.width,
            "height": self.height,
            "fov_vertical_degrees": self.fov,
            "position_metres": list(self.eye),
            "look_at_metres": list(self.target),
            "K": k.round(4).tolist(),
            "R": r.round(6).tolist(),
            "t": t.round(6).tolist(),
        }


# c1 and c2 share the middle of the plaza, c3 watches the passage; c4 to c6 are in the hall.
PLAZA = {
    "c1": Camera("c1", (-6.6, -5.6, 3.2), (-3.2, 0.2, 0.78), 28.5),
    "c2": Camera("c2", (6.4, -6.4, 3.7), (3.0, 0.0, 0.78), 29.0),
    "c3": Camera("c3", (16.6, -5.6, 3.0), (20.8, 0.4, 0.8), 33.0),
    "c4": Camera("c4", (-8.4, -5.7, 2.8), (-2.4, -0.9, 0.8), 33.0),
    "c5": Camera("c5", (8.5, -5.6, 2.6), (2.6, -0.6, 0.8), 32.0),
    "c6": Camera("c6", (8.4, 5.1, 3.1), (2.6, 0.2, 0.7), 32.0),
}
INDOOR = ("c4", "c5", "c6")
