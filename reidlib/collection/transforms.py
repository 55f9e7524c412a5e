"""Changing images: size, geometry, colour, erasing; random for training; normalisation.

Images are (H, W, 3) uint8 RGB and are never changed in place.
"""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

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
    """Return the image at ``size = (height, width)``; ValueError when it holds no pixel."""
    height, width = size
    if not image.size:
        raise ValueError(f"an image of shape {image.shape} holds no pixel; drop empty boxes first")
    # Down to half a side, bilinear is as good as averaging areas and ten times as fast.
    much = height * width < 0.25 * image.shape[0] * image.shape[1]
    how = cv2.INTER_AREA if much else cv2.INTER_LINEAR
    return cv2.resize(image, (width, height), interpolation=how)


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


_rotate = rotate  # for `augment`, which has an argument of that name


def contrast(image: np.ndarray, factor: float) -> np.ndarray:
    """Return the image with its distance from its mean grey multiplied by `factor`."""
    return _linear(image, (factor,) * 3, (1 - factor) * image.mean())


def brightness(image: np.ndarray, factor: float) -> np.ndarray:
    """Return the image with every value multiplied by `factor`, cut at 255."""
    return _linear(image, (factor,) * 3)


def white_balance(image: np.ndarray, gains: Sequence[float]) -> np.ndarray:
    """Return the image with red, green and blue multiplied by three `gains`, cut at 255."""
    return _linear(image, gains)


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
    pixels, aspect = rng.uniform(*area) * height * width, math.exp(rng.uniform(-1.2, 1.2))
    h = min(height, max(1, round(math.sqrt(pixels * aspect))))
    w = min(width, max(1, round(math.sqrt(pixels / aspect))))
    y, x = rng.integers(height - h + 1), rng.integers(width - w + 1)
    result = image.copy()
    result[y : y + h, x : x + w] = rng.integers(0, 256, 3)
    return result


def augment(
    images: np.ndarray,
    rng: np.random.Generator,
    *,
    crop: float = 0.12,
    flip: float = 0.5,
    rotate: float = 0.0,
    brightness: float = 0.15,
    contrast: float = 0.15,
    white_balance: float = 0.06,
    blur: float = 0.1,
    erase: float = 0.4,
) -> np.ndarray:
    """Return a batch of images (N, H, W, 3) uint8, each changed at random, for training.

    `crop` is the largest share of height and of width cut off before resizing back; `flip`, `blur`
    and `erase` are probabilities; `rotate` is the largest turn in degrees; the colour strengths are
    the largest relative change. 0 switches one off. The same state of `rng` gives the same result.
    """
    count, height, width = images.shape[:3]
    sizes = np.rint((height, width) * (1 - crop * rng.random((count, 2)))).astype(int)
    corners = (rng.random((count, 2)) * ((height, width) - sizes + 1)).astype(int)
    mirrored, blurred, erased = rng.random((3, count)) < [[flip], [blur], [erase]]
    degrees = rng.uniform(-rotate, rotate, count)
    stretch = 1 + rng.uniform(-contrast, contrast, (count, 1))
    gains = 1 + rng.uniform(-white_balance, white_balance, (count, 3))
    gains *= 1 + rng.uniform(-brightness, brightness, (count, 1))
    offsets = gains * (1 - stretch) * images[:, ::8, ::8].mean(axis=(1, 2, 3))[:, None]
    colours = _colour_matrices(gains * stretch, offsets)
    result = np.empty_like(images)
    for i, ((h, w), (y, x)) in enumerate(zip(sizes.tolist(), corners.tolist())):
        image = cv2.resize(images[i, y : y + h, x : x + w], (width, height))
        image = cv2.transform(image, colours[i])
        if mirrored[i]:
            image = cv2.flip(image, 1)
        if degrees[i]:
            image = _rotate(image, degrees[i])
        if blurred[i]:
            image = cv2.GaussianBlur(image, (3, 3), 0.8)
        result[i] = random_erase(image, rng) if erased[i] else image
    return result


def to_batch(images: Sequence[np.ndarray], size: tuple[int, int]) -> np.ndarray:
    """Return images of any size as one batch (N, height, width, 3) uint8, ``size`` that of each."""
    batch = np.empty((len(images), *size, 3), np.uint8)
    for row, image in zip(batch, images):
        row[:] = image if image.shape[:2] == tuple(size) else resize(image, size)
    return batch


def one_ahead(prepare: Callable, items: Iterable) -> Iterator:
    """Yield ``prepare(item)`` for each item in turn, while a thread prepares the next one.

    OpenCV keeps to that one thread: more of its own would wait for those of the network.
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with ThreadPoolExecutor(1) as pool:
            waiting = deque()
            for item in items:
                waiting.append(pool.submit(prepare, item))
                if len(waiting) > 1:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
    finally:
        cv2.setNumThreads(threads)


def normalise(images: np.ndarray, how: str = "imagenet") -> np.ndarray:
    """Return uint8 images (..., 3) as float32 with the statistics of `how`.

    `how` is ``"0..1"``, ``"-1..1"`` or ``"imagenet"``; ValueError for any other.
    """
    mean, std = _statistics(how)
    table = (np.arange(256, dtype=np.float32)[:, None] / 255 - mean) / std
    if not images.size:
        return images.astype(np.float32)
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


def _linear(image: np.ndarray, gains: Sequence[float], offset: float = 0.0) -> np.ndarray:
    """Return ``gains * value + offset`` channel by channel, rounded and cut to 0..255."""
    return cv2.transform(image, _colour_matrices(np.array([gains]), np.array([[offset]]))[0])


def _colour_matrices(gains: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Return (N, 3, 4) matrices of ``gains (N, 3) * value + offsets (N, 1 or 3)``, for OpenCV."""
    matrices = np.zeros((len(gains), 3, 4))
    matrices[:, range(3), range(3)] = gains
    matrices[:, :, 3] = offsets
    return matrices
