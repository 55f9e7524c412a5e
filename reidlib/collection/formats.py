"""Boxes and identities on disk: MOT Challenge text, Market-1501 names, CVAT for video 1.1."""

import csv
import io
import itertools
import re
import warnings
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
import pandas as pd

from reidlib import assets, boxes
from reidlib.boxes import BOX

_BLANK = re.compile(r"[^\S\n]+,?[^\S\n]*|,[^\S\n]+")  # blanks in a line, and a comma among them
_ENDLESS = re.compile(r"[0-9]{300,}")  # no float is as large
_MARKET = re.compile(r"(-?N)_c(N)(?:s(N))?_f?(N)(?:_(N))?\.".replace("N", "[0-9]{1,15}"))


def read_cvat(path: str | Path, label: str = "person") -> pd.DataFrame:
    """Read "CVAT for video 1.1" XML: frame, track, x1 y1 x2 y2, visibility, and pid where given.

    Only tracks of `label` count; an occluded box has visibility 0.5. An attribute ``pid`` names
    the track. Raises ValueError for other files, for one in which only other things are marked,
    and for any with a DTD, which may hide a bomb.
    """
    _require_file(path)
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
            _cvat_row(_whole(track.get("id"), "a track's id"), box)
            for track in root.iterfind("track")
            if track.get("label") == label
            for box in track.iterfind("box")
            if box.get("outside") != "1"
        ]
    except (ElementTree.ParseError, LookupError, TypeError, ValueError) as error:
        # LookupError: an encoding that does not exist.
        raise ValueError(f"{path} is not CVAT for video 1.1: {error}") from error
    table = pd.DataFrame(rows, columns=["frame", "track", *BOX, "visibility", "pid"])
    table = table.sort_values(["frame", "track"], kind="stable", ignore_index=True)
    return table if (table.pid >= 0).any() else table.drop(columns="pid")


def _cvat_row(track: int, box: ElementTree.Element) -> tuple:
    frame = _whole(box.get("frame"), f"a frame of track {track}")
    x1, y1, x2, y2 = corners = [float(box.get(key)) for key in ("xtl", "ytl", "xbr", "ybr")]
    # Written so that NaN, which is never less, is refused too.
    if not (-1e15 < x1 <= x2 < 1e15 and -1e15 < y1 <= y2 < 1e15) or frame < 0:
        raise ValueError(f"track {track} has a box {corners} in frame {frame}")
    visibility = 0.5 if box.get("occluded") == "1" else 1.0
    pid = box.findtext("attribute[@name='pid']") or "-1"
    return frame, track, *corners, visibility, _whole(pid, f"the pid of track {track}")


def _whole(text: str | None, what: str) -> int:
    """Return an integer in plain digits; ValueError for other text, and for more than 15 digits."""
    if not re.fullmatch(r"-?[0-9]{1,15}", text or ""):
        raise ValueError(f"{what} is {str(text)[:40]!r}; expected an integer below 10**15")
    return int(text)


def write_cvat(table: pd.DataFrame, path: str | Path, label: str = "person") -> None:
    """Write tracks as "CVAT for video 1.1" XML, the inverse of `read_cvat`.

    A box with visibility up to 0.5 is marked occluded; a track is switched off where it has gaps.
    Raises ValueError for what `read_cvat` would refuse: NaN, and boxes whose ends are swapped.
    """
    boxes.require(table, ["frame", "track", *BOX])
    _require_writable(table)
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
    columns) or ``…,confidence,x,y,z`` (results, ten; x, y, z are passed over), with commas, tabs or
    spaces between; frames count from 1 on disk. Confidence and visibility are 1 where the file does
    not say. Ground truth with confidence 0 is to be ignored (Milan et al., 2016), and so is what is
    of another class than 1, a person; a warning says so where that leaves nobody. Raises ValueError
    naming the first bad line.
    """
    _require_file(path)
    _require_text(path)
    parts = []
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        # Part by part: all lines of an hour, as text and as numbers, take 200 MB.
        for before in itertools.count(0, BLOCK):
            lines = [line.strip() for line in itertools.islice(file, BLOCK)]
            if not lines and parts:
                break
            parts.append(_read_mot_lines(lines or [""], before, path))
    table = pd.concat(parts, ignore_index=True)
    del parts
    marked = table["confidence"] != 0
    kind = table.pop("kind")
    person = kind.isin((1, -1))  # -1: the file does not say
    if marked.any() and not (marked & person).any():
        classes = ", ".join(f"{value:g}" for value in np.unique(kind)[:5])
        warnings.warn(
            f"{path} marks nobody: its boxes are of class {classes}, and in MOT Challenge text "
            "class 1 is a person; write 1 in the eighth column where they are people",
            stacklevel=2,
        )
    table["confidence"] = table["confidence"].where(person, 0.0)
    if table["frame"].is_monotonic_increasing:
        return table
    return table.sort_values("frame", kind="stable", ignore_index=True)


def _require_text(path: str | Path) -> None:
    """Raise ValueError for a file that is no text, such as the archive that labels come in."""
    with open(path, "rb") as file:
        begins = file.read(1024)
    if begins.startswith(b"PK"):
        raise ValueError(
            f"{path} is a zip archive; unpack it, and give the text in it (in CVAT's MOT export "
            "gt/gt.txt)"
        )
    marked = begins.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf"))  # as texts may be
    zeros = begins.count(b"\0")  # a few in a text are a damaged line, named when it is read
    if not marked and (zeros > 100 or (zeros and begins[:1] > b"\x7f")):
        raise ValueError(f"{path} is no text; expected lines frame,id,x,y,width,height,...")


def _read_mot_lines(lines: list[str], before: int, path: str | Path) -> pd.DataFrame:
    """Return the boxes in some lines, `before` which others came, and their class in MOT's words.

    The class of what is not ground truth is 1, a person.
    """
    numbers, counts = _numbers(lines)
    given = np.array([line != "" for line in lines], bool)
    # Nine columns are truth, whose class and visibility count; what else follows the seventh is
    # written in many ways and passed over.
    used = np.arange(10) < np.where(counts == 9, 9, counts.clip(max=7))[:, None]
    bad = (counts < 6) | (counts > 10) | (used & ~(np.abs(numbers) < 1e15)).any(axis=1)
    if (bad & given).any():
        i = (bad & given).argmax()
        raise ValueError(
            f"{path}, line {before + i + 1}: {lines[i][:80]!r}; expected 6 to 10 numbers, "
            "frame,id,x,y,width,height,confidence,..."
        )
    frame, track, x, y, width, height, confidence, kind, visibility, _ = numbers.T
    whole = (numbers[:, :2] == np.rint(numbers[:, :2])).all(axis=1)
    bad = ~whole | (frame < 1) | (width < 0) | (height < 0)
    if (bad & given).any():
        i = (bad & given).argmax()
        raise ValueError(
            f"{path}, line {before + i + 1}: frame {frame[i]:g}, id {track[i]:g}, size "
            f"{width[i]:g}x{height[i]:g}; frames are whole and count from 1, ids are whole, sizes "
            "not negative"
        )
    is_truth = counts == 9
    columns = {
        **{"frame": frame - 1, "track": track, "x1": x, "y1": y, "x2": x + width, "y2": y + height},
        "confidence": np.where(counts > 6, confidence, 1.0),
        "visibility": np.where(is_truth, visibility, 1.0),
        "kind": np.where(is_truth, kind, 1),
    }
    return pd.DataFrame(columns)[given].astype({"frame": int, "track": int})


def _numbers(lines: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the first ten values of each line, NaN for what is no number, and how many it has."""
    text = _BLANK.sub(",", "\n".join(line.rstrip(", \t") for line in lines)).replace("\0", "?")
    text = _ENDLESS.sub("?", text)
    table = pd.read_csv(
        io.StringIO("0,1,2,3,4,5,6,7,8,9\n" + text + "\n"),
        usecols=range(10),
        index_col=False,
        skip_blank_lines=False,
        quoting=csv.QUOTE_NONE,
        low_memory=False,
    )
    counts = np.array([row.count(",") + 1 for row in text.split("\n")])
    return table.apply(pd.to_numeric, errors="coerce").to_numpy(float), counts


def _require_file(path: str | Path) -> None:
    """Raise an OSError for a folder or no file at all, ValueError for a pipe: it may never end."""
    if not Path(path).is_file():
        Path(path).stat()
        raise ValueError(f"{path} is a folder, a pipe or a device; expected a file")


def write_mot(table: pd.DataFrame, path: str | Path, identity: str = "track") -> None:
    """Write a table of boxes as MOT Challenge text, the inverse of `read_mot`.

    With a column ``visibility`` it is ground truth, without it results. `identity` is the column
    written as id, ``"track"`` or ``"pid"``; without it ids are −1, as for detections. Raises
    ValueError for what `read_mot` would refuse: NaN, and boxes whose ends are swapped.
    """
    boxes.require(table, ["frame", *BOX])
    _require_writable(table)
    with assets.atomic(path) as temporary, open(temporary, "w", encoding="utf-8") as file:
        for start in range(0, len(table), BLOCK):  # as text, rows take ten times their memory
            part = _mot_rows(table.iloc[start : start + BLOCK], identity)
            part.to_csv(file, index=False, header=False, lineterminator="\n")


BLOCK = 20_000  # rows handled at a time


def _mot_rows(table: pd.DataFrame, identity: str) -> pd.DataFrame:
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
    return pd.DataFrame(data, index=range(len(table)))


def _require_writable(table: pd.DataFrame) -> None:
    """Raise ValueError for a box, confidence or visibility that is NaN, and for swapped ends."""
    names = [name for name in (*BOX, "confidence", "visibility") if name in table]
    for start in range(0, len(table), BLOCK):
        numbers = table.iloc[start : start + BLOCK][names].to_numpy(float)
        x1, y1, x2, y2 = numbers[:, :4].T
        bad = ~np.isfinite(numbers).all(axis=1) | (x2 < x1) | (y2 < y1)
        if bad.any():
            raise ValueError(
                f"row {start + bad.argmax()} cannot be written: {numbers[bad][0].tolist()}; "
                "expected x1 <= x2, y1 <= y2 and no NaN"
            )


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
    match = _MARKET.match(Path(name).name)
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
