"""What is kept of a long recording: vectors averaged over spans of time, crops by track."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd

from reidlib.detection.tracking import Recording

SPAN = 1.0  # seconds of a track whose vectors become one
ROW = np.dtype(
    [("track", "i4"), ("frame", "i4"), ("last", "i4"), ("time", "f8"), ("end", "f8")]
    + [("frames", "i4"), ("confidence", "f4")]
)


@dataclass(slots=True)
class Span:
    """Some time of a track: its frames, its seconds, and the mean of its vectors."""

    first: int
    last: int
    start: float
    end: float
    frames: int = 0  # that have a vector
    weight: float = 0.0  # the sum of their confidences
    mean: np.ndarray | None = None  # (D,) weighted, in half precision: cosines move by 1e-4 at most

    def join(self, later: Self) -> None:
        """Take in the span that follows."""
        self.last, self.end = later.last, later.end
        self.frames += later.frames
        self.weight += later.weight
        if self.mean is None:
            self.mean = later.mean
        elif later.mean is not None:
            share = later.weight / max(self.weight, 1e-12)
            mean = (1 - share) * self.mean.astype(np.float32) + share * later.mean
            self.mean = mean.astype(np.float16)


class Averages:
    """Averages the vectors of each track over spans of time, and forgets the single ones.

    A vector a box would take 460 MB an hour of ten people; here `SPAN` seconds take one, and a
    track of more than `limit` spans has longer ones, so that it ends to grow.
    """

    def __init__(self, limit: int = 32):
        self.limit = limit
        self.spans: dict[int, list[Span]] = {}
        self.length: dict[int, float] = {}  # seconds of a span, by track

    def add(self, found: np.ndarray, vectors: np.ndarray) -> None:
        """Take boxes (N,) with frame, time, track and confidence, and vectors (N, D), NaN if none.

        The boxes of one track come in the order of time.
        """
        known = np.isfinite(vectors).all(axis=1) & (vectors.shape[1] > 0)
        for box, vector, is_known in zip(found, vectors.astype(np.float16), known):
            frame, time, track = int(box["frame"]), float(box["time"]), int(box["track"])
            new = Span(frame, frame, time, time)
            if is_known:
                new = Span(frame, frame, time, time, 1, float(box["confidence"]), vector.copy())
            spans = self.spans.setdefault(track, [])
            length = self.length.setdefault(track, SPAN)
            if spans and time - spans[-1].start < length - 1e-6:
                spans[-1].join(new)
                continue
            if len(spans) == self.limit:
                self.length[track] = 2 * length
                for even, odd in zip(spans[::2], spans[1::2]):
                    even.join(odd)
                del spans[1::2]
            spans.append(new)

    def result(self) -> tuple[pd.DataFrame, np.ndarray]:
        """Return samples and vectors (M, D), a row a span, as `matching.tracklets` takes them."""
        every = [(track, span) for track, spans in self.spans.items() for span in spans]
        rows = [
            (track, span.first, span.last, span.start, span.end, span.frames, span.weight)
            for track, span in every
        ]
        table = pd.DataFrame(np.array(rows, ROW))
        width = max((len(s.mean) for _, s in every if s.mean is not None), default=0)
        vectors = np.full((len(every), width), np.nan, np.float16)
        for row, (_, span) in zip(vectors, every):
            if span.mean is not None:
                row[:] = span.mean
        return table, vectors


def renumbered(crops: dict[int, list], found: Recording) -> dict[int, list]:
    """Return the crops of the first pass, track to (frame, image), by the tracks of the second."""
    frames = {frame for kept in crops.values() for frame, _ in kept}  # few of all
    seen = found.table[found.table["frame"].isin(frames)]
    seen = seen[seen["row"] >= 0]
    keys = zip(found.first[seen["row"]].tolist(), seen["frame"].tolist())
    track_of = dict(zip(keys, seen["track"].tolist()))
    renumbered: dict[int, list] = {}
    for first, kept in crops.items():
        for frame, image in kept:
            track = track_of.get((first, frame))
            if track is not None:
                renumbered.setdefault(track, []).append((frame, image))
    return {track: sorted(kept, key=lambda crop: crop[0]) for track, kept in renumbered.items()}
