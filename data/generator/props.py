"""Building blocks of a scene: a mesh builder, and furniture made of boxes, drums and leaf cards."""

from __future__ import annotations

from functools import cache

import numpy as np

# Materials of shaders/environment.glsl.
SLABS, BRICK, PLASTER, WOOD, LEAVES, METAL, CONCRETE, BARK, GRASS, ASPHALT = range(20, 30)
GLASS, TILES, PAINTED, CEILING, GLOW, POSTER, PLASTIC = range(30, 37)

STEEL = (0.10, 0.11, 0.115)
OAK = (0.27, 0.16, 0.08)


def turn_z(angle: float) -> np.ndarray:
    """Rotation about the vertical, radians, float64 (3, 3)."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])


@cache
def _unit_box() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Corners (24, 3) at -1 and 1, their normals, and faces (12, 3); a scene has hundreds."""
    corners, normals, faces = [], [], []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            normal = np.zeros(3)
            normal[axis] = sign
            across = np.roll(normal, 1)
            along = np.cross(normal, across)
            start = len(corners)
            for i, j in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
                corners.append(normal + across * i + along * j)
                normals.append(normal)
            faces += [(start, start + 1, start + 2), (start, start + 2, start + 3)]
    return np.array(corners), np.array(normals), np.array(faces)


class Builder:
    """Collects triangles with their materials, and the places where nobody can walk."""

    def __init__(self):
        self.chunks: list[tuple] = []
        self.obstacles: list[tuple[float, float, float]] = []  # x, y, radius
        self.lamps: list[tuple[float, float, float]] = []
        self.frame = np.eye(4)

    def at(self, x: float, y: float, turn: float = 0.0) -> Builder:
        """Place what follows: a new origin on the ground, turned about the vertical."""
        self.frame = np.eye(4)
        self.frame[:3, :3] = turn_z(turn)
        self.frame[:2, 3] = x, y
        return self

    def block(self, radius: float, x: float = 0.0, y: float = 0.0) -> None:
        """Keep people out of a disc around a point of the current frame."""
        px, py, _ = self.frame[:3, :3] @ (x, y, 0) + self.frame[:3, 3]
        self.obstacles.append((px, py, radius))

    def add(
        self, points, normals, faces, material, tint, seed=0.0, scale=1.0, variant=0.0, gloss=0.02
    ):
        points = np.asarray(points, float) @ self.frame[:3, :3].T + self.frame[:3, 3]
        normals = np.asarray(normals, float) @ self.frame[:3, :3].T
        self.chunks.append(
            (points, normals, np.asarray(faces), material, tint, (seed, scale, variant, gloss))
        )

    def box(self, centre, size, material, tint, **look) -> None:
        corners, normals, faces = _unit_box()
        points = corners * np.asarray(size) / 2 + centre
        self.add(points, normals, faces, material, tint, **look)

    def floor(self, x0, y0, x1, y1, material, tint, z=0.0, **look) -> None:
        points = [(x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z)]
        self.add(
            points, np.tile((0, 0, 1.0), (4, 1)), [(0, 1, 2), (0, 2, 3)], material, tint, **look
        )

    def drum(self, x, y, z0, z1, r0, r1, material, tint, sides=16, **look) -> None:
        """A closed cone frustum standing upright."""
        angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)
        ring = np.stack([np.cos(angle), np.sin(angle), 0 * angle], 1)
        low, high = ring * r0 + (x, y, z0), ring * r1 + (x, y, z1)
        points = np.concatenate([low, high, high, [(x, y, z1)]])
        normals = np.concatenate([ring, ring, np.tile((0, 0, 1.0), (sides + 1, 1))])
        i = np.arange(sides)
        j = (i + 1) % sides
        side = [np.stack([i, j, j + sides], 1), np.stack([i, j + sides, i + sides], 1)]
        lid = np.stack([i + 2 * sides, j + 2 * sides, np.full(sides, 3 * sides)], 1)
        self.add(points, normals, np.concatenate([*side, lid]), material, tint, **look)

    def leaves(self, centre, radii, count, rng, tint, size=0.16) -> None:
        """A cloud of small leaf cards in an ellipsoid, denser towards its skin."""
        way = rng.normal(size=(count, 3))
        way /= np.linalg.norm(way, axis=1, keepdims=True)
        lumps = 1 + 0.22 * np.sin(way[:, :1] * 5 + rng.uniform(0, 6)) * np.sin(
            way[:, 1:2] * 4 + way[:, 2:] * 3
        )
        middle = way * lumps * rng.random((count, 1)) ** 0.4 * radii + centre
        u = np.cross(way, rng.normal(size=(count, 3)))
        u /= np.linalg.norm(u, axis=1, keepdims=True)
        v = np.cross(way + rng.normal(0, 0.5, (count, 3)), u)
        length = size * rng.uniform(0.5, 1.2, (count, 1))
        points = np.stack(
            [
                middle + u * length,
                middle + v * length * 0.5,
                middle - u * length,
                middle - v * length * 0.5,
            ],
            1,
        ).reshape(-1, 3)
        quad = np.arange(count)[:, None] * 4
        faces = np.concatenate([quad + (0, 1, 2), quad + (0, 2, 3)])
        normals = np.repeat(way * 0.8 + (0, 0, 0.35), 4, 0)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        self.add(points, normals, faces, LEAVES, tint, seed=rng.uniform(0, 30))


def bench(b: Builder, x, y, turn=0.0, tint=OAK) -> None:
    b.at(x, y, turn)
    for k in range(3):
        b.box((0, -0.16 + 0.16 * k, 0.45), (1.8, 0.13, 0.04), WOOD, tint, seed=k)
    for k in range(2):
        b.box((0, 0.27, 0.62 + 0.17 * k), (1.8, 0.035, 0.13), WOOD, tint, seed=3 + k)
    for side in (-0.75, 0.75):
        b.box((side, 0.0, 0.21), (0.06, 0.46, 0.42), METAL, STEEL)
        b.box((side, 0.29, 0.6), (0.05, 0.03, 0.45), METAL, STEEL)
    b.block(0.55, -0.5)
    b.block(0.55, 0.5)


def lamp_post(b: Builder, x, y) -> None:
    b.at(x, y)
    b.drum(0, 0, 0, 0.5, 0.1, 0.08, METAL, STEEL)
    b.drum(0, 0, 0.5, 4.3, 0.055, 0.045, METAL, STEEL)
    b.drum(0, 0, 4.3, 4.38, 0.3, 0.26, METAL, STEEL)
    b.drum(0, 0, 4.26, 4.3, 0.2, 0.2, GLOW, (0.8, 0.75, 0.65), scale=0.6)
    b.block(0.3)
    b.lamps.append((x, y, 4.1))


def tree(b: Builder, x, y, rng, pit=True) -> None:
    b.at(x, y, rng.uniform(0, 6))
    high = rng.uniform(2.0, 2.6)
    if pit:
        b.box((0, 0, 0.02), (1.3, 1.3, 0.04), GRASS, (0.10, 0.075, 0.05))
    b.drum(0, 0, 0, high + 0.6, 0.13, 0.07, BARK, (0.2, 0.14, 0.1), sides=9)
    green = np.array((0.085, 0.15, 0.045)) * rng.uniform(0.75, 1.25) + (rng.uniform(0, 0.03), 0, 0)
    for _ in range(4):
        shift = rng.normal(0, 0.42, 3) * (1, 1, 0.6)
        b.leaves(
            np.array((0, 0, high + 0.9)) + shift,
            np.array((0.95, 0.95, 0.8)),
            420,
            rng,
            tuple(green),
        )
    b.block(0.4)


def planter(b: Builder, x, y, turn, long, rng, tint=(0.42, 0.41, 0.39)) -> None:
    b.at(x, y, turn)
    b.box((0, 0, 0.25), (long, 0.8, 0.5), CONCRETE, tint, seed=rng.uniform(0, 9))
    b.box((0, 0, 0.47), (long - 0.14, 0.66, 0.08), GRASS, (0.08, 0.06, 0.04))
    for k in np.arange(-long / 2 + 0.3, long / 2 - 0.2, 0.38):
        green = np.array((0.08, 0.14, 0.05)) * rng.uniform(0.7, 1.3)
        b.leaves(
            (k, rng.normal(0, 0.06), 0.66), (0.27, 0.27, 0.24), 130, rng, tuple(green), size=0.09
        )
    for k in np.linspace(-long / 2 + 0.3, long / 2 - 0.3, max(2, int(long / 0.7))):
        b.block(0.62, k)


def litter_bin(b: Builder, x, y, tint=(0.07, 0.1, 0.08)) -> None:
    b.at(x, y)
    b.drum(0, 0, 0.05, 0.85, 0.21, 0.24, METAL, tint)
    b.drum(0, 0, 0.85, 0.93, 0.26, 0.2, METAL, STEEL)
    b.block(0.45)


def bollard(b: Builder, x, y, tint=STEEL) -> None:
    b.at(x, y)
    b.drum(0, 0, 0, 0.9, 0.085, 0.075, METAL, tint)
    b.drum(0, 0, 0.74, 0.8, 0.086, 0.086, PLASTIC, (0.6, 0.58, 0.5))
    b.block(0.28)


def sign(b: Builder, x, y, turn, rng) -> None:
    b.at(x, y, turn)
    b.box((0, 0, 1.2), (0.9, 0.14, 1.9), METAL, STEEL)
    b.box(
        (0, -0.075, 1.3),
        (0.78, 0.02, 1.5),
        POSTER,
        tuple(rng.uniform(0.1, 0.6, 3)),
        seed=rng.uniform(0, 50),
    )
    b.block(0.5)


def bicycles(b: Builder, x, y, turn, rng, count=3) -> None:
    """Hoops with parked bicycles, thin and cluttered."""
    for k in range(count):
        b.at(x, y, turn)
        shift = (k - (count - 1) / 2) * 0.75
        tint = tuple(rng.uniform(0.03, 0.4, 3))
        for wheel in (-0.52, 0.52):
            for part in np.arange(0, 2 * np.pi, np.pi / 10):
                b.box(
                    (shift, wheel + 0.33 * np.cos(part), 0.35 + 0.33 * np.sin(part)),
                    (0.035, 0.07, 0.07),
                    PLASTIC,
                    (0.03, 0.03, 0.03),
                )
        b.box((shift, 0.0, 0.62), (0.03, 0.9, 0.04), METAL, tint)
        b.box((shift, 0.1, 0.45), (0.03, 0.04, 0.5), METAL, tint)
        b.box((shift, 0.42, 0.98), (0.46, 0.03, 0.03), METAL, STEEL)
        b.box((shift, -0.3, 0.92), (0.11, 0.24, 0.05), PLASTIC, (0.03, 0.03, 0.03))
        b.block(0.6, shift, -0.4)
        b.block(0.6, shift, 0.4)


def kiosk(b: Builder, x, y, turn, rng) -> None:
    b.at(x, y, turn)
    tint = tuple(rng.uniform(0.08, 0.4, 3))
    b.box((0, 0, 1.15), (2.4, 1.6, 2.3), PLASTIC, tint, seed=rng.uniform(0, 9))
    b.box((0, -0.82, 1.55), (1.9, 0.05, 1.0), GLASS, (0.6, 0.65, 0.7), gloss=0.5)
    b.box((0, -1.1, 2.38), (2.6, 2.4, 0.1), PLASTIC, (0.5, 0.48, 0.44))
    b.box((0, -0.95, 1.0), (2.2, 0.3, 0.06), WOOD, OAK)
    b.block(1.15, -0.6)
    b.block(1.15, 0.6)


def column(b: Builder, x, y, high=5.4, tint=(0.45, 0.44, 0.41)) -> None:
    b.at(x, y)
    b.drum(0, 0, 0, high, 0.24, 0.24, PAINTED, tint, sides=20)
    b.drum(0, 0, 0, 0.15, 0.28, 0.28, METAL, STEEL, sides=20)
    b.block(0.5)


def counter(b: Builder, x, y, turn, long=3.0) -> None:
    b.at(x, y, turn)
    b.box((0, 0, 0.52), (long, 0.6, 1.04), WOOD, (0.3, 0.2, 0.12))
    b.box((0, -0.03, 1.07), (long + 0.1, 0.72, 0.06), PLASTIC, (0.45, 0.44, 0.42))
    b.box((0.5, 0.1, 1.3), (0.5, 0.06, 0.34), PLASTIC, (0.03, 0.03, 0.035))
    for k in np.linspace(-long / 2, long / 2, 4):
        b.block(0.65, k)


def seats(b: Builder, x, y, turn, count=4, tint=(0.1, 0.14, 0.2)) -> None:
    b.at(x, y, turn)
    for k in range(count):
        shift = (k - (count - 1) / 2) * 0.58
        b.box((shift, 0, 0.44), (0.48, 0.46, 0.06), PLASTIC, tint)
        b.box((shift, 0.24, 0.72), (0.48, 0.05, 0.48), PLASTIC, tint)
        b.block(0.5, shift)
    b.box((0, 0, 0.36), (count * 0.58, 0.07, 0.07), METAL, STEEL)
    for side in (-0.4, 0.4):
        b.box((side * count * 0.58, 0, 0.18), (0.06, 0.5, 0.36), METAL, STEEL)


def pot_plant(b: Builder, x, y, rng) -> None:
    b.at(x, y)
    b.drum(0, 0, 0, 0.45, 0.2, 0.26, PLASTIC, (0.32, 0.3, 0.28))
    b.leaves((0, 0, 0.95), (0.36, 0.36, 0.5), 260, rng, (0.07, 0.14, 0.05), size=0.17)
    b.block(0.45)


def railing(b: Builder, x, y, turn, rng) -> None:
    """A fence of upright bars, two to six metres long."""
    b.at(x, y, turn)
    long, high, gap = rng.uniform(2, 6), rng.uniform(0.8, 1.3), rng.uniform(0.1, 0.25)
    tint = tuple(rng.uniform(0.02, 0.6) * np.exp(rng.normal(0, 0.15, 3)).clip(0.5, 1.5))
    for k in np.arange(-long / 2, long / 2, gap):
        b.box((k, 0, high / 2), (0.03, 0.03, high), METAL, tint)
    for level in (0.12, high):
        b.box((0, 0, level), (long, 0.05, 0.05), METAL, tint)
    for k in np.arange(-long / 2, long / 2, 0.5):
        b.block(0.1, k)


def board(b: Builder, x, y, turn, rng) -> None:
    """A board or banner on legs, as shops and building sites put up."""
    b.at(x, y, turn)
    wide, high, low = rng.uniform(0.8, 3.5), rng.uniform(0.6, 1.6), rng.uniform(0.1, 0.9)
    hue = rng.permutation((rng.uniform(0.2, 0.6), rng.uniform(0.05, 0.4), 0.06))
    faded = hue.mean() + (hue - hue.mean()) * rng.uniform(0.2, 1)
    look = dict(seed=rng.uniform(0, 90), scale=rng.uniform(0.3, 1.2))
    b.box((0, 0, low + high / 2), (wide, 0.06, high), POSTER, tuple(faded), **look)
    for side in (-1, 1):
        b.box((side * wide / 2, 0, (low + high) / 2), (0.06, 0.06, low + high), METAL, STEEL)
    for k in np.arange(-wide / 2, wide / 2 + 0.1, 0.5):
        b.block(0.15, k)
