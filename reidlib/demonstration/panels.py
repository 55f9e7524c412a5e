"""Panels of lesson 05: the query browser, the link between cameras, the multi-camera player."""

from collections.abc import Callable, Mapping, Sequence

import cv2
import ipywidgets
import numpy as np
import pandas as pd

from reidlib.demonstration import matching, plots
from reidlib.panel import Panel


class Browser(ipywidgets.VBox):
    """Click a person: the most similar tracks elsewhere appear, right and wrong ones marked.

    `tracklets`, `vectors` and `pictures` are as for `demonstration.search`; `tracklets` also has
    the column identity. `extractor` explains matches. `panel` holds the controls and the figure,
    `buttons` a button a person, which chooses the longest of that person's tracks.
    """

    def __init__(
        self,
        tracklets: pd.DataFrame,
        vectors: np.ndarray,
        pictures: Sequence[np.ndarray],
        extractor: Callable,
        claim: float = 0.5,
    ):
        def draw(query: int, claim: float, elsewhere: bool, why: int):
            explained = (why, extractor) if why else None
            return plots.search(tracklets, vectors, pictures, query, claim, elsewhere, explained)

        longest = tracklets.sort_values("frames").groupby("identity").tail(1)
        chosen = {row.identity: row.Index for row in longest.sort_values("identity").itertuples()}
        names = [
            (f"person {row.identity}: {row.camera}, {row.start:.0f} to {row.end:.0f} s", row.Index)
            for row in tracklets.sort_values(["identity", "start"]).itertuples()
        ]
        self.panel = Panel(
            draw,
            live=False,
            query=ipywidgets.Dropdown(options=names, value=chosen[min(chosen)]),
            claim=ipywidgets.FloatSlider(claim, min=0.0, max=1.2, step=0.05),
            elsewhere=ipywidgets.Checkbox(True, description="other cameras only"),
            why=ipywidgets.Dropdown(
                options=[("–", 0), *((f"rank {n}", n) for n in range(1, 10))],
                description="explain match",
            ),
        )
        self.buttons, cards = {}, []
        for person, row in chosen.items():
            face = cv2.imencode(".jpg", pictures[row][..., ::-1])[1].tobytes()
            face = ipywidgets.Image(value=face, format="jpeg", width=44)
            button = ipywidgets.Button(description=str(person), layout={"width": "44px"})
            button.on_click(lambda _, row=row: self.ask(row))
            self.buttons[person] = button
            cards.append(ipywidgets.VBox([face, button]))
        strip = ipywidgets.Box(cards, layout=ipywidgets.Layout(flex_flow="row wrap"))
        super().__init__([strip, self.panel])

    def ask(self, row: int) -> None:
        """Make a row of the tracklets the query."""
        self.panel.controls["query"].value = row


def linking(
    tracklets: pd.DataFrame,
    vectors: np.ndarray,
    knowledge: Mapping[str, Mapping],
    score: Callable[[np.ndarray], float],
    threshold: float = 0.5,
) -> Panel:
    """Return a panel that links tracklets by other rules: the time line and how good it is.

    `knowledge` names what is known of the place, each as keywords of `matching.link` (overlap,
    travel, positions); the first is shown. `score` turns identities into a number (IDF1).
    """

    def draw(threshold: float, known: str):
        identity = matching.link(tracklets, vectors, threshold=threshold, **knowledge[known])
        figure = plots.who_was_where(tracklets.assign(identity=identity))
        people = len(np.unique(identity))
        return figure, f"{people} people; IDF1 over all cameras {score(identity):.3f}."

    return Panel(
        draw,
        live=False,
        dpi=70,
        threshold=ipywidgets.FloatSlider(threshold, min=0.0, max=1.2, step=0.02),
        known=ipywidgets.Dropdown(options=list(knowledge), description="what is known"),
    )


class Player(Panel):
    """Plays all cameras by one clock, one colour and number a person; the slider goes anywhere.

    `stills` is camera to frame number to image, the same numbers for all; `table` has a row a box
    with camera, frame and identity; the rest is as for `demonstration.moment`.
    """

    def __init__(
        self,
        stills: Mapping[str, Mapping[int, np.ndarray]],
        table: pd.DataFrame,
        tracklets: pd.DataFrame,
        calibrations: Mapping[str, Mapping] | None = None,
        fps: float = 12.5,
        width: int = 640,
    ):
        frames = sorted(next(iter(stills.values())))
        boxes_of = dict(list(table.groupby("frame")))

        def draw(time: int):
            frame = frames[time]
            images = {camera: shots[frame] for camera, shots in stills.items()}
            here = boxes_of.get(frame, table[:0])
            seen = here.loc[here["identity"] > 0, "identity"].nunique()
            figure = plots.moment(images, here, tracklets, frame / fps, calibrations, width)
            return figure, f"{frame / fps:.1f} s: {seen} people in view."

        slider = ipywidgets.IntSlider(0, 0, len(frames) - 1, description="moment")
        super().__init__(draw, live=False, dpi=75, time=slider)
        step = round(1000 * (frames[1] - frames[0]) / fps) if len(frames) > 1 else 1000
        self.play = ipywidgets.Play(min=0, max=len(frames) - 1, interval=max(step, 600))
        ipywidgets.jslink((self.play, "value"), (slider, "value"))
        self.children = [self.play, *self.children]
