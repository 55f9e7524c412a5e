"""What ties a box to a track: motion, appearance, and the assignment that weighs them."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

FORBIDDEN = 1e6  # a cost that no assignment may take

# Motion: position and constant velocity of four independent numbers, all tracks at once (Kalman,
# 1960). Noise is in shares of a person's height, as people farther away move fewer pixels.

STEP = np.array([[1.0, 1.0], [0.0, 1.0]])
POSITION_NOISE, VELOCITY_NOISE = 1 / 20, 1 / 160


def start_motion(box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean (4, 2) and covariance (4, 2, 2) for a box (4,) first seen, speed unknown."""
    measured = centre_size(box[None])[0]
    scale = measured[3] * np.array([2 * POSITION_NOISE, 10 * VELOCITY_NOISE])
    mean = np.column_stack([measured, np.zeros(4)])
    return mean, np.tile(np.diag(scale**2), (4, 1, 1))


def predict_motion(mean: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Move N tracks one frame on: means (N, 4, 2), covariances (N, 4, 2, 2)."""
    scale = np.maximum(mean[:, 3, 0], 1)[:, None] * np.array([POSITION_NOISE, VELOCITY_NOISE])
    noise = scale[:, None, :, None] ** 2 * np.eye(2)
    return mean @ STEP.T, STEP @ covariance @ STEP.T + noise


def correct_motion(
    mean: np.ndarray, covariance: np.ndarray, measured: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Correct N tracks with the boxes (N, 4) assigned to them; arrays as in `predict_motion`."""
    measured = centre_size(measured)
    noise = (np.maximum(measured[:, 3:], 1) * POSITION_NOISE) ** 2
    gain = covariance[..., 0] / (covariance[..., 0, :1] + noise[..., None])  # (N, 4, 2)
    surprise = measured - mean[..., 0]
    mean = mean + gain * surprise[..., None]
    return mean, covariance - gain[..., None] * covariance[..., :1, :]


def centre_size(box: np.ndarray) -> np.ndarray:
    """Convert boxes (N, 4) to centre x, centre y, width, height."""
    return np.concatenate([(box[:, :2] + box[:, 2:]) / 2, box[:, 2:] - box[:, :2]], axis=1)


def assign(cost: np.ndarray, method: str = "hungarian") -> list[tuple[int, int]]:
    """Return pairs (row, column) that are allowed (cost below FORBIDDEN), each used once.

    "hungarian" minimises the sum of costs (Kuhn, 1955); "greedy" takes the cheapest pair, then the
    cheapest of what is left.

    >>> cost = np.array([[1.0, 2.0], [2.0, 9.0]])
    >>> assign(cost), assign(cost, "greedy")
    ([(0, 1), (1, 0)], [(0, 0), (1, 1)])
    """
    if method == "hungarian":
        pairs = zip(*linear_sum_assignment(cost))
        return [(int(r), int(c)) for r, c in pairs if cost[r, c] < FORBIDDEN]
    cost, pairs = cost.copy(), []
    while cost.size and cost.min() < FORBIDDEN:
        row, column = (int(i) for i in np.unravel_index(cost.argmin(), cost.shape))
        pairs.append((row, column))
        cost[row], cost[:, column] = FORBIDDEN, FORBIDDEN
    return sorted(pairs)


class Appearance:
    """A distance between looks whose scale does not depend on the network.

    0 is as alike as one person from one frame to the next, 1 is as different as two strangers. Both
    are learnt from the video as it runs: boxes of one frame are strangers, and a box alone on the
    prediction of a track is that person. Begins with values usual for re-identification networks.
    """

    def __init__(self):
        self.same, self.other, self.seen = 0.9, 0.5, {"same": 20, "other": 20}

    def learn(self, kind: str, similarities: np.ndarray) -> None:
        """Add cosine similarities of one person (`kind` "same") or of strangers ("other")."""
        if len(similarities):
            self.seen[kind] = min(self.seen[kind] + len(similarities), 2000)
            step = min(len(similarities) / self.seen[kind], 1)
            setattr(self, kind, (1 - step) * getattr(self, kind) + step * np.mean(similarities))

    def distance(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Return distances of unit vectors (N, D) and (M, D), shape (N, M); NaN for a NaN row."""
        return np.maximum((self.same - a @ b.T) / max(self.same - self.other, 0.05), 0)
