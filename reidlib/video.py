"""Video in and out: files, folders of frames, webcams and network streams behind one ``read``."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

# FFmpeg inside OpenCV reads this once, at the first video; problems are reported by errors here.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

import cv2
import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from reidlib import assets

IMAGES = (".jpg", ".jpeg", ".png")
INDEX = "frames.csv"  # what `extract` leaves beside its frames: frame, time, path
TIMEOUT = 10.0  # seconds without an answer after which a network stream counts as dead
FOLDER_FPS = 25.0  # assumed for a folder of frames that does not say

Source = str | int | os.PathLike
Frame = tuple[int, float, Callable[[], np.ndarray | None]]  # index, seconds, decode


@dataclass(frozen=True)
class Probe:
    """What a video is: pixels, frames a second, frames, seconds (the last two None when live)."""

    width: int
    height: int
    fps: float
    frames: int | None
    duration: float | None


def probe(source: Source, fps: float | None = None) -> Probe:
    """Return the size, rate and length of a video.

    Frames are counted by walking through the packets of the file without decoding them, because
    headers lie, above all in files cut short. `fps` is for a folder of frames without an index.
    Raises FileNotFoundError, ValueError for what is no video, OSError for a dead camera or stream.
    """
    kind = _kind(source)
    if kind == "folder":
        table = _folder(Path(source), fps)
        height, width = read_image(table.path.iloc[0]).shape[:2]
        span, count = table.time.iloc[-1] - table.time.iloc[0], len(table)
        rate = (count - 1) / span if count > 1 and span > 0 else fps or FOLDER_FPS
        return Probe(width, height, float(rate), count, count / rate)
    capture = _open(source, kind)
    width, height = (int(capture.get(p)) for p in (cv2.CAP_PROP_FRAME_WIDTH, 4))
    rate = capture.get(cv2.CAP_PROP_FPS)
    capture.release()
    if kind != "file":
        return Probe(width, height, rate or FOLDER_FPS, None, None)
    seconds = times(source)
    if len(seconds) > 1 and seconds[-1] > 0:
        measured = (len(seconds) - 1) / seconds[-1]
        # A rate in the header that time stamps contradict is of no use; rounding is no lie.
        rate = rate if abs(rate - measured) < 0.01 * measured else measured
    rate = rate if math.isfinite(rate) and rate > 0 else FOLDER_FPS
    return Probe(width, height, float(rate), len(seconds), len(seconds) / rate)


def times(source: Source) -> np.ndarray:
    """Return the time of every frame of a file in seconds from the first, without decoding."""
    import av

    stamps: list[int | None] = []
    with av.open(os.fspath(source)) as container:
        stream = container.streams.video[0]
        # A damaged end raises here; the frames before it are still there.
        with contextlib.suppress(av.error.FFmpegError):
            stamps.extend(
                packet.pts
                for packet in container.demux(stream)
                if packet.size and not packet.is_corrupt and not packet.is_discard
            )
        base, rate = stream.time_base, stream.average_rate
    if any(stamp is None for stamp in stamps) or base is None:  # a raw stream has no time stamps
        return np.arange(len(stamps)) / float(rate or FOLDER_FPS)
    ticks = np.sort(np.array(stamps, np.int64))  # packets come in decoding order
    return (ticks - ticks[:1]) * float(base)


def read(
    source: Source,
    every: int | str = 1,
    start: int = 0,
    stop: int | None = None,
    fps: float | None = None,
) -> Iterator[tuple[int, float, np.ndarray]]:
    """Yield ``(index, seconds, image)`` for the frames of a video; image is (H, W, 3) uint8 RGB.

    `source` is a file, a folder of frames (.jpg, .png, in natural order), a webcam (``0`` or
    ``"0"``) or an address (``rtsp://``, ``http://``). `every` is a step in frames (``25``) or in
    time (``"1s"``); `start` and `stop` are frame numbers counted from 0, `stop` left out. `fps` is
    for a folder without the index that `extract` writes. Memory stays constant.

    A file that ends before its header promised gives all it holds, then a warning. Raises
    FileNotFoundError, ValueError for what is no video, OSError for a dead camera or stream.

    >>> for index, seconds, image in read("clip.mp4", every="1s"):  # doctest: +SKIP
    ...     print(index, seconds, image.shape)
    """
    step, kind = parse_every(every), _kind(source)
    if kind == "folder":
        frames = _folder_frames(_folder(Path(source), fps))
    else:
        frames = _capture_frames(_open(source, kind), source, kind)
    return _sample(frames, step, start, stop)


def parse_every(every: int | str) -> int | float:
    """Return a step as an int, in frames, or as a float, in seconds.

    >>> parse_every("25"), parse_every("1s"), parse_every("500ms"), parse_every("2min")
    (25, 1.0, 0.5, 120.0)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|min|)\s*", str(every))
    value = float(match[1]) if match else 0.0
    if not match or value <= 0 or (not match[2] and not match[1].isdigit()):
        raise ValueError(
            f"every={every!r} is no step; give a whole number of frames such as 25, "
            "or a time such as '1s', '500ms' or '2min'"
        )
    return value * {"ms": 0.001, "s": 1.0, "min": 60.0}[match[2]] if match[2] else int(value)


def read_image(path: str | Path) -> np.ndarray:
    """Return an image file as (H, W, 3) uint8 RGB; ValueError when it does not decode."""
    data = np.fromfile(path, np.uint8)  # cv2.imread fails on non-ASCII names on Windows
    image = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    if image is None:
        raise ValueError(f"{path} does not decode as an image; it is empty, damaged or no image")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def write_image(path: str | Path, image: np.ndarray, quality: int = 95) -> None:
    """Write an RGB image as .jpg or .png, whole or not at all."""
    bgr = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(Path(path).suffix, bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    with assets.atomic(path) as temporary:
        temporary.write_bytes(data.tobytes())


class Writer:
    """Write RGB images of one size to a video; use it in a ``with`` block.

    ``.mp4``, ``.mov`` and ``.mkv`` hold H.264 (yuv420p, index in front) that plays in a browser;
    ``.avi`` holds MPEG-4. `crf` is the H.264 quality, 18 (fine) to 35 (small). An odd width or
    height is padded by one pixel, as the format needs even ones. The file appears only when the
    block ends without an error; until then an older file stays as it was.

    >>> with Writer("out.mp4", fps=25) as writer:  # doctest: +SKIP
    ...     writer.write(np.zeros((360, 640, 3), np.uint8))
    """

    def __init__(self, path: str | Path, fps: float, crf: int = 23):
        self.path = Path(path)
        if self.path.suffix.lower() not in (".mp4", ".mov", ".mkv", ".avi"):
            raise ValueError(f"cannot write {path}: the name must end in .mp4, .mov, .mkv or .avi")
        if not (math.isfinite(fps) and 0 < fps <= 1000):
            raise ValueError(f"fps={fps!r}; expected frames a second between 0 and 1000")
        self.fps, self.crf, self.frames, self._shape = fps, crf, 0, None
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Writer:
        import av

        with contextlib.ExitStack() as stack:
            temporary = stack.enter_context(assets.atomic(self.path))
            options = {"movflags": "+faststart"} if self.path.suffix in (".mp4", ".mov") else {}
            self._container = stack.enter_context(av.open(str(temporary), "w", options=options))
            self._stack = stack.pop_all()
        return self

    def write(self, image: np.ndarray) -> None:
        """Add one (H, W, 3) uint8 RGB image; ValueError when its shape differs from the first."""
        import av

        image = np.asarray(image)
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(
                f"frame {self.frames} is {image.dtype} of shape {image.shape}; "
                "expected uint8 (H, W, 3) RGB"
            )
        if self._shape is None:
            self._shape = image.shape
            self._stream = self._add_stream(*image.shape[:2])
        elif image.shape != self._shape:
            raise ValueError(
                f"frame {self.frames} is {image.shape[1]}x{image.shape[0]}, but {self.path.name} "
                f"began with {self._shape[1]}x{self._shape[0]}; resize all frames to one size"
            )
        odd = image.shape[0] % 2, image.shape[1] % 2
        if any(odd):
            image = cv2.copyMakeBorder(image, 0, odd[0], 0, odd[1], cv2.BORDER_REPLICATE)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        frame.pts = self.frames
        self._container.mux(self._stream.encode(frame))
        self.frames += 1

    def __exit__(self, kind, error, trace) -> None:
        if kind is None:
            try:
                if not self.frames:
                    raise ValueError(f"no image was written to {self.path}; nothing was saved")
                self._container.mux(self._stream.encode())
            except BaseException as failure:
                self._stack.__exit__(type(failure), failure, failure.__traceback__)
                raise
        self._stack.__exit__(kind, error, trace)

    def _add_stream(self, height: int, width: int):
        avi = self.path.suffix.lower() == ".avi"
        stream = self._container.add_stream(
            "mpeg4" if avi else "libx264", rate=Fraction(self.fps).limit_denominator(10_010)
        )
        stream.width, stream.height = width + width % 2, height + height % 2
        stream.pix_fmt = "yuv420p"
        stream.options = (
            {"qmin": "3", "qmax": "3"} if avi else {"crf": str(self.crf), "preset": "veryfast"}
        )
        return stream


def write(path: str | Path, images: Iterable[np.ndarray], fps: float, crf: int = 23) -> int:
    """Write RGB images of one size to a video (see `Writer`) and return how many there were."""
    with Writer(path, fps, crf) as writer:
        for image in images:
            writer.write(image)
    return writer.frames


def extract(source: Source, folder: str | Path, every: int | str = 1) -> pd.DataFrame:
    """Save frames as ``frame_000123.jpg`` and return their table: frame, time, path.

    Frames already there are kept, so that an interrupted run goes on where it stopped; the table
    is written last, to ``frames.csv``. Raises ValueError when `folder` holds frames of something
    else.
    """
    folder, frames = Path(folder), read(source, every)
    _claim(folder, source)
    rows = []
    for index, seconds, image in tqdm(frames, desc="extract", unit="frame", leave=False):
        path = folder / f"frame_{index:06d}.jpg"
        if not path.exists():
            write_image(path, image)
        rows.append((index, round(seconds, 6), path.name))
    table = pd.DataFrame(rows, columns=["frame", "time", "path"])
    with assets.atomic(folder / INDEX) as temporary:
        table.to_csv(temporary, index=False)
    return table.assign(path=[str(folder / name) for name in table.path])


def convert(source: Source, target: str | Path, fps: float | None = None, crf: int = 23) -> int:
    """Turn a video or a folder of frames into a video, or into a folder if `target` has no ending.

    Every frame is kept, at the mean rate of the source unless `fps` says otherwise; sound is left
    out. Returns the number of frames.
    """
    if not Path(target).suffix:
        return len(extract(source, target))
    about = probe(source, fps)
    images = (image for _, _, image in read(source, fps=fps))
    images = tqdm(images, "convert", about.frames, unit="frame", leave=False)
    return write(target, images, fps or about.fps, crf)


def name(source: Source) -> str:
    """Return a source as text fit for a message: the password of an address is left out."""
    return re.sub(r"://[^@/]*@", "://***@", str(source))


def _claim(folder: Path, source: Source) -> None:
    """Mark `folder` as holding the frames of `source`, or refuse if it holds others."""
    live = _kind(source) in ("camera", "stream")
    size = None if live or Path(source).is_dir() else Path(source).stat().st_size
    mine, note = {"source": name(source).replace("\\", "/").split("/")[-1], "bytes": size}, None
    marker = folder / "source.json"
    if marker.exists():
        note = json.loads(marker.read_text("utf-8"))
    elif next(folder.glob("frame_*.jpg"), None):
        note = {"source": "an unknown video"}
    if note and (live or note != mine):
        raise ValueError(
            f"{folder} already holds frames of {note.get('source')}; choose a new folder, "
            "or empty this one"
        )
    with assets.atomic(marker) as temporary:
        temporary.write_text(json.dumps(mine), "utf-8")


def _kind(source: Source) -> str:
    if isinstance(source, int | np.integer):
        return "camera"
    if "://" in str(source):
        return "stream"
    path = Path(source)
    if path.is_dir():
        return "folder"
    if not path.exists():
        if str(source).isdigit():
            return "camera"
        raise FileNotFoundError(
            f"no such video: {path}; expected a file, a folder of frames, a webcam number, "
            "or an address with rtsp:// or http://"
        )
    if not path.stat().st_size:
        raise ValueError(f"{path} is empty (0 bytes); copy or record it again")
    return "file"


def _open(source: Source, kind: str) -> cv2.VideoCapture:
    level = cv2.utils.logging.setLogLevel(0)  # OpenCV prints what is raised below
    try:
        if kind == "camera":
            capture = cv2.VideoCapture(int(source))
        else:
            wait = int(TIMEOUT * 1000)
            limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, wait, cv2.CAP_PROP_READ_TIMEOUT_MSEC, wait]
            limits = limits if kind == "stream" else []
            capture = cv2.VideoCapture(os.fspath(source), cv2.CAP_FFMPEG, limits)
    finally:
        cv2.utils.logging.setLogLevel(level)
    if capture.isOpened():
        return capture
    if kind == "camera":
        raise OSError(f"webcam {source} does not open; check that it is plugged in and not in use")
    if kind == "stream":
        raise ConnectionError(
            f"{name(source)} gave no video within {TIMEOUT:g} s; check the address, the password "
            "and the network"
        )
    raise ValueError(
        f"{source} does not open as a video; it is of another kind, or an .mp4 that was cut off "
        "before its index was written: copy or record it again"
    )


def _capture_frames(capture: cv2.VideoCapture, source: Source, kind: str) -> Iterator[Frame]:
    promised = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    rate = capture.get(cv2.CAP_PROP_FPS) or FOLDER_FPS
    live = kind == "camera" or (kind == "stream" and promised <= 0)
    began = index = None
    seconds = -1.0

    def decode() -> np.ndarray | None:
        good, bgr = capture.retrieve()
        return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB) if good else None

    try:
        index = 0
        while capture.grab():
            if live:
                began = began or time.monotonic()
                seconds = time.monotonic() - began
            else:
                stamp = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
                # Raw streams have no time stamps, damaged ones repeat them.
                seconds = stamp if stamp > seconds else max(index / rate, seconds + 1 / rate)
            yield index, seconds, decode
            index += 1
    finally:
        capture.release()
    if not index:
        raise ValueError(f"{name(source)} holds no frame that decodes; copy or record it again")
    if live:
        warnings.warn(f"{name(source)} stopped after {index} frames", stacklevel=3)
    elif index < promised - max(2, 0.02 * promised):
        warnings.warn(
            f"{name(source)} ends after {index} frames, but its header promises {promised:.0f}; it "
            "was cut short or is damaged. What could be decoded was read",
            stacklevel=3,
        )


def _folder(folder: Path, fps: float | None) -> pd.DataFrame:
    """Return frame, time and path of the images in a folder, in order."""
    if (folder / INDEX).exists() and fps is None:
        table = pd.read_csv(folder / INDEX)
        table["path"] = [folder / name for name in table.path]
    else:
        paths = [p for p in folder.iterdir() if p.suffix.lower() in IMAGES and p.name[0] != "."]
        paths.sort(key=lambda p: [int(t) if t.isdigit() else t for t in re.split(r"(\d+)", p.name)])
        index = np.arange(len(paths))
        table = pd.DataFrame({"frame": index, "time": index / (fps or FOLDER_FPS), "path": paths})
    if table.empty:
        raise ValueError(f"{folder} holds no frames; expected .jpg or .png files")
    return table


def _folder_frames(table: pd.DataFrame) -> Iterator[Frame]:
    for index, seconds, path in zip(table.frame, table.time, table.path):
        yield int(index), float(seconds), lambda path=path: read_image(path)


def _sample(
    frames: Iterator[Frame], step: int | float, start: int, stop: int | None
) -> Iterator[tuple[int, float, np.ndarray]]:
    with contextlib.closing(frames):
        position, due = -1, None
        for index, seconds, decode in frames:
            if stop is not None and index >= stop:
                return
            if index < start:
                continue
            position += 1
            if isinstance(step, int):
                wanted = position % step == 0
            else:
                due = seconds if due is None else due
                wanted = seconds >= due - 1e-6
                while wanted and due <= seconds + 1e-6:  # on a fixed grid, so it never drifts
                    due += step
            image = decode() if wanted else None
            if image is not None:
                yield index, seconds, image
