"""Searches for settings: kept in a file, shared by processes, on people held out."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from reidlib import __main__, studies
from reidlib.collection import datasets, formats
from reidlib.model import networks, plots, training, tuning

optuna = pytest.importorskip("optuna")
ROOT = Path(__file__).parent.parent
WORK = """
import os, signal, sys, time
from pathlib import Path
from reidlib import studies

file, dies = sys.argv[1], len(sys.argv) > 2

def objective(trial):
    x = trial.suggest_float("x", -1, 1)
    if dies and trial.number > 4:
        Path(file).with_name("died").write_text(str(x))
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.05)
    return 1 - x * x

studies.search(studies.open_study(file, {"searched": "x"}), objective, 20, progress=False)
"""


def parabola(trial):
    return 1 - trial.suggest_float("x", -1, 1) ** 2


def search(path, trials, objective=parabola, about="x", seed=0):
    study = studies.open_study(path, {"searched": about})
    studies.search(study, objective, trials, seed, progress=False)
    return study


def test_a_search_finds_the_top_and_its_seed_repeats_it(tmp_path):
    first, again, other = (
        search(tmp_path / name, 25, seed=seed) for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert first.best_value > 0.98
    pd.testing.assert_frame_equal(studies.table(first), studies.table(again))
    assert not studies.table(first).x.equals(studies.table(other).x)


def test_a_search_that_was_interrupted_goes_on_as_it_would_have(tmp_path):
    def interrupted(trial):
        value = parabola(trial)
        if trial.number == 13:
            raise KeyboardInterrupt
        return value

    with pytest.raises(KeyboardInterrupt):
        search(tmp_path / "study", 20, interrupted)
    study, whole = search(tmp_path / "study", 20), search(tmp_path / "whole", 20)
    table, expected = studies.table(study), studies.table(whole)
    assert len(table) == 20 and 13 not in set(table.trial)
    # The settings of the trial that was lost are tried by the next.
    assert table.x[:14].tolist() == expected.x[:14].tolist()
    assert len(studies.table(search(tmp_path / "study", 5))) == 20


def test_a_process_that_is_killed_costs_its_trial(tmp_path):
    """Two processes on one study, one of them killed in a trial: all twenty are there, and once."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", WORK, str(tmp_path / "study")]
    begun = [subprocess.Popen([*command, *dies], env=environment) for dies in (["dies"], [])]
    assert [process.wait(timeout=120) for process in begun] == [-signal.SIGKILL, 0]
    study = studies.open_study(tmp_path / "study", {"searched": "x"})
    table = studies.table(study)
    states = [trial.state.name for trial in study.trials]
    assert len(table) == 20 and states.count("FAIL") == 1 and len(states) == 21
    assert table.x.nunique() == 20
    assert float((tmp_path / "died").read_text()) in set(table.x)  # it was tried again


def test_settings_that_fail_end_the_search_and_are_not_tried_again(tmp_path):
    def fails(trial):
        raise ValueError(f"no {trial.suggest_float('x', -1, 1)}")

    with pytest.raises(ValueError, match="no "):
        search(tmp_path / "study", 3, fails)
    study = search(tmp_path / "study", 3)
    failed, *others = study.trials
    assert failed.state.name == "FAIL" and len(others) == 3
    assert failed.params["x"] not in [trial.params["x"] for trial in others]


def test_a_trial_nobody_put_a_name_to_is_not_waited_for(tmp_path, monkeypatch):
    study = studies.open_study(tmp_path / "study", {"searched": "x"})
    study.ask()  # a process died right after this
    assert studies.revive(study) == 0
    real = studies.datetime.datetime

    class Later(real):
        @classmethod
        def now(cls):
            return real.now() + studies.datetime.timedelta(seconds=11)

    monkeypatch.setattr(studies.datetime, "datetime", Later)
    assert studies.revive(study) == 1
    assert len(studies.table(search(tmp_path / "study", 2))) == 2


def test_files_that_hold_something_else(tmp_path):
    search(tmp_path / "study", 1)
    with pytest.raises(ValueError, match="study holds a study with searched 'x' and not 'y'"):
        search(tmp_path / "study", 1, about="y")
    (tmp_path / "text").write_text("not a journal\nat all\n")
    with pytest.raises(ValueError, match="text holds no study that can be read"):
        search(tmp_path / "text", 1)
    backend = optuna.storages.journal.JournalFileBackend(str(tmp_path / "foreign"))
    optuna.create_study(storage=optuna.storages.JournalStorage(backend), study_name="theirs")
    with pytest.raises(ValueError, match="the study theirs, which is not ours"):
        search(tmp_path / "foreign", 1)
    with pytest.raises(ValueError, match="0 trials; a search takes at least 1"):
        search(tmp_path / "new", 0)


def test_without_optuna(tmp_path, monkeypatch):
    monkeypatch.setattr(studies.assets, "has", lambda name: name != "optuna")
    with pytest.raises(ImportError, match=r'pip install "reidlib\[tune\]"'):
        studies.open_study(tmp_path / "study", {})


# Training


@pytest.fixture
def people(tmp_path):
    """A data set in Market-1501 folders: twelve people in two cameras, each with a colour."""
    rng = np.random.default_rng(1)
    colours = rng.integers(0, 255, (16, 3))
    for folder, pids in {"train": range(1, 11), "query": (11, 12), "gallery": (11, 12)}.items():
        (tmp_path / "people" / folder).mkdir(parents=True)
        for pid in pids:
            for camid, frame in ((1, 0), (1, 7), (2, 3), (2, 9)):
                if folder == "query" and frame > 5:
                    continue
                image = np.clip(colours[pid] + rng.normal(0, 20, (32, 16, 3)), 0, 255)
                name = formats.market_name(pid, camid, frame, index=folder == "query")
                cv2.imwrite(str(tmp_path / "people" / folder / name), image.astype(np.uint8))
    return tmp_path / "people"


def test_people_held_out_are_training_people_and_not_trained_on(people):
    whole = datasets.load(people)
    split = tuning.hold_out(whole)
    trained, held = set(split.train.pid), set(split.query.pid)
    assert len(trained) == 8 and len(held) == 2 and not trained & held
    assert trained | held == set(whole.train.pid)
    assert not {*split.train.path, *split.query.path, *split.gallery.path} & set(whole.query.path)
    whole.train = whole.train[whole.train.pid.isin(sorted(trained)[:3])]
    with pytest.raises(ValueError, match="3 people to train on, too few.*needs 4"):
        tuning.hold_out(whole)


@pytest.fixture
def split(people):
    return tuning.hold_out(datasets.load(people))


def test_heads_are_tuned_and_drawn_as_a_map(split, tmp_path):
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(20, 16))
    parts = (split.train, split.query, split.gallery)
    good = [(centres[p.pid] + rng.normal(0, 0.3, (len(p), 16))).astype(np.float32) for p in parts]
    noise = [rng.normal(size=part.shape).astype(np.float32) for part in good]
    objective = tuning.heads_objective({"noise": noise, "good": good}, split, epochs=2)
    study = search(tmp_path / "study", 16, objective)
    table = studies.table(study, pruned=True)
    assert study.best_params["backbone"] == "good" and study.best_value > 0.9
    assert {"backbone", "margin", "mining", "lr", "mAP", "rank-1", "trial", "state"} == set(table)
    assert set(table.state) == {"complete", "pruned"} and len(table) == 16
    complete = studies.table(study)
    assert (complete.state == "complete").all()
    cells = studies.cells(complete, "mining", "margin")
    assert not cells.duplicated(["mining", "margin"]).any()
    assert cells.mAP.max() == complete.mAP.max() == study.best_value
    figure = plots.tuning(cells, "mining", "margin")
    shown = figure.axes[0].get_xticklabels()
    assert [float(label.get_text()) for label in shown] == sorted(set(cells.margin))


def test_a_trial_is_the_training_that_it_describes(split, tmp_path):
    settings = training.Settings(epochs=2, size=(32, 16), identities=4)
    objective = tuning.networks_objective(split, settings, ["tiny-x0.5", "tiny-x0.3"])
    study = search(tmp_path / "study", 2, objective)
    best = study.best_params
    torch.manual_seed(0)
    network = networks.SiameseNetwork(best.pop("backbone"), classes=split.train.pid.nunique())
    training.fit(network, split, settings, progress=False, **best)
    images = [datasets.read_images(p.path, (32, 16)) for p in (split.query, split.gallery)]
    assert tuning._validation(images, split)(network)["mAP"] == study.best_value


def test_the_command(people, tmp_path, capsys):
    def tune(*words):
        status = __main__.main(["tune", str(people), *map(str, words)])
        return status, capsys.readouterr()

    storage = tmp_path / "out" / "study.journal"
    words = ("--storage", storage, "--epochs", 1, "--backbone", "tiny-x0.3")
    status, text = tune("--trials", 2, *words)
    assert status == 0 and "best of 2 trials, 0 of them cut short: " in text.out
    assert "on 2 people held out" in text.out
    status, text = tune("--trials", 3, *words)
    assert status == 0 and "best of 3 trials" in text.out
    table = pd.read_csv(storage.with_suffix(".csv"))
    assert len(table) == 3 and set(table.backbone) == {"tiny-x0.3"}
    for changed, said in (
        (("--trials", 0), "0 trials"),
        (("--trials", 3, "--epochs", 2), "holds a study with epochs 1 and not 2"),
    ):
        status, text = tune(*words, *changed)
        assert status == 2 and said in text.err and "Traceback" not in text.err
