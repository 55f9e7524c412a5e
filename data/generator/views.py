"""A view: one camera with its sensor over one scene in one light, and the places it sees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import cameras, lights, scenes, sensor
from .cameras import Camera
from .renderer import Plate, Renderer
from .scenes import Scene
from .sensor import Sensor

METER = 0.36  # mean linear light that a camera's automatic exposure aims at
STATURE = 1.72  # metres, to judge how tall somebody would appear
DUSK_FACTORS = dict(noise=1.3, blur=1.15, saturation=0.9)


@dataclass
class View:
    name: str
    scene: Scene
    camera: Camera
    sensor: Sensor
    plate: Plate

    def release(self) -> None:
        self.plate.release()


def make(
    renderer: Renderer,
    name: str,
    scene: Scene,
    light: lights.Light,
    camera: Camera,
    look: Sensor,
    size=None,
    samples: int = 32,
) -> View:
    """Render the plate; the light's exposure goes into the sensor."""
    plate = renderer.plate(scene, light, camera, size, samples)
    return View(name, scene, camera, look.but(exposure=look.exposure * light.exposure), plate)


def plaza(renderer: Renderer, names, light: str, size=None) -> list[View]:
    """The plaza's own cameras; `light` ("day", "overcast", "dusk") matters outdoors only."""
    places = {False: scenes.plaza(), True: scenes.hall()}
    outdoor = {"day": lights.DAY, "overcast": lights.OVERCAST, "dusk": lights.DUSK}[light]
    found = []
    for name in names:
        indoor = name in cameras.INDOOR
        scene, look = places[indoor], sensor.PLAZA[name]
        if light == "dusk":
            look = look.but(
                **{key: getattr(look, key) * factor for key, factor in DUSK_FACTORS.items()}
            )
            if indoor:  # lamps at half power
                look = look.but(exposure=look.exposure * 0.55)
        lit = (lights.HALL if indoor else outdoor).with_lamps(scene.lamps)
        found.append(make(renderer, name, scene, lit, cameras.PLAZA[name], look, size))
    return found


def sample(
    renderer: Renderer, rng: np.random.Generator, name: str, scene: Scene | None = None
) -> View:
    """A random camera in a random light, in a random place unless one is given."""
    scene = scene or scenes.sample(rng)
    light = lights.sample(rng, scene.indoor).with_lamps(scene.lamps)
    view = make(
        renderer,
        name,
        scene,
        light,
        _sample_camera(rng, scene, name),
        sensor.sample(rng),
        samples=10,
    )
    metered = float(np.clip(METER / view.plate.brightness(), 0.4, 4.0)) / light.exposure
    view.sensor = view.sensor.but(exposure=view.sensor.exposure * metered)
    return view


def sample_rough(renderer: Renderer, rng: np.random.Generator, name: str) -> View:
    """A random view for the second training cast: cluttered places, rough cameras, rarely dusk."""
    scene = scenes.sample(rng, clutter=int(rng.integers(0, 7)))
    light = lights.sample(rng, scene.indoor, (0.5, 0.4, 0.1)).with_lamps(scene.lamps)
    camera, look = _sample_camera(rng, scene, name), sensor.sample_rough(rng)
    view = make(renderer, name, scene, light, camera, look, samples=10)
    metered = float(np.clip(METER / view.plate.brightness(), 0.4, 4.0)) / light.exposure
    balance = view.plate.tint() ** -0.8  # automatic white balance takes most of a tint away
    white = tuple(float(v) for v in np.asarray(look.white) * balance)
    view.sensor = look.but(white=white, exposure=view.sensor.exposure * metered)
    return view


def _sample_camera(rng: np.random.Generator, scene: Scene, name: str) -> Camera:
    x0, y0, x1, y1 = scene.walkable
    for _ in range(200):
        height = float(np.clip(rng.lognormal(1.05, 0.4), 1.3, 7.0))
        spot, turn, away = (
            rng.uniform((x0, y0), (x1, y1)),
            rng.uniform(0, 2 * np.pi),
            rng.uniform(3.5, 11),
        )
        target = spot + away * np.array([np.cos(turn), np.sin(turn)])
        tall = rng.uniform(0.22, 0.75)  # share of the picture that somebody at the target fills
        fov = float(np.rad2deg(2 * np.arctan(STATURE / tall / 2 / np.hypot(away, height - 0.9))))
        clear = scene.free(spot[None], 0.6)[0] and scene.free(target[None], 0.0)[0]
        if clear and 14 < fov < 70:
            break
    look = (*target, float(rng.uniform(0.5, 1.1)))
    return Camera(name, (*map(float, spot), height), tuple(map(float, look)), fov)


def find_spot(view: View, rng: np.random.Generator, low: float, high: float, margin: float = 0.0):
    """A free place (x, y) where a person would be `low`..`high` pixels tall, or None.

    `margin` is the share of the picture's width and height that such a place may lie outside of it.
    """
    camera = view.camera
    size = np.array([camera.width, camera.height])
    pixels = rng.uniform(-margin, 1 + margin, (60, 2)) * size
    spots = camera.ground(pixels)
    spots = spots[np.isfinite(spots).all(1)]
    if not len(spots):
        return None
    feet = camera.project(np.c_[spots, np.zeros(len(spots))])
    heads = camera.project(np.c_[spots, np.full(len(spots), STATURE)])
    tall = feet[:, 1] - heads[:, 1]
    inside = (heads[:, 1] > -margin * size[1]) & (feet[:, 2] > 1.0)
    good = view.scene.free(spots) & (tall > low) & (tall < high) & inside
    return spots[np.argmax(good)] if good.any() else None
