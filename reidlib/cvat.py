"""Tracks as "CVAT for video 1.1" XML, to be corrected by hand in an annotation tool."""

from __future__ import annotations

import re
from pathlib import Path
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
