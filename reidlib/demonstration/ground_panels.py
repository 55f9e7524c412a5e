"""A panel to say where a camera's ground lies: four points of a frame, and the same on a plan."""

import html
from collections.abc import Mapping
from pathlib import Path

import ipywidgets
import numpy as np
import pandas as pd

from reidlib import assets
from reidlib.collection import camera_plots, cameras
from reidlib.demonstration import site_file
from reidlib.panel import Panel

# Where the points are before somebody has set them: shares of the frame, and metres.
GUESS = np.array([[0.2, 0.9], [0.8, 0.9], [0.65, 0.55], [0.35, 0.55]])
METRES = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 8.0], [0.0, 8.0]])


class GroundPoints(Panel):
    """Moves four points over a frame by sliders; people's feet appear on the plan.

    `stills` is camera to frame number to image, `tables` camera to its boxes (frame, time, track,
    x1..y2). With `site`, a site file, points that it has are shown first, and `keep` writes those
    of the camera on the screen into it. `points` and `plan` hold (4, 2) for each camera, `touched`
    which of them somebody has set. Tab and Space choose a point, arrow keys move a slider.
    """

    def __init__(
        self,
        stills: Mapping[str, Mapping[int, np.ndarray]],
        tables: Mapping[str, pd.DataFrame],
        site: str | Path | None = None,
    ):
        self.stills, self.tables = stills, tables
        self.site = None if site is None else Path(site)
        self.points, self.plan, self.touched = {}, {}, {}
        for camera, shots in stills.items():
            height, width = next(iter(shots.values())).shape[:2]
            said = self.site and site_file.ground_points(self.site.read_text("utf-8"), camera)
            image, plan = said or (GUESS * [width, height], METRES)
            self.points[camera] = np.round(np.array(image, float))
            self.plan[camera] = np.array(plan, float)
            self.touched[camera] = {0, 1, 2, 3} if said else set()
        self.loading, first = False, next(iter(stills))
        super().__init__(
            self._draw,
            live=False,
            dpi=75,
            # Buttons, as JupyterLab takes the arrows up and down away from lists.
            camera=_choice({name: name for name in stills}),
            point=_choice({str(n + 1): n for n in range(4)}),
            x=ipywidgets.IntSlider(0, 0, 1, description="x, pixels"),
            y=ipywidgets.IntSlider(0, 0, 1, description="y, pixels"),
            east=ipywidgets.FloatText(step=0.1, description="x on the plan, m"),
            north=ipywidgets.FloatText(step=0.1, description="y on the plan, m"),
            moment=ipywidgets.IntSlider(0, 0, len(stills[first]) - 1),
        )
        self.button = ipywidgets.Button(description="keep in the site file")
        self.button.on_click(lambda _: self.keep())
        self.lines = ipywidgets.HTML()
        self.children = [*self.children, self.button, self.lines]
        self._load()

    def _draw(self, camera, point, moment, **_):
        frames = sorted(self.stills[camera])
        frame = frames[min(moment, len(frames) - 1)]
        points, plan = self.points[camera], self.plan[camera]
        ground, error = None, ""
        try:
            ground = cameras.ground_from_points(points, plan)
        except ValueError as reason:
            error = f"<b class='panel-error'>{html.escape(str(reason))}</b>"
        shown = self.stills[camera][frame], self.tables[camera], frame
        figure, sentence = camera_plots.on_plan(*shown, points, plan, ground, chosen=point)
        return figure, error or sentence + self._left(camera)

    def _left(self, camera) -> str:
        left = [str(n + 1) for n in range(4) if n not in self.touched[camera]]
        return f" Not set yet: {', '.join(left)}." if left else ""

    def _load(self) -> None:
        """Show the chosen point of the chosen camera in the controls, and draw."""
        now, controls = self.values(), self.controls
        shots = self.stills[now["camera"]]
        height, width = next(iter(shots.values())).shape[:2]
        (x, y), (east, north) = (
            held[now["camera"]][now["point"]] for held in (self.points, self.plan)
        )
        self.loading = True  # what is shown is not what somebody says
        controls["x"].max, controls["y"].max = width - 1, height - 1
        controls["moment"].max = len(shots) - 1
        for name, value in (("x", int(x)), ("y", int(y)), ("east", east), ("north", north)):
            controls[name].value = value
        self.loading = False
        self.redraw()

    def _moved(self, change) -> None:
        if self.loading:
            return
        now = self.values()
        if change.owner in (self.controls["camera"], self.controls["point"]):
            self.lines.value = ""
            self._load()
            return
        if change.owner is not self.controls["moment"]:
            self.points[now["camera"]][now["point"]] = now["x"], now["y"]
            self.plan[now["camera"]][now["point"]] = now["east"], now["north"]
            self.touched[now["camera"]].add(now["point"])
        super()._moved(change)

    def keep(self) -> None:
        """Write the points of the camera on the screen to the site file, or say why not."""
        camera = self.controls["camera"].value
        points, plan = self.points[camera], self.plan[camera]
        try:
            if self._left(camera):
                raise ValueError(f"a first guess is no measurement.{self._left(camera)}")
            cameras.ground_from_points(points, plan)
            written = [f"ground.image = {points.tolist()}", f"ground.plan = {plan.tolist()}"]
            if self.site is not None:
                text = site_file.with_ground(self.site.read_text("utf-8"), camera, points, plan)
                with assets.atomic(self.site) as temporary:
                    temporary.write_text(text, "utf-8")
        except (ValueError, OSError) as error:
            self.show_error(str(error))
            return
        where = "for the site file" if self.site is None else f"written to {self.site}"
        lines = html.escape("\n".join([f"[cameras.{camera}]", *written]))
        self.lines.value = f"{html.escape(where)}:<pre>{lines}</pre>"


def _choice(options: Mapping) -> ipywidgets.ToggleButtons:
    buttons = ipywidgets.ToggleButtons(options=list(options.items()))
    buttons.style.button_width = "auto"
    return buttons
