"""Detectors that need no weights, for films that the tests draw, and splits without images."""

import os
import time
from pathlib import Path

import numpy as np
import pandas as pd

from reidlib.boxes import BOX
from reidlib.collection import datasets, formats
from reidlib.detection import tracking


def by_colour(images):
    """Find the people by their colour: saturated pixels, one box a hue."""
    tables = []
    for image in images:
        rows = []
        for channel in range(3):
            others = np.delete(image.astype(int), channel, axis=2).max(axis=2)
            y, x = np.nonzero(image[..., channel] > others + 60)
            if len(x) > 50:
                rows.append((x.min(), y.min(), x.max() + 1, y.max() + 1, 0.9))
        tables.append(pd.DataFrame(rows, columns=[*BOX, "confidence"], dtype=float))
    return tables


def made_up_split(people, cameras=3, images=3, train=0.75):
    """Split people, seen so many times by each camera; nothing of them is on the disk."""
    each = range(1, people + 1), range(1, cameras + 1), range(images)
    pid, camid, _ = np.meshgrid(*each, indexing="ij")
    table = pd.DataFrame({"path": "", "pid": pid.ravel(), "camid": camid.ravel()})
    return datasets.split(table, train=train)


def in_white(images):
    """Find one person an image: whatever is nearly white."""
    tables = []
    for image in images:
        y, x = np.nonzero(image.min(axis=2) > 200)
        rows = [(x.min(), y.min(), x.max() + 1, y.max() + 1, 0.9)] if len(x) > 20 else []
        tables.append(pd.DataFrame(rows, columns=[*BOX, "confidence"], dtype=float))
    return tables


def follow_white(videos, out, log=None, seconds=0.0):
    """A job for `clips.run`: whatever is nearly white is followed; its start is noted in `log`."""
    if log is not None:
        with open(log, "a", encoding="utf-8") as file:
            file.write(f"{Path(out).stem} {os.getpid()}\n")
    table = tracking.track(videos[0], in_white)
    time.sleep(seconds)
    if table.empty:
        raise ValueError(f"{videos[0]} shows nobody")
    formats.write_mot(table, out)
