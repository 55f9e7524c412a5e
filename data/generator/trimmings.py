"""Shoes, collars, hoods and scarves: small pieces made from scratch around the body."""

from __future__ import annotations

import numpy as np
from scipy.spatial import ConvexHull

from .anatomy import (
    BODY_VERTICES,
    PARTS,
    Body,
    BodyModel,
    Piece,
    grid_faces,
    nearest,
    vertex_normals,
)

SOLE = {"runners": .024, "boots": .022, "sneakers": .018, "sandals": .014}


def shoe(model: BodyModel, body: Body, kind: str, side: str) -> Piece:
    """The convex hull of the foot, a little larger; `at` = (toe..heel, -, height, -)."""
    ankle = body.heads[model.bones[f"foot.{side}"]]
    points = body.points[:BODY_VERTICES]
    own = (model.foot[:BODY_VERTICES] > .25) & ((points[:, 0] > 0) == (side == "L"))
    foot = points[own & (points[:, 2] < ankle[2] + (.014 if kind != "flats" else -.01))]
    if kind == "sandals":
        foot = foot[foot[:, 2] < body.sole + .014]
    centre = foot.mean(0)
    foot = centre + (foot - centre) * (1.10, 1.07, 1.)
    foot[foot[:, 2] < body.sole + .02, 2] -= SOLE.get(kind, .010)
    hull = ConvexHull(foot)
    number = np.full(len(foot), -1)
    number[hull.vertices] = np.arange(len(hull.vertices))
    points, faces = foot[hull.vertices], number[hull.simplices]
    corner = points[faces]
    normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
    inward = (normal * (corner.mean(1) - centre)).sum(1) < 0
    faces[inward] = faces[inward][:, ::-1]
    bend = np.clip((ankle[1] - .07 - points[:, 1]) / .06, 0, 1) * .9
    bones, weights = np.zeros((len(points), 4), int), np.zeros((len(points), 4))
    bones[:, 0], bones[:, 1] = model.bones[f"foot.{side}"], model.bones[f"toe3-1.{side}"]
    weights[:, 0], weights[:, 1] = 1 - bend, bend
    at = np.zeros((len(points), 4))
    at[:, 0] = (points[:, 1] - points[:, 1].min()) / np.ptp(points[:, 1])
    at[:, 2] = points[:, 2] - points[:, 2].min()
    return Piece(PARTS["shoe"], points, vertex_normals(points, faces), faces, bones, weights, at)


def neckwear(model: BodyModel, body: Body, identity, surface: np.ndarray) -> list[Piece]:
    """Collars, a hood lying on the back, and a scarf, as the clothes ask for."""
    ring = _neck_ring(model, body)
    outer, top = identity.outer, identity.top
    pieces = []
    hooded = outer in ("puffer",) or top == "hoodie" and outer in ("none", "vest", "open jacket",
                                                                   "jacket", "open coat")
    if hooded and identity.hat != "hood":
        part = "top" if top == "hoodie" else "outer"
        pieces.append(_tube(model, surface, part, ring, reach=2.3, radius=.020, swell=.026,
                            drop=.06))
    elif outer in ("jacket", "coat", "open coat", "open jacket"):
        pieces.append(_collar(model, surface, "outer", ring, height=.050, lean=.022, gap=.55))
    if top in ("shirt", "polo") and outer not in ("puffer",):
        pieces.append(_collar(model, surface, "top", ring, height=.038, lean=.012, gap=.22))
    if identity.hat == "headscarf":
        pieces.append(_tube(model, surface, "hat", ring, reach=np.pi, radius=.036, swell=.010,
                            drop=.02))
    elif identity.scarf != "none":
        pieces.append(_tube(model, surface, "scarf", ring, reach=np.pi, radius=.040, swell=.006,
                            drop=.0))
    return pieces


def _neck_ring(model: BodyModel, body: Body) -> np.ndarray:
    """Centre (x, y, z) at the base of the neck, then its half width and half depth."""
    used = np.unique(model.groups["helper-tights"])
    level = used[np.abs(body.torso[used] - 1.06) < .05]
    x, y = body.points[level, 0], body.points[level, 1]
    half = (y.max() - y.min()) / 2
    return np.array([0., y.min() + half, body.neck, np.abs(x).max(), half])


def _follow(model: BodyModel, surface: np.ndarray, points: np.ndarray) -> tuple:
    """Skinning of the cloth vertices closest to the points."""
    used = np.unique(model.groups["helper-tights"])
    vertex = used[nearest(surface[used], points)]
    return model.vertex_bones[vertex], model.vertex_weights[vertex]


def _collar(model: BodyModel, surface, part: str, ring, height: float, lean: float,
            gap: float) -> Piece:
    """A standing strip around the neck, open in front, folded over; `at.w` = 2 marks trimmings."""
    columns, rows = 25, 5
    turn, up = np.meshgrid(np.linspace(-np.pi + gap, np.pi - gap, columns),
                           np.linspace(0, 1, rows))
    spread = ring[3] + .008 + lean * np.sin(up * np.pi * .8)
    depth = ring[4] + .008 + lean * np.sin(up * np.pi * .8)
    front = np.cos(turn / 2) ** 2  # 1 at the back, 0 in front
    x, y = np.sin(turn) * spread, ring[1] + np.cos(turn) * depth
    z = ring[2] - .022 + .036 * front + height * (np.sin(up * np.pi * .75)) * (.55 + .45 * front)
    return _strip(model, surface, part, np.stack([x, y, z], -1), turn, up)


def _tube(model: BodyModel, surface, part: str, ring, reach: float, radius: float, swell: float,
          drop: float) -> Piece:
    """A roll around the neck, thickest at the back where it hangs by `drop`."""
    columns, rows = 29, 11
    turn, round_ = np.meshgrid(np.linspace(-reach, reach, columns),
                               np.linspace(-np.pi, np.pi, rows))
    back = np.clip(np.cos(turn / 2), 0, 1) ** 2
    ends = np.clip((reach - np.abs(turn)) / .5, .35, 1) if reach < np.pi else 1.
    thick = (radius + swell * back) * ends * (1 + .08 * np.sin(turn * 5 + round_ * 2))
    out = thick * (1 + np.cos(round_)) * .8 - .012
    x = np.sin(turn) * (ring[3] + out)
    y = ring[1] + np.cos(turn) * (ring[4] + out)
    z = ring[2] + .004 + .020 * back - drop * back * (1 + np.cos(round_)) / 2 \
        + thick * 1.2 * np.sin(round_)
    return _strip(model, surface, part, np.stack([x, y, z], -1), turn, round_)


def _strip(model: BodyModel, surface, part: str, grid, turn, along) -> Piece:
    points = grid.reshape(-1, 3)
    faces = grid_faces(*grid.shape[:2])
    at = np.stack([turn.ravel(), along.ravel(), np.ones(turn.size), np.full(turn.size, 2.)], 1)
    return Piece(PARTS[part], points, vertex_normals(points, faces), faces,
                 *_follow(model, surface, points), at)
