"""Colour histograms of horizontal body stripes, and how to leave the background out of them."""

import cv2
import numpy as np

from reidlib.model.distances import unit

SPACES = {
    "rgb": (None, (256, 256, 256)),
    "hsv": (cv2.COLOR_RGB2HSV, (180, 256, 256)),
    "lab": (cv2.COLOR_RGB2LAB, (256, 256, 256)),
}


def stripes(
    images: np.ndarray,
    space: str = "hsv",
    stripes: int = 6,
    bins: int = 16,
    background: str | None = None,
) -> np.ndarray:
    """Return colour histograms of horizontal body stripes, (N, stripes * 3 * bins), unit rows.

    Each channel of `space` ("hsv", "lab" or "rgb") is counted alone, in each stripe; square roots
    make the dot product the Bhattacharyya coefficient. `background` weighs pixels by `foreground`.
    """
    if space not in SPACES or stripes < 1 or bins < 2:
        raise ValueError(
            f"space {space!r}, {stripes} stripes, {bins} bins; expected one of "
            f"{', '.join(SPACES)}, at least 1 stripe and 2 bins"
        )
    count, height, width = images.shape[:3]
    code, ranges = SPACES[space]
    flat = images.reshape(count * height, width, 3)  # OpenCV converts them all as one tall image
    if code is not None:
        flat = cv2.cvtColor(flat, code)
    weights = None if background is None else foreground(images, background).ravel()
    stripe = np.arange(height) * stripes // height
    # All histograms are counted at once: a pixel's number is that of its image and stripe, times
    # `bins`, plus that of its colour.
    cell = (np.arange(count)[:, None] * stripes + stripe)[:, :, None] * bins
    counts = []
    for channel, span in enumerate(ranges):
        bin_of = (np.arange(256) * bins // span).clip(max=bins - 1)
        index = cell + bin_of[flat[..., channel]].reshape(count, height, width)
        total = np.bincount(index.ravel(), weights, minlength=count * stripes * bins)
        counts.append(total.reshape(count, stripes, bins))
    shares = np.stack(counts, axis=2)
    shares = shares / np.maximum(shares.sum(axis=3, keepdims=True), 1e-12)
    return unit(np.sqrt(shares).reshape(count, stripes * 3 * bins).astype(np.float32))


def foreground(images: np.ndarray, how: str = "ellipse") -> np.ndarray:
    """Return how likely each pixel shows the person, float32 (N, H, W) from 0 to 1.

    "ellipse" only knows that people stand in the middle of their box; "grabcut" starts from there
    and separates colours (Rother et al., 2004), 5 to 30 ms an image.
    """
    if how not in ("ellipse", "grabcut"):
        raise ValueError(f"unknown background {how!r}; choose from ellipse, grabcut")
    count, height, width = images.shape[:3]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    radius = np.hypot((x + 0.5) / width * 2 - 1, ((y + 0.5) / height * 2 - 1) * 0.7)
    prior = 1 / (1 + np.exp((radius - 0.65) / 0.08))
    if how == "ellipse":
        return np.broadcast_to(prior, (count, height, width)).astype(np.float32)
    guess = np.select([prior > 0.5, prior > 0.02], [cv2.GC_PR_FGD, cv2.GC_PR_BGD], cv2.GC_BGD)
    masks = np.empty((count, height, width), np.float32)
    for image, mask in zip(images, masks):
        labels, none = guess.astype(np.uint8), np.zeros((1, 65))
        cv2.setRNGSeed(0)  # its clustering draws from a global state: the same image, the same mask
        cv2.grabCut(image, labels, None, none, none.copy(), 2, cv2.GC_INIT_WITH_MASK)
        found = labels & 1  # foreground and probable foreground are odd
        mask[:] = found if found.any() else prior
    return masks


def stripe_counts(
    image: np.ndarray, space: str = "hsv", rows: int = 6, bins: int = 16, channel: int = 1, **how
) -> np.ndarray:
    """Return one channel's histogram in each of `rows` body stripes, (rows, bins), sum 1."""
    vector = stripes(image[None], space, rows, bins, **how)
    shares = vector.reshape(rows, 3, bins)[:, channel - 1] ** 2
    return shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-12)
