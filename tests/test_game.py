"""The game of lesson 01 is fair: one right crop, eleven strangers, all from other cameras."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "notebooks"))
import game

from reidlib.collection import datasets, formats


@pytest.fixture(scope="module")
def plaza():
    return datasets.load("plaza")


def test_a_round_has_one_right_crop_and_eleven_strangers_elsewhere(plaza):
    rng = np.random.default_rng(4)
    for pid in (201, 250, 300):
        asked, paths, place = game._draw(plaza.query, plaza.gallery, pid, rng)
        names = [formats.parse_market_name(path) for path in paths]
        pids = [name.pid for name in names]
        assert len(set(pids)) == game.CROPS and min(pids) > 0
        assert pids.index(pid) + 1 == place
        camid = formats.parse_market_name(asked).camid
        assert camid not in [name.camid for name in names]


def test_the_same_seed_gives_the_same_twelve_after_a_change_of_clothes(plaza):
    changed = datasets.load("plaza", scenario="clothes")
    (before,) = game.rounds(plaza.query, plaza.gallery, [209], seed=1)
    (after,) = game.rounds(changed.query, plaza.gallery, [209], seed=1)
    assert before.place == after.place and before.query.shape == after.query.shape
    assert (before.query != after.query).any()
    assert all((a == b).all() for a, b in zip(before.crops, after.crops))


def test_nobody_is_asked_for_who_is_not_there(plaza):
    with pytest.raises(ValueError, match="person 9999 is not among the queries"):
        game.rounds(plaza.query, plaza.gallery, [9999], seed=0)
    alone = plaza.gallery[plaza.gallery.pid != 201]
    with pytest.raises(ValueError, match="no crop in another camera"):
        game.rounds(plaza.query, alone, [201], seed=0)


def test_a_machine_takes_the_crop_that_looks_most_alike(plaza):
    (played,) = game.rounds(plaza.query, plaza.gallery, [209], seed=1)
    vectors = iter(np.eye(3)[[0, *[1] * 6, 0, *[2] * 5]])  # the seventh crop is like the query
    assert game.machine([played], lambda images: np.array([next(vectors) for _ in images])) == [7]


def test_the_answer_is_framed_and_a_mistake_too(plaza):
    (played,) = game.rounds(plaza.query, plaza.gallery, [209], seed=1)
    wrong = played.place % game.CROPS + 1
    titles = [ax.get_title() for ax in game.show(played).axes]
    assert titles == ["who is this?", *game.choices()]
    told = {ax.get_title() for ax in game.show(played, answers=True, chosen=wrong).axes}
    assert {f"{played.place} right", f"{wrong} taken"} <= told
    assert "taken" not in str([a.get_title() for a in game.show(played, True, played.place).axes])
