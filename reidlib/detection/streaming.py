"""A video that goes by: detect, embed and track, and hand on what is certain.

Nothing is kept that was handed on, so that memory does not grow with the length of the video. Who
needs the vectors of all boxes later keeps them in a `VectorFile`.
"""

import copy
import itertools
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from reidlib import boxes
from reidlib.boxes import BOX
from reidlib.collection import video
from reidlib.detection import detectors
from reidlib.detection.camera_motion import CameraMotion
from reidlib.detection.looks import Looks, expected
from reidlib.detection.tracker import CONFIDENT, Tracker
from reidlib.detection.tracks import Observation

MEMORY = 50  # boxes of a track that stay with the tracker
BLOCK = 4096  # vectors that are handled at a time
SEEN = np.dtype(
    [("frame", "i4"), ("time", "f8"), ("track", "i4"), *((side, "f4") for side in BOX)]
    + [("confidence", "f4")]
)  # a box of a track: 36 bytes, where a row of Python numbers takes 350


def stream(
    source,
    detector: Callable,
    extractor: Callable | None = None,
    *,
    tracker: Tracker | None = None,
    on_frame: Callable[[int, np.ndarray, pd.DataFrame], None] | None = None,
    batch: int = 8,
    every: int | str = 1,
    start: int = 0,
    stop: int | None = None,
    camera_motion: bool = False,
    keep: bool = True,
    gate: bool = False,
    detect_every: int = 1,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Track people through a video and hand on what is certain: boxes and vectors, now and then.

    Takes what `track` takes. Yields the boxes of confirmed tracks that are new since the last time,
    an array of type `SEEN`, and their vectors (N, D), NaN where a box has none; each box once, in
    no particular order. A track's number stays as it is. Nothing is kept that was handed on, so
    that memory does not grow with the length of the video. Without `keep` only those boxes are
    embedded whose vectors the tracker will look at, which changes none of its tracks.

    `gate` and `detect_every` are as for `Looks`. In frames that nobody looked at, tracks that were
    seen before and after have a box on the straight line between, without a vector.
    """
    if isinstance(source, (str, int, os.PathLike, video.Video)):
        source = video.read(source, every=every, start=start, stop=stop)
    if tracker is None:
        tracker = Tracker(high=getattr(detector, "confidence", 0.25))
    elif tracker.frame >= 0:
        raise ValueError("this tracker has followed people before; give a new one for each video")
    news, motion = _News(), CameraMotion() if camera_motion else None
    looks = Looks(gate, detect_every)
    for chunk in _chunks(tqdm(source, desc="track", unit="frame", leave=False), batch):
        seen = [looks(seconds, image, bool(tracker.tracks)) for _, seconds, image in chunk]
        images = [image for (_, _, image), is_seen in zip(chunk, seen) if is_seen]
        found = _detect(detector, images, min(tracker.low, tracker.high)) if images else []
        floors = [tracker.high] * len(found) if keep else _floors(tracker, found)
        made = zip(found, _embed(extractor, images, found, floors))
        for (index, seconds, image), is_seen in zip(chunk, seen):
            if not is_seen:
                news.skip(index, seconds)
                if on_frame is not None:
                    on_frame(index, image, expected(tracker, seconds))
                continue
            table, vectors = next(made)
            tracker.size = tracker.size or (image.shape[1], image.shape[0])
            camera = motion(image, table[BOX]) if motion else None
            now = tracker.update(table, vectors, seconds, camera)
            news.add(tracker, index, seconds, vectors)
            if on_frame is not None:
                on_frame(index, image, now)
        if news.boxes:
            yield news.take()


class VectorFile:
    """Vectors (N, D) that lie in a temporary file: ``file[rows]`` reads those that are asked for.

    `rows` is a slice or an array of row numbers. An hour of ten people at 12.5 frames a second
    would take 460 MB of memory; `kind` float16 takes half the room on the disk.
    """

    def __init__(self, kind=np.float32):
        self.kind, self.shape = np.dtype(kind), (0, 0)
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 lives as long as what reads it
        self._order = None

    def __len__(self) -> int:
        return self.shape[0]

    def append(self, vectors: np.ndarray) -> None:
        """Add vectors (N, D); (N, 0) stands for boxes that have none, and they become NaN."""
        count, width = self.shape
        if not width and vectors.shape[1]:  # nobody was clear enough for a vector so far
            width = vectors.shape[1]
            self._blank(count, width)
        if vectors.shape[1] == width:
            self._file.write(vectors.astype(self.kind).tobytes())
        else:
            self._blank(len(vectors), width)
        self.shape = count + len(vectors), width

    def _blank(self, count: int, width: int) -> None:
        for start in range(0, count, BLOCK):
            rows = np.full((min(BLOCK, count - start), width), np.nan, self.kind)
            self._file.write(rows.tobytes())

    def ordered(self, order: np.ndarray) -> "VectorFile":
        """Return the same vectors in another order: row i is the one that was row ``order[i]``."""
        other = copy.copy(self)
        other._order, other.shape = order, (len(order), self.shape[1])
        return other

    def __getitem__(self, rows) -> np.ndarray:
        if self._order is not None:
            rows = self._order[rows]
        if not self.shape[1]:
            return np.empty(self.shape, self.kind)[rows]
        self._file.flush()
        # Mapped for this moment only: pages that were read count as memory while they are mapped.
        mapped = np.memmap(self._file, self.kind, "r").reshape(-1, self.shape[1])
        return np.array(mapped[rows])


def _chunks(frames: Iterable, size: int) -> Iterator[list]:
    frames = iter(frames)
    chunk = list(itertools.islice(frames, size))
    while chunk:
        yield chunk
        chunk = list(itertools.islice(frames, size))


class _News:
    """Collects the boxes of confirmed tracks that were not handed on yet."""

    def __init__(self):
        self.boxes, self.vectors = [], []
        self._waiting, self._time = [], 0.0  # frames skipped since the last update, and its time
        self._handed = {}  # track number to the last frame that was handed on
        self._frames = {}  # frame of the tracker to index, seconds and vectors, while they matter
        self._skipped = {}  # frame of the tracker to those just before it: index, seconds, share

    def skip(self, index: int, seconds: float) -> None:
        """Take note of a frame at which nobody looked."""
        self._waiting.append((index, seconds))

    def add(self, tracker: Tracker, index: int, seconds: float, vectors) -> None:
        """Look at a tracker after its update with the frame `index`."""
        self._frames[tracker.frame] = (index, seconds, vectors)
        self._skipped[tracker.frame] = [
            (skipped, at, (at - self._time) / max(seconds - self._time, 1e-9))
            for skipped, at in self._waiting
        ]
        self._waiting, self._time = [], seconds
        for track in [track for track in (*tracker.ended, *tracker.tracks) if track.id]:
            last = self._handed.get(track.id, -1)
            for before, seen in itertools.pairwise([None, *track.history]):
                if seen.frame <= last:
                    continue
                index, seconds, vectors = self._frames[seen.frame]
                self.boxes.append((index, seconds, track.id, *seen.box, seen.confidence))
                self.vectors.append(None if vectors is None else vectors[seen.index])
                if before and seen.frame - before.frame == 1:
                    self._fill(track.id, before, seen)
            self._handed[track.id] = track.history[-1].frame
            # The tracker looks back a little, and to the first box of those not yet confirmed.
            if len(track.history) > 2 * MEMORY:
                del track.history[:-MEMORY]
        for track in tracker.ended:
            self._handed.pop(track.id, None)
        unsure = [track.history[0].frame for track in tracker.tracks if not track.id]
        oldest = min(unsure, default=tracker.frame + 1)
        self._frames = {frame: kept for frame, kept in self._frames.items() if frame >= oldest}
        self._skipped = {frame: kept for frame, kept in self._skipped.items() if frame >= oldest}

    def _fill(self, track: int, before: Observation, after: Observation) -> None:
        """Add the boxes of a track in the frames between two updates, at which nobody looked."""
        for index, seconds, share in self._skipped[after.frame]:
            box = (1 - share) * before.box + share * after.box
            confidence = (1 - share) * before.confidence + share * after.confidence
            self.boxes.append((index, seconds, track, *box, confidence))
            self.vectors.append(None)

    def take(self) -> tuple[np.ndarray, np.ndarray]:
        """Return what was collected, and begin anew."""
        width = max((len(vector) for vector in self.vectors if vector is not None), default=0)
        vectors = np.full((len(self.boxes), width), np.nan, np.float32)
        for row, vector in zip(vectors, self.vectors):
            row[:] = np.nan if vector is None else vector
        found = np.array(self.boxes, SEEN)
        self.boxes, self.vectors = [], []
        return found, vectors


def _detect(detector, images, low: float) -> list[pd.DataFrame]:
    if not hasattr(detector, "raw"):
        return detector(images)
    # Two boxes that share half their area are one person found twice, and would make two tracks.
    nms = min(detector.nms, 0.5)
    return [detectors.select(candidates, low, nms) for candidates in detector.raw(images)]


def _floors(tracker: Tracker, found) -> list[float]:
    """Return from which confidence on the tracker will call boxes of the coming frames confident.

    It learns that as it goes, and so does this, ahead of it: fainter boxes are matched by overlap.
    """
    if not tracker.relative:
        return [tracker.high] * len(found)
    ahead, floors = copy.copy(tracker.confidence), []
    for table in found:
        confidence = table["confidence"].to_numpy(np.float32)
        ahead.learn(confidence[confidence >= tracker.low])
        floors.append(max(tracker.high, CONFIDENT * ahead.usual))
    return floors


def _embed(extractor, images, found, floors: list[float]) -> list[np.ndarray | None]:
    """Return the embeddings of boxes as confident as each image's floor, NaN for the others."""
    if extractor is None:
        return [None] * len(images)
    crops, masks = [], []
    for image, table, floor in zip(images, found, floors):
        corners = table[BOX].to_numpy()
        mask = boxes.visible(corners, *image.shape[1::-1])
        mask &= table["confidence"].to_numpy(np.float32) >= floor
        crops += boxes.crop(image, corners[mask])
        masks.append(mask)
    vectors = extractor(crops) if crops else np.zeros((0, 1), np.float32)
    tables = [np.full((len(mask), vectors.shape[1]), np.nan, np.float32) for mask in masks]
    ends = np.cumsum([mask.sum() for mask in masks])[:-1]
    for rows, mask, part in zip(tables, masks, np.split(vectors, ends)):
        rows[mask] = part
    return tables if crops else [None] * len(images)
