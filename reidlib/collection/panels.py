"""Panels of lesson 01: a camera planner, quality thresholds, labelling, an augmentation bench."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

import ipywidgets
import numpy as np
import pandas as pd

from reidlib import assets
from reidlib.collection import annotation, camera_plots, cameras, plots, quality
from reidlib.live import Live, jpeg, pack
from reidlib.panel import Panel


def planner() -> Live:
    """Return a panel that plans one camera: what it resolves, and from where to where."""
    data = {"levels": cameras.LEVELS, "sensor": camera_plots.SENSOR, "person": camera_plots.PERSON}
    settings = {"width": 1920, "focal": 4.0, "height": 3.0, "tilt": 15.0, "distance": 10.0}
    return Live("collection/planner.js", data, **settings)


def thresholds(reports: Mapping[str, quality.Report]) -> Panel:
    """Return a panel that judges measured clips anew while thresholds move."""
    default = quality.Thresholds()

    def slider(name: str, high: float, step: float) -> ipywidgets.FloatSlider:
        return ipywidgets.FloatSlider(getattr(default, name), min=0.0, max=high, step=step)

    def draw(clip: str, brightness: tuple[float, float], **limits):
        chosen = quality.Thresholds(brightness=brightness, **limits)
        judged = {
            name: quality.judge(report.table, report.clip, chosen)
            for name, report in reports.items()
        }
        verdict, reasons = judged[clip]
        shown = dataclasses.replace(reports[clip], verdict=verdict, reasons=reasons)
        kept = sum(verdict == "accept" for verdict, _ in judged.values())
        why = "; ".join(reasons) or "nothing to object to"
        sentence = f"{clip}: {verdict}, {why}. {kept} of {len(judged)} clips are accepted."
        return plots.quality(shown, chosen, clip), sentence

    return Panel(
        draw,
        live=False,
        clip=ipywidgets.Dropdown(options=list(reports)),
        sharpness=slider("sharpness", 1.0, 0.02),
        brightness=ipywidgets.FloatRangeSlider(value=default.brightness, min=0.0, max=255.0),
        contrast=slider("contrast", 80.0, 1.0),
        change=slider("change", 12.0, 0.1),
        person_height=slider("person_height", 250.0, 2.0),
        failing=slider("failing", 1.0, 0.05),
    )


def bench(images: Mapping[str, np.ndarray]) -> Panel:
    """Return a panel that changes one of several crops, step by step and at random."""
    return Panel(
        lambda person, **settings: plots.bench(images[person], **settings),
        live=False,
        person=ipywidgets.Dropdown(options=list(images)),
        crop=ipywidgets.FloatSlider(0.1, min=0.0, max=0.5, step=0.02),
        flip=ipywidgets.Checkbox(True),
        rotate=ipywidgets.FloatSlider(8.0, min=-45.0, max=45.0, step=1.0, description="rotate, °"),
        contrast=ipywidgets.FloatSlider(1.4, min=0.2, max=2.0, step=0.1),
        brightness=ipywidgets.FloatSlider(0.7, min=0.2, max=2.0, step=0.1),
        erase=ipywidgets.FloatSlider(0.15, min=0.0, max=0.5, step=0.05),
        rows=ipywidgets.Dropdown(options=[256, 128, 64, 32], value=128, description="rows, pixels"),
        seed=ipywidgets.IntSlider(0, min=0, max=20),
    )


class Labeller(Live):
    """Give tracks their person: name a track, merge two, split one at a frame, or take it back.

    `table` holds tracks as of `formats.read_mot`, `crops` what `annotation.cut` made of it. What
    was done is in `actions`; with a `path` it is written there at once, and gone on with when the
    panel is made again. The browser reads the number on the screen at the moment it is confirmed.
    """

    def __init__(
        self, table: pd.DataFrame, crops: Mapping[int, np.ndarray], path: str | Path | None = None
    ):
        self.table, self.path = table, path
        actions = json.loads(Path(path).read_text("utf-8")) if path and Path(path).exists() else []
        ids = sorted(annotation.replay(table, actions)["track"].unique().tolist())
        places = {row: place for place, row in enumerate(table.index)}
        data = {name: pack(table[name].to_numpy(np.int32)) for name in ("frame", "track")}
        data["crops"] = [{"row": places[row], "jpeg": jpeg(crop)} for row, crop in crops.items()]
        chosen = {"track": ids[0], "other": ids[min(1, len(ids) - 1)], "frame": 0}
        super().__init__("collection/labeller.js", data, actions=actions, **chosen)
        self.observe(lambda change: self._keep(), "state")

    @property
    def actions(self) -> list[tuple[str, int, int]]:
        """What was done so far, as `annotation.replay` does it again."""
        return [tuple(action) for action in self.state["actions"]]

    @property
    def result(self) -> pd.DataFrame:
        """The table after all that was done, with a column pid."""
        return annotation.replay(self.table, self.actions)

    def _keep(self) -> None:
        if self.path:
            with assets.atomic(self.path) as temporary:
                temporary.write_text(json.dumps(self.actions), "utf-8")
