"""A whole video in, its tracks out: detect, embed and track, a few frames at a time.

`track` goes through a video once, as it must with a live camera. A recording that is finished may
be looked at twice: `refine` splits, joins and completes the tracks.
"""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from reidlib import boxes
from reidlib.boxes import BOX
from reidlib.detection.association import Appearance
from reidlib.detection.pieces import WINDOW, blocks, followers, join, mean, piece
from reidlib.detection.streaming import SEEN, VectorFile, stream
from reidlib.detection.tracker import Tracker


def track(
    source,
    detector: Callable,
    extractor: Callable | None = None,
    *,
    tracker: Tracker | None = None,
    on_frame: Callable[[int, np.ndarray, pd.DataFrame], None] | None = None,
    embeddings: bool | str = False,
    batch: int = 8,
    every: int | str = 1,
    start: int = 0,
    stop: int | None = None,
    camera_motion: bool = False,
    gate: bool = False,
    detect_every: int = 1,
):
    """Track people through a video: frame time track x1 y1 x2 y2 confidence, a row a box.

    `source`, `every`, `start` and `stop` are as for `video.read`, or `source` is an iterable of
    (index, seconds, image). `extractor` gives appearance. `on_frame(index, image, tracks)` is
    called for each frame with what is known by then; the table also has the boxes before a track
    was confirmed. Frames are handled `batch` at a time: 1 suits a live camera. `camera_motion` is
    for a camera that moves: where it has moved to is found in the pictures (`CameraMotion`). With
    `gate` frames in which nothing moves are not looked at, and with `detect_every` n only each
    n-th is: see `Looks`, and SCALE.md for what it costs. Between two looks tracks are on a straight
    line, which `on_frame` has to guess. With `embeddings`, returns (table, (N, D)), a row a box,
    NaN where it has none: True an array, "file" a VectorFile, since an hour of ten people would
    take 460 MB of memory. `stream` does without keeping them.
    """
    options = {"every": every, "start": start, "stop": stop, "batch": batch}
    options |= {"camera_motion": camera_motion, "gate": gate, "detect_every": detect_every}
    options["keep"] = bool(embeddings)
    parts = stream(source, detector, extractor, tracker=tracker, on_frame=on_frame, **options)
    vectors = VectorFile() if embeddings else None
    seen = _gather(parts, vectors)
    order = np.lexsort((seen["track"], seen["frame"]))
    table = _table(seen, order)
    if vectors is None:
        return table
    vectors = vectors.ordered(order)
    return table, vectors if embeddings == "file" else vectors[:]


def _gather(parts, vectors: VectorFile | None) -> np.ndarray:
    """Return all boxes that a stream hands on, (N,) of type `SEEN`; their vectors go to a file."""
    seen = [np.empty(0, SEEN)]
    for found, embeddings in parts:
        seen.append(found)
        if vectors is not None:
            vectors.append(embeddings)
    return np.concatenate(seen)


def _table(seen: np.ndarray, order=slice(None)) -> pd.DataFrame:
    """Return boxes of type `SEEN` as a table; what is in its columns is copied once."""
    columns = {name: np.ascontiguousarray(seen[name][order]) for name in SEEN.names}
    return pd.DataFrame(columns, copy=False)


class Recording(NamedTuple):
    """What two passes over a recording made of it.

    `table` is as from `refine`, `vectors` (N, D) hold in a file what its column `row` refers to,
    NaN where a box has none, and `first` (N,) which track each box belonged to after the first
    pass.
    """

    table: pd.DataFrame
    vectors: VectorFile
    first: np.ndarray


def track_recording(
    source,
    detector: Callable,
    extractor: Callable | None = None,
    *,
    on_frame: Callable[[int, np.ndarray, pd.DataFrame], None] | None = None,
    **options,
) -> Recording:
    """Track people through a recording that has an end, then look at the tracks again (`refine`).

    Takes what `track` takes, but for a tracker of one's own; `on_frame` sees the first pass. The
    vectors wait in a temporary file.
    """
    tracker, vectors = Tracker(high=getattr(detector, "confidence", 0.25)), VectorFile(np.float16)
    parts = stream(source, detector, extractor, tracker=tracker, on_frame=on_frame, **options)
    table = _table(_gather(parts, vectors))
    found = refine(table, vectors if all(vectors.shape) else None, size=tracker.size)
    return Recording(found, vectors, table["track"].to_numpy())


def replay(
    detections: pd.DataFrame,
    tracker: Tracker,
    embeddings: np.ndarray | None = None,
    times: np.ndarray | None = None,
) -> pd.DataFrame:
    """Track boxes found earlier: frame track x1 y1 x2 y2 confidence, as known at the time.

    `detections` has frame x1 y1 x2 y2 confidence, as from `formats.read_mot`; `embeddings` is
    (N, D), a row a box, as for `Tracker.update`; `times` the seconds of every frame of the video,
    as from `video.times`, without which frames follow each other at the tracker's `fps`.
    """
    if embeddings is not None and len(embeddings) != len(detections):
        raise ValueError(f"{len(embeddings)} embeddings for {len(detections)} boxes; one each")
    rows, places = [np.zeros((0, 7))], detections.groupby("frame").indices
    boxed = detections[[*BOX, "confidence"]]
    for frame in range(min(places, default=0), max(places, default=0) + 1):
        found = places.get(frame, np.zeros(0, int))
        vectors = None if embeddings is None else embeddings[found]
        time = None if times is None else times[frame]
        now = tracker.update(boxed.iloc[found], vectors, time)
        rows.append(np.insert(now.to_numpy(float), 0, frame, axis=1))
    table = pd.DataFrame(np.concatenate(rows), columns=["frame", "track", *BOX, "confidence"])
    return table.astype({"frame": int, "track": int})


def serve(
    rate: float, work: float, every: int = 1, wait: bool = True, seconds: float = 10.0
) -> pd.DataFrame:
    """Play through a loop that needs `work` seconds a frame: a table time, delay (both seconds).

    The camera gives `rate` frames a second, of which each `every`-th is looked at. With `wait`,
    frames queue up and all have their turn; without, the loop takes the newest when it is free.
    `delay` is how old a frame is when its result is ready.
    """
    arrivals, free, rows = np.arange(int(seconds * rate)) / rate, 0.0, []
    for i in range(0, len(arrivals), every):
        if not wait and i + every < len(arrivals) and arrivals[i + every] <= free:
            continue  # a newer frame is there already
        free = max(free, arrivals[i]) + work
        rows.append((arrivals[i], free - arrivals[i]))
    return pd.DataFrame(rows, columns=["time", "delay"])


# The second pass. Times are in seconds, distances in heights of the person.

FILLED = 1.0  # gaps up to here are filled with boxes
EVIDENCE = 4  # vectors on either side of a change of person
BRIEFEST = 0.3  # tracks that last no longer are chance finds
OTHER = 0.7  # distance of `Appearance` at which the person has changed


def refine(
    table: pd.DataFrame,
    embeddings: np.ndarray | None = None,
    fps: float = 25.0,
    size: tuple[int, int] | None = None,
) -> pd.DataFrame:
    """Look at the tracks of a finished recording again; return them split, joined and completed.

    A track is split where its appearance changes to another person's. Pieces are joined across
    gaps where motion carries one to the other and back (tracklet linking, Huang et al., 2008), or
    appearance tells that it is one person; nobody who walked out of the picture is continued.
    Short gaps are filled in a straight line, and tracks of a moment dropped.

    `table` is as from `track` or `replay`: frame track x1 y1 x2 y2 and more, with `time` in seconds
    or else frames at `fps`. `embeddings` is (N, D), an array or a VectorFile, a row a box, NaN
    where it has none; `size` the picture's (width, height). Returns the columns of `table` and
    `row`: which row of `table` the box is, -1 where it was filled in. Raises ValueError for missing
    columns and for embeddings that are not one a box.
    """
    boxes.require(table, ["frame", "track", *BOX], "the table of tracks")
    if embeddings is not None and len(embeddings) != len(table):
        raise ValueError(f"{len(embeddings)} embeddings for {len(table)} boxes; one each")
    times = table["time"] if "time" in table else table["frame"] / fps
    times = times.to_numpy(float)
    if not isinstance(embeddings, VectorFile | None):
        embeddings = np.asarray(embeddings)
    return _complete(table, _people(table, times, embeddings, size), times)


def _people(table: pd.DataFrame, times, vectors, size) -> list[np.ndarray]:
    """Split the tracks and join the parts; return the rows of each person, in the order of time."""
    order = np.lexsort((times, table["track"]))
    ends = np.flatnonzero(np.diff(table["track"].to_numpy()[order])) + 1
    runs = [rows for rows in np.split(order, ends) if len(rows)]
    scale = Appearance()
    if vectors is not None:
        _learn_scale(scale, runs, times, vectors)
        runs = [part for rows in runs for part in _split(rows, times, vectors, scale)]
    corners = table[BOX].to_numpy()
    pieces = [piece(rows, times, corners) for rows in runs]
    pieces = [p for p in pieces if np.ptp(p.times) > BRIEFEST or len(p.rows) > 2]
    people = join(pieces, vectors, scale, size)
    return [rows for rows in people if np.ptp(times[rows]) >= BRIEFEST]


def _learn_scale(scale: Appearance, runs, times, vectors) -> None:
    """Learn what is alike from tracks a second apart, what is not from tracks at one time."""
    means = np.array([mean(vectors, rows) for rows in runs]).reshape(len(runs), -1)
    same = []
    for rows in runs:
        seconds = np.floor((times[rows] - times[rows[0]]) / WINDOW)
        parts = np.split(rows, np.flatnonzero(np.diff(seconds)) + 1)
        directions = [mean(vectors, part) for part in parts]
        same += [before @ after for before, after in itertools.pairwise(directions)]
    begin, end = (np.array([times[rows[i]] for rows in runs]) for i in (0, -1))
    first, later = followers(begin, begin, end)  # those who come while somebody is there
    once = (begin[later] > begin[first]) | (later > first)
    other = np.array([means[i] @ means[j] for i, j in zip(first[once], later[once])])
    for kind, values in (("same", np.array(same)), ("other", other)):
        values = values[np.isfinite(values)]
        if len(values):
            setattr(scale, kind, float(np.median(values)))


def _split(rows, times, vectors, scale: Appearance) -> list[np.ndarray]:
    """Cut a track where the seconds before and after differ most, as long as they differ much."""
    known = [part[np.isfinite(vectors[part]).all(axis=1)] for part in blocks(rows)]
    known = np.concatenate(known)
    distance = _changes(known, times[known], vectors, scale)
    if not len(known) or distance.max() < OTHER:
        return [rows]
    cut = int(np.flatnonzero(rows == known[distance.argmax()])[0])
    halves = rows[:cut], rows[cut:]
    return [part for half in halves for part in _split(half, times, vectors, scale)]


def _changes(rows, times, vectors, scale: Appearance) -> np.ndarray:
    """Return of N boxes of a track how much the seconds after differ from those before, (N,)."""
    distance = np.zeros(len(rows))
    first, last = np.searchsorted(times, times - WINDOW), np.searchsorted(times, times + WINDOW)
    for places in blocks(np.arange(len(rows))):
        if not len(places):
            return distance
        start = first[places[0]]
        part = vectors[rows[start : last[places[-1]]]]
        sums = np.cumsum(np.vstack([np.zeros(part.shape[1]), part]), axis=0)
        for i in places.tolist():
            if min(i - first[i], last[i] - i) >= EVIDENCE:
                before = sums[i - start] - sums[first[i] - start]
                distance[i] = scale.between(before, sums[last[i] - start] - sums[i - start])
    return distance


def _complete(table: pd.DataFrame, people, times) -> pd.DataFrame:
    """Number the chains from 1, and fill their short gaps in the frames that were read."""
    shown, first = np.unique(table["frame"].to_numpy(), return_index=True)
    clock = times[first]  # of the frames shown
    places = np.searchsorted(shown, table["frame"].to_numpy())
    filled, sources, known = [np.zeros(0, int)], [np.zeros(0, int)], [np.zeros(0, bool)]
    for rows in people:
        place = places[rows]
        every = np.arange(place[0], place[-1] + 1)
        before = np.searchsorted(place, every, side="right") - 1  # the last box until then
        after = np.searchsorted(place, every)
        seen = place[before] == every
        kept = seen | (clock[place[after]] - clock[place[before]] <= FILLED + 1e-6)
        filled.append(every[kept])
        sources.append(rows[before[kept]])
        known.append(seen[kept])
    number = np.repeat(np.arange(len(people) + 1), [len(part) for part in filled])
    order = np.lexsort((number, np.concatenate(filled)))
    source, known = np.concatenate(sources)[order], np.concatenate(known)[order]
    del sources
    # Column by column: several tables of all boxes at once would take 100 MB an hour.
    columns = {}
    for name in table:
        values = table[name].to_numpy()
        if name == "frame":
            columns[name] = shown[np.concatenate(filled)[order]]
        elif name == "track":
            columns[name] = number[order].astype(values.dtype)
        elif pd.api.types.is_numeric_dtype(values.dtype):
            kind = values.dtype if values.dtype.kind == "f" else float
            parts = [
                np.interp(clock[at], clock[places[rows]], values[rows]).astype(kind)
                for at, rows in zip(filled[1:], people)
            ]
            columns[name] = np.concatenate([np.zeros(0, kind), *parts])[order]
        else:
            columns[name] = table[name].array[source]
    columns["row"] = np.where(known, source, -1)
    return pd.DataFrame(columns, copy=False)
