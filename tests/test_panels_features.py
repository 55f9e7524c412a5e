"""The panels of lesson 03 survive every control and say what the library says."""

import cv2
import numpy as np
import pandas as pd
import pytest
from panels import sweep

from reidlib.collection import datasets
from reidlib.features import extractors, histograms, panels, plots
from reidlib.model import ranking


@pytest.fixture(scope="module")
def images():
    """Six people in plain clothes of two colours each, seen by two cameras: (12, 128, 64, 3)."""
    rng = np.random.default_rng(0)
    people = rng.integers(40, 200, (6, 2, 3))
    crops = np.repeat(np.repeat(people, 64, axis=1)[:, :, None], 64, axis=2)
    noisy = np.concatenate([crops, crops]) + rng.integers(-8, 9, (12, 128, 64, 3))
    return noisy.astype(np.uint8)


@pytest.fixture(scope="module")
def table(images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("gallery")
    paths = [folder / f"{i}.png" for i in range(len(images))]
    for path, image in zip(paths, images):
        cv2.imwrite(str(path), image[..., ::-1])
    return pd.DataFrame({"path": paths, "pid": [*range(1, 7)] * 2, "camid": [1] * 6 + [2] * 6})


def put(panel, **values):
    for name, value in values.items():
        panel.controls[name].value = value


@pytest.fixture
def bench(images, table):
    extractor = extractors.load("histogram")
    frame = np.full((200, 300, 3), 128, np.uint8)
    frame[40:168, 100:164] = images[0]
    backgrounds = {"kept": lambda batch: batch, "black": np.zeros_like}
    sightings = {"person 1": (frame, [100, 40, 164, 168], 1, 1)}
    return panels.crops(sightings, extractor, extractor(images), table, backgrounds, k=3)


def test_bench_survives_every_control_and_finds_the_person(bench):
    assert sweep(bench) > 12
    assert "is number <b>1</b> of 11" in bench.message.value  # the query's own camera is left out


def test_bench_loses_a_person_without_a_picture(bench):
    put(bench, background="black")
    assert "is number <b>1</b>" not in bench.message.value


def test_counts_of_a_stripe_are_those_of_its_pixels(images):
    top, bottom = histograms.stripe_counts(images[0], "rgb", 2, 8, channel=2)
    right = np.histogram(images[0][:64, :, 1], 8, (0, 256))[0] / (64 * 64)
    assert np.allclose(top, right, atol=1e-5) and np.isclose(bottom.sum(), 1)
    assert not np.allclose(top, bottom)
    blank = np.zeros((128, 64, 3), np.uint8)
    assert np.isfinite(histograms.stripe_counts(blank, background="ellipse")).all()


def test_colours_survive_every_control_and_count_who_is_nearer(images):
    panel = panels.colours(images[:6], list("abcdef"), range(1, 7))
    assert sweep(panel) > 20
    assert ": 0.00." in panel.message.value and "<b>0 of 5" in panel.message.value
    put(panel, light=0.3, warmth=0.4)
    vectors = histograms.stripes(images[:6], stripes=4)
    assert ": 0.00." not in panel.message.value and len(vectors) == 6


def test_a_bin_of_hues_has_its_colour():
    red, cyan = plots.hues(2)
    assert np.argmax(plots.hues(12)[0]) == 0
    assert red[1] > red[2] and cyan[2] > cyan[0]


def test_fusion_draws_what_the_library_scores():
    rng = np.random.default_rng(1)
    pid, camid = np.repeat(range(1, 9), 4), np.tile([1, 1, 2, 2], 8)
    table = pd.DataFrame({"path": "", "pid": pid, "camid": camid})
    split = datasets.Dataset("made up", "", table[:0], table[::2], table[1::2])
    people = rng.normal(size=(9, 2, 6))

    def kind(i):
        vectors = people[pid, i] + rng.normal(0, 1.2, (32, 6))
        return [vectors[::2], vectors[1::2]]

    good, other = kind(0), kind(1)
    panel = panels.fusion({"both": (good, other), "same": (good, good)}, split)
    assert sweep(panel) > 4
    put(panel, kinds="both", weight=1.0)
    labels = [(t.pid, t.camid) for t in (split.query, split.gallery)]
    alone = ranking.evaluate(good[0], *labels[0], good[1], *labels[1])
    assert f"mAP <b>{alone.mAP:.3f}</b>, rank-1 {alone.cmc[0]:.3f}" in panel.message.value
    put(panel, kinds="same", weight=0.3)
    assert f"mAP <b>{alone.mAP:.3f}</b>" in panel.message.value
