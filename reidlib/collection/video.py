"""Video in and out: files, folders of frames, webcams and network streams behind one ``read``."""

from __future__ import annotations

import contextlib
import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from reidlib import assets
from reidlib.collection import capture
from reidlib.collection.capture import DEFAULT_FPS, Source, display_name, kind_of
from reidlib.collection.encoding import SLOWEST, read_image, write, write_image

INDEX = "frames.csv"  # what `extract` leaves beside its frames: frame, time, path


@dataclass(frozen=True)
class Probe:
    """What a video is: pixels, frames a second, frames, seconds (the last two None when live)."""

    width: int
    height: int
    fps: float
    frames: int | None
    duration: float | None


def probe(source: Source) -> Probe:
    """Return the size, rate and length of a video.

    Frames are counted by walking through the file's packets, without decoding: headers lie, above
    all in files cut short. Raises FileNotFoundError, ValueError for what is no video, OSError for
    a dead camera or stream.
    """
    kind, rate = kind_of(source), DEFAULT_FPS
    if kind == "folder":
        height, width = read_image(_folder(Path(source)).path.iloc[0]).shape[:2]
    else:
        opened = capture.open_source(source, kind)
        width = int(opened.get(cv2.CAP_PROP_FRAME_WIDTH))
        height = int(opened.get(cv2.CAP_PROP_FRAME_HEIGHT))
        rate = opened.get(cv2.CAP_PROP_FPS)
        opened.release()
        if min(width, height) < 1:
            raise ValueError(f"{display_name(source)} shows no picture; copy or record it again")
        if kind != "file":
            return Probe(width, height, rate or DEFAULT_FPS, None, None)
    seconds = times(source)
    if len(seconds) > 1 and seconds[-1] > 0:
        measured = (len(seconds) - 1) / seconds[-1]
        # A rate that the time stamps contradict is of no use; one that they round is.
        rate = rate if abs(rate - measured) < 0.01 * measured else measured
    rate = float(rate) if math.isfinite(rate) and rate > 0 else DEFAULT_FPS
    return Probe(width, height, rate, len(seconds), len(seconds) / rate)


def times(path: str | Path) -> np.ndarray:
    """Return the time of every frame in seconds from the first, without decoding any."""
    import av

    if Path(path).is_dir():
        seconds = _folder(Path(path)).time.to_numpy(float)
        return seconds - seconds[:1]
    stamps: list[int | None] = []
    with av.open(os.fspath(path)) as container:
        if not container.streams.video:
            raise ValueError(f"{path} holds sound only; give a video")
        stream = container.streams.video[0]
        # A damaged end raises here; the frames before it are still there.
        with contextlib.suppress(av.error.FFmpegError):
            for packet in container.demux(stream):
                if packet.size and not packet.is_corrupt and not packet.is_discard:
                    stamps.append(packet.pts)
        base, rate = stream.time_base, stream.average_rate
    if None in stamps or base is None:  # a raw stream has no time stamps
        return np.arange(len(stamps)) / float(rate or DEFAULT_FPS)
    ticks = np.sort(np.array(stamps, np.int64))  # packets come in the order of decoding
    return (ticks - ticks[:1]) * float(base)


def read(
    source: Source, every: int | str = 1, start: int = 0, stop: int | None = None
) -> Iterator[tuple[int, float, np.ndarray]]:
    """Yield ``(index, seconds, image)`` for the frames of a video; image is (H, W, 3) uint8 RGB.

    `source` is a file, a folder of frames (.jpg, .png, in natural order), a webcam (``0`` or
    ``"0"``) or an address (``rtsp://``, ``http://``). `every` is a step in frames (``25``) or in
    time (``"1s"``); `start` and `stop` are frame numbers from 0, `stop` left out. Memory is
    constant. A file that ends before its header promised gives all it holds, then a warning; where
    part of it is damaged, frames are missing, which `seconds` shows and `index` does not.
    Raises FileNotFoundError, ValueError for what is no video, OSError for a dead camera or stream.

    >>> for index, seconds, image in read("clip.mp4", every="1s"):  # doctest: +SKIP
    ...     print(index, seconds, image.shape)
    """
    step, kind = parse_every(every), kind_of(source)
    if kind == "folder":
        table = _folder(Path(source))
        rows = zip(table.frame.tolist(), table.time.tolist(), table.path)
        frames = ((i, t, lambda path=path: read_image(path)) for i, t, path in rows)
    else:
        frames = capture.frames(capture.open_source(source, kind), source, kind)
    return _sample(frames, step, start, stop)


def parse_every(every: int | str) -> int | float:
    """Return a step as an int, in frames, or as a float, in seconds.

    >>> parse_every("25"), parse_every("1s"), parse_every("500ms"), parse_every("2min")
    (25, 1.0, 0.5, 120.0)
    """
    match = re.fullmatch(r"(\d+)|(\d+(?:\.\d+)?)\s*(ms|s|min)", str(every).strip())
    if not match or float(match[1] or match[2]) == 0:
        raise ValueError(
            f"every={every!r} is no step; give frames such as 25, or a time such as '1s' or '2min'"
        )
    if match[1]:
        return int(match[1])
    return float(match[2]) * {"ms": 0.001, "s": 1, "min": 60}[match[3]]


def extract(source: Source, folder: str | Path, every: int | str = 1) -> pd.DataFrame:
    """Save frames as ``frame_000123.jpg`` and return their table: frame, time, path.

    Frames already there are kept, so that an interrupted run goes on where it stopped; the table
    is written last, to ``frames.csv``. Ctrl-C ends the recording of a webcam or a stream. Raises
    ValueError when `folder` holds other frames.
    """
    folder, frames, rows = Path(folder), read(source, every), []
    _claim(folder, source)
    frames = tqdm(frames, "extract", unit="frame", leave=False, delay=2)
    try:
        for index, seconds, image in frames:
            path = folder / f"frame_{index:06d}.jpg"
            if not path.exists():
                write_image(path, image)
            rows.append((index, round(seconds, 6), path.name))
    except KeyboardInterrupt:
        if not rows or kind_of(source) not in capture.LIVE:
            raise
    table = pd.DataFrame(rows, columns=["frame", "time", "path"])
    with assets.atomic(folder / INDEX) as temporary:
        table.to_csv(temporary, index=False)
    return _folder(folder)


def convert(source: Source, target: str | Path, fps: float | None = None, crf: int = 23) -> int:
    """Turn a video or a folder of frames into a video, or into a folder if `target` has no ending.

    Every frame is kept, at the mean rate of the source unless `fps` says otherwise; sound is left
    out. Returns the number of frames.
    """
    if not Path(target).suffix:
        return len(extract(source, target))
    about = probe(source)
    frames = tqdm(read(source), "convert", about.frames, unit="frame", leave=False, delay=2)
    return write(target, (image for _, _, image in frames), fps or max(about.fps, SLOWEST), crf)


def _claim(folder: Path, source: Source) -> None:
    """Note in `folder` whose frames it holds; refuse when they are of another source, or live."""
    kind, note, path = kind_of(source), folder / "source.txt", Path(str(source))
    live = kind in capture.LIVE
    mine = display_name(source) if live else path.name
    if kind == "file":
        mine += f", {path.stat().st_size} bytes"
    if kind == "folder" and path.resolve() == folder.resolve():
        raise ValueError(f"{folder} is the input; choose another folder to write to")
    found = None
    if any(folder.glob("frame_*.jpg")):
        found = note.read_text("utf-8") if note.exists() else "an unknown video"
    if found and (live or found != mine):
        raise ValueError(f"{folder} already holds frames of {found}; choose a new folder")
    with assets.atomic(note) as temporary:
        temporary.write_text(mine, "utf-8")


def _folder(folder: Path) -> pd.DataFrame:
    """Return frame, time and path of the images in a folder, in order."""
    if (folder / INDEX).exists():
        try:
            table = pd.read_csv(folder / INDEX, dtype={"path": str})[["frame", "time", "path"]]
            table = table.astype({"frame": int, "time": float})
            if table.path.isna().any() or table.frame.duplicated().any():
                raise ValueError("a path is missing, or a frame there twice")
            if not np.isfinite(table.time).all():
                raise ValueError("a time is missing")
        except (KeyError, ValueError) as error:
            raise ValueError(
                f"{folder / INDEX} is not the table frame, time, path of an extraction ({error}); "
                "delete it to read the images by their names"
            ) from error
        table["path"] = [str(folder / name) for name in table.path]
    else:
        paths = [p for p in folder.glob("[!.]*") if p.suffix.lower() in (".jpg", ".jpeg", ".png")]
        # Natural order: the numbers in a name count as numbers.
        paths.sort(key=lambda p: re.sub(r"\d+", lambda m: m[0].zfill(18), p.name))
        table = pd.DataFrame({"frame": np.arange(len(paths)), "path": [str(p) for p in paths]})
        table["time"] = table.frame / DEFAULT_FPS
    if table.empty:
        raise ValueError(f"{folder} holds no frames; expected .jpg or .png files")
    return table


def _sample(frames: capture.Frames, step: int | float, start: int, stop: int | None) -> Iterator:
    """Pick frames from `start` to before `stop`, a `step` in frames (int) or seconds apart."""
    position, due = 0, 0.0
    with contextlib.closing(frames):
        for index, seconds, decode in frames:
            if stop is not None and index >= stop:
                return
            if index < start:
                continue
            if isinstance(step, int):
                wanted = position % step == 0
            else:
                wanted = seconds > due - 1e-6
                due = (math.floor((seconds + 1e-6) / step) + 1) * step  # a grid never drifts
            position += 1
            image = decode() if wanted else None
            if image is not None:
                yield index, seconds, image
