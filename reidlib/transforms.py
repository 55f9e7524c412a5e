"""Changing images: size, geometry, colour, erasing; random for training; normalisation.

Images are (H, W, 3) uint8 RGB and are never changed in place.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from reidlib import boxes

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# A value v in 0..1 becomes (v - mean) / std.
NORMALISATIONS = {
    "0..1": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "-1..1": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "imagenet": (IMAGENET_MEAN, IMAGENET_STD),
}


def resize(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the image at ``size = (height, width)``; areas are averaged when it shrinks."""
    height, width = size
    if not image.size:
        raise ValueError(f"an image of shape {image.shape} holds no pixel and cannot be resized")
    shrinks = height * width < 0.5 * image.shape[0] * image.shape[1]
    return cv2.resize(image, (width, height), interpolation=3 if shrinks else cv2.INTER_LINEAR)


def crop(image: np.ndarray, box: Sequence[float]) -> np.ndarray:
    """Return the part of the image inside one box ``x1 y1 x2 y2``, as a copy."""
    return boxes.crop(image, [box])[0].copy()


def flip(image: np.ndarray) -> np.ndarray:
    """Return the image mirrored left to right."""
    return np.ascontiguousarray(image[:, ::-1])


def rotate(image: np.ndarray, degrees: float) -> np.ndarray:
    """Return the image turned counter-clockwise about its centre; borders are mirrored."""
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
    return cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REFLECT_101)


def contrast(image: np.ndarray, factor: float) -> np.ndarray:
    """Return the image with its distance from its mean grey multiplied by `factor`."""
    mean = image.mean()
    return _values((np.arange(256) - mean) * factor + mean, image)


def brightness(image: np.ndarray, factor: float) -> np.ndarray:
    """Return the image with every value multiplied by `factor`, cut at 255."""
    return _values(np.arange(256) * factor, image)


def white_balance(image: np.ndarray, gains: Sequence[float]) -> np.ndarray:
    """Return the image with red, green and blue multiplied by three `gains`, cut at 255."""
    return _values(np.arange(256)[:, None] * np.asarray(gains, float), image)


def blur(image: np.ndarray, sigma: float) -> np.ndarray:
    """Return the image under a Gaussian blur of `sigma` pixels; 0 changes nothing."""
    return cv2.GaussianBlur(image, (0, 0), sigma) if sigma > 0 else image.copy()


def jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    """Return the image after JPEG compression, `quality` 1 to 100."""
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def random_erase(
    image: np.ndarray, rng: np.random.Generator, area: tuple[float, float] = (0.02, 0.25)
) -> np.ndarray:
    """Return the image with a random rectangle of one random colour (Zhong et al., 2020).

    `area` bounds the share of the image that is erased; height to width lies between 0.3 and 3.3.
    """
    height, width = image.shape[:2]
    pixels, aspect = rng.uniform(*area) * height * width, np.exp(rng.uniform(-1.2, 1.2))
    h = min(height, max(1, round(np.sqrt(pixels * aspect))))
    w = min(width, max(1, round(np.sqrt(pixels / aspect))))
    y, x = rng.integers(height - h + 1), rng.integers(width - w + 1)
    result = image.copy()
    result[y : y + h, x : x + w] = rng.integers(0, 256, 3)
    return result


def augment(
    images: np.ndarray,
    rng: np.random.Generator,
    *,
    flip: float = 0.5,
    shift: float = 0.06,
    scale: float = 0.08,
    rotate: float = 0.0,
    brightness: float = 0.15,
    contrast: float = 0.15,
    white_balance: float = 0.06,
    blur: float = 0.1,
    erase: float = 0.4,
) -> np.ndarray:
    """Return a batch of images (N, H, W, 3) uint8, each changed at random; for training.

    `flip`, `blur` and `erase` are probabilities; `shift` is the largest move as a share of the
    size, `scale`, `brightness`, `contrast` and `white_balance` the largest relative change, and
    `rotate` the largest turn in degrees. 0 switches one off. The same `rng` state gives the same
    result. Geometry is one warp and colour one table look-up an image, to keep pace with training.
    """
    count, height, width = images.shape[:3]
    matrices = _affine(rng, count, (height, width), flip, shift, scale, rotate)
    tables = _colour_tables(rng, images, brightness, contrast, white_balance)
    sigmas = np.where(rng.random(count) < blur, rng.uniform(0.4, 1.2, count), 0.0)
    erased = rng.random(count) < erase
    result = np.empty_like(images)
    for i in range(count):
        image = cv2.warpAffine(
            images[i], matrices[i], (width, height), borderMode=cv2.BORDER_REFLECT_101
        )
        image = cv2.LUT(image, tables[i])
        if sigmas[i]:
            image = cv2.GaussianBlur(image, (0, 0), sigmas[i])
        result[i] = random_erase(image, rng) if erased[i] else image
    return result


def to_batch(images: Sequence[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """Return images of any size as one batch (N, height, width, 3) uint8, ``size`` that of each."""
    batch = np.empty((len(images), *size, 3), np.uint8)
    for row, image in zip(batch, images):
        row[:] = image if image.shape[:2] == tuple(size) else resize(image, size)
    return batch


def normalise(images: np.ndarray, how: str = "imagenet") -> np.ndarray:
    """Return uint8 images (..., 3) as float32 with the statistics of `how`.

    `how` is ``"0..1"``, ``"-1..1"`` or ``"imagenet"``; ValueError for any other.
    """
    mean, std = _statistics(how)
    table = (np.arange(256, dtype=np.float32)[:, None] / 255 - mean) / std
    values = cv2.LUT(images.reshape(1, -1, 3), table[:, None])  # ten times as fast as broadcasting
    return values.reshape(images.shape)


def denormalise(values: np.ndarray, how: str = "imagenet") -> np.ndarray:
    """Return uint8 images from normalised ones, the inverse of `normalise`."""
    mean, std = _statistics(how)
    return np.clip(np.rint((values * std + mean) * 255), 0, 255).astype(np.uint8)


def _statistics(how: str) -> tuple[np.ndarray, np.ndarray]:
    if how not in NORMALISATIONS:
        raise ValueError(f"unknown normalisation {how!r}; choose from {', '.join(NORMALISATIONS)}")
    mean, std = NORMALISATIONS[how]
    return np.array(mean, np.float32), np.array(std, np.float32)


def _values(table: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Replace each value by its entry in a table of 256 rows, one column for all or one each."""
    table = np.clip(np.rint(table), 0, 255).astype(np.uint8).reshape(256, 1, -1)
    return cv2.LUT(image, table)


def _affine(rng, count, size, flip, shift, scale, rotate) -> np.ndarray:
    """Return (N, 2, 3) matrices that flip, move, scale and turn about the centre."""
    height, width = size
    angle = np.radians(rng.uniform(-rotate, rotate, count))
    zoom = np.exp(rng.uniform(-scale, scale, count))
    mirror = np.where(rng.random(count) < flip, -1.0, 1.0)
    cosine, sine = zoom * np.cos(angle), zoom * np.sin(angle)
    matrices = np.empty((count, 2, 3))
    matrices[:, 0, 0], matrices[:, 0, 1] = cosine * mirror, sine
    matrices[:, 1, 0], matrices[:, 1, 1] = -sine * mirror, cosine
    centre = np.array([(width - 1) / 2, (height - 1) / 2])
    move = rng.uniform(-shift, shift, (count, 2)) * (width, height)
    matrices[:, :, 2] = centre + move - matrices[:, :, :2] @ centre
    return matrices


def _colour_tables(rng, images, brightness, contrast, white_balance) -> np.ndarray:
    """Return (N, 256, 1, 3) tables from old value to new."""
    count = len(images)
    mean = images[:, ::4, ::4].mean(axis=(1, 2, 3))[:, None, None]
    gain = 1 + rng.uniform(-brightness, brightness, (count, 1, 1))
    gain = gain * (1 + rng.uniform(-white_balance, white_balance, (count, 1, 3)))
    stretch = 1 + rng.uniform(-contrast, contrast, (count, 1, 1))
    values = ((np.arange(256.0)[None, :, None] - mean) * stretch + mean) * gain
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)[:, :, None]
