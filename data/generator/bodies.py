"""From an identity to a dressed, skinned mesh with the numbers its shader needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from . import costumes, garments, headwear, identities, luggage
from .anatomy import BODY_VERTICES, PARTS, PROP_BONES, Body, BodyModel
from .identities import Identity

__all__ = ["PARTS", "BodyModel", "Dressed", "Skeleton", "dress"]


@dataclass
class Skeleton:
    """Joints of one person in the rest pose; a bone's parent always comes before it."""

    index: dict[str, int]
    parents: np.ndarray  # (B,) -1 for the root
    heads: np.ndarray  # (B, 3)
    contacts: np.ndarray  # (6, 3) heel, ball and toe tip of the left, then of the right sole
    contact_bones: np.ndarray  # (6,)


@dataclass
class Dressed:
    """A person ready to be posed and drawn."""

    identity: Identity
    rest: np.ndarray  # (V, 3) f32, rest pose
    normals: np.ndarray  # (V, 3) f32
    faces: np.ndarray  # (F, 3) i32, sorted by part
    part: np.ndarray  # (V,) i32, see PARTS
    bones: np.ndarray  # (V, 4) i32
    weights: np.ndarray  # (V, 4) f32
    at: np.ndarray  # (V, 4) f32, coordinates of the shader
    ao: np.ndarray  # (V,) f32, 1 = open to the sky
    materials: dict[str, float | int | tuple[float, ...]]  # uniforms of shaders/person.glsl
    stature: float  # metres
    skeleton: Skeleton
    skinning: sparse.csr_matrix  # (V, B) the weights as a matrix


def dress(model: BodyModel, identity: Identity) -> Dressed:
    """Shape, clothe and equip a person; about 0.2 s."""
    body = model.shape(identity)
    cuts = garments.cut(identity)
    if isinstance(identity, costumes.Costume):
        cuts = identity.recut(cuts)
    pieces, surface = garments.clothe(model, body, identity, cuts)
    pieces += garments.eyes(model, body)
    pieces += headwear.dress_head(model, body, identity, surface)
    pieces += luggage.luggage(model, body, identity, surface)
    pieces.sort(key=lambda piece: piece.part)
    starts = np.cumsum([0] + [len(p.points) for p in pieces])

    def join(name, kind="f4"):
        return np.concatenate([getattr(p, name) for p in pieces]).astype(kind)

    part = np.repeat([p.part for p in pieces], np.diff(starts)).astype("i4")
    rest, bones, weights = join("points"), join("bones", "i4"), join("weights")
    rows = np.repeat(np.arange(len(rest)), 4)
    skinning = sparse.csr_matrix((weights.ravel(), (rows, bones.ravel())),
                                 (len(rest), len(model.bones) + len(PROP_BONES)), dtype="f4")
    return Dressed(
        identity, rest, join("normals"),
        np.concatenate([p.faces + s for p, s in zip(pieces, starts, strict=False)]).astype("i4"),
        part, bones, weights, join("at"), _openness(rest, part, body),
        _uniforms(identity, body, cuts), body.stature, _skeleton(model, body), skinning)


def _skeleton(model: BodyModel, body: Body) -> Skeleton:
    index = dict(model.bones)
    index |= {name: len(model.bones) + i for i, name in enumerate(PROP_BONES)}
    parents = np.r_[model.parents, np.full(len(PROP_BONES), -1)]
    heads = np.concatenate([body.heads, np.zeros((len(PROP_BONES), 3))])
    contacts, owners = [], []
    points = body.points[:BODY_VERTICES]
    for side in "LR":
        own = (model.foot[:BODY_VERTICES] > .5) & ((points[:, 0] > 0) == (side == "L"))
        sole = points[own & (points[:, 2] < body.sole + .03)]
        toe, heel = sole[:, 1].min(), sole[:, 1].max()
        x = sole[:, 0].mean()
        contacts += [(x, y, body.sole) for y in (heel - .02, toe + .30 * (heel - toe), toe + .02)]
        owners += [index[f"foot.{side}"], index[f"foot.{side}"], index[f"toe3-1.{side}"]]
    return Skeleton(index, parents, heads, np.array(contacts), np.array(owners))


def _openness(rest: np.ndarray, part: np.ndarray, body: Body) -> np.ndarray:
    """Crude ambient occlusion: armpits, crotch, under the chin and under hems are darker."""
    x, y, z = rest.T
    crotch = np.exp(-((z - body.hip + .06) / .09) ** 2 - (x / .07) ** 2)
    armpit = np.exp(-((z - body.neck + .17) / .07) ** 2 - ((np.abs(x) - .17) / .05) ** 2)
    chin = np.exp(-((z - body.chin + .02) / .035) ** 2 - ((y - body.face - .07) / .06) ** 2)
    return (1 - .45 * crotch - .35 * armpit - .45 * chin * (part == PARTS["skin"])).astype("f4")


def _uniforms(identity: Identity, body: Body, cuts: garments.Cut) -> dict:
    values = _materials(identity, body, cuts)
    if isinstance(identity, costumes.Costume):
        values |= costumes.uniforms(identity)
    return values


def _materials(identity: Identity, body: Body, cuts: garments.Cut) -> dict:
    """Uniforms by name; colours are linear and vary a little from person to person."""
    rng = np.random.default_rng(identity.seed + 2)

    def shade(colour, spread=.12):
        colour = np.array(colour) * np.exp(rng.normal(0, spread)) * np.exp(rng.normal(0, .03, 3))
        return tuple(np.clip(colour, .004, .85))

    def cloth(name):
        return shade(identities.CLOTH[name])

    def number(options, value):
        return options.index(value)

    kinds = ("none", "stubble", "moustache", "full")
    details = identities.SKIRT_DETAILS if cuts.skirt_hem else identities.TROUSER_DETAILS
    strap = {"backpack": 1, "small backpack": 1, "messenger": 2, "shoulder": 3, "tote": 3}

    return dict(
        skin_colour=shade(identities.SKIN[identity.skin_group], .08),
        hair_colour=shade(identities.HAIR[identity.hair_colour]),
        hair_kind=number(identities.HAIRSTYLES, identity.hair),
        beard=number(kinds, identity.beard),
        glasses=number(("none", "clear", "dark"), identity.glasses),
        female=int(identity.gender == "female"), age=float(identity.age),
        eye_centre=tuple(body.eyes), mouth=body.mouth, chin=body.chin, crown=body.crown,
        face=body.face, hip=body.hip, neck=body.neck, sole=body.sole,
        seed=float(identity.seed % 997),
        top_kind=number(identities.TOPS, identity.top), top_colour=cloth(identity.top_colour),
        top_second=cloth(identity.top_second),
        top_pattern=number(identities.PATTERNS, identity.top_pattern),
        pattern_scale=identity.pattern_scale, top_hem=cuts.top_hem, sleeve=cuts.sleeve,
        waist=cuts.waist,
        outer_kind=number(identities.OUTERS, identity.outer),
        outer_colour=cloth(identity.outer_colour), outer_hem=cuts.outer_hem,
        outer_sleeve=cuts.outer_sleeve, outer_open=cuts.outer_open, tail=cuts.tail,
        bottom_kind=number(identities.BOTTOMS, identity.bottom),
        bottom_colour=cloth(identity.bottom_colour),
        bottom_detail=number(details, identity.bottom_detail),
        bottom_hem=cuts.bottom_hem, skirt_hem=cuts.skirt_hem,
        shoe_kind=number(identities.SHOES, identity.shoes), shoe_colour=cloth(identity.shoe_colour),
        bag_colour=cloth(identity.bag_colour), strap=strap.get(identity.bag, 0),
        strap_side=1. if identity.bag_side == "L" else -1.,
        hat_kind=number(identities.HATS, identity.hat),
        hat_colour=cloth(identity.top_colour if identity.hat == "hood" else identity.hat_colour),
        scarf_colour=cloth(identity.scarf if identity.scarf != "none" else "grey"))
