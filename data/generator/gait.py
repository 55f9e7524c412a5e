"""How people move: from the angles of an action to a skinned mesh.

Bones turn by rotations in upright body axes (X left, -Y forward, Z up), so a matrix that takes the
rest pose to the posed one is `parent @ rotate_about(joint)`, and the body model itself is not
needed. Arms are aimed: an action says where upper arm and forearm point. While walking, the pelvis
is shifted so that the sole on the ground stays put although the root moves at constant speed.
"""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.spatial.transform import Rotation

from .anatomy import PARTS, PROP_BONES
from .luggage import TROLLEY
from .motions import DEG, MOTIONS, Gait, sample_gait, turn_x

__all__ = ["ACTIONS", "Gait", "pose", "sample_gait", "skin", "stride_length"]

ACTIONS = tuple(MOTIONS)


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
    shoes = dressed.part == PARTS["shoe"]
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
    turns, root, aims = MOTIONS[action](gait, phases, dressed)
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


def _curl(turns: dict, rig, count: int, amount: float) -> None:
    """Close the fingers loosely about the axis across each palm."""
    for side, sign in (("L", 1), ("R", -1)):
        head = {k: rig.heads[rig.index[f"finger{k}.{side}"]] for k in ("2-1", "5-1", "3-1", "3-3")}
        across = head["5-1"] - head["2-1"]
        across = sign * across / np.linalg.norm(across)
        for finger in "2345":
            for joint, angle in (("1", 32), ("2", 38), ("3", 20)):
                angle = angle * amount * (1 + .12 * (int(finger) - 3)) * DEG
                turns[f"finger{finger}-{joint}.{side}"] = Rotation.from_rotvec(
                    np.repeat(across[None] * angle, count, 0)).as_matrix()


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
    for prop in PROP_BONES:
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
        _put(matrices, index["trolley"], turn_x(np.arccos(reach) / DEG), hand[side])
    if "carry" in action:
        middle = (hand["L"] + hand["R"]) / 2 + np.array([0, -.04, .10])
        _put(matrices, index["held box"], upright, middle)
    if "phone" in action:
        _put(matrices, index["held phone"], turn_x(np.full(len(matrices), 25.)),
             hand[busy] + np.array([0, -.01, .03]))
    return matrices


def _put(matrices, bone: int, rotation, place) -> None:
    matrices[:, bone, :, :3] = rotation
    matrices[:, bone, :, 3] = place
