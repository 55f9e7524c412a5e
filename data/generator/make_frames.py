"""Frames with YOLO labels for a person detector: random places, cameras, lights and people."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from . import bodies, scenes, sensor, truth, views
from .actors import Actor, Shown
from .cast import stranger
from .renderer import Renderer
from .views import View

ACTIONS = (
    ("walk",) * 8
    + ("stand",) * 3
    + ("phone", "walk_phone", "carry", "walk_carry", "crouch", "bend", "arms_up")
)
CAST = 40  # people at hand at any time
FRAMES_PER_VIEW = 4
VIEWS_PER_SCENE = 4
HEIGHTS = (32, 330)  # pixels


def crowd(view: View, cast: list[Actor], rng: np.random.Generator) -> list[Shown]:
    """Nobody, a few or many people, some in clusters, each in an action."""
    count = int(rng.choice([0, *range(1, 15)], p=_counts()))
    places: list[np.ndarray] = []
    shown = []
    for k in rng.permutation(len(cast))[:count]:
        near = len(places) and rng.random() < 0.4
        spot = places[rng.integers(len(places))] + rng.normal(0, 0.75, 2) if near else None
        if spot is None or not view.scene.free(spot[None])[0]:
            spot = views.find_spot(view, rng, *HEIGHTS, margin=0.04)
        if spot is None or any(np.linalg.norm(spot - other) < 0.45 for other in places):
            continue
        places.append(spot)
        points, normals = cast[k].poses(str(rng.choice(ACTIONS)), rng.random(1))
        shown.append(cast[k].show(points[0], normals[0], spot, rng.uniform(0, 2 * np.pi)))
    return shown


def _counts() -> np.ndarray:
    weights = np.array([0.07, *np.linspace(1.0, 0.25, 14) / 9])
    return weights / weights.sum()


def picture(renderer: Renderer, view: View, shown: list[Shown], rng: np.random.Generator):
    """The stored frame, uint8 RGB, and its YOLO label lines."""
    camera = view.camera
    light, owner = renderer.render(view.plate, [one.placed for one in shown], reach=11.0)
    found = truth.boxes(shown, camera, owner)
    look = view.sensor.but(exposure=view.sensor.exposure * float(np.exp(rng.normal(0, 0.12))))
    return sensor.develop(light, look, rng), truth.yolo_lines(found, camera.width, camera.height)


def make_training(out: Path, frames: int, seed: int, first_person: int) -> None:
    """Write images/ and labels/; the people are strangers from `first_person` on."""
    for folder in ("images", "labels"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    model = bodies.BodyModel.load()  # before the renderer, see make_clips.main
    renderer = Renderer()
    rng = np.random.default_rng((61, seed))
    number = first_person

    def newcomer() -> Actor:
        nonlocal number
        number += 1
        return Actor(renderer, model, stranger(number), number, seed=number)

    cast = [newcomer() for _ in range(12)]
    written = 0
    while written < frames:
        scene = scenes.sample(rng)
        for _ in range(VIEWS_PER_SCENE):
            view = views.sample(renderer, rng, f"v{seed}", scene)
            for _ in range(FRAMES_PER_VIEW):
                image, lines = picture(renderer, view, crowd(view, cast, rng), rng)
                name = f"{seed:02d}_{written:05d}"
                cv2.imwrite(
                    str(out / "images" / f"{name}.jpg"),
                    image[..., ::-1],
                    [cv2.IMWRITE_JPEG_QUALITY, 92],
                )
                (out / "labels" / f"{name}.txt").write_text(
                    "".join(line + "\n" for line in lines), encoding="utf-8"
                )
                written += 1
            view.release()
            if len(cast) >= CAST:
                cast.pop(int(rng.integers(len(cast)))).release()
            cast.append(newcomer())
        print(f"{written} frames", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--training", type=int, metavar="FRAMES", default=3000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    make_training(
        options.out, options.training, options.seed, first_person=10_000 * (1 + options.seed)
    )
