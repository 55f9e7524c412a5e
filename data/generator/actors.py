"""People on stage: a dressed body on the graphics card, its poses, and its place in the world."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from . import bodies, gait
from .gpu import Placed
from .identities import Identity
from .props import turn_z
from .renderer import Renderer

LOOSE = ("held box", "held phone", "trolley")  # bones of things that boxes leave out
SHOE = bodies.PARTS["shoe"]
STEPS = 24  # poses kept of each cycle; in between they are interpolated
SWAY_SECONDS = 4.0


@dataclass
class Shown:
    """One actor in one frame: its posed vertices in the world, and what to draw."""

    pid: int
    points: np.ndarray  # (V, 3) metres
    normals: np.ndarray  # (V, 3)
    areas: np.ndarray  # (V,) square metres of surface around each vertex
    body: (
        np.ndarray
    )  # (V,) bool, False for what is carried or pulled and no part of the person's box
    placed: Placed


class Actor:
    """A person; `pid` is its global identity, `seed` decides its gait."""

    def __init__(
        self, renderer: Renderer, model: bodies.BodyModel, identity: Identity, pid: int, seed: int
    ):
        self.identity, self.pid = identity, pid
        self.dressed = bodies.dress(model, identity)
        self.style = gait.sample_gait(np.random.default_rng(seed), identity)
        self.mesh = renderer.figure(self.dressed)
        self._cycles: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    @cached_property
    def stride(self) -> float:
        return gait.stride_length(self.dressed, self.style)

    def poses(self, action: str, phases: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Vertices and normals (N, V, 3) at some phases of an action."""
        return gait.skin(self.dressed, gait.pose(self.dressed, self.style, action, phases))

    def cycle(self, action: str, phase: float) -> tuple[np.ndarray, np.ndarray]:
        """Vertices and normals (V, 3) at a phase, interpolated between kept poses."""
        if action not in self._cycles:
            self._cycles[action] = self.poses(action, np.arange(STEPS) / STEPS)
        spot = phase % 1 * STEPS
        low, share = int(spot) % STEPS, np.float32(spot - int(spot))
        return tuple(
            kept[low] * (1 - share) + kept[(low + 1) % STEPS] * share
            for kept in self._cycles[action]
        )

    def walking(self, metres: float, walking: float, time: float, walk: str, stand: str):
        """The pose after some metres: walking, standing, or on the way from one to the other."""
        if walking <= 0:
            return self.cycle(stand, time / SWAY_SECONDS)
        pose = self.cycle(walk, metres / self.stride)
        if walking >= 1:
            return pose
        rest, share = self.cycle(stand, time / SWAY_SECONDS), np.float32(walking)
        return tuple(a * share + b * (1 - share) for a, b in zip(pose, rest, strict=True))

    def show(self, points, normals, place, heading: float) -> Shown:
        """Stand the posed body at `place` (x, y), looking along `heading` (radians, 0 = +x)."""
        model = np.eye(4)
        model[:3, :3] = turn_z(heading + np.pi / 2)  # bodies face -y
        model[:2, 3] = place
        turn = model[:3, :3].astype("f4")
        world = points @ turn.T + model[:3, 3].astype("f4")
        self.mesh.pose(points, normals)
        return Shown(
            self.pid,
            world,
            normals @ turn.T,
            self._areas,
            self._body,
            Placed(self.mesh, model, self._contacts(world)),
        )

    def _contacts(self, world: np.ndarray) -> np.ndarray:
        """Where this body darkens the ground: under each sole, and a little all around."""
        rows = []
        for side in (1, -1):
            shoe = world[self._soles[side]]
            x, y, _ = shoe.mean(0)
            rows.append((x, y, 0.15, 0.75 * max(0.0, 1 - float(shoe[:, 2].min()) / 0.15)))
        x, y = world[:, :2].mean(0)
        return np.array([*rows, (x, y, 0.42, 0.3)])

    @cached_property
    def _areas(self) -> np.ndarray:
        rest, faces = self.dressed.rest, self.dressed.faces
        sides = rest[faces[:, 1]] - rest[faces[:, 0]], rest[faces[:, 2]] - rest[faces[:, 0]]
        share = np.linalg.norm(np.cross(*sides), axis=1) / 6
        return np.bincount(faces.ravel(), np.repeat(share, 3), len(rest)).astype("f4")

    @cached_property
    def _body(self) -> np.ndarray:
        loose = [self.dressed.skeleton.index[name] for name in LOOSE]
        return ~np.isin(self.dressed.bones[:, 0], loose)

    @cached_property
    def _soles(self) -> dict[int, np.ndarray]:
        shoe = self.dressed.part == SHOE
        return {
            side: np.flatnonzero(shoe & (side * self.dressed.rest[:, 0] > 0)) for side in (1, -1)
        }

    def release(self) -> None:
        self.mesh.release()
