"""The ladder of lesson 02: one tracker after another, each with one thing more, on all seven clips.

    python notebooks/ladder.py        # some minutes; writes ladder.csv, which the lesson reads

A row of the file is a clip and a rung with its scores. All rungs get the same stored boxes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from reidlib import assets, boxes
from reidlib.boxes import BOX
from reidlib.collection import formats, video
from reidlib.detection import association, scores, tracker, tracking

FILE = Path(__file__).with_name("ladder.csv")
CLIPS = ["c1_day", "c2_day", "c3_day", "c1_dusk", "c2_dusk", "c3_dusk", "c4_hall"]
SIZE, FPS = (640, 360), 12.5
MIN_IOU, MAX_AGE = 0.3, 12  # of the plain trackers: overlap, and frames without a box


def stored(clip: str) -> pd.DataFrame:
    """Return the stored boxes of a clip, of which no two overlap by more than a half."""
    table = formats.read_mot(assets.data("plaza", "detections", f"{clip}.txt"))
    kept = [
        rows.index[boxes.nms(rows[BOX], rows.confidence, 0.5)]
        for _, rows in table.groupby("frame")
    ]  # fmt: skip
    return table.loc[np.sort(np.concatenate(kept))].reset_index(drop=True)


class LastBox:
    """Somebody is expected where they were last."""

    def __init__(self, box: np.ndarray):
        self.box = box

    def predict(self) -> np.ndarray:
        return self.box

    def correct(self, box: np.ndarray) -> None:
        self.box = box


class Velocity(LastBox):
    """Somebody goes on as they went over their last ten boxes."""

    def __init__(self, box: np.ndarray):
        self.now, self.seen = 0, [(0, box)]

    def predict(self) -> np.ndarray:
        self.now += 1
        (first, begin), (last, end) = self.seen[-10:][0], self.seen[-1]
        return end + (end - begin) / max(last - first, 1) * (self.now - last)

    def correct(self, box: np.ndarray) -> None:
        self.seen.append((self.now, box))


class Kalman(LastBox):
    """Somebody goes on as they went, with a share of each surprise (Kalman, 1960)."""

    def __init__(self, box: np.ndarray):
        mean, covariance = association.start_motion(box)
        self.state = mean[None], covariance[None]

    def predict(self) -> np.ndarray:
        self.state = association.predict_motion(*self.state, 1 / FPS)
        return association.corners(self.state[0][..., 0])[0]

    def correct(self, box: np.ndarray) -> None:
        self.state = association.correct_motion(*self.state, box[None])


def plain(table: pd.DataFrame, way: str, motion: Callable) -> pd.DataFrame:
    """Return the tracks of a tracker of overlap, assignment and `motion`, and nothing else."""
    frames = dict(list(table[table.confidence >= 0.25].groupby("frame")[BOX]))
    tracks, rows, born = [], [], 0
    for frame in range(table.frame.max() + 1):
        detected = frames[frame].to_numpy(float) if frame in frames else np.zeros((0, 4))
        overlap = boxes.iou([track["motion"].predict() for track in tracks], detected)
        cost = np.where(overlap >= MIN_IOU, 1 - overlap, 1e6)
        track_of = {column: tracks[row] for row, column in association.assign(cost, way)}
        for column, box in enumerate(detected):
            if column in track_of:
                track_of[column]["motion"].correct(box)
            else:
                born += 1
                track_of[column] = {"id": born, "motion": motion(box)}
                tracks.append(track_of[column])
            track_of[column]["seen"] = frame
            rows.append((frame, track_of[column]["id"], *box))
        tracks = [track for track in tracks if frame - track["seen"] <= MAX_AGE]
    return pd.DataFrame(rows, columns=["frame", "track", *BOX])


def ours(table: pd.DataFrame, vectors=None, faint: bool = True, **settings) -> pd.DataFrame:
    """Return the tracks of the course's tracker with some of what it does switched off."""
    with mock.patch.object(tracker, "FAINT_IOU", tracker.FAINT_IOU if faint else 2.0):
        follower = tracker.Tracker(size=SIZE, fps=FPS, **settings)
        return tracking.replay(table, follower, vectors)


WITHOUT = {"buffer": 0.0, "heights": False, "faint": False}
RUNGS: dict[str, Callable] = {
    "last box, greedy": lambda table, _: plain(table, "greedy", LastBox),
    "Hungarian": lambda table, _: plain(table, "hungarian", LastBox),
    "velocity": lambda table, _: plain(table, "hungarian", Velocity),
    "Kalman": lambda table, _: plain(table, "hungarian", Kalman),
    "careful birth, 1 s": lambda table, _: ours(table, patience=0.96, **WITHOUT),
    "patience, 2 s": lambda table, _: ours(table, **WITHOUT),
    "faint boxes": lambda table, _: ours(table, buffer=0.0, heights=False),
    "grown boxes, heights": lambda table, _: ours(table),
    "appearance": lambda table, vectors: ours(table, vectors),
}


def embedded(clip: str, table: pd.DataFrame) -> np.ndarray:
    """Return a vector for each box of confidence 0.25 or more, (N, D); NaN for the others."""
    from reidlib.features import extractors

    extractor = extractors.load("plaza")
    vectors = np.full((len(table), extractor.dim), np.nan, np.float32)
    inside = boxes.area(boxes.clip(table[BOX], *SIZE)) >= 1
    by_frame = dict(list(table[inside & (table.confidence >= 0.25)].groupby("frame")))
    for index, _, image in video.read(assets.data("plaza", "clips", f"{clip}.mp4")):
        if index in by_frame:
            rows = by_frame[index]
            vectors[rows.index] = extractor(boxes.crop(image, rows[BOX]))
    return vectors


def climb(clip: str, names: list[str] | None = None) -> pd.DataFrame:
    """Return a row for each rung, or each of `names`, with its scores on a clip."""
    table, rows = stored(clip), []
    truth = formats.read_mot(assets.data("plaza", "truth", f"{clip}.txt"))
    names = names or list(RUNGS)
    vectors = embedded(clip, table) if "appearance" in names else None
    for name in names:
        found = scores.evaluate(truth, RUNGS[name](table, vectors))
        row = found[["IDF1", "MOTA", "HOTA", "switches"]].to_dict()
        rows.append({"clip": clip, "rung": name} | row)
    return pd.DataFrame(rows)


def interval(values: np.ndarray, samples: int = 10_000, seed: int = 0) -> tuple[float, float]:
    """Return a 95 % bootstrap interval of the mean of `values`, one a clip (Efron, 1979)."""
    draws = np.random.default_rng(seed).choice(values, (samples, len(values)))
    low, high = np.quantile(draws.mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


if __name__ == "__main__":
    made = pd.concat([climb(clip) for clip in tqdm(CLIPS)], ignore_index=True)
    made["switches"] = made.switches.astype(int)
    with assets.atomic(FILE) as temporary:
        made.round(4).to_csv(temporary, index=False)
    print(made.pivot(index="rung", columns="clip", values="IDF1").loc[list(RUNGS)].round(3))
