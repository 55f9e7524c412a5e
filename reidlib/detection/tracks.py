"""What a tracker remembers: boxes that were seen, whose they are, and the scene of a frame."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from reidlib.detection.association import corners


class Observation(NamedTuple):
    """A box that was assigned to a track."""

    frame: int  # of the tracker: how many updates came before
    index: int  # row of the box among that frame's detections
    box: np.ndarray  # (4,) as detected
    confidence: float


class Scene(NamedTuple):
    """What a frame shows: N boxes (N, 4), confidences (N,), unit embeddings (N, D) or None."""

    boxes: np.ndarray
    confidence: np.ndarray
    embeddings: np.ndarray | None
    crowded: np.ndarray | None  # bool (N,): half of the crop would be somebody else


@dataclass
class Track:
    """What a tracker remembers of one person."""

    mean: np.ndarray  # (4, 2): centre x, centre y, width, height in pixels; the speed of each a s
    covariance: np.ndarray  # (4, 2, 2)
    embedding: np.ndarray  # (D,) unit vector: how the person looks, slowly updated; NaN if unknown
    id: int = 0  # 0 until confirmed
    age: int = 1  # frames since birth
    hits: int = 1  # frames in which a box was assigned
    missed: int = 0  # frames since the last of them
    unseen: float = 0.0  # seconds since the last of them
    history: list[Observation] = field(default_factory=list)

    @property
    def box(self) -> np.ndarray:
        """The estimated box, (4,): x1 y1 x2 y2."""
        return corners(self.mean[None, :, 0])[0]


def stack(tracks) -> tuple[np.ndarray, np.ndarray]:
    """Return the means (N, 4, 2) and covariances (N, 4, 2, 2) of N tracks."""
    return np.array([t.mean for t in tracks]), np.array([t.covariance for t in tracks])


def estimates(tracks) -> np.ndarray:
    """Return the estimated boxes of N tracks, (N, 4)."""
    return corners(np.array([t.mean[:, 0] for t in tracks]).reshape(-1, 4))


def embeddings_of(tracks) -> np.ndarray:
    """Return the embeddings of N tracks, (N, D)."""
    return np.stack([t.embedding for t in tracks])


def observe(frame: int, index: int, scene: Scene) -> Observation:
    """Return row `index` of a scene as what a track remembers of it."""
    return Observation(frame, index, scene.boxes[index], float(scene.confidence[index]))
