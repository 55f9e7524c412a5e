"""The panels of lesson 04 survive every control and say what the library says."""

import base64

import numpy as np
import pandas as pd
import pytest
from panels import sweep

from reidlib.collection import datasets
from reidlib.model import panels, ranking, toy, training


def put(panel, **values):
    for name, value in values.items():
        panel.controls[name].value = value


@pytest.fixture(scope="module")
def split():
    """24 people, three cameras, three images in each: 18 to learn from, 6 to validate on."""
    pid, camid, _ = np.meshgrid(range(1, 25), range(1, 4), range(3), indexing="ij")
    table = pd.DataFrame({"path": "", "pid": pid.ravel(), "camid": camid.ravel()})
    return datasets.split(table, train=0.75)


@pytest.fixture(scope="module")
def features(split):
    """Vectors that know the person in four numbers of twenty and the camera in all others."""
    rng = np.random.default_rng(0)
    people, cameras = rng.normal(size=(25, 4)), rng.normal(size=(4, 16))

    def vectors(table):
        known = np.hstack([people[table.pid], 2 * cameras[table.camid]])
        return (known + rng.normal(0, 0.3, known.shape)).astype(np.float32)

    return {"made up": [vectors(part) for part in (split.train, split.query, split.gallery)]}


def test_toys_begin_where_the_toy_world_does():
    record = panels.toys().record()
    assert np.allclose(record["data"]["starts"][7], toy.start(7), atol=1e-4)
    assert record["data"]["labels"] == toy.LABELS.tolist()


@pytest.mark.parametrize("loss", ["contrastive", "triplet", "margin"])
def test_a_loss_brings_people_together(loss):
    sentence = toy.world(loss, 0.5, "all", 100)[1]
    assert " 0% of the triplets are in the wrong order" in sentence
    assert " 0% of the triplets" not in toy.world(loss, 0.5, "all", 0)[1]


def test_without_a_margin_a_loss_stops_too_early():
    assert "Loss 0.000" in toy.world("triplet", 0.0, "hard", 100)[1]
    assert "Loss 0.000" not in toy.world("triplet", 2.0, "hard", 5)[1]


def test_a_head_learns_what_the_features_hide(features, split):
    before = ranking.score(*features["made up"][1:], split)
    head, after = training.train_head(features["made up"], split, dim=8, steps=100, lr=3e-3)
    assert head.dim == 8
    assert after.mAP > before.mAP + 0.1
    again = training.train_head(features["made up"], split, dim=8, steps=100, lr=3e-3)[1]
    assert again.mAP == after.mAP


def test_playground_survives_every_control_and_keeps_every_run(features, split):
    panel = panels.Playground(features, split, steps=5)
    sweep(panel)
    assert panel.runs.run.tolist() == list(range(1, len(panel.runs) + 1))
    settings = panel.runs.drop(columns=["run", "rank-1", "mAP"])
    assert not settings.duplicated().any()
    assert panel.table.value.count("<tr") == len(panel.runs) + 1


def test_playground_starts_with_what_does_not_collapse(features, split):
    panel = panels.Playground(features, split, steps=5)
    assert panel.runs.mining.tolist() == ["all"]


def test_playground_does_not_train_twice(features, split):
    panel = panels.Playground(features, split, steps=5)
    put(panel, optimiser="sgd")
    put(panel, optimiser="adam")
    assert len(panel.runs) == 2 and "Run 1 was made before" in panel.message.value


def test_thresholds_hold_counts_that_are_exact_at_every_step():
    rng = np.random.default_rng(0)
    pairs = {
        "good": (rng.uniform(0, 0.5, 500), rng.uniform(0.3, 1, 20_000)),
        "on the steps": (np.arange(0, 90, dtype=np.float32) / 100, np.full(7, 0.3, np.float32)),
    }
    record = panels.thresholds(pairs).record()
    for method in record["data"]["methods"]:
        for kind, distances in zip(("same", "different"), pairs[method["name"]]):
            counts = np.frombuffer(base64.b64decode(method[kind]["bytes"]), np.uint32)
            steps = np.arange(len(counts)) * 0.001
            expected = [(np.round(distances, 6) <= round(step, 6)).sum() for step in steps]
            assert np.cumsum(counts).tolist() == expected
