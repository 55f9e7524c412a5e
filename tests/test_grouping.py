"""Every result of linking that there is: the panel of lesson 05 holds them instead of the rule."""

import numpy as np
import pandas as pd
import pytest

from reidlib.demonstration import grouping, matching


def walk(seed, count=24):
    """Return tracklets of six people in three cameras, a third of them glimpses, and vectors."""
    rng = np.random.default_rng(seed)
    start = rng.uniform(0, 60, count).round(2)
    lasting = np.where(rng.random(count) < 0.35, rng.uniform(0.1, 0.9, count), 4.0)
    camera = rng.choice(["c1", "c2", "c3"], count)
    rows = pd.DataFrame({"camera": camera, "start": start, "end": start + lasting.round(2)})
    people = rng.normal(size=(6, 8))
    vectors = people[rng.integers(0, 6, count)] + rng.normal(0, 0.6, (count, 8))
    vectors[-1] = np.nan
    vectors[1] = vectors[0]  # alike to the last bit
    return rows, vectors


KNOWN = [
    {},
    {"overlap": [("c1", "c2")], "travel": {("c1", "c3"): 5.0}},
    {"brief": 0.0, "centre": True},
    {"brief": 99.0},
]


@pytest.mark.parametrize("known", KNOWN)
@pytest.mark.parametrize("seed", range(4))
def test_every_threshold_has_the_result_that_link_gives(seed, known):
    rows, vectors = walk(seed)
    results = matching.links(rows, vectors, **known)[1]
    begins = np.array([lowest for lowest, _ in results])
    assert begins[0] == 0 and (np.diff(begins) > 0).all()
    tried = [*np.random.default_rng(seed).uniform(0, 2, 60), *begins, *np.nextafter(begins[1:], 0)]
    seen = set()
    for threshold in tried:
        identities = results[np.searchsorted(begins, threshold, side="right") - 1][1]
        linked = matching.link(rows, vectors, threshold=threshold, **known)
        assert identities.tolist() == linked.tolist()
        seen.add(tuple(linked))
    assert len(seen) > 3


def test_what_cannot_be_is_at_no_distance_at_all():
    rows, vectors = walk(0)
    pairwise, _ = matching.links(rows, vectors, overlap=[])
    together = np.triu(pairwise == grouping.FORBIDDEN, 1)
    start, end = rows["start"].to_numpy(), rows["end"].to_numpy()
    at_once = (start[:, None] <= end) & (start <= end[:, None])
    assert (together[:-1, :-1] == np.triu(at_once, 1)[:-1, :-1]).all()
    assert (np.delete(pairwise[-1], -1) == grouping.FORBIDDEN).all()  # who has no vector


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_tracklets(count):
    rows, vectors = walk(0)
    pairwise, results = matching.links(rows[:count], vectors[:count])
    assert pairwise.shape == (count, count) and results[0][0] == 0
    assert results[-1][1].tolist() == [1] * count
