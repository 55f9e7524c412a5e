"""Panels of lesson 01: a camera planner, quality thresholds, labelling, an augmentation bench."""

import dataclasses
from collections.abc import Mapping

import ipywidgets
import numpy as np
import pandas as pd

from reidlib.collection import annotation, camera_plots, cameras, plots, quality
from reidlib.live import Live
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
        change=slider("change", 1.0, 0.01),
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


class Labeller(Panel):
    """Give tracks their person: name a track, merge two, split one at a frame, or take it back.

    `table` holds tracks as of `formats.read_mot`, `crops` what `cut` made of it. `actions` is
    what was done so far, `result` what `replay` makes of it: the table with a column pid.
    """

    def __init__(self, table: pd.DataFrame, crops: Mapping[int, np.ndarray]):
        self.table, self.crops, self.actions, self._quiet = table, crops, [], False
        self.result = annotation.replay(table, [])
        ids = self._tracks()
        self.buttons = {}
        for what in ("name", "merge", "split", "undo"):
            self.buttons[what] = ipywidgets.Button(description=what)
            self.buttons[what].on_click(lambda button: self.do(button.description))
        super().__init__(
            self._draw,
            live=False,
            track=ipywidgets.Dropdown(options=ids),
            other=ipywidgets.Dropdown(options=ids, value=ids[min(1, len(ids) - 1)]),
            frame=ipywidgets.IntSlider(0, min=0, max=int(table.frame.max())),
            pid=ipywidgets.BoundedIntText(1, min=-1, max=9999),
        )
        controls, *shown = self.children
        self.children = [controls, ipywidgets.HBox([*self.buttons.values()]), *shown]

    def do(self, what: str) -> None:
        """Name, merge or split as the controls say, or undo; an impossible wish changes nothing."""
        now = self.values()
        values = {"name": now["pid"], "merge": now["other"], "split": now["frame"]}
        actions = self.actions[:-1]
        if what != "undo":
            actions = [*self.actions, (what, now["track"], values[what])]
        try:
            self.result = annotation.replay(self.table, actions)
        except ValueError as error:
            self.show_error(str(error))
            return
        self.actions, self._quiet = actions, True  # one redrawing, not one for each control
        for control in (self.controls["track"], self.controls["other"]):
            kept, ids = control.value, self._tracks()
            control.options = ids
            control.value = kept if kept in ids else ids[0]
        self._quiet = False
        self.redraw()

    def _moved(self, change) -> None:
        if not self._quiet:
            super()._moved(change)

    def _tracks(self) -> list[int]:
        return sorted(int(track) for track in self.result.track.unique())

    def _draw(self, track: int, other: int, frame: int, pid: int):
        names = self.result.groupby("track").pid.first().to_dict()
        done = ", ".join(" ".join(map(str, action)) for action in self.actions) or "nothing yet"
        sentence = f"{(self.result.pid >= 0).mean():.0%} of the boxes have a name. Done: {done}."
        return plots.tracks(self.result, self.crops, [track, other], names, frame), sentence
