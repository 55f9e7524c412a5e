"""Panels of lesson 05: the query browser, links between cameras, the player, two for labels."""

import html
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import cv2
import ipywidgets
import numpy as np
import pandas as pd
import traitlets

from reidlib.demonstration import grouping, labelling, matching, plots, saliency
from reidlib.live import Live, jpeg, pack
from reidlib.model import distances
from reidlib.panel import Panel, keys
from reidlib.words import counted


class Browser(Live):
    """Click a person: the most similar tracks elsewhere appear, right and wrong ones marked.

    `tracklets`, `vectors` and `pictures` are as for `plots.search`; `tracklets` also has the
    columns end, frames and identity. `extractor` explains matches, with None none is explained.
    """

    reply = traitlets.Dict().tag(sync=True)  # query, match and their tinted pictures

    def __init__(
        self,
        tracklets: pd.DataFrame,
        vectors: np.ndarray,
        pictures: Sequence[np.ndarray],
        extractor: Callable | None,
        claim: float = 0.5,
    ):
        self.vectors, self.pictures, self.extractor = vectors, pictures, extractor
        columns = ["camera", "start", "end", "frames", "identity", "pid"]
        data = tracklets[columns].to_dict("list") | {"shown": plots.SHOWN}
        # Half precision moves a distance by less than 0.001, and weighs half as much in a page.
        data["vectors"] = pack(distances.unit(vectors).astype(np.float16))
        data["network"] = getattr(extractor, "name", "")
        data["pictures"] = [jpeg(picture, 128) for picture in pictures]
        data["bound"] = extractor is not None
        first = tracklets["identity"] == tracklets["identity"].min()
        query = int(np.flatnonzero(first)[np.argmax(tracklets["frames"][first])])
        state = {"query": query, "claim": claim, "elsewhere": True, "why": 0, "match": -1}
        super().__init__("demonstration/browser.js", data, **state)
        self.observe(lambda change: self.explain(), "state")

    def explain(self) -> None:
        """Tint the query and the match that the browser asks about by `saliency.importance`."""
        query, rank, others = self.state["query"], self.state["why"], self.ranked()
        if not 0 < rank <= len(others) or self.extractor is None:
            return
        match = int(others[rank - 1])
        tinted = [
            plots.heat(
                self.pictures[one],
                saliency.importance(self.extractor, self.pictures[one], self.vectors[other]),
            )
            for one, other in ((query, match), (match, query))
        ]
        pictures = [jpeg(picture, 128) for picture in tinted]
        self.reply = {"query": query, "match": match, "pictures": pictures}

    def ranked(self) -> np.ndarray:
        """Return the rows that the browser ranks for its query, the nearest first."""
        camera, query = np.array(self.data["camera"]), self.state["query"]
        out = self.state["elsewhere"] & (camera == camera[query])
        others = np.flatnonzero(~out & (np.arange(len(camera)) != query))
        away = distances.distances(self.vectors[[query]], self.vectors[others])[0]
        return others[np.argsort(away, kind="stable")]


def linking(
    tracklets: pd.DataFrame,
    vectors: np.ndarray,
    knowledge: Mapping[str, Mapping],
    score: Callable[[np.ndarray], float],
    threshold: float = 0.5,
) -> Live:
    """Return a panel that links tracklets by other rules: the time line and how good it is.

    `knowledge` names what is known of the place, each as keywords of `matching.link` (overlap,
    travel, positions); the first is shown. `score` turns identities into a number from 0 to 1
    (IDF1). The panel holds every result that there is, and what each is worth.
    """
    vectors = np.asarray(vectors, np.float32)
    known = np.isfinite(vectors).all(axis=1)
    alike = np.full((len(vectors), len(vectors)), np.nan, np.float32)
    alike[np.ix_(known, known)] = distances.distances(vectors[known], vectors[known])
    data = tracklets[["camera", "start", "end"]].to_dict("list")
    data["camera"] = [str(camera) for camera in data["camera"]]
    data["alike"] = pack(alike)
    data["ways"] = [
        _way(name, matching.links(tracklets, vectors, **rules), score)
        | {"brief": rules.get("brief", matching.BRIEF)}
        for name, rules in knowledge.items()
    ]
    state = {"known": next(iter(knowledge)), "threshold": round(float(threshold), 3)}
    return Live("demonstration/linking.js", data, **state, row=0, other=-1)


def _way(name: str, links: tuple, score: Callable) -> dict:
    """Return all results of linking by one kind of knowledge, with their scores."""
    pairwise, results = links
    never = pairwise >= grouping.FORBIDDEN
    return {
        "name": name,
        "pairwise": pack(np.where(never, np.nan, pairwise).astype(np.float32)),
        "begins": [lowest for lowest, _ in results],
        "scores": [float(score(identities)) for _, identities in results],
        "identities": pack(np.array([identities for _, identities in results], np.uint32)),
    }


class Player(Panel):
    """Plays all cameras by one clock, one colour and number a person; the slider goes anywhere.

    `stills` is camera to frame number to image, the same numbers for all, `times` the seconds of
    every frame as from `video.times`; `table` has a row a box with camera, frame and identity; the
    rest is as for `demonstration.moment`.
    """

    def __init__(
        self,
        stills: Mapping[str, Mapping[int, np.ndarray]],
        table: pd.DataFrame,
        tracklets: pd.DataFrame,
        calibrations: Mapping[str, Mapping] | None = None,
        *,
        times: Sequence[float],
        width: int = 640,
    ):
        frames = sorted(next(iter(stills.values())))
        boxes_of = dict(list(table.groupby("frame")))

        def draw(time: int):
            frame = frames[time]
            images = {camera: shots[frame] for camera, shots in stills.items()}
            here = boxes_of.get(frame, table[:0])
            seen = here.loc[here["identity"] > 0, "identity"].nunique()
            figure = plots.moment(images, here, tracklets, times[frame], calibrations, width)
            return figure, f"{times[frame]:.1f} s: {counted(seen, 'person', 'people')} in view."

        slider = ipywidgets.IntSlider(0, 0, len(frames) - 1, description="moment")
        super().__init__(draw, live=False, dpi=75, time=slider)
        steps = np.diff([times[frame] for frame in frames])
        step = round(1000 * float(np.median(steps))) if len(steps) else 1000
        self.play = ipywidgets.Play(min=0, max=len(frames) - 1, interval=max(step, 600))
        ipywidgets.jslink((self.play, "value"), (slider, "value"))
        self.children = [self.play, *self.children]


KEYS = {"s": "same", "d": "different", "c": "cannot tell", "u": "undo"}


class BlindPairs(ipywidgets.VBox):
    """Asks of two tracks at a time whether they are one person; answers go to a file at once.

    `pairs` are as from labelling.sample_pairs, `crops` camera to track to (frame, image) pairs. Who
    comes back to the same `path` goes on where they stopped. `answers` holds what was said.
    """

    def __init__(self, pairs: pd.DataFrame, crops: Mapping, path: str | Path, labeller: str = ""):
        self.crops, self.path, self.labeller = crops, Path(path), labeller
        self.answers = labelling.begin(path, pairs)
        self.text, self.message = ipywidgets.HTML(), ipywidgets.HTML()
        self.field = ipywidgets.Text(description="key", continuous_update=True)
        self.field.layout.width = "200px"
        self.field.observe(self._typed, "value")
        self.controls = ipywidgets.HBox()
        self.images = [ipywidgets.Image(format="jpeg"), ipywidgets.Image(format="jpeg")]
        for image in self.images:
            image.layout = ipywidgets.Layout(height="200px", align_self="flex-start")
        shown = [self.text, *self.images, self.controls, self.field, self.message]
        super().__init__([*shown, keys()])
        self._show()

    @property
    def at(self) -> int:
        """The pair on the screen: the first without an answer; the number of pairs at the end."""
        open_ones = np.flatnonzero(self.answers["answer"] == "")
        return int(open_ones[0]) if len(open_ones) else len(self.answers)

    def say(self, said: str, shown: int) -> None:
        """Answer pair `shown`, or undo; what comes too late, of a pair that is gone, is ignored."""
        if shown != self.at:
            return
        row, answer = (shown - 1, "") if said == "undo" else (shown, said)
        if not 0 <= row < len(self.answers):
            return
        answers = labelling.answered(self.answers, row, answer, self.labeller)
        try:
            labelling.write(self.path, answers)
        except OSError as error:  # nothing is lost: the pair stays, and can be answered again
            self.message.value = _error(error)
            return
        self.answers = answers
        self._show()

    def _show(self) -> None:
        at, total = self.at, len(self.answers)
        self.message.value = ""
        ends = ("_a", "_b") if at < total else ()
        for image, end in zip(self.images, ends):
            pair = self.answers.loc[at]
            kept = self.crops[pair[f"camera{end}"]].get(pair[f"track{end}"], [])
            image.value = _jpeg(labelling.moments(kept))
        asked = "one person, above and below? Type the letter in the field, or press a button."
        said = f"{at + 1} of {total}</b>: {asked}" if at < total else f"{total} answered</b>: all."
        self.text.value = f"<b>{said}"
        # Every pair has buttons of its own, and its number stands before what is typed: a click or
        # a key belongs to the pair that was on the screen, however late it arrives.
        old, buttons = self.controls.children, []
        for key, name in KEYS.items():
            button = ipywidgets.Button(description=f"{name} ({key})")
            button.disabled = name != "undo" and at == total
            button.on_click(lambda _, name=name: self.say(name, at))
            buttons.append(button)
        self.controls.children = buttons
        for button in old:
            button.close()
        self._prompt()

    def _prompt(self) -> None:
        self.field.value = f"{self.at + 1}: "
        if hasattr(self.field, "focus"):  # else letters would be JupyterLab's own shortcuts
            self.field.focus()

    def _typed(self, change) -> None:
        number, _, typed = change.new.partition(": ")
        key = typed.strip().lower()[:1]
        if number == str(self.at + 1) and key in KEYS:
            self.say(KEYS[key], self.at)
        if change.new != f"{self.at + 1}: ":
            self._prompt()


class People(ipywidgets.VBox):
    """Shows all tracks, page by page, to give each its person; what is confirmed goes to a file.

    `people` is as from labelling.propose, `crops` as for `BlindPairs`. A number that somebody types
    is a label at once, the button makes labels of all on the page; what nobody saw stays without.
    `people` holds them, in the column pid. -1 leaves a track out.
    """

    def __init__(self, people: pd.DataFrame, crops: Mapping, path: str | Path, size: int = 12):
        self.crops, self.path, self.size = crops, Path(path), size
        self.people = labelling.resume(path, people)
        self.pages = -(-len(self.people) // size)
        self.text, self.cards, self.controls = (
            ipywidgets.HTML(),
            ipywidgets.Box(),
            ipywidgets.HBox(),
        )
        self.cards.layout = ipywidgets.Layout(flex_flow="row wrap")
        self.turns = [ipywidgets.Button(description=name) for name in ("previous", "next")]
        for button, step in zip(self.turns, (-1, 1)):
            button.on_click(lambda _, step=step: self.turn(self.page + step))
        super().__init__([self.text, self.controls, self.cards, keys()])
        unseen = np.flatnonzero(self.people["pid"].isna())
        self.turn(int(unseen[0]) // size if len(unseen) else 0)

    def turn(self, page: int) -> None:
        """Show a page, from 0; beyond the ends nothing happens."""
        if not 0 <= page < self.pages:
            return
        self.page, self.fields, cards = page, {}, []
        for row in self.people.iloc[page * self.size : (page + 1) * self.size].itertuples():
            strip = labelling.moments(self.crops[row.camera].get(row.track, []), 3)
            image = ipywidgets.Image(value=_jpeg(strip), format="jpeg")
            image.layout.height = "128px"
            value = row.proposed if pd.isna(row.pid) else row.pid
            field = ipywidgets.IntText(int(value), layout=ipywidgets.Layout(width="80px"))
            field.observe(lambda change, at=row.Index: self._keep({at: change.new}), "value")
            self.fields[row.Index] = field
            caption = ipywidgets.HTML(f"{html.escape(str(row.camera))}, {row.start:.0f} s")
            cards.append(ipywidgets.VBox([image, caption, field]))
        # A button for each page: pressed late, when the page has turned, it must not confirm
        # what nobody has seen.
        confirm = ipywidgets.Button(description="these are right")
        confirm.on_click(lambda _: self.confirm(page))
        old = [*self.cards.children, *self.controls.children[2:]]
        self.controls.children, self.cards.children = [*self.turns, confirm], cards
        for widget in old:
            widget.close()
        self._tell()

    def confirm(self, page: int) -> None:
        """Make labels of all numbers on a page, if it is the one that is shown."""
        if page == self.page:
            self._keep({row: field.value for row, field in self.fields.items()})

    def _keep(self, pids: Mapping[int, int]) -> None:
        people = self.people.copy()
        people.loc[list(pids), "pid"] = list(pids.values())
        try:
            labelling.write(self.path, people)
        except OSError as error:
            self.text.value = _error(error)
            return
        self.people = people
        self._tell()

    def _tell(self) -> None:
        done = self.people["pid"].notna()
        for row, card in zip(self.fields, self.cards.children):
            card.layout.border = "2px solid " + ("seagreen" if done[row] else "transparent")
        self.text.value = (
            f"<b>Page {self.page + 1} of {self.pages}</b>: {done.sum()} of {len(done)} tracks have "
            "a label (framed). Type a person's number, or -1 to leave a track out; Tab goes on."
        )


def _error(error: Exception) -> str:
    return f"<b class='panel-error'>{html.escape(str(error))}</b>"


def _jpeg(image: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", image[..., ::-1])[1].tobytes()
