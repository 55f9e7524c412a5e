"""A gait of one's own, and what each action does to it: joint angles and where the arms point.

An action maps phases (N,) of its cycle to `turns` (bone -> rotations (N, 3, 3) in upright body
axes), the shift (N, 3) of the pelvis, and the aims of both arms.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.interpolate import CubicSpline, PchipInterpolator
from scipy.spatial.transform import Rotation

SIDES = (("L", 1., 0.), ("R", -1., .5))  # name, sign of x, phase
DEG = np.pi / 180
# Flexion in degrees over a cycle from heel strike, in tenths; shapes after Winter (1991).
_TENTHS = np.linspace(0, 1, 11)
_HIP = CubicSpline(_TENTHS, (22, 20, 12, 3, -6, -14, -11, 4, 16, 23, 22), bc_type="periodic")
_KNEE = CubicSpline(_TENTHS, (4, 15, 14, 8, 5, 11, 36, 58, 52, 22, 4), bc_type="periodic")
# Pitch of the foot in the world, toe down positive: flat on the ground from .1 to .35 of the cycle.
_PITCH = PchipInterpolator((0, .08, .2, .35, .45, .52, .62, .72, .8, .88, .94, 1),
                           (-17, 0, 0, 0, 8, 22, 56, 42, 8, -9, -16, -17))


@dataclass(frozen=True)
class Gait:
    """What makes a walk recognisable; angles in degrees."""

    stride: float = 1.  # scales all leg angles
    cadence: float = .9  # cycles a second
    swing: float = 22.  # of the arms
    asymmetry: float = 0.  # left arm swings more, right less
    flex: float = 14.  # of the elbows
    splay: float = 8.  # arms away from the body
    lean: float = 3.
    hunch: float = 0.
    toe_out: float = 6.
    knee: float = 1.  # scales knee lift
    sway: float = .018  # of the pelvis, metres
    twist: float = 6.
    head: float = 0.  # turned to the side
    idle: str = "hang"  # arms when standing


def sample_gait(rng: np.random.Generator, identity) -> Gait:
    """Draw a gait that suits age, build and bag."""
    old = float(np.clip((identity.age - 55) / 30, 0, 1))
    heavy = identity.build
    adult = float(np.clip(identity.age / 16, .4, 1))
    stride = float(np.clip(rng.normal(.97, .08) - .24 * old - .08 * max(0, heavy - .6), .6, 1.15))
    return Gait(
        stride=stride,
        cadence=float(rng.normal(.92, .05) / np.sqrt(adult) - .10 * old),
        swing=float(np.clip(rng.normal(21, 7) * (1 - .4 * old), 4, 36)),
        asymmetry=float(rng.normal(0, .22)), flex=float(np.clip(rng.normal(15, 8), 3, 45)),
        splay=float(np.clip(rng.normal(4.5, 1.5) + 9 * max(0, heavy - .5), 2, 13)),
        lean=float(rng.normal(2.5, 2) + 3 * old), hunch=float(max(0, rng.normal(2, 4)) + 7 * old),
        toe_out=float(rng.normal(7, 5)), knee=float(rng.normal(1, .08)),
        sway=float(rng.uniform(.010, .028)), twist=float(rng.normal(6, 2.)),
        head=float(rng.normal(0, 8)),
        idle=str(rng.choice(("hang", "pockets", "crossed", "clasped"), p=(.5, .22, .12, .16))))


def _about(axis: int, degrees) -> np.ndarray:
    """Rotation matrices (N, 3, 3) about a body axis."""
    angles = np.atleast_1d(degrees)
    vectors = np.zeros((len(angles), 3))
    vectors[:, axis] = angles * DEG
    return Rotation.from_rotvec(vectors).as_matrix()


turn_x, turn_y, turn_z = partial(_about, 0), partial(_about, 1), partial(_about, 2)


def _pendulum(angle, splay) -> np.ndarray:
    """Directions of a limb that hangs, swung forward by `angle` and sideways by `splay` degrees."""
    angle, splay = np.broadcast_arrays(angle * DEG, splay * DEG)
    return np.stack([np.sin(splay), -np.sin(angle) * np.cos(splay),
                     -np.cos(angle) * np.cos(splay)], -1)


def _arms(gait: Gait, count: int, kind: str) -> dict:
    """Aims of both arms in the chest frame: {side: (upper arm (N, 3), forearm (N, 3))}."""
    poses = {"hang": ((.13, .02, -1.), (.04, .2, -1.)),
             "pockets": ((.30, -.22, -1.), (-.16, .40, -1.)),
             "crossed": ((.16, .42, -.9), (-1., .38, .10)),
             "clasped": ((.20, .12, -1.), (-.52, .52, -.8)),
             "carry": ((.16, .30, -1.), (-.16, 1., .02)), "up": ((.55, .15, 1.), (-.10, .05, 1.)),
             "ear": ((.42, .42, -.9), (-.30, .42, 1.)), "text": ((.16, .18, -1.), (-.32, 1., .25)),
             "reach": ((.12, .65, -.8), (.0, .65, -.8)),
             "knees": ((.10, .95, -.5), (-.25, .8, -.35))}
    arms = {}
    for side, sign, _ in SIDES:
        upper, fore = (np.tile(np.array(v, float) * (sign, -1, 1), (count, 1)) for v in poses[kind])
        if kind == "hang":
            upper[:, 0] += sign * gait.splay / 90
        arms[side] = (upper, fore)
    return arms


def _posture(gait: Gait, turns: dict, count: int, twist=0., extra: float = 0.) -> None:
    """Spine, neck and head: lean, hunch, and a head that looks ahead."""
    lean = np.full(count, gait.lean + extra)
    for bone in ("spine05", "spine04", "spine03"):
        turns[bone] = turn_z(-np.broadcast_to(twist, count) * .55) @ turn_x(lean / 3)
    for bone in ("spine02", "spine01"):
        turns[bone] = turn_x(np.full(count, gait.hunch / 2))
    level = -(gait.lean + gait.hunch) * .8 - extra * .4
    for bone in ("neck01", "neck02", "head"):
        turns[bone] = turn_x(np.full(count, level / 3)) @ turn_z(np.full(count, gait.head / 3))


def _walk(gait: Gait, phases, dressed, arms: str | None = None):
    count = len(phases)
    cycle = 2 * np.pi * phases
    twist = gait.twist * gait.stride * np.cos(cycle)
    turns = {"root": turn_z(twist) @ turn_y(-2.2 * np.sin(cycle))}
    for side, sign, offset in SIDES:
        p = (phases + offset) % 1
        hip = _HIP(p) * gait.stride
        knee = _KNEE(p) * (.4 + .6 * gait.stride) * gait.knee  # short steps clear the ground too
        turns[f"upperleg01.{side}"] = turn_x(-hip) @ turn_y(np.full(count, sign * 5.5)) \
            @ turn_z(np.full(count, sign * gait.toe_out))
        turns[f"lowerleg01.{side}"] = turn_x(np.maximum(knee, 1.))
        pitch = _PITCH(p) * gait.stride
        turns[f"foot.{side}"] = turn_x(pitch + hip - np.maximum(knee, 1.))
        bend = np.where(p < .7, np.clip(pitch, 0, 34), 0) * np.clip((.70 - p) / .1, 0, 1)
        for toe in "12345":
            turns[f"toe{toe}-1.{side}"] = turn_x(-bend)
    _posture(gait, turns, count, twist)
    root = np.stack([gait.sway * np.sin(cycle), 0 * cycle, 0 * cycle], -1)
    if arms:
        aims = _arms(gait, count, arms)
        if arms in ("ear", "text"):
            free = "R" if dressed.identity.bag_side == "R" else "L"
            aims[free] = _swing(gait, phases, dressed)[free]
        return turns, root, aims
    return turns, root, _swing(gait, phases, dressed)


def _swing(gait: Gait, phases, dressed) -> dict:
    """Arms that swing against the legs; the side of a bag swings less and further out."""
    bag, bag_side = dressed.identity.bag, dressed.identity.bag_side
    aims = {}
    for side, sign, offset in SIDES:
        amount, splay, flex = gait.swing * (1 + sign * gait.asymmetry), gait.splay, gait.flex
        if side == bag_side and bag in ("handbag", "briefcase", "trolley"):
            amount, flex = amount * .35, 3.
            splay += 6.
        elif side == bag_side and bag in ("messenger", "shoulder", "tote"):
            amount, splay = amount * .6, splay + 15.
        p = phases + offset
        angle = -amount * np.cos(2 * np.pi * p) - 4
        if side == bag_side and bag == "trolley":
            angle = angle - 24
        elbow = flex + np.maximum(0, .45 * amount * np.sin(2 * np.pi * (p + .45)))
        aims[side] = (_pendulum(angle, sign * (splay + 2)),
                      _pendulum(angle + elbow, sign * max(splay - 7, -2)))
    return aims


def _stand(gait: Gait, phases, dressed, arms: str | None = None):
    count = len(phases)
    cycle = 2 * np.pi * phases
    side = 1. if dressed.identity.seed % 2 else -1.
    shift = .65 + .35 * np.sin(cycle)  # share of the weight on the preferred leg
    turns = {"root": turn_y(side * 3.2 * shift) @ turn_z(2 * np.sin(cycle))}
    for leg, sign, _ in SIDES:
        relaxed = shift * (sign != side)
        upright = np.full(count, sign * 3.) - side * 3.2 * shift
        turns[f"upperleg01.{leg}"] = turn_x(-15 * relaxed) @ turn_y(upright) \
            @ turn_z(np.full(count, sign * gait.toe_out))
        turns[f"lowerleg01.{leg}"] = turn_x(2 + 26 * relaxed)
        turns[f"foot.{leg}"] = turn_x(-(1 + 11 * relaxed))
    _posture(gait, turns, count, twist=1.5 * np.sin(cycle), extra=0.)
    turns["head"] = turns["head"] @ turn_z(14 * np.sin(cycle + dressed.identity.seed % 7))
    if arms in ("text", "reach"):
        turns["neck01"] = turns["neck01"] @ turn_x(np.full(count, 16.))
    root = np.stack([side * .022 * shift, 0 * cycle, 0 * cycle], -1)
    kind = arms or gait.idle
    if not arms and dressed.identity.bag not in ("none", "backpack", "small backpack"):
        kind = "hang"
    aims = _arms(gait, count, kind)
    if arms in ("ear", "text"):
        free = "R" if dressed.identity.bag_side == "R" else "L"
        aims[free] = _arms(gait, count, "hang")[free]
    return turns, root, aims


def _bent(gait: Gait, phases, dressed, hip: float, knee: float, ankle: float, trunk: float,
          arms: str):
    """Both legs flexed and the trunk bent forward, with a slow sway."""
    count = len(phases)
    sway = 4 * np.sin(2 * np.pi * phases)
    turns = {"root": turn_x(np.full(count, trunk * .5) + sway)}
    for side, sign, _ in SIDES:
        stagger = 8 * sign
        turns[f"upperleg01.{side}"] = turn_x(-(hip + trunk * .5 + sway + stagger)) \
            @ turn_y(np.full(count, -sign * 7.)) @ turn_z(np.full(count, sign * 12.))
        turns[f"lowerleg01.{side}"] = turn_x(np.full(count, knee + stagger))
        turns[f"foot.{side}"] = turn_x(np.full(count, -ankle))
    _posture(gait, turns, count, extra=trunk * .5)
    return turns, np.zeros((count, 3)), _arms(gait, count, arms)


MOTIONS = {
    "walk": _walk,
    "walk_phone": lambda g, p, d: _walk(g, p, d, "text"),
    "walk_carry": lambda g, p, d: _walk(g, p, d, "carry"),
    "stand": _stand,
    "phone": lambda g, p, d: _stand(g, p, d, "ear" if d.identity.seed % 3 else "text"),
    "carry": lambda g, p, d: _stand(g, p, d, "carry"),
    "crouch": lambda g, p, d: _bent(g, p, d, 98, 118, 22, 24, "knees"),
    "arms_up": lambda g, p, d: _stand(g, p, d, "up"),
    "bend": lambda g, p, d: _bent(g, p, d, 12, 16, 4, 78, "reach"),
}
