"""Scores for detections and tracks against ground truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from reidlib import boxes
from reidlib.boxes import BOX
from reidlib.collection import formats


def read_truth(path: str | Path, frames: int | None = None) -> pd.DataFrame:
    """Return the ground truth in a MOT text file, cut to a clip of so many `frames`.

    Raises ValueError for a bad file, and when nothing is left to score against.
    """
    truth = formats.read_mot(path)
    if frames is not None:
        truth = truth[truth.frame < frames]
    _checked(truth, "truth")
    return truth


def evaluate(truth: pd.DataFrame, tracks: pd.DataFrame, iou: float = 0.5) -> pd.Series:
    """Return MOTA, IDF1, HOTA and what they are made of, as a Series.

    Both tables are as from `formats.read_mot`: frame, track, x1 y1 x2 y2. True boxes with
    confidence 0, and tracks on them, do not count (Milan et al., 2016). A person is found when the
    IoU with the true box is at least `iou`; HOTA averages over .05 to .95. Computed by the library
    `trackers` (Roboflow) after Bernardin and Stiefelhagen (2008, MOTA), Ristani et al. (2016, IDF1)
    and Luiten et al. (2021, HOTA).
    Raises ValueError when a column is missing, the truth is empty, or a frame has one track twice.
    """
    from trackers.eval import (
        compute_clear_metrics,
        compute_hota_metrics,
        compute_identity_metrics,
    )

    truth, tracks = _checked(truth, "truth"), _checked(tracks, "tracks")
    frames = np.union1d(truth.frame, tracks.frame)
    true_ids, ids, overlaps = [], [], []
    groups = [dict(list(table.groupby("frame"))) for table in (truth, tracks)]
    for frame in frames:
        t, p = (g.get(frame, table[:0]) for g, table in zip(groups, (truth, tracks)))
        overlap = boxes.iou(t[BOX], p[BOX]).astype(float)
        counts = t.counts.to_numpy(bool)
        found = np.where(overlap >= iou, overlap, 0)  # two faint overlaps are not worth a good one
        pairs = zip(*linear_sum_assignment(-found))
        ignored = [j for i, j in pairs if found[i, j] > 0 and not counts[i]]
        true_ids.append(t.track.to_numpy(int)[counts])
        ids.append(np.delete(p.track.to_numpy(int), ignored))
        overlaps.append(np.delete(overlap[counts], ignored, axis=1))
    clear = compute_clear_metrics(true_ids, ids, overlaps, threshold=iou)
    identity = compute_identity_metrics(true_ids, ids, overlaps, threshold=iou)
    hota = compute_hota_metrics(true_ids, ids, overlaps)
    return pd.Series(
        {
            "MOTA": clear["MOTA"] if len(tracks) else 0.0,
            "IDF1": identity["IDF1"],
            "HOTA": hota["HOTA"],
            "precision": clear["CLR_Pr"],
            "recall": clear["CLR_Re"],
            "switches": clear["IDSW"],
            "fragmentations": clear["Frag"],
            "false_positives": clear["CLR_FP"],
            "misses": clear["CLR_FN"],
            "people": truth.track[truth.counts].nunique(),
            "tracks": tracks.track.nunique(),
        }
    )


def matches(truth: pd.DataFrame, tracks: pd.DataFrame, iou: float = 0.5) -> pd.DataFrame:
    """Return which track covers each true person: frame, person, track, switch.

    A row a true box; `track` is -1 where the person is missed, and `switch` marks where it is not
    the track that covered this person last (Bernardin and Stiefelhagen, 2008): the sum is the
    "switches" of `evaluate`. Raises ValueError as that does.
    """
    truth, tracks = _checked(truth, "truth"), _checked(tracks, "tracks")
    truth = truth[truth.counts]
    frames = tracks.groupby("frame").indices
    true_boxes, true_ids = truth[BOX].to_numpy(), truth.track.to_numpy(int)
    found, ids = tracks[BOX].to_numpy(), tracks.track.to_numpy(int)
    before: dict[int, int] = {}
    last: dict[int, int] = {}
    rows = []
    for frame, index in truth.groupby("frame").indices.items():
        here = frames.get(frame, np.zeros(0, int))
        overlap = boxes.iou(true_boxes[index], found[here]).astype(float)
        kept = np.array([[before.get(p) == t for t in ids[here]] for p in true_ids[index]])
        worth = (overlap >= iou) * (overlap + 1000 * kept.reshape(overlap.shape))
        pairs = zip(*linear_sum_assignment(-worth))
        before = {true_ids[index[i]]: ids[here[j]] for i, j in pairs if worth[i, j] > 0}
        for person in true_ids[index]:
            track = before.get(person, -1)
            rows.append((frame, person, track, track >= 0 and last.get(person, track) != track))
        last |= before
    return pd.DataFrame(rows, columns=["frame", "person", "track", "switch"])


def _checked(table: pd.DataFrame, label: str) -> pd.DataFrame:
    boxes.require(table, ["frame", "track", *BOX], label)
    if label == "truth":
        table = table.assign(counts=table.confidence != 0 if "confidence" in table else True)
        if not table.counts.any():
            raise ValueError(
                "truth holds no boxes to score against in the frames of this clip; check that it "
                "belongs to the clip and is ground truth (of nine columns, class 1 is a person)"
            )
    twice = table[table.duplicated(["frame", "track"])]
    if len(twice):
        first = twice.iloc[0]
        raise ValueError(
            f"{label} has track {first.track:g} twice in frame {first.frame:g}; one box is expected"
        )
    return table


def true_people(table: pd.DataFrame, truth: pd.DataFrame) -> pd.Series:
    """Return the true person of each track: whom at least half its boxes cover (IoU 0.5), or -1."""
    votes = [pd.DataFrame({"track": [], "pid": []})]
    frames = dict(list(truth.groupby("frame")))
    for frame, found in table.groupby("frame"):
        people = frames.get(frame)
        if people is not None:
            overlap = boxes.iou(found[BOX].to_numpy(), people[BOX].to_numpy())
            sure = overlap.max(axis=1) >= 0.5
            pids = people["track"].to_numpy()[overlap.argmax(axis=1)[sure]]
            votes.append(pd.DataFrame({"track": found["track"].to_numpy()[sure], "pid": pids}))
    best = pd.concat(votes).value_counts().reset_index().drop_duplicates("track").set_index("track")
    boxes_of = table["track"].value_counts().reindex(best.index)
    best = best.loc[best["count"] >= 0.5 * boxes_of, "pid"]  # else it follows nobody
    return best.reindex(pd.unique(table["track"]), fill_value=-1).astype(int)


def precision_recall(
    truth: pd.DataFrame, detections: pd.DataFrame, iou: float = 0.5, visibility: float = 0.0
) -> pd.DataFrame:
    """Return confidence, precision and recall at every detection, most confident first.

    Both tables have frame, x1 y1 x2 y2. Each detection takes the free true box it overlaps most,
    if by at least `iou` (Everingham et al., 2010). True boxes less visible than `visibility`, or of
    confidence 0, need not be found; detections of them do not count.
    """
    counts = np.ones(len(truth), bool)
    if "visibility" in truth:
        counts &= truth.visibility.to_numpy() >= visibility
    if "confidence" in truth:
        counts &= truth.confidence.to_numpy() != 0
    truth = truth.assign(counts=counts)
    groups = {frame: (t[BOX], t.counts.to_numpy()) for frame, t in truth.groupby("frame")}
    none = (truth[BOX][:0], np.zeros(0, bool))
    found = []
    for frame, table in detections.groupby("frame"):
        table = table.sort_values("confidence", ascending=False, kind="stable")
        true_boxes, counts = groups.get(frame, none)
        overlaps = boxes.iou(table[BOX], true_boxes)
        overlaps[overlaps < iou] = 0
        free = np.ones(len(counts), bool)
        for confidence, row in zip(table.confidence, overlaps):
            # A true box that counts comes before one that need not be found.
            worth = np.where(free, row, 0) * np.where(counts, 1, 1e-3)
            best = int(worth.argmax()) if len(worth) else -1
            hit = best >= 0 and worth[best] > 0
            if hit:
                free[best] = False
            if not hit or counts[best]:
                found.append((confidence, hit))
    found = pd.DataFrame(found, columns=["confidence", "hit"]).astype({"hit": bool})
    found = found.sort_values("confidence", ascending=False, kind="stable", ignore_index=True)
    hits, total = found.pop("hit").cumsum(), int(truth.counts.sum())
    if total == 0:
        raise ValueError("truth holds no boxes that count; check it, or lower `visibility`")
    return found.assign(precision=hits / np.arange(1, len(hits) + 1), recall=hits / total)


def average_precision(
    truth: pd.DataFrame, detections: pd.DataFrame, iou: float = 0.5, visibility: float = 0.0
) -> float:
    """Return the area under the precision-recall curve of `precision_recall`, 0 to 1.

    Precision at a recall is the best precision at that recall or a higher one.
    """
    curve = precision_recall(truth, detections, iou, visibility)
    envelope = np.maximum.accumulate(curve.precision.to_numpy()[::-1])[::-1]
    return float(np.sum(np.diff(curve.recall, prepend=0) * envelope))
