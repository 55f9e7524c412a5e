"""What ties a box to a track: motion, overlap, appearance, and the assignment that weighs them."""

import numpy as np
from scipy.optimize import linear_sum_assignment

FORBIDDEN = 1e6  # a cost that no assignment may take

# Motion: position and speed of four independent numbers, all tracks at once (Kalman, 1960). Noise
# is in shares of a person's height, as people farther away move fewer pixels, and in seconds, so
# that a clip means the same at 5 and at 60 frames a second.

BOX_NOISE = 1 / 15  # heights by which a detected box misses the person, standard deviation
START_SPEED = 1.0  # heights a second that somebody new may walk, standard deviation
UNREST = 0.25  # heights a second by which a speed wanders within a second
REACH, FASTEST = 0.5, 2.5  # heights that somebody lost may have moved at once, and a second
SWAY = 0.1  # heights by which a box wanders within a second while the speed stays as it is


def start_motion(box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean (4, 2) and covariance (4, 2, 2) for a box (4,) first seen, speed unknown."""
    measured = centre_size(box[None])[0]
    scale = max(measured[3], 1) * np.array([2 * BOX_NOISE, START_SPEED])
    mean = np.column_stack([measured, np.zeros(4)])
    return mean, np.tile(np.diag(scale**2), (4, 1, 1))


def predict_motion(
    mean: np.ndarray, covariance: np.ndarray, seconds: float
) -> tuple[np.ndarray, np.ndarray]:
    """Move N tracks on by `seconds`: means (N, 4, 2), covariances (N, 4, 2, 2).

    Means are in pixels and pixels a second. Speed takes a random walk (Bar-Shalom et al., 2001,
    chapter 6), so uncertainty grows with the time unseen, and a box seen after a gap says more
    about the speed than the memory of it: what OC-SORT (Cao et al., 2023) gets by updating anew
    along the gap.
    """
    step = np.array([[1.0, seconds], [0.0, 1.0]])
    walk = np.array([[seconds**3 / 3, seconds**2 / 2], [seconds**2 / 2, seconds]])
    noise = UNREST**2 * walk + np.diag([SWAY**2 * seconds, 0])
    scale = np.maximum(mean[:, 3, 0], 1) ** 2
    return mean @ step.T, step @ covariance @ step.T + scale[:, None, None, None] * noise


def correct_motion(
    mean: np.ndarray, covariance: np.ndarray, measured: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Correct N tracks with the boxes (N, 4) assigned to them; arrays as in `predict_motion`."""
    measured = centre_size(measured)
    noise = (np.maximum(measured[:, 3:], 1) * BOX_NOISE) ** 2
    gain = covariance[..., 0] / (covariance[..., 0, :1] + noise[..., None])  # (N, 4, 2)
    surprise = measured - mean[..., 0]
    mean = mean + gain * surprise[..., None]
    return mean, covariance - gain[..., None] * covariance[..., :1, :]


def move_with_camera(
    mean: np.ndarray, covariance: np.ndarray, camera: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Carry N tracks into the picture of a camera that has moved; arrays as in `predict_motion`.

    `camera` (2, 3) takes places in the frame before to places in this one, see `CameraMotion`.
    Sizes and uncertainties grow with the zoom; a turn leaves both as they are.
    """
    turn, shift = camera[:, :2], camera[:, 2]
    zoom = np.sqrt(abs(np.linalg.det(turn)))
    moved = np.concatenate([turn @ mean[:, :2], zoom * mean[:, 2:]], axis=1)
    moved[:, :2, 0] += shift
    return moved, zoom**2 * covariance


def centre_size(box: np.ndarray) -> np.ndarray:
    """Convert boxes (N, 4) to centre x, centre y, width, height."""
    return np.concatenate([(box[:, :2] + box[:, 2:]) / 2, box[:, 2:] - box[:, :2]], axis=1)


def corners(state: np.ndarray) -> np.ndarray:
    """Convert centre x, centre y, width, height (N, 4) to boxes; no side is under a pixel."""
    half = np.maximum(state[:, 2:], 1) / 2
    return np.concatenate([state[:, :2] - half, state[:, :2] + half], axis=1)


def overlap(a: np.ndarray, b: np.ndarray, buffer: float = 0.0, heights: bool = False) -> np.ndarray:
    """Return how well boxes (N, 4) and (M, 4) overlap, 0 to 1, shape (N, M).

    This is intersection over union, of boxes grown by `buffer` of their size on every side (C-BIoU,
    Yang et al., 2023): who walks fast is still touched, and of those who stand far, the nearer one
    more. With `heights` it is multiplied by the same measure of the vertical sides alone
    (Hybrid-SORT, Yang et al., 2024): people pass one another sideways, but each keeps the height of
    head and feet.

    >>> fast = np.array([[0.0, 0, 10, 30]]), np.array([[11.0, 0, 21, 30]])
    >>> overlap(*fast).tolist(), overlap(*fast, buffer=0.3).round(2).tolist()
    ([[0.0]], [[0.19]])
    """
    # As (4, N) the sides are rows, each of which NumPy reads in one go.
    a, b = np.asarray(a, float).T[:, :, None], np.asarray(b, float).T[:, None, :]
    a, b = _grown(a, buffer), _grown(b, buffer)
    width = np.maximum(np.minimum(a[2], b[2]) - np.maximum(a[0], b[0]), 0)
    height = np.maximum(np.minimum(a[3], b[3]) - np.maximum(a[1], b[1]), 0)
    inside = width * height
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inside
    shared = inside / np.maximum(union, 1e-9)
    if heights:
        shared *= height / np.maximum(np.maximum(a[3], b[3]) - np.minimum(a[1], b[1]), 1e-9)
    return shared


def _grown(sides: np.ndarray, buffer: float) -> np.ndarray:
    margin = (sides[2:] - sides[:2]) * buffer
    return np.concatenate([sides[:2] - margin, sides[2:] + margin])


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
    """A distance between embeddings whose scale does not depend on the network.

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

    def between(self, a: np.ndarray, b: np.ndarray) -> float:
        """Return the distance of two vectors (D,) of any length, as sums of unit vectors are."""
        length = max(np.linalg.norm(a) * np.linalg.norm(b), 1e-12)
        return max((self.same - float(a @ b) / length) / max(self.same - self.other, 0.05), 0.0)


class Confidence:
    """How sure the detector usually is, learnt as the video runs.

    Detectors differ in what they call .7: for one it is everybody, for another hardly anybody. What
    is confident is therefore a share of the usual: the mean confidence of the boxes, each weighing
    as much as it is confident, so that a crowd of faint ones changes little.
    """

    def __init__(self):
        self.usual, self.seen = 0.0, 0.0

    def learn(self, scores: np.ndarray) -> None:
        """Add the confidences (N,) of the boxes of one frame."""
        weight = float(scores.sum())
        if weight > 0:
            self.seen = min(self.seen + weight, 2000)
            step = weight / self.seen
            self.usual += (float(scores @ scores) / weight - self.usual) * step


def crowded(found: np.ndarray) -> np.ndarray:
    """Say of which boxes (N, 4) half the crop would be somebody else, bool (N,)."""
    return (overlap(found, found) > 0.3).sum(axis=1) > 1  # every box overlaps itself


def blend(old: np.ndarray, new: np.ndarray, share: float) -> np.ndarray:
    """Return unit vectors (D,) mixed, `share` of the new one; one that is NaN does not count."""
    if np.isnan(old[0]) or np.isnan(new[0]):
        return old if np.isnan(new[0]) else new
    mixed = (1 - share) * old + share * new
    return mixed / max(np.linalg.norm(mixed), 1e-12)
