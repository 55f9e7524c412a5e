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
from reidlib.boxes import BOX


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
    _check(table, ["frame", "track"])
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
    _check(table, ["frame", "track"])
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
    _check(table, ["frame", "track"])
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
) -> pd.DataFrame:
    """Cut named boxes (``pid`` 0 and up) out of a video as Market-1501 crops.

    Returns the table of crops: path, pid, camid, frame. Boxes outside the image are left out.
    Raises ValueError when the table goes on after the video has ended.
    """
    _check(table, ["frame", "pid", *BOX])
    named = table[table.pid >= 0]
    _refuse_conflicts(named, "pid")
    length = video.probe(source).frames
    if length is not None and len(named) and named.frame.max() >= length:
        raise ValueError(
            f"the table has frame {named.frame.max()}, but {source} has {length} frames from 0; "
            "do the two belong together?"
        )
    groups, rows = dict(list(named.groupby("frame"))), []
    for frame, _, image in video.read(source, every):
        if frame not in groups:
            continue
        here = groups[frame]
        visible = boxes.clip(here[BOX], image.shape[1], image.shape[0])
        here = here[boxes.area(visible) >= 1]
        for pid, crop in zip(here.pid, boxes.crop(image, here[BOX], padding)):
            path = Path(folder) / market_name(pid, camid, frame)
            video.write_image(path, crop)
            rows.append((str(path), int(pid), camid, frame))
    return pd.DataFrame(rows, columns=["path", "pid", "camid", "frame"])


def read_cvat(path: str | Path, label: str = "person") -> pd.DataFrame:
    """Read "CVAT for video 1.1" XML: frame, track, x1 y1 x2 y2, visibility, and pid where given.

    Only tracks of `label` count; an occluded box has visibility 0.5. An attribute ``pid`` names
    the track. Raises ValueError for other files and for any with a DTD, which may hide a bomb.
    """
    text = Path(path).read_bytes()
    try:
        if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
            raise ValueError("it holds a document type, which CVAT does not write")
        root = ElementTree.fromstring(text)
        if root.tag != "annotations":
            raise ValueError(f"its root is <{root.tag}>, not <annotations>")
        rows = [
            _cvat_row(int(track.get("id")), box)
            for track in root.iterfind("track")
            if track.get("label") == label
            for box in track.iterfind("box")
            if box.get("outside") != "1"
        ]
    except (ElementTree.ParseError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not CVAT for video 1.1: {error}") from error
    table = pd.DataFrame(rows, columns=["frame", "track", *BOX, "visibility", "pid"])
    table = table.sort_values(["frame", "track"], kind="stable", ignore_index=True)
    return table if (table.pid >= 0).any() else table.drop(columns="pid")


def _cvat_row(track: int, box: ElementTree.Element) -> tuple:
    pid = box.findtext("attribute[@name='pid']")
    corners = [float(box.get(key)) for key in ("xtl", "ytl", "xbr", "ybr")]
    visibility = 0.5 if box.get("occluded") == "1" else 1.0
    return int(box.get("frame")), track, *corners, visibility, int(pid or -1)


def write_cvat(table: pd.DataFrame, path: str | Path, label: str = "person") -> None:
    """Write tracks as "CVAT for video 1.1" XML, the inverse of `read_cvat`.

    A box with visibility up to 0.5 is marked occluded; a track is switched off where it has gaps.
    """
    _check(table, ["frame", "track", *BOX])
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    for track, group in table.sort_values("frame").groupby("track"):
        element = ElementTree.SubElement(root, "track", id=str(track), label=label)
        frames = group.frame.to_numpy()
        last = np.append(np.diff(frames) > 1, True)  # of a run without gaps
        for row, ends in zip(group.to_dict("records"), last):
            _add_cvat_box(element, row, row["frame"], outside=False)
            if ends:
                _add_cvat_box(element, row, row["frame"] + 1, outside=True)
    ElementTree.indent(root)
    with assets.atomic(path) as temporary:
        ElementTree.ElementTree(root).write(temporary, "utf-8", xml_declaration=True)


def _add_cvat_box(track: ElementTree.Element, row: dict, frame: int, outside: bool) -> None:
    flags = {"frame": frame, "outside": int(outside), "keyframe": 1}
    flags["occluded"] = int(row.get("visibility", 1.0) <= 0.5)
    corners = {key: f"{row[name]:.2f}" for key, name in zip(("xtl", "ytl", "xbr", "ybr"), BOX)}
    attributes = {key: str(value) for key, value in (flags | corners | {"z_order": 0}).items()}
    box = ElementTree.SubElement(track, "box", attributes)
    if row.get("pid", -1) >= 0:
        ElementTree.SubElement(box, "attribute", name="pid").text = str(row["pid"])


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


def _check(table: pd.DataFrame, columns: Sequence[str]) -> None:
    missing = [name for name in columns if name not in table]
    if missing:
        raise ValueError(
            f"the table lacks {' '.join(missing)}; it has {' '.join(map(str, table.columns))}"
        )
