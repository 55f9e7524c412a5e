"""What the demo found, as figures, as numbers and as a page to read."""

from __future__ import annotations

import importlib.metadata
import json
import math
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

import reidlib
from reidlib import assets
from reidlib.demonstration import matching
from reidlib.model import ranking

LATE = " late"


def rankings(
    rows: pd.DataFrame, vectors: np.ndarray, queries: int = 6, length: int = 8, early: bool = False
) -> list:
    """Return (query row, gallery rows best first) for the longest tracklets of different people.

    The gallery of a query is every tracklet of the other cameras. Where the truth is known, only
    people whom several cameras saw are looked for: the others cannot be found. With `early`, late
    halves are not looked for.
    """
    shared = rows[rows["pid"] >= 0].groupby("pid")["camera"].transform("nunique") > 1
    some = rows.loc[shared.index[shared]] if shared.any() else rows
    if early:
        some = some[~some["camera"].str.endswith(LATE)]
    chosen = some.sort_values("frames", ascending=False).drop_duplicates("identity").index
    camera, pairs = rows["camera"].to_numpy(), []
    for query in chosen:
        others = np.flatnonzero(camera != camera[query])
        best = np.argsort(-(vectors[others] @ vectors[query]), kind="stable")[:length]
        if len(others):
            pairs.append((int(query), others[best].tolist()))
    return pairs[:queries]


def picture(crops: Mapping, row) -> np.ndarray:
    """Return the crop nearest to the middle of a tracklet; `crops` is camera to track to crops."""
    camera = row.camera if row.camera in crops else row.camera.removesuffix(LATE)
    kept = crops[camera].get(row.track, [])
    middle = (row.first + row.last) / 2
    blank = (0, np.full((128, 64, 3), 128, np.uint8))
    return min(kept, key=lambda item: abs(item[0] - middle), default=blank)[1]


def portraits(
    clips: Sequence, rows: pd.DataFrame, limit: int
) -> dict[int, list[tuple[str, np.ndarray]]]:
    """Return up to `limit` crops of each person with camera and time, spread over their stays."""
    found: dict[int, list[tuple[str, np.ndarray]]] = {}
    clip_of = {clip.camera: clip for clip in clips}
    for person, stays in rows.sort_values(["camera", "start"]).groupby("identity"):
        kept = [
            (f"{stay.camera[-12:]}, {clip_of[stay.camera].at(index):.0f} s", image)
            for stay in stays.itertuples()
            for index, image in clip_of[stay.camera].crops.get(stay.track, [])
        ]
        chosen = np.unique(np.linspace(0, len(kept) - 1, min(limit, len(kept))).round().astype(int))
        found[person] = [kept[i] for i in chosen]
    return {person: images for person, images in found.items() if images}


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
    from reidlib import style
    from reidlib.demonstration import plots
    from reidlib.features import plots as feature_plots
    from reidlib.model import plots as model_plots

    crops = {clip.camera: clip.crops for clip in clips}
    drawn = {"timeline": plots.who_was_where(rows)}
    drawn["people"] = plots.people(dict(list(portraits(clips, rows, 6).items())[:12]))
    compared, means = ranked
    pairs = rankings(compared, means, early=len(clips) == 1)
    if pairs:
        images = [picture(crops, row) for row in compared.itertuples()]
        pids, cameras = compared["pid"].tolist(), compared["camera"].str[-12:].tolist()
        if len(clips) == 1:
            cameras = ["late" if name.endswith(LATE) else "early" for name in compared["camera"]]
        drawn["rank_grid"] = model_plots.rank_grid(
            [images[query] for query, _ in pairs],
            [[images[i] for i in best] for _, best in pairs],
            [
                [pids[i] == pids[q] if min(pids[i], pids[q]) >= 0 else None for i in best]
                for q, best in pairs
            ],
            [[f"{cameras[i]}\n{means[i] @ means[q]:.2f}" for i in best] for q, best in pairs],
            [cameras[query] for query, _ in pairs],
            "The most similar tracks, and how similar they are (cosine)",
        )
    people = table["identity"].to_numpy()
    seen = np.flatnonzero(np.isfinite(vectors).all(axis=1) & (people > 0))
    seen = seen[:: max(1, len(seen) // 400)]
    if len(seen) > 3:
        drawn["embedding_map"] = feature_plots.embedding_map(
            vectors[seen], people[seen], table["camera"].iloc[seen].tolist(), "tsne"
        )
    return {name: style.save(figure, folder / f"{name}.png") for name, figure in drawn.items()}


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
    """Return what was found as a nested dictionary of plain values, for `summary.write_json`."""
    frames = sum(clip.about.frames for clip in clips)
    seconds = sum(clip.seconds for clip in clips)  # 0 where tracks were not made but read
    return {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "people": int(rows["identity"].nunique()),
        "people in the truth": len(
            {pid for clip in clips if clip.truth is not None for pid in clip.truth["track"]}
        )
        or None,
        "people in several cameras": int((rows.groupby("identity")["camera"].nunique() > 1).sum()),
        "frames a second": frames / seconds if seconds else None,
        "cameras": {
            clip.camera: {
                "file": clip.path.name,
                "width": clip.about.width,
                "height": clip.about.height,
                "frames": clip.about.frames,
                "seconds": clip.about.duration,
                "tracks": int(clip.table["track"].nunique()),
                "people": int(rows.loc[rows["camera"] == clip.camera, "identity"].nunique()),
                "frames a second": clip.about.frames / clip.seconds if clip.seconds else None,
            }
            for clip in clips
        },
        "scores": quality.to_dict("index"),
        "between cameras": between_cameras(rows, means),
    }


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


def write_json(path: str | Path, values: Mapping) -> None:
    """Write numbers as JSON, NumPy's as Python's and NaN as null."""

    def plain(value):
        if isinstance(value, Mapping):
            return {str(key): plain(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [plain(item) for item in value]
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, float):
            return round(value, 4) if math.isfinite(value) else None
        return value if isinstance(value, int | bool | type(None)) else str(value)

    with assets.atomic(path) as temporary:
        temporary.write_text(json.dumps(plain(values), indent=1), encoding="utf-8")
