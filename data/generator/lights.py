"""Light: day, overcast, dusk and the artificial light of a hall."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from .cameras import look_at, orthographic

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Light:
    """Linear colours; `softness` is the width of shadow edges in shadow-map texels."""

    towards_sun: Colour
    sun: Colour
    sky: Colour
    ground: Colour
    fog: Colour
    fog_density: float = 0.004
    softness: float = 1.1
    lamp_colour: Colour = (0.0, 0.0, 0.0)
    lamps: tuple[tuple[float, float, float, float], ...] = ()  # x, y, z, strength
    exposure: float = 1.0

    @property
    def direction(self) -> np.ndarray:
        way = np.asarray(self.towards_sun, float)
        return way / np.linalg.norm(way)

    def shadow_matrix(self, centre, radius: float) -> np.ndarray:
        """Orthographic view from the sun of a ball in the world, float64 (4, 4)."""
        centre = np.asarray(centre, float)
        view = look_at(centre + self.direction * 40, centre, up=(0.03, 1.0, 0.05))
        return orthographic(radius, 40 - 2 * radius - 6, 40 + 2 * radius + 6) @ view

    def with_lamps(self, places, strength: float = 1.0) -> Light:
        """The same light with lamps at these places, where its lamps are switched on."""
        on = any(self.lamp_colour)
        return replace(self, lamps=tuple((*place, strength) for place in places[:8]) if on else ())


DAY = Light(
    (0.5, -0.62, 0.85), (1.7, 1.55, 1.36), (0.46, 0.52, 0.64), (0.24, 0.22, 0.2), (0.75, 0.85, 1.0)
)
OVERCAST = Light(
    (0.2, -0.2, 1.0),
    (0.34, 0.34, 0.35),
    (0.86, 0.9, 0.96),
    (0.32, 0.31, 0.3),
    (1.1, 1.12, 1.15),
    softness=5.0,
    exposure=0.95,
)
DUSK = Light(
    (-0.85, 0.35, 0.34),
    (0.34, 0.19, 0.09),
    (0.13, 0.16, 0.27),
    (0.07, 0.065, 0.07),
    (0.17, 0.19, 0.3),
    lamp_colour=(9.0, 5.8, 2.7),
    softness=2.0,
    exposure=1.4,
)
HALL = Light(
    (0.12, -0.1, 1.0),
    (0.52, 0.5, 0.45),
    (0.5, 0.49, 0.46),
    (0.27, 0.25, 0.23),
    (0.5, 0.5, 0.48),
    fog_density=0.001,
    softness=7.0,
    lamp_colour=(1.0, 0.94, 0.82),
    exposure=1.05,
)


def sample(
    rng: np.random.Generator, indoor: bool, chances: tuple[float, float, float] = (0.5, 0.3, 0.2)
) -> Light:
    """A random light of a random hour and weather; `chances` are of day, overcast and dusk."""

    def jitter(colour, spread=0.08):
        return tuple(np.asarray(colour) * np.exp(rng.normal(0, spread, 3)))

    base = HALL if indoor else (DAY, OVERCAST, DUSK)[rng.choice(3, p=chances)]
    turn, height = rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 1.6)
    towards = (
        (0.2 * np.cos(turn), 0.2 * np.sin(turn), 1.0)
        if indoor
        else (np.cos(turn), np.sin(turn), height)
    )
    strength = float(np.exp(rng.normal(0, 0.25)))
    return replace(
        base,
        towards_sun=towards,
        sun=jitter(np.asarray(base.sun) * strength),
        sky=jitter(base.sky),
        ground=jitter(base.ground, 0.15),
        softness=base.softness * rng.uniform(0.6, 2.0),
        fog_density=base.fog_density * rng.uniform(0.2, 1.8),
        exposure=base.exposure * rng.uniform(0.8, 1.25),
    )
