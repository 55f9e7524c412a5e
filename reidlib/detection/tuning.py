"""Tuning the tracker: settings tried on clips whose truth is known.

Detecting takes far longer than tracking, so what was found in each frame is kept in a file, and
every trial follows the same boxes. Tracks are scored as known at the time, see tracking.replay.
"""

import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from reidlib import assets
from reidlib.boxes import BOX
from reidlib.detection import scores, tracking
from reidlib.detection.streaming import stream
from reidlib.detection.tracker import Tracker

FAINTEST = 0.05  # the least confidence of a box that is kept
SPACE = {
    "high": (0.1, 0.5),
    "iou": (0.1, 0.5),
    "buffer": (0.0, 0.6),
    "weight": (0.0, 0.9),
    "alike": (0.2, 0.8),
    "min_hits": (1, 5),
    "patience": (0.5, 5.0),
}
# The tracker's own settings: what a search tries first.
USUAL = {name: usual for name, usual in Tracker.__init__.__kwdefaults__.items() if name in SPACE}


class Footage(NamedTuple):
    """What the detector saw in a clip, and what is true of it.

    `detections` has frame x1 y1 x2 y2 confidence, `embeddings` a row a box or is None, `times` the
    seconds of each frame; `size` is the picture's, (width, height).
    """

    name: str
    truth: pd.DataFrame
    detections: pd.DataFrame
    embeddings: np.ndarray | None
    times: np.ndarray
    size: tuple[int, int]


class _Recorder(Tracker):
    """Follows nobody, and keeps what a tracker would be told."""

    def __init__(self):
        super().__init__(high=FAINTEST, low=FAINTEST)
        self.told = []

    def update(self, detections, embeddings=None, time=None, camera=None) -> pd.DataFrame:
        boxed = detections[[*BOX, "confidence"]].to_numpy(np.float32)
        self.told.append((boxed, embeddings, time))
        return detections[:0].assign(track=0)


def record(source, detector: Callable, extractor: Callable | None = None, stop=None) -> dict:
    """Detect and embed the people in every frame of a video, the faint ones too.

    Returns arrays: "boxes" (N, 5), corners and confidence, "frame" (N,), "embeddings" (N, D) of
    float16, NaN where a box has none, and "times", in seconds, of all frames.
    """
    recorder = _Recorder()
    for _ in stream(source, detector, extractor, tracker=recorder, stop=stop):
        pass
    boxed, vectors, times = zip(*recorder.told) if recorder.told else ((), (), ())
    width = max((part.shape[1] for part in vectors if part is not None), default=0)
    empty = [np.full((len(part), width), np.nan, np.float16) for part in boxed]
    vectors = [none if part is None else part for part, none in zip(vectors, empty)]
    return {
        "boxes": np.concatenate([np.empty((0, 5), np.float32), *boxed]),
        "frame": np.repeat(np.arange(len(boxed)), [len(part) for part in boxed]),
        "embeddings": np.concatenate([np.empty((0, width)), *vectors]).astype(np.float16),
        "times": np.array(times, float),
    }


def footage(name: str, truth: pd.DataFrame, size, path: str | Path, made: Callable) -> Footage:
    """Return the footage of a clip, read from the file `path`; ``made()`` fills a missing one.

    Raises ValueError for a file that holds something else.
    """
    if not Path(path).exists():
        arrays = made()
        with assets.atomic(path) as temporary:
            np.savez(temporary, **arrays)
    try:
        with np.load(path, allow_pickle=False) as file:
            boxed, frame = file["boxes"], file["frame"]
            vectors, times = file["embeddings"].astype(np.float32), file["times"]
            table = pd.DataFrame(boxed, columns=[*BOX, "confidence"]).assign(frame=frame)
    except (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} holds no detections that can be read; delete it, and they are made again"
        ) from error
    return Footage(name, truth, table, vectors if vectors.shape[1] else None, times, size)


def objective(clips: Sequence[Footage]) -> Callable:
    """Return the function that tracks all clips as a trial asks, and returns their mean IDF1.

    After each clip the mean so far is reported, and a trial below the median of the others is given
    up. Raises ValueError when there is no clip, or two have one name.
    """
    names = [clip.name for clip in clips]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"clips {names}; expected at least one, each with a name of its own")

    def follow(trial) -> float:
        import optuna

        settings = {name: _ask(trial, name) for name in SPACE}
        found = {}
        for number, clip in enumerate(clips, 1):
            found[clip.name] = idf1(clip, settings)
            mean = float(np.mean(list(found.values())))
            trial.set_user_attr("scores", {"IDF1": mean, **found})
            trial.report(mean, number)
            if number < len(clips) and trial.should_prune():
                raise optuna.TrialPruned
        return mean

    return follow


def idf1(clip: Footage, settings: dict) -> float:
    """Return the IDF1 of a tracker of these settings on a clip."""
    tracker = Tracker(clip.size, **settings)
    tracks = tracking.replay(clip.detections, tracker, clip.embeddings, clip.times)
    return float(scores.evaluate(clip.truth, tracks)["IDF1"])


def left_out(table: pd.DataFrame, clips: Sequence[str]) -> float:
    """Return the mean IDF1 on clips that were left out of the choice, each in its turn.

    `table` is as from studies.table, complete trials only. For each clip the trial that is best on
    all the others is taken: what a search is worth on a clip that it has not seen. The best trial's
    own mean was chosen for being high. Raises ValueError for less than two clips.
    """
    clips = list(clips)
    if len(clips) < 2:
        raise ValueError(f"{len(clips)} clip; leaving one out takes at least 2")
    chosen = []
    for clip in clips:
        others = table[[name for name in clips if name != clip]].mean(axis=1)
        chosen.append(table[clip][others.idxmax()])
    return float(np.mean(chosen))


def in_words(table: pd.DataFrame, clips: Sequence[str]) -> str:
    """Return what a search is worth: the best IDF1, the usual one, and that on clips left out."""
    usual = (table[list(USUAL)] == pd.Series(USUAL)).all(axis=1)
    said = [f"IDF1 {table['IDF1'].max():.3f}"]
    said += [f"as usual {value:.3f}" for value in table["IDF1"][usual][:1]]
    if len(clips) > 1:
        said.append(f"on each clip by what is best on the others {left_out(table, clips):.3f}")
    return ", ".join(said)


def _ask(trial, name: str) -> float | int:
    low, high = SPACE[name]
    suggest = trial.suggest_int if isinstance(low, int) else trial.suggest_float
    return suggest(name, low, high)
