"""The toy world of lesson 04: points on a plane instead of images, moved by a loss."""

import numpy as np

from reidlib import style
from reidlib.model import plots

LABELS = np.repeat([1, 2, 3], 4)  # three people, four images each
RATE = 0.6  # how far a step goes down the gradient


def start(seed: int = 0) -> np.ndarray:
    """Return where the twelve points begin, (12, 2): each person a loose cloud over the others'."""
    rng = np.random.default_rng(seed)
    angles = np.radians([90, 210, 330])
    centres = 0.45 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return centres[LABELS - 1] + rng.normal(0, 0.45, (len(LABELS), 2))


def gradient(loss, points: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the value of a loss (of the module losses) at points (N, 2), and its gradient."""
    import torch

    x = torch.tensor(points, requires_grad=True)
    value = loss(x, torch.from_numpy(LABELS))
    value.backward()
    return value.item(), x.grad.numpy()


def move(loss, points: np.ndarray, steps: int, rate: float = RATE) -> np.ndarray:
    """Return the points' way down the gradient, (steps + 1, N, 2), the start included."""
    path = [points]
    for _ in range(steps):
        path.append(path[-1] - rate * gradient(loss, path[-1])[1])
    return np.stack(path)


def world(
    loss: str = "triplet",
    margin: float = 0.3,
    mining: str = "hard",
    steps: int = 0,
    beta: float = 1.0,
    seed: int = 0,
) -> tuple[style.Figure, str]:
    """Return the world after some steps under a loss, as a figure, and a sentence that sums it up.

    Distances are those on the plane: nothing is scaled to unit length here.
    """
    from reidlib.model import losses

    measure = losses.make(loss, margin, mining, beta)
    measure.normalize = False
    path = move(measure, start(seed), steps)
    points = path[-1]
    value, slope = gradient(measure, points)
    distances = np.linalg.norm(points[:, None] - points, axis=2)
    same = LABELS[:, None] == LABELS
    partners = same & ~np.eye(len(LABELS), dtype=bool)
    # A triplet (anchor, partner, stranger) is in the wrong order if the stranger is nearer.
    triplets = partners[:, :, None] & ~same[:, None, :]
    wrong = (distances[:, :, None] > distances[:, None, :])[triplets].mean()
    moving = np.count_nonzero(np.linalg.norm(slope, axis=1) > 1e-4)
    farthest = distances[0, partners[0]].max()
    if loss == "contrastive":
        rings = {"margin: strangers inside are pushed": margin}
    elif loss == "triplet":
        rings = {"farthest partner": farthest, "plus margin": farthest + margin}
    else:
        rings = {"beta - margin": max(beta - margin, 0), "beta + margin": beta + margin}
    name = f"{loss}, {mining}" if loss == "triplet" else loss
    title = f"{name}, margin {margin:g}, after {steps} steps"
    sentence = (
        f"Loss {value:.3f}. Farthest pair of one person {distances[same].max():.2f}, nearest of "
        f"two {distances[~same].min():.2f}. {wrong:.0%} of the triplets are in the wrong order; "
        f"{moving} of {len(points)} points still move."
    )
    return plots.forces(points, LABELS, slope, rings, 0, path, title), sentence
