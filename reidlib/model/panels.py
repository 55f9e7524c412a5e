"""Panels of lesson 04: the toy world of losses, the training playground, the threshold chooser."""

from collections.abc import Mapping, Sequence

import ipywidgets
import numpy as np
import pandas as pd

from reidlib.collection import datasets
from reidlib.live import Live, pack
from reidlib.model import plots, ranking, toy, training
from reidlib.panel import Panel

SHOWN = 5  # curves in the figure of the playground; the table holds all


def toys() -> Live:
    """Return a panel in which a loss moves twelve points on a plane, and a hand does too."""
    starts = [toy.start(seed).round(4).tolist() for seed in range(10)]
    data = {"labels": toy.LABELS.tolist(), "starts": starts, "beta": 1.0, "rate": toy.RATE}
    state = {"loss": "triplet", "mining": "hard", "margin": 0.3, "seed": 0, "steps": 0, "anchor": 0}
    return Live("model/toys.js", data, points=starts[0], **state)


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
            mining=ipywidgets.Dropdown(options=["all", "semi-hard", "hard"]),  # hard may collapse
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


def thresholds(pairs: Mapping[str, tuple[np.ndarray, np.ndarray]], step: float = 0.001) -> Live:
    """Return a panel that shows one threshold on the distances, the ROC and precision and recall.

    `pairs` maps a method to its distances of pairs of one person and of pairs of two. They are
    counted in bins of width `step`, so what the panel says of a threshold is exact at its steps.
    """
    farthest = max(np.max(distances) for both in pairs.values() for distances in both)
    edges = step * np.arange(np.ceil(farthest / step) + 1)
    methods = [
        {"name": name, "same": pack(_counts(same, edges)), "different": pack(_counts(two, edges))}
        for name, (same, two) in pairs.items()
    ]
    chosen = {"method": methods[0]["name"], "gallery": 1000, "rate": 0.01, "threshold": 0.0}
    return Live("model/thresholds.js", {"step": step, "methods": methods}, **chosen)


def _counts(distances: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return how many distances lie in each bin, an edge within the bin that it ends (uint32)."""
    rounded = np.round(distances, 6)  # in float32 an edge would lie a little beside itself
    return np.bincount(np.searchsorted(np.round(edges, 6), rounded), minlength=len(edges)).astype(
        np.uint32
    )
