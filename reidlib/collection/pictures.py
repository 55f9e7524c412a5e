"""From decoded frames to RGB: deinterlaced, of square pixels, upright, in the right colours."""

from collections import deque
from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np
from av.filter import Graph
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

HD_SIDE = 577  # pixels; pictures whose sides reach it are of BT.709 unless they say otherwise
PQ = 16  # the transfer curve of HDR10, by its number in ITU-T H.273, table 3

DEEP = Interpolation.BICUBIC | Interpolation.FULL_CHR_H_INT  # how more than eight bits are read

# The matrix that makes RGB of luma and chroma, by its number in ITU-T H.273, table 4.
MATRICES = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}


class Deinterlacer:
    """Makes whole pictures of frames that hold two moments, the even and the odd lines.

    FFmpeg's bwdif (Weston 3-field, with Yadif's motion check) fills in the lines of the second
    moment from the frames before and after, so it gives each frame one later. Nothing is touched,
    or held back, until the first frame that says it is interlaced.
    """

    def __init__(self):
        self.graph: Graph | None = None
        self.layout: tuple | None = None
        self.waiting: deque[tuple[int | None, int, int]] = deque()

    @property
    def active(self) -> bool:
        """Whether any frame was interlaced so far."""
        return self.graph is not None

    def __call__(self, frame: av.VideoFrame) -> list[av.VideoFrame]:
        """Return the frames that are ready once this one has come: none, one, or several."""
        if not (self.active or frame.interlaced_frame):
            return [frame]
        layout = frame.format.name, frame.width, frame.height
        done = []
        if layout != self.layout:
            done = self.flush()
            self.layout, self.graph = layout, _bwdif(frame)
        # The filter counts time in its own way and may drop what the colours are.
        self.waiting.append((frame.pts, frame.colorspace, frame.color_range))
        frame.pts = None
        self.graph.push(frame)
        return done + self._ready()

    def flush(self) -> list[av.VideoFrame]:
        """Return the frames that were held back."""
        if self.graph is None:
            return []
        self.graph.push(None)
        return self._ready()

    def _ready(self) -> list[av.VideoFrame]:
        frames = []
        while self.waiting:
            try:
                frame = self.graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                break
            frame.pts, frame.colorspace, frame.color_range = self.waiting.popleft()
            frames.append(frame)
        return frames


def _bwdif(frame: av.VideoFrame) -> Graph:
    """Return a graph that deinterlaces frames like this one, as far as they need it."""
    graph = Graph()
    shape = {"width": frame.width, "height": frame.height, "format": frame.format}
    source = graph.add_buffer(**shape, time_base=Fraction(1, 1000))
    filtered = graph.add("bwdif", mode="send_frame", deint="interlaced")
    graph.link_nodes(source, filtered, graph.add("buffersink")).configure()
    return graph


class Converter:
    """Turns decoded frames into (H, W, 3) uint8 RGB, all of the size of the first one.

    `aspect` is the width of a pixel over its height; frames are stretched sideways to square
    pixels. A frame that is stored lying or mirrored is put upright. `say` is told, once, of what a
    viewer should know.
    """

    def __init__(
        self, frame: av.VideoFrame, aspect: Fraction, name: str, say: Callable[[str], None]
    ):
        self.name, self.say, self.reformatter = name, say, VideoReformatter()
        self.stored = frame.width, frame.height
        self.size = max(1, round(frame.width * aspect)), frame.height
        self.turn = _turn(frame)
        if aspect != 1:
            say(
                f"{name} has pixels of {aspect.numerator}:{aspect.denominator}, not square: frames "
                f"of {frame.width}x{frame.height} are shown as {self.size[0]}x{self.size[1]}"
            )
        if frame.color_trc == PQ:
            say(f"{name} is HDR (PQ), shown as it is: people look paler than on an HDR screen")

    @property
    def shown(self) -> tuple[int, int]:
        """The width and height of the images."""
        lies = self.turn is not None and self.turn[0]
        return self.size[::-1] if lies else self.size

    def __call__(self, frame: av.VideoFrame) -> np.ndarray | None:
        """Return the image of a frame, or None for one of a kind that cannot be turned into RGB."""
        if (frame.width, frame.height) != self.stored:
            self.say(
                f"{self.name} changes in size from {self.stored[0]}x{self.stored[1]} to "
                f"{frame.width}x{frame.height}; all is shown in the first size"
            )
        matrix = None
        if not frame.format.is_rgb:
            matrix = MATRICES.get(frame.colorspace, usual_matrix(frame.width, frame.height))
        # Eight bits as OpenCV makes them; more would lose two levels that way.
        deep = frame.format.components[0].bits > 8
        try:
            rgb = self.reformatter.reformat(
                frame,
                *self.size,
                format="rgb24",
                src_colorspace=matrix,
                dst_color_range=ColorRange.JPEG,
                interpolation=DEEP if deep else Interpolation.BICUBIC,
                threads=1,
            )
        except av.error.FFmpegError:
            return None
        image = rgb.to_ndarray()
        if self.turn is not None:
            image = _turned(image, *self.turn)
        return np.ascontiguousarray(image)


def pixel_aspect(stream: av.VideoStream) -> Fraction:
    """Return the width of a stream's pixels over their height; 1 when it is absurd or near 1."""
    aspect = stream.sample_aspect_ratio or Fraction(1)
    return aspect if 0.25 <= aspect <= 4 and abs(aspect - 1) > 0.005 else Fraction(1)


def usual_matrix(width: int, height: int) -> Colorspace:
    """Return the matrix of pictures that do not name theirs, which goes by their size.

    BT.709 for high definition, BT.601 below, as players take it and as our own films are written.
    """
    return Colorspace.ITU709 if min(width, height) >= HD_SIDE else Colorspace.ITU601


def _turn(frame: av.VideoFrame) -> tuple[bool, bool, bool] | None:
    """Return how a frame is put upright: (swap the axes, then mirror rows, mirror columns).

    Its display matrix (a b, c d; libavutil/display.h) moves the pixel (x, y) to
    (ax + cy, bx + dy); what is no quarter turn is rounded to one. None where nothing is to do.
    """
    matrix = next((d for d in frame.side_data if d.type.name == "DISPLAYMATRIX"), None)
    if matrix is None:
        return None
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    lies = abs(b) > abs(a)
    turn = (True, b < 0, c < 0) if lies else (False, d < 0, a < 0)
    return turn if any(turn) else None


def _turned(image: np.ndarray, swap: bool, rows: bool, columns: bool) -> np.ndarray:
    image = image.swapaxes(0, 1) if swap else image
    image = image[::-1] if rows else image
    return image[:, ::-1] if columns else image
