"""A whole video in, its tracks out: detect, embed and track, a few frames at a time.

`track` goes through a video once, as it must with a live camera. A recording that is finished may
be looked at twice: `refine` splits, joins and completes the tracks.
"""

import itertools
import tempfile
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd

from reidlib import boxes
from reidlib.boxes import BOX
from reidlib.detection.association import FORBIDDEN, Appearance, assign, centre_size
from reidlib.detection.streaming import SEEN, stream
from reidlib.detection.tracker import Tracker


def track(
    source,
    detector: Callable,
    extractor: Callable | None = None,
    *,
    tracker: Tracker | None = None,
    on_frame: Callable[[int, np.ndarray, pd.DataFrame], None] | None = None,
    embeddings: bool = False,
    batch: int = 8,
    every: int | str = 1,
    start: int = 0,
    stop: int | None = None,
    camera_motion: bool = False,
):
    """Track people through a video: frame time track x1 y1 x2 y2 confidence, a row a box.

    `source`, `every`, `start` and `stop` are as for `video.read`, or `source` is an iterable of
    (index, seconds, image). `extractor` gives appearance. `on_frame(index, image, tracks)` is
    called for each frame with what is known by then; the table also has the boxes before a track
    was confirmed. Frames are handled `batch` at a time: 1 suits a live camera. `camera_motion` is
    for a camera that moves: where it has moved to is found in the pictures (`CameraMotion`). With
    `embeddings`, returns (table, (N, D)), a row a box, NaN where it has none; `stream` does without
    keeping them.
    """
    options = {"every": every, "start": start, "stop": stop, "batch": batch}
    options["camera_motion"] = camera_motion
    parts = stream(source, detector, extractor, tracker=tracker, on_frame=on_frame, **options)
    if not embeddings:
        return _table([found for found, _ in parts]).reset_index(drop=True)
    kept = list(parts)
    table = _table([found for found, _ in kept])
    width = max((vectors.shape[1] for _, vectors in kept), default=0)
    rows = [_widen(vectors, width) for _, vectors in kept]
    rows = np.concatenate([np.empty((0, width), np.float32), *rows])
    return table.reset_index(drop=True), rows[table.index]


class Recording(NamedTuple):
    """What two passes over a recording made of it.

    `table` is as from `refine`, `vectors` (N, D) float16 hold what its column `row` refers to, NaN
    where a box has none, and `first` (N,) which track each box belonged to after the first pass.
    """

    table: pd.DataFrame
    vectors: np.ndarray
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
    vectors wait in a temporary file: an hour of ten people would take 460 MB of memory.
    """
    tracker = Tracker(high=getattr(detector, "confidence", 0.25))
    parts, blank, width = [], 0, 0
    with tempfile.TemporaryFile() as file:
        for found, vectors in stream(
            source, detector, extractor, tracker=tracker, on_frame=on_frame, **options
        ):
            parts.append(found)
            width = width or vectors.shape[1]
            if not width:  # nobody was clear enough for a vector so far
                blank += len(found)
                continue
            rows = np.full((blank + len(found), width), np.nan, np.float16)
            rows[blank:] = _widen(vectors, width)
            file.write(rows.tobytes())
            blank = 0
        file.flush()
        table = pd.DataFrame(np.concatenate([np.empty(0, SEEN), *parts]))
        shape = len(table), width
        vectors = np.memmap(file, np.float16, "r", shape=shape) if all(shape) else np.empty(shape)
        found = refine(table, vectors if all(shape) else None, size=tracker.size)
        return Recording(found, vectors, table["track"].to_numpy())


def _widen(vectors: np.ndarray, width: int) -> np.ndarray:
    """Return vectors (N, D), or NaN (N, width) where the extractor had not seen anybody yet."""
    if vectors.shape[1] == width:
        return vectors
    return np.full((len(vectors), width), np.nan, np.float32)


def _table(parts: list[np.ndarray]) -> pd.DataFrame:
    """Return one table of boxes of type `SEEN`, sorted; its index is their place before."""
    rows = np.concatenate([np.empty(0, SEEN), *parts])
    return pd.DataFrame(rows).sort_values(["frame", "track"])


def replay(
    detections: pd.DataFrame, tracker: Tracker, embeddings: np.ndarray | None = None
) -> pd.DataFrame:
    """Track boxes found earlier: frame track x1 y1 x2 y2 confidence, as known at the time.

    `detections` has frame x1 y1 x2 y2 confidence, as from `formats.read_mot`; `embeddings` is
    (N, D), a row a box, as for `Tracker.update`.
    """
    if embeddings is not None and len(embeddings) != len(detections):
        raise ValueError(f"{len(embeddings)} embeddings for {len(detections)} boxes; one each")
    rows, places = [np.zeros((0, 7))], detections.groupby("frame").indices
    boxed = detections[[*BOX, "confidence"]]
    for frame in range(min(places, default=0), max(places, default=0) + 1):
        found = places.get(frame, np.zeros(0, int))
        now = tracker.update(boxed.iloc[found], None if embeddings is None else embeddings[found])
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

WINDOW = 0.6  # seconds of a track that tell its speed, and how the person looks
LONGEST, LONGEST_ALIKE = 2.0, 15.0  # gaps bridged by motion alone, and by appearance
FILLED = 1.0  # gaps up to here are filled with boxes
EVIDENCE = 4  # vectors on either side of a change of person
BRIEFEST = 0.3  # tracks that last no longer are chance finds
OTHER, ALIKE = 0.7, 0.3  # distances of `Appearance`: of a change of person, of one person


class Piece(NamedTuple):
    """A stretch of a track without a gap or change, and where it comes from and leads."""

    rows: np.ndarray  # of the table, in the order of time
    times: np.ndarray  # (2,) when it begins and ends, seconds
    places: np.ndarray  # (2, 2) centres there, pixels
    speeds: np.ndarray  # (2, 2) pixels a second
    heights: np.ndarray  # (2,) pixels


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
    or else frames at `fps`. `embeddings` is (N, D), a row a box, NaN where it has none; `size` the
    picture's (width, height). Returns the columns of `table` and `row`: which row of `table` the
    box is, -1 where it was filled in. Raises ValueError for missing columns and for embeddings that
    are not one a box.
    """
    boxes.require(table, ["frame", "track", *BOX], "the table of tracks")
    if embeddings is not None and len(embeddings) != len(table):
        raise ValueError(f"{len(embeddings)} embeddings for {len(table)} boxes; one each")
    times = table["time"] if "time" in table else table["frame"] / fps
    times, state = times.to_numpy(float), centre_size(table[BOX].to_numpy(float))
    order = np.lexsort((times, table["track"]))
    ends = np.flatnonzero(np.diff(table["track"].to_numpy()[order])) + 1
    runs = [rows for rows in np.split(order, ends) if len(rows)]
    vectors = None if embeddings is None else np.asarray(embeddings)  # may lie in a file
    scale = Appearance()
    if vectors is not None:
        _learn_scale(scale, runs, times, vectors)
        runs = [part for rows in runs for part in _split(rows, times, vectors, scale)]
    pieces = [_piece(rows, times, state) for rows in runs]
    pieces = [p for p in pieces if np.ptp(p.times) > BRIEFEST or len(p.rows) > 2]
    people = _join(pieces, vectors, scale, size)
    lasting = [rows for rows in people if np.ptp(times[rows]) >= BRIEFEST]
    return _complete(table, lasting, times)


def _mean(vectors: np.ndarray) -> np.ndarray:
    """Return the mean direction (D,) of rows, NaN if none is known."""
    known = vectors[np.isfinite(vectors).all(axis=1)].astype(float)
    mean = known.mean(axis=0) if len(known) else np.full(vectors.shape[1], np.nan)
    return mean / max(np.linalg.norm(mean), 1e-12)


def _learn_scale(scale: Appearance, runs, times, vectors) -> None:
    """Learn what is alike from tracks a second apart, what is not from tracks at one time."""
    same, means = [], np.array([_mean(vectors[rows]) for rows in runs]).reshape(len(runs), -1)
    for rows in runs:
        seconds = np.floor((times[rows] - times[rows[0]]) / WINDOW)
        parts = [_mean(vectors[rows[seconds == s]]) for s in np.unique(seconds)]
        same += [before @ after for before, after in itertools.pairwise(parts)]
    begin, end = (np.array([times[rows[i]] for rows in runs]) for i in (0, -1))
    together = np.triu((begin[:, None] <= end) & (begin <= end[:, None]), 1)
    for kind, values in (("same", np.array(same)), ("other", (means @ means.T)[together])):
        values = values[np.isfinite(values)]
        if len(values):
            setattr(scale, kind, float(np.median(values)))


def _split(rows, times, vectors, scale: Appearance) -> list[np.ndarray]:
    """Cut a track where the seconds before and after differ most, as long as they differ much."""
    known = rows[np.isfinite(vectors[rows]).all(axis=1)]
    sums = np.cumsum(np.vstack([np.zeros(vectors.shape[1]), vectors[known]]), axis=0)
    first = np.searchsorted(times[known], times[known] - WINDOW)
    last = np.searchsorted(times[known], times[known] + WINDOW)
    distance = np.zeros(len(known))
    for i in range(len(known)):
        if min(i - first[i], last[i] - i) >= EVIDENCE:
            distance[i] = scale.between(sums[i] - sums[first[i]], sums[last[i]] - sums[i])
    if not len(known) or distance.max() < OTHER:
        return [rows]
    cut = int(np.flatnonzero(rows == known[distance.argmax()])[0])
    halves = rows[:cut], rows[cut:]
    return [part for half in halves for part in _split(half, times, vectors, scale)]


def _piece(rows, times, state) -> Piece:
    span = times[rows[[0, -1]]]
    near = [rows[times[rows] <= span[0] + WINDOW], rows[times[rows] >= span[1] - WINDOW]]
    fits = [_line(times[part] - at, state[part, :2]) for part, at in zip(near, span)]
    heights = np.array([np.median(state[part, 3]) for part in (rows[:5], rows[-5:])])
    places, speeds = (np.array([fit[i] for fit in fits]) for i in (0, 1))
    return Piece(rows, span, places, speeds, np.maximum(heights, 1))


def _line(times: np.ndarray, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit a straight walk to N places (N, 2); return the place at time 0 and the speed."""
    if len(times) < 3:  # too few for a speed
        return places[np.abs(times).argmin()], np.zeros(2)
    design = np.column_stack([np.ones(len(times)), times])
    fit = np.linalg.lstsq(design, places, rcond=None)[0]
    return fit[0], fit[1]


def _join(pieces, vectors, scale: Appearance, size) -> list[np.ndarray]:
    """Chain pieces that are one person; return the rows of each chain, in the order of time."""
    if not pieces:
        return []
    cost, again = _cost_of_motion(pieces, size)
    if vectors is not None:
        means = np.array([_mean(vectors[p.rows]) for p in pieces])
        distance = scale.distance(means, means)
        unknown = np.isnan(distance)
        cost = np.where(unknown | (distance < ALIKE), cost, FORBIDDEN)
        both = np.where(cost < FORBIDDEN, (cost + np.nan_to_num(distance)) / 2, 1 + distance)
        allowed = (cost < FORBIDDEN) | (again & (distance < ALIKE))
        cost = np.where(unknown, cost, np.where(allowed, both, FORBIDDEN))
    chains = {i: [i] for i in range(len(pieces))}
    pairs = sorted(assign(cost), key=lambda pair: pieces[pair[1]].times[0])
    head = list(range(len(pieces)))
    for before, after in pairs:
        head[after] = head[before]
        chains[head[before]] += chains.pop(after)
    return [np.concatenate([pieces[i].rows for i in chain]) for chain in chains.values()]


def _cost_of_motion(pieces, size) -> tuple[np.ndarray, np.ndarray]:
    """Say how badly motion carries the end of one piece to the beginning of another, (N, N).

    Costs are from 0 to 1, or FORBIDDEN. Also returns, bool (N, N), which of them one person can
    have got to by any way.
    """
    times, places, speeds, heights = (np.array([p[i] for p in pieces]) for i in range(1, 5))
    gap = times[None, :, 0] - times[:, None, 1]
    height = (heights[None, :, 0] + heights[:, None, 1]) / 2
    walk = np.clip(gap, 0, 1)[..., None]  # nobody keeps a speed for longer
    ahead = places[:, None, 1] + speeds[:, None, 1] * walk
    back = places[None, :, 0] - speeds[None, :, 0] * walk
    miss = np.linalg.norm(ahead - places[None, :, 0], axis=2)
    miss = (miss + np.linalg.norm(back - places[:, None, 1], axis=2)) / (2 * height)
    similar = np.abs(np.log(heights[None, :, 0] / heights[:, None, 1])) < 0.3
    possible = similar & (gap > 0)
    if size is not None:
        leaving = places[:, None, 1] + speeds[:, None, 1] * np.clip(gap, 0, 5)[..., None] / 2
        possible &= ((leaving >= 0) & (leaving <= size)).all(axis=2)
    miss /= 0.5 + 0.3 * np.maximum(gap, 0)
    cost = np.where(possible & (gap <= LONGEST) & (miss < 1), miss, FORBIDDEN)
    far = np.linalg.norm(places[:, None, 1] - places[None, :, 0], axis=2) / height
    return cost, possible & (gap <= LONGEST_ALIKE) & (far < 0.5 + 2.5 * np.maximum(gap, 0))


def _complete(table: pd.DataFrame, people, times) -> pd.DataFrame:
    """Number the chains from 1, and fill their short gaps in the frames that were read."""
    shown, first = np.unique(table["frame"].to_numpy(), return_index=True)
    clock = times[first]  # of the frames shown
    numbers = table.select_dtypes("number").columns.difference(["frame", "track"])
    parts = [table[:0].assign(row=np.zeros(0, int))]
    for number, rows in enumerate(people, 1):
        place = np.searchsorted(shown, table["frame"].to_numpy()[rows])
        filled = np.arange(place[0], place[-1] + 1)
        before = np.searchsorted(place, filled, side="right") - 1  # the last box until then
        after = np.searchsorted(place, filled)
        seen = place[before] == filled
        kept = seen | (clock[place[after]] - clock[place[before]] <= FILLED + 1e-6)
        part = table.iloc[rows[before[kept]]].copy()
        for name in numbers:
            values = table[name].to_numpy(float)[rows]
            part[name] = np.interp(clock[filled[kept]], clock[place], values)
        part["frame"], part["track"] = shown[filled[kept]], number
        part["row"] = np.where(seen[kept], rows[before[kept]], -1)
        parts.append(part)
    return pd.concat(parts).sort_values(["frame", "track"], ignore_index=True)
