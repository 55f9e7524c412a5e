"""Scores for detections and tracks against ground truth."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from reidlib import boxes
from reidlib.boxes import BOX
from reidlib.collection import formats

CROWD = 2_000  # boxes in one frame: more are no people, and comparing them takes gigabytes
SHARE = 0.1  # of a clip; a longer stretch before or after all labels was not labelled
SHORT = 10  # frames, which are never too long a stretch


def read_truth(
    path: str | Path,
    frames: int | None = None,
    size: tuple[int, int] | None = None,
    stop: int | None = None,
) -> pd.DataFrame:
    """Return the ground truth in a MOT text file, cut to its clip.

    The clip has `frames` frames of `size`, width and height in pixels, and only the first `stop`
    count. Raises ValueError for a bad file, for boxes that cannot be pixels of this clip, and when
    nothing is left to score against; warns, see `misfits`, where truth and clip may not belong
    together.
    """
    truth = formats.read_mot(path)
    _refuse_other_units(truth, path, size)
    for note in misfits(truth, frames, size):
        warnings.warn(f"{path} {note}", stacklevel=2)
    ends = [end for end in (frames, stop) if end is not None]
    if ends:
        truth = truth[truth.frame < min(ends)]
    _checked(truth, "truth")
    return truth


def _refuse_other_units(truth: pd.DataFrame, path, size: tuple[int, int] | None) -> None:
    """Raise ValueError for boxes that are shares of a picture or of a larger picture than `size`.

    It takes every twentieth box: people may be half out of the picture.
    """
    if truth.empty:
        return
    crowd = truth.frame.value_counts()
    if crowd.iloc[0] > CROWD:
        raise ValueError(
            f"{path} has {crowd.iloc[0]} boxes in frame {crowd.index[0] + 1}; at most {CROWD} a "
            "frame can be scored"
        )
    right, lower = truth.x2.max(), truth.y2.max()
    if max(right, lower) <= 2:
        raise ValueError(
            f"all boxes of {path} end before {right:g}, {lower:g}: they look like shares of the "
            "picture; expected pixels, so multiply by its width and height"
        )
    if size is None:
        return
    limit = np.array([*size, *size])
    corners = truth[BOX].to_numpy()
    centres = (corners[:, :2] + corners[:, 2:]) / 2
    outside = (centres < 0) | (centres > limit[:2])
    far = (corners < -0.25 * limit) | (corners > 1.25 * limit)
    share = (outside.any(axis=1) | far.any(axis=1)).mean()
    if share > 0.05:
        raise ValueError(
            f"{share:.0%} of the boxes of {path} lie outside the {size[0]}x{size[1]} picture, the "
            f"last ends at {right:g}, {lower:g}; it may be of another resolution, or its columns "
            "may be corners where x, y, width, height are expected"
        )


def misfits(
    truth: pd.DataFrame, frames: int | None = None, size: tuple[int, int] | None = None
) -> list[str]:
    """Return what a reader of the scores should know of a truth beside its clip, as sentences.

    They continue the truth's name: which frames it labels, whether it goes on after the clip's last
    of `frames`, whether all boxes lie in one corner of a picture of `size` (width, height). Frames
    are named as on disk, from 1.
    """
    if truth.empty:
        return []
    first, last = truth.frame.min() + 1, truth.frame.max() + 1
    found = []
    if frames is not None and last > frames:
        found.append(
            f"labels frames {first} to {last}, but the clip has {frames}; what is beyond is left "
            "out. Do the two belong together, and begin with the same picture?"
        )
        truth = truth[truth.frame < frames]
    length = last if frames is None else frames
    scored = len(labelled(truth, pd.DataFrame({"frame": np.arange(length)})))
    step = _step(truth)
    if step > 1:
        found.append(f"labels every {step}th frame or so; only these {scored} are scored")
    elif scored < length:
        found.append(
            f"labels frames {first} to {min(last, length)} of {length}; only these {scored} are "
            "scored. A line of confidence 0 in a frame says that nobody else is there"
        )
    right, lower = truth.x2.max(), truth.y2.max()
    if size is not None and right <= 0.6 * size[0] and lower <= 0.6 * size[1]:
        found.append(
            f"has all boxes within {right:.0f}x{lower:.0f} of the {size[0]}x{size[1]} picture; was "
            "it made at another resolution?"
        )
    return found


def _step(truth: pd.DataFrame) -> int:
    """Return how many frames usually lie between two that a truth labels, 1 for all of them."""
    frames = np.unique(truth.frame)
    return int(np.quantile(np.diff(frames), 0.5, method="lower")) if len(frames) > 1 else 1


def labelled(truth: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of `table` in frames that `truth` labels: the others cannot be scored.

    Where most frames of the truth follow each other, it labels all: those without a box are empty.
    Only a stretch before its first or after its last frame that is longer than a tenth of the clip
    (and ten frames) was not labelled. Truth on, say, every tenth frame labels these; at an uneven
    step, only frames that have a box.

    >>> truth, table = pd.DataFrame({"frame": [0, 5, 15]}), pd.DataFrame({"frame": range(20)})
    >>> labelled(truth, table).frame.tolist()
    [0, 5, 10, 15]
    """
    frames = np.unique(truth.frame)
    if len(frames) == 0 or table.empty:
        return table
    step, first, last = _step(truth), frames[0], frames[-1]
    if (np.diff(frames) % step).any():
        return table[table.frame.isin(frames)]
    length = max(last, table.frame.max()) + 1
    stretch = max(SHARE * length, SHORT)
    start = 0 if first <= stretch else first
    end = length if length - 1 - last <= stretch else last + 1
    within = table.frame.between(start, end - 1)
    return table[within & ((table.frame - first) % step == 0)]


def evaluate(
    truth: pd.DataFrame, tracks: pd.DataFrame, iou: float = 0.5, *, every_frame: bool = False
) -> pd.Series:
    """Return MOTA, IDF1, HOTA and what they are made of, as a Series.

    Both tables are as from `formats.read_mot`: frame, track, x1 y1 x2 y2. True boxes with
    confidence 0, and tracks on them, do not count (Milan et al., 2016), nor do tracks in frames
    that the truth does not label, see `labelled`; with `every_frame` they do. A person is found
    when the IoU with the true box is at least `iou`; HOTA averages over .05 to .95. Computed by the
    library `trackers` (Roboflow) after Bernardin and Stiefelhagen (2008, MOTA), Ristani et al.
    (2016, IDF1) and Luiten et al. (2021, HOTA).
    Raises ValueError when a column is missing, the truth is empty, or a frame has one track twice.
    """
    from trackers import eval as roboflow

    truth, tracks = _checked(truth, "truth"), _checked(tracks, "tracks")
    tracks = tracks if every_frame else labelled(truth, tracks)
    people_in, tracks_in = (dict(list(table.groupby("frame"))) for table in (truth, tracks))
    frames = [
        _compare(people_in.get(frame, truth[:0]), tracks_in.get(frame, tracks[:0]), iou)
        for frame in np.union1d(truth.frame, tracks.frame)
    ]
    true_ids, ids, overlaps = (list(column) for column in zip(*frames))
    clear = roboflow.compute_clear_metrics(true_ids, ids, overlaps, threshold=iou)
    identity = roboflow.compute_identity_metrics(true_ids, ids, overlaps, threshold=iou)
    found = {
        "MOTA": clear["MOTA"] if len(tracks) else 0.0,
        "IDF1": identity["IDF1"],
        "HOTA": roboflow.compute_hota_metrics(true_ids, ids, overlaps)["HOTA"],
        "precision": clear["CLR_Pr"],
        "recall": clear["CLR_Re"],
        "switches": clear["IDSW"],
        "fragmentations": clear["Frag"],
        "false_positives": clear["CLR_FP"],
        "misses": clear["CLR_FN"],
        "people": truth.track[truth.counts].nunique(),
        "tracks": tracks.track.nunique(),
    }
    return pd.Series(found)


def _compare(
    people: pd.DataFrame, found: pd.DataFrame, iou: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return of one frame the people who count, the tracks that do, and their overlaps."""
    overlap = boxes.iou(people[BOX], found[BOX]).astype(float)
    counts = people.counts.to_numpy(bool)
    # Overlaps too faint to be a match are worth nothing: two of them must not outweigh a good one.
    worth = np.where(overlap >= iou, overlap, 0)
    pairs = zip(*linear_sum_assignment(-worth))
    ignored = [j for i, j in pairs if worth[i, j] > 0 and not counts[i]]
    ids = np.delete(found.track.to_numpy(int), ignored)
    return people.track.to_numpy(int)[counts], ids, np.delete(overlap[counts], ignored, axis=1)


def matches(truth: pd.DataFrame, tracks: pd.DataFrame, iou: float = 0.5) -> pd.DataFrame:
    """Return which track covers each true person: frame, person, track, switch.

    A row a true box; `track` is -1 where the person is missed, and `switch` marks where it is not
    the track that covered this person last (Bernardin and Stiefelhagen, 2008): the sum is the
    "switches" of `evaluate`. Raises ValueError as that does.
    """
    truth, tracks = _checked(truth, "truth"), _checked(tracks, "tracks")
    truth = truth[truth.counts]
    tracks_in, no_rows = tracks.groupby("frame").indices, np.zeros(0, int)
    true_boxes, true_ids = truth[BOX].to_numpy(), truth.track.to_numpy(int)
    track_boxes, track_ids = tracks[BOX].to_numpy(), tracks.track.to_numpy(int)
    before: dict[int, int] = {}  # who was covered by which track in the last frame,
    last: dict[int, int] = {}  # and whenever that was
    rows = []
    for frame, people_rows in truth.groupby("frame").indices.items():
        track_rows = tracks_in.get(frame, no_rows)
        people, ids = true_ids[people_rows], track_ids[track_rows]
        overlap = boxes.iou(true_boxes[people_rows], track_boxes[track_rows]).astype(float)
        follows = [[before.get(person) == track for track in ids] for person in people]
        # A track that goes on is worth more than any overlap, as CLEAR MOT has it.
        bonus = np.where(np.array(follows, bool).reshape(overlap.shape), 1000, 0)
        worth = np.where(overlap >= iou, overlap + bonus, 0)
        pairs = zip(*linear_sum_assignment(-worth))
        before = {people[i]: ids[j] for i, j in pairs if worth[i, j] > 0}
        for person in people:
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
            + ("; -1 means no identity: these are detections" if first.track == -1 else "")
        )
    return table


def true_people(table: pd.DataFrame, truth: pd.DataFrame) -> pd.Series:
    """Return the true person of each track: whom at least half its boxes cover (IoU 0.5), or -1.

    Only boxes in frames that the truth labels count, see `labelled`.
    """
    votes = [pd.DataFrame({"track": [], "pid": []})]
    people_in = dict(list(truth.groupby("frame")))
    scored = labelled(truth, table)
    for frame, found in scored[scored["frame"].isin(truth["frame"])].groupby("frame"):
        people = people_in[frame]
        overlap = boxes.iou(found[BOX].to_numpy(), people[BOX].to_numpy())
        sure = overlap.max(axis=1) >= 0.5
        pids = people["track"].to_numpy()[overlap.argmax(axis=1)[sure]]
        votes.append(pd.DataFrame({"track": found["track"].to_numpy()[sure], "pid": pids}))
    best = pd.concat(votes).value_counts().reset_index().drop_duplicates("track").set_index("track")
    boxes_of = scored["track"].value_counts().reindex(best.index)
    best = best.loc[best["count"] >= 0.5 * boxes_of, "pid"]  # else it follows nobody
    return best.reindex(pd.unique(table["track"]), fill_value=-1).astype(int)


def precision_recall(
    truth: pd.DataFrame, detections: pd.DataFrame, iou: float = 0.5, visibility: float = 0.0
) -> pd.DataFrame:
    """Return confidence, precision and recall at every detection, most confident first.

    Both tables have frame, x1 y1 x2 y2. Each detection takes the free true box it overlaps most,
    if by at least `iou` (Everingham et al., 2010). True boxes less visible than `visibility`, or of
    confidence 0, need not be found; detections of them do not count, nor do those in frames that
    the truth does not label, see `labelled`. Raises ValueError when no true box counts.
    """
    seen = truth.get("visibility", np.inf) >= visibility
    truth = truth.assign(counts=seen & (truth.get("confidence", 1) != 0))
    people_in = dict(list(truth.groupby("frame")))
    found = []
    for frame, table in labelled(truth, detections).groupby("frame"):
        table = table.sort_values("confidence", ascending=False, kind="stable")
        people = people_in.get(frame, truth[:0])
        must, free = people.counts.to_numpy(bool), np.ones(len(people), bool)
        overlaps = boxes.iou(table[BOX], people[BOX])
        overlaps[overlaps < iou] = 0
        for confidence, row in zip(table.confidence, overlaps):
            # A true box that counts comes before one that need not be found.
            worth = np.where(free, row, 0) * np.where(must, 1, 1e-3)
            best = int(worth.argmax()) if len(worth) else -1
            hit = best >= 0 and worth[best] > 0
            if hit:
                free[best] = False
            if not hit or must[best]:
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
