"""Panels of lesson 02: detection thresholds, a live loop and its screen, tracker parameters."""

import functools
import time
from collections.abc import Mapping

import cv2
import ipywidgets
import numpy as np
import pandas as pd

from reidlib.detection import detectors, plots, scores, tracking
from reidlib.detection.tracker import Tracker
from reidlib.panel import Panel


def thresholds(
    images: Mapping[int, np.ndarray],
    candidates: Mapping[int, np.ndarray],
    truth: pd.DataFrame,
    visibility: float = 0.3,
) -> Panel:
    """Return a panel of confidence and NMS over the raw candidates of a few frames.

    `images` and `candidates`, (N, 5) as from `Detector.raw`, are by frame number; `truth` is as
    from `formats.read_mot`. People less visible than `visibility` need not be found.
    """
    truth = truth[truth.frame.isin(list(images))]

    @functools.cache
    def curve(nms: float) -> pd.DataFrame:
        found = {frame: detectors.select(boxes, 0, nms) for frame, boxes in candidates.items()}
        table = pd.concat(found, names=["frame"]).reset_index("frame")
        return scores.precision_recall(truth, table, visibility=visibility)

    def draw(frame: int, confidence: float, nms: float):
        found = detectors.select(candidates[frame], confidence, nms)
        here, points = truth[truth.frame == frame], curve(round(nms, 2))
        kept = points[points.confidence >= confidence]
        sentence = "Nothing is sure enough for this threshold."
        if len(kept):
            sentence = (
                f"Over {len(images)} frames: of {len(kept)} boxes {kept.precision.iloc[-1]:.0%} "
                f"are right, and {kept.recall.iloc[-1]:.0%} of the people are found."
            )
        return plots.thresholds(images[frame], found, here, points, confidence), sentence

    return Panel(
        draw,
        live=False,
        frame=ipywidgets.SelectionSlider(options=sorted(images)),
        confidence=ipywidgets.FloatSlider(0.25, min=0.05, max=0.95, step=0.05),
        nms=ipywidgets.FloatSlider(0.7, min=0.1, max=1.0, step=0.05, description="NMS IoU"),
    )


def realtime() -> Panel:
    """Return a panel that plays a live loop through: the rate of the camera against the work."""

    def draw(rate: float, work: float, every: int):
        runs = {
            "in turn": tracking.serve(rate, work / 1000, every),
            "newest only": tracking.serve(rate, work / 1000, every, wait=False),
        }
        late, newest = (run.delay.iloc[-1] for run in runs.values())
        sentence = (
            f"{work:g} ms a frame allow {1000 / work:.1f} frames a second, and "
            f"{rate / every:.1f} come. After 10 s: {late:.2f} s late with every frame in turn, "
            f"{newest:.2f} s with the newest only, which looks at {len(runs['newest only'])} "
            f"frames instead of {len(runs['in turn'])}."
        )
        return plots.delays(runs), sentence

    return Panel(
        draw,
        rate=ipywidgets.FloatSlider(25.0, min=5.0, max=60.0, step=2.5, description="frames a s"),
        work=ipywidgets.FloatSlider(50.0, min=5.0, max=200.0, step=5.0, description="work, ms"),
        every=ipywidgets.IntSlider(1, min=1, max=6, description="use every"),
    )


class Monitor(ipywidgets.VBox):
    """A screen for a loop over a live source: the newest picture, its rate and its delay.

    Delays count from `start`, when the camera begins; without it, from the first picture. `log`
    gathers frame, time and delay (seconds) of every picture shown.
    """

    def __init__(self):
        self.label = ipywidgets.HTML("no frame yet")
        shape = ipywidgets.Layout(max_width="100%", align_self="flex-start")
        self.screen = ipywidgets.Image(format="jpeg", layout=shape)
        self._began = None
        self._rows: list[tuple[int, float, float]] = []
        super().__init__([self.label, self.screen])

    def start(self) -> None:
        """Forget what was shown: the camera begins now."""
        self._began, self._rows = time.monotonic(), []

    @property
    def log(self) -> pd.DataFrame:
        return pd.DataFrame(self._rows, columns=["frame", "time", "delay"])

    def show(self, index: int, seconds: float, image: np.ndarray) -> str:
        """Show frame `index`, which the camera gave at `seconds`; return the read-out."""
        now = time.monotonic()
        self._began = now - seconds if self._began is None else self._began
        self._rows.append((index, seconds, max(0.0, now - self._began - seconds)))
        recent = self._rows[-10:]
        passed = recent[-1][1] + recent[-1][2] - recent[0][1] - recent[0][2]
        rate = (len(recent) - 1) / passed if passed > 0 else 0.0
        skipped = index + 1 - self._rows[0][0] - len(self._rows)
        self.screen.value = cv2.imencode(".jpg", image[..., ::-1])[1].tobytes()
        self.label.value = (
            f"frame {index}, {seconds:.1f} s: {rate:.1f} frames a second, "
            f"{recent[-1][2]:.2f} s late, {skipped} frames skipped"
        )
        return self.label.value


def tracker(
    detections: pd.DataFrame,
    truth: pd.DataFrame,
    embeddings: np.ndarray | None = None,
    size: tuple[int, int] = (640, 360),
    *,
    times,
) -> Panel:
    """Return a panel that tracks cached detections anew while parameters move.

    `detections` and `embeddings` are as for `tracking.replay`, `truth` is as from
    `formats.read_mot`, `times` the seconds of every frame as from `video.times`. Colours are
    tracks, rows are the true people.
    """

    def draw(appearance: bool, **settings):
        follow = Tracker(size=size, low=min(0.1, settings["high"]), **settings)
        vectors = embeddings if appearance else None
        tracks = tracking.replay(detections, follow, vectors, times)
        matched = scores.matches(truth, tracks)
        sentence = (
            f"<b>{int(matched.switch.sum())} identity switches</b>; "
            f"{tracks.track.nunique()} tracks for {matched.person.nunique()} people; "
            f"{(matched.track >= 0).mean():.0%} of their boxes are covered."
        )
        return plots.identities_over_time(matched, times), sentence

    return Panel(
        draw,
        live=False,
        appearance=ipywidgets.Checkbox(embeddings is not None, disabled=embeddings is None),
        assignment=ipywidgets.Dropdown(options=["hungarian", "greedy"]),
        iou=ipywidgets.FloatSlider(0.28, min=0.02, max=0.9, step=0.02, description="IoU"),
        weight=ipywidgets.FloatSlider(0.7, min=0.0, max=1.0, step=0.1),
        alike=ipywidgets.FloatSlider(0.5, min=0.0, max=1.5, step=0.1),
        min_hits=ipywidgets.IntSlider(2, min=1, max=10),
        patience=ipywidgets.FloatSlider(2.0, min=0.0, max=5.0, step=0.1, description="patience, s"),
        high=ipywidgets.FloatSlider(0.25, min=0.05, max=0.9, step=0.05, description="confidence"),
    )
