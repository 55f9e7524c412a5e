"""A whole video in, its tracks out: detect, embed and track, a few frames at a time."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from reidlib import boxes
from reidlib.boxes import BOX
from reidlib.collection import video
from reidlib.detection import detectors
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
):
    """Track people through a video: frame time track x1 y1 x2 y2 confidence, a row a box.

    `source`, `every`, `start` and `stop` are as for `video.read`, or `source` is an iterable of
    (index, seconds, image). `extractor` gives appearance. `on_frame(index, image, tracks)` is
    called for each frame with what is known by then; the table also has the boxes before a track
    was confirmed. Frames are handled `batch` at a time: 1 suits a live camera. With `embeddings`,
    returns (table, (N, D)), a row a box, NaN where it has none.
    """
    if isinstance(source, (str, int, os.PathLike, video.Video)):
        source = video.read(source, every=every, start=start, stop=stop)
    if tracker is None:
        tracker = Tracker(high=getattr(detector, "confidence", 0.25))
    elif tracker.frame >= 0:
        raise ValueError("this tracker has followed people before; give a new one for each video")
    tracks, times, vectors = [], [], []
    frames = iter(tqdm(source, desc="track", unit="frame", leave=False))
    while chunk := list(itertools.islice(frames, batch)):
        images = [image for _, _, image in chunk]
        found = _detect(detector, images, min(tracker.low, tracker.high))
        looks = _embed(extractor, images, found, tracker.high)
        for (index, seconds, image), table, look in zip(chunk, found, looks):
            tracker.size = tracker.size or (image.shape[1], image.shape[0])
            now = tracker.update(table, look)
            tracks += tracker.ended
            times.append((index, seconds))
            if embeddings:
                vectors.append(look)
            if on_frame is not None:
                on_frame(index, image, now)
    tracks += [t for t in tracker.tracks if t.id]
    table, looks = _table(tracks, times, vectors)
    return (table, looks) if embeddings else table


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
        here = places.get(frame, np.zeros(0, int))
        now = tracker.update(boxed.iloc[here], None if embeddings is None else embeddings[here])
        rows.append(np.insert(now.to_numpy(float), 0, frame, axis=1))
    table = pd.DataFrame(np.concatenate(rows), columns=["frame", "track", *BOX, "confidence"])
    return table.astype({"frame": int, "track": int})


def _detect(detector, images, low: float) -> list[pd.DataFrame]:
    if not hasattr(detector, "raw"):
        return detector(images)
    # Two boxes that share half their area are one person found twice, and would make two tracks.
    nms = min(detector.nms, 0.5)
    return [detectors.select(candidates, low, nms) for candidates in detector.raw(images)]


def _embed(extractor, images, found, high: float) -> list[np.ndarray | None]:
    """Return the embeddings of the confident boxes of each image, NaN for the others."""
    if extractor is None:
        return [None] * len(images)
    crops, masks = [], []
    for image, table in zip(images, found):
        corners = table[BOX].to_numpy()
        mask = boxes.visible(corners, *image.shape[1::-1])
        mask &= table["confidence"].to_numpy() >= high
        crops += boxes.crop(image, corners[mask])
        masks.append(mask)
    vectors = extractor(crops) if crops else np.zeros((0, 1), np.float32)
    looks = [np.full((len(mask), vectors.shape[1]), np.nan, np.float32) for mask in masks]
    ends = np.cumsum([mask.sum() for mask in masks])[:-1]
    for look, mask, part in zip(looks, masks, np.split(vectors, ends)):
        look[mask] = part
    return looks if crops else [None] * len(images)


def _table(tracks, times, vectors) -> tuple[pd.DataFrame, np.ndarray]:
    """Turn the histories of tracks into one table, and the vectors of its rows."""
    rows = [
        (seen.frame, seen.index, track.id, *seen.box, seen.confidence)
        for track in tracks
        for seen in track.history
    ]
    columns = ["frame", "index", "track", *BOX, "confidence"]
    table = pd.DataFrame(rows, columns=columns).sort_values(["frame", "track"], ignore_index=True)
    dim = max((v.shape[1] for v in vectors if v is not None), default=0)
    looks = np.full((len(table), dim), np.nan, np.float32)
    for row, (frame, index) in enumerate(zip(table["frame"], table.pop("index"))):
        if vectors and vectors[frame] is not None:
            looks[row] = vectors[frame][index]
    index, seconds = np.array(times, float).reshape(-1, 2)[table["frame"].to_numpy(int)].T
    table["frame"] = index.astype(int)
    table.insert(1, "time", seconds)
    return table.astype({"track": int}), looks


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
