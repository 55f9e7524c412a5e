"""The exercise checks never crash, whatever they are given, and accept what is right."""

import inspect
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "notebooks"))
import checks

from reidlib import assets, boxes
from reidlib.collection import formats, privacy

ALL = [getattr(checks, name) for name in dir(checks) if name.startswith("check_")]


@pytest.mark.parametrize("check", ALL, ids=lambda check: check.__name__)
@pytest.mark.parametrize("nonsense", [None, 0, -1.5, "x", [], {}, np.zeros(3), pd.DataFrame(), len])
def test_nonsense_gives_a_hint_not_an_error(check, nonsense, capsys):
    answer = check(*[nonsense] * len(inspect.signature(check).parameters))
    said = capsys.readouterr().out
    assert said.startswith("Correct." if answer else "Not yet: ")
    assert answer is False or nonsense is not None


def test_lesson_01_accepts_what_is_right_and_explains_what_is_not(capsys):
    assert checks.check_01_lens(6) and not checks.check_01_lens(12)
    assert "not the shortest" in capsys.readouterr().out
    order = np.array(checks.stuck_order(63))
    assert checks.check_01_frozen(np.flatnonzero(np.diff(order, prepend=-1) == 0).tolist())
    assert not checks.check_01_frozen([24])


def people(pids):
    """Two people side by side in ten frames: their truth, and tracks with the given pids."""
    frames = np.repeat(np.arange(10), 2)
    truth = pd.DataFrame({"frame": frames, "track": [201, 202] * 10, "y1": 0.0, "y2": 50.0})
    truth = truth.assign(x1=[0.0, 40.0] * 10, x2=[20.0, 60.0] * 10)
    return truth.drop(columns="track").assign(pid=pids), truth


def test_lesson_01_names_may_be_any_numbers_but_one_a_person(capsys):
    assert checks.check_01_people(*people([7, 3] * 10))
    assert not checks.check_01_people(*people([7, 3] * 8 + [-1, -1] * 2))
    assert "80% of the boxes" in capsys.readouterr().out
    assert not checks.check_01_people(*people([7, 3] * 5 + [7, 4] * 5))
    assert "pids 3 and 4 hold one person" in capsys.readouterr().out
    assert not checks.check_01_people(*people([7, 7] * 10))


def test_lesson_01_divides_people_not_rows():
    def by_people(table, share, seed):
        ids = np.random.default_rng(seed).permutation(np.unique(table.pid))
        first = table.pid.isin(ids[: round(share * len(ids))])
        return table[first], table[~first]

    def by_rows(table, share, seed):
        rows = np.random.default_rng(seed).random(len(table)) < share
        return table[rows], table[~rows]

    assert checks.check_01_divide(by_people)
    assert not checks.check_01_divide(by_rows)
    assert not checks.check_01_divide(lambda table, share, seed: by_people(table, share, 0))


def test_lesson_02_accepts_what_is_right_and_explains_what_is_not(capsys):
    curve = pd.DataFrame({"confidence": [0.9, 0.7, 0.4], "recall": [0.5, 0.8, 0.9]})
    assert checks.check_02_threshold(0.7, curve) and not checks.check_02_threshold(0.705, curve)
    assert not checks.check_02_threshold(0.4, curve) and not checks.check_02_threshold(0.9, curve)
    assert checks.check_02_cost([[0.0, 0.1, 1], [0.1, 0.9, 1], [1, 1, 0]])
    assert not checks.check_02_cost(1 - np.eye(3))
    capsys.readouterr()
    assert not checks.check_02_cost(2 * np.eye(3))
    assert "from 0 to 2" in capsys.readouterr().out
    assert checks.check_02_iou(lambda a, b: float(boxes.iou(a, b)[0, 0]))

    def without_clipping(a, b):
        inter = (min(a[2], b[2]) - max(a[0], b[0])) * (min(a[3], b[3]) - max(a[1], b[1]))
        return inter / (boxes.area(a)[0] + boxes.area(b)[0] - inter)

    capsys.readouterr()
    assert not checks.check_02_iou(without_clipping)
    assert "side by side" in capsys.readouterr().out


def test_lesson_02_predicts_and_counts():
    def steady(history, frame):
        (first, begin), (last, end) = history[0], history[-1]
        return end + (end - begin) * (frame - last) / max(last - first, 1)

    def switches(tracks):
        seen = [t for t in tracks if t >= 0]
        return sum(a != b for a, b in zip(seen, seen[1:]))

    assert checks.check_02_predict(steady)
    assert not checks.check_02_predict(lambda history, frame: history[-1][1])
    assert checks.check_02_switches(switches)
    assert not checks.check_02_switches(lambda tracks: len(set(tracks)) - 1)


def test_lesson_02_the_capstone_asks_for_more_than_the_course_has(capsys):
    truth = formats.read_mot(assets.data("plaza", "truth", "c2_day.txt"))
    assert checks.check_02_capstone(lambda detections, size, fps: truth)
    renewed = truth.assign(track=1000 * truth.track + truth.frame // 25)
    assert not checks.check_02_capstone(lambda detections, size, fps: renewed)
    said = capsys.readouterr().out
    assert "the course's tracker has 0.631 there" in said


def test_lesson_01_wants_the_whole_first_clip_deleted(capsys):
    who = [
        ("in.mp4", "Ada"),
        ("in.mp4", "Ben"),
        ("in.mp4", "Chi"),
        ("yard.mp4", "Ada"),
        ("yard.mp4", "Chi"),
    ]
    said = ["given", "withdrawn", "given", "given", "refused"]
    when = ["2026-01-05"] * 3 + ["2026-02-20"] * 2
    record = privacy.consent_record(
        dict(
            clip=clip,
            person=person,
            purpose="course",
            consent=consent,
            recorded=day,
            keep_days=days,
        )
        for (clip, person), consent, day, days in zip(who, said, when, [60] * 3 + [30] * 2)
    )
    assert checks.check_01_record(record, privacy.due_for_deletion(record, "2026-03-10"))
    assert not checks.check_01_record(record, privacy.due_for_deletion(record, "2026-03-01"))
    due = privacy.due_for_deletion(record, "2026-03-10")
    for column, value in (("recorded", pd.Timestamp("2026-01-01")), ("keep_days", 900)):
        wrong = record.copy()
        wrong.loc[3, column] = value
        capsys.readouterr()
        assert not checks.check_01_record(wrong, due)
        assert "the row of Ada in yard.mp4 differs" in capsys.readouterr().out


def test_lesson_03_accepts_what_is_right_and_explains_what_is_not(capsys):
    def grey(image, bins):
        index = (image.mean(axis=2) * bins / 256).astype(int)
        return np.bincount(index.ravel(), minlength=bins) / index.size

    def earth(a, b):
        return np.abs(np.cumsum(np.subtract(a, b))).sum()

    assert checks.check_03_histogram(grey) and checks.check_03_earth_movers(earth)
    assert not checks.check_03_histogram(lambda image, bins: grey(image, bins) * bins)
    assert not checks.check_03_earth_movers(lambda a, b: np.abs(np.subtract(a, b)).sum())
    assert not checks.check_03_earth_movers(lambda a, b: abs(int(np.argmax(a)) - int(np.argmax(b))))
    assert checks.check_03_weight(0.7, 0.586)
    capsys.readouterr()
    assert not checks.check_03_weight(0.8, 0.593) and not checks.check_03_weight(0.7, 0.641)
    assert "looking at the test people" in capsys.readouterr().out


def test_lesson_03_wants_gaps_left_out_and_each_camera_for_itself():
    def weighted(vectors, quality):
        kept = np.isfinite(vectors).all(axis=1)
        total = quality[kept] @ vectors[kept]
        length = np.linalg.norm(total)
        return total / length if length else None

    def standardise(vectors, camids, crowd, crowd_camids, pooled=False):
        result = np.empty(vectors.shape)
        for camera in np.unique(camids):
            part = crowd if pooled else crowd[crowd_camids == camera]
            rows = camids == camera
            result[rows] = (vectors[rows] - part.mean(axis=0)) / (part.std(axis=0) + 1e-6)
        return result / np.linalg.norm(result, axis=1, keepdims=True)

    assert checks.check_03_track(weighted)
    assert not checks.check_03_track(lambda v, q: weighted(v, np.ones(len(v))))
    assert not checks.check_03_track(lambda v, q: np.nanmean(v, axis=0))
    assert checks.check_03_standardise(standardise)
    assert not checks.check_03_standardise(lambda *given: standardise(*given, pooled=True))
    assert not checks.check_03_standardise(lambda v, c, *_: standardise(v, c, v, c))


def test_lesson_04_wants_all_triplets_and_a_head_that_did_not_collapse(capsys):
    torch = pytest.importorskip("torch")

    def soft_margin(embeddings, labels, normalize=True, hard=False):
        x = torch.nn.functional.normalize(embeddings) if normalize else embeddings
        d, same = torch.cdist(x, x), labels[:, None] == labels
        positive = same & ~torch.eye(len(labels), dtype=torch.bool)
        if hard:
            farthest = d.masked_fill(~positive, -torch.inf).amax(dim=1)
            return torch.nn.functional.softplus(
                farthest - d.masked_fill(same, torch.inf).amin(dim=1)
            ).mean()
        gap = d[:, :, None] - d[:, None, :]
        return torch.nn.functional.softplus(gap[positive[:, :, None] & ~same[:, None, :]]).mean()

    spread, collapsed = ([0.1, 0.2], [0.9, 1.0]), ([0.0002], [0.0004])
    assert checks.check_04_soft_margin(soft_margin, spread)
    assert not checks.check_04_soft_margin(soft_margin, collapsed)
    assert "collapsed" in capsys.readouterr().out
    for wrong in ({"normalize": False}, {"hard": True}):
        assert not checks.check_04_soft_margin(lambda x, y, w=wrong: soft_margin(x, y, **w), spread)
    capsys.readouterr()
    assert not checks.check_04_soft_margin(lambda x, y: soft_margin(x, y).detach(), spread)
    assert "nothing can learn" in capsys.readouterr().out


def test_lesson_04_asks_for_another_ranking_than_the_worked_one(capsys):
    assert checks.check_04_average_precision(2 / 3) and checks.check_04_average_precision(0.667)
    capsys.readouterr()
    assert not checks.check_04_average_precision(0.5)
    assert "section 5" in capsys.readouterr().out
    assert not checks.check_04_average_precision(0.61)
    assert "bad box" in capsys.readouterr().out


def test_lesson_04_takes_no_rate_from_a_handful_of_pairs(capsys):
    def threshold_for(different, size, alarms, least=30):
        rate = alarms / size
        if rate * len(different) < least:
            return None
        return np.sort(different)[int(rate * len(different)) - 1]

    assert checks.check_04_threshold(threshold_for)
    for least in (1, 20):
        assert not checks.check_04_threshold(lambda *given, m=least: threshold_for(*given, m))
    assert "fewer than 30" in capsys.readouterr().out


def test_lesson_04_wants_one_standard_error():
    def choose(table, ddof=1, power=0.5, times=1):
        runs = table.groupby("margin").mAP
        means, best = runs.mean(), runs.mean().idxmax()
        error = times * runs.std(ddof=ddof)[best] / runs.count()[best] ** power
        return means[means >= means[best] - error].index.min()

    assert checks.check_04_choose(choose)
    for wrong in ({"ddof": 0}, {"power": 0}, {"power": 1}, {"times": 2}, {"times": 0}):
        assert not checks.check_04_choose(lambda table, wrong=wrong: choose(table, **wrong))


def test_lesson_04_draws_the_same_people_for_both(capsys):
    def difference(a, b, pids, paired=True, draws=2000):
        people, person = np.unique(pids, return_inverse=True)
        rng, counts = np.random.default_rng(0), np.bincount(person)
        picked = rng.integers(len(people), size=(2, draws, len(people)))
        rank1 = [
            np.bincount(person, hits)[rows].sum(axis=1) / counts[rows].sum(axis=1)
            for hits, rows in zip((a, b), (picked[0], picked[0 if paired else 1]))
        ]
        return np.quantile(rank1[0] - rank1[1], [0.025, 0.975])

    assert checks.check_04_difference(difference)
    capsys.readouterr()
    assert not checks.check_04_difference(lambda *given: difference(*given, paired=False))
    assert "too wide" in capsys.readouterr().out


def test_lesson_05_counts_people_not_tracklets():
    def errors(stays, known=True):
        stays = stays[stays.pid > 0] if known else stays
        counts = [
            stays.groupby(a)[b].nunique() for a, b in (["identity", "pid"], ["pid", "identity"])
        ]
        return tuple(int((count > 1).sum()) for count in counts)

    assert checks.check_05_errors(errors)
    assert not checks.check_05_errors(lambda stays: errors(stays, known=False))
    assert not checks.check_05_errors(lambda stays: errors(stays)[::-1])


def test_lesson_05_measures_ways_after_leaving(capsys):
    def way(stays, a, b, after=True):
        left, found = stays[stays.camera == a].groupby("identity").end.max(), {}
        for row in stays[stays.camera == b].sort_values("start").itertuples():
            gap = row.start - left.get(row.identity, np.inf)
            if gap > 0 or not after and np.isfinite(gap):
                found.setdefault(row.identity, gap)
        return found

    assert checks.check_05_way(way)
    capsys.readouterr()
    assert not checks.check_05_way(lambda *given: way(*given, after=False))
    assert "{} is right" in capsys.readouterr().out

    def touching(stays, a, b):  # zero seconds count
        return way(stays.assign(start=stays.start + 1e-9 * (stays.camera == b)), a, b)

    def any_exit(stays, a, b):
        exits = stays[stays.camera == a].groupby("identity").end.min()
        late = stays[stays.camera == b].set_index("identity").start.sort_values()
        gaps = (late - exits.reindex(late.index)).loc[lambda gap: gap > 0]
        return gaps.groupby(level=0).min().to_dict()

    assert not checks.check_05_way(touching) and not checks.check_05_way(any_exit)


def test_lesson_05_answers_nobody_when_not_sure(capsys):
    def answer(distances, names, threshold, margin, own=False):
        best = int(np.argmin(distances))
        rivals = [
            d for d, n in zip(distances, names) if own and d > distances[best] or n != names[best]
        ]
        sure = distances[best] <= threshold and min(rivals, default=9) - distances[best] >= margin
        return names[best] if sure else None

    assert checks.check_05_answer(answer)
    assert not checks.check_05_answer(lambda d, n, t, m: answer(d, n, t, 0))
    assert not checks.check_05_answer(lambda d, n, t, m: answer(d, n, 9, m))
    assert not checks.check_05_answer(lambda d, n, t, m: ...)
    assert "replace ..." in capsys.readouterr().out


def test_lesson_05_covers_stripes_of_a_copy(capsys):
    def importance(embed, image, other, stripes, paint_on=np.copy, sign=1):
        lost, height = [], len(image) // stripes
        before = embed(image[None])[0] @ other
        for top in range(0, height * stripes, height):
            copy = paint_on(image)
            copy[top : top + height] = 128
            lost.append(sign * (before - embed(copy[None])[0] @ other))
        return np.array(lost)

    assert checks.check_05_stripes(importance)
    capsys.readouterr()
    assert not checks.check_05_stripes(lambda *given: importance(*given, paint_on=lambda i: i))
    assert "paint on a copy" in capsys.readouterr().out
    assert not checks.check_05_stripes(lambda *given: importance(*given, sign=-1))
    assert "before minus" in capsys.readouterr().out
    assert not checks.check_05_stripes(lambda *given: importance(*given[:3], 8))
    assert "4 numbers" in capsys.readouterr().out


def test_lesson_05_shuffles_people_not_queries(capsys):
    def chance(hits, pids, group, people=True):
        rng, labels = np.random.default_rng(0), pd.Series(group)

        def gap(of_query):
            return np.ptp([hits[of_query == name].mean() for name in ("a", "b")])

        of_query = labels[pids].to_numpy()
        mixed = [
            pd.Series(rng.permutation(labels), labels.index)[pids].to_numpy()
            if people
            else rng.permutation(of_query)
            for _ in range(300)
        ]
        return np.mean([gap(one) >= gap(of_query) - 1e-9 for one in mixed])

    assert checks.check_05_chance(chance)
    capsys.readouterr()
    assert not checks.check_05_chance(lambda *given: chance(*given, people=False))
    assert "fail together" in capsys.readouterr().out
    assert not checks.check_05_chance(lambda *given: 0.5)
    capsys.readouterr()

    def a_person_a_vote(hits, pids, group):
        means = pd.Series(hits).groupby(pids).mean()
        return chance(means.to_numpy(), means.index.to_numpy(), group)

    assert not checks.check_05_chance(a_person_a_vote)
    assert "over its queries" in capsys.readouterr().out
