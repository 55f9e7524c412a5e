"""A network in use: images to its input, its embeddings, and its score on a data set."""

import contextlib
from collections.abc import Iterator
from functools import cache

import numpy as np
import torch
from scipy.linalg import orthogonal_procrustes
from torch import nn

from reidlib import assets
from reidlib.collection import datasets, transforms
from reidlib.model import networks, ranking


def to_input(batch: np.ndarray, device: torch.device | str = "cpu") -> torch.Tensor:
    """Return a batch as the network's input, on `device`.

    uint8 images (N, H, W, 3) become normalised float (N, 3, H, W) in channels-last memory, which
    CPUs and GPUs convolve faster; feature vectors (N, D) pass unchanged.
    """
    if batch.ndim == 2:
        return torch.from_numpy(batch).to(device, torch.float32)
    values = torch.from_numpy(np.ascontiguousarray(batch)).to(device).float()
    # (v / 255 - mean) / std, as transforms.normalise, but by one multiplication and one addition,
    # by row of pixels, in the network's own threads: three times as fast.
    mean, std = (
        torch.tensor(statistic, device=device).repeat(batch.shape[2])
        for statistic in transforms.NORMALISATIONS["imagenet"]
    )
    rows = values.view(-1, len(mean))
    torch.addcmul(-mean / std, rows, 1 / (255 * std), out=rows)
    return values.permute(0, 3, 1, 2)


@torch.inference_mode()
def embed(model: nn.Module, images: np.ndarray, batch: int = 64) -> np.ndarray:
    """Return unit embeddings (N, dim) of uint8 images (N, H, W, 3) or of feature vectors (N, D).

    `batch` rows go through the network at a time; the model is left in the mode that it was in.
    """
    keep_freed_memory()
    device = next(model.parameters()).device
    training = model.training
    model.eval()  # batch normalisation by what training has seen, not by the neighbours in a batch
    parts = []
    for start in range(0, len(images), batch):
        inputs = to_input(images[start : start + batch], device)
        parts.append(model(inputs).float().cpu().numpy())
    model.train(training)
    return np.concatenate(parts) if parts else np.zeros((0, model.dim), np.float32)


def evaluate(
    model: nn.Module, dataset: datasets.Dataset, size: tuple[int, int] = networks.SIZE
) -> ranking.Result:
    """Rank the data set's gallery for each query with `model`; see ranking.evaluate."""
    parts = (datasets.read_images(part.path, size) for part in (dataset.query, dataset.gallery))
    query, gallery = (embed(model, images) for images in parts)
    return ranking.score(query, gallery, dataset)


def pick_device(name: str = "auto") -> torch.device:
    """Return the torch device called `name`; "auto" is a GPU if there is one, else the CPU.

    Raises ValueError for a device that this machine does not have.
    """
    assets.check_device(name)
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


@cache
def keep_freed_memory() -> None:
    """Have glibc keep up to 64 MB of freed memory, a limit that it sets when 32 MB are freed.

    Before, it gives a network's activations back to the system after each batch, and fetching them
    anew can take as long as the network itself. Other systems are not changed.
    """
    np.empty(2**25 - 2**13, np.uint8)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Have torch use one thread: on so small a network as a head, threads wait more than work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def on_a_plane(vectors: np.ndarray, before: np.ndarray | None = None) -> np.ndarray:
    """Return vectors (N, D) as points (N, 2): the two directions in which they spread most (PCA).

    Which way these point means nothing, so they are turned, or mirrored, to where the same N lay
    `before`, (N, 2): what moves from one picture to the next has moved (Schönemann, 1966).

    >>> on_a_plane([[0, 0, 3], [0, 0, -3], [0, 1, 0], [0, -1, 0]]).round(6).tolist()[0]
    [3.0, 0.0]
    """
    vectors = np.asarray(vectors, float)
    left, spread, _ = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
    points = left[:, :2] * spread[:2]
    if before is None:
        return points
    return points @ orthogonal_procrustes(points, before)[0]
