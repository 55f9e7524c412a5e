"""Recorded and streamed video, opened by PyAV: which stream, which frames, and when they were.

What a header says is not believed: frames are counted as they come, and their times are those of
their time stamps.
"""

import os
import time
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import av
import numpy as np
from av.stream import Disposition

from reidlib.collection import capture
from reidlib.collection.capture import DEFAULT_FPS, Frames, Source, display_name
from reidlib.collection.counting import NO_STAMP, Clock, Tally, times_of
from reidlib.collection.pictures import Converter, Deinterlacer, pixel_aspect

ATTEMPTS = 32  # reads that may fail in a row before a file counts as ended
HEAD = 8  # frames that are decoded to learn what the pictures are like
RAW = 0x0080  # AVFMT_NOTIMESTAMPS in libavformat/avformat.h: a format of pictures without times


@dataclass(frozen=True)
class Survey:
    """What a walk through a recording found: the times of its frames, and what they look like."""

    times: np.ndarray  # seconds, one for each frame that can be decoded
    width: int
    height: int
    interlaced: bool
    rate: float  # frames a second, as the header has it


class Recording:
    """One video stream of a file or an address, opened, to be gone through once.

    `timeout` is for addresses: the seconds without data after which they count as dead. `fps` is
    the rate of a raw stream, which has no time stamps. `say` is told what a viewer should know.
    Raises ValueError when there is sound only, av.error.FFmpegError when it does not open.
    """

    def __init__(
        self,
        source: str,
        name: str,
        say: Callable[[str], None],
        timeout: float | None = None,
        fps: float | None = None,
    ):
        self.name, self.say = name, say
        self.container = _open(source, timeout)
        self.stream = _longest(self.container, name, say, timeout is None)
        self.promised_frames, self.promised_seconds = _promised(self.container, self.stream)
        promised = self.promised_frames or self.promised_seconds
        self.is_file, self.live = timeout is None, timeout is not None and not promised
        # Cameras on RTSP stamp their pictures, which wait in a buffer; other live ones send them
        # as they are taken.
        self.stamped = not self.live or source.startswith("rtsp")
        # Kept here, for a closed container must not be asked.
        self.container_format = self.container.format.name
        self.tick = float(self.stream.time_base)
        self.aspect = pixel_aspect(self.stream)
        self.size = self.stream.codec_context.width, self.stream.codec_context.height
        self.raw, self.interlaced = bool(self.container.format.flags & RAW), False
        self.rate = float(self.stream.guessed_rate or self.stream.average_rate or 0) or DEFAULT_FPS
        if fps and self.raw:
            self.rate = float(fps)
        elif fps:
            say(f"{name} has time stamps of its own, which are kept; fps={fps:g} is not used")
        # Two threads with a frame each in hand; live, that would show each a frame too late.
        self.stream.thread_type = "SLICE" if self.live else "AUTO"
        self.stream.codec_context.thread_count = 2

    def close(self) -> None:
        """Close the file or the connection."""
        self.container.close()

    def frames(self) -> Frames:
        """Yield index, seconds and a function that returns the RGB image, frame by frame.

        All frames are decoded, as they need each other; those whose function is called are turned
        into RGB. Says at the end what was missing. Raises ValueError, or ConnectionError for a
        live source, when not one frame decodes.
        """
        tally, index, first, seconds = Tally(), 0, 0.0, 0.0
        try:
            for frame in self._pictures(tally):
                if index == 0:
                    clock, began = self._clock(tally), time.monotonic()
                    converter = self._converter(frame)
                stamp = self._stamp(frame.pts)
                seconds = clock(stamp) if self.stamped else time.monotonic() - began
                if index == 0:
                    first = seconds
                yield index, seconds, partial(converter, frame)
                index += 1
        finally:
            self.close()
        if not index:
            fault = ConnectionError if self.live else ValueError
            raise fault(f"{self.name} gave no frame that decodes; record or connect it again")
        self._conclude(tally, index, first, seconds, seconds + clock.zero)

    def survey(self) -> Survey:
        """Walk through all packets, decode the first few, and return what is there.

        Says what is odd about the pictures, and when frames are lost at the beginning.
        """
        tally, head = Tally(), _Head(self.stream)
        shown, sent, lost = array("q"), array("q"), bytearray()
        for packet in _packets(self.container, self.stream):
            fate = tally.add(packet)
            head.add(packet, fate, tally.keys)
            if fate != "hidden":
                shown.append(NO_STAMP if packet.pts is None else packet.pts)
                sent.append(NO_STAMP if packet.dts is None else packet.dts)
                lost.append(fate == "lost")
        head.finish()
        self.close()
        good = np.frombuffer(lost, np.uint8) == 0
        if head.decodes_without_keys:
            good[:] = True
        tally.lost = int((~good).sum())
        shown, sent = (np.frombuffer(ticks, np.int64)[good] for ticks in (shown, sent))
        fields = 2 if head.fields else 1
        times = times_of(shown, sent, 0 if self.raw else self.tick, self._clock(tally), fields)
        if tally.lost and len(times):
            self._say_late(len(times), tally.shown // fields, times[0])
        if head.interlaced:
            self._say_interlaced()
        return Survey(times, *self._size(head.first), head.interlaced, self.rate)

    def glance(self) -> tuple[int, int]:
        """Return width and height of the pictures as shown, decoding the first one."""
        try:
            return self._size(next(self._pictures(Tally()), None))
        finally:
            self.close()

    def _pictures(self, tally: Tally) -> Iterator[av.VideoFrame]:
        """Yield the frames in the order of showing, deinterlaced."""
        deinterlacer = Deinterlacer()
        for packet in _packets(self.container, self.stream):
            tally.add(packet)
            frames, failed = _decode(self.stream, packet)
            tally.failures += failed
            for frame in frames:
                if frame.interlaced_frame and not deinterlacer.active:
                    self._say_interlaced()
                yield from deinterlacer(frame)
        frames, failed = _decode(self.stream, None)
        tally.failures += failed
        for frame in frames:
            yield from deinterlacer(frame)
        yield from deinterlacer.flush()

    def _stamp(self, ticks: int | None) -> float | None:
        return None if ticks is None or self.raw else ticks * self.tick

    def _clock(self, tally: Tally) -> Clock:
        """Return a clock that starts with the first frame, even if that one cannot be decoded."""
        return Clock(self.rate, self._stamp(tally.earliest) or 0.0, tally.lost)

    def _size(self, frame: av.VideoFrame | None) -> tuple[int, int]:
        """Return width and height as shown, of a frame or, without one, by the header."""
        if frame is None:
            return self.size
        return self._converter(frame).shown

    def _converter(self, frame: av.VideoFrame) -> Converter:
        return Converter(frame, self.aspect, self.name, self.say)

    def _conclude(self, tally: Tally, count: int, first: float, last: float, stamp: float) -> None:
        """Say, when all is read, whether frames were missing, and why.

        `first` and `last` are the times of the `count` frames read, `stamp` is the last on the
        recorder's own clock.
        """
        total, lost = tally.shown, tally.lost
        if self.interlaced and total > 1.9 * count:  # each field has a packet of its own
            total, lost = total // 2, lost // 2
        stopped = f"{self.name} stopped after {count} frames"
        least = 0.98 * self.promised_frames - 2  # some containers only estimate
        cut = "cut short, damaged, or mislabelled"
        missing = total - count
        if self.live:
            self.say(stopped)
        elif self.is_file and tally.packets < least and last < least / self.rate:
            self.say(f"{stopped} of {self.promised_frames} in its header: {cut}")
        elif self.is_file and stamp < 0.98 * self._promised_end() - 3 / self.rate:
            end = self._promised_end()
            self.say(f"{stopped}, at {stamp:.1f} of the {end:.1f} s in its header: {cut}")
        elif 0 < missing <= lost:
            self._say_late(count, total, first)
        elif missing > 2 + 0.02 * total or (missing > 0 and tally.failures):
            self.say(
                f"{self.name} is damaged: {count} of about {total} frames can be read; later "
                "frames have too low a number, but the right time"
            )

    def _promised_end(self) -> float:
        """Return the seconds that the header gives, 0 where they are measured or not given."""
        written = self.container_format.startswith(("matroska", "mov", "flv", "asf"))
        return self.promised_seconds if written and not self.promised_frames else 0.0

    def _say_interlaced(self) -> None:
        self.interlaced = True
        self.say(f"{self.name} is interlaced, two moments in each frame; it is deinterlaced")

    def _say_late(self, count: int, total: int, first: float) -> None:
        self.say(
            f"{self.name} begins between key frames: {count} of {total} frames can be decoded, "
            f"from {first:.1f} s"
        )


def open_recording(
    source: Source, kind: str, say: Callable[[str], None], fps: float | None = None
) -> Recording:
    """Return an opened file or address; `say` and `fps` are as for `Recording`.

    Raises ValueError for a file that is no video, ConnectionError for an address without one.
    """
    name = display_name(source)
    timeout = capture.TIMEOUT if kind == "stream" else None
    try:
        return Recording(os.fspath(source), name, say, timeout, fps)
    except (av.error.FFmpegError, OSError) as error:
        if kind == "stream":  # the error itself would show the password
            raise ConnectionError(f"{name} gave no video; check address and network") from None
        if isinstance(error, PermissionError):
            raise PermissionError(f"{name} may not be read; give yourself the right to") from None
    raise ValueError(
        f"{name} does not open as a video; it is none, or was cut off: copy or record it again"
    )


class _Head:
    """The first frames of a recording, decoded while its packets go by."""

    def __init__(self, stream: av.VideoStream):
        self.stream, self.first, self.count, self.fed = stream, None, 0, 0
        self.interlaced = self.decodes_without_keys = self.finished = False
        stream.codec_context.thread_count = 1  # each frame comes as early as it can

    @property
    def fields(self) -> bool:
        """Whether each of the two fields of a frame has a packet of its own."""
        return self.interlaced and self.count > 2 and self.fed > 1.7 * self.count

    def add(self, packet: av.Packet, fate: str, keys: int) -> None:
        """Decode a packet, unless enough frames are there; `fate` is as in `Tally.add`."""
        if self.finished:
            return
        frames, _ = _decode(self.stream, packet)
        self.fed += 1 if fate == "frame" else 0
        if frames and not keys:
            self.decodes_without_keys = True  # not all formats mark them
        self._look_at(frames)
        if self.count >= HEAD:
            self.finish()

    def finish(self) -> None:
        """Take what the decoder has in hand."""
        if not self.finished:
            self._look_at(_decode(self.stream, None)[0])
            self.finished = True

    def _look_at(self, frames: list[av.VideoFrame]) -> None:
        for frame in frames:
            self.first = self.first or frame
            self.interlaced = self.interlaced or frame.interlaced_frame
            self.count += 1


def _open(source: str, timeout: float | None) -> av.container.InputContainer:
    """Return an opened file, or address if there is a timeout."""
    if timeout is None:
        # With its protocol in front, a name may hold colons, or look like an option.
        name, more = f"file:{os.path.abspath(source)}", {}
    else:
        options = {"rtsp_transport": "tcp"} if source.startswith("rtsp") else {}
        name, more = source, {"options": options, "timeout": (timeout, timeout)}
    container = av.open(name, metadata_errors="replace", **more)
    if container.format.name == "tty":  # would show any text as a film
        container.close()
        raise av.error.InvalidDataError(0, "text", source)
    return container


def _longest(container, name: str, say: Callable[[str], None], is_file: bool) -> av.VideoStream:
    """Return the longest video stream that is no cover picture, and say so if it has rivals.

    Of an address that does not say how long they are, it is the one that FFmpeg likes best.
    """
    videos = container.streams.video
    shown = [s for s in videos if not s.disposition & Disposition.attached_pic]
    streams = [stream for stream in shown if stream.codec_context is not None]
    if not streams:
        container.close()
        what = "video of an unknown codec" if shown else "sound only"
        raise ValueError(f"{name} holds {what}; give a video")
    if len(streams) == 1:
        return streams[0]
    lengths = {s.index: s.duration and float(s.duration * s.time_base) for s in streams}
    if None in lengths.values() and not is_file:
        return container.streams.best("video")
    if None in lengths.values():  # Matroska does not say
        lengths = _spans(container.name, [stream.index for stream in streams])
    longest = max(streams, key=lambda stream: lengths[stream.index])
    size = f"{longest.codec_context.width}x{longest.codec_context.height}"
    say(
        f"{name} holds {len(streams)} video streams; the longest is read: stream "
        f"{longest.index}, {size}, {lengths[longest.index]:.1f} s"
    )
    return longest


def _spans(name: str, streams: list[int]) -> dict[int, float]:
    """Return the seconds that the packets of each of several streams span."""
    first, spans = {}, dict.fromkeys(streams, 0.0)
    with av.open(name, metadata_errors="replace") as container:
        for packet in _packets(container, [container.streams[index] for index in streams]):
            ticks = packet.dts if packet.pts is None else packet.pts
            if ticks is not None:
                seconds = float(ticks * packet.time_base)
                index = packet.stream_index
                spans[index] = max(spans[index], seconds - first.setdefault(index, seconds))
    return spans


def _promised(container, stream: av.VideoStream) -> tuple[int, float]:
    """Return how many frames the header says there are, or else how many seconds; 0 for neither.

    What was trimmed off the end of an MP4 file is in its header's count, but not in its index.
    """
    frames, indexed = stream.frames, len(stream.index_entries)
    if frames and indexed and container.format.name.startswith("mov"):
        return min(frames, indexed), 0.0
    if frames:
        return frames, 0.0
    if stream.duration is not None:
        return 0, float(stream.duration * stream.time_base)
    alone = len(container.streams) == 1  # the sound may be longer
    return 0, (container.duration or 0) / av.time_base if alone else 0.0


def _packets(container, streams) -> Iterator[av.Packet]:
    """Yield the packets of one or several streams; a few errors in a row are read past."""
    failures = 0
    while failures < ATTEMPTS:
        try:
            for packet in container.demux(streams):
                if packet.size:  # else a frame dropped by the recorder, or the end
                    failures = 0
                    yield packet
            return
        except av.error.ExitError:  # nothing came for too long
            return
        except av.error.FFmpegError:
            failures += 1


def _decode(stream, packet: av.Packet | None) -> tuple[list[av.VideoFrame], bool]:
    """Return the frames that a packet completes, or at its end (None) the last ones.

    The second value says whether the packet was damaged.
    """
    try:
        return stream.codec_context.decode(packet), False
    except av.error.EOFError:
        return [], False
    except av.error.FFmpegError:
        return [], True
