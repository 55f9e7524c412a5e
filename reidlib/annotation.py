"""Boxes and identities on disk (MOT, Market-1501, CVAT), and identities given to tracks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
import pandas as pd

from reidlib import assets, boxes, video

BOX = ["x1", "y1", "x2", "y2"]


def read_mot(path: str | Path) -> pd.DataFrame:
    """Read MOT Challenge text: frame (from 0), track, x1 y1 x2 y2, confidence, visibility.

    A line is ``frame,id,x,y,width,height[,confidence[,class,visibility]]`` (ground truth, nine
    columns) or ``…,confidence,x,y,z`` (results, ten); frames count from 1 on disk. Confidence and
    visibility are 1 where the file does not say. Ground truth with confidence 0 is to be ignored
    (Milan et al., 2016). Raises ValueError naming the first bad line.
    """
    rows = []
    for number, line in enumerate(Path(path).read_text("utf-8-sig").splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = [float(word) for word in re.split(r"\s*,\s*|\s+", line.strip().rstrip(","))]
        except ValueError:
            row = []
        if not 6 <= len(row) <= 10 or not np.isfinite(row[:7]).all():
            raise ValueError(
                f"{path}, line {number}: {line.strip()!r}; expected 6 to 10 numbers, "
                "frame,id,x,y,width,height,confidence,..."
            )
        if row[0] < 1 or row[4] < 0 or row[5] < 0:
            raise ValueError(
                f"{path}, line {number}: frame {row[0]:g}, size {row[4]:g}x{row[5]:g}; "
                "frames count from 1 and sizes are not negative"
            )
        confidence = row[6] if len(row) > 6 else 1.0
        visibility = row[8] if len(row) == 9 else 1.0
        x, y, w, h = row[2:6]
        rows.append((int(row[0]) - 1, int(row[1]), x, y, x + w, y + h, confidence, visibility))
    columns = ["frame", "track", *BOX, "confidence", "visibility"]
    table = pd.DataFrame(rows, columns=columns).astype({"frame": int, "track": int})
    return table.sort_values("frame", kind="stable", ignore_index=True)


def write_mot(table: pd.DataFrame, path: str | Path, identity: str = "track") -> None:
    """Write a table of boxes as MOT Challenge text, the inverse of `read_mot`.

    With a column ``visibility`` it is ground truth, without it results. `identity` is the column
    written as id, ``"track"`` or ``"pid"``; without it ids are −1, as for detections.
    """
    _check(table, ["frame", *BOX])
    size = table[["x2", "y2"]].to_numpy(float) - table[["x1", "y1"]].to_numpy(float)
    data = {
        "frame": table.frame.to_numpy(int) + 1,
        "id": table[identity].to_numpy(int) if identity in table else -1,
        **{name: table[name].to_numpy(float).round(2) for name in ("x1", "y1")},
        **{"w": size[:, 0].round(2), "h": size[:, 1].round(2)},
        "confidence": table.confidence.to_numpy(float).round(4) if "confidence" in table else 1,
    }
    if "visibility" in table:
        data |= {"class": 1, "visibility": table.visibility.to_numpy(float).round(3)}
    else:
        data |= {"x": -1, "y": -1, "z": -1}
    with assets.atomic(path) as temporary:
        pd.DataFrame(data, index=range(len(table))).to_csv(temporary, index=False, header=False)


def _check(table: pd.DataFrame, columns: Sequence[str]) -> None:
    missing = [name for name in columns if name not in table]
    if missing:
        raise ValueError(
            f"the table lacks {' '.join(missing)}; it has {' '.join(map(str, table.columns))}"
        )
