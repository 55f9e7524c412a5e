"""Boxes and identities on disk: MOT Challenge text, Market-1501 names, CVAT for video 1.1."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
import pandas as pd

from reidlib import assets, boxes
from reidlib.boxes import BOX


def read_cvat(path: str | Path, label: str = "person") -> pd.DataFrame:
    """Read "CVAT for video 1.1" XML: frame, track, x1 y1 x2 y2, visibility, and pid where given.

    Only tracks of `label` count; an occluded box has visibility 0.5. An attribute ``pid`` names
    the track. Raises ValueError for other files, for one in which only other things are marked,
    and for any with a DTD, which may hide a bomb.
    """
    text = Path(path).read_bytes()
    try:
        if b"<!DOCTYPE" in text or b"<!ENTITY" in text or b"\0" in text:
            raise ValueError("it holds a document type or is not UTF-8; CVAT writes neither")
        root = ElementTree.fromstring(text)
        if root.tag != "annotations":
            raise ValueError(f"its root is <{root.tag}>, not <annotations>")
        if root.find("image") is not None:
            raise ValueError("it is an export for images; export the task as CVAT for video")
        labels = {str(track.get("label")) for track in root.iterfind("track")}
        if labels and label not in labels:
            raise ValueError(f"it marks {', '.join(sorted(labels))}; give one of these as label=")
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
    if not np.isfinite(corners).all():
        raise ValueError(f"track {track} has a box {corners}")
    visibility = 0.5 if box.get("occluded") == "1" else 1.0
    if not re.fullmatch(r"-?\d+", pid or "-1"):
        raise ValueError(f"track {track} has the pid {pid!r}; expected a whole number")
    return int(box.get("frame")), track, *corners, visibility, int(pid or -1)


def write_cvat(table: pd.DataFrame, path: str | Path, label: str = "person") -> None:
    """Write tracks as "CVAT for video 1.1" XML, the inverse of `read_cvat`.

    A box with visibility up to 0.5 is marked occluded; a track is switched off where it has gaps.
    """
    boxes.require(table, ["frame", "track", *BOX])
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
