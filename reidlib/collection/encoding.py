"""Single images and videos on disk; `video` reads what is written here."""

import contextlib
import io
import math
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Self

import cv2
import numpy as np
from PIL.BmpImagePlugin import BmpImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from reidlib import assets

SLOWEST = 0.01  # frames a second that a film can have
HEADERS = (JpegImageFile, PngImageFile, BmpImageFile, TiffImageFile, WebPImageFile)
PIXELS = assets.LIMIT // 6  # of an image, which is in memory twice for a moment, as BGR and as RGB


def read_image(path: str | Path) -> np.ndarray:
    """Return an image file as (H, W, 3) uint8 RGB.

    Raises FileNotFoundError, or ValueError when the file does not decode, or claims more pixels
    than assets.LIMIT has room for.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no image at {path}")
    # Through memory, because OpenCV cannot open every name on Windows.
    content = np.frombuffer(path.read_bytes(), np.uint8)
    if math.prod(claimed_size(content)) > PIXELS:
        raise ValueError(
            f"{path} ({content.size} bytes) claims more than {PIXELS / 1e6:.0f} million pixels; "
            "make it smaller, or replace it"
        )
    image = cv2.imdecode(content, cv2.IMREAD_COLOR) if content.size else None
    if image is None:
        raise ValueError(
            f"{path} ({content.size} bytes) does not decode as an image; remove or replace it"
        )
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def claimed_size(source: Path | np.ndarray) -> tuple[int, int]:
    """Return the width and height that the header of an image claims, a file or its bytes.

    Both are 0 where it is of none of `HEADERS`.
    A few bytes can claim 30,000 x 30,000, for which OpenCV would take five gigabytes.
    """
    for header in HEADERS:  # not Image.open, in whose place Ultralytics puts one that installs
        try:
            with header(source if isinstance(source, Path) else io.BytesIO(source)) as image:
                return image.size
        except Exception:  # of another format, or damaged, at which OpenCV looks again
            continue
    return 0, 0


def write_image(path: str | Path, image: np.ndarray, quality: int = 95) -> None:
    """Write an RGB image as .jpg, of `quality` 1 to 100, or as .png; whole or not at all."""
    suffix = Path(path).suffix.lower()
    if suffix not in (".jpg", ".jpeg", ".png"):
        raise ValueError(f"cannot write {path}; the name must end in .jpg or .png")
    _check_image(image, f"the image for {path}")
    options = [] if suffix == ".png" else [cv2.IMWRITE_JPEG_QUALITY, quality]
    bgr = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(suffix, bgr, options)
    with assets.atomic(path) as temporary:
        temporary.write_bytes(data.tobytes())


def check_images(images: Iterable[np.ndarray], expected: str) -> None:
    """Raise ValueError, which says what was `expected`, unless all are uint8 RGB (h, w, 3)."""
    for i, image in enumerate(images):
        shape, kind = getattr(image, "shape", ()), getattr(image, "dtype", type(image).__name__)
        if kind != np.uint8 or len(shape) != 3 or shape[2] != 3:
            raise ValueError(
                f"image {i} is {kind} with shape {shape}; expected {expected} (height, width, 3)"
            )
        if 0 in shape:
            raise ValueError(f"image {i} has no pixels, shape {shape}; leave such boxes out first")


def _check_image(image: np.ndarray, what: str) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ValueError(
            f"{what} is {image.dtype} of shape {image.shape}; expected uint8 (H, W, 3) RGB"
        )


class Writer:
    """Write RGB images of one size to a video, in a ``with`` block.

    ``.mp4``, ``.mov`` and ``.mkv`` hold H.264 (yuv420p, index in front) that plays in a browser;
    ``.avi`` holds MPEG-4. `crf` is the H.264 quality, 18 (fine) to 35 (small). An odd width or
    height is padded by a pixel, as the format needs even ones. The file appears when the block
    ends without an error; until then an older one stays as it was.

    >>> with Writer("out.mp4", fps=25) as writer:  # doctest: +SKIP
    ...     writer.write(np.zeros((360, 640, 3), np.uint8))
    """

    def __init__(self, path: str | Path, fps: float, crf: int = 23):
        self.path, self.fps, self.crf = Path(path), fps, crf
        if self.path.suffix.lower() not in (".mp4", ".mov", ".mkv", ".avi"):
            raise ValueError(f"cannot write {path}; the name must end in .mp4, .mov, .mkv or .avi")
        if not SLOWEST <= fps <= 1000:
            raise ValueError(f"fps={fps!r}; expected {SLOWEST} to 1000 frames a second")
        self.frames, self._shape, self._container = 0, None, None

    def __enter__(self) -> Self:
        self._stack = contextlib.ExitStack()
        self._temporary = self._stack.enter_context(assets.atomic(self.path))
        self._stack.push(self._finish)  # when it fails, `atomic` throws the file away
        return self

    def __exit__(self, *failure) -> None:
        self._stack.__exit__(*failure)

    def write(self, image: np.ndarray) -> None:
        """Add one (H, W, 3) uint8 RGB image; ValueError when its size differs from the first's."""
        import av

        from reidlib.collection import pictures

        image = np.ascontiguousarray(image)
        _check_image(image, f"frame {self.frames}")
        height, width = image.shape[:2]
        if self._shape is None:
            self._shape = height, width
            self._open(height + height % 2, width + width % 2)
        elif self._shape != (height, width):
            raise ValueError(
                f"frame {self.frames} is {width}x{height}, but {self.path.name} began with "
                f"{self._shape[1]}x{self._shape[0]}; resize all frames to one size"
            )
        if height % 2 or width % 2:
            border = cv2.BORDER_REPLICATE
            image = cv2.copyMakeBorder(image, 0, height % 2, 0, width % 2, border)
        matrix = pictures.usual_matrix(*image.shape[1::-1])
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace=matrix, dst_color_range="MPEG")
        frame.pts = self.frames
        self._container.mux(self._stream.encode(frame))
        self.frames += 1

    def _open(self, height: int, width: int) -> None:
        import av
        from av.video.reformatter import ColorRange

        from reidlib.collection import pictures

        suffix = self.path.suffix.lower()
        options = {"movflags": "+faststart"} if suffix in (".mp4", ".mov") else {}
        self._container = av.open(str(self._temporary), "w", options=options)
        rate = Fraction(self.fps).limit_denominator(1001)  # NTSC is 30000/1001
        codec = "mpeg4" if suffix == ".avi" else "libx264"
        self._stream = stream = self._container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        # A file that names its colours looks the same in every player.
        stream.codec_context.colorspace = pictures.usual_matrix(width, height)
        stream.codec_context.color_range = ColorRange.MPEG
        x264 = {"crf": str(self.crf), "preset": "veryfast"}
        stream.options = x264 if codec == "libx264" else {"qmin": "3", "qmax": "3"}

    def _finish(self, kind, error, trace) -> None:
        if self._container is None:
            if kind is None:
                raise ValueError(f"no image was written to {self.path}; nothing was saved")
            return
        with self._container:
            if kind is None:
                self._container.mux(self._stream.encode())


def write(path: str | Path, images: Iterable[np.ndarray], fps: float, crf: int = 23) -> int:
    """Write RGB images of one size to a video (see `Writer`) and return how many there were."""
    with Writer(path, fps, crf) as writer:
        for image in images:
            writer.write(image)
    return writer.frames
