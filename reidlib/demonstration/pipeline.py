"""The whole pipeline: clips in; films, figures and a report with one number a person out."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from reidlib import assets, boxes
from reidlib.boxes import BOX
from reidlib.collection import cameras, formats, video
from reidlib.demonstration import films, matching, report, summary
from reidlib.detection import detectors, scores, tracking
from reidlib.features import extractors, vectors

BUNDLED = ("c1", "c2", "c3")
CROP = (64, 128)  # width and height of the crops kept for figures, pixels


@dataclass
class Clip:
    """One camera's video, and what was found in it."""

    camera: str
    path: Path
    about: video.Probe
    truth: pd.DataFrame | None = None
    calibration: dict | None = None
    start: float = 0.0  # seconds on the clock that all cameras share
    table: pd.DataFrame | None = None  # a row a box: camera frame time track x1..y2 confidence
    vectors: np.ndarray | None = None  # a row a box, NaN where there is none
    crops: dict[int, list[tuple[int, np.ndarray]]] = field(default_factory=dict)
    seconds: float = 0.0
    truth_file: Path | None = None

    def at(self, frame: int) -> float:
        """Return when a frame was taken, in seconds of the common clock."""
        return self.start + frame / self.about.fps


class Samples:
    """Keeps a few clear crops of each track, evenly spread over its life, in constant memory."""

    def __init__(self, limit: int = 8):
        self.limit, self.seen, self.step, self.crowded = limit, {}, {}, set()
        self.crops: dict[int, list[tuple[int, np.ndarray]]] = {}

    def __call__(self, index: int, image: np.ndarray, tracks: pd.DataFrame) -> None:
        """Look at one frame (H, W, 3) and its tracks, columns track and x1 y1 x2 y2 (pixels)."""
        height, width = image.shape[:2]
        corners = boxes.clip(tracks[BOX].to_numpy(), width, height)
        others = boxes.iou(corners, corners) * (1 - np.eye(len(corners)))
        crowds = others.max(axis=1, initial=0) > 0.1
        for track, box, crowd in zip(tracks["track"].tolist(), corners, crowds):
            if boxes.area(box)[0] < 1 or (crowd and track in self.crops):
                continue  # a picture of two people is only better than none
            if crowd:
                self.crowded.add(track)
            elif track in self.crowded:
                self.crowded.remove(track)
                self.crops[track].clear()
            seen = self.seen[track] = self.seen.get(track, -1) + 1
            kept = self.crops.setdefault(track, [])
            if kept and seen % self.step.get(track, 1):
                continue
            kept.append((index, cv2.resize(boxes.crop(image, box)[0], CROP)))
            if len(kept) > self.limit:
                del kept[1::2]
                self.step[track] = 2 * self.step.get(track, 1)


def clips(
    videos: Sequence[str | Path] = (),
    truth: Sequence[str | Path | None] = (),
    names: Sequence[str] = (),
    starts: Sequence[float] = (),
    seconds: float | None = None,
) -> list[Clip]:
    """Return the clips to work on, one a camera, by default named after their files.

    Without `videos` these are the bundled three cameras with truth and calibration. `truth` holds
    a MOT text file a video (or None), `names` the cameras and `starts` the second of the common
    clock at which each clip begins; of each, only the first `seconds` count. Raises
    FileNotFoundError or ValueError for what is no video, and ValueError when the counts differ.
    """
    calibrations = {"cameras": {}}
    if not videos and (truth or starts):
        raise ValueError("truth or starts without a video; name the videos first, then --truth")
    if not videos:
        videos = [assets.data("plaza", "clips", f"{name}_day.mp4") for name in BUNDLED]
        truth = [assets.data("plaza", "truth", f"{name}_day.txt") for name in BUNDLED]
        calibrations = json.loads(assets.data("plaza", "cameras.json").read_text("utf-8"))
    for what, given in (("truth files", truth), ("names", names), ("starts", starts)):
        if given and len(given) != len(videos):
            raise ValueError(
                f"{len(videos)} videos but {len(given)} {what}; give one for each video, in order"
            )
    abouts = [video.probe(source) for source in videos]
    if any(about.frames is None for about in abouts):
        raise ValueError(
            "the demo goes through a video more than once, which a live one or an address does "
            "not allow; record or download it first"
        )
    if not all(abs(start) < 1e11 for start in starts):
        raise ValueError(f"starts are {list(starts)}; expected finite seconds of one clock")
    paths = [Path(os.path.abspath(path)) for path in videos]
    names = list(names) or [path.stem.removesuffix("_day") for path in paths]
    if len(set(names)) < len(names) or films.TOGETHER in names:
        names = [f"{number}_{name}" for number, name in enumerate(names, 1)]
    found = []
    for number, (name, path, about) in enumerate(zip(names, paths, abouts)):
        if seconds is not None:
            frames = min(about.frames, math.ceil(seconds * about.fps))
            about = replace(about, frames=frames, duration=frames / about.fps)
        given = truth[number] if truth else None
        known = None if given is None else scores.read_truth(given, about.frames)
        start = starts[number] if starts else 0.0
        calibration = calibrations["cameras"].get(name)
        clip = Clip(name, path, about, known, calibration, start)
        clip.truth_file = None if given is None else Path(given)
        found.append(clip)
    return found


def follow(clip: Clip, detector: Callable, extractor: Callable) -> None:
    """Detect, track and embed the people of one clip; fills its table, vectors and crops."""
    started, samples = time.perf_counter(), Samples()
    clip.table, clip.vectors = tracking.track(
        clip.path, detector, extractor, on_frame=samples, embeddings=True, stop=clip.about.frames
    )
    clip.table.insert(0, "camera", clip.camera)
    clip.table["time"] += clip.start
    clip.crops, clip.seconds = samples.crops, time.perf_counter() - started


def paths_on_ground(found: Sequence[Clip], rows: pd.DataFrame) -> list[np.ndarray] | None:
    """Return time, x, y (metres) of each tracklet's feet, or None unless all cameras are known."""
    if any(clip.calibration is None for clip in found):
        return None
    paths = {}
    for clip in found:
        places = cameras.on_ground(clip.table[BOX].to_numpy(), clip.calibration)
        path = np.column_stack([clip.table["time"], places])
        path, tracks = path[np.isfinite(places).all(axis=1)], clip.table["track"].to_numpy()
        tracks = tracks[np.isfinite(places).all(axis=1)]
        paths |= {(clip.camera, track): path[tracks == track] for track in np.unique(tracks)}
    keys = zip(rows["camera"], rows["track"])
    return [paths.get(key, np.empty((0, 3))) for key in keys]


def evaluate(found: Sequence[Clip], table: pd.DataFrame) -> pd.DataFrame:
    """Return MOTA, IDF1, HOTA for each camera that has a truth, and for all cameras together.

    A row "c1" scores the tracks of a camera by themselves; "c1, linked" the same boxes by the
    column identity of `table`; "all cameras" asks that a person keep one identity everywhere.
    """
    rows, truths = {}, []
    for clip in found:
        if clip.truth is not None:
            mine = table[table["camera"] == clip.camera]
            truth = clip.truth.assign(camera=clip.camera)
            rows[clip.camera] = scores.evaluate(truth, mine)
            rows[f"{clip.camera}, linked"] = matching.evaluate(truth, mine)
            truths.append(truth)
    if len(truths) > 1:
        scored = table[table["camera"].isin([truth["camera"].iloc[0] for truth in truths])]
        rows["all cameras"] = matching.evaluate(pd.concat(truths), scored)
    return pd.DataFrame.from_dict(rows, orient="index")


def link(
    found: Sequence[Clip], threshold: float | None = None
) -> tuple[pd.DataFrame, np.ndarray, pd.DataFrame, np.ndarray]:
    """Return who is who in clips that were followed: boxes, their vectors, tracklets, theirs.

    Boxes and tracklets get a column identity, tracklets also pid, the true person or -1;
    `threshold` is as for matching.link. Raises ValueError when nobody was followed.
    """
    table = pd.concat([clip.table for clip in found], ignore_index=True)
    dim = max(clip.vectors.shape[1] for clip in found)  # 0 where a camera saw nobody
    vectors = np.concatenate([clip.vectors.reshape(len(clip.table), dim) for clip in found])
    rows, means = matching.tracklets(table, vectors, matching.SHORTEST)
    if rows.empty:
        raise ValueError(
            f"nobody was followed for {matching.SHORTEST} frames in "
            f"{', '.join(clip.path.name for clip in found)}; try another detector, or footage "
            "that is longer or in which people are taller"
        )
    places = paths_on_ground(found, rows)
    rows["identity"] = matching.link(rows, means, threshold=threshold, positions=places)
    rows["pid"] = -1
    for clip in found:
        if clip.truth is not None:
            people, mine = scores.true_people(clip.table, clip.truth), rows["camera"] == clip.camera
            rows.loc[mine, "pid"] = rows.loc[mine, "track"].map(people)
    return matching.identify(table, rows, rows["identity"]), vectors, rows, means


def _outputs(found: Sequence[Clip], out: Path) -> list[Path]:
    """Return the folder and the files in it that could have the name of a video or a truth."""
    films_made = [out / f"{name}.mp4" for name in (films.TOGETHER, *(c.camera for c in found))]
    tracks = [out / "tracks" / f"{clip.camera}.txt" for clip in found]
    return [out, *films_made, *tracks, out / "identities.csv", out / "features.csv"]


def run(
    videos: Sequence[str | Path | Clip] = (),
    out: str | Path = "demo",
    *,
    truth: Sequence[str | Path] = (),
    detector: Callable | None = None,
    extractor: Callable | None = None,
) -> dict:
    """Follow every person through the clips, write films, figures and a report; return the metrics.

    `videos` is one file a camera (none: the bundled cameras), or clips, of which those that were
    followed already are not followed again; `detector` and `extractor` are callables as from
    detectors.load and extractors.load, the bundled ones by default. Written to `out`: an annotated
    film a camera and side by side, tracks/<camera>.txt (MOT text), identities.csv, features.npz,
    four figures, metrics.json and report.html. Raises ValueError for what is no video or shows no
    people, OSError when `out` cannot be written.
    """
    ready = len(videos) > 0 and all(isinstance(video, Clip) for video in videos)
    found, out = list(videos) if ready else clips(videos, truth), Path(out)
    given = [path for clip in found for path in (clip.path, clip.truth_file)]
    assets.refuse_overwriting(given, _outputs(found, out))
    assets.check_writable(out / "report.html")
    detector, extractor = detector or detectors.load(), extractor or extractors.load()
    laps = [("detecting, tracking, embedding", time.perf_counter())]
    for clip in found:
        if clip.table is None:
            follow(clip, detector, extractor)

    laps.append(("linking and scoring", time.perf_counter()))
    threshold = getattr(extractor, "threshold", None)
    table, embeddings, rows, means = link(found, threshold)
    quality = evaluate(found, table)

    laps.append(("films", time.perf_counter()))
    for clip in found:
        formats.write_mot(clip.table, out / "tracks" / f"{clip.camera}.txt")
    with assets.atomic(out / "identities.csv") as temporary:
        rows.to_csv(temporary, index=False)
    vectors.write(out / "features.npz", means, rows)
    made = films.write(found, table, out)

    laps.append(("figures", time.perf_counter()))
    ranked = (rows, means) if len(found) > 1 else summary.early_and_late(rows, table, embeddings)
    pictures = summary.figures(found, rows, ranked, table, embeddings, out)
    laps.append(("", time.perf_counter()))
    metrics = summary.metrics(found, rows, means, quality) | {
        "settings": {
            "detector": Path(getattr(detector, "name", "custom")).name,
            "features": Path(getattr(extractor, "name", "custom")).name,
            "link threshold": "from the data" if threshold is None else threshold,
            "calibrated cameras": all(clip.calibration is not None for clip in found),
            "shortest track, frames": matching.SHORTEST,
        },
        "seconds": {name: end - start for (name, start), (_, end) in zip(laps, laps[1:])},
    }
    summary.write_json(out / "metrics.json", metrics)
    report.write_report(out / "report.html", found, rows, metrics, made, pictures)
    return metrics
