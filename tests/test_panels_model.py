"""The panels of lesson 04 survive every control and say what the library says."""

import asyncio
import base64
import json

import numpy as np
import pytest
import torch
from stand_ins import made_up_split

from reidlib.model import panels, ranking, toy, training

BEGIN = {"loss": "triplet", "margin": 0.3, "mining": "all", "dim": 128, "lr": 1e-3}


def put(panel, **values):
    """Choose settings as a hand does: what was shown is no longer, so the panel trains."""
    panel.state = panel.state | {"run": -1, "doing": "run"} | values


@pytest.fixture(scope="module")
def split():
    """24 people, three cameras, three images in each: 18 to learn from, 6 to validate on."""
    return made_up_split(24)


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
    for name, values in {**panel.data["choices"], "margin": [0, 0.7, 1.5]}.items():
        for value in [*values, panel.begin[name]]:
            put(panel, **{name: value})
            assert panel.course == {} and panel.training is None
    assert panel.runs.run.tolist() == list(range(1, len(panel.runs) + 1))
    settings = panel.runs.drop(columns=["run", "steps", "rank-1", "mAP"])
    assert not settings.duplicated().any()
    assert len(panel.data["runs"]) == len(panel.runs) == len(panel.results) == 18


def test_playground_starts_with_what_does_not_collapse(features, split):
    panel = panels.Playground(features, split, steps=5)
    assert panel.runs.mining.tolist() == ["all"]


def test_playground_does_not_train_twice(features, split):
    panel = panels.Playground(features, split, steps=5)
    put(panel, optimiser="sgd")
    put(panel, optimiser="adam")
    assert len(panel.runs) == 2


@pytest.mark.parametrize("loss", ["contrastive", "margin"])
def test_playground_trains_no_second_time_for_what_has_no_effect(loss, features, split):
    panel = panels.Playground(features, split, steps=5)
    put(panel, loss=loss)
    put(panel, mining="hard")
    assert panel.runs.mining.tolist() == ["all", "none"]


@pytest.mark.parametrize("changes", [{"mining": "hard"}, {"loss": "contrastive", "dim": 2}])
def test_playground_scores_as_train_head_does(changes, features, split):
    panel = panels.Playground(features, split, steps=40)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    put(panel, **changes)
    assert torch.equal(torch.get_rng_state(), state) and torch.get_num_threads() == threads
    result = training.train_head(features["made up"], split, **BEGIN | changes, steps=40)[1]
    run = panel.data["runs"][-1]
    assert panel.results[tuple(run["settings"].values())].mAP == result.mAP
    assert panel.runs["mAP"].iloc[-1] == result.mAP
    steps = [frame["step"] for frame in run["frames"]]
    assert steps[0] == 0 and steps[-1] == run["steps"] and len(steps) > 10
    assert run["frames"][-1]["cmc"] == [round(share, 4) for share in result.cmc[:20].tolist()]
    assert run["frames"][0]["loss"] is None and run["frames"][-1]["loss"] > 0


def test_playground_tells_what_went_wrong_and_goes_on(features, split):
    panel = panels.Playground(features, split, steps=5)
    put(panel, margin=-1)
    assert "margin is -1" in panel.course["error"] and len(panel.runs) == 1
    put(panel, pins=[])  # nothing that trains
    put(panel, margin=0.2)
    assert panel.course == {} and len(panel.runs) == 2


def test_playground_hears_of_pause_and_stop_while_it_trains(features, split):
    """In a kernel's event loop, what the hand does comes between two moments of the training."""

    async def kernel():
        panel = panels.Playground(features, split, steps=200)
        put(panel, lr=1e-2)
        assert len(panel.course["frames"]) == 0  # the message is answered before it trains
        while len(panel.course["frames"]) < 3:
            await asyncio.sleep(0)
        panel.state = panel.state | {"doing": "pause"}
        await asyncio.sleep(0.2)
        frames = len(panel.course["frames"])
        await asyncio.sleep(0.2)
        assert len(panel.course["frames"]) == frames < 8
        panel.state = panel.state | {"doing": "stop"}
        assert panel.course == {} and len(panel.runs) == 2
        assert panel.runs["steps"].iloc[-1] < 200 and len(panel.results) == 1
        put(panel, lr=1e-4)
        put(panel, lr=3e-4)  # takes the place of the one before
        while len(panel.runs) < 3:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert panel.runs["lr"].tolist() == [1e-3, 1e-2, 3e-4] and panel.course == {}

    asyncio.run(asyncio.wait_for(kernel(), 120))


def test_the_book_plays_a_small_grid_of_runs(features, split):
    panel = panels.Playground(features, split, steps=40)
    record = panel.record()
    runs = record["data"]["runs"]
    assert len(panel.data["runs"]) == 1 and len(runs) > 18
    settings = [tuple(run["settings"].values()) for run in runs]
    assert len(set(settings)) == len(settings)
    changed = [sum(a != b for a, b in zip(one, settings[0])) for one in settings]
    assert max(changed) <= 3
    assert len(json.dumps(record)) < 12_000 * len(runs) and record["seconds"] > 0
    for name, values in {**panel.data["choices"], "margin": panels.MARGINS}.items():
        assert {run["settings"][name] for run in runs} >= set(values)


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
