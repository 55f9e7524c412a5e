"""Identities given to tracks: naming, merging, splitting, and crops of the named."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from reidlib import boxes
from reidlib.boxes import BOX
from reidlib.collection import capture, encoding, formats, video


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
    _require_known(names, keys)
    named = table.assign(pid=np.array([names.get(key, -1) for key in keys], int))
    _refuse_conflicts(named[named.pid >= 0], "pid")
    return named


def merge_tracks(table: pd.DataFrame, tracks: Sequence[int]) -> pd.DataFrame:
    """Return the table with several tracks of one person joined under the smallest of their ids.

    Raises ValueError for unknown tracks, and when two of them share a frame.
    """
    boxes.require(table, ["frame", "track"])
    _require_known(tracks, table.track)
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
    source: capture.Source | video.Video,
    table: pd.DataFrame,
    folder: str | Path,
    camid: int,
    every: int | str = 1,
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
    source = video.open(source)
    check_length(named, source.about.frames, source)
    people_in, rows = dict(list(named.groupby("frame"))), []
    for frame, _, image in source.read(every):
        people = _visible(people_in.get(frame, named[:0]), image)
        for pid, crop in zip(people.pid, boxes.crop(image, people[BOX])):
            path = Path(folder) / formats.market_name(pid, camid, frame, sequence)
            encoding.write_image(path, crop)
            rows.append((str(path), int(pid), camid, frame))
    return pd.DataFrame(rows, columns=["path", "pid", "camid", "frame"])


def check_length(
    table: pd.DataFrame, length: int | None, source: capture.Source | video.Video
) -> None:
    """Raise ValueError when a table of boxes goes on after the `length` frames of a video."""
    if length is not None and len(table) and table.frame.max() >= length:
        raise ValueError(
            f"the table has frame {table.frame.max()}, but {source} has {length} frames from 0; "
            "do the two belong together?"
        )


def _require_known(tracks: Iterable, known: Iterable) -> None:
    known = set(known)
    unknown = [track for track in tracks if track not in known]
    if unknown:
        raise ValueError(f"no such track: {unknown}; the table has {sorted(known)}")


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


def cut(source: capture.Source, table: pd.DataFrame, every: int = 5) -> dict[int, np.ndarray]:
    """Return crops of the boxes in every `every`-th frame, row of the table to (h, w, 3) image."""
    people_in, crops = dict(list(table.groupby("frame"))), {}
    for frame, _, image in video.read(source, every):
        people = _visible(people_in.get(frame, table[:0]), image)
        for row, crop in zip(people.index, boxes.crop(image, people[BOX])):
            crops[row] = crop.copy()  # a view would keep the whole frame in memory
    return crops


def _visible(table: pd.DataFrame, image: np.ndarray) -> pd.DataFrame:
    """Return the rows whose box covers some of an image, (H, W, 3)."""
    height, width = image.shape[:2]
    return table[boxes.visible(table[BOX], width, height)]


def replay(table: pd.DataFrame, actions: Sequence[tuple[str, int, int]]) -> pd.DataFrame:
    """Return the table with a column pid after ``(what, track, value)`` for each action.

    What is "name" (value: the pid), "merge" (another track) or "split" (the first frame of the new
    track). Raises ValueError as `annotation.name_tracks` and its neighbours do.
    """
    names: dict[int, int] = {}
    for what, track, value in actions:
        if what == "name":
            names[track] = value
        elif what == "merge":
            table = merge_tracks(table, [track, value])
            given = [names.pop(t, -1) for t in (track, value)]
            names[min(track, value)] = max(given)
        else:
            table = split_track(table, track, value)
    return name_tracks(table, names)
