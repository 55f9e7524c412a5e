"""The whole pipeline: clips in; films, figures and a report with one number a person out."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from reidlib import (
    annotation,
    assets,
    boxes,
    drawing,
    features,
    matching,
    mot,
    summary,
    tracking,
    video,
)

BUNDLED = ("c1_day", "c2_day", "c3_day")
CROP = (64, 128)  # width and height of the crops kept for figures, pixels
SHORTEST = 5  # frames; a shorter track is too little to tell who it is


@dataclass
class Clip:
    """One camera's video, and what was found in it."""

    camera: str
    path: Path
    about: video.Probe
    truth: pd.DataFrame | None = None
    table: pd.DataFrame | None = None  # a row a box: frame time track x1..y2 confidence
    vectors: np.ndarray | None = None  # a row a box, NaN where there is none
    crops: dict[int, list[tuple[int, np.ndarray]]] = field(default_factory=dict)
    seconds: float = 0.0


class Samples:
    """Keeps a few crops of each track, evenly spread over its life: memory stays constant."""

    def __init__(self, limit: int = 8):
        self.limit, self.seen, self.step = limit, {}, {}
        self.crops: dict[int, list[tuple[int, np.ndarray]]] = {}

    def __call__(self, index: int, image: np.ndarray, tracks: pd.DataFrame) -> None:
        """Look at one frame (H, W, 3) and its tracks, columns track and x1 y1 x2 y2 (pixels)."""
        height, width = image.shape[:2]
        corners = boxes.clip(tracks[["x1", "y1", "x2", "y2"]].to_numpy(), width, height)
        for track, box, size in zip(tracks["track"].tolist(), corners, boxes.area(corners)):
            seen = self.seen[track] = self.seen.get(track, -1) + 1
            if size < 1 or seen % self.step.setdefault(track, 1):
                continue
            kept = self.crops.setdefault(track, [])
            kept.append((index, cv2.resize(boxes.crop(image, box)[0], CROP)))
            if len(kept) > self.limit:
                del kept[1::2]
                self.step[track] *= 2


def clips(videos: Sequence[str | Path] = (), truth: Sequence[str | Path] = ()) -> list[Clip]:
    """Return the clips to work on; without `videos`, the bundled three cameras and their truth.

    Each clip is one camera, named after its file. `truth` holds one MOT text file a video. Raises
    FileNotFoundError or ValueError for what is no video, ValueError when the counts differ.
    """
    if not videos:
        videos = [assets.data("plaza", "clips", f"{name}.mp4") for name in BUNDLED]
        truth = [assets.data("plaza", "truth", f"{name}.txt") for name in BUNDLED]
    if truth and len(truth) != len(videos):
        raise ValueError(
            f"{len(videos)} videos but {len(truth)} truth files; give one for each video, in order"
        )
    paths = [Path(path) for path in videos]
    names = [path.stem.removesuffix("_day") for path in paths]
    if len(set(names)) < len(names):
        names = [f"{i}_{name}" for i, name in enumerate(names, 1)]
    truths = [annotation.read_mot(path) for path in truth] or [None] * len(paths)
    return [
        Clip(name, path, video.probe(path), known)
        for name, path, known in zip(names, paths, truths)
    ]


def follow(clip: Clip, detector: Callable, extractor: Callable) -> None:
    """Detect, track and embed the people of one clip; fills its table, vectors and crops."""
    started, samples = time.perf_counter(), Samples()
    clip.table, clip.vectors = tracking.track(
        clip.path, detector, extractor, on_frame=samples, embeddings=True
    )
    clip.table.insert(0, "camera", clip.camera)
    clip.crops, clip.seconds = samples.crops, time.perf_counter() - started


def tracklets(
    table: pd.DataFrame, vectors: np.ndarray, shortest: int = SHORTEST
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return one row, and one unit vector, for each track of each camera.

    `table` has columns camera, track, frame, time and confidence; `vectors` (N, D) go with its
    rows. The result has camera, track, start and end (seconds), first and last (frames), frames.
    Tracks with fewer than `shortest` vectors are left out.
    """
    known = np.isfinite(vectors).all(axis=1)
    table, vectors = table[known].reset_index(drop=True), vectors[known]
    groups = table.groupby(["camera", "track"], sort=False)
    table["number"] = groups.ngroup()
    rows = groups.agg(
        start=("time", "min"),
        end=("time", "max"),
        first=("frame", "min"),
        last=("frame", "max"),
        frames=("frame", "size"),
    ).reset_index()
    keep = (rows["frames"] >= shortest).to_numpy()
    means = features.aggregate(
        vectors, table["number"].to_numpy(), "weighted", table["confidence"].to_numpy()
    )
    return rows[keep].reset_index(drop=True), means[keep]


def true_people(table: pd.DataFrame, truth: pd.DataFrame) -> pd.Series:
    """Return the true person of each track: whom most of its boxes cover (IoU 0.5), or -1."""
    votes = []
    frames = dict(list(truth.groupby("frame")))
    for frame, found in table.groupby("frame"):
        if frame not in frames:
            continue
        columns = ["x1", "y1", "x2", "y2"]
        overlap = boxes.iou(found[columns].to_numpy(), frames[frame][columns].to_numpy())
        best = overlap.argmax(axis=1)
        sure = overlap.max(axis=1) >= 0.5
        pids = frames[frame]["track"].to_numpy()[best]
        votes.append(pd.DataFrame({"track": found["track"].to_numpy()[sure], "pid": pids[sure]}))
    tracks = pd.Series(-1, index=pd.unique(table["track"]), name="pid")
    if votes:
        counted = pd.concat(votes).groupby("track")["pid"].agg(lambda pids: pids.mode().iloc[0])
        tracks.update(counted)
    return tracks.astype(int)


def identify(rows: pd.DataFrame, vectors: np.ndarray, threshold: float | None) -> pd.Series:
    """Return each tracklet's identity across cameras, numbered from 1 in order of appearance."""
    settings = {} if threshold is None else {"threshold": threshold}
    labels = pd.Series(np.asarray(matching.link(rows, vectors, **settings)), index=rows.index)
    order = rows.assign(label=labels).sort_values(["start", "camera"])["label"].unique()
    return labels.map({label: number for number, label in enumerate(order, 1)})


def films(found: Sequence[Clip], identities: pd.DataFrame, folder: Path) -> list[Path]:
    """Write one annotated film a camera and, of several, one side by side; returns their paths.

    `identities` has columns camera, track and identity; tracks without one are drawn in grey.
    """
    paths = [folder / f"{clip.camera}.mp4" for clip in found]
    shape = sum(clip.about.width / clip.about.height for clip in found)
    height = min(360, round(1920 / shape))
    fps = found[0].about.fps
    with contextlib.ExitStack() as stack:
        writers = [
            stack.enter_context(video.Writer(path, clip.about.fps, crf=27))
            for path, clip in zip(paths, found)
        ]
        joined = None
        if len(found) > 1:
            paths.insert(0, folder / "side_by_side.mp4")
            joined = stack.enter_context(video.Writer(paths[0], fps, crf=27))
        total = sum(clip.about.frames or 0 for clip in found)
        bar = stack.enter_context(tqdm(total=total, desc="films", unit="frame", leave=False))
        streams = [_annotated(clip, identities) for clip in found]
        coming = [next(stream, None) for stream in streams]
        latest = [np.zeros((clip.about.height, clip.about.width, 3), np.uint8) for clip in found]
        tick = 0
        while any(coming):  # the clips run by their own clocks, side by side by the first one's
            for i, stream in enumerate(streams):
                while coming[i] and coming[i][0] <= tick / fps + 1e-6:
                    latest[i] = coming[i][1]
                    writers[i].write(latest[i])
                    coming[i] = next(stream, None)
                    bar.update()
            if joined:
                joined.write(drawing.side_by_side(latest, height))
            tick += 1
    return paths


def _annotated(clip: Clip, identities: pd.DataFrame):
    mine = identities[identities["camera"] == clip.camera].set_index("track")["identity"]
    table = clip.table.assign(identity=clip.table["track"].map(mine).fillna(-1).astype(int))
    frames = dict(list(table.groupby("frame")))
    for index, seconds, image in video.read(clip.path):
        image = drawing.draw_tracks(image, frames.get(index, table[:0]), "identity")
        yield seconds, drawing.banner(image, f"{clip.camera}   {seconds:.1f} s")


def early_and_late(
    rows: pd.DataFrame, table: pd.DataFrame, vectors: np.ndarray
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return one camera's tracklets cut in two, as if a second camera had seen the late halves.

    Halves of one track are the same person even where nobody knows who: `pid` is the track then.
    """
    late = table["time"] > table.groupby("track")["time"].transform("median")
    camera = table["camera"].where(~late, table["camera"] + summary.LATE)
    cut, means = tracklets(table.assign(camera=camera), vectors)
    cut = cut.merge(rows[["track", "identity", "pid"]], on="track", how="left")
    if not (cut["pid"] > 0).any():
        cut["pid"] = cut["track"]
    return cut, means


def scores(found: Sequence[Clip], identities: pd.DataFrame) -> pd.DataFrame:
    """Return MOTA, IDF1, HOTA for each camera that has a truth, and for all cameras as one film.

    A row "c1" scores the tracks of a camera by themselves; "c1, linked" the same boxes with the
    identities found by linking; "all cameras" asks that a person keep one identity everywhere.
    """
    known = [clip for clip in found if clip.truth is not None and len(clip.table)]
    rows, truths, linked = {}, [], []
    for number, clip in enumerate(known):
        mine = identities[identities["camera"] == clip.camera].set_index("track")["identity"]
        # A track too short to be linked is still somebody: it keeps a number of its own.
        alone = -(clip.table["track"] + 1_000_000 * (number + 1))
        persons = clip.table.assign(track=clip.table["track"].map(mine).fillna(alone).astype(int))
        rows[clip.camera] = mot.evaluate(clip.truth, clip.table)
        rows[f"{clip.camera}, linked"] = mot.evaluate(clip.truth, persons)
        shift = number * 10_000_000  # frames of different cameras must not meet
        truths.append(clip.truth.assign(frame=clip.truth["frame"] + shift))
        linked.append(persons.assign(frame=persons["frame"] + shift))
    if len(known) > 1:
        rows["all cameras"] = mot.evaluate(pd.concat(truths), pd.concat(linked))
    return pd.DataFrame.from_dict(rows, orient="index")


def run(
    videos: Sequence[str | Path] = (),
    out: str | Path = "demo",
    *,
    truth: Sequence[str | Path] = (),
    detector: Callable | None = None,
    extractor: Callable | None = None,
) -> dict:
    """Follow every person through the clips, write films, figures and a report; return the metrics.

    `videos` is one file a camera (none: the bundled cameras); `detector` and `extractor` are
    callables as from detectors.load and features.load, the bundled ones by default. Written to
    `out`: an annotated film a camera and side by side, tracks/<camera>.txt (MOT text),
    identities.csv, features.npz, four figures, metrics.json and report.html. Raises ValueError
    for what is no video or shows no people, OSError when `out` cannot be written.
    """
    from reidlib import detectors

    clock = Clock()
    found, out = clips(videos, truth), Path(out)
    detector, extractor = detector or detectors.load(), extractor or features.load()
    (out / "tracks").mkdir(parents=True, exist_ok=True)
    clock.lap("loading")
    for clip in found:
        follow(clip, detector, extractor)
    clock.lap("detecting, tracking, embedding")

    table = pd.concat([clip.table for clip in found], ignore_index=True)
    vectors = np.concatenate([clip.vectors for clip in found])
    rows, means = tracklets(table, vectors)
    if rows.empty:
        raise ValueError(
            f"nobody was followed for {SHORTEST} frames in "
            f"{', '.join(clip.path.name for clip in found)}; try another --detector or footage "
            "in which people are taller"
        )
    rows["identity"] = identify(rows, means, getattr(extractor, "threshold", None))
    rows["pid"] = -1
    for clip in found:
        if clip.truth is not None:
            mine = rows["camera"] == clip.camera
            people = true_people(clip.table, clip.truth)
            rows.loc[mine, "pid"] = rows.loc[mine, "track"].map(people)
    quality = scores(found, rows)
    clock.lap("linking, scoring")

    for clip in found:
        annotation.write_mot(clip.table, out / "tracks" / f"{clip.camera}.txt")
    with assets.atomic(out / "identities.csv") as temporary:
        rows.to_csv(temporary, index=False)
    features.write(out / "features.npz", means, rows)
    made = films(found, rows, out)
    clock.lap("films")

    ranked = (rows, means) if len(found) > 1 else early_and_late(rows, table, vectors)
    pictures = summary.figures(found, rows, ranked, table, vectors, out)
    clock.lap("figures")
    settings = {
        "detector": getattr(detector, "name", "custom"),
        "features": getattr(extractor, "name", "custom"),
        "link threshold": getattr(extractor, "threshold", None),
        "shortest track, frames": SHORTEST,
    }
    metrics = summary.metrics(found, rows, means, quality, clock.laps, settings)
    summary.write_json(out / "metrics.json", metrics)
    summary.write_report(out / "report.html", found, rows, metrics, made, pictures)
    return metrics


class Clock:
    """Notes how long each step took, in seconds."""

    def __init__(self):
        self.laps, self.last = {}, time.perf_counter()

    def lap(self, name: str) -> None:
        """Write down the time since the last lap under `name`."""
        now = time.perf_counter()
        self.laps[name], self.last = now - self.last, now
