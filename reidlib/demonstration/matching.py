"""The same person elsewhere: searching a gallery of known tracks, linking tracks across cameras.

A tracklet is what one camera's tracker saw of one person without a break: a row with the columns
camera, track, start, end (seconds on a clock that all cameras share), and one feature vector.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from reidlib import boxes
from reidlib.demonstration import galleries, grouping, place, provenance
from reidlib.detection import scores
from reidlib.features.vectors import aggregate
from reidlib.model import distances

SHORTEST = 5  # frames; a shorter track is too little to tell who it is
BRIEF = 1.0  # seconds; a shorter stay is a glimpse, which makes no group and no person
NEW = "new"  # in place of a label, of somebody whom nobody in the gallery resembles
MISSED = -2  # in place of an identity where no box covers a person


class Gallery:
    """Known tracks that can be searched by appearance, and added to at any time.

    `index` is "exact", which compares with every vector; "faiss", an index in little memory for
    millions of them, whose vectors lie in a file; or "lance", a table at a `place`, a folder or
    s3://bucket/path, that stays, and that several processes may use at once. Small galleries are
    searched exactly by all of them. `features` is the network, as provenance.describe gives it:
    vectors of another one raise ValueError. assets.Unavailable without the package of an index.

    >>> gallery = Gallery().add([[1.0, 0.0], [0.0, 1.0]], ["Ann", "Bo"])
    >>> gallery.search([[0.9, 0.1]], k=1)["label"].tolist()
    ['Ann']
    """

    def __init__(
        self,
        index: str = "exact",
        place: str | Path | None = None,
        features: Mapping | None = None,
    ):
        self.store = galleries.made(index, place, features)
        self._check(features)

    def _check(self, features: Mapping | None) -> None:
        if features and self.store.features:
            provenance.check_alike(self.store.features, features, self.store.place)

    def __len__(self) -> int:
        return len(self.store)

    @property
    def vectors(self) -> np.ndarray:
        """The unit vectors, (N, D) float32, in the order in which they were added."""
        return self.store.vectors

    @property
    def table(self) -> pd.DataFrame:
        """What is known about each vector, a row each."""
        return self.store.table

    def add(self, vectors, table, features: Mapping | None = None) -> Gallery:
        """Add vectors (N, D) with a table of N rows, or N labels; returns the gallery itself.

        Raises ValueError when the numbers of rows differ, when D or the `features` are not those of
        earlier vectors, and for NaN.
        """
        self._check(features)
        vectors = np.asarray(vectors, np.float32)
        if not isinstance(table, pd.DataFrame):
            table = pd.DataFrame({"label": list(table)})
        width = self.store.width or vectors.shape[-1]
        if vectors.ndim != 2 or vectors.shape[1] != width or len(vectors) != len(table):
            raise ValueError(
                f"vectors have shape {vectors.shape} and the table {len(table)} rows; expected "
                f"as many rows of both and {width} numbers in a vector"
            )
        if not np.isfinite(vectors).all():
            raise ValueError("vectors hold NaN; leave out tracks that have no features")
        if len(vectors):
            self.store.add(distances.unit(vectors), table)
        return self

    def search(self, vectors, k: int = 5, *, cameras=None, between=None) -> pd.DataFrame:
        """Return the `k` nearest of the gallery for each vector (Q, D), best first.

        A row a hit: query (row of `vectors`), rank (from 1), score (cosine similarity), distance
        (cosine distance, 1 - score), and the columns of the gallery's table. `cameras` (names) and
        `between` (two times, as start and end count them) leave out all others. Where there are
        fewer than `k`, all are hits. Raises ValueError while the gallery is empty, and for vectors
        that hold NaN or have another width than the gallery's.
        """
        if not self.store.width:
            raise ValueError("the gallery is empty; add vectors before searching")
        if k < 1:
            raise ValueError(f"k is {k}; ask for 1 or more")
        one = np.zeros((1, self.store.width), np.float32)
        query, _ = distances.features(np.asarray(vectors, np.float32), one)
        hits = self.store.search(distances.unit(query), min(k, len(self)), cameras, between)
        hits.insert(1, "rank", hits.groupby("query").cumcount() + 1)
        hits.insert(2, "score", 1 - hits["distance"])
        return hits

    def save(self, path: str | Path) -> None:
        """Write the gallery as features: `path` (.npz), a .csv and, of the network, a .json."""
        self.store.save(path)

    @classmethod
    def load(cls, path: str | Path, index: str | None = None) -> Gallery:
        """Return the gallery that `save` wrote, or the one of "lance" that lies at a place.

        Without `index` it is the one that was saved. Raises FileNotFoundError where none is.
        """
        gallery = cls()
        gallery.store = galleries.opened(path, index)
        return gallery


def recognise(hits: pd.DataFrame, threshold: float, by: str = "label") -> pd.Series:
    """Return who each query is: its nearest hit's label, or NEW beyond `threshold`; index query.

    `hits` are as from `Gallery.search`, `by` is the column with the labels. The set is open:
    somebody who is not in the gallery has a nearest hit too, and only its distance tells. Raises
    ValueError for a threshold that is no cosine distance.

    >>> gallery = Gallery().add([[1.0, 0.0], [0.0, 1.0]], ["Ann", "Bo"])
    >>> recognise(gallery.search([[0.9, 0.1], [-1.0, 0.0]]), threshold=0.3).tolist()
    ['Ann', 'new']
    """
    boxes.require(hits, ["query", "distance", by], "the table of hits")
    if not 0 <= threshold <= 2:
        raise ValueError(f"threshold is {threshold}; expected a cosine distance from 0 to 2")
    nearest = hits.sort_values("distance", kind="stable").drop_duplicates("query")
    nearest = nearest.set_index("query").sort_index()
    return nearest[by].astype(object).where(nearest["distance"] <= threshold, NEW)


def tracklets(
    table: pd.DataFrame, vectors: np.ndarray, shortest: int = 1
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return one row, and one unit vector, for each track of each camera.

    `table` has columns camera, track, frame, time and confidence; `vectors` (N, D) go with its
    rows, NaN where a box has none. A row may also stand for several boxes (averages.Averages):
    columns frames, how many, and end and last, the time and frame of the last of them. The result
    has camera, track, start, end (seconds), first, last (frames) and frames, the number of vectors;
    tracks of fewer than `shortest` are left out.
    """
    # Start and end are those of all boxes: one person cannot be in two places, vector or not.
    known = np.isfinite(vectors).all(axis=1)
    rows = table.assign(
        frames=np.where(known, table.get("frames", 1), 0),
        end=table.get("end", table["time"]),
        last=table.get("last", table["frame"]),
    )
    groups = rows.groupby(["camera", "track"], sort=False, observed=True)
    rows = groups.agg(
        start=("time", "min"),
        end=("end", "max"),
        first=("frame", "min"),
        last=("last", "max"),
        frames=("frames", "sum"),
    ).reset_index()
    means = aggregate(vectors, groups.ngroup(), "weighted", table["confidence"])
    keep = (rows["frames"] >= shortest).to_numpy()
    return rows[keep].reset_index(drop=True), means[keep]


def link(
    tracklets: pd.DataFrame,
    vectors,
    *,
    threshold: float | None = None,
    overlap: Iterable[tuple] | None = None,
    travel: Mapping[tuple, float] | None = None,
    positions: Sequence | None = None,
    reach: float = 1.5,
    speed: float = 3.0,
    brief: float = BRIEF,
    centre: bool = False,
) -> np.ndarray:
    """Return the identity of each tracklet, (N,) whole numbers from 1 by first appearance.

    Agglomerative clustering with average linkage on the cosine distance of `vectors` (N, D), under
    constraints. One person cannot be twice in one camera at once. `overlap` names the pairs of
    cameras that may see a person together; in all others nobody is at once (None: not known, no
    such constraint). `travel` gives the least seconds between two cameras. `positions` holds for
    each tracklet an array (boxes, 3) of time, x, y in metres on the ground: those seen at once must
    be within `reach` metres, and count as nearer the closer they are and the longer it lasts;
    nobody is faster than `speed` metres a second. `centre` is as for `ranking.score`.

    Tracklets shorter than `brief` seconds found no group: each joins the nearest group of longer
    ones in the end, by the same rule, or stays alone. A glimpse is mostly somebody half hidden, and
    as a member of equal right it would pull groups apart.

    Clusters grow up to an average distance of `threshold`; an extractor's own suits best. Without
    one it comes from the data: people seen at once show how near strangers get. Who has a NaN
    vector stays alone. Raises ValueError for missing columns, lengths that differ, too many rows.
    """
    known = {"overlap": overlap, "travel": travel, "positions": positions}
    known |= {"reach": reach, "speed": speed, "centre": centre}
    pairwise, threshold = _compared(tracklets, vectors, threshold, **known)
    groups, _ = grouping.Grouping(pairwise, _seconds(tracklets), brief).at(threshold)
    return _numbered(tracklets, groups)


def links(
    tracklets: pd.DataFrame, vectors, *, brief: float = BRIEF, **known
) -> tuple[np.ndarray, list[tuple[float, np.ndarray]]]:
    """Return the distances (N, N) that `link` compares, and each result that it can have.

    A result is the lowest threshold that has it, from 0, and identities as from `link`: it holds up
    to the next one's threshold. Who cannot be one person is at a distance of grouping.FORBIDDEN.
    `known` are the other keywords of `link`.
    """
    pairwise, _ = _compared(tracklets, vectors, 0.0, **known)
    results = grouping.Grouping(pairwise, _seconds(tracklets), brief).all()
    return pairwise, [(lowest, _numbered(tracklets, groups)) for lowest, groups in results]


def _compared(
    tracklets, vectors, threshold, *, overlap=None, travel=None, positions=None,
    reach=1.5, speed=3.0, centre=False,
) -> tuple[np.ndarray, float]:  # fmt: skip
    """Return the distances (N, N) that `link` compares, and the threshold, given or found."""
    boxes.require(tracklets, ["camera", "start", "end"], "the table of tracklets")
    if not len(tracklets) and not len(vectors):
        return np.zeros((0, 0)), 0.0
    vectors = np.asarray(vectors, float)
    timed = np.isfinite(tracklets[["start", "end"]].to_numpy(float)).all()
    if vectors.ndim != 2 or len(tracklets) != len(vectors) or not timed:
        raise ValueError(
            f"{len(tracklets)} tracklets, vectors of shape {vectors.shape}; expected (D,), a start "
            "and an end in seconds for each"
        )
    if len(tracklets) < 2:
        return np.zeros((1, 1)), 0.0
    known = np.isfinite(vectors).all(axis=1)
    vectors = np.where(known[:, None], vectors, 0).astype(np.float32)
    if centre:
        vectors[known] = distances.centred(vectors[known], tracklets["camera"][known])
    impossible = place.apart_in_time(tracklets, overlap, travel)
    pairwise = distances.distances(vectors, vectors)
    np.maximum(pairwise, 0, out=pairwise)
    if threshold is None:
        threshold = _threshold(pairwise[np.ix_(known, known)], impossible[np.ix_(known, known)])
    if positions is not None:
        nearness = place.on_the_ground(positions, reach, speed)
        pairwise *= np.where(np.isinf(nearness), 1, nearness)
        impossible |= np.isinf(nearness)
    impossible |= ~known | ~known[:, None]
    pairwise[impossible] = grouping.FORBIDDEN
    np.fill_diagonal(pairwise, 0)
    return np.maximum(pairwise, pairwise.T), threshold


def _numbered(tracklets: pd.DataFrame, groups: np.ndarray) -> np.ndarray:
    """Return the number of each group, (N,) from 1 by first appearance."""
    order = np.lexsort((tracklets["camera"].astype(str), tracklets["start"]))
    return np.argsort(pd.unique(groups[order]))[groups - 1] + 1


def _seconds(tracklets: pd.DataFrame) -> np.ndarray:
    return (tracklets["end"] - tracklets["start"]).to_numpy()


def _threshold(pairwise: np.ndarray, impossible: np.ndarray) -> float:
    """Return the distance under which one in a hundred pairs of certain strangers would lie.

    The normal quantile by median and median deviation, so that doubled tracks of one person, which
    look like very similar strangers, do not pull it down. Under 20 such pairs: 0.3.
    """
    strangers = pairwise[np.triu(impossible, 1)]
    if len(strangers) < 20:
        return 0.3
    middle = np.median(strangers)
    return float(max(middle - 2.326 * 1.4826 * np.median(np.abs(strangers - middle)), 0))


def without_glimpses(
    tracklets: pd.DataFrame, vectors: np.ndarray, seconds: float = BRIEF
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the tracklets, and their vectors, of identities seen for at least `seconds` in all.

    Somebody seen for less is too little to count: mostly a part of a person known otherwise.
    `tracklets` has identity, start and end; numbers stay without gaps, in the same order.
    """
    stay = tracklets["end"] - tracklets["start"]
    lasting = (stay.groupby(tracklets["identity"]).transform("sum") >= seconds).to_numpy()
    if not lasting.any():  # glimpses are all there is
        return tracklets, vectors
    kept = tracklets[lasting].reset_index(drop=True)
    numbers = np.unique(kept["identity"])
    kept["identity"] = np.searchsorted(numbers, kept["identity"]) + 1
    return kept, vectors[lasting]


def identify(tracks: pd.DataFrame, tracklets: pd.DataFrame, identities) -> pd.DataFrame:
    """Return `tracks` with the column `identity`, looked up by camera and track; -1 if unlinked."""
    known = tracklets[["camera", "track"]].assign(identity=np.asarray(identities))
    identity = np.full(len(tracks), -1, np.int64)
    for camera, mine in known.groupby("camera"):
        numbers = mine.set_index("track")["identity"]
        chosen = (tracks["camera"] == camera).to_numpy()
        found = tracks["track"].to_numpy()[chosen]
        identity[chosen] = numbers.reindex(found, fill_value=-1).to_numpy()
    return tracks.assign(identity=identity)


def evaluate(truth: pd.DataFrame, tracks: pd.DataFrame) -> pd.Series:
    """Return `scores.evaluate` over all cameras at once: its IDF1 asks for one number everywhere.

    `truth` has camera, frame, track (the person) and boxes; `tracks` has camera, frame, identity
    and boxes, as from `identify`. Each camera is scored in the frames that its truth labels
    (`scores.labelled`); the cameras' frames are put one after the other.
    """
    found = _labelled(truth, tracks[tracks["identity"] >= 0])
    last = pd.concat([truth, tracks]).groupby("camera")["frame"].max() + 1
    offset = last.cumsum() - last
    truth = truth.assign(frame=truth["frame"] + truth["camera"].map(offset))
    frame = found["frame"] + found["camera"].map(offset)
    found = found.assign(frame=frame, track=found["identity"])
    return scores.evaluate(truth, found, every_frame=True)


def _labelled(truth: pd.DataFrame, tracks: pd.DataFrame) -> pd.DataFrame:
    """Return the tracks of each camera in the frames that its truth labels."""
    parts = [tracks[:0]]
    for camera, mine in tracks.groupby("camera", observed=True):
        parts.append(scores.labelled(truth[truth["camera"] == camera], mine))
    return pd.concat(parts)


def explain_count(truth: pd.DataFrame, tracks: pd.DataFrame) -> dict:
    """Return how many people were found, how many there are, and why the numbers differ.

    `truth` has camera, frame, track (the person) and boxes; `tracks` has camera, frame, track,
    identity and boxes, identity -1 where a track was too brief to be counted. An identity is of the
    person whom most of its boxes cover (IoU 0.5), and of "nobody" where more than half cover none.
    A person without an identity is "merged" into another's, "seen too briefly" (in tracks of -1) or
    "missed", whichever holds for most of the boxes. So always
    found = true + split + nobody - merged - seen too briefly - missed,
    where a person with three identities is split twice. Under "who": person to identities for
    split, person to the identity for merged, else lists. Cameras without a truth do not count, nor
    do frames that it does not label.
    """
    tracks = _labelled(truth, tracks[tracks["camera"].isin(truth["camera"].unique())])
    covered = _covered(truth, tracks)
    counts = covered.groupby(["person", "identity"]).size().unstack(fill_value=0)
    counts = counts.reindex(columns=counts.columns.union([MISSED, -1]), fill_value=0)
    identities = tracks.loc[tracks["identity"] >= 0, "identity"].value_counts().sort_index()
    covering = counts.reindex(columns=identities.index, fill_value=0)
    somebody = identities.index[2 * covering.sum() >= identities]
    owner = covering[somebody].idxmax()  # identity to person
    owned = {person: owner.index[owner == person].tolist() for person in counts.index}
    who = {
        "split": {person: numbers for person, numbers in owned.items() if len(numbers) > 1},
        "nobody": sorted(set(identities.index) - set(somebody)),
        "merged": {},
        "seen too briefly": [],
        "missed": [],
    }
    for person in counts.index[[not numbers for numbers in owned.values()]]:
        reasons = {
            "missed": counts.loc[person, MISSED],
            "seen too briefly": counts.loc[person, -1],
            "merged": covering.loc[person].sum(),
        }
        reason = max(reasons, key=reasons.get)
        if reason == "merged":
            who["merged"][person] = covering.loc[person].idxmax()
        else:
            who[reason].append(person)
    return {
        "found": len(identities),
        "true": len(counts),
        "split": sum(len(numbers) - 1 for numbers in who["split"].values()),
        **{reason: len(who[reason]) for reason in who if reason != "split"},
        "who": who,
    }


def _covered(truth: pd.DataFrame, tracks: pd.DataFrame) -> pd.DataFrame:
    """Return the identity that covers each true box: person, identity (MISSED where none does)."""
    parts = []
    for camera, people in truth.groupby("camera", observed=True):
        mine = tracks[tracks["camera"] == camera]
        identity = mine.drop_duplicates("track").set_index("track")["identity"]
        pairs = scores.matches(people, mine)
        pairs["identity"] = pairs["track"].map(identity).fillna(MISSED).astype(int)
        parts.append(pairs[["person", "identity"]])
    return pd.concat(parts, ignore_index=True)
