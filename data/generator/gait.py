"""How people move: a gait of their own, poses for a few actions, and skinning.

Bones turn by rotations in upright body axes (X left, -Y forward, Z up), so a matrix that takes the
rest pose to the posed one is `parent @ rotate_about(joint)`, and the body model itself is not
needed. Arms are aimed: an action says where upper arm and forearm point. While walking, the pelvis
is shifted so that the sole on the ground stays put although the root moves at constant speed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from luggage import TROLLEY
from scipy.interpolate import CubicSpline, PchipInterpolator
from scipy.spatial.transform import Rotation

ACTIONS = ("walk", "walk_phone", "walk_carry", "stand", "phone", "carry", "crouch", "arms_up",
           "bend")
# Flexion in degrees over a cycle from heel strike, in tenths; shapes after Winter (1991).
_TENTHS = np.linspace(0, 1, 11)
_HIP = CubicSpline(_TENTHS, (22, 20, 12, 3, -6, -14, -11, 4, 16, 23, 22), bc_type="periodic")
_KNEE = CubicSpline(_TENTHS, (4, 15, 14, 8, 5, 11, 36, 58, 52, 22, 4), bc_type="periodic")
# Pitch of the foot in the world, toe down positive: flat on the ground from .1 to .35 of the cycle.
_PITCH = PchipInterpolator((0, .08, .2, .35, .45, .52, .62, .72, .8, .88, .94, 1),
                           (-17, 0, 0, 0, 8, 22, 56, 42, 8, -9, -16, -17))
_SIDES = (("L", 1., 0.), ("R", -1., .5))
_DEG = np.pi / 180


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


def pose(dressed, gait: Gait, action: str, phases) -> np.ndarray:
    """Matrices (N, B, 3, 4) f32 from the rest to the posed person, one for each phase (0..1)."""
    if action not in ACTIONS:
        raise ValueError(f"unknown action {action!r}; choose one of {', '.join(ACTIONS)}")
    phases = np.atleast_1d(np.asarray(phases, float))
    matrices = _forward(dressed, gait, action, phases)
    if action.startswith("walk"):
        shift, _ = _steps(dressed, gait, action)
        matrices[..., 1, 3] -= shift(phases % 1)[:, None]
    return _with_props(dressed, matrices, action).astype("f4")


def stride_length(dressed, gait: Gait, action: str = "walk") -> float:
    """Metres walked in a cycle of two steps, measured at the soles on the ground."""
    return _steps(dressed, gait, action)[1]


def skin(dressed, matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions and normals (N, V, 3) f32, the lowest sole at z = 0."""
    count, bones = matrices.shape[:2]
    flat = np.ascontiguousarray(matrices.transpose(1, 0, 2, 3)).reshape(bones, -1)
    blend = (dressed.skinning @ flat).reshape(-1, count, 3, 4)
    points = np.einsum("vnij,vj->nvi", blend[..., :3], dressed.rest) + blend[..., 3].swapaxes(0, 1)
    normals = np.einsum("vnij,vj->nvi", blend[..., :3], dressed.normals)
    shoes = dressed.part == 4
    points[..., 2] -= points[:, shoes, 2].min(1)[:, None]
    return points, normals


def _steps(dressed, gait: Gait, action: str):
    """Pelvis shift over a cycle (spline) and stride length, from the motion of the soles."""
    grid = np.linspace(0, 1, 65)
    matrices = _forward(dressed, gait, action, grid)
    rig = dressed.skeleton
    at = matrices[:, rig.contact_bones]
    soles = np.einsum("ncij,cj->nci", at[..., :3], rig.contacts) + at[..., 3]
    height = soles[..., 2] - soles[..., 2].min(1, keepdims=True)
    side = (np.where(np.arange(6) < 3, 0, .5) + grid[:, None]) % 1
    load = np.exp(-height / .006) * np.where(side < .62, 1., 1e-6)  # a foot in swing bears nothing
    load = (load[1:] + load[:-1]) / 2
    backward = (np.diff(soles[..., 1], axis=0) * load).sum(1) / load.sum(1)
    travelled = np.r_[0., np.cumsum(backward)]
    shift = travelled - travelled[-1] * grid
    shift -= shift.mean()
    shift[-1] = shift[0]
    return CubicSpline(grid, shift, bc_type="periodic"), float(travelled[-1])


def _forward(dressed, gait: Gait, action: str, phases: np.ndarray) -> np.ndarray:
    """Forward kinematics: (N, B, 3, 4) without props and without the pelvis shift."""
    rig, count = dressed.skeleton, len(phases)
    turns, root, aims = _TABLE[action](gait, phases, dressed)
    _curl(turns, rig, count, .8 if "carry" in action else 1.)
    matrices = np.zeros((count, len(rig.parents), 3, 4))
    for bone, name in enumerate(rig.index):
        parent, head = rig.parents[bone], rig.heads[bone]
        if parent < 0:
            base, origin = np.broadcast_to(np.eye(3), (count, 3, 3)), head + root
        else:
            base = matrices[:, parent, :, :3]
            origin = base @ head + matrices[:, parent, :, 3]
        stem, _, side = name.partition(".")
        if side and stem in ("shoulder01", "upperarm01", "lowerarm01"):
            turn = _aim(rig, matrices, base, stem, side, aims[side])
        else:
            turn = turns.get(name)
        rotation = base if turn is None else base @ turn
        matrices[:, bone, :, :3] = rotation
        matrices[:, bone, :, 3] = origin - rotation @ head
    return matrices


def _aim(rig, matrices, base, stem: str, side: str, aim) -> np.ndarray:
    """Turn of an arm bone towards its target, given in the frame of the chest."""
    chest = matrices[:, rig.index["spine01"], :, :3]
    first, then = ("lowerarm01", "wrist") if stem == "lowerarm01" else ("upperarm01", "lowerarm01")
    rest = rig.heads[rig.index[f"{then}.{side}"]] - rig.heads[rig.index[f"{first}.{side}"]]
    target = aim[1] if stem == "lowerarm01" else aim[0]
    target = np.einsum("nij,nj->ni", np.swapaxes(base, 1, 2) @ chest, target)
    vector = _shortest(rest, target)
    if stem == "shoulder01":  # the collar bone takes part, which keeps the shoulder round
        vector = vector * .32
    return Rotation.from_rotvec(vector).as_matrix()


def _shortest(rest: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Rotation vectors (N, 3) of the shortest turns from one direction to others."""
    rest = rest / np.linalg.norm(rest)
    target = target / np.linalg.norm(target, axis=1, keepdims=True)
    axis = np.cross(rest, target)
    sine = np.linalg.norm(axis, axis=1, keepdims=True)
    angle = np.arctan2(sine, (target @ rest)[:, None])
    return axis / np.maximum(sine, 1e-9) * angle


def _about(axis: int, degrees) -> np.ndarray:
    """Rotation matrices (N, 3, 3) about a body axis."""
    angles = np.atleast_1d(degrees)
    vectors = np.zeros((len(angles), 3))
    vectors[:, axis] = angles * _DEG
    return Rotation.from_rotvec(vectors).as_matrix()


_x, _y, _z = partial(_about, 0), partial(_about, 1), partial(_about, 2)


def _curl(turns: dict, rig, count: int, amount: float) -> None:
    """Close the fingers loosely about the axis across each palm."""
    for side, sign in (("L", 1), ("R", -1)):
        head = {k: rig.heads[rig.index[f"finger{k}.{side}"]] for k in ("2-1", "5-1", "3-1", "3-3")}
        across = head["5-1"] - head["2-1"]
        across = sign * across / np.linalg.norm(across)
        for finger in "2345":
            for joint, angle in (("1", 32), ("2", 38), ("3", 20)):
                angle = angle * amount * (1 + .12 * (int(finger) - 3)) * _DEG
                turns[f"finger{finger}-{joint}.{side}"] = Rotation.from_rotvec(
                    np.repeat(across[None] * angle, count, 0)).as_matrix()


def _pendulum(angle, splay) -> np.ndarray:
    """Directions of a limb that hangs, swung forward by `angle` and sideways by `splay` degrees."""
    angle, splay = np.broadcast_arrays(angle * _DEG, splay * _DEG)
    return np.stack([np.sin(splay), -np.sin(angle) * np.cos(splay),
                     -np.cos(angle) * np.cos(splay)], -1)


def _arms(gait: Gait, count: int, kind: str) -> dict:
    """Aims of both arms in the chest frame: {side: (upper arm (N, 3), forearm (N, 3))}."""
    poses = {"hang": ((.13, .02, -1.), (.04, .2, -1.)), "pockets": ((.30, -.22, -1.), (-.16, .40, -1.)),
             "crossed": ((.16, .42, -.9), (-1., .38, .10)),
             "clasped": ((.20, .12, -1.), (-.52, .52, -.8)),
             "carry": ((.16, .30, -1.), (-.16, 1., .02)), "up": ((.55, .15, 1.), (-.10, .05, 1.)),
             "ear": ((.42, .42, -.9), (-.30, .42, 1.)), "text": ((.16, .18, -1.), (-.32, 1., .25)),
             "reach": ((.12, .65, -.8), (.0, .65, -.8)), "knees": ((.10, .95, -.5), (-.25, .8, -.35))}
    arms = {}
    for side, sign, _ in _SIDES:
        upper, fore = (np.tile(np.array(v, float) * (sign, -1, 1), (count, 1)) for v in poses[kind])
        if kind == "hang":
            upper[:, 0] += sign * gait.splay / 90
        arms[side] = (upper, fore)
    return arms


def _posture(gait: Gait, turns: dict, count: int, twist=0., extra: float = 0.) -> None:
    """Spine, neck and head: lean, hunch, and a head that looks ahead."""
    lean = np.full(count, gait.lean + extra)
    for bone in ("spine05", "spine04", "spine03"):
        turns[bone] = _z(-np.broadcast_to(twist, count) * .55) @ _x(lean / 3)
    for bone in ("spine02", "spine01"):
        turns[bone] = _x(np.full(count, gait.hunch / 2))
    level = -(gait.lean + gait.hunch) * .8 - extra * .4
    for bone in ("neck01", "neck02", "head"):
        turns[bone] = _x(np.full(count, level / 3)) @ _z(np.full(count, gait.head / 3))


def _walk(gait: Gait, phases, dressed, arms: str | None = None):
    count = len(phases)
    cycle = 2 * np.pi * phases
    twist = gait.twist * gait.stride * np.cos(cycle)
    turns = {"root": _z(twist) @ _y(-2.2 * np.sin(cycle))}
    for side, sign, offset in _SIDES:
        p = (phases + offset) % 1
        hip = _HIP(p) * gait.stride
        knee = _KNEE(p) * (.4 + .6 * gait.stride) * gait.knee  # short steps clear the ground too
        turns[f"upperleg01.{side}"] = _x(-hip) @ _y(np.full(count, sign * 5.5)) \
            @ _z(np.full(count, sign * gait.toe_out))
        turns[f"lowerleg01.{side}"] = _x(np.maximum(knee, 1.))
        pitch = _PITCH(p) * gait.stride
        turns[f"foot.{side}"] = _x(pitch + hip - np.maximum(knee, 1.))
        bend = np.where(p < .7, np.clip(pitch, 0, 34), 0) * np.clip((.70 - p) / .1, 0, 1)
        for toe in "12345":
            turns[f"toe{toe}-1.{side}"] = _x(-bend)
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
    for side, sign, offset in _SIDES:
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
    turns = {"root": _y(side * 3.2 * shift) @ _z(2 * np.sin(cycle))}
    for leg, sign, _ in _SIDES:
        relaxed = shift * (sign != side)
        turns[f"upperleg01.{leg}"] = _x(-15 * relaxed) @ _y(
            np.full(count, sign * 3.) - side * 3.2 * shift) @ _z(np.full(count, sign * gait.toe_out))
        turns[f"lowerleg01.{leg}"] = _x(2 + 26 * relaxed)
        turns[f"foot.{leg}"] = _x(-(1 + 11 * relaxed))
    _posture(gait, turns, count, twist=1.5 * np.sin(cycle), extra=0.)
    turns["head"] = turns["head"] @ _z(14 * np.sin(cycle + dressed.identity.seed % 7))
    if arms in ("text", "reach"):
        turns["neck01"] = turns["neck01"] @ _x(np.full(count, 16.))
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
    turns = {"root": _x(np.full(count, trunk * .5) + sway)}
    for side, sign, _ in _SIDES:
        stagger = 8 * sign
        turns[f"upperleg01.{side}"] = _x(-(hip + trunk * .5 + sway + stagger)) \
            @ _y(np.full(count, -sign * 7.)) @ _z(np.full(count, sign * 12.))
        turns[f"lowerleg01.{side}"] = _x(np.full(count, knee + stagger))
        turns[f"foot.{side}"] = _x(np.full(count, -ankle))
    _posture(gait, turns, count, extra=trunk * .5)
    return turns, np.zeros((count, 3)), _arms(gait, count, arms)


def _with_props(dressed, matrices: np.ndarray, action: str) -> np.ndarray:
    """Place what is held; what is not in use collapses into the pelvis, where nobody sees it."""
    rig, index = dressed.skeleton, dressed.skeleton.index
    side = dressed.identity.bag_side
    busy = "R" if side == "L" else "L"
    hand = {}
    for s in "LR":
        bone, head = index[f"wrist.{s}"], rig.heads[index[f"finger3-2.{s}"]]
        hand[s] = matrices[:, bone, :, :3] @ head + matrices[:, bone, :, 3]
    pelvis = index["root"]
    for prop in ("held bag", "held box", "held phone", "trolley"):
        matrices[:, index[prop], :, :3] = 0
        matrices[:, index[prop], :, 3] = (matrices[:, pelvis, :, :3] @ rig.heads[pelvis]
                                          + matrices[:, pelvis, :, 3])
    upright, free = np.eye(3), action in ("walk", "walk_phone", "stand", "phone")
    if free:
        _put(matrices, index["held bag"], upright, hand[side])
    if free and dressed.identity.bag == "trolley":
        # The rod runs from the hand to wheels on the ground, the case trails behind.
        soles = np.einsum("ncj,cj->nc", matrices[:, rig.contact_bones, 2, :3], rig.contacts)
        ground = (soles + matrices[:, rig.contact_bones, 2, 3]).min(1)
        reach = np.clip((hand[side][:, 2] - ground) / (TROLLEY * dressed.stature), .3, 1.)
        _put(matrices, index["trolley"], _x(np.arccos(reach) / _DEG), hand[side])
    if "carry" in action:
        middle = (hand["L"] + hand["R"]) / 2 + np.array([0, -.04, .10])
        _put(matrices, index["held box"], upright, middle)
    if "phone" in action:
        _put(matrices, index["held phone"], _x(np.full(len(matrices), 25.)),
             hand[busy] + np.array([0, -.01, .03]))
    return matrices


def _put(matrices, bone: int, rotation, place) -> None:
    matrices[:, bone, :, :3] = rotation
    matrices[:, bone, :, 3] = place


_TABLE = {
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
