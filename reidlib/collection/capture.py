"""Where frames come from: files, webcams and network streams, opened by OpenCV."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np

# Read once, at the first video: FFmpeg is silent, problems become errors and warnings here.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

TIMEOUT = 10.0  # seconds of silence after which a network stream counts as dead
DEFAULT_FPS = 25.0  # for folders of frames and raw streams that do not say
LIVE = ("camera", "stream")

Source = str | int | os.PathLike
Frames = Iterator[tuple[int, float, Callable[[], np.ndarray | None]]]  # index, seconds, decode


def kind_of(source: Source) -> str:
    """Return "file", "folder", "camera" or "stream"; raises for what does not exist or is empty."""
    path = Path(str(source))
    if not str(source):
        raise ValueError(
            "the name of the video is empty; give a file, a folder or a webcam's number"
        )
    try:
        str(source).encode()
    except UnicodeEncodeError:  # OpenCV would crash
        raise ValueError(f"{source!r} is not a name in UTF-8; rename the file") from None
    if "://" in str(source):
        return "stream"
    if path.is_dir():
        return "folder"
    if not path.exists():
        if re.fullmatch("[0-9]{1,3}", str(source)):
            return "camera"
        raise FileNotFoundError(
            f"no such video: {path}; give a file, a folder of frames, a webcam number or an address"
        )
    if not path.is_file():
        raise ValueError(f"{path} is neither a file nor a folder; a webcam is given by its number")
    if not path.stat().st_size:
        raise ValueError(f"{path} is empty (0 bytes); copy or record it again")
    return "file"


def open_source(source: Source, kind: str) -> cv2.VideoCapture:
    """Return an opened source of any kind but a folder; raises, saying why, if it does not open."""
    set_log_level = getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel  # 4.x, 5.x
    level = set_log_level(0)  # OpenCV prints what is raised below
    try:
        if kind == "camera":
            capture = cv2.VideoCapture(int(source))
        else:
            waits = (cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, cv2.CAP_PROP_READ_TIMEOUT_MSEC)
            limits = [value for wait in waits for value in (wait, int(TIMEOUT * 1000))]
            limits *= kind == "stream"
            capture = cv2.VideoCapture(os.fspath(source), cv2.CAP_FFMPEG, limits)
    finally:
        set_log_level(level)
    if capture.isOpened():
        return capture
    if kind == "camera":
        raise OSError(f"webcam {source} does not open; check that it is plugged in and not in use")
    if kind == "stream":
        raise ConnectionError(f"{display_name(source)} gave no video; check address and network")
    raise ValueError(
        f"{source} does not open as a video; it is none, or was cut off: copy or record it again"
    )


def frames(capture: cv2.VideoCapture, source: Source, kind: str) -> Frames:
    """Yield index, seconds and a function that decodes, for each frame of an opened source."""
    promised = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    rate = capture.get(cv2.CAP_PROP_FPS) or DEFAULT_FPS
    live = kind == "camera" or (kind == "stream" and promised <= 0)
    # Cameras on RTSP stamp their pictures, which wait in a buffer; other live ones come when taken.
    stamped = not live or str(source).startswith("rtsp")
    index, seconds, began, damaged = 0, -1.0, None, False

    def decode() -> np.ndarray | None:
        good, bgr = capture.retrieve()
        return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB) if good else None

    try:
        # A damaged stretch of a file takes a few attempts; what lies behind it is still there.
        attempts = range(32 if kind == "file" else 1)
        while (failed := next((n for n in attempts if capture.grab()), None)) is not None:
            damaged |= failed > 0
            if stamped:
                stamp = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
                # Raw streams have no time stamps, damaged ones repeat them.
                seconds = stamp if stamp > seconds else max(index / rate, seconds + 1 / rate)
            else:
                began = began or time.monotonic()
                seconds = time.monotonic() - began
            yield index, seconds, decode
            index += 1
    finally:
        capture.release()
    where, fault = display_name(source), ConnectionError if live else ValueError
    if not index:
        raise fault(f"{where} gave no frame that decodes; record or connect it again")
    least = 0.98 * promised - 2  # some containers only estimate, from time and rate
    if index < least and kind == "file":
        least -= rate * _beginning(source)
    short = index < least and seconds < least / rate
    if live or short:
        hint = f" of {promised:.0f} in its header: cut short, damaged, or mislabelled" * short
        warnings.warn(f"{where} stopped after {index} frames{hint}", stacklevel=3)
    elif damaged:
        text = f"{where} is damaged: {index} of about {promised:.0f} frames can be read; later "
        warnings.warn(text + "frames have too low a number, but the right time", stacklevel=3)


def _beginning(path: Source) -> float:
    """Return the time in seconds at which a file's clock begins: that of a recorder goes on."""
    import av

    with av.open(os.fspath(path)) as container:
        return (container.start_time or 0) / 1e6


def display_name(source: Source) -> str:
    """Return a source as text for messages and tables, without the password of an address."""
    return re.sub(r"://[^@/]*@", "://", str(source))


def until_interrupted(frames: Iterable) -> Iterator:
    """Yield what `frames` yields until Ctrl-C, so that a live recording ends and is not lost.

    A second Ctrl-C interrupts as usual. Works in the main thread, the one that Ctrl-C reaches.
    """
    pressed = []

    def press(*_):
        signal.signal(signal.SIGINT, before)
        pressed.append(True)

    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, press) if main else None
    try:
        for frame in frames:
            yield frame
            if pressed:
                break
    finally:
        if main:
            signal.signal(signal.SIGINT, before)
