"""Panels of lesson 04: the toy world of losses, the training playground, the threshold chooser."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
import traitlets

from reidlib.collection import datasets
from reidlib.live import Live, pack
from reidlib.model import embedding, ranking, toy, training, watching

CHOICES = {  # of the playground
    "loss": ["triplet", "contrastive", "margin"],
    "mining": ["all", "semi-hard", "hard"],
    "dim": [2, 8, 32, 128, 256],
    "lr": [1e-4, 3e-4, 1e-3, 3e-3, 1e-2],
    "optimiser": list(training.OPTIMISERS),
}
BEGIN = {"loss": "triplet", "margin": 0.3, "mining": "all"}  # hard may collapse
BEGIN |= {"dim": 128, "lr": 1e-3, "optimiser": "adam"}
MARGINS = [0.0, 0.1, 0.3, 0.8, 1.5]  # the web book has runs of these
PAIRED = [  # and of these changes, which lesson 04 proposes
    {"loss": "contrastive", "margin": 0.1},
    {"optimiser": "sgd", "lr": 1e-2},
    {"backbone": "bundled", "mining": "hard"},
    {"backbone": "bundled", "dim": 2},
    {"backbone": "bundled", "margin": 1.5},
    {"backbone": "tiny, untrained", "mining": "hard"},
]
PEOPLE, IMAGES, RANKS = 8, 8, 20  # on the playground's plane, and of its CMC curve


def toys() -> Live:
    """Return a panel in which a loss moves twelve points on a plane, and a hand does too."""
    starts = [toy.start(seed).round(4).tolist() for seed in range(10)]
    data = {"labels": toy.LABELS.tolist(), "starts": starts, "beta": 1.0, "rate": toy.RATE}
    state = {"loss": "triplet", "mining": "hard", "margin": 0.3, "seed": 0, "steps": 0, "anchor": 0}
    return Live("model/toys.js", data, points=starts[0], **state)


class Playground(Live):
    """Retrain a small head with other settings, and watch it learn; every run stays in the table.

    `features` maps a backbone's name to its vectors of the train, query and gallery images of
    `split`, which should hold validation people, never test people. `runs` is the table so far,
    `results` has the score of every finished run. A kernel trains a few steps at a time and reads
    its messages in between, so it hears of a pause; elsewhere a run is over when `state` is set.
    """

    course = traitlets.Dict().tag(sync=True)  # the run that is being trained, as far as it is

    def __init__(
        self,
        features: Mapping[str, Sequence[np.ndarray]],
        split: datasets.Dataset,
        steps: int = 300,
    ):
        self.features, self.split, self.steps = features, split, steps
        self.results: dict[tuple, ranking.Result] = {}
        self.runs = pd.DataFrame()
        self.training, self.latest = None, None  # of a run that is not over: the rest, its score
        pids = split.gallery["pid"].to_numpy()
        people = np.unique(pids[pids > 0])[:PEOPLE]
        self.rows = np.concatenate([np.flatnonzero(pids == pid)[:IMAGES] for pid in people])
        self.begin = {"backbone": next(iter(features)), **BEGIN}
        choices = {"backbone": list(features), **CHOICES}
        data = {"choices": choices, "runs": [], "people": pids[self.rows].tolist()}
        moves = {"run": -1, "moment": 0, "doing": "run", "pins": [[0, 0]]}
        super().__init__("model/playground.js", data, **self.begin, **moves)
        self._start(self.begin)
        while self._advance():
            pass
        self.state = self.state | {"run": 0, "moment": len(self.data["runs"][0]["frames"]) - 1}
        self.observe(lambda change: self._moved(), "state")

    def settings(self) -> dict:
        """Return what is chosen on the screen; mining is "none" where it has no effect."""
        return _effective({name: self.state[name] for name in self.begin})

    def record(self) -> dict:
        """Return the panel with the runs of a small grid, which the web book plays.

        The seconds that it took to train them are no part of the lesson, and so stand beside them.
        """
        begun, runs = time.perf_counter(), list(self.data["runs"])
        alone = {**self.data["choices"], "margin": MARGINS}
        grid = [{name: value} for name, values in alone.items() for value in values]
        for change in [*grid, *PAIRED]:
            settings = _effective(self.begin | change)
            if settings["backbone"] in self.features and settings not in _settings(runs):
                *_, (run, _) = self._learn(settings)
                runs.append(run)
        return super().record(runs=runs) | {"seconds": time.perf_counter() - begun}

    def _moved(self) -> None:
        """Stop what is trained, or train with the settings on the screen if nobody did so yet."""
        settings = self.settings()
        if self.state["doing"] == "stop":
            self._end()
            return
        begun = self.course.get("settings") == settings  # and perhaps ended with an error
        if self.state["run"] >= 0 or begun or tuple(settings.values()) in self.results:
            return
        self._start(settings)
        try:
            asyncio.get_running_loop().create_task(self._drive(self.training))
        except RuntimeError:  # no kernel: nobody waits
            while self._advance():
                pass

    async def _drive(self, training: Iterator) -> None:
        """Train to the end, or until another training takes its place; wait while paused."""
        more = True
        while more and self.training is training:
            paused = self.state["doing"] == "pause"
            await asyncio.sleep(0.05 if paused else 0.002)  # the kernel reads its messages
            if self.training is training and self.state["doing"] != "pause":
                more = self._advance()

    def _start(self, settings: dict) -> None:
        if self.training is not None:
            self.training.close()
        self.course = {"settings": settings, "frames": []}
        self.training = self._learn(settings)

    def _advance(self) -> bool:
        """Train a few steps; say whether there may be more."""
        try:
            self.course, self.latest = next(self.training)
        except StopIteration:
            self.results[tuple(self.course["settings"].values())] = self.latest
            self._end()
        except Exception as error:  # shown to the person who chose the settings, not swallowed
            self.course = self.course | {"error": f"{type(error).__name__}: {error}"}
            self.training = None
        return self.training is not None

    def _end(self) -> None:
        """Make a row of the table of what was trained, finished or not."""
        if self.training is None:
            return
        self.training.close()
        self.training, run = None, self.course
        if run["frames"]:
            scores = {"rank-1": self.latest.cmc[0], "mAP": self.latest.mAP}
            row = {**run["settings"], "steps": run["frames"][-1]["step"], **scores}
            row = pd.DataFrame([{"run": len(self.runs) + 1, **row}])
            self.runs = pd.concat([self.runs, row], ignore_index=True)
            self.data = self.data | {"runs": [*self.data["runs"], run]}
        self.course = {}

    def _learn(self, settings: dict) -> Iterator[tuple[dict, ranking.Result]]:
        """Train with some settings, and yield the run so far, and its score, every few steps."""
        chosen = {name: value for name, value in settings.items() if value != "none"}
        vectors = self.features[chosen.pop("backbone")]
        moments = watching.watch(vectors, self.split, self.rows, steps=self.steps, **chosen)
        run = {"settings": settings, "frames": []}
        while True:
            # Here, not around the loop: what others compute in between has its own threads, and
            # their random numbers stay as they were.
            with torch.random.fork_rng(devices=[]), embedding.one_thread():
                moment = next(moments, None)
            if moment is None:
                return
            run = run | {"steps": moment.steps, "frames": [*run["frames"], _frame(moment)]}
            yield run, moment.result


def _effective(settings: dict) -> dict:
    """Return settings without what has no effect: only the triplet loss mines."""
    return settings if settings["loss"] == "triplet" else settings | {"mining": "none"}


def _settings(runs: Sequence[Mapping]) -> list[dict]:
    return [run["settings"] for run in runs]


def _frame(moment: watching.Moment) -> dict:
    """Return a moment as the browser draws it; places on the plane are numbers from 0 to 250."""
    places = np.round(100 * (np.clip(moment.points, -1.25, 1.25) + 1.25))
    return {
        "step": moment.step,
        "loss": moment.loss if moment.loss is None else round(moment.loss, 5),
        "mAP": round(float(moment.result.mAP), 5),
        "cmc": [round(float(share), 4) for share in moment.result.cmc[:RANKS]],
        "points": pack(places.astype(np.uint8)),
    }


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
