"""Clothes: the tights and skirt helpers of the body mesh, smoothed, eased and hung, as pieces.

A garment is a layer of cloth around the whole body, of which only the faces that can show are kept.
Its hems are not modelled: the shader cuts them, by the surface coordinates `at` = (arm, leg, torso,
arm influence) and by the numbers in `Cut`. Skin and layers that lie deep under another one are left
out, so nothing can poke through.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import trimmings
from .anatomy import PARTS, Body, BodyModel, Piece, compact, vertex_normals

LONG_OUTER = ("coat", "open coat")
OPEN_OUTER = ("open jacket", "open coat", "cardigan", "vest")
# ease (m), hang 0..1, i.e. how far the cloth falls straight from chest and back
TOP_FIT = {"tank": (.008, .3), "tee": (.012, .75), "polo": (.012, .7), "shirt": (.014, .8),
           "sweater": (.017, .75), "hoodie": (.021, .8), "turtleneck": (.011, .35)}
OUTER_FIT = {"jacket": (.024, .85), "open jacket": (.024, .85), "puffer": (.040, .9),
             "vest": (.032, .85), "coat": (.028, .9), "open coat": (.028, .9),
             "cardigan": (.020, .75)}
# ease, then the least radius of the leg at mid-thigh, knee and ankle, for a body of 1.75 m
BOTTOM_FIT = {"jeans": (.008, .0, .070, .068), "chinos": (.010, .080, .072, .062),
              "leggings": (.003, .0, .0, .0), "joggers": (.016, .092, .082, .052),
              "wide trousers": (.014, .105, .115, .125), "shorts": (.016, .105, .115, .115)}
SKIRT_HEM = {"short skirt": .40, "midi skirt": .66, "long skirt": .93}


@dataclass
class Cut:
    """Where the clothes of a person end; the shader cuts the same places."""

    top_hem: float  # torso coordinate
    waist: float  # upper end of trousers and skirts: none runs on under a top that hangs over it
    sleeve: float  # arm coordinate
    outer_hem: float
    outer_sleeve: float
    outer_open: float  # half width of the front opening in metres, 0 closed
    tail: float  # leg share covered by coat tails, 0 none
    bottom_hem: float  # leg coordinate, 0 when a skirt is worn
    skirt_hem: float  # leg share covered by the skirt, 0 none
    neckline: float  # lowest torso coordinate of the neck opening
    bare_feet: bool


def cut(identity) -> Cut:
    """Hems that follow from the kinds of clothes, varied a little by the person's seed."""
    rng = np.random.default_rng(identity.seed)
    vary = rng.uniform(-1, 1, 4)
    outer = identity.outer
    skirt = "skirt" in identity.bottom
    shorts = identity.bottom == "shorts"
    tucked = identity.tucked or skirt and vary[2] > -.4
    top_hem = (.19 if skirt else .12) if tucked else -.10 + .045 * vary[0]
    outer_hem = -.16 + .03 * vary[1]
    waist = .30 if tucked else top_hem + .05
    if outer != "none" and outer not in OPEN_OUTER:
        waist = min(waist, outer_hem + .07)
    return Cut(
        top_hem=top_hem, waist=waist,
        sleeve=identity.sleeve,
        outer_hem=outer_hem,
        outer_sleeve={"none": 0., "vest": .03}.get(outer, 1.04),
        outer_open=(.05 + .025 * vary[2]) if outer in OPEN_OUTER else 0.,
        tail=.36 + .14 * vary[1] if outer in LONG_OUTER else 0.,
        bottom_hem=0. if skirt else .47 + .08 * vary[3] if shorts else
        {"leggings": .97, "joggers": .99}.get(identity.bottom, 1.025),
        skirt_hem=SKIRT_HEM[identity.bottom] + .05 * vary[3] if skirt else 0.,
        neckline=.78 if identity.top == "tank" else .90,
        bare_feet=identity.shoes == "sandals")


def clothe(model: BodyModel, body: Body, identity, cuts: Cut) -> tuple[list[Piece], np.ndarray]:
    """All pieces of skin and cloth, and the outermost cloth surface (V, 3) for bags and hair."""
    tights = model.groups["helper-tights"]
    torso, arm, leg = body.torso, body.arm, body.leg
    limb = model.arm > .5
    outer, skirt = identity.outer != "none", "skirt" in identity.bottom
    pieces = [_piece(model, body, "skin", body.points, _bare_skin(model, body, cuts))]

    slack = .6 if identity.gender == "female" else 1.  # cuts follow the waist more
    ease, hang = TOP_FIT[identity.top]
    ease += identity.loose if not outer else 0.
    top = _upper(model, body, ease * (.5 + .5 * slack), hang * slack)
    keep = (torso > cuts.top_hem - .12) & ~limb | limb & (arm < cuts.sleeve + .1)
    if outer:
        covered = np.where(limb, arm < cuts.outer_sleeve - .12, torso < .80)
        if cuts.outer_open:
            front = (np.abs(body.points[:, 0]) < cuts.outer_open + .06) & (body.points[:, 1] < .02)
            covered &= ~front | limb
        keep &= ~covered
    pieces.append(_piece(model, body, "top", top, _all(tights, keep)))

    if cuts.bottom_hem:
        legs = _lower(model, body, identity)
        low = cuts.outer_hem + .1 if outer else cuts.top_hem + .1
        high = min(max(low, .16), cuts.waist) + .06
        keep = (torso < high) & ~limb & (leg < cuts.bottom_hem + .12)
        pieces.append(_piece(model, body, "bottom", legs, _all(tights, keep)))
    if cuts.skirt_hem:
        flare = {"short skirt": .10, "midi skirt": .08, "long skirt": .02}[identity.bottom]
        pieces.append(_tail(model, body, "skirt", .006, flare, cuts.skirt_hem))
    surface = top
    if outer:
        ease, hang = OUTER_FIT[identity.outer]
        ease *= .5 + .5 * slack
        surface = _upper(model, body, ease, hang * slack)
        hem = .02 if cuts.tail else cuts.outer_hem
        keep = np.where(limb, arm < cuts.outer_sleeve + .1, torso > hem - .12)
        pieces.append(_piece(model, body, "outer", surface, _all(tights, keep)))
        if cuts.tail:
            pieces.append(_tail(model, body, "outer", ease - .012, .08, cuts.tail, surface))
    pieces += [trimmings.shoe(model, body, identity.shoes, side) for side in "LR"]
    if identity.shoes == "boots" and (skirt or identity.bottom in ("leggings", "shorts")):
        shaft = _eased(model, body.points, .010, 4)
        pieces.append(_piece(model, body, "shoe", shaft, _all(tights, (leg > .68) & (leg < 1.08))))
    return pieces + trimmings.neckwear(model, body, identity, surface), surface


def _all(faces: np.ndarray, keep: np.ndarray) -> np.ndarray:
    return faces[keep[faces].all(1)]


def _piece(model: BodyModel, body: Body, part: str, layer: np.ndarray, faces: np.ndarray) -> Piece:
    used, faces = compact(faces)
    points = layer[used]
    height = (points[:, 2] - body.hip) / (body.neck - body.hip)
    at = np.stack([body.arm[used], body.leg[used], height, model.arm[used]], 1)
    return Piece(PARTS[part], points, vertex_normals(points, faces), faces,
                 model.vertex_bones[used], model.vertex_weights[used], at)


def _bare_skin(model: BodyModel, body: Body, cuts: Cut) -> np.ndarray:
    """Faces of the body that are not deep under cloth."""
    limb = model.arm > .5
    sleeve = max(cuts.sleeve, cuts.outer_sleeve)
    trunk = (body.torso < cuts.neckline - .06) & (body.torso > -.02)
    hidden = np.where(limb, body.arm < sleeve - .07, trunk)
    low = body.torso <= -.02
    hem = max(cuts.bottom_hem, cuts.skirt_hem, cuts.tail)
    hidden |= low & ~limb & (body.leg < hem - .08)
    if not cuts.bare_feet:
        hidden |= (model.foot > .6) & (body.leg > 1.02)
    faces = model.groups["body"]
    return faces[~hidden[faces].all(1)]


def _eased(model: BodyModel, points: np.ndarray, ease, rounds: int) -> np.ndarray:
    """Smooth the tights and push them out, never inside the body."""
    faces = model.groups["helper-tights"]
    smooth = points
    for _ in range(rounds):
        smooth = .4 * smooth + .6 * (model.smoother @ smooth)
    normals = vertex_normals(smooth, faces)
    sunk = np.maximum(((points - smooth) * normals).sum(1), 0.)
    return smooth + normals * (sunk + ease)[:, None]


def _upper(model: BodyModel, body: Body, ease: float, hang: float) -> np.ndarray:
    """The layer of a top: eased, and hanging from its widest places."""
    taper = np.interp(body.torso, (.78, 1.), (1., .3))
    sleeve = 1. - .35 * np.clip(body.arm * 3, 0, 1) * model.arm
    layer = _eased(model, body.points, ease * np.minimum(taper, 1) * sleeve, 6)
    used = np.unique(model.groups["helper-tights"])
    trunk = used[(model.arm[used] < .5) & (body.torso[used] > -.4) & (body.torso[used] < .9)]
    share = hang * (1 - model.arm[trunk]) * np.interp(body.torso[trunk], (.6, .75), (1., 0.))
    layer[trunk] = _hung(layer[trunk], layer[trunk], body, share)
    return layer


def _hung(points: np.ndarray, carriers: np.ndarray, body: Body, share) -> np.ndarray:
    """Push points out to the widest place above them, by a share (V,) of the way."""
    rows, columns = 48, 32
    centre = np.array([0., body.heads[0, 1]])
    widest = np.zeros((rows, columns))

    def polar(p):
        flat = p[:, :2] - centre
        torso = (p[:, 2] - body.hip) / (body.neck - body.hip)
        column = ((np.arctan2(flat[:, 1], flat[:, 0]) / (2 * np.pi) % 1) * columns).astype(int)
        return flat, np.clip((.75 - torso) / 2.4 * rows, 0, rows - 1).astype(int), column

    flat, row, column = polar(carriers)
    np.maximum.at(widest, (row, column), np.linalg.norm(flat, axis=1))
    widest = np.maximum.accumulate(widest, 0)  # whatever sticks out carries the cloth below it
    widest = (np.roll(widest, 1, 1) + 2 * widest + np.roll(widest, -1, 1)) / 4
    flat, row, column = polar(points)
    radius = np.maximum(np.linalg.norm(flat, axis=1), 1e-6)
    grown = radius + share * np.clip(widest[row, column] - radius, 0, .06)
    hung = points.copy()
    hung[:, :2] = centre + flat * (grown / radius)[:, None]
    return hung


def _lower(model: BodyModel, body: Body, identity) -> np.ndarray:
    """The layer of trousers: eased, each leg at least as wide as its cut."""
    ease, thigh, knee, ankle = BOTTOM_FIT[identity.bottom]
    layer = _eased(model, body.points, ease, 8 if ankle else 3)
    size = body.stature / 1.75 * (.92 + .16 * identity.build)
    used = np.unique(model.groups["helper-tights"])
    used = used[(body.leg[used] > .1) & (model.leg[used] > .3)]
    left = layer[used, 0] > 0
    t = body.leg[used]
    for side, on in (("L", left), ("R", ~left)):
        chain = np.array([body.heads[model.bones[f"{b}.{side}"]]
                          for b in ("upperleg01", "lowerleg01", "foot")])
        axis = np.stack([np.interp(t, (0., _knee(chain), 1.), chain[:, k]) for k in range(2)], 1)
        vertex = used[on]
        flat = layer[vertex, :2] - axis[on]
        radius = np.linalg.norm(flat, axis=1)
        wanted = size * np.interp(t[on], (.18, .33, .52, 1.), (0., thigh, knee, ankle))
        grown = np.maximum(radius, wanted)
        if ankle:  # a leg ends in a tube, not in a foot
            grown = np.where(t[on] > .93, np.minimum(grown, max(size * ankle, .055)), grown)
        layer[vertex, :2] = axis[on] + flat * (grown / np.maximum(radius, 1e-6))[:, None]
    return layer


def _knee(chain: np.ndarray) -> float:
    lengths = np.linalg.norm(np.diff(chain, axis=0), axis=1)
    return float(lengths[0] / lengths.sum())


def _tail(model: BodyModel, body: Body, part: str, ease: float, flare: float, hem: float,
          above: np.ndarray | None = None) -> Piece:
    """A skirt or coat tail from the skirt helper; `at` = (-, share of the leg, torso, 0)."""
    ankle = body.heads[model.bones["foot.L"]][2]
    share = (body.hip - body.points[:, 2]) / (body.hip - ankle)
    faces = model.groups["helper-skirt"]
    used, faces = compact(_all(faces, (share < hem + .1)))
    points = body.points[used]
    points = points + ease * vertex_normals(points, faces)
    middle = points[:, 1].mean()
    grow = 1 + flare * np.clip(share[used] + .1, 0, 1)
    points = np.stack([points[:, 0] * grow, middle + (points[:, 1] - middle) * grow,
                       points[:, 2]], 1)
    if above is not None:  # continue the cloth that ends here
        trunk = np.unique(model.groups["helper-tights"])
        trunk = trunk[(model.arm[trunk] < .5) & (np.abs(body.torso[trunk] - .1) < .25)]
        points = _hung(points, above[trunk], body, 1.)
    at = np.stack([np.zeros(len(used)), share[used], body.torso[used], np.zeros(len(used))], 1)
    return Piece(PARTS[part], points, vertex_normals(points, faces), faces,
                 model.vertex_bones[used], model.vertex_weights[used], at)



def eyes(model: BodyModel, body: Body) -> list[Piece]:
    """The eyeballs; `at` = (x, y, z from the eye's centre in radii, 0)."""
    pieces = []
    for name in ("helper-l-eye", "helper-r-eye"):
        used, faces = compact(model.groups[name])
        points = body.points[used]
        local = points - points.mean(0)
        at = np.zeros((len(used), 4))
        at[:, :3] = local / np.linalg.norm(local, axis=1).max()
        bones = np.zeros((len(used), 4), int)
        bones[:, 0] = model.bones["head"]
        weights = np.zeros((len(used), 4))
        weights[:, 0] = 1.
        pieces.append(Piece(PARTS["eye"], points, vertex_normals(points, faces), faces, bones,
                            weights, at))
    return pieces
