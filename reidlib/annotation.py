"""Boxes and identities on disk (MOT, Market-1501, CVAT), and identities given to tracks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from reidlib import assets, boxes, video
from reidlib.boxes import BOX
from reidlib.cvat import read_cvat, write_cvat  # noqa: F401


def read_mot(path: str | Path) -> pd.DataFrame:
    """Read MOT Challenge text: frame (from 0), track, x1 y1 x2 y2, confidence, visibility.

    A line is ``frame,id,x,y,width,height[,confidence[,class,visibility]]`` (ground truth, nine
    columns) or ``…,confidence,x,y,z`` (results, ten); frames count from 1 on disk. Confidence and
    visibility are 1 where the file does not say. Ground truth with confidence 0 is to be ignored
    (Milan et al., 2016), and so is what is of another class than 1, a person. Raises ValueError
    naming the first bad line.
    """
    rows = []
    text = Path(path).read_text("utf-8-sig", errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = [float(word) for word in re.split(r"\s*,\s*|\s+", line.strip().rstrip(","))]
        except ValueError:
            row = []
        used = row[: 9 if len(row) == 9 else 7]
        if not 6 <= len(row) <= 10 or not (np.abs(used) < 1e15).all():
            raise ValueError(
                f"{path}, line {number}: {line.strip()[:80]!r}; expected 6 to 10 numbers, "
                "frame,id,x,y,width,height,confidence,..."
            )
        whole = all(value.is_integer() and abs(value) < 2**53 for value in row[:2])
        if not whole or row[0] < 1 or row[4] < 0 or row[5] < 0:
            raise ValueError(
                f"{path}, line {number}: frame {row[0]:g}, id {row[1]:g}, size {row[4]:g}x"
                f"{row[5]:g}; frames are whole and count from 1, ids are whole, sizes not negative"
            )
        confidence = row[6] if len(row) > 6 else 1.0
        visibility = 1.0
        if len(row) == 9:
            confidence, visibility = confidence * (row[7] in (1, -1)), row[8]
        x, y, w, h = row[2:6]
        rows.append((int(row[0]) - 1, int(row[1]), x, y, x + w, y + h, confidence, visibility))
    columns = ["frame", "track", *BOX, "confidence", "visibility"]
    table = pd.DataFrame(rows, columns=columns).astype({"frame": int, "track": int})
    return table.sort_values("frame", kind="stable", ignore_index=True)


def write_mot(table: pd.DataFrame, path: str | Path, identity: str = "track") -> None:
    """Write a table of boxes as MOT Challenge text, the inverse of `read_mot`.

    With a column ``visibility`` it is ground truth, without it results. `identity` is the column
    written as id, ``"track"`` or ``"pid"``; without it ids are −1, as for detections. Raises
    ValueError for what `read_mot` would refuse: NaN, and boxes whose ends are swapped.
    """
    boxes.require(table, ["frame", *BOX])
    size = table[["x2", "y2"]].to_numpy(float) - table[["x1", "y1"]].to_numpy(float)
    numbers = table[[c for c in (*BOX, "confidence") if c in table]].to_numpy(float)
    bad = ~np.isfinite(numbers).all(axis=1) | (size < 0).any(axis=1)
    if bad.any():
        raise ValueError(
            f"row {bad.argmax()} cannot be written: {numbers[bad][0].tolist()}; expected "
            "x1 <= x2, y1 <= y2 and no NaN"
        )
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


class MarketName(NamedTuple):
    """What the name of a Market-1501 crop says."""

    pid: int
    camid: int
    sequence: int
    frame: int
    index: int


def parse_market_name(name: str | Path) -> MarketName:
    """Read a crop's name as Market-1501 (Zheng et al., 2015) and DukeMTMC-reID write it.

    Raises ValueError for any other name.

    >>> parse_market_name("0001_c1s2_000123_00.jpg")
    MarketName(pid=1, camid=1, sequence=2, frame=123, index=0)
    """
    match = re.match(r"(-?\d+)_c(\d+)(?:s(\d+))?_f?(\d+)(?:_(\d+))?\.", Path(name).name)
    if not match:
        raise ValueError(
            f"{name} does not follow Market-1501; expected a name such as 0001_c1s1_000123_00.jpg "
            "(identity, camera and sequence, frame, box)"
        )
    pid, camid, sequence, frame, index = match.groups()
    return MarketName(int(pid), int(camid), int(sequence or 1), int(frame), int(index or 0))


def market_name(pid: int, camid: int, frame: int, sequence: int = 1, index: int = 0) -> str:
    """Return the Market-1501 name of a crop.

    >>> market_name(pid=1, camid=1, frame=123)
    '0001_c1s1_000123_00.jpg'
    """
    return f"{pid if pid < 0 else f'{pid:04d}'}_c{camid}s{sequence}_{frame:06d}_{index:02d}.jpg"


def name_tracks(table: pd.DataFrame, names: Mapping) -> pd.DataFrame:
    """Return the table with a column ``pid``, the identity of each track; −1 for the unnamed.

    `names` maps a track, or ``(camera, track)`` where the table has a column camera, to a pid.
    Raises ValueError for unknown tracks, and for two tracks of one person in one frame.

    >>> table = pd.DataFrame({"frame": [0, 1, 1], "track": [4, 4, 7]})
    >>> name_tracks(table, {4: 1, 7: 2}).pid.tolist()
    [1, 1, 2]
    """
    boxes.require(table, ["frame", "track"])
    keys = list(zip(table.camera, table.track)) if "camera" in table else table.track.tolist()
    unknown = [key for key in names if key not in set(keys)]
    if unknown:
        raise ValueError(f"no such track: {unknown}; the table has {sorted(set(keys))}")
    named = table.assign(pid=np.array([names.get(key, -1) for key in keys], int))
    _refuse_conflicts(named[named.pid >= 0], "pid")
    return named


def merge_tracks(table: pd.DataFrame, tracks: Sequence[int]) -> pd.DataFrame:
    """Return the table with several tracks of one person joined under the smallest of their ids.

    Raises ValueError for unknown tracks, and when two of them share a frame.
    """
    boxes.require(table, ["frame", "track"])
    unknown = sorted(set(tracks) - set(table.track))
    if unknown:
        raise ValueError(f"no such track: {unknown}; the table has {sorted(set(table.track))}")
    chosen = table.track.isin(tracks)
    merged = table.assign(track=table.track.mask(chosen, min(tracks)))
    _refuse_conflicts(merged[chosen], "track")
    return merged


def split_track(table: pd.DataFrame, track: int, frame: int) -> pd.DataFrame:
    """Return the table with `track` given a new id, one above the highest, from `frame` on.

    Raises ValueError when the track has no box before, or none from that frame on.
    """
    boxes.require(table, ["frame", "track"])
    mine = table.track == track
    later = mine & (table.frame >= frame)
    if not later.any() or later.sum() == mine.sum():
        frames = table.frame[mine].tolist()
        span = f"it spans frames {min(frames)} to {max(frames)}" if frames else "no such track"
        raise ValueError(f"cannot split track {track} at frame {frame}: {span}")
    return table.assign(track=table.track.mask(later, table.track.max() + 1))


def export_market(
    source: video.Source,
    table: pd.DataFrame,
    folder: str | Path,
    camid: int,
    every: int | str = 1,
    padding: float = 0.0,
    sequence: int = 1,
) -> pd.DataFrame:
    """Cut named boxes (``pid`` 0 and up) out of a video as Market-1501 crops.

    Returns the table of crops: path, pid, camid, frame. Boxes outside the image are left out.
    `sequence` tells several clips of one camera apart: their crops would overwrite each other.
    Raises ValueError when the table goes on after the video has ended.
    """
    boxes.require(table, ["frame", "pid", *BOX])
    named = table[table.pid >= 0]
    _refuse_conflicts(named, "pid")
    check_length(named, video.probe(source).frames, source)
    groups, rows = dict(list(named.groupby("frame"))), []
    for frame, _, image in video.read(source, every):
        if frame not in groups:
            continue
        here = groups[frame]
        here = here[boxes.visible(here[BOX], *image.shape[1::-1])]
        for pid, crop in zip(here.pid, boxes.crop(image, here[BOX], padding)):
            path = Path(folder) / market_name(pid, camid, frame, sequence)
            video.write_image(path, crop)
            rows.append((str(path), int(pid), camid, frame))
    return pd.DataFrame(rows, columns=["path", "pid", "camid", "frame"])


def check_length(table: pd.DataFrame, length: int | None, source: video.Source) -> None:
    """Raise ValueError when a table of boxes goes on after the `length` frames of a video."""
    if length is not None and len(table) and table.frame.max() >= length:
        raise ValueError(
            f"the table has frame {table.frame.max()}, but {source} has {length} frames from 0; "
            "do the two belong together?"
        )


def _refuse_conflicts(table: pd.DataFrame, column: str) -> None:
    """Raise ValueError when one identity has two boxes in one frame of one camera."""
    place = [name for name in ("camera", "frame") if name in table]
    double = table[table.duplicated([*place, column])]
    if len(double):
        which = double[column].iloc[0]
        frames = sorted(set(double.frame[double[column] == which].tolist()))
        shown = ", ".join(map(str, frames[:10])) + (", ..." if len(frames) > 10 else "")
        raise ValueError(
            f"{column} {which} would be in two places at once in frame {shown}; "
            "split one of the tracks there, or give them different identities"
        )
