"""The toy world of lesson 04: points on a plane instead of images, moved by a loss."""

from __future__ import annotations

import numpy as np

from reidlib import style
from reidlib.model import plots

LABELS = np.repeat([1, 2, 3], 4)  # three people, four images each


def start(seed: int = 0) -> np.ndarray:
    """Return where the twelve points begin, (12, 2): each person a loose cloud over the others'."""
    rng = np.random.default_rng(seed)
    centres = 0.45 * np.array([[np.cos(a), np.sin(a)] for a in np.radians([90, 210, 330])])
    return centres[LABELS - 1] + rng.normal(0, 0.45, (len(LABELS), 2))


def gradient(loss, points: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the value of a loss (of the module losses) at points (N, 2), and its gradient."""
    import torch

    x = torch.tensor(points, requires_grad=True)
    value = loss(x, torch.from_numpy(LABELS))
    value.backward()
    return value.item(), x.grad.numpy()


def move(loss, points: np.ndarray, steps: int, rate: float = 0.6) -> np.ndarray:
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

    measure = {
        "contrastive": lambda: losses.ContrastiveLoss(margin, normalize=False),
        "triplet": lambda: losses.TripletLoss(margin, mining, normalize=False),
        "margin": lambda: losses.MarginLoss(margin, beta, normalize=False),
    }[loss]()
    path = move(measure, start(seed), steps)
    points = path[-1]
    value, slope = gradient(measure, points)
    away = np.linalg.norm(points[:, None] - points, axis=2)
    same = LABELS[:, None] == LABELS
    partners = same & ~np.eye(len(LABELS), dtype=bool)
    wrong = away[:, :, None] > away[:, None, :]
    wrong = wrong[partners[:, :, None] & ~same[:, None, :]].mean()
    moving = int((np.linalg.norm(slope, axis=1) > 1e-4).sum())
    farthest = away[0][partners[0]].max()
    rings = {
        "contrastive": {"margin: strangers inside are pushed": margin},
        "triplet": {"farthest partner": farthest, "plus margin": farthest + margin},
        "margin": {"beta - margin": max(beta - margin, 0), "beta + margin": beta + margin},
    }[loss]
    name = f"{loss}, {mining}" if loss == "triplet" else loss
    title = f"{name}, margin {margin:g}, after {steps} steps"
    sentence = (
        f"Loss {value:.3f}. Farthest pair of one person {away[same].max():.2f}, nearest of two "
        f"{away[~same].min():.2f}. {wrong:.0%} of the triplets are in the wrong order; {moving} of "
        f"{len(points)} points still move."
    )
    return plots.forces(points, LABELS, slope, rings, 0, path, title), sentence
