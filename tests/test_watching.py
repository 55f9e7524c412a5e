"""What is watched of a training is the training itself, and a plane that does not spin."""

import numpy as np
import pytest
from stand_ins import made_up_split

from reidlib.model import embedding, training, watching


@pytest.fixture(scope="module")
def split():
    return made_up_split(16)


@pytest.fixture(scope="module")
def vectors(split):
    rng = np.random.default_rng(0)
    people = rng.normal(size=(17, 10))
    parts = (split.train, split.query, split.gallery)
    return [(people[part.pid] + rng.normal(size=(len(part), 10))).astype("f4") for part in parts]


def test_the_last_moment_is_what_train_head_returns(split, vectors):
    settings = {"dim": 4, "steps": 30, "identities": 4, "mining": "all"}
    moments = list(watching.watch(vectors, split, range(9), looks=10, **settings))
    head, result = training.train_head(vectors, split, **settings)
    assert moments[-1].result.mAP == result.mAP and moments[0].result.mAP != result.mAP
    steps = [moment.step for moment in moments]
    assert steps[0] == 0 and steps[-1] == moments[0].steps and (np.diff(steps) > 0).all()
    assert 10 <= len(moments) <= 12
    assert moments[0].loss is None and all(moment.loss >= 0 for moment in moments[1:])
    gallery = embedding.embed(head, vectors[2])[:9]
    apart = np.linalg.norm(moments[-1].points - moments[-1].points.mean(axis=0), axis=1)
    whole = np.linalg.norm(gallery - gallery.mean(axis=0), axis=1)
    assert (apart <= whole + 1e-6).all() and apart.sum() > 0.5 * whole.sum()


def test_a_plane_keeps_distances_in_two_dimensions_and_its_way_up():
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(20, 2)) @ rng.normal(size=(2, 7))
    points = embedding.on_a_plane(flat)
    between = np.linalg.norm(flat[:, None] - flat, axis=2)
    assert np.allclose(np.linalg.norm(points[:, None] - points, axis=2), between)
    turned = points @ np.array([[0.0, 1.0], [-1.0, 0.0]]) * [1, -1]
    assert np.allclose(embedding.on_a_plane(flat, turned), turned)
