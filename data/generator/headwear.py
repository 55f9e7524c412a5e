"""Hair and hats: grids of strands that leave the crown, follow the skull, and then hang.

Column j of a grid is an azimuth (0 at the face, +-pi at the back of the head), row i a step from
the crown to the tip. A style is two functions of the azimuth: the polar angle where the hair leaves
the skull (its hairline, for short hair) and the length that hangs below. The shader frays the tips.
`at` = (azimuth, 0 at the crown .. 1 at the tip, 1 where hanging, height over the chin / head).
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from .anatomy import PARTS, Body, BodyModel, Piece, grid_faces, vertex_normals

COLUMNS = 56
DEG = np.pi / 180
# |azimuth| -> polar angle of the edge, in degrees
HAIRLINE = ((0, 35, 52, 66, 76, 83, 92, 104, 116, 128, 180),
            (58, 60, 66, 84, 97, 103, 88, 88, 112, 126, 134))
COVERING = ((0, 35, 52, 64, 80, 100, 128, 180),  # falls over the ears
            (58, 60, 70, 92, 108, 110, 124, 134))
RECEDING = ((0, 12, 35, 55, 70, 80, 86, 94, 104, 116, 128, 180),
            (40, 38, 22, 50, 80, 95, 100, 88, 90, 112, 126, 134))
HAT_EDGE = {"cap": ((0, 60, 90, 180), (66, 76, 84, 98)), "beanie": ((0, 90, 180), (63, 83, 108)),
            "bucket": ((0, 90, 180), (68, 80, 92))}
# style -> (least thickness, thickness on top, clumps)
VOLUME = {"buzz": (.004, .005, 0.), "short": (.007, .022, .25), "parted": (.009, .028, .3),
          "curly": (.018, .036, .6), "afro": (.055, .070, .25), "receding": (.005, .010, .2),
          "bob": (.014, .024, .2), "long": (.012, .022, .2), "ponytail": (.006, .014, .15),
          "bun": (.006, .014, .15)}


class Skull:
    """Radius of the head without ears, as a function of direction from its centre."""

    def __init__(self, model: BodyModel, body: Body) -> None:
        points = body.points[:13380]
        head = model.head[:13380] > .85
        self.centre = np.array([0., (body.face + body.nape) / 2 + .006, body.eyes[2] + .012])
        offset = points[head] - self.centre
        radius = np.linalg.norm(offset, axis=1)
        unit = offset / radius[:, None]
        # Ears stand out sideways, low and behind the middle; the face's inside lies deep.
        half = np.percentile(np.abs(offset[offset[:, 2] > .035][:, 0]), 99)
        ear = (np.abs(offset[:, 0]) > half * .86) & (offset[:, 2] < .03) & (offset[:, 1] > -.05)
        keep = ~ear & (radius > .055)
        self.half = half
        self._tree, self._radius = cKDTree(unit[keep]), radius[keep]

    def radius(self, direction: np.ndarray) -> np.ndarray:
        distance, index = self._tree.query(direction, 10)
        weight = 1 / (distance + .03) ** 2
        return (weight * self._radius[index]).sum(-1) / weight.sum(-1)


def dress_head(model: BodyModel, body: Body, identity, surface: np.ndarray) -> list[Piece]:
    """Hair and hat of a person; `surface` is the outermost cloth, which long hair lies on."""
    skull = Skull(model, body)
    hat, style = identity.hat, identity.hair
    rng = np.random.default_rng(identity.seed + 1)
    pieces = []
    if hat in ("headscarf", "hood"):
        return [_shroud(model, body, skull, surface, hat, rng)]
    if style != "bald":
        pieces += _hair(model, body, skull, surface, style, hat, rng)
    if hat != "none":
        pieces.append(_hat(model, body, skull, hat))
    return pieces


def _directions(azimuth: np.ndarray, polar: np.ndarray) -> np.ndarray:
    return np.stack([np.sin(polar) * np.sin(azimuth), -np.sin(polar) * np.cos(azimuth),
                     np.cos(polar)], -1)


def _edge(azimuth: np.ndarray, table) -> np.ndarray:
    return np.interp(np.abs(azimuth) / DEG, *table) * DEG


def _cap(skull: Skull, azimuth, polar_edge, rows: int, thickness) -> np.ndarray:
    """Grid (rows, columns, 3) over the skull from the crown to the edge; thickness(azimuth, t)."""
    t = np.linspace(0, 1, rows)[:, None]
    polar = np.maximum(t, .02) * polar_edge[None]
    turn = np.broadcast_to(azimuth, polar.shape)
    direction = _directions(turn, polar)
    radius = skull.radius(direction) + thickness(turn, polar, t)
    return skull.centre + direction * radius[..., None]


def _hair(model, body, skull, surface, style, hat, rng) -> list[Piece]:
    least, most, clumps = VOLUME[style]
    if hat != "none":
        least, most, clumps = min(least, .010), min(most, .010), min(clumps, .3)
    azimuth = np.linspace(-np.pi, np.pi, COLUMNS, endpoint=False)
    tables = {"receding": RECEDING, "curly": COVERING, "afro": COVERING}
    edge = _edge(azimuth, tables.get(style, HAIRLINE))
    if hat != "none":  # no fringe shows below a brim
        edge = np.minimum(edge, np.where(np.abs(azimuth) < 70 * DEG, .9, 9.) * _edge(
            azimuth, HAT_EDGE[hat]))
    side = rng.choice((-1, 1))  # the side of the parting
    phases = rng.uniform(0, 6.3, 4)

    def thickness(turn, polar, t):
        top = np.clip(np.cos(polar) * 1.3 + .25, 0, 1)
        body_of_hair = least + (most - least) * top
        if style == "parted":
            body_of_hair = body_of_hair * (1 + .35 * side * np.sin(turn) * np.sin(polar))
        waves = sum(np.sin(k * turn + m * polar + p) for k, m, p in
                    zip((7, 11, 5, 16), (9, 4, 15, 7), phases, strict=True)) / 4
        edge_fade = 1 if style in ("afro", "curly") else np.clip((1 - t) * 5 + .25, 0, 1)
        return body_of_hair * (1 + clumps * waves) * edge_fade

    hanging = np.zeros(COLUMNS)
    wide = np.abs(azimuth)
    fringe = rng.random() < .3
    if style in ("bob", "long"):
        side_hair = np.clip((wide / DEG - 48) / 16, 0, 1)
        edge = np.where(side_hair > 0, np.minimum(np.maximum(edge, 74 * DEG), 104 * DEG), edge)
        length = rng.uniform(.04, .10) if style == "bob" else rng.uniform(.16, .36)
        at_side = min(length, .15)
        rear = np.clip((wide / DEG - 100) / 35, 0, 1)
        hanging = side_hair * (at_side + (length - at_side) * rear)
        if fringe:
            edge = np.where((wide < 45 * DEG) & (hat == "none"), 80 * DEG, edge)
    grid = _cap(skull, azimuth, edge, 14, thickness)
    fall = np.zeros(14)
    if hanging.any():
        grid, fall = _hang(model, body, surface, grid, azimuth, hanging, 10)
    pieces = [_strands(model, body, "hair", grid, azimuth, fall)]
    if style == "ponytail" and hat not in ("beanie", "bucket"):
        pieces.append(_tail(model, body, skull, surface, rng.uniform(.16, .3), rng))
    if style == "bun" and hat == "none":
        pieces.append(_bun(model, body, skull, rng))
    return pieces


def _hang(model, body, surface, grid, azimuth, length, rows) -> tuple[np.ndarray, np.ndarray]:
    """Append rows that fall from the last row, pushed out of the cloth they lie on."""
    last = grid[-1]
    step = np.linspace(0, 1, rows + 1)[1:, None]
    x = np.broadcast_to(last[:, 0], (rows, len(azimuth))) * (1 - .10 * step)
    y = np.broadcast_to(last[:, 1], (rows, len(azimuth))) + .0 * step
    low = last[:, 2] - step * length
    fallen = np.stack([x, y, low], -1)
    used = np.unique(model.groups["helper-tights"])
    cloth = surface[used]
    tree = cKDTree(cloth[:, [0, 2]][(back := cloth[:, 1] > body.heads[model.bones["neck01"]][1])])
    distance, index = tree.query(fallen[..., [0, 2]], 3)
    behind = cloth[back][:, 1][index].max(-1) + .014
    rear = np.abs(azimuth) > 85 * DEG
    touching = (distance.min(-1) < .05) & rear & (length > 0)
    fallen[..., 1] = np.where(touching, np.maximum(fallen[..., 1], behind), fallen[..., 1])
    return np.concatenate([grid, fallen]), np.r_[np.zeros(len(grid)), step.ravel()]


def _strands(model, body, part, grid, azimuth, fall) -> Piece:
    rows, columns = grid.shape[:2]
    points = grid.reshape(-1, 3)
    faces = grid_faces(rows, columns, wrap=True)
    t = np.repeat(np.linspace(0, 1, rows), columns)
    height = (points[:, 2] - body.chin) / (body.crown - body.chin)
    at = np.stack([np.tile(azimuth, rows), t, np.repeat(fall, columns), height], 1)
    bones, weights = _head_weights(model, body, points)
    return Piece(PARTS[part], points, vertex_normals(points, faces), faces, bones, weights, at)


def _head_weights(model, body, points) -> tuple[np.ndarray, np.ndarray]:
    """Rigid with the head above the chin, with the upper back below the shoulders."""
    head = np.clip((points[:, 2] - body.neck + .04) / (body.chin - body.neck + .02), 0, 1)
    bones, weights = np.zeros((len(points), 4), int), np.zeros((len(points), 4))
    bones[:, 0], bones[:, 1] = model.bones["head"], model.bones["spine01"]
    weights[:, 0], weights[:, 1] = head, 1 - head
    return bones, weights


def _tail(model, body, skull, surface, length, rng) -> Piece:
    """A ponytail: a tapering tube from the back of the head."""
    rows, columns = 12, 8
    polar = rng.uniform(62, 96) * DEG
    root = skull.centre + _directions(np.array(np.pi), np.array(polar)) \
        * (skull.radius(_directions(np.array(np.pi), np.array(polar))) + .012)
    t = np.linspace(0, 1, rows)[:, None]
    out = .045 * np.sin(np.minimum(t * 3, 1.6))
    centre = root + np.concatenate([0 * t, out, -length * t ** 1.25 + .01 * np.sin(t * 5)], 1)
    radius = (.022 + .010 * np.sin(np.pi * np.minimum(t * 1.3, 1))) * np.where(t > .6, 1.6 - t, 1)
    turn = np.linspace(0, 2 * np.pi, columns, endpoint=False)
    grid = centre[:, None] + radius[..., None] * np.stack(
        [np.cos(turn), np.sin(turn), 0 * turn], -1)[None]
    return _strands(model, body, "hair", grid, turn, t.ravel())


def _bun(model, body, skull, rng) -> Piece:
    polar = np.array(rng.uniform(35, 80) * DEG)
    direction = _directions(np.array(np.pi), polar)
    centre = skull.centre + direction * (skull.radius(direction) + .025)
    rows, columns = 9, 14
    angle = np.linspace(.02, np.pi - .02, rows)[:, None]
    turn = np.linspace(-np.pi, np.pi, columns, endpoint=False)
    radius = rng.uniform(.034, .048)
    grid = centre + radius * _directions(np.broadcast_to(turn, (rows, columns)),
                                         np.broadcast_to(angle, (rows, columns)))
    return _strands(model, body, "hair", grid, turn, np.zeros(rows))


def _hat(model, body, skull, kind) -> Piece:
    """A dome over the skull; cap and bucket hat get a brim as extra rows."""
    azimuth = np.linspace(-np.pi, np.pi, COLUMNS, endpoint=False)
    edge = _edge(azimuth, HAT_EDGE[kind])
    thick = {"cap": .020, "beanie": .022, "bucket": .024}[kind]

    def thickness(turn, polar, t):
        slouch = {"cap": .004, "beanie": .020, "bucket": .016}[kind]
        return thick + slouch * np.clip(np.cos(polar), 0, 1) ** 2 * (1 if kind != "bucket" else .6)

    grid = _cap(skull, azimuth, edge, 12, thickness)
    fall = np.zeros(12)
    if kind in ("cap", "bucket"):
        wide = np.abs(azimuth) / DEG
        reach = .075 * np.clip(1.2 - (wide / 52) ** 2, 0, 1) ** .6 if kind == "cap" \
            else np.full(COLUMNS, .050)
        step = np.linspace(0, 1, 4)[1:, None, None]
        flat = np.stack([np.sin(azimuth), -np.cos(azimuth), np.full(COLUMNS, 0.)], -1)
        if kind == "cap":
            flat = np.stack([.35 * np.sin(azimuth), -np.ones(COLUMNS), np.zeros(COLUMNS)], -1)
        down = np.array([0, 0, -.25 if kind == "cap" else -.75])
        brim = grid[-1] + step * reach[:, None] * (flat + down)
        grid = np.concatenate([grid, brim])
        fall = np.r_[fall, step.ravel()]
    return _strands(model, body, "hat", grid, azimuth, fall)


def _shroud(model, body, skull, surface, kind, rng) -> Piece:
    """A headscarf or raised hood: covers all but the face and falls on the shoulders."""
    azimuth = np.linspace(-np.pi, np.pi, COLUMNS, endpoint=False)
    loose = .016 if kind == "headscarf" else .034
    # Around the face the strands stop; elsewhere they run on to the jaw and hang.
    face = (((0, 20, 38, 50, 58, 180), (60, 63, 74, 92, 120, 122)))
    edge = _edge(azimuth, face)

    def thickness(turn, polar, t):
        return loose + .010 * np.clip(np.cos(polar), 0, 1) + .004 * np.sin(5 * turn + 3 * polar)

    grid = _cap(skull, azimuth, edge, 14, thickness)
    wide = np.abs(azimuth) / DEG
    length = np.where(wide > 56, .20, 0.) * np.interp(wide, (56, 80, 180), (.5, .8, 1.))
    grid, fall = _hang(model, body, surface, grid, azimuth, length, 8)
    widen = 1 + .35 * fall[:, None] ** 2
    grid[..., 0] *= widen
    return _strands(model, body, "hat", grid, azimuth, fall)
