"""From boxes in every frame to tracks: motion, overlap, appearance, and an assignment of the two.

A frame goes through five steps. Every track predicts where it is (a Kalman filter). Confident boxes
are assigned to tracks by overlap and appearance; tracks still without one try the faint boxes, by
overlap alone (Zhang et al., 2022, ByteTrack). Confident boxes still free begin new tracks. A track
seen often enough is confirmed; if it looks like one that was lost nearby, it takes up that one's
identity. Tracks that walk out of the picture end, and so do those not seen for long.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pandas as pd

from reidlib import boxes
from reidlib.boxes import BOX
from reidlib.detection.association import (
    FORBIDDEN,
    Appearance,
    assign,
    centre_size,
    correct_motion,
    predict_motion,
    start_motion,
)


class Observation(NamedTuple):
    """A box that was assigned to a track."""

    frame: int  # of the tracker: how many updates came before
    index: int  # row of the box among that frame's detections
    box: np.ndarray  # (4,) as detected
    confidence: float


@dataclass
class Track:
    """What a tracker remembers of one person."""

    mean: np.ndarray  # (4, 2): centre x, centre y, width, height in pixels, and their speeds
    covariance: np.ndarray  # (4, 2, 2)
    embedding: np.ndarray  # (D,) unit vector: how the person looks, slowly updated; NaN if unknown
    id: int = 0  # 0 until confirmed
    age: int = 1  # frames since birth
    hits: int = 1  # frames in which a box was assigned
    missed: int = 0  # frames since the last of them
    history: list[Observation] = field(default_factory=list)

    @property
    def box(self) -> np.ndarray:
        """The estimated box, (4,): x1 y1 x2 y2."""
        centre, half = self.mean[:2, 0], np.maximum(self.mean[2:, 0], 1) / 2
        return np.concatenate([centre - half, centre + half]).astype(np.float32)


class Tracker:
    """Follows people through a video, one frame an `update`.

    Boxes with at least `high` confidence continue tracks, those of `birth` (`high` + 0.2) begin
    them, and those from `low` continue them where nothing better is there. `iou` is the overlap
    that makes a box a candidate, `weight` the share of appearance in the cost. Recovering a lost
    track takes looks closer than `alike`, on the scale of `Appearance`. `min_hits` boxes confirm a
    track, `max_age` frames without one end it. `size` is the picture's (width, height); with it,
    tracks end where people walk out. `assignment` is that of `assign`.
    """

    def __init__(
        self,
        high: float = 0.25,
        birth: float | None = None,
        low: float = 0.2,
        iou: float = 0.3,
        weight: float = 0.7,
        alike: float = 0.5,
        min_hits: int = 3,
        max_age: int = 60,
        size: tuple[int, int] | None = None,
        assignment: str = "hungarian",
    ):
        if assignment not in ("hungarian", "greedy"):
            raise ValueError(f"assignment is {assignment!r}; expected 'hungarian' or 'greedy'")
        if not (0 <= iou <= 1 and 0 <= weight <= 1 and min_hits >= 1 and max_age >= 0):
            raise ValueError(
                f"iou {iou}, weight {weight}, min_hits {min_hits}, max_age {max_age}; expected two "
                "shares from 0 to 1, at least 1 box and at least 0 frames"
            )
        birth = min(high + 0.2, 1.0) if birth is None else birth
        if not (0 <= low <= 1 and 0 <= high <= birth <= 1):
            raise ValueError(
                f"low, high and birth are {low}, {high} and {birth}; expected 0 to 1, high <= birth"
            )
        self.high, self.low, self.iou, self.weight, self.alike = high, low, iou, weight, alike
        self.birth, self.min_hits, self.max_age = birth, min_hits, max_age
        self.size, self.assignment = size, assignment
        self.tracks: list[Track] = []
        self.ended: list[Track] = []  # confirmed tracks that the last update has given up
        self.appearance = Appearance()
        self.frame = -1  # of the last update
        self._dim: int | None = None
        self._ids = itertools.count(1)

    def update(self, detections: pd.DataFrame, embeddings=None) -> pd.DataFrame:
        """Take one frame's boxes; return its tracks: track x1 y1 x2 y2 confidence.

        `detections` has x1 y1 x2 y2 confidence; boxes without area are left out. `embeddings` is
        (N, D), a row a box; a row of NaN says that the box has none. Raises ValueError for missing
        columns, NaN in boxes, and embeddings that do not fit the boxes or earlier frames.
        """
        found, score = _check_detections(detections)
        looks = self._check_embeddings(embeddings, len(found))
        real = boxes.area(found) > 0
        confident = np.flatnonzero(real & (score >= self.high))
        faint = np.flatnonzero(real & (score >= self.low) & (score < self.high))
        self.frame += 1
        self._predict()
        free = self._match(self.tracks, confident, found, score, looks)
        missing = [t for t in self.tracks if t.id and t.missed == 1]
        self._match(missing, faint, found, score, np.full_like(looks, np.nan))
        self._begin(free[score[free] >= self.birth], found, score, looks)
        self._learn_strangers(confident, found, looks)
        self._end()
        rows = [
            (t.id, *t.box, t.history[-1].confidence) for t in self.tracks if t.id and not t.missed
        ]
        return pd.DataFrame(rows, columns=["track", *BOX, "confidence"]).astype({"track": int})

    def _check_embeddings(self, embeddings, count: int) -> np.ndarray:
        if embeddings is None:
            return np.full((count, self._dim or 1), np.nan, np.float32)
        looks = np.asarray(embeddings, np.float32)
        if looks.ndim != 2 or len(looks) != count:
            raise ValueError(
                f"embeddings have shape {looks.shape}; expected ({count}, D), a row a box"
            )
        if self._dim != looks.shape[1] and (self._dim or self.tracks):
            raise ValueError(
                f"embeddings have {looks.shape[1]} dimensions, earlier ones {self._dim}; give them "
                "from the first frame on, by one extractor"
            )
        self._dim = looks.shape[1]
        known = np.isfinite(looks).all(axis=1)
        if not (known | np.isnan(looks).all(axis=1)).all():
            raise ValueError(
                "an embedding is NaN or infinite in part; a box without one is all NaN"
            )
        length = np.linalg.norm(looks, axis=1, keepdims=True)
        return np.where(length > 0, looks / np.where(length > 0, length, 1), np.nan)

    def _predict(self) -> None:
        if self.tracks:
            motion = predict_motion(*_stack(self.tracks))
            for track, track.mean, track.covariance in zip(self.tracks, *motion):
                track.age += 1
                track.missed += 1
                if track.missed > 1:
                    track.mean[2:, 1] = 0  # nobody keeps growing while out of sight

    def _match(self, tracks, indices, found, score, looks) -> np.ndarray:
        """Assign boxes `indices` to tracks, update these, and return the boxes left over."""
        if not tracks or not len(indices):
            return indices
        overlap = boxes.iou(np.stack([t.box for t in tracks]), found[indices])
        distance = self.appearance.distance(_looks(tracks), looks[indices])
        unknown = np.isnan(distance)
        mixed = (1 - self.weight) * (1 - overlap) + self.weight * distance
        cost = np.where(unknown, 1 - overlap, mixed)
        allowed = (overlap >= self.iou) & (unknown | (distance < 1))
        # Who slipped past the prediction, behind a pillar say, is known again by the looks.
        known = (distance < self.alike) & self._reachable(tracks, found[indices])
        cost = np.where(allowed, cost, np.where(known, 1 + distance, FORBIDDEN))
        pairs = assign(cost, self.assignment)
        if pairs:
            rows, columns = np.array(pairs).T
            alone = (overlap[:, columns] > 0.1).sum(axis=0) == 1
            self._continue([tracks[r] for r in rows], indices[columns], found, score, looks, alone)
        return np.delete(indices, [c for _, c in pairs])

    def _continue(self, tracks, indices, found, score, looks, alone) -> None:
        motion = correct_motion(*_stack(tracks), found[indices])
        crowded = (boxes.iou(found, found) - np.eye(len(found), dtype=np.float32)).max(axis=1) > 0.3
        for track, track.mean, track.covariance, i, single in zip(tracks, *motion, indices, alone):
            track.hits += 1
            track.missed = 0
            track.history.append(Observation(self.frame, int(i), found[i], float(score[i])))
            if not crowded[i] and np.isfinite(looks[i, 0]):  # half of it would be somebody else
                if single:
                    similarity = track.embedding @ looks[i : i + 1].T
                    self.appearance.learn("same", similarity[np.isfinite(similarity)])
                track.embedding = _blend(track.embedding, looks[i], max(0.05, 1 / track.hits))
            if not track.id and track.hits >= self.min_hits:
                self._confirm(track)

    def _reachable(self, tracks, found) -> np.ndarray:
        """Say which boxes (M, 4) the tracks can have got to since last seen, bool (N, M)."""
        state, place = np.stack([t.mean[:, 0] for t in tracks]), centre_size(found)
        height = np.maximum(state[:, 3:], 1)
        walked = np.linalg.norm(place[None, :, :2] - state[:, None, :2], axis=2) / height
        growth = np.abs(np.log(np.maximum(place[None, :, 3], 1) / height))
        missed = np.array([[t.missed] for t in tracks])
        return (walked < 0.5 + 0.1 * missed) & (growth < 0.4)

    def _confirm(self, track: Track) -> None:
        """Give a new track an identity: that of a lost track that it continues, or a new one."""
        first = track.history[0]
        lost = [t for t in self.tracks if t.id and t.history[-1].frame < first.frame]
        if lost:
            distance = self.appearance.distance(track.embedding[None], _looks(lost))[0]
            distance[~self._reachable(lost, first.box[None])[:, 0]] = np.inf
            distance = np.nan_to_num(distance, nan=np.inf)
            if distance.min() < self.alike:
                old = lost[int(distance.argmin())]
                self.tracks = [t for t in self.tracks if t is not old]
                track.id, track.age, track.hits = old.id, old.age, old.hits + track.hits
                track.history = old.history + track.history
                track.embedding = _blend(old.embedding, track.embedding, 0.5)
                return
        track.id = next(self._ids)

    def _begin(self, indices, found, score, looks) -> None:
        taken = [t.box for t in self.tracks if not t.missed]
        for i in indices:
            if (boxes.iou(found[i], taken) < 0.5).all():  # else a second box on somebody tracked
                taken.append(found[i])
                history = [Observation(self.frame, int(i), found[i], float(score[i]))]
                track = Track(*start_motion(found[i]), looks[i], history=history)
                self.tracks.append(track)
                if self.min_hits <= 1:
                    self._confirm(track)

    def _learn_strangers(self, indices, found, looks) -> None:
        apart = np.triu(boxes.iou(found[indices], found[indices]) < 0.1, 1)
        similarity = (looks[indices] @ looks[indices].T)[apart]
        self.appearance.learn("other", similarity[np.isfinite(similarity)])

    def _end(self) -> None:
        over = [
            t.missed > self.max_age or (t.missed and (not t.id or self._left(t)))
            for t in self.tracks
        ]
        self.ended = [t for t, gone in zip(self.tracks, over) if gone and t.id]
        self.tracks = [t for t, gone in zip(self.tracks, over) if not gone]

    def _left(self, track: Track) -> bool:
        if self.size is None:
            return False
        (x1, y1, x2, y2), (vx, vy) = track.box, track.mean[:2, 1]
        width, height = self.size
        return bool(
            (x1 < 0 and vx < 0) or (y1 < 0 and vy < 0)
            or (x2 > width and vx > 0) or (y2 > height and vy > 0)
        )  # fmt: skip


def _stack(tracks) -> tuple[np.ndarray, np.ndarray]:
    return np.stack([t.mean for t in tracks]), np.stack([t.covariance for t in tracks])


def _looks(tracks) -> np.ndarray:
    return np.stack([t.embedding for t in tracks])


def _blend(old: np.ndarray, new: np.ndarray, share: float) -> np.ndarray:
    if np.isnan(old[0]) or np.isnan(new[0]):
        return old if np.isnan(new[0]) else new
    mixed = (1 - share) * old + share * new
    return mixed / max(np.linalg.norm(mixed), 1e-12)


def _check_detections(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    boxes.require(table, [*BOX, "confidence"], "the table of detections")
    score = table["confidence"].to_numpy(np.float32)
    if not np.isfinite(score).all():
        raise ValueError("a detection has confidence NaN or infinity; give each box a number")
    return boxes.as_boxes(table[BOX].to_numpy()), score
