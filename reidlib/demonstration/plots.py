"""Figures of lesson 05: who was where when, who is who, and why two pictures match."""

import itertools
from collections.abc import Callable, Mapping, Sequence

import cv2
import numpy as np
import pandas as pd
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator

from reidlib import boxes, drawing, style
from reidlib.collection import cameras
from reidlib.demonstration import matching
from reidlib.demonstration.saliency import importance
from reidlib.model import plots as model_plots

# Patterns of cameras in a time line; more cameras than patterns bear their names on the bars.
MOST_NAMED = 100  # people whose number stands beside a time line
HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\", "||||", "oo", "----", "++", "**")

SHOWN = 9  # of the tracklets that a search finds


class TimeAxis:
    """Seconds placed on an axis that leaves out long stretches in which nobody was seen.

    `start` and `end` (N,) are the stays to show. A stretch without any counts as long when it is
    longer than a minute and than all that was seen; it becomes a narrow gap that says how long.
    """

    def __init__(self, start: Sequence[float], end: Sequence[float]):
        order = np.argsort(start, kind="stable")
        start, end = np.asarray(start, float)[order], np.asarray(end, float)[order]
        until = np.maximum.accumulate(end)  # up to when anybody seen so far was there
        pauses = start[1:] - until[:-1]
        seen = until[-1] - start[0] - pauses[pauses > 0].sum()
        breaks = np.flatnonzero(pauses > max(60.0, seen))
        self.begins = np.append(start[0], start[breaks + 1])
        self.ends = np.append(until[breaks], until[-1])
        lengths = self.ends - self.begins
        gap = 0.06 * max(lengths.sum(), 1.0)
        self.left = np.append(0.0, np.cumsum(lengths + gap)[:-1])  # where each part begins
        if not len(breaks):
            self.left = self.begins.copy()  # the usual case: seconds are what they are
        self.right = self.left + lengths

    def place(self, seconds) -> np.ndarray:
        """Return where on the axis moments lie; between two parts, inside the gap."""
        known = np.column_stack([self.begins, self.ends]).ravel()
        return np.interp(seconds, known, np.column_stack([self.left, self.right]).ravel())

    def label(self, ax) -> None:
        """Write the ticks of every part, in seconds or as clock time, and mark the gaps."""
        clock = self.ends[-1] >= 3600
        ticks = []
        for begin, end in zip(self.begins, self.ends):
            share = (end - begin) / max((self.ends - self.begins).sum(), 1e-9)
            values = MaxNLocator(max(2, round(8 * share))).tick_values(begin, end)
            # Beside a gap the last tick would lie on the first of the next part.
            last = end if end == self.ends[-1] else end - 0.12 * (end - begin)
            ticks += [value for value in values if begin <= value <= last]
        names = [clock_time(value) if clock else f"{value:g}" for value in ticks]
        ax.set_xticks(self.place(ticks), names)
        for before, after, a, b in zip(self.right, self.left[1:], self.ends, self.begins[1:]):
            ax.axvspan(before, after, fc="white", ec=style.GREY, hatch="..", lw=0, zorder=2)
            text, at = f"nobody for {clock_time(b - a)}", ((before + after) / 2, 0.5)
            look = {"rotation": 90, "ha": "center", "va": "center", "bbox": style.LABEL}
            ax.text(*at, text, size=9, transform=ax.get_xaxis_transform(), zorder=3, **look)
        room = 0.02 * max(self.right[-1] - self.left[0], 1.0)
        ax.set_xlim(self.left[0] - room, self.right[-1] + room)
        ax.set_xlabel("time, h:mm:ss" if clock else "time, s")


def clock_time(seconds: float) -> str:
    """Return seconds as hours, minutes and seconds.

    >>> clock_time(3725)
    '1:02:05'
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


@style.styled
def who_was_where(tracklets: pd.DataFrame) -> style.Figure:
    """Draw the time line of all cameras: a row a person, a bar a stay, its pattern the camera.

    `tracklets` has columns camera, start and end (seconds) and identity. Hours in which nobody was
    seen are left out and marked.
    """
    first = tracklets.groupby("identity")["start"].min().sort_values()
    rows = {person: row for row, person in enumerate(first.index)}
    cameras = sorted(tracklets["camera"].astype(str).unique())
    patterns = dict(zip(cameras, HATCHES * (1 + len(cameras) // len(HATCHES))))
    step = -(-len(rows) // MOST_NAMED)  # more numbers than fit would take minutes, and hide all
    lane = 0.84 / len(cameras)
    height = np.clip(0.17 * len(cameras) * len(rows) + 1.5, 2.8, 11)
    figure, ax = style.axes(10, height)
    axis = TimeAxis(tracklets["start"], tracklets["end"])
    shortest = 0.002 * (axis.right[-1] - axis.left[0])
    for stay in tracklets.to_dict("records"):
        camera = str(stay["camera"])
        y = rows[stay["identity"]] - 0.42 + lane * (cameras.index(camera) + 0.5)
        left, right = axis.place([stay["start"], stay["end"]])
        look = {"color": style.colour(stay["identity"]), "ec": style.INK, "hatch": patterns[camera]}
        ax.barh(y, max(right - left, shortest), lane * 0.9, left=left, lw=0.8, **look)
        if len(cameras) > len(HATCHES):
            ax.text(left, y, f" {camera}", va="center", size=7, clip_on=True)
    for row in range(1, len(rows) if step == 1 else 0, 2):
        ax.axhspan(row - 0.5, row + 0.5, color=style.GREY, alpha=0.12, lw=0, zorder=0)
    axis.label(ax)
    ax.set_yticks(range(0, len(rows), step), [str(person) for person in list(rows)[::step]])
    ax.set(ylabel="person", ylim=(len(rows) - 0.5, -0.5), title="Who was where, and when")
    ax.grid(False, axis="y")
    if len(cameras) > 1:
        marks = [
            Patch(fc="white", ec=style.INK, hatch=hatch, label=f"camera {camera}")
            for camera, hatch in patterns.items()
        ]
        ax.legend(handles=marks, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


@style.styled
def visitors(table: pd.DataFrame) -> style.Figure:
    """Draw how many people each camera saw: a line a camera over the hours, of one hour bars.

    `table` has columns camera, hour and visitors, as from counts.visitors.
    """
    hours = range(table["hour"].min(), table["hour"].max() + 1)
    seen = table.pivot(index="hour", columns="camera", values="visitors")
    seen = seen.reindex(hours).fillna(0)
    figure, ax = style.axes(7, 3.2)
    if len(hours) == 1:
        cameras = [style.plain_text(camera) for camera in seen]
        bars = ax.bar(cameras, seen.iloc[0], 0.6, color=style.BLUE)
        ax.bar_label(bars, fmt="{:.0f}")
        ax.set(xlabel="camera", xlim=(-0.8, max(len(seen.columns), 3) - 0.2))
    else:
        looks = zip(seen, itertools.cycle(style.SERIES), itertools.cycle(style.DASHES))
        for camera, colour, dashes in looks:
            look = {"color": colour, "ls": dashes, "label": style.plain_text(camera)}
            ax.stairs(seen[camera], [*hours, hours[-1] + 1], baseline=None, lw=2.2, **look)
        ax.set(xlabel="hours of the common clock")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(ylabel="visitors", ylim=(0, None))
    ax.grid(False, axis="x")
    return figure


@style.styled
def moment(
    images: Mapping[str, np.ndarray],
    table: pd.DataFrame,
    tracklets: pd.DataFrame,
    seconds: float,
    calibrations: Mapping[str, Mapping] | None = None,
    width: int = 640,
) -> style.Figure:
    """Show all cameras at one moment, one colour and number a person, above the time line.

    `images` is camera to frame, which may be a small copy; `table` holds the boxes of this moment,
    with camera and identity, in pixels of a frame `width` wide; `tracklets` is as for
    `who_was_where`. With `calibrations` a plan shows where everybody stands, in metres.
    """
    drawn = []
    for camera, image in images.items():
        here = table[table["camera"] == camera]
        small = here.assign(**here[boxes.BOX] * (image.shape[1] / width))
        image = drawing.draw_tracks(image, small, "identity")
        drawn.append(drawing.banner(image, f"{camera}   {seconds:.1f} s"))
    figure = style.Figure(figsize=(13, 6.4))
    layout = [["film", "film"], ["plan", "line"]] if calibrations else [["film"], ["line"]]
    widths = [8, 5] if calibrations else None
    cells = figure.subplot_mosaic(layout, height_ratios=[2.5, 4], width_ratios=widths)
    style.show(cells["film"], drawing.side_by_side(drawn, drawn[0].shape[0]))
    _lines(cells["line"], tracklets, seconds)
    if calibrations:
        _plan(cells["plan"], table, calibrations)
    return figure


def _lines(ax, tracklets: pd.DataFrame, seconds: float) -> None:
    """Draw the time line small: a line a stay, the upper ones of a person from the first camera."""
    row = tracklets["identity"].rank(method="dense") - 1
    lane = pd.factorize(tracklets["camera"], sort=True)[0]
    y = row + 0.26 * (lane - lane.max() / 2)
    colours = [style.colour(person) for person in tracklets["identity"]]
    axis = TimeAxis(tracklets["start"], tracklets["end"])
    ax.hlines(y, axis.place(tracklets["start"]), axis.place(tracklets["end"]), colours, lw=3)
    ax.axvline(axis.place(seconds), color=style.INK, lw=2)
    axis.label(ax)
    people = np.sort(tracklets["identity"].unique())
    ax.set_yticks(range(len(people)), people.astype(str), fontsize=8)
    ax.set(ylabel="person", ylim=(len(people) - 0.4, -0.6))


def _plan(ax, table: pd.DataFrame, calibrations: Mapping[str, Mapping]) -> None:
    """Draw where each camera believes people to stand, and the middle of that with their number."""
    feet = []
    for at, (name, calibration) in enumerate(calibrations.items()):
        outline, colour = cameras.ground_view(calibration, reach=13), style.SERIES[at % 7]
        ax.fill(*outline.T, color=colour, alpha=0.13, lw=0)
        ax.plot(*np.vstack([outline, outline[:1]]).T, color=colour, lw=1, ls=style.DASHES[at % 7])
        top = outline[:, 0].mean(), outline[:, 1].max() + 0.2
        ax.text(*top, name, ha="center", color=colour, weight="bold", size=13)
        here = table[(table["camera"] == name) & (table["identity"] > 0)]
        x, y = cameras.on_ground(here[boxes.BOX].to_numpy(), calibration).T
        feet.append(pd.DataFrame({"identity": here["identity"], "x": x, "y": y}))
    for person, seen in pd.concat(feet).dropna().groupby("identity"):
        colour, (x, y) = style.colour(person), seen[["x", "y"]].mean()
        ax.plot(seen["x"], seen["y"], "-o", color=colour, ms=5, lw=2)
        box = {"boxstyle": "circle,pad=.25", "fc": colour, "ec": style.INK}
        look = {"color": drawing.ink(colour), "bbox": box}
        ax.text(x, y, str(person), ha="center", va="center", size=9, **look)
    ax.set(aspect="equal", xlabel="x, m", ylabel="y, m")
    ax.set_title("On the ground", loc="center")


@style.styled
def people(
    crops: Mapping[object, Sequence[tuple[str, np.ndarray]]], title: str = ""
) -> style.Figure:
    """Show each person in a row: a few crops, each with the name of the camera that took it.

    `crops` is person to (caption, image) pairs.
    """
    columns = max(len(images) for images in crops.values())
    width, height = 1.15 * columns + 0.7, 2.3 * len(crops)
    figure, cells = style.axes(width, height, len(crops), columns, squeeze=False)
    for row, (person, images) in zip(cells, crops.items()):
        for ax in row[len(images) :]:
            ax.set_axis_off()
        for ax, (caption, image) in zip(row, images):
            style.show(ax, image, caption, 10)
            style.frame(ax, style.colour(person))
        row[0].set_ylabel(f"{person}", rotation=0, ha="right", va="center", size=15)
    figure.suptitle(title or "Who is who")
    return figure


@style.styled
def saliency(image: np.ndarray, weight: np.ndarray, title: str = "") -> style.Figure:
    """Show a crop, the importance of its parts (h, w), and both together.

    `weight` may have any size and range; it is stretched over the crop.
    """
    weight = np.asarray(weight, float)
    height, width = image.shape[:2]
    figure, cells = style.axes(5.4, 1.75 * height / width + 0.7, 1, 3)
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    style.show(cells[0], image, "crop")
    style.show(cells[1], weight, "importance", cmap="viridis", extent=extent)
    style.show(cells[2], image, "both")
    over = {"cmap": "viridis", "alpha": 0.55, "extent": extent, "interpolation": "bilinear"}
    drawn = cells[2].imshow(weight, **over)
    figure.colorbar(drawn, ax=cells[2], shrink=0.8, label="change of similarity")
    if title:
        figure.suptitle(title)
    return figure


@style.styled
def reasons(
    image: np.ndarray, partners: Mapping[str, tuple[np.ndarray, np.ndarray]]
) -> style.Figure:
    """Show a crop, and what makes it like each of its partners, beside them, all on one scale.

    `partners` is title to (the partner's crop, the importance (h, w) for the likeness to it), which
    is what covering a place adds to the cosine distance.
    """
    height, width = image.shape[:2]
    columns = 1 + 2 * len(partners)
    figure, cells = style.axes(1.5 * columns + 0.8, 1.5 * height / width + 0.6, 1, columns)
    style.show(cells[0], image, "query")
    weights = [np.asarray(weight, float) for _, weight in partners.values()]
    look = {
        "cmap": "viridis", "alpha": 0.6, "interpolation": "bilinear",
        "vmin": min(weight.min() for weight in weights),
        "vmax": max(weight.max() for weight in weights),
        "extent": (-0.5, width - 0.5, height - 0.5, -0.5),
    }  # fmt: skip
    for i, (title, (crop, weight)) in enumerate(partners.items()):
        why, partner = cells[1 + 2 * i], cells[2 + 2 * i]
        style.show(why, image, "why")
        drawn = why.imshow(weight, **look)
        style.show(partner, crop, title)
    figure.colorbar(drawn, ax=list(cells), shrink=0.9, label="cosine distance added")
    return figure


@style.styled
def crop_matrix(
    values: np.ndarray,
    queries: Mapping[str, np.ndarray],
    gallery: Mapping[str, np.ndarray],
    same: np.ndarray | None = None,
    title: str = "",
) -> style.Figure:
    """Draw cosine distances (N, M) between crops, which stand at the axes; dark is alike.

    `queries` and `gallery` are name to crop; cells of the mask `same` (N, M) are outlined.
    """
    rows, columns = values.shape
    figure = style.Figure(figsize=(0.72 * columns + 2.2, 0.98 * rows + 1.9))
    sizes = {"height_ratios": [1.25] + [1] * rows, "width_ratios": [0.8] + [1] * columns}
    grid = figure.add_gridspec(rows + 1, columns + 1, **sizes)
    for i, (name, crop) in enumerate(queries.items()):
        style.show(figure.add_subplot(grid[i + 1, 0]), crop, name, 10)
    for j, (name, crop) in enumerate(gallery.items()):
        style.show(figure.add_subplot(grid[0, j + 1]), crop, name, 10)
    ax = figure.add_subplot(grid[1:, 1:])
    empty = [""] * rows, [""] * columns
    style.heat_map(ax, values, *empty, ".2f", "cosine distance", cmap="Blues_r")
    for i, j in [] if same is None else np.argwhere(same):
        box = Rectangle((j, i), 1, 1, fill=False, ec=style.RED, lw=3, clip_on=False)
        ax.add_patch(box)
    if title:
        figure.suptitle(title)
    return figure


def heat(image: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return a crop (H, W, 3) tinted by `weight` (H, W): yellow matters most, blue not at all."""
    smooth = cv2.GaussianBlur(weight, (0, 0), 4)
    scaled = 255 * np.clip(smooth / max(smooth.max(), 1e-6), 0, 1)
    tint = cv2.applyColorMap(scaled.astype(np.uint8), cv2.COLORMAP_VIRIDIS)[..., ::-1]
    return cv2.addWeighted(image, 0.45, np.ascontiguousarray(tint), 0.55, 0)


def search(
    tracklets: pd.DataFrame,
    vectors: np.ndarray,
    pictures: Sequence[np.ndarray],
    query: int,
    claim: float = 1.0,
    elsewhere: bool = True,
    why: tuple[int, Callable] | None = None,
) -> tuple[style.Figure, str]:
    """Rank tracklets by their likeness to row `query`; returns the figure and a sentence.

    `tracklets` has columns camera, start and pid (the true person, -1 if unknown); `vectors` (N, D)
    and `pictures` go with its rows. What is farther than `claim` (cosine distance) is faded and
    marked as rejected, or as missed: the system would not call it the same person. `elsewhere`
    leaves out the query's own camera. `why` is (rank, extractor): tints the query and that match by
    `importance` to each other.
    """
    pid, camera = tracklets["pid"].to_numpy(), tracklets["camera"].to_numpy()
    left_out = elsewhere & (camera == camera[query]) | (np.arange(len(pid)) == query)
    others = np.flatnonzero(~left_out)
    gallery = matching.Gallery().add(vectors[others], tracklets.iloc[others].assign(row=others))
    hits = gallery.search(vectors[[query]], len(others))
    right = [None if -1 in (pid[query], other) else other == pid[query] for other in hits["pid"]]
    claimed = (1 - hits["score"] <= claim).to_numpy()
    marks = [
        mark if keep or mark is None else "missed" if mark else "rejected"
        for mark, keep in zip(right, claimed)
    ]
    images = {row: pictures[row] for row in [query, *hits["row"][:SHOWN]]}
    for row, keep in zip(hits["row"][:SHOWN], claimed):
        if not keep:
            images[row] = (0.3 * images[row] + 0.7 * 255).astype(np.uint8)
    if why and why[0] <= len(others):
        match, extractor = hits["row"][why[0] - 1], why[1]
        for one, other in ((query, match), (match, query)):
            images[one] = heat(pictures[one], importance(extractor, pictures[one], vectors[other]))
    figure = model_plots.rank_grid(
        [images[query]],
        [[images[row] for row in hits["row"][:SHOWN]]],
        [marks[:SHOWN]],
        [[f"{h.camera}, {h.start:.0f} s\n{1 - h.score:.2f}" for h in hits[:SHOWN].itertuples()]],
        [f"{camera[query]}, {tracklets['start'].iloc[query]:.0f} s"],
    )
    tracks = "1 track" if claimed.sum() == 1 else f"{claimed.sum()} tracks"
    sentence = f"Within a distance of {claim:.2f} the system claims {tracks}"
    if pid[query] < 0:
        return figure, f"{sentence}. Who this is, nobody knows."
    true = np.array([bool(answer) for answer in right])
    found = f"{(claimed & true).sum()} of the person's {true.sum()} are among them"
    return figure, f"{sentence}; {found}."
