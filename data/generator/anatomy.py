"""The naked body: one anny mesh, its skeleton, and the landmarks that clothes and hair hang on.

Anny (Apache-2.0 code over MakeHuman's CC0 assets) gives every body the same vertices, so all
topology (faces, skinning weights, neighbours) is prepared once in `BodyModel` and each person costs
one evaluation of the blend shapes. Metres, Z up, the face looks along -Y, the left hand is at +X.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

PARTS = {name: i for i, name in enumerate(
    ("skin", "top", "bottom", "skirt", "shoe", "hair", "hat", "bag", "eye", "outer", "prop",
     "scarf"))}
# Props hang from bones of our own, appended after the model's: they follow a hand but stay upright.
PROP_BONES = ("held bag", "held box", "held phone", "trolley")
HEAD_BONES = ("head", "eye", "neck03")
BODY_VERTICES = 13380
AGES = ((1, 11, 20, 90), (0., 1 / 3, 2 / 3, 1.))  # years -> the model's age parameter


def cache_folder() -> Path:
    """Where the converted body model is kept; REIDLIB_CACHE moves it."""
    return Path(os.environ.get("REIDLIB_CACHE", Path.home() / ".cache" / "reidlib")) / "generator"


@dataclass
class Piece:
    """A part of the dressed mesh, in the body's rest pose."""

    part: int
    points: np.ndarray  # (V, 3)
    normals: np.ndarray  # (V, 3)
    faces: np.ndarray  # (F, 3)
    bones: np.ndarray  # (V, 4)
    weights: np.ndarray  # (V, 4)
    at: np.ndarray  # (V, 4) coordinates the shader cuts and prints by; meaning depends on the part


@dataclass
class Body:
    """One person's shape in the rest (A) pose."""

    points: np.ndarray  # (19158, 3)
    heads: np.ndarray  # (B, 3) joints
    arm: np.ndarray  # (V,) 0 at the shoulder, 1 at the wrist
    leg: np.ndarray  # (V,) 0 at the hip, 1 at the ankle
    torso: np.ndarray  # (V,) 0 at the hip joints, 1 at the base of the neck
    hip: float  # z of the hip joints
    neck: float  # z of the base of the neck
    eyes: np.ndarray  # (3,) centre of the left eye
    mouth: float  # z
    chin: float  # z
    face: float  # y of the forehead
    nape: float  # y of the back of the skull
    crown: float  # z
    sole: float  # z

    @property
    def stature(self) -> float:
        return float(self.crown - self.sole)


class BodyModel:
    """Anny with the clothing helpers of the MakeHuman base mesh, and what never changes with it."""

    def __init__(self, model) -> None:
        self._model = model
        self.bones = {name: i for i, name in enumerate(model.bone_labels)}
        self.parents = np.array(model.bone_parents, int)
        self.groups = _face_groups()
        index = model.vertex_bone_indices.numpy()
        weight = model.vertex_bone_weights.numpy()
        order = np.argsort(-weight, 1)[:, :4]
        self.vertex_bones = np.take_along_axis(index, order, 1)
        kept = np.take_along_axis(weight, order, 1)
        self.vertex_weights = kept / kept.sum(1, keepdims=True)
        dense = np.zeros((len(index), len(self.bones)))
        np.add.at(dense, (np.arange(len(index))[:, None], index), weight)
        self._influence = dense
        self.arm = self.influence("upperarm", "lowerarm", "wrist", "finger", "metacarpal")
        self.hand = self.influence("wrist", "finger", "metacarpal")
        self.leg = self.influence("upperleg", "lowerleg", "foot", "toe")
        self.foot = self.influence("foot", "toe")
        self.head = self.influence(*HEAD_BONES)
        self.neck = self.influence("neck", "head")
        self.groups["body"] = self._coarser(self.groups["body"])
        self.smoother = _neighbour_mean(self.groups["helper-tights"], len(index))

    @staticmethod
    def load() -> BodyModel:
        """Load the model; the first call builds it (about a minute) and keeps it in the cache."""
        import anny
        import torch
        from anny.models.model_data import RigConfig, TopologyConfig

        torch.set_num_threads(1)
        path = cache_folder() / "makehuman_body.pt"
        if not path.is_file():
            # The tights and skirt that clothes are cut from only survive with these settings.
            topology = TopologyConfig(base_mesh="makehuman", nudity_edits=False,
                                      remove_unattached_vertices=False, tongue=False)
            built = anny.Anny(topology=topology, phenotypes="all")
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_suffix(f".{os.getpid()}")
            torch.save(built.to_model_data(), partial)
            partial.replace(path)
        rig = RigConfig.from_string("anny")
        # from_model_data defaults to another bone frame than Anny(): all three must be passed.
        model = anny.Anny.from_model_data(
            torch.load(path, weights_only=False), pose_parameterization="local-ref",
            bone_orientation=rig.bone_orientation,
            root_identity_orientation=rig.root_identity_orientation)
        return BodyModel(model.eval())

    def influence(self, *prefixes: str) -> np.ndarray:
        """Share (V,) of each vertex that follows the bones whose names start so."""
        chosen = [i for name, i in self.bones.items() if name.startswith(prefixes)]
        return self._influence[:, chosen].sum(1)

    def _coarser(self, faces: np.ndarray) -> np.ndarray:
        """Merge vertices of hands and head, whose triangles are smaller than any pixel here."""
        points, _ = self._evaluate(height=.4, gender=.5, age=.6, muscle=.5, weight=.5)
        eyes = points[np.unique(self.groups["helper-l-eye"])].mean(0)
        near_eyes = np.linalg.norm(np.abs(points) * (1, 0, 1) - eyes * (1, 0, 1), axis=1) < .03
        cell = np.where(self.hand > .5, .010, np.where(near_eyes, .0035, .0065))
        fine = (self.hand > .5) | (self.head > .5)
        finger = np.stack([self.influence(f"finger{k}", f"metacarpal{k}") for k in range(1, 6)], 1)
        key = np.floor(points / cell[:, None]).astype(int)
        key = np.c_[key, finger.argmax(1) * (finger.max(1) > .5)]
        key[~fine] = np.c_[np.flatnonzero(~fine), np.full(((~fine).sum(), 3), 10**6)]
        _, first, cluster = np.unique(key, axis=0, return_index=True, return_inverse=True)
        faces = first[cluster.ravel()][faces]
        distinct = (faces != np.roll(faces, 1, 1)).all(1)
        _, once = np.unique(np.sort(faces[distinct], 1), axis=0, return_index=True)
        return faces[distinct][np.sort(once)]

    def shape(self, identity) -> Body:
        """Evaluate the blend shapes for a person and measure the result."""
        african, asian, caucasian = identity.ancestry
        build = dict(
            gender=float(identity.gender == "female"), age=float(np.interp(identity.age, *AGES)),
            muscle=identity.muscle, weight=identity.build, proportions=identity.proportions,
            african=african, asian=asian, caucasian=caucasian, cupsize=.35 + .5 * identity.build,
            firmness=.6 if identity.age < 50 else .35)
        # Stature is nearly linear in `height`: one secant step, and scaling takes the rest.
        low, high = self._evaluate(height=.2, **build), self._evaluate(height=.6, **build)
        a, b = (np.ptp(p[:BODY_VERTICES, 2]) for p, _ in (low, high))
        height = float(np.clip(.2 + .4 * (identity.height - a) / (b - a), 0., 1.))
        points, heads = self._evaluate(height=height, **build)
        scale = identity.height / np.ptp(points[:BODY_VERTICES, 2])
        return self._measure(points * scale, heads * scale)

    def _evaluate(self, **phenotype: float) -> tuple[np.ndarray, np.ndarray]:
        import torch

        with torch.no_grad():
            out = self._model(phenotype_kwargs={k: torch.tensor([v], dtype=torch.float32)
                                                for k, v in phenotype.items()})
        return (out["rest_vertices"][0].numpy().astype(float),
                out["rest_bone_heads"][0].numpy().astype(float))

    def _measure(self, points: np.ndarray, heads: np.ndarray) -> Body:
        joint = {n: heads[i] for n, i in self.bones.items()}

        def along(names):
            sides = [_along(points, np.array([joint[f"{n}.{s}"] for n in names])) for s in "LR"]
            return np.where(points[:, 0] > 0, *sides)

        hip, neck = joint["upperleg01.L"][2], joint["neck01"][2]
        skull = points[:BODY_VERTICES][self.head[:BODY_VERTICES] > .9]
        eyes = points[np.unique(self.groups["helper-l-eye"])].mean(0)
        teeth = points[np.unique(self.groups["helper-upper-teeth"])]
        brow = skull[np.abs(skull[:, 2] - eyes[2] - .045) < .02]
        return Body(
            points, heads, arm=along(("upperarm01", "lowerarm01", "wrist")),
            leg=along(("upperleg01", "lowerleg01", "foot")),
            torso=(points[:, 2] - hip) / (neck - hip), hip=hip, neck=neck, eyes=eyes,
            mouth=teeth[:, 2].min(), chin=skull[skull[:, 1] < brow[:, 1].min() + .05][:, 2].min(),
            face=brow[:, 1].min(), nape=skull[:, 1].max(), crown=skull[:, 2].max(),
            sole=points[:BODY_VERTICES, 2].min())


def vertex_normals(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Area-weighted unit normals (V, 3)."""
    a, b, c = (points[faces[:, i]] for i in range(3))
    face = np.cross(b - a, c - a)
    normals = np.stack([np.bincount(faces.ravel(), np.repeat(face[:, k], 3), len(points))
                        for k in range(3)], 1)
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def compact(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices in use, and the faces renumbered to them."""
    used, inverse = np.unique(faces, return_inverse=True)
    return used, inverse.reshape(-1, 3)


def rigid(part: str, points, faces, bone: int, at=None) -> Piece:
    """A piece that follows a single bone."""
    n = len(points)
    bones, weights = np.zeros((n, 4), int), np.zeros((n, 4))
    bones[:, 0], weights[:, 0] = bone, 1.
    return Piece(PARTS[part], points, vertex_normals(points, faces), faces, bones, weights,
                 np.zeros((n, 4)) if at is None else at)


def grid_faces(rows: int, columns: int, wrap: bool = False) -> np.ndarray:
    """Triangles of a (rows, columns) vertex grid; `wrap` closes the columns to a ring."""
    i, j = np.mgrid[:rows - 1, :columns if wrap else columns - 1]
    a, b = i * columns + j, i * columns + (j + 1) % columns
    quads = np.stack([a, b, b + columns, a + columns], -1).reshape(-1, 4)
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def nearest(points: np.ndarray, queries: np.ndarray, count: int = 1):
    """Indices of the points closest to each query."""
    return cKDTree(points).query(queries, count)[1]


def _along(points: np.ndarray, joints: np.ndarray) -> np.ndarray:
    """Position along a chain of joints, 0 at the first and 1 at the last, open at both ends."""
    lengths = np.linalg.norm(np.diff(joints, axis=0), axis=1)
    starts = np.r_[0., lengths.cumsum()]
    best, position = np.full(len(points), np.inf), np.zeros(len(points))
    for i, length in enumerate(lengths):
        axis = (joints[i + 1] - joints[i]) / length
        low = -.2 if i == 0 else 0.
        high = length + (9. if i == len(lengths) - 1 else 0.)
        u = ((points - joints[i]) @ axis).clip(low, high)
        distance = np.linalg.norm(points - joints[i] - u[:, None] * axis, axis=1)
        closer = distance < best
        best[closer], position[closer] = distance[closer], ((starts[i] + u) / starts[-1])[closer]
    return position


def _face_groups() -> dict[str, np.ndarray]:
    """Triangles of each named group of the base mesh (the joint cubes left out)."""
    import anny

    path = Path(anny.__path__[0]) / "data" / "mpfb2" / "3dobjs" / "base.obj"
    groups: dict[str, list] = {}
    name = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("g "):
            name = line.split()[1]
        elif line.startswith("f ") and "joint" not in name:
            corner = [int(v.split("/")[0]) - 1 for v in line.split()[1:]]
            groups.setdefault(name, []).extend(
                [corner[0], corner[i], corner[i + 1]] for i in range(1, len(corner) - 1))
    return {k: np.array(v) for k, v in groups.items()}


def _neighbour_mean(faces: np.ndarray, count: int) -> sparse.csr_matrix:
    """Matrix that replaces each vertex by the mean of its neighbours."""
    i, j = faces[:, [0, 1, 2]].ravel(), faces[:, [1, 2, 0]].ravel()
    links = sparse.coo_matrix((np.ones(2 * len(i)), (np.r_[i, j], np.r_[j, i])), (count, count))
    links = (links.tocsr() > 0).astype(float)
    degree = np.asarray(links.sum(1)).ravel()
    alone = sparse.diags((degree == 0).astype(float))
    return sparse.diags(1 / np.maximum(degree, 1)) @ links + alone
