"""Taking crops: a person, a view, a box as a detector draws it, and whoever stands in the way."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from . import sensor, views
from .actors import Actor, Shown
from .renderer import Renderer
from .truth import visibility
from .views import View

WIDTH, HEIGHT = 64, 128
SIZES = np.array(
    [48, 64, 96, 128, 160, 192, 256]
)  # heights in sensor pixels that windows are drawn at
UNUSUAL = ("carry", "walk_carry", "crouch", "arms_up", "bend", "phone")
NORMAL = ("walk",) * 7 + ("stand", "stand", "phone", "walk_phone")


@dataclass(frozen=True)
class Shot:
    """How to take a crop; ranges are uniform."""

    heights: tuple[float, float] = (50, 230)  # sensor pixels a person is tall
    visibility: tuple[float, float] = (0.45, 1.0)
    occluder: float = 0.2  # chance that somebody stands in front
    company: float = 0.4  # chance that somebody is near
    jitter: float = 1.3  # of the detector's box
    shrink: float = 1.0  # sensor pixels are thrown away before the crop is stored
    # The rest is for the second training cast.
    size: tuple[int, int] = (WIDTH, HEIGHT)  # of the stored crop
    slim: float = 0.42  # least width of a box, as a share of its height
    outside: float = 0.0  # share of a person's size that may lie outside of the picture
    legless: float = 0.0  # chance that the box ends at hips or knees
    finer: int = 1  # drawn so many times finer than the sensor, then averaged
    smear: float = 0.0  # chance that the person moved while the shutter was open


# A query is often the poorest picture of all: small, cut badly, half hidden.
QUERY = Shot(heights=(45, 170), visibility=(0.4, 1.0), occluder=0.28, company=0.45, jitter=1.4)


class Studio:
    """Takes crops; people photographed before serve as passers-by."""

    def __init__(self, renderer: Renderer, rng: np.random.Generator):
        self.renderer, self.rng = renderer, rng
        self.extras: deque[tuple[Actor, np.ndarray, np.ndarray]] = deque(maxlen=6)

    def retire(self, actor: Actor, action: str = "walk") -> None:
        """Keep a person as a passer-by; the oldest one leaves."""
        if len(self.extras) == self.extras.maxlen:
            self.extras.popleft()[0].release()
        points, normals = actor.poses(action, self.rng.random(1))
        self.extras.append((actor, points[0], normals[0]))

    def take(self, view: View, actor: Actor, pose, shot: Shot, heading: float) -> np.ndarray | None:
        """One crop, uint8 RGB (128, 64, 3), or None when no attempt gave the wanted visibility."""
        for _ in range(12):
            spot = views.find_spot(view, self.rng, *shot.heights, margin=shot.outside / 4)
            if spot is None:
                return None
            main = actor.show(*pose, spot, heading)
            box = self._jittered(main, view, shot)
            if box is None:
                continue
            crop = self._draw(view, [main, *self._others(view, spot, shot)], box, shot)
            if crop is not None:
                return crop
        return None

    def background(self, view: View) -> np.ndarray:
        """A crop of nobody, as a detector's false alarm."""
        size = np.array([view.camera.width, view.camera.height])
        height = self.rng.uniform(60, 200)
        x, y = self.rng.uniform((0, 0), size - (height / 2, height))
        return self._draw(view, [], (x, y, x + height / 2, y + height), Shot())

    def partial(self, view: View, actor: Actor, pose) -> np.ndarray | None:
        """A crop that cuts a person badly: legs, or half a body beside a lot of ground."""
        spot = views.find_spot(view, self.rng, 90, 250)
        if spot is None:
            return None
        main = actor.show(*pose, spot, self.rng.uniform(0, 2 * np.pi))
        x1, y1, x2, y2 = _extent(main, view)
        height, width = y2 - y1, x2 - x1
        dx, dy = (
            self.rng.choice([-1, 1]) * 0.75 * width,
            self.rng.choice([-0.55, 0.0, 0.6]) * height,
        )
        middle = (x1 + x2) / 2 + dx
        half = height / 4
        return self._draw(
            view,
            [main],
            (middle - half, y1 + dy, middle + half, y2 + dy),
            replace(Shot(), visibility=(0, 1)),
        )

    def _jittered(self, main: Shown, view: View, shot: Shot):
        """A box as a detector would draw it, or None if it is not quite in the picture."""
        x1, y1, x2, y2 = _extent(main, view)
        height, width = y2 - y1, x2 - x1
        slack = max(0.05, shot.outside) * height
        wide_slack = max(slack if not shot.outside else 0.0, shot.outside * width)
        if (
            x1 < -wide_slack
            or y1 < -slack
            or x2 > view.camera.width + wide_slack
            or y2 > view.camera.height + slack
        ):
            return None
        edges = self.rng.normal((-0.02, -0.015, 0.02, 0.015), (0.05, 0.022, 0.05, 0.022))
        edges = edges * shot.jitter
        x1, y1, x2, y2 = (
            x1 + edges[0] * width,
            y1 + edges[1] * height,
            x2 + edges[2] * width,
            y2 + edges[3] * height,
        )
        if shot.legless and self.rng.random() < shot.legless:
            y2 = y1 + self.rng.uniform(0.5, 0.85) * (y2 - y1)
        wide = max(x2 - x1, shot.slim * (y2 - y1))  # stored 1:2, so slim boxes are widened
        middle = (x1 + x2) / 2
        x1, x2 = middle - wide / 2, middle + wide / 2
        if shot.outside:  # a detector's boxes end where the picture does
            x1, y1 = max(x1, 0.0), max(y1, 0.0)
            x2, y2 = min(x2, float(view.camera.width)), min(y2, float(view.camera.height))
        return x1, y1, x2, y2

    def _others(self, view: View, spot, shot: Shot) -> list[Shown]:
        """Passers-by: sometimes one in front, sometimes some near or behind."""
        if not self.extras:
            return []
        rng, placed = self.rng, []
        to_eye = np.asarray(view.camera.eye[:2]) - spot
        to_eye /= np.linalg.norm(to_eye)
        aside = np.array([-to_eye[1], to_eye[0]])
        places = []
        if rng.random() < shot.occluder:
            places.append(
                spot
                + to_eye * rng.uniform(0.7, 1.5)
                + aside * rng.choice([-1, 1]) * rng.uniform(0.1, 0.5)
            )
        if rng.random() < shot.company:
            for _ in range(int(rng.integers(1, 3))):
                places.append(spot - to_eye * rng.uniform(0.6, 3.0) + aside * rng.normal(0, 0.9))
        chosen = rng.permutation(len(self.extras))[: len(places)]
        for place, k in zip(places, chosen, strict=False):
            extra, points, normals = self.extras[k]
            apart = all(
                np.linalg.norm(place - q) > 0.55
                for q in [spot, *(p.placed.model[:2, 3] for p in placed)]
            )
            if apart:
                placed.append(extra.show(points, normals, place, rng.uniform(0, 2 * np.pi)))
        return placed

    def _draw(self, view: View, shown: list[Shown], box, shot: Shot) -> np.ndarray | None:
        camera = view.camera
        x1, y1, x2, y2 = box
        height = int(SIZES[np.argmin(np.abs(SIZES - (y2 - y1)))])
        size = (max(16, round(height * (x2 - x1) / (y2 - y1) / 16) * 16), height)
        window = (x1 / camera.width, y1 / camera.height, x2 / camera.width, y2 / camera.height)
        finer = shot.finer if height <= 160 else 1
        drawn = (size[0] * finer, size[1] * finer)
        light, owner = self.renderer.render(
            view.plate, [s.placed for s in shown], window, drawn, reach=3.5
        )
        if shown:
            corner, extent = (x1, y1), (x2 - x1, y2 - y1)
            pixels = (camera.project(shown[0].points)[:, :2] - corner) / extent * drawn
            visible = visibility(shown[0], 1, pixels, np.asarray(camera.eye, "f4"), owner)
            if not shot.visibility[0] <= visible <= shot.visibility[1]:
                return None
        if finer > 1:
            light = cv2.resize(light, size, interpolation=cv2.INTER_AREA)
        if shot.smear and self.rng.random() < shot.smear:
            light = cv2.blur(light, (max(1, round(size[0] * self.rng.uniform(0.03, 0.09))), 1))
        if shot.shrink < 1:
            small = (max(8, int(size[0] * shot.shrink)), max(16, int(size[1] * shot.shrink)))
            light = cv2.resize(light, small, interpolation=cv2.INTER_AREA)
        look = view.sensor.but(exposure=view.sensor.exposure * float(self.rng.uniform(0.9, 1.1)))
        picture = sensor.develop(light, look, self.rng, vignette=False)
        shrinking = picture.shape[0] > shot.size[1]
        return cv2.resize(
            picture,
            shot.size,
            interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR,
        )


def _extent(main: Shown, view: View):
    pixels = view.camera.project(main.points[main.body])[:, :2]
    return (*pixels.min(0), *pixels.max(0))


def save(
    folder: Path,
    pid: int,
    camera: str,
    sequence: int,
    number: int,
    picture: np.ndarray,
    quality: int = 88,
) -> None:
    name = (
        f"{pid:04d}_{camera}s{sequence}_{number:06d}_00.jpg"
        if pid >= 0
        else f"-1_{camera}s{sequence}_{number:06d}_00.jpg"
    )
    cv2.imwrite(str(folder / name), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])


class Photographer:
    """Takes a person through cameras; headings spread over the circle so that views differ."""

    def __init__(self, renderer, model, rng):
        self.renderer, self.model, self.rng = renderer, model, rng
        self.studio = Studio(renderer, rng)
        self.number = 0

    def start_over(self, seed) -> None:
        """Go on from a seed of the person's own: no picture depends on who came before."""
        self.rng = self.studio.rng = np.random.default_rng(seed)
        self.number = 0

    def actor(self, identity, pid: int) -> Actor:
        return Actor(self.renderer, self.model, identity, pid, seed=pid)

    def series(
        self,
        actor: Actor,
        seen_by: list[View],
        count: int,
        folder: Path,
        sequence,
        actions=NORMAL,
        shot: Shot = Shot(),
        quality: int = 88,
    ) -> int:
        """`count` crops in each view; returns how many were taken."""
        rng, taken = self.rng, 0
        for view in seen_by:
            start = rng.uniform(0, 2 * np.pi)
            chosen = rng.choice(actions, count)
            for k, action in enumerate(chosen):
                points, normals = actor.poses(str(action), rng.random(1))
                heading = start + 2 * np.pi * k / count + rng.normal(0, 0.4)
                crop = self.studio.take(view, actor, (points[0], normals[0]), shot, heading)
                if crop is not None:
                    self.number += 1
                    taken += 1
                    save(folder, actor.pid, view.name, sequence, self.number, crop, quality)
        return taken
