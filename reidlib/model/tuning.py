"""Tuning: margin, mining, backbone and learning rate, tried on people held out of the training.

Whoever chooses on the test people is cheating, without noticing. So some training people are set
aside, by identity, to choose on; the test part is never looked at. `studies` keeps the trials.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from reidlib.collection import datasets
from reidlib.model import embedding, networks, ranking, training

MARGINS = (0.0, 0.1, 0.3, 0.6, 1.0)
MININGS = ("hard", "semi-hard", "all")
RATES = (2e-4, 5e-3)  # bounds of the learning rate, which is drawn by its logarithm
USUAL = {"margin": 0.3, "mining": "hard", "lr": 1e-3}  # what a search tries first
HELD_OUT = 0.2  # share of the training people


def hold_out(dataset: datasets.Dataset, seed: int = 0) -> datasets.Dataset:
    """Return the training part of a data set as one of its own, a fifth of its people to choose on.

    Raises ValueError when there are fewer than four people, two to train on and two to choose on,
    or none of those held out can be found in another camera.
    """
    table = dataset.train
    people = table.pid[table.pid > 0].nunique()
    held = max(2, round(HELD_OUT * people))
    if people - held < 2:
        raise ValueError(
            f"{dataset.name} has {people} people to train on, too few to hold some out; tuning "
            "needs 4 at least, and tells little below 100"
        )
    split = datasets.split(table, train=1 - held / people, seed=seed, name=dataset.name)
    ranking.true_matches(*split.labels)
    return split


def networks_objective(
    split: datasets.Dataset, settings: training.Settings, backbones: Sequence[str]
) -> Callable:
    """Return the function that trains a network as a trial asks, and returns its validation mAP.

    `split` is as from `hold_out`. What a trial does not choose is as in `settings`. After each
    epoch the mAP is reported, and a trial below the median of the others is given up.
    """
    parts = (split.train, split.query, split.gallery)
    images, *asked = (datasets.read_images(part.path, settings.size) for part in parts)
    data, people = (images, split.train.pid.to_numpy()), split.train.pid.nunique()

    def train(trial) -> float:
        changes = _loss_and_rate(trial)
        backbone = trial.suggest_categorical("backbone", list(backbones))
        torch.manual_seed(settings.seed)
        network = networks.SiameseNetwork(backbone, classes=people)
        options = {"validate": _validation(asked, split)}
        options["on_epoch"] = _reporting(trial, settings.epochs)
        history = training.fit(network, data, settings, progress=False, **options, **changes)
        return history["mAP"].iloc[-1]

    return train


def heads_objective(
    features: Mapping[str, Sequence[np.ndarray]],
    split: datasets.Dataset,
    epochs: int = 5,
    **settings,
) -> Callable:
    """Return the function that trains a head on cached features, and returns its validation mAP.

    `features` are names and the vectors (N, D) of train, query and gallery of `split`; the name is
    the trial's backbone. `settings` go to training.train_head. A trial takes seconds.
    """

    def train(trial) -> float:
        changes = _loss_and_rate(trial)
        vectors = features[trial.suggest_categorical("backbone", list(features))]
        options = {"epochs": epochs, "on_epoch": _reporting(trial, epochs)} | settings
        options["validate"] = _validation(vectors[1:], split)
        _, result = training.train_head(vectors, split, **options, **changes)
        return result.mAP

    return train


def _loss_and_rate(trial) -> dict:
    """Ask a trial for the settings of the triplet loss and for the learning rate."""
    return {
        "margin": trial.suggest_categorical("margin", MARGINS),
        "mining": trial.suggest_categorical("mining", MININGS),
        "lr": trial.suggest_float("lr", *RATES, log=True),
    }


def _validation(asked: Sequence[np.ndarray], split: datasets.Dataset) -> Callable:
    """Return the function that scores a network on the people held out."""

    def validate(network) -> dict:
        query, gallery = (embedding.embed(network, part) for part in asked)
        result = ranking.score(query, gallery, split)
        return {"mAP": result.mAP, "rank-1": result.cmc[0]}

    return validate


def _reporting(trial, epochs: int) -> Callable:
    """Return the function that tells a trial of each epoch, and ends it when it promises little."""
    import optuna

    def report(row: dict) -> None:
        trial.report(row["mAP"], row["epoch"])
        trial.set_user_attr("scores", {name: row[name] for name in ("mAP", "rank-1")})
        if row["epoch"] < epochs and trial.should_prune():
            raise optuna.TrialPruned

    return report
