"""Panels of lesson 04: the toy world of losses, the training playground, the threshold chooser."""

from collections.abc import Mapping, Sequence

import ipywidgets
import numpy as np
import pandas as pd

from reidlib.collection import datasets
from reidlib.model import plots, ranking, toy, training, verification
from reidlib.panel import Panel

SHOWN = 5  # curves in the figure of the playground; the table holds all


def toys() -> Panel:
    """Return a panel in which a loss moves twelve points on a plane."""
    return Panel(
        toy.world,
        live=False,
        loss=ipywidgets.Dropdown(options=["triplet", "contrastive", "margin"]),
        mining=ipywidgets.Dropdown(options=["hard", "semi-hard", "all"]),
        margin=ipywidgets.FloatSlider(0.3, min=0.0, max=2.0, step=0.05),
        steps=ipywidgets.IntSlider(0, min=0, max=100, step=5),
        seed=ipywidgets.IntSlider(0, min=0, max=9),
    )


class Playground(Panel):
    """Retrain a small head with other settings; every run stays as a row and as a CMC curve.

    `features` maps a backbone's name to its vectors of the train, query and gallery images of
    `split`, which should hold validation people, never test people. `runs` is the table so far.
    """

    def __init__(
        self,
        features: Mapping[str, Sequence[np.ndarray]],
        split: datasets.Dataset,
        steps: int = 300,
    ):
        self.features, self.split, self.steps = features, split, steps
        self.results: dict[tuple, ranking.Result] = {}
        self.runs = pd.DataFrame()
        self.table = ipywidgets.HTML()
        super().__init__(
            self._draw,
            live=False,
            backbone=ipywidgets.Dropdown(options=list(features)),
            loss=ipywidgets.Dropdown(options=["triplet", "contrastive", "margin"]),
            margin=ipywidgets.FloatSlider(0.3, min=0.0, max=1.5, step=0.1),
            mining=ipywidgets.Dropdown(options=["hard", "semi-hard", "all"]),
            dim=ipywidgets.Dropdown(options=[2, 8, 32, 128, 256], value=128),
            lr=ipywidgets.Dropdown(options=[1e-4, 3e-4, 1e-3, 3e-3, 1e-2], value=1e-3),
            optimiser=ipywidgets.Dropdown(options=list(training.OPTIMISERS)),
        )
        self.children = [*self.children, self.table]

    def _draw(self, **settings):
        key = tuple(settings.values())
        again = key in self.results
        if not again:
            chosen = settings.copy()
            vectors = self.features[chosen.pop("backbone")]
            _, result = training.train_head(vectors, self.split, steps=self.steps, **chosen)
            self.results[key] = result
            row = {"run": len(self.results), **settings, "rank-1": result.cmc[0], "mAP": result.mAP}
            self.runs = pd.concat([self.runs, pd.DataFrame([row])])
            self.table.value = self.runs[::-1].to_html(index=False, float_format="{:.4g}".format)
        number = list(self.results).index(key) + 1
        names = [*range(max(1, len(self.results) - SHOWN + 1), len(self.results) + 1)]
        if number not in names:
            names = [number, *names[1:]]
        results = list(self.results.values())
        curves = {f"run {n}": results[n - 1].cmc for n in names}
        result = results[number - 1]
        what = "was made before" if again else "is new"
        sentence = f"Run {number} {what}: rank-1 {result.cmc[0]:.3f}, mAP {result.mAP:.3f}."
        return plots.cmc(curves), sentence


def thresholds(pairs: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Panel:
    """Return a panel that puts the threshold where false matches have a chosen rate.

    `pairs` maps a method to its distances of pairs of one person and of pairs of two.
    """

    def draw(method: str, false_match_rate: float, gallery: int):
        same, different = pairs[method]
        limit = verification.threshold_at(false_match_rate, different)
        found, alarms = np.mean(same <= limit), gallery * np.mean(different <= limit)
        sentence = (
            f"Threshold {limit:.3f}, a similarity of {1 - limit:.3f}: {found:.0%} of the pairs of "
            f"one person are found; among {gallery:,} strangers expect {alarms:.3g} false matches."
        )
        return plots.distances(same, different, limit, method), sentence

    return Panel(
        draw,
        live=False,
        method=ipywidgets.Dropdown(options=list(pairs)),
        false_match_rate=ipywidgets.FloatLogSlider(
            0.01, min=-4, max=-0.5, step=0.25, readout_format=".4f"
        ),
        gallery=ipywidgets.Dropdown(options=[100, 1000, 10_000, 100_000], value=1000),
    )
