"""What the demo found, as figures, as numbers and as a page to read."""

import contextlib
import importlib.metadata
import math
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

import reidlib
from reidlib import style
from reidlib.demonstration import counts as counting
from reidlib.demonstration import matching, plots, sampling
from reidlib.features import plots as feature_plots
from reidlib.model import plots as model_plots
from reidlib.model import ranking

LATE = " late"  # follows the camera's name in the second half of its tracks
QUERIES, NEAREST = 6, 8  # rows and columns of the rank grid
MOST_PEOPLE = 12  # in the picture of who is who
MOST_POINTS = 400  # in the map of embeddings


@dataclass(frozen=True)
class Ranking:
    """A query and the tracklets nearest to it, as row numbers of the tracklets, nearest first."""

    query: int
    gallery: list[int]
    distances: list[float]  # cosine, one for each of the gallery


def rankings(rows: pd.DataFrame, vectors: np.ndarray, early: bool = False) -> list[Ranking]:
    """Rank for the longest tracklets of a few people the tracklets of the other cameras.

    `rows` are tracklets as from matching.tracklets with identity and pid, `vectors` (N, D) theirs,
    of unit length. Where the truth is known, only people whom several cameras saw are looked for:
    the others cannot be found. With `early`, the late halves of `early_and_late` are not looked
    for.
    """
    several = rows[rows["pid"] >= 0].groupby("pid")["camera"].transform("nunique") > 1
    candidates = rows.loc[several.index[several]] if several.any() else rows
    if early:
        candidates = candidates[~candidates["camera"].str.endswith(LATE)]
    longest = candidates.sort_values("frames", ascending=False).drop_duplicates("identity").index
    ranked, camera = [], rows["camera"].to_numpy()
    for query in longest.tolist():
        others = np.flatnonzero(camera != camera[query])
        distances = 1 - vectors[others] @ vectors[query]
        nearest = np.argsort(distances, kind="stable")[:NEAREST]
        if len(nearest):
            ranked.append(Ranking(query, others[nearest].tolist(), distances[nearest].tolist()))
    return ranked[:QUERIES]


def picture(crops: Mapping, row) -> np.ndarray:
    """Return the crop taken nearest to the middle of a tracklet, grey if none was kept.

    `crops` is camera to track to (frame, image) pairs; the late half of a camera has those of the
    whole.
    """
    camera = row.camera if row.camera in crops else row.camera.removesuffix(LATE)
    kept = crops[camera].get(row.track, [])
    middle = (row.first + row.last) / 2
    blank = (0, np.full((*sampling.CROP[::-1], 3), 128, np.uint8))
    _, image = min(kept, key=lambda item: abs(item[0] - middle), default=blank)
    return image


def portraits(
    clips: Sequence, rows: pd.DataFrame, limit: int
) -> dict[int, list[tuple[str, np.ndarray]]]:
    """Return up to `limit` crops of each person, spread over all stays, with camera and time."""
    found: dict[int, list[tuple[str, np.ndarray]]] = {}
    clip_of = {clip.camera: clip for clip in clips}
    for person, stays in rows.sort_values(["camera", "start"]).groupby("identity"):
        kept = [
            (f"{_short(stay.camera)}, {clip_of[stay.camera].at(index):.0f} s", image)
            for stay in stays.itertuples()
            for index, image in clip_of[stay.camera].crops.get(stay.track, [])
        ]
        if kept:
            spread = np.linspace(0, len(kept) - 1, min(limit, len(kept))).round().astype(int)
            found[person] = [kept[i] for i in np.unique(spread)]
    return found


def figures(
    clips: Sequence,
    rows: pd.DataFrame,
    ranked: tuple[pd.DataFrame, np.ndarray],
    table: pd.DataFrame,
    vectors: np.ndarray,
    folder: Path,
) -> dict[str, Path]:
    """Write the demo's figures to `folder` and return their paths by name.

    `clips` are the cameras with their sampled crops, `rows` the identified tracklets, `ranked` the
    tracklets to compare in the rank grid and their vectors, `table` and `vectors` every box with
    its identity and its vector.
    """
    named = rows.assign(camera=rows["camera"].map(style.plain_text))
    first_people = list(portraits(clips, rows, 6).items())[:MOST_PEOPLE]
    drawn = {
        "timeline": plots.who_was_where(named),
        "visitors": plots.visitors(counting.visitors(named)),
        "people": plots.people(dict(first_people)),
        "rank_grid": _rank_grid(clips, *ranked),
        "embedding_map": _embedding_map(table, vectors),
    }
    made = {name: figure for name, figure in drawn.items() if figure is not None}
    return {name: style.save(figure, folder / f"{name}.png") for name, figure in made.items()}


def _rank_grid(clips: Sequence, rows: pd.DataFrame, means: np.ndarray):
    """Draw the nearest tracks of some people, or nothing where there are none to compare."""
    ranked = rankings(rows, means, early=len(clips) == 1)
    if not ranked:
        return None
    crops = {clip.camera: clip.crops for clip in clips}
    images = [picture(crops, row) for row in rows.itertuples()]
    pids, cameras = rows["pid"].tolist(), [_short(camera) for camera in rows["camera"]]
    if len(clips) == 1:
        cameras = ["late" if camera.endswith(LATE) else "early" for camera in rows["camera"]]
    return model_plots.rank_grid(
        [images[r.query] for r in ranked],
        [[images[i] for i in r.gallery] for r in ranked],
        [[same_person(pids[i], pids[r.query]) for i in r.gallery] for r in ranked],
        [[f"{cameras[i]}\n{d:.2f}" for i, d in zip(r.gallery, r.distances)] for r in ranked],
        [cameras[r.query] for r in ranked],
        "The nearest tracks, and their cosine distances",
    )


def same_person(pid: int, other: int) -> bool | None:
    """Return whether two true identities are one, and None where one of them is unknown, -1."""
    return pid == other if min(pid, other) >= 0 else None


def _embedding_map(table: pd.DataFrame, vectors: np.ndarray):
    """Draw some boxes of identified people as points, or nothing where there are too few."""
    people = table["identity"].to_numpy()
    seen = np.flatnonzero(np.isfinite(vectors).all(axis=1) & (people > 0))
    seen = seen[:: max(1, len(seen) // MOST_POINTS)]
    if len(seen) < 4:
        return None
    cameras = table["camera"].iloc[seen].map(style.plain_text)
    return feature_plots.embedding_map(vectors[seen], people[seen], cameras.tolist(), "tsne")


def _short(camera: str) -> str:
    """Return the end of a camera's name, as much of it as fits above a crop."""
    return style.plain_text(camera[-12:])


def between_cameras(rows: pd.DataFrame, vectors: np.ndarray) -> dict[str, float]:
    """Return rank-1, mAP and mINP of finding a true person's tracklet in the other cameras.

    Empty where the truth is unknown or nobody was seen by two cameras.
    """
    seen = rows[rows["pid"] >= 0].groupby("pid")["camera"].nunique()
    if not (seen > 1).any():
        return {}
    pids = np.where(rows["pid"] >= 0, rows["pid"] + 1, -1)  # a truth may count from 0
    cameras = pd.factorize(rows["camera"])[0] + 1
    query = np.flatnonzero(pids > 0)
    result = ranking.evaluate(vectors[query], pids[query], cameras[query], vectors, pids, cameras)
    return {"rank-1": result.cmc[0], "mAP": result.mAP, "mINP": result.mINP}


def metrics(clips: Sequence, rows: pd.DataFrame, means: np.ndarray, quality: pd.DataFrame) -> dict:
    """Return what was found as a nested dictionary of plain values, for `write_json`.

    `rows` are the identified tracklets, `means` (N, D) their vectors, `quality` the scores with a
    row a camera, empty where the truth is unknown.
    """
    frames = sum(clip.about.frames for clip in clips)
    seconds = sum(clip.seconds for clip in clips)
    truths = [clip.truth["track"] for clip in clips if clip.truth is not None]
    true_people = set().union(*truths)
    return {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "people": int(rows["identity"].nunique()),
        "people in the truth": len(true_people) or None,
        "people in several cameras": int((rows.groupby("identity")["camera"].nunique() > 1).sum()),
        "frames a second": _pace(frames, seconds),
        "cameras": {clip.camera: _camera(clip, rows) for clip in clips},
        "notes": [f"{clip.camera}: {note}" for clip in clips for note in clip.notes],
        "scores": quality.to_dict("index"),
        "between cameras": between_cameras(rows, means),
    }


def _camera(clip, rows: pd.DataFrame) -> dict:
    return {
        "file": clip.path.name,
        "width": clip.about.width,
        "height": clip.about.height,
        "frames": clip.about.frames,
        "seconds": clip.about.duration,
        "tracks": int(clip.table["track"].nunique()),
        "people": int(rows.loc[rows["camera"] == clip.camera, "identity"].nunique()),
        "frames a second": _pace(clip.about.frames, clip.seconds),
    }


def _pace(frames: int, seconds: float) -> float | None:
    """Return the frames a second of tracking, or None where tracks were not made but read."""
    return frames / seconds if seconds else None


@contextlib.contextmanager
def lap(seconds: dict[str, float], name: str) -> Iterator[None]:
    """Note how many seconds the lines inside took."""
    started = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - started


def counts(clips: Sequence, table: pd.DataFrame) -> dict:
    """Return why the number of people is what it is, and how many there must be at least.

    "count" is as from matching.explain_count for the clips that have a truth, None where none has.
    """
    truths = [clip.truth.assign(camera=clip.camera) for clip in clips if clip.truth is not None]
    return {
        "count": matching.explain_count(pd.concat(truths), table) if truths else None,
        "most at once in a camera": most_at_once(clips, table),
    }


def most_at_once(clips: Sequence, table: pd.DataFrame) -> int:
    """Return how many people there must be: the most identities that one camera saw at once.

    `table` has a row a box with camera, frame and identity. A moment counts for nothing, as a
    detector may see double: there must have been so many for a second in all.
    """
    most = 0
    for clip in clips:
        mine = table[(table["camera"] == clip.camera) & (table["identity"] >= 0)]
        counts = np.sort(mine.groupby("frame")["identity"].nunique().to_numpy())[::-1]
        lasting = counts[math.ceil(clip.about.fps) - 1 :]
        most = max(most, *lasting[:1].tolist(), 0)
    return most


def early_and_late(
    rows: pd.DataFrame, table: pd.DataFrame, vectors: np.ndarray
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return one camera's tracklets cut in two, as if a second camera had seen the late halves.

    Halves of one track are the same person even where nobody knows who: `pid` is the track then.
    """
    late = table["time"] > table.groupby("track")["time"].transform("median")
    camera = table["camera"].where(~late, table["camera"] + LATE)
    cut, means = matching.tracklets(table.assign(camera=camera), vectors, matching.SHORTEST)
    cut = cut.merge(rows[["track", "identity", "pid"]], on="track", how="left")
    if not (cut["pid"] >= 0).any():
        cut["pid"] = cut["track"]
    return cut, means


PACKAGES = ("numpy", "opencv-python", "openvino", "torch", "ultralytics", "pandas", "scipy")


def versions() -> dict[str, str]:
    """Return the versions of what computed the result; nothing is imported for it."""
    found = {"reidlib": reidlib.__version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found | {"machine": f"{platform.system()} {platform.machine()}"}
