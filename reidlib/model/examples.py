"""What a training learns from: images or vectors in memory, and whom each of them shows."""

import warnings
import zlib

import numpy as np

from reidlib.collection import datasets


def in_memory(dataset, size: tuple[int, int]) -> tuple:
    """Return the images or vectors to learn from, whom each shows, and the cameras if known."""
    if isinstance(dataset, datasets.Dataset):
        table = dataset.train[shows_somebody(dataset.train.pid, least=1)]
        images = datasets.read_images(table.path, size)
        return images, table.pid.to_numpy(), table.camid.to_numpy()
    data, pids = np.asarray(dataset[0]), np.asarray(dataset[1])
    good = data.ndim == 2 or (data.ndim == 4 and data.dtype == np.uint8)
    if pids.shape != data.shape[:1] or not good:
        raise ValueError(
            f"{data.dtype} data of shape {data.shape} and {len(pids)} identities; expected uint8 "
            "images (N, H, W, 3) or vectors (N, D), and N identities"
        )
    if np.issubdtype(pids.dtype, np.number):
        chosen = shows_somebody(pids, least=0)
        if not chosen.all():
            data, pids = data[chosen], pids[chosen]
    return data, pids, None


def shows_somebody(pids, least: int) -> np.ndarray:
    """Return which images show a person to learn from, and say how many do not.

    In Market-1501 pid -1 is junk, a box that shows half a person or none, and 0 a distractor,
    anybody: taken for a person, either would teach that strangers are the same.
    """
    chosen = np.asarray(pids) >= least
    left_out = np.count_nonzero(~chosen)
    if left_out:
        what = "junk (pid -1)" if least == 0 else "junk (pid -1) or distractors (pid 0)"
        warnings.warn(f"{left_out} training images are {what} and are left out", stacklevel=4)
    return chosen


def fingerprint(data: np.ndarray, labels: np.ndarray) -> int:
    """Return a number that tells data sets apart: of their size, labels and every hundredth row."""
    some = np.ascontiguousarray(data[:: max(1, len(data) // 100)])
    return zlib.crc32(some, zlib.crc32(np.asarray([*data.shape, *labels], np.int64)))
