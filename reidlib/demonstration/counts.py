"""Visitors, and how far their number can be trusted.

A count of identities is wrong in two ways: one person under two numbers counts twice, two people
under one count once. Labelled pairs of tracks say how often either happens.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from reidlib import boxes
from reidlib.boxes import BOX
from reidlib.collection import formats
from reidlib.model import verification
from reidlib.words import counted

HOUR = 3600.0  # seconds
SURE = 0.05  # of a box's height: nearer to a line, feet are on neither side of it
LIMITS = (
    "These counts say nothing of people whom the detector never saw, who were seen for less than a "
    "second, or who came back in other clothes; a number is a guess at a person, not a name."
)


def visitors(tracklets: pd.DataFrame) -> pd.DataFrame:
    """Return how many people each camera saw in each hour: camera, hour, visitors, median stay.

    `tracklets` has camera, identity, start and end, in seconds of the common clock, whose hours
    count from 0. Somebody who stays from one hour to the next counts in both; `stay` is the
    median of the seconds for which people were seen by the camera, within all hours.
    """
    stays = dwell(tracklets)
    rows = []
    for hour in range(int(stays["start"].min() // HOUR), int(stays["end"].max() // HOUR) + 1):
        inside = tracklets["start"] < (hour + 1) * HOUR
        inside &= tracklets["end"] >= hour * HOUR
        for camera, seen in tracklets[inside].groupby("camera"):
            people = seen["identity"].unique()
            theirs = stays[(stays["camera"] == camera) & stays["identity"].isin(people)]
            rows.append((camera, hour, len(people), theirs["seconds"].median()))
    return pd.DataFrame(rows, columns=["camera", "hour", "visitors", "stay"])


def dwell(tracklets: pd.DataFrame) -> pd.DataFrame:
    """Return for how long each camera saw each person: camera, identity, start, end, seconds.

    `seconds` adds up the tracklets: somebody who was out of sight in between is not counted then.
    """
    boxes.require(tracklets, ["camera", "identity", "start", "end"], "the table of tracklets")
    seconds = tracklets["end"] - tracklets["start"]
    groups = tracklets.assign(seconds=seconds).groupby(["camera", "identity"])
    return groups.agg(
        start=("start", "min"), end=("end", "max"), seconds=("seconds", "sum")
    ).reset_index()


def crossings(tracks: pd.DataFrame, line: Sequence[float]) -> pd.DataFrame:
    """Return who walked over a line: track, frame, and the side that was reached, left or right.

    `tracks` has frame, track and x1 y1 x2 y2; the middle of a box's lower edge is where the person
    stands. `line` is x1, y1, x2, y2 in pixels, and sides are those of somebody who walks it from
    its first point to its second. Who turns back on the line has not crossed it, and each crossing
    there and back is one of its own. Raises ValueError for a line without length.
    """
    boxes.require(tracks, ["frame", "track", *BOX], "the table of tracks")
    ends = np.resize(np.asarray(line, float), (2, 2))
    if len(line) != 4 or not np.isfinite(ends).all() or (ends[0] == ends[1]).all():
        raise ValueError(f"the line is {list(line)}; expected x1, y1, x2, y2 of two points")
    found = []
    for track, path in tracks.sort_values("frame").groupby("track"):
        feet = np.column_stack([(path["x1"] + path["x2"]) / 2, path["y2"]])
        side = _side(feet, ends) / np.linalg.norm(ends[1] - ends[0])  # pixels, right positive
        sure = np.abs(side) > SURE * (path["y2"] - path["y1"]).to_numpy()
        feet, side, frames = feet[sure], side[sure], path["frame"].to_numpy()[sure]
        for i in np.flatnonzero(np.diff(np.sign(side))):
            if np.prod(_side(ends, feet[i : i + 2])) < 0:  # within the line's length
                found.append((track, frames[i + 1], "right" if side[i + 1] > 0 else "left"))
    return pd.DataFrame(found, columns=["track", "frame", "to"])


def _side(points: np.ndarray, line: np.ndarray) -> np.ndarray:
    """Return on which side of a line (2, 2) points (N, 2) are, right positive, times its length."""
    along, away = line[1] - line[0], points - line[0]
    return along[0] * away[:, 1] - along[1] * away[:, 0]


def at_lines(folder: Path, lines: Sequence[str]) -> pd.DataFrame:
    """Return who crossed lines such as "door=0,300,640,300": camera and the columns of `crossings`.

    `folder` holds tracks as MOT text, a file a camera. Raises ValueError for a line that is none,
    and for a camera without tracks there.
    """
    found = [pd.DataFrame(columns=["camera", "track", "frame", "to"])]
    for text in lines:
        camera, _, numbers = text.rpartition("=")
        path = folder / f"{camera}.txt"
        if not path.is_file():
            known = ", ".join(sorted(each.stem for each in folder.glob("*.txt"))) or "none"
            raise ValueError(f"--line {text}: no tracks of camera {camera!r}; there are {known}")
        try:
            line = [float(number) for number in numbers.split(",")]
            found.append(crossings(formats.read_mot(path), line).assign(camera=camera))
        except ValueError as error:
            raise ValueError(f"--line {text}: {error}") from error
    return pd.concat([part for part in found if len(part)] or found)


def table(tracklets: pd.DataFrame, crossed: pd.DataFrame) -> pd.DataFrame:
    """Return one table to write: what is counted, camera, hour, number, and the median stay."""
    seen = visitors(tracklets).rename(columns={"visitors": "number"})
    ways = crossed.groupby(["camera", "to"]).size().rename("number").reset_index()
    ways = ways.assign(counted="crossings to the " + ways["to"].astype(str)).drop(columns="to")
    both = (
        [seen.assign(counted="visitors"), ways] if len(ways) else [seen.assign(counted="visitors")]
    )
    return pd.concat(both)[["counted", "camera", "hour", "number", "stay"]]


def people(
    tracklets: pd.DataFrame, pairs: pd.DataFrame, labels: pd.DataFrame | None = None
) -> dict:
    """Return how many people there are: found, and by labels estimate, low, high, a 95 % interval.

    `tracklets` has the column identity, `pairs` (a, b, rows of it) all that could be one person,
    as from labelling.possible_pairs, and `labels` those that somebody judged, as from
    labelling.measured. Without labels of pairs under one number, and under two, the interval is
    None, and `why` says what is missing.

    Two numbers that are one person take one from the count: their share is that of the labelled
    pairs, each of which speaks for all pairs between its two numbers, so that long tracks count no
    more than short ones. A number that covers two people adds one, unless the second has a number
    of their own too, which pairs do not tell: the estimate takes one half. There are at least as
    many as a camera saw at once. The interval takes those ends of the intervals of both rates
    (verification.error_rate) that work in one direction, and so is wide rather than wrong.
    """
    identity = tracklets["identity"].to_numpy()
    sizes = np.unique(identity, return_counts=True)[1]
    found = {"found": len(sizes), "estimate": None, "low": None, "high": None}
    if labels is None or labels.empty:
        return found | {"why": "nobody has labelled pairs of tracks, so no interval can be given"}
    every, judged = _numbered(identity, pairs), _numbered(identity, labels)
    for linked, kind in ((True, "one number"), (False, "two numbers")):
        if (every["linked"] == linked).any() and not (judged["linked"] == linked).any():
            why = f"no labelled pair is under {kind}, so no interval can be given"
            return found | {"why": why}
    linked, apart = judged[judged["linked"]], judged[~judged["linked"]].copy()
    between = every[~every["linked"]].groupby(["low", "high"]).size().rename("pairs")
    apart["weight"] /= apart.join(between, on=["low", "high"])["pairs"].fillna(1)
    wrong, wrong_ends = _rate(~linked["same"].to_numpy(bool), linked)
    split, split_ends = _rate(apart["same"].to_numpy(bool), apart)
    # Numbers that the labeller was not asked about, as places exclude them, are nobody's splits.
    asked = min(apart["weight"].sum(), len(between))

    def count(wrong: float, split: float, alone: float) -> float:
        astray = 1 - np.sqrt(1 - wrong)  # share of tracks under a number that is another's
        hidden = alone * (sizes * astray - astray**sizes).sum()
        return float(max(len(sizes) + hidden - split * asked, at_once(tracklets)))

    why = (
        f"of {len(labels)} labelled pairs, {(~linked['same']).sum()} of {len(linked)} under one "
        f"number are two people, and {apart['same'].sum()} of {len(apart)} under two are one"
    )
    return found | {
        "estimate": count(wrong, split, 0.5),
        "low": count(wrong_ends[0], split_ends[1], 0.0),
        "high": count(wrong_ends[1], split_ends[0], 1.0),
        "why": why,
    }


def in_words(people: Mapping) -> str:
    """Return the number of people, as from `people`, and its interval as a sentence."""
    interval = ""
    if people["low"] is not None:
        ends = people["estimate"], people["low"], people["high"]
        interval = "; by labels {:.0f}, between {:.0f} and {:.0f} (95 %)".format(*ends)
    return f"{counted(people['found'], 'person', 'people')} found{interval}; {people['why']}"


def at_once(tracklets: pd.DataFrame) -> int:
    """Return the most tracklets that one camera had at the same time."""
    most = 1
    for _, seen in tracklets.groupby("camera"):
        start, end = seen["start"].to_numpy(), seen["end"].to_numpy()
        most = max(most, int(((start <= start[:, None]) & (end >= start[:, None])).sum(1).max()))
    return most


def _numbered(identity: np.ndarray, pairs: pd.DataFrame) -> pd.DataFrame:
    """Return pairs with the two numbers that they are under, low and high, linked if it is one."""
    numbers = np.sort([identity[pairs["a"]], identity[pairs["b"]]], axis=0)
    low, high = numbers
    return pairs.assign(low=low, high=high, linked=low == high).reset_index(drop=True)


def _rate(wrong: np.ndarray, pairs: pd.DataFrame) -> tuple[float, tuple[float, float]]:
    """Return a rate and its interval; where there are no such pairs at all, there are no errors."""
    if pairs.empty:
        return 0.0, (0.0, 0.0)
    usual = pairs["weight"].mean()  # of one pair more, which the interval asks for
    return verification.error_rate(wrong, pairs, usual, usual)
