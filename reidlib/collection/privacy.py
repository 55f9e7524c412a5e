"""Footage of people: heads blurred, and a record of consent and of when to delete."""

import datetime
from collections.abc import Iterable, Mapping
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from reidlib import boxes
from reidlib.boxes import BOX
from reidlib.collection import capture, encoding, video

CONSENT = ("given", "refused", "withdrawn", "not needed")


def blur_heads(image: np.ndarray, people, share: float = 0.2, pixelate: bool = False) -> np.ndarray:
    """Return the image with every head blurred, or with `pixelate` shown as a few flat tiles.

    `people` are boxes of whole people, (N, 4). A head is a soft-edged ellipse around the top
    `share` of a box. All detail is averaged over a third of that share, whatever the resolution,
    so that sharpening does not bring a face back. No guarantee: gait and clothes still identify,
    and a person without a box stays as they are.
    """
    height, width = image.shape[:2]
    result = image.copy()
    for x1, y1, x2, y2 in boxes.as_boxes(people).astype(float):
        tall = (y2 - y1) * share
        centre = (x1 + x2) / 2, y1 + tall / 2
        radius = min(x2 - x1, 0.75 * tall), 0.75 * tall  # across, down
        corners = [c + sign * r for sign in (-1, 1) for c, r in zip(centre, radius)]
        left, top, right, bottom = np.rint(boxes.clip(corners, width, height)[0]).astype(int)
        if right <= left or bottom <= top:
            continue
        part = result[top:bottom, left:right]
        y, x = np.ogrid[top:bottom, left:right]
        distance = np.hypot((x + 0.5 - centre[0]) / radius[0], (y + 0.5 - centre[1]) / radius[1])
        opacity = np.clip((1 - distance) / 0.15, 0, 1)[..., None]
        hidden = _average(part, tall / 3, pixelate)
        part[:] = np.rint(part * (1 - opacity) + hidden * opacity)
    return result


def _average(part: np.ndarray, tile: float, pixelate: bool) -> np.ndarray:
    """Reduce an image to one colour a tile and bring it back to its size."""
    height, width = part.shape[:2]
    tile = max(tile, 2.0)  # far people too
    size = max(1, round(width / tile)), max(1, round(height / tile))
    tiles = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    # Interpolating between the tiles' colours says no more than the colours themselves, while a
    # Gaussian blur can be undone in part.
    how = cv2.INTER_NEAREST if pixelate else cv2.INTER_CUBIC
    return cv2.resize(tiles, (width, height), interpolation=how)


def blur_video(
    source: capture.Source,
    target: str | Path,
    table: pd.DataFrame,
    share: float = 0.2,
    pixelate: bool = False,
    hold: int = 2,
) -> int:
    """Write a copy of a video with heads blurred at the boxes of `table` (frame, x1 y1 x2 y2).

    A box also counts for the `hold` frames before and after its own, as detectors miss people now
    and then. Returns the number of frames; see `blur_heads`.
    """
    source = video.open(source)
    about = source.about
    found = {frame: rows for frame, rows in table.groupby("frame")[BOX]}
    with encoding.Writer(target, about.fps) as writer:
        frames = tqdm(source.read(), "blur", about.frames, unit="frame", leave=False, delay=2)
        for index, _, image in frames:
            near = [found.get(index + i, table[:0][BOX]) for i in range(-hold, hold + 1)]
            writer.write(blur_heads(image, np.concatenate(near), share, pixelate))
    return writer.frames


def consent_record(rows: Iterable[Mapping]) -> pd.DataFrame:
    """Return a record of footage: one row a clip and person, with the day to delete it.

    A row gives ``clip``, ``person``, ``purpose``, ``consent`` (given, refused, withdrawn, not
    needed), ``recorded`` (a date) and ``keep_days``; ``delete_after`` is added. Raises ValueError
    for missing or impossible entries. It follows the idea of storage limitation (GDPR, article
    5(1)(e)) and is no legal advice.

    >>> record = consent_record([dict(clip="a.mp4", person="P1", purpose="course",
    ...     consent="given", recorded="2026-01-10", keep_days=30)])
    >>> str(record.delete_after[0].date())
    '2026-02-09'
    """
    fields = ["clip", "person", "purpose", "consent", "recorded", "keep_days"]
    record = pd.DataFrame(list(rows)).reindex(columns=fields)
    if record.isna().any(axis=None):
        row, column = (int(i[0]) for i in np.nonzero(record.isna().to_numpy()))
        raise ValueError(f"row {row} of the record lacks {fields[column]!r}; fill in every field")
    wrong = record[~record.consent.isin(CONSENT)]
    if len(wrong):
        raise ValueError(f"consent {wrong.consent.iloc[0]!r}; choose from {', '.join(CONSENT)}")
    try:
        record["keep_days"] = pd.to_numeric(record.keep_days)
        record["recorded"] = pd.to_datetime(record.recorded, format="ISO8601")
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{error}; give recorded as 2026-01-31, for 10.01. and 01.10. look alike, and "
            "keep_days as a number"
        ) from error
    if (record.keep_days < 0).any():
        raise ValueError("keep_days below 0; say for how many days the clip may be kept")
    record["delete_after"] = record.recorded + pd.to_timedelta(record.keep_days, unit="D")
    return record


def due_for_deletion(record: pd.DataFrame, today: datetime.date | str) -> pd.DataFrame:
    """Return the rows whose time is over on `today`, or whose consent is refused or withdrawn."""
    late = pd.to_datetime(record.delete_after) < pd.Timestamp(today)
    return record[late | record.consent.isin(["refused", "withdrawn"])]
