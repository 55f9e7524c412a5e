"""Checks for the exercises: each prints "Correct" or "Not yet" with a hint, and never crashes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import ladder
import numpy as np
import pandas as pd

from reidlib import assets, boxes
from reidlib.collection import cameras, formats
from reidlib.detection import scores
from reidlib.detection.association import assign


def check(test: Callable[..., str | None]) -> Callable[..., bool]:
    """Turn a test that returns a hint (or None when all is well) into a check that prints.

    An answer of None counts as not begun, and an error inside the test as an answer of the wrong
    kind, so a check can be run at any time.
    """

    @functools.wraps(test)
    def run(*answers) -> bool:
        if any(answer is None for answer in answers):
            print("Not yet: replace None by your answer, then run this cell again.")
            return False
        try:
            hint = test(*answers)
        except Exception as error:
            hint = f"the answer could not be used ({type(error).__name__}: {error})."
        print(f"Not yet: {hint}" if hint else "Correct.")
        return not hint

    return run


# Lesson 01


@check
def check_01_lens(millimetres: float) -> str | None:
    pixels = cameras.focal_pixels(1920, millimetres, 4.8)
    here = float(cameras.pixels_per_metre(15, pixels, height=3.5, tilt=20))
    if here < 125:
        return f"{millimetres:g} mm gives {here:.0f} pixels per metre at 15 m, too few."
    if millimetres != 6:
        return "that is enough, but not the shortest lens of the list that is."
    return None


def stuck_order(count: int) -> list[int]:
    """Return the order of `count` frames of a video that freezes from frame 24 to 37."""
    return [*range(24), *[23] * 14, *range(38, count)]


@check
def check_01_frozen(frames: Sequence[int]) -> str | None:
    found, true = set(frames), set(range(24, 38))
    if found - true:
        return f"frame {min(found - true)} shows something new; how small is `change` there?"
    if true - found:
        return f"{len(true - found)} repeated frames are missing; measure with every=1."
    return None


@check
def check_01_people(named: pd.DataFrame, truth: pd.DataFrame) -> str | None:
    pairs = [
        (pid, person)
        for frame, here in named.groupby("frame")
        for pid, person in _matches(here, truth[truth.frame == frame])
    ]
    counts = pd.DataFrame(pairs, columns=["pid", "person"]).value_counts()
    given = counts[counts.index.get_level_values("pid") > 0]
    best = given.groupby("pid").idxmax().tolist()  # the person that each given number means
    alike: dict[int, list[int]] = {}
    for pid, person in best:
        alike.setdefault(person, []).append(pid)
    twice = [" and ".join(map(str, pids)) for pids in alike.values() if len(pids) > 1]
    if twice:
        groups = "; so do ".join([f"{twice[0]} hold one person", *twice[1:]])
        return f"pids {groups}: merge their tracks or name them alike."
    right = given[best].sum() / counts.sum()
    return None if right >= 0.9 else f"{right:.0%} of the boxes have the right name, 90% are asked."


def _matches(named: pd.DataFrame, truth: pd.DataFrame) -> list[tuple[int, int]]:
    corners = ["x1", "y1", "x2", "y2"]
    overlap = boxes.iou(named[corners], truth[corners])
    best = overlap.argmax(axis=1) if len(truth) else []
    hits = [(row, column) for row, column in enumerate(best) if overlap[row, column] >= 0.5]
    return [(int(named.pid.iloc[row]), int(truth.track.iloc[column])) for row, column in hits]


@check
def check_01_divide(divide: Callable) -> str | None:
    table = pd.DataFrame({"pid": np.repeat(np.arange(1, 41), 5), "camid": [1, 2, 3, 4, 5] * 40})
    if divide(table, 0.5, 0) is None:
        return "divide() returns None; return two tables."
    first, second = divide(table, 0.25, 0)
    if set(first.pid) & set(second.pid):
        return "some people are in both tables."
    if len(first) + len(second) != len(table):
        return "some rows are lost or doubled."
    if first.pid.nunique() != 10:
        return f"{first.pid.nunique()} of 40 people are in the first table for share=0.25, not 10."
    draws = [tuple(sorted(set(divide(table, 0.25, seed)[0].pid))) for seed in (0, 0, 1, 2)]
    if draws[0] != draws[1] or len(set(draws)) == 1:
        return "the same seed must give the same people, and other seeds others."
    return None


NOTES = [
    ("in.mp4", "Ada", "given", "2026-01-05", 60),
    ("in.mp4", "Ben", "withdrawn", "2026-01-05", 60),
    ("in.mp4", "Chi", "given", "2026-01-05", 60),
    ("yard.mp4", "Ada", "given", "2026-02-20", 30),
    ("yard.mp4", "Chi", "refused", "2026-02-20", 30),
]


@check
def check_01_record(record: pd.DataFrame, due: pd.DataFrame) -> str | None:
    if len(record) != 5:
        return f"the record has {len(record)} rows; the notes tell of five, Chi twice."
    rows = {(row.clip, row.person): row for row in record.itertuples()}
    for clip, person, *noted in NOTES:
        row = rows.get((clip, person))
        if row is None or [row.consent, f"{row.recorded:%Y-%m-%d}", row.keep_days] != noted:
            return f"the row of {person} in {clip} differs from the notes."
    gone = set(zip(due["clip"], due["person"]))
    if gone != {("in.mp4", n) for n in ("Ada", "Ben", "Chi")} | {("yard.mp4", "Chi")}:
        return f"{len(gone)} rows must go, you say; 60 days after 5 January is 6 March."
    return None


# Lesson 02


@check
def check_02_threshold(answer: float, curve: pd.DataFrame) -> str | None:
    best = curve.confidence[curve.recall >= 0.8].max()
    if not answer <= best + 0.0001:
        return f"above {answer:g} fewer than 80% are found; go lower, and round down."
    if answer < best - 0.0001:
        return f"at {answer:g} enough are found, but a higher threshold finds 80% as well."
    return None


@check
def check_02_iou(function: Callable) -> str | None:
    cases = {
        "equal boxes": ([0, 0, 10, 20], [0, 0, 10, 20], 1),
        "half a box": ([0, 0, 10, 10], [5, 0, 15, 10], 1 / 3),
        "boxes side by side": ([0, 0, 10, 10], [20, 0, 30, 10], 0),
        "boxes apart in x and in y": ([0, 0, 10, 10], [20, 30, 30, 40], 0),
        "a box inside another": ([0, 0, 10, 10], [2, 2, 7, 7], 0.25),
    }
    for name, (a, b, right) in cases.items():
        given = function(a, b)
        if given is None or abs(given - right) > 1e-6:
            return f"for {name}, {a} and {b}, it gives {given}; {right:.3f} is right."
    return None


@check
def check_02_cost(cost) -> str | None:
    cost = np.asarray(cost, float)
    if cost.shape != (3, 3):
        return f"3 rows and 3 columns are asked; the shape is {cost.shape}."
    if not (cost.min() >= 0 and cost.max() <= 1):
        return f"numbers from 0 to 1 are asked; yours go from {cost.min():g} to {cost.max():g}."
    greedy, best = (sum(cost[p] for p in assign(cost, m)) for m in ("greedy", "hungarian"))
    if greedy < 2 * best or greedy == 0:
        return f"greedy pays {greedy:.2f}, the Hungarian algorithm {best:.2f}; twice is asked."
    return None


@check
def check_02_predict(predict: Callable) -> str | None:
    box = np.array([100.0, 50, 140, 150])
    walk = [(f, box + 3 * f * np.array([1, 0, 1, 0])) for f in range(5)]
    cases = {
        "somebody seen once": (walk[:1], 1, box),
        "somebody who stands": ([(0, box), (1, box)], 5, box),
        "3 pixels a frame, one frame on": (walk, 5, box + [15, 0, 15, 0]),
        "3 pixels a frame, four frames on": (walk, 8, box + [24, 0, 24, 0]),
        "a history with a gap": ([walk[0], walk[4]], 6, box + [18, 0, 18, 0]),
    }
    for name, (history, frame, right) in cases.items():
        given = predict(history, frame)
        if given is None or np.shape(given) != (4,) or np.abs(given - right).max() > 0.5:
            return f"{name}: it gives {given}; {right.tolist()} is right."
    return None


@check
def check_02_switches(count: Callable) -> str | None:
    cases = {
        (7, 7, 7): 0, (7, 7, 9, 9): 1, (7, -1, -1, 7): 0, (7, -1, 9): 1,
        (-1, -1, 4): 0, (1, 2, 1): 2, (-1, -1): 0, (5, -1, 5, -1, 6, 6, 5): 2,
    }  # fmt: skip
    for tracks, right in cases.items():
        given = count(list(tracks))
        if given != right:
            return f"{list(tracks)} has {right} switches, you count {given}."
    return None


@check
def check_02_capstone(follow: Callable) -> str | None:
    clip = "c2_day"
    tracks = follow(ladder.stored(clip), ladder.SIZE, ladder.FPS)
    if tracks is None:
        return "follow() returns None; return a table of tracks."
    truth = formats.read_mot(assets.data("plaza", "truth", f"{clip}.txt"))
    reached = float(scores.evaluate(truth, tracks).IDF1)
    known = pd.read_csv(ladder.FILE).set_index(["clip", "rung"]).IDF1
    bar = known[clip, "grown boxes, heights"]
    if reached <= bar:
        return f"IDF1 is {reached:.3f} on camera 2; the course's tracker has {bar:.3f} there."
    return None


# Lesson 03


@check
def check_03_histogram(function: Callable) -> str | None:
    rng = np.random.default_rng(3)
    for bins, image in ((4, rng.integers(0, 256, (20, 10, 3))), (10, np.full((5, 5, 3), 255))):
        grey = image.astype(np.uint8).mean(axis=2)
        right = np.histogram(grey, bins, (0, 256))[0] / grey.size
        given = function(image.astype(np.uint8), bins)
        if given is None or np.shape(given) != (bins,):
            return f"{bins} numbers are asked; the shape is {np.shape(given)}."
        if abs(np.sum(given) - 1) > 1e-6:
            return f"the shares sum to {np.sum(given):.3f}, not to 1."
        if np.abs(given - right).max() > 1e-6:
            return f"with {bins} bins it gives {np.round(given, 3)}; {right.round(3)} is right."
    return None


@check
def check_03_earth_movers(function: Callable) -> str | None:
    for i, j in ((1, 2), (1, 5), (4, 0), (3, 3)):
        a, b = np.eye(6)[[i, j]]
        given = function(a, b)
        if given is None or abs(given - abs(i - j)) > 1e-6:
            return f"from a peak in bin {i} to one in bin {j} it is {abs(i - j)}, not {given}."
    half = function([0.5, 0.5, 0], [0, 0.5, 0.5])
    if abs(half - 1) > 1e-6:
        return f"half of it by two bins costs 1, not {half}."
    part = function([0.6, 0.4, 0, 0], [0.6, 0, 0, 0.4])
    return None if abs(part - 0.8) < 1e-6 else f"two fifths of it by two bins cost 0.8, not {part}."


@check
def check_03_weight(weight: float, score: float) -> str | None:
    if abs(weight - 0.8) < 1e-6:
        return "0.8 was chosen by looking at the test people; choose on the validation people."
    if abs(weight - 0.7) > 1e-6:
        return "on the validation people another weight is better."
    if abs(score - 0.641) < 1e-6:
        return "0.641 was measured on the people you chose for; report the test people."
    return None if abs(score - 0.586) < 1e-6 else "what do the test people give at that weight?"


@check
def check_03_track(function: Callable) -> str | None:
    rows = np.array([[1.0, 0.0], [np.nan, np.nan], [0.0, 1.0]])
    if function(rows, np.ones(3)) is Ellipsis:
        return "replace ... by your answer."
    cases = {(1, 5, 1): [0.5**0.5] * 2, (3, 0, 0): [1, 0], (3, 1, 4): [0.6, 0.8]}
    for weights, right in cases.items():
        given = function(rows, np.array(weights, float))
        if given is None or np.shape(given) != (2,) or not np.allclose(given, right, atol=1e-6):
            return f"with quality {weights} it gives {given}; {np.round(right, 3)} is right."
    if function(rows[1:2], np.ones(1)) is not None or function(rows, np.zeros(3)) is not None:
        return "with no usable row, or no quality above 0, return None."
    return None


@check
def check_03_standardise(function: Callable) -> str | None:
    rng = np.random.default_rng(3)
    people, camids = rng.normal(size=(300, 8)), np.repeat([1, 4], 150)
    shift, scale = rng.normal(0, 3, (2, 8)), rng.uniform(0.2, 4, (2, 8))
    seen = people * scale[camids // 4] + shift[camids // 4]
    given = function(seen[::2], camids[::2], seen[1::2], camids[1::2])
    if given is None or np.shape(given) != (150, 8):
        return f"150 rows of 8 numbers are asked; the shape is {np.shape(given)}."
    crowd = np.arange(300) % 2 == 1
    few = ~crowd & (people[:, 0] > 0.3)  # people who are not like the crowd
    unusual = function(seen[few], camids[few], seen[crowd], camids[crowd])
    if np.abs(np.linalg.norm(given, axis=1) - 1).max() > 1e-5:
        return "bring every row to unit length."
    right = people[::2] / np.linalg.norm(people[::2], axis=1, keepdims=True)
    alike = (given * right).sum(axis=1).mean()
    if alike < 0.95:
        return "each camera needs its own mean and deviation, of the crowd."
    right = people[few] / np.linalg.norm(people[few], axis=1, keepdims=True)
    alike = (unusual * right).sum(axis=1).mean()
    return None if alike > 0.95 else "take mean and deviation of the crowd, not of the vectors."


# Lesson 04


@check
def check_04_soft_margin(loss: Callable, alike: tuple) -> str | None:
    import torch  # lessons 01 to 03 do without

    x = torch.randn(8, 3, generator=torch.Generator().manual_seed(4)).requires_grad_()
    labels, n = torch.arange(4).repeat_interleave(2), range(8)
    unit = torch.nn.functional.normalize(x)
    d = torch.cdist(unit, unit)
    triplets = [
        (a, p, k) for a in n for p in n for k in n if labels[a] == labels[p] != labels[k] and a != p
    ]
    gaps = torch.stack([d[a, p] - d[a, k] for a, p, k in triplets])
    given, right = loss(x, labels), torch.nn.functional.softplus(gaps).mean().item()
    if given is None:
        return "soft_margin() returns None; return the mean over all triplets."
    value = torch.as_tensor(given).item()
    if abs(value - right) > 1e-4:
        return (
            f"on a batch of four people it gives {value:.4f}; {right:.4f} is right. Are the "
            "rows of length 1? Does every triplet count, also one in the right order?"
        )
    if not given.requires_grad:
        return "nothing can learn from it: stay with torch, without NumPy, item() or detach()."
    same, different = (1 - np.median(side) for side in alike)
    if different > 0.9:
        return f"two people are {different:.4f} alike to your head: it has collapsed."
    if same - different < 0.5:
        return f"one person is {same:.2f} alike, two are {different:.2f}: train your head longer."
    return None


@check
def check_04_average_precision(answer: float) -> str | None:
    wrong = {
        1 / 2: "that was the answer of section 5; this ranking is another one.",
        64 / 105: "the bad box (-1) takes up no rank.",
        34 / 45: "only images of person 7 are junk in camera 1; other people there stay.",
        97 / 120: "two images of person 7 were taken by the query's own camera.",
        1174 / 1575: "neither the bad box nor the query's own camera was left out.",
        47 / 126: "junk takes up no rank: count places among what remains.",
    }
    for value, hint in wrong.items():
        if abs(answer - value) < 0.004:
            return hint
    return (
        None if abs(answer - 2 / 3) < 0.004 else "six places remain; average over the true matches."
    )


@check
def check_04_choose(choose: Callable) -> str | None:
    best = (0.6, 0.46, 0.50, 0.50, 0.54)  # standard error 0.0163; 0.0141 with ddof=0
    cases = [
        (0.3, [(0.1, 0.40, 0.42), (0.3, 0.50, 0.52), (0.6, 0.49, 0.55)]),
        (0.6, [(0.1, 0.40, 0.42), (0.3, 0.50, 0.52), (0.6, 0.57, 0.58)]),
        (0.0, [(1.0, 0.3, 0.4), (0.0, 0.33, 0.34), (0.5, 0.2, 0.3)]),
        (0.3, [(0.1, 0.40, 0.42, 0.41, 0.43), (0.3, 0.48, 0.489, 0.485, 0.485), best]),
        (0.6, [(0.1, 0.40, 0.42, 0.41, 0.43), (0.3, 0.47, 0.48, 0.475, 0.475), best]),
    ]
    for right, rows in cases:
        runs = [(margin, seed, s) for margin, *scores in rows for seed, s in enumerate(scores)]
        given = choose(pd.DataFrame(runs, columns=["margin", "seed", "mAP"]))
        if given != right:
            return f"for (margin, mAPs) {rows} you choose {given}; {right} is the answer."
    return None


@check
def check_04_threshold(threshold_for: Callable) -> str | None:
    if threshold_for(np.linspace(0.01, 1, 100), 10, 0.1) is Ellipsis:
        return "replace ... by your answer."
    different = np.random.default_rng(0).uniform(0.2, 1, 20_000)
    for size, alarms in ((100, 1), (500, 1), (50, 10)):
        given, rate = threshold_for(different, size, alarms), alarms / size
        if given is None or not 0.9 * rate <= np.mean(different <= given) <= rate:
            return (
                f"{alarms} alarms among {size} strangers are a rate of {rate:g}; you give {given}."
            )
    for size, pairs in ((100_000, 0), (20_000, 1), (1000, 20)):
        if threshold_for(different, size, 1) is not None:
            return (
                f"at 1 in {size:,} about {pairs} of 20,000 pairs would match, fewer than 30: "
                "return None there."
            )
    return None


@check
def check_04_difference(difference: Callable) -> str | None:
    pids = np.repeat(np.arange(60), np.tile([2, 10], 30))
    people = np.random.default_rng(5).choice([-1, 0, 1], 60, p=[0.2, 0.5, 0.3])
    change = people[pids]
    a, b = (change >= 0).astype(float), (change <= 0).astype(float)
    interval = difference(a, b, pids)
    if interval is None:
        return "rank1_difference() returns None; return two numbers."
    low, high = interval
    if not low < (a - b).mean() < high:
        return (
            f"the difference itself, {(a - b).mean():.3f}, is not between {low:.3f} and {high:.3f}."
        )
    if high - low < 0.25:
        return f"{high - low:.2f} is too narrow: draw people, with all their queries, not queries."
    if abs(low + 0.02) > 0.04 or abs(high - 0.39) > 0.04:
        return (
            f"not {low:.2f} to {high:.2f}: who brings ten queries weighs five times one with two."
        )
    a = np.random.default_rng(6).integers(0, 2, 60).astype(float)
    b = np.where(np.arange(60) % 12, a, 1 - a)  # the two differ on five people only
    low, high = difference(a[pids], b[pids], pids)
    if not high - low < 0.25:
        return f"{high - low:.2f} is too wide: draw the same people for both methods."
    return None


# Lesson 05


@check
def check_05_errors(errors: Callable) -> str | None:
    cases = {
        ((1, 7), (1, 7), (2, 8)): (0, 0), ((1, 7), (1, 8), (2, 7)): (1, 1),
        ((1, 7), (1, -1), (2, -1)): (0, 0), ((1, 7), (2, 7), (3, 7), (3, 8), (3, 9)): (1, 1),
        ((4, 1), (4, 2), (5, 3), (5, 4), (5, -1)): (2, 0),
    }  # fmt: skip
    for stays, right in cases.items():
        given = errors(pd.DataFrame(stays, columns=["identity", "pid"]))
        if given is None or tuple(map(int, given)) != right:
            return f"for (identity, pid) {list(stays)} you give {given}; {right} is right."
    return None


@check
def check_05_way(way: Callable) -> str | None:
    cases = {
        ((1, "a", 0, 5), (1, "b", 12, 15), (2, "a", 1, 2)): {1: 7},
        ((1, "b", 0, 5), (1, "a", 6, 9)): {},
        ((1, "a", 0, 5), (1, "a", 7, 9), (1, "b", 11, 12), (1, "b", 14, 16)): {1: 2},
        ((1, "a", 0, 5), (1, "b", 3, 8), (2, "b", 9, 11), (2, "a", 0, 8)): {2: 1},
        ((3, "a", 0, 4), (3, "c", 5, 6), (3, "b", 9, 10), (3, "b", 0, 1)): {3: 5},
        ((1, "a", 0, 5), (1, "b", 5, 8)): {},
        ((1, "a", 0, 5), (1, "b", 8, 9), (1, "a", 12, 15)): {},
    }
    for stays, right in cases.items():
        given = way(pd.DataFrame(stays, columns=["identity", "camera", "start", "end"]), "a", "b")
        if given is None or {int(k): float(v) for k, v in given.items()} != right:
            return (
                f"for {list(stays)} (identity, camera, start, end) {right} is right, not {given}."
            )
    return None


@check
def check_05_answer(answer: Callable) -> str | None:
    cases = {
        (0.2, 0.9, 0.8): "Ann", (0.7, 0.9, 0.8): None, (0.2, 0.9, 0.25): None,
        (0.3, 0.2, 0.8): "Ann", (0.9, 0.8, 0.1): "Bo", (0.5, 0.9, 0.6): "Ann",
    }  # fmt: skip
    for distances, right in cases.items():
        given = answer(np.array(distances), ["Ann", "Ann", "Bo"], 0.5, 0.1 - 1e-9)
        if given is Ellipsis:
            return "replace ... by your answer."
        if given != right:
            return f"distances {distances} to Ann, Ann, Bo: you say {given}, {right} is right."
    if answer(np.array([0.2, 0.3]), ["Ann", "Ann"], 0.5, 0.1) != "Ann":
        return "where Ann alone is in the gallery, there is nobody to be mistaken for."
    return None


@check
def check_05_stripes(importance: Callable) -> str | None:
    rng = np.random.default_rng(3)
    image = rng.integers(0, 100, (96, 48, 3), dtype=np.uint8)
    whole, other = image.copy(), np.eye(3)[0]

    def embed(images):  # sees rows 60 to 83 only: stripe 5 of 8, and 6
        seen = np.asarray(images, float)[:, 60:84].mean(axis=(1, 2)) + [50, 0, 0]
        return seen / np.linalg.norm(seen, axis=1, keepdims=True)

    for stripes in (8, 4):
        given, height = importance(embed, image, other, stripes), 96 // stripes
        if given is None or np.shape(given) != (stripes,):
            return f"{stripes} numbers are asked, not {given}."
        if (image != whole).any():
            return "the image itself was painted over; paint on a copy."
        copies = np.repeat(image[None], stripes, axis=0)
        for stripe, copy in enumerate(copies):
            copy[height * stripe : height * (stripe + 1)] = 128
        right = embed(image[None]) @ other - embed(copies) @ other
        if np.allclose(given, -right, atol=1e-6):
            return "the loss is the similarity before minus the one after."
        if not np.allclose(given, right, atol=1e-4):
            found = f"{np.round(given, 3).tolist()}, right is {right.round(3).tolist()}"
            return f"with {stripes} stripes you find {found}."
    return None


@check
def check_05_chance(chance: Callable) -> str | None:
    rng = np.random.default_rng(1)
    pids = np.repeat(np.arange(60), 6)
    group = dict(enumerate(np.repeat(["a", "b"], 30)))
    skill = np.where(np.arange(60) < 30, 0.95, 0.6)
    first = chance((rng.random(360) < skill[pids]).astype(float), pids, group)
    if first is None or not 0 <= first <= 1:
        return f"a share from 0 to 1 is asked, not {first}."
    if first > 0.05:
        return f"the groups differ by a third, and you find such a gap in {first:.0%} of shuffles."
    together = np.repeat(np.arange(60) % 30 < np.repeat([22, 18], 30), 6).astype(float)
    real = _gap_by_chance(together, pids, group)
    given = chance(together, pids, group)
    if abs(given - real) > 0.12:
        return f"all queries of a person fail together here: about {real:.2f}, not {given:.2f}."
    times = np.where(np.arange(60) % 30 < 3, 40, 2)  # queries a person
    pids = np.repeat(np.arange(60), times)
    uneven = ((pids % 30 >= 3) ^ (pids < 30)).astype(float)
    real = _gap_by_chance(uneven, pids, group)
    given = chance(uneven, pids, group)
    if abs(given - real) > 0.12:
        text = "some people have 40 queries, others 2, and a group's rank-1 is over its queries"
        return f"{text}: about {real:.2f}, not {given:.2f}."
    return None


def _gap_by_chance(hits, pids, group) -> float:
    rng, labels = np.random.default_rng(9), np.array(list(group.values()))
    people = pd.Series(hits).groupby(pids).agg(["sum", "count"])
    right, asked = people.to_numpy().T
    gaps = [
        np.ptp(
            [right[of].sum() / asked[of].sum() for of in (mixed == n for n in np.unique(labels))]
        )
        for mixed in (labels, *(rng.permutation(labels) for _ in range(2000)))
    ]
    return float(np.mean(np.array(gaps[1:]) >= gaps[0] - 1e-9))
