"""What lives on the graphics card: programs, meshes, plates and render targets."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import moderngl
import numpy as np

from .cameras import Camera
from .lights import Light

SHADERS = Path(__file__).with_name("shaders")
ENVIRONMENT = 20  # parts from here on are environment, below they are people
CONTACT_CELLS = 320
FLOAT = 0x1406  # the number by which OpenGL calls a float
SKIN_CELL = 0.011  # metres
SKIN = 0  # the one part that is a closed surface, so its far side need not be drawn


@cache
def source(name: str) -> str:
    return (SHADERS / name).read_text(encoding="utf-8")


def program_text(part: int, wardrobe: bool = False) -> tuple[str, str]:
    """Vertex and fragment shader of a part; `wardrobe` switches on the second training cast's."""
    kind = (
        ("environment.glsl", "static.glsl")
        if part >= ENVIRONMENT
        else ("person.glsl", "figure.glsl")
    )
    names = ("common.glsl", "lighting.glsl", *kind)
    head = f"#version 330\n#define PART {part}\n"
    if wardrobe:
        names = ("common.glsl", "wardrobe.glsl", *names[1:])
        head += "#define WARDROBE\n"
    return "#version 330\n" + source("mesh.vert.glsl"), head + "\n".join(map(source, names))


def noise_volume(size: int = 64, seed: int = 3) -> np.ndarray:
    """Tiling value noise, uint8 (size, size, size), two octaves within each texel step."""
    rng = np.random.default_rng(seed)
    fine = rng.random((size, size, size))
    coarse = fine[::2, ::2, ::2].repeat(2, 0).repeat(2, 1).repeat(2, 2)
    for axis in range(3):
        coarse = (coarse + np.roll(coarse, 1, axis)) / 2
    volume = 0.35 * fine + 0.65 * coarse
    low, high = np.quantile(volume, (0.01, 0.99))
    return (np.clip((volume - low) / (high - low), 0, 1) * 255).astype(np.uint8)


@dataclass
class Mesh:
    """Buffers of one body or one scene: a vertex array for each part, one for depth."""

    vertices: moderngl.Buffer
    parts: list[tuple[int, moderngl.VertexArray]]
    depth: moderngl.VertexArray
    owned: list = field(default_factory=list)
    uniforms: dict = field(default_factory=dict)

    def pose(self, positions: np.ndarray, normals: np.ndarray) -> None:
        self.vertices.write(np.concatenate([positions, normals], 1).astype("f4"))

    def release(self) -> None:
        for item in reversed(self.owned):
            item.release()
        self.owned.clear()


@dataclass
class Placed:
    """A posed mesh in the world: where it stands, which way it looks, where its feet touch."""

    mesh: Mesh
    model: np.ndarray
    contacts: np.ndarray  # (N, 4): x, y, radius in metres, strength 0..1


@dataclass
class Plate:
    """A camera's view of the empty scene under one light."""

    camera: Camera
    light: Light
    other: moderngl.Texture
    sun: moderngl.Texture
    depth: moderngl.Texture
    shadow: moderngl.Texture
    shadow_matrix: np.ndarray
    owned: list = field(default_factory=list)

    def brightness(self) -> float:
        """Mean linear light of the empty scene, lamps and windows counted as white."""
        light = [
            np.frombuffer(t.read(), "f2").reshape(-1, 4)[::7, :3].astype("f4")
            for t in (self.other, self.sun)
        ]
        return float(np.minimum(sum(light), 1.0).mean())

    def tint(self) -> np.ndarray:
        """Mean colour of the empty scene, (3,), as multiples of its mean brightness."""
        light = sum(
            np.frombuffer(t.read(), "f2").reshape(-1, 4)[::7, :3].astype("f4")
            for t in (self.other, self.sun)
        )
        colour = np.minimum(light, 1.0).mean(0)
        return colour / colour.mean()

    def release(self) -> None:
        for item in reversed(self.owned):
            item.release()
        self.owned.clear()


class Target:
    """Multisampled colour + owner + depth, with the plain textures they resolve into."""

    def __init__(self, ctx: moderngl.Context, width: int, height: int):
        size = (width, height)
        self.size = size
        self.drawn = ctx.framebuffer(
            [
                ctx.renderbuffer(size, 4, samples=4, dtype="f2"),
                ctx.renderbuffer(size, 1, samples=4, dtype="u1"),
            ],
            ctx.depth_renderbuffer(size, samples=4),
        )
        self.colour = ctx.texture(size, 4, dtype="f2")
        self.owner = ctx.texture(size, 1, dtype="u1", alignment=1)
        self.resolved = ctx.framebuffer([self.colour, self.owner])

    def read(self, ctx: moderngl.Context) -> tuple[np.ndarray, np.ndarray]:
        ctx.copy_framebuffer(self.resolved, self.drawn)
        width, height = self.size
        colour = np.frombuffer(self.colour.read(), "f2").reshape(height, width, 4)[::-1, :, :3]
        owner = np.frombuffer(self.owner.read(alignment=1), "u1").reshape(height, width)[::-1]
        return colour.astype("f4"), owner


def coarser(faces: np.ndarray, rest: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Faces with skin vertices of one small cell merged: no camera here resolves a fingernail."""
    cell = np.floor(rest / SKIN_CELL).astype(np.int64)
    key = (cell[:, 0] * 4096 + cell[:, 1]) * 4096 + cell[:, 2]
    key = np.where(part == SKIN, key, np.arange(len(rest)) + key.max() + 1)
    _, first, which = np.unique(key, return_index=True, return_inverse=True)
    merged = first[which][faces]
    a, b, c = merged.T
    return merged[(a != b) & (b != c) & (a != c)]


def zoom(view_projection: np.ndarray, window) -> np.ndarray:
    """Restrict a projection to a window given in fractions of the picture, y down."""
    left, top, right, bottom = window
    zoom = np.eye(4)
    zoom[0, 0], zoom[1, 1] = 1 / (right - left), 1 / (bottom - top)
    zoom[0, 3] = -(right + left - 1) / (right - left)
    zoom[1, 3] = -((1 - bottom) + (1 - top) - 1) / (bottom - top)
    return zoom @ view_projection


def contact_stains(people: list[Placed], middle: np.ndarray, reach: float) -> bytes:
    """Soft dark stains where bodies meet the ground, uint8 (CONTACT_CELLS, CONTACT_CELLS)."""
    cells = np.zeros((CONTACT_CELLS, CONTACT_CELLS), "f4")
    scale = CONTACT_CELLS / (2 * reach)
    for x, y, radius, strength in np.concatenate(
        [p.contacts for p in people] or [np.empty((0, 4))]
    ):
        u, v = (x - middle[0] + reach) * scale, (y - middle[1] + reach) * scale
        half = int(np.ceil(radius * scale * 2)) + 1
        left, top = max(0, int(u) - half), max(0, int(v) - half)
        right, bottom = min(CONTACT_CELLS, int(u) + half + 1), min(CONTACT_CELLS, int(v) + half + 1)
        if left >= right or top >= bottom:
            continue
        dx = (np.arange(left, right) + 0.5 - u) / (radius * scale)
        dy = (np.arange(top, bottom) + 0.5 - v) / (radius * scale)
        stain = strength * np.exp(-(dx[None] ** 2) - dy[:, None] ** 2)
        patch = cells[top:bottom, left:right]
        patch += (1 - patch) * stain
    return (cells * 255).astype(np.uint8).tobytes()


def set_uniforms(program: moderngl.Program, values: dict) -> None:
    """Set those of the named uniforms that the program has; matrices are given row by row."""
    for name, value in values.items():
        uniform = program.get(name, None)
        if uniform is None:
            continue
        if isinstance(value, np.ndarray) and value.ndim == 2:
            square = value.shape == (4, 4)
            uniform.write(np.ascontiguousarray(value.T if square else value, "f4"))
        elif isinstance(value, (int, np.integer)):
            uniform.value = float(value) if uniform.gl_type == FLOAT else int(value)
        elif np.ndim(value):
            uniform.value = tuple(float(v) for v in value)
        else:
            uniform.value = float(value)
