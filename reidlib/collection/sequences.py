"""Folders of frames: which images they hold, in which order, and when each was taken."""

import configparser
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from reidlib import assets
from reidlib.collection.capture import DEFAULT_FPS

INDEX = "frames.csv"  # what `video.extract` leaves beside its frames: frame, time, path
INFO = "seqinfo.ini"  # what MOT Challenge has beside its frames: their rate, folder and number
# A camera by its number in a file's name: cam1, c02, channel-3; what precedes it is no letter.
CAMERA = re.compile(r"(?<![a-z])(c|cam|camera|ch|channel|kamera|kam|view)[ _-]?(\d+)")
IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


def read(folder: Path, fps: float | None, say: Callable[[str], None]) -> tuple[pd.DataFrame, float]:
    """Return the frames of a folder, a table of frame, time and path in order, and their rate.

    The times are those of ``frames.csv`` if it is there; else frames follow each other at `fps`,
    at the rate that a ``seqinfo.ini`` names, or at 25 a second. `say` is told of frames that are
    missing. Raises ValueError when there is no image, or one of those files is of no use.
    """
    if (folder / INDEX).exists():
        if fps:
            say(f"{folder} has times in {INDEX}, which are kept; fps={fps:g} is not used")
        return _indexed(folder), DEFAULT_FPS
    info = _sequence(folder)
    images = folder
    if info and (folder / INFO).exists() and (folder / info["folder"]).is_dir():
        images = folder / info["folder"]
    # What macOS leaves beside an image, and what is half written, begins with a dot.
    paths = [path for path in images.glob("[!.]*") if path.suffix.lower() in IMAGES]
    if not paths:
        raise ValueError(f"{images} holds no frames; expected .jpg or .png files")
    if info and len(paths) < info["frames"]:
        say(f"{images} holds {len(paths)} of the {info['frames']} frames that {INFO} names")
    paths.sort(key=_natural)
    if len(cameras := cameras_named([path.stem for path in paths])) > 1:
        say(
            f"{images} seems to hold frames of {len(cameras)} cameras, by their names: "
            f"{', '.join(cameras[:4])}; they are read as one video, one after the other, so give "
            "each a folder of its own"
        )
    rate = fps or (info["rate"] if info else DEFAULT_FPS)
    table = pd.DataFrame({"frame": np.arange(len(paths)), "path": [str(path) for path in paths]})
    table["time"] = table.frame / rate
    return table, rate


def cameras_named(names: list[str]) -> list[str]:
    """Return one name a camera if names of frames are those of several, else an empty list.

    They are when names differ in letters, or in the number of a camera, and each kind has frames
    of the same numbers, at least two. Other numbers that differ are times, or counts.

    >>> cameras_named(["cam1_0001", "cam1_0002", "cam2_0001", "cam2_0002"])
    ['cam1_0001', 'cam2_0001']
    """
    kinds: dict[tuple, dict[str, str]] = {}
    for name in names:
        number = CAMERA.search(name.lower())
        rest = CAMERA.sub("", name.lower())
        digits = re.findall(r"\d+", rest)
        kind = re.sub(r"\d+", "", rest), number and int(number[2])
        kinds.setdefault(kind, {})[digits[-1] if digits else ""] = name
    if len(kinds) < 2 or any(len(frames) < 2 for frames in kinds.values()):
        return []
    shared = set.intersection(*(set(frames) for frames in kinds.values()))
    alike = all(2 * len(shared) > len(frames) for frames in kinds.values())
    return [min(frames.values()) for frames in kinds.values()] if alike else []


def _natural(path: Path) -> str:
    """Return a name to sort by, in which numbers count as numbers: 2 before 10."""
    return re.sub(r"\d+", lambda digits: digits[0].zfill(18), path.name)


def _indexed(folder: Path) -> pd.DataFrame:
    """Return the table that an extraction left."""
    try:
        table = pd.read_csv(folder / INDEX, dtype={"path": str})[["frame", "time", "path"]]
        table = table.astype({"frame": int, "time": float})
        if table.path.isna().any() or table.frame.duplicated().any():
            raise ValueError("a path is missing, or a frame there twice")
        if not (table.time.abs() < 1e9).all():
            raise ValueError("a time is missing, or 30 years away")
    except (KeyError, ValueError, OverflowError) as error:
        raise ValueError(
            f"{folder / INDEX} is not the table frame, time, path of an extraction "
            f"({assets.reason(error)}); delete it to read the images by their names"
        ) from error
    if table.empty:
        raise ValueError(f"{folder} holds no frames; expected .jpg or .png files")
    table["path"] = [str(folder / name) for name in table.path]
    return table


def _sequence(folder: Path) -> dict | None:
    """Return rate, folder and number of frames by the ``seqinfo.ini`` of a folder, if it has one.

    It lies in the folder, or beside it when the folder is the one that it names.
    """
    path = folder / INFO
    if not path.exists():
        path = folder.resolve().parent / INFO
    if not path.is_file():
        return None
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text("utf-8-sig"))
        section = parser["Sequence"]
        info = {
            "rate": section.getfloat("frameRate", DEFAULT_FPS),
            "folder": section.get("imDir", "img1"),
            "frames": section.getint("seqLength", 0),
        }
        if not 0.01 <= info["rate"] <= 1000:
            raise ValueError(f"frameRate is {info['rate']:g}")
    except (configparser.Error, KeyError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{path} is no description of a sequence ({reason}); expected a section [Sequence] "
            "with frameRate, imDir and seqLength, or no such file"
        ) from error
    beside = path.parent != folder
    return None if beside and info["folder"] != folder.resolve().name else info
