"""Where frames come from: what a source is, and how files, addresses and webcams are opened."""

import os
import re
import signal
import sys
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
    except UnicodeEncodeError:  # no message or table could name it
        raise ValueError(f"{source!r} is not a name in UTF-8; rename the file") from None
    if path.is_dir():
        return "folder"
    if not path.exists():
        if "://" in str(source):
            return "stream"
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


def open_webcam(number: Source) -> cv2.VideoCapture:
    """Return an opened webcam; raises OSError if it does not open."""
    set_log_level = getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel  # 4.x, 5.x
    level = set_log_level(0)  # OpenCV prints what is raised below
    try:
        webcam = cv2.VideoCapture(int(number))
    finally:
        set_log_level(level)
    if not webcam.isOpened():
        raise OSError(f"webcam {number} does not open; check that it is plugged in and not in use")
    return webcam


def webcam_frames(webcam: cv2.VideoCapture, name: str, say: Callable[[str], None]) -> Frames:
    """Yield index, seconds since the first and a function that decodes, for each frame of a webcam.

    Raises ConnectionError when it gives none; says when it stops, which it does not by itself.
    """

    def decode() -> np.ndarray | None:
        good, bgr = webcam.retrieve()
        return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB) if good else None

    index, began = 0, 0.0
    try:
        while webcam.grab():
            if index == 0:
                began = time.monotonic()
            yield index, time.monotonic() - began, decode
            index += 1
    finally:
        webcam.release()
    if not index:
        raise ConnectionError(f"{name} gave no frame that decodes; record or connect it again")
    say(f"{name} stopped after {index} frames")


def display_name(source: Source) -> str:
    """Return a source as text for messages and tables, without the password of an address."""
    return re.sub(r"://[^@/]*@", "://", str(source))


def say(text: str) -> None:
    """Warn of something, at the line outside this library whose call led to it."""
    inside = {__name__.partition(".")[0], "functools", "tqdm"}
    level, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in inside:
        level, frame = level + 1, frame.f_back
    warnings.warn(text, stacklevel=level)


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
