"""Watching a small head learn: its loss, its score and its embedding after every few steps."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from reidlib.collection import datasets
from reidlib.model import embedding, ranking, training


@dataclass(frozen=True)
class Moment:
    """What a head knows after `step` of `steps`: its score, and where some images lie.

    `loss` is the mean since the moment before, None before the first step; `points` (N, 2) is the
    embedding of the images that are watched, `embedding.on_a_plane`.
    """

    step: int
    steps: int
    loss: float | None
    result: ranking.Result
    points: np.ndarray


def watch(
    vectors: Sequence[np.ndarray],
    split: datasets.Dataset,
    rows: Sequence[int],
    looks: int = 15,
    **settings,
) -> Iterator[Moment]:
    """Train a head as `training.train_head` does, and yield about `looks` moments on the way.

    The first is before the first step, the last after the last one. `vectors` are the features of
    the train, query and gallery images of `split`, `rows` the gallery images to watch. `settings`
    are those of `training.train_head`.
    """
    trainer = training.head_trainer(vectors, split, **settings)
    steps = trainer.settings.epochs * trainer.steps
    every = max(1, round(steps / looks))

    def moment(step: int, loss: float | None, before: np.ndarray | None) -> Moment:
        query, gallery = (embedding.embed(trainer.model, part) for part in vectors[1:])
        points = embedding.on_a_plane(gallery[rows], before)
        return Moment(step, steps, loss, ranking.score(query, gallery, split), points)

    latest = moment(0, None, None)
    yield latest
    costs, step = [], 0
    for epoch in range(trainer.settings.epochs):
        for score in trainer.learn(epoch):
            step += 1
            costs.append(score["metric_loss"])
            if step % every == 0 or step == steps:
                latest = moment(step, float(np.mean(costs)), latest.points)
                costs = []
                yield latest
