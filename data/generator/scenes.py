"""The places: an outdoor plaza with a passage beside it, an indoor hall, and random others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import props
from .props import Builder


@dataclass(frozen=True)
class Scene:
    """A static mesh and what a walker must know about it."""

    positions: np.ndarray  # (V, 3) metres
    normals: np.ndarray  # (V, 3)
    tints: np.ndarray  # (V, 3) linear colour
    params: np.ndarray  # (V, 4) seed, scale, variant, gloss
    parts: np.ndarray  # (V,) material
    faces: np.ndarray  # (F, 3)
    obstacles: np.ndarray  # (N, 3) x, y, radius
    lamps: tuple  # places of lamps
    walkable: tuple[float, float, float, float]  # x0, y0, x1, y1
    indoor: bool
    centre: tuple[float, float, float]
    radius: float
    occlusion_radius: float = 0.7

    def free(self, spots: np.ndarray, margin: float = 0.3) -> np.ndarray:
        """Whether a person could stand at each of the points (N, 2)."""
        x0, y0, x1, y1 = self.walkable
        inside = ((spots >= (x0, y0)) & (spots <= (x1, y1))).all(1)
        if not len(self.obstacles):
            return inside
        gap = (
            np.linalg.norm(spots[:, None] - self.obstacles[None, :, :2], axis=2)
            - self.obstacles[:, 2]
        )
        return inside & (gap > margin).all(1)


def _finish(b: Builder, walkable, indoor: bool, centre, radius: float) -> Scene:
    starts = np.cumsum([0] + [len(chunk[0]) for chunk in b.chunks])
    counts = [len(chunk[0]) for chunk in b.chunks]

    def spread(index):
        return np.repeat([np.asarray(chunk[index], float) for chunk in b.chunks], counts, 0)

    return Scene(
        positions=np.concatenate([chunk[0] for chunk in b.chunks]),
        normals=np.concatenate([chunk[1] for chunk in b.chunks]),
        tints=spread(4),
        params=spread(5),
        parts=np.repeat([chunk[3] for chunk in b.chunks], counts),
        faces=np.concatenate(
            [chunk[2] + start for chunk, start in zip(b.chunks, starts, strict=False)]
        ),
        obstacles=np.array(b.obstacles).reshape(-1, 3),
        lamps=tuple(b.lamps),
        walkable=walkable,
        indoor=indoor,
        centre=centre,
        radius=radius,
    )


def plaza(seed: int = 11) -> Scene:
    """A square between facades (x -9..9) and, past a block, a passage (x 15..28)."""
    rng = np.random.default_rng(seed)
    b = Builder()
    b.at(0, 0)
    b.floor(-40, -40, 14.5, 40, props.SLABS, (0.27, 0.26, 0.24), seed=2, scale=0.8, variant=1)
    b.floor(14.5, -40, 40, 40, props.SLABS, (0.24, 0.21, 0.19), seed=5, scale=0.42, variant=1)
    b.floor(-9, 3.1, 11.5, 3.5, props.SLABS, (0.2, 0.2, 0.2), z=0.003, seed=4, scale=0.4)
    b.floor(-9, -3.6, 11.5, -3.2, props.SLABS, (0.2, 0.2, 0.2), z=0.003, seed=8, scale=0.4)
    b.box((-1, 12.6, 5), (27, 8, 10), props.PLASTER, (0.5, 0.45, 0.37), seed=3, variant=1)
    b.box((-15.5, 0, 4.5), (7, 34, 9), props.BRICK, (0.36, 0.16, 0.11), seed=9, variant=1)
    b.box((13, 4.2, 3.8), (3, 13.4, 7.6), props.BRICK, (0.4, 0.28, 0.18), seed=5, variant=1)
    b.box((6, -15.5, 3.5), (50, 7, 7), props.PLASTER, (0.42, 0.42, 0.43), seed=14, variant=1)
    b.box((22, 14.2, 5), (20, 8, 10), props.GLASS, (0.5, 0.6, 0.66), seed=6, gloss=0.6)
    b.box((32.5, 0, 4.5), (7, 40, 9), props.BRICK, (0.3, 0.2, 0.15), seed=21, variant=1)
    for x, y, turn in (
        (-5.4, 6.6, 0),
        (3.1, 6.7, 0),
        (-10.2, -0.4, np.pi / 2),
        (24.2, 8.3, 0),
        (27.2, 1.2, -np.pi / 2),
    ):
        props.bench(b, x, y, turn)
    for x, y, turn, long in (
        (-1.2, 6.9, 0, 2.6),
        (7.6, 6.6, 0, 2.2),
        (10.6, 2.2, np.pi / 2, 2.4),
        (20.6, 8.9, 0, 3.0),
    ):
        props.planter(b, x, y, turn, long, rng)
    for x, y in (
        (-8.6, 6.4),
        (5.4, 7.1),
        (-8.9, -3.6),
        (9.9, -1.6),
        (17.4, 7.7),
        (26.9, 4.8),
        (26.6, -2.6),
    ):
        props.tree(b, x, y, rng)
    for x, y in ((-3.3, 4.9), (5.9, 4.4), (-6.6, 1.7), (0.9, -4.9), (19.4, 5.2), (25.4, 2.9)):
        props.lamp_post(b, x, y)
    for x, y in ((0.9, 6.9), (-9.9, 2.2), (22.6, 8.6)):
        props.litter_bin(b, x, y)
    for k in range(4):
        props.bollard(b, 11.4, -3.4 - 1.6 * k)
    props.sign(b, -3.3, 7.3, 0.1, rng)
    props.sign(b, 26.9, 7.3, -1.2, rng)
    props.kiosk(b, 8.9, 4.6, -1.2, rng)
    props.bicycles(b, -7.0, 7.3, 0.0, rng)
    props.bicycles(b, 26.9, -0.6, 1.4, rng)
    return _finish(b, (-10.6, -8.6, 27.6, 8.2), False, (7.5, 0, 1.5), 23.0)


def hall(seed: int = 12) -> Scene:
    """A station-like hall, 19 by 13.6 metres, 5.4 high, lit from its ceiling."""
    rng = np.random.default_rng(seed)
    b = Builder()
    _room(b, 9.5, 6.8, 5.4, props.TILES, (0.3, 0.285, 0.26), (0.4, 0.39, 0.36), rng, scale=0.6)
    for x, y in ((-3.6, 2.6), (3.6, 2.6), (-3.6, -3.0), (3.6, -3.0)):
        props.column(b, x, y)
    props.counter(b, 0.2, 6.0, 0.0, 3.6)
    props.seats(b, -6.6, 6.2, 0.0)
    props.seats(b, 6.4, 6.2, 0.0, tint=(0.16, 0.05, 0.05))
    props.seats(b, -8.9, 1.0, np.pi / 2)
    props.seats(b, 3.4, -6.3, np.pi, tint=(0.1, 0.14, 0.2))
    for x, y in ((-8.7, 6.0), (8.8, 6.1), (2.6, 6.2), (-8.8, -2.4)):
        props.pot_plant(b, x, y, rng)
    props.litter_bin(b, -3.9, 6.3, (0.25, 0.25, 0.25))
    props.litter_bin(b, 9.0, 1.2, (0.25, 0.25, 0.25))
    props.sign(b, -1.8, -6.2, np.pi, rng)
    return _finish(b, (-9.0, -6.2, 9.0, 6.2), True, (0, 0, 1.2), 11.5)


def _room(b, half_x, half_y, high, floor, floor_tint, wall_tint, rng, scale=0.6) -> None:
    """Floor, four walls with doors and posters, and places for lamps; the ceiling is not built."""
    b.at(0, 0)
    b.floor(
        -half_x,
        -half_y,
        half_x,
        half_y,
        floor,
        floor_tint,
        seed=rng.uniform(0, 9),
        scale=scale,
        gloss=0.4,
    )
    for side in (-1, 1):
        seed = rng.uniform(0, 50)
        b.box(
            (side * (half_x + 0.1), 0, high / 2),
            (0.2, 2 * half_y, high),
            props.PAINTED,
            wall_tint,
            seed=seed,
            variant=1,
        )
        b.box(
            (0, side * (half_y + 0.1), high / 2),
            (2 * half_x, 0.2, high),
            props.PAINTED,
            wall_tint,
            seed=seed,
            variant=1,
        )
        for x in np.arange(-half_x + 1.6, half_x - 1, 2.9):
            pick = rng.random()
            wide, tall = (1.1, 1.5) if pick < 0.5 else (1.7, 2.2)
            middle = (x, side * (half_y - 0.02), 1.75 if pick < 0.5 else 1.1)
            if pick < 0.5:
                b.box(
                    middle,
                    (wide, 0.06, tall),
                    props.POSTER,
                    tuple(rng.uniform(0.1, 0.6, 3)),
                    seed=rng.uniform(0, 90),
                )
            elif pick < 0.75:
                b.box(
                    middle, (wide, 0.08, tall), props.GLASS, (0.5, 0.55, 0.55), gloss=0.4, seed=seed
                )
    for x in np.arange(-half_x + 1.2, half_x, 3.0):
        for y in np.arange(-half_y + 1.2, half_y, 3.4):
            b.lamps.append((x, y, min(high, 3.8)))
    keep = rng.permutation(len(b.lamps))[:8]
    b.lamps[:] = [b.lamps[k] for k in sorted(keep)]


def sample(rng: np.random.Generator, clutter: int = 0) -> Scene:
    """A random place, 18 metres across, furnished at random, with `clutter` railings and boards."""

    def tint(low, high):
        return tuple(np.clip(rng.uniform(low, high) + rng.normal(0, 0.02, 3), 0.03, 0.8))

    b = Builder()
    half = rng.uniform(7.5, 10.0)
    indoor = bool(rng.random() < 0.35)
    if indoor:
        floor = (props.TILES, props.TILES, props.PLASTIC, props.CONCRETE)[rng.integers(4)]
        _room(
            b,
            half,
            half,
            rng.uniform(4, 6),
            floor,
            tint(0.12, 0.5),
            tint(0.25, 0.65),
            rng,
            rng.uniform(0.3, 1.2),
        )
    else:
        _street(b, half, rng, tint)
    _furnish(b, half, indoor, rng)
    for _ in range(clutter):
        spot, turn = rng.uniform(-half + 1, half - 1, 2), rng.uniform(0, 2 * np.pi)
        (props.railing if rng.random() < 0.75 else props.board)(b, *spot, turn, rng)
    return _finish(b, (-half + 1, -half + 1, half - 1, half - 1), indoor, (0, 0, 1.5), half * 1.5)


def _street(b: Builder, half: float, rng, tint) -> None:
    grounds = (props.SLABS, props.SLABS, props.ASPHALT, props.CONCRETE, props.GRASS, props.SLABS)
    walls = (props.BRICK, props.PLASTER, props.GLASS, props.CONCRETE)
    b.at(0, 0, rng.uniform(0, 6.3))
    pick = int(rng.integers(len(grounds)))
    shade = (0.09, 0.13, 0.05) if grounds[pick] == props.GRASS else tint(0.1, 0.48)
    look = dict(
        seed=rng.uniform(0, 50), scale=rng.uniform(0.25, 1.3), variant=float(rng.integers(2))
    )
    b.floor(-60, -60, 60, 60, grounds[pick], shade, **look)
    for _ in range(int(rng.integers(0, 3))):  # a path, a road or a stripe across
        y, wide = rng.uniform(-half, half), rng.choice((0.12, 0.4, 2.5))
        other = grounds[rng.integers(len(grounds))]
        b.floor(
            -60,
            y - wide,
            60,
            y + wide,
            other,
            tint(0.1, 0.6),
            z=rng.uniform(0.001, 0.004),
            seed=y,
            scale=0.4,
        )
    for turn in np.arange(4) * np.pi / 2:
        b.at(0, 0, turn + rng.normal(0, 0.08))
        kind = walls[rng.integers(len(walls))]
        colour = (
            np.array((0.36, 0.17, 0.12)) * rng.uniform(0.6, 1.3)
            if kind == props.BRICK
            else tint(0.2, 0.6)
        )
        away, high = half + rng.uniform(0.5, 8), rng.uniform(2, 10)
        b.box(
            (rng.normal(0, 3), away + 3, high / 2),
            (rng.uniform(10, 34), 6, high),
            kind,
            tuple(colour),
            seed=rng.uniform(0, 90),
            variant=float(rng.random() < 0.8),
            gloss=0.3 if kind == props.GLASS else 0.02,
        )


def _furnish(b: Builder, half: float, indoor: bool, rng) -> None:
    def spot():
        return rng.uniform(-half + 0.5, half - 0.5, 2)

    grey = tuple(rng.uniform(0.05, 0.4) * np.ones(3))
    outdoor_kit = [
        lambda x, y, a: props.tree(b, x, y, rng),
        lambda x, y, a: props.planter(b, x, y, a, rng.uniform(1, 3), rng),
        lambda x, y, a: props.lamp_post(b, x, y),
        lambda x, y, a: props.bollard(b, x, y, grey),
        lambda x, y, a: props.kiosk(b, x, y, a, rng),
        lambda x, y, a: props.bicycles(b, x, y, a, rng),
    ]
    indoor_kit = [
        lambda x, y, a: props.column(b, x, y),
        lambda x, y, a: props.counter(b, x, y, a, rng.uniform(1.5, 4)),
        lambda x, y, a: props.seats(
            b, x, y, a, int(rng.integers(2, 6)), tuple(rng.uniform(0.05, 0.4, 3))
        ),
        lambda x, y, a: props.pot_plant(b, x, y, rng),
    ]
    both = [
        lambda x, y, a: props.bench(b, x, y, a, tuple(rng.uniform(0.08, 0.35, 3))),
        lambda x, y, a: props.litter_bin(b, x, y, tuple(rng.uniform(0.03, 0.3, 3))),
        lambda x, y, a: props.sign(b, x, y, a, rng),
    ]
    kit = (indoor_kit if indoor else outdoor_kit) + both
    for _ in range(int(rng.integers(4, 16))):
        x, y = spot()
        kit[rng.integers(len(kit))](x, y, rng.uniform(0, 2 * np.pi))
