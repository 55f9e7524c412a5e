"""One count of frames and one clock: what packets and time stamps say about a recording."""

import av
import numpy as np

JUMP = 1.0  # seconds by which time stamps must go back for the clock to count as set anew
FIRST = 64  # packets among which the frame shown first is sent; no codec waits as long
NO_STAMP = -(2**63)  # AV_NOPTS_VALUE in libavutil/avutil.h


class Clock:
    """Turns time stamps, which may be missing or broken, into seconds that always grow.

    A frame whose stamp is missing or repeats the last one follows 1 / `rate` seconds later. Where
    stamps go back by more than `JUMP`, the recorder's clock was set anew, and time goes on.
    """

    def __init__(self, rate: float, zero: float = 0.0, count: int = 0):
        self.rate, self.zero, self.count = rate, zero, count
        self.latest: float | None = None

    def __call__(self, stamp: float | None) -> float:
        """Return the time of the next frame in seconds from `zero`; `stamp` is in seconds too."""
        seconds = self.count / self.rate if stamp is None else stamp - self.zero
        if self.latest is not None and seconds <= self.latest:
            following = self.latest + 1 / self.rate
            if stamp is not None and seconds < self.latest - JUMP:
                self.zero += seconds - following
            seconds = following
        self.count += 1
        self.latest = seconds
        return seconds


class Tally:
    """Counts the packets of a stream, and says what becomes of each.

    `shown` counts the frames that are meant to be seen, `lost` those of them that cannot be
    decoded, as they need pictures from before the beginning: they are sent, or shown, before the
    first key frame. `earliest` is the smallest time stamp of the first packets, in ticks.
    """

    def __init__(self):
        self.packets = self.shown = self.lost = self.keys = self.failures = 0
        self.earliest: int | None = None
        self.first_key: int | None = None

    def add(self, packet: av.Packet) -> str:
        """Count a packet and return "frame", "lost" or "hidden"."""
        self.packets += 1
        if packet.is_keyframe:
            self.keys += 1
            if self.keys == 1:
                self.first_key = packet.pts
        if not _is_shown(packet):
            return "hidden"
        self.shown += 1
        stamp = packet.pts
        if stamp is not None and self.packets <= FIRST:
            self._note_earliest(stamp, float(packet.time_base))
        stamped = None not in (stamp, self.first_key)
        leads = self.keys == 1 and stamped and stamp < self.first_key
        if self.keys and not leads:
            return "frame"
        self.lost += 1
        return "lost"

    def _note_earliest(self, stamp: int, tick: float) -> None:
        if self.earliest is None:
            self.earliest = stamp
        elif (self.earliest - stamp) * tick <= JUMP:  # else the clock was set anew
            self.earliest = min(stamp, self.earliest)


def times_of(
    shown: np.ndarray, sent: np.ndarray, tick: float, clock: Clock, fields: int = 1
) -> np.ndarray:
    """Return the seconds at which frames are shown, from the time stamps of their packets.

    `shown` and `sent` are (N,) int64 in units of `tick` seconds, or `NO_STAMP`, in the order of
    decoding, which is that of `sent`; few frames are shown in another order than they are sent. A
    `tick` of 0 means that there are no times. With `fields` 2, a frame has two packets.
    """
    stamped = shown != NO_STAMP
    if fields == 2 and tick and not stamped.all():  # the second field has no time of its own
        shown, sent, fields = shown[stamped], sent[stamped], 1
    if not tick or (shown == NO_STAMP).any():
        return np.array([clock(None) for _ in shown[::fields]])
    order = shown if (sent == NO_STAMP).any() else sent
    breaks = np.flatnonzero(np.diff(order) * tick < -JUMP) + 1  # the clock was set anew
    stamps = np.concatenate([np.sort(part) for part in np.split(shown, breaks)])[::fields] * tick
    if (np.diff(stamps) > 0).all():
        return stamps - clock.zero
    return np.array([clock(stamp) for stamp in stamps.tolist()])


def _is_shown(packet: av.Packet) -> bool:
    """Return whether a packet is a frame that is meant to be seen.

    An edit list hides what was trimmed off; VP8 has pictures that only serve to predict others.
    """
    if packet.is_discard:
        return False
    if packet.stream.codec_context.name == "vp8":
        return bool(memoryview(packet)[0] & 0x10)  # show_frame: RFC 6386, section 9.1
    return True
