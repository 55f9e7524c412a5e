"""Drawing on frames with OpenCV: light enough for every frame of a video."""

import zlib
from collections.abc import Sequence

import cv2
import numpy as np
import pandas as pd

# Okabe and Ito (2008): hues that people with any colour vision tell apart.
OKABE_ITO = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7")
UNKNOWN = (150, 150, 150)


def person_colour(identity) -> tuple[int, int, int]:
    """Return the RGB colour (0..255) of a person, the same for the same id in every picture.

    Seven hues in three lightnesses; ids below zero, None and NaN, "nobody known", are grey.

    >>> person_colour(3) == person_colour(3) != person_colour(4)
    True
    """
    if identity is None or identity != identity:
        return UNKNOWN
    try:
        number = int(identity)
    except (ValueError, OverflowError):
        number = zlib.crc32(str(identity).encode())
    if number < 0:
        return UNKNOWN
    hue = OKABE_ITO[number % len(OKABE_ITO)].lstrip("#")
    rgb = np.array([int(hue[i : i + 2], 16) for i in (0, 2, 4)])
    target, share = ((255, 0.0), (255, 0.5), (0, 0.35))[number // len(OKABE_ITO) % 3]
    return tuple(int(value) for value in rgb + (target - rgb) * share)


def ink(colour) -> str:
    """Return "white" or "black", whichever can be read on an RGB colour of values from 0 to 1.

    >>> ink((0.1, 0.1, 0.4)), ink((1.0, 0.9, 0.2))
    ('white', 'black')
    """
    return "white" if np.dot(colour, (0.299, 0.587, 0.114)) < 0.51 else "black"


def draw_tracks(
    image: np.ndarray, table: pd.DataFrame, identity: str = "track", thickness: int = 2
) -> np.ndarray:
    """Return a copy of an RGB image with one coloured, numbered box a row of `table`.

    `table` has columns x1 y1 x2 y2 (pixels) and one named `identity`, shown as the number and
    turned into the colour, grey without number below zero. Without that column boxes are orange and
    bear the confidence, if there is one.
    """
    canvas = np.ascontiguousarray(image).copy()
    corners = table[["x1", "y1", "x2", "y2"]].round().astype(int).to_numpy()
    if identity in table:
        names, colours = list(table[identity]), [person_colour(i) for i in table[identity]]
        texts = ["" if c == UNKNOWN else str(name) for name, c in zip(names, colours)]
    else:
        scores = table["confidence"] if "confidence" in table else [None] * len(table)
        texts = ["" if score is None else f"{score:.2f}" for score in scores]
        colours = [person_colour(0)] * len(table)
    for (x1, y1, x2, y2), text, colour in zip(corners.tolist(), texts, colours):
        cv2.rectangle(canvas, (x1, y1), (x2 - 1, y2 - 1), colour, thickness)
        _label(canvas, text, x1, y1, colour)
    return canvas


def banner(image: np.ndarray, text: str) -> np.ndarray:
    """Return a copy of an RGB image with a line of white text on a dark strip along its top."""
    canvas = np.ascontiguousarray(image).copy()
    canvas[:22] = canvas[:22] // 4
    cv2.putText(canvas, text, (6, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255,) * 3, 1, cv2.LINE_AA)
    return canvas


def side_by_side(images: Sequence[np.ndarray], height: int) -> np.ndarray:
    """Return RGB images scaled to `height` pixels and joined from left to right, even-sized."""
    scaled = []
    for image in images:
        width = max(2, round(image.shape[1] * height / image.shape[0]))
        scaled.append(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))
    joined = np.concatenate(scaled, axis=1)
    return joined[: joined.shape[0] // 2 * 2, : joined.shape[1] // 2 * 2]


def _label(canvas: np.ndarray, text: str, x: int, y: int, colour: tuple[int, int, int]) -> None:
    if not text:
        return
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)
    x = max(0, min(x, canvas.shape[1] - width - 6))
    top = max(0, y - height - 7)  # a box at the upper edge keeps its label inside the picture
    cv2.rectangle(canvas, (x, top), (x + width + 6, top + height + 7), colour, cv2.FILLED)
    written = (255,) * 3 if ink(np.divide(colour, 255)) == "white" else (0,) * 3
    at = (x + 3, top + height + 3)
    cv2.putText(canvas, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, written, 1, cv2.LINE_AA)
