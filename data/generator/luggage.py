"""Bags and carried things, each fixed to a bone; `at` = (x, y, z in -1..1 of the box, role).

Roles: 0 body of the bag, 1 pocket or lid, 2 handle or rod, 3 screen. Straps across the clothes are
painted by the shader, so they can never float or sink in.
"""

from __future__ import annotations

import numpy as np

from .anatomy import PROP_BONES, Body, BodyModel, Piece, grid_faces, rigid

# (width, depth, height) in metres
SIZES = {"backpack": (.30, .17, .45), "small backpack": (.25, .13, .34),
         "messenger": (.09, .31, .23), "shoulder": (.10, .27, .20), "tote": (.07, .34, .34),
         "handbag": (.11, .28, .20), "briefcase": (.08, .38, .28), "trolley": (.34, .22, .52)}
TROLLEY = .53  # length of rod and case, as a share of the owner's stature


def luggage(model: BodyModel, body: Body, identity, surface: np.ndarray) -> list[Piece]:
    """The person's bag, and the box and phone that some actions bring out."""
    props = {name: len(model.bones) + i for i, name in enumerate(PROP_BONES)}
    scale = float(np.clip(body.stature / 1.72, .7, 1.08))
    pieces = [
        _box("prop", (0, 0, 0), np.array((.42, .30, .26)) * scale, props["held box"], 0, .12),
        _box("prop", (0, 0, 0), (.075, .012, .15), props["held phone"], 3, .2)]
    kind = identity.bag
    if kind == "none":
        return pieces
    size = np.array(SIZES[kind]) * scale * identity.bag_size
    side = 1 if identity.bag_side == "L" else -1
    if "backpack" in kind:
        return pieces + _backpack(model, body, surface, size)
    if kind in ("messenger", "shoulder", "tote"):
        level = body.hip + (.02 if kind != "tote" else .12) * scale
        out = _half_width(model, surface, level)
        centre = (side * (out + size[0] * .42), .05, level)
        pieces.append(_box("bag", centre, size, model.bones["spine05"], 0, .3))
        if kind != "tote":
            flap = (centre[0] + side * size[0] * .12, centre[1], centre[2] + size[2] * .16)
            pieces.append(_box("bag", flap, size * (.85, 1.02, .72), model.bones["spine05"], 1, .3))
        return pieces
    if kind == "trolley":
        bone, drop = props["trolley"], body.stature * TROLLEY
        case = (0, size[1] * .3, -drop + size[2] * .5)
        pieces.append(_box("bag", case, size, bone, 0, .25))
        rod = (0, 0, -(drop - size[2]) / 2)
        return pieces + [_box("bag", (s * .07, 0, rod[2]), (.016, .016, drop - size[2] + .1), bone,
                              2, .6) for s in (-1, 1)]
    handle = .10 * scale
    pieces.append(_box("bag", (0, 0, -handle - size[2] / 2), size, props["held bag"], 0, .3))
    straps = [(0, s * size[1] * .2, -handle * .5) for s in (-1, 1)]
    return pieces + [_box("bag", place, (.018, .018, handle), props["held bag"], 2, .6)
                     for place in straps]


def _backpack(model: BodyModel, body: Body, surface: np.ndarray, size) -> list[Piece]:
    centre = body.hip + (body.neck - body.hip) * .60
    used = np.unique(model.groups["helper-tights"])
    cloth = surface[used]
    back = cloth[(np.abs(cloth[:, 0]) < .10) & (cloth[:, 2] > centre - .15)
                 & (cloth[:, 2] < centre + .2)][:, 1].max()
    bone = model.bones["spine02"]
    main = (0, back + size[1] / 2 - .012, centre)
    pocket = (0, back + size[1] + .006, centre - size[2] * .16)
    return [_box("bag", main, size, bone, 0, .38),
            _box("bag", pocket, size * (.78, .36, .48), bone, 1, .4)]


def _half_width(model: BodyModel, surface: np.ndarray, level: float) -> float:
    used = np.unique(model.groups["helper-tights"])
    cloth = surface[used[model.arm[used] < .2]]
    return float(np.abs(cloth[np.abs(cloth[:, 2] - level) < .05][:, 0]).max())


def _box(part: str, centre, size, bone: int, role: int, roundness: float) -> Piece:
    """A rounded box (superellipsoid)."""
    rows, columns = 11, 24
    polar = np.linspace(-np.pi / 2, np.pi / 2, rows)[:, None]
    turn = np.linspace(-np.pi, np.pi, columns, endpoint=False)[None]

    def squared(v):
        return np.sign(v) * np.abs(v) ** roundness

    unit = np.stack(np.broadcast_arrays(squared(np.cos(polar)) * squared(np.cos(turn)),
                                        squared(np.cos(polar)) * squared(np.sin(turn)),
                                        squared(np.sin(polar))), -1).reshape(-1, 3)
    points = np.asarray(centre) + unit * np.asarray(size) / 2
    at = np.concatenate([unit, np.full((len(unit), 1), float(role))], 1)
    return rigid(part, points, grid_faces(rows, columns, wrap=True), bone, at)
