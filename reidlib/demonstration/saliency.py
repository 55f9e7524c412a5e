"""Why two pictures match: what each part of one adds to their likeness."""

from collections.abc import Callable

import numpy as np


def importance(
    extractor: Callable, image: np.ndarray, other: np.ndarray, patch: int = 24, step: int = 8
) -> np.ndarray:
    """Return how much each pixel of a crop (H, W, 3) adds to its similarity with another vector.

    A square of `patch` pixels in the crop's mean colour covers one place after another; the loss of
    cosine similarity with `other` (D,) is the importance of what it hid (Zeiler and Fergus, 2014).
    """
    height, width = image.shape[:2]
    places = [
        (slice(y, y + patch), slice(x, x + patch))
        for y in range(0, max(height - patch, 0) + 1, step)
        for x in range(0, max(width - patch, 0) + 1, step)
    ]
    covered = np.repeat(image[None], len(places) + 1, axis=0)
    for copy, place in zip(covered, places):  # the last copy stays whole
        copy[place] = image.mean(axis=(0, 1))
    similarity = extractor(covered) @ other
    total, count = np.zeros((2, height, width), np.float32)
    for place, lost in zip(places, similarity[-1] - similarity[:-1]):
        total[place] += lost
        count[place] += 1
    return total / np.maximum(count, 1)
