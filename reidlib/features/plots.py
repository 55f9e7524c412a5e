"""Figures of lesson 03: crops, histograms, embeddings as a map, and what each choice gives."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.colors import hsv_to_rgb
from matplotlib.lines import Line2D

from reidlib import style
from reidlib.features.vectors import project


@style.styled
def variants(
    rows: Mapping[str, Sequence[np.ndarray]], captions: Mapping[str, Sequence[str]] | None = None
) -> style.Figure:
    """Show the same crops in several rows, a row a treatment; `captions` go above some rows."""
    captions = captions or {}
    heights = [max(image.shape[0] / image.shape[1] for image in row) for row in rows.values()]
    columns = max(len(row) for row in rows.values())
    width, height = 1.2 * columns + 0.6, 1.2 * sum(heights) + 0.3 * len(captions)
    shape = {"height_ratios": heights, "squeeze": False}
    figure, cells = style.axes(width, height, len(rows), columns, **shape)
    for ax in cells.flat:
        ax.set_axis_off()
    for line, (name, images) in zip(cells, rows.items()):
        for i, (ax, image) in enumerate(zip(line, images)):
            ax.set_axis_on()
            style.show(ax, image, captions[name][i] if name in captions else "", 10)
        line[0].set_ylabel(name)
    return figure


@style.styled
def stripe_histograms(
    crops: Sequence[np.ndarray],
    histograms: Sequence[np.ndarray],
    names: Sequence[str] | None = None,
    xlabel: str = "bin",
    colours: Sequence | None = None,
) -> style.Figure:
    """Show crops and, beside each, the histogram of every body stripe.

    `histograms` holds one array (stripes, bins) a crop; stripes run from head to feet. `colours`
    has one a bin, such as its hue.
    """
    stripes = len(histograms[0])
    widths = [0.8] + [1] * stripes
    shape = {"rows": len(crops), "columns": 1 + stripes, "width_ratios": widths, "squeeze": False}
    figure, cells = style.axes(9, 2.7 * len(crops), **shape)
    top = max(np.max(values) for values in histograms)
    for i, (row, crop, values) in enumerate(zip(cells, crops, histograms)):
        style.show(row[0], crop, names[i] if names else "")
        for edge in range(1, stripes):
            row[0].axhline(crop.shape[0] * edge / stripes - 0.5, color="white", lw=1.5, ls="--")
        for j, (ax, stripe) in enumerate(zip(row[1:], values)):
            fill = style.SERIES[j % len(style.SERIES)] if colours is None else colours
            edge = {"ec": style.GREY, "lw": 0.5} if colours is not None else {}
            ax.bar(range(len(stripe)), stripe, 1.0, color=fill, **edge)
            ax.set(ylim=(0, top * 1.05), yticks=[], xticks=[])
            if i == 0 and stripes > 1:
                ax.set_title(f"stripe {j + 1}", fontsize=11, loc="center")
    for ax in cells[-1, 1:]:
        ax.set_xlabel(xlabel)
    return figure


@style.styled
def embedding_map(
    vectors: np.ndarray,
    pids: Sequence,
    camids: Sequence | None = None,
    how: str = "pca",
    by: str = "person",
    title: str = "",
) -> style.Figure:
    """Draw vectors (N, D) as points on a plane: colour is the person, the marker the camera.

    With ``by="camera"`` the colour is the camera too, which shows camera bias. Up to 40 people are
    numbered at the middle of their points.
    """
    if by not in ("person", "camera"):
        raise ValueError(f"by={by!r}; choose 'person' or 'camera'")
    points = project(vectors, how)
    pids = np.asarray(pids)
    camids = np.zeros(len(points), int) if camids is None else np.asarray(camids)
    cameras = sorted(set(camids.tolist()))
    figure, ax = style.axes(8, 6)
    for i, camera in enumerate(cameras):
        here = camids == camera
        colours = [style.colour(p) for p in pids[here]]
        if by == "camera":
            colours = style.SERIES[i % len(style.SERIES)]
        marker = style.MARKERS[i % len(style.MARKERS)]
        ax.scatter(*points[here].T, s=46, c=colours, marker=marker, ec=style.INK, lw=0.6, alpha=0.9)
    people = pd.unique(pids)
    if by == "person" and len(people) <= 40:
        box = {"boxstyle": "round,pad=.2", "fc": "white", "ec": "none", "alpha": 0.75}
        for person in people:
            x, y = np.median(points[pids == person], axis=0)
            ax.text(x, y, str(person), size=11, ha="center", va="center", bbox=box)
    if len(cameras) > 1:
        fill = style.SERIES if by == "camera" else ["white"] * len(cameras)
        handles = [
            Line2D([], [], ls="", marker=style.MARKERS[i % 8], mfc=fill[i % len(fill)], mec="black")
            for i in range(len(cameras))
        ]
        names = [f"camera {camera}" for camera in cameras]
        ax.legend(handles, names, loc="upper left", bbox_to_anchor=(1, 1))
    name = {"pca": "PCA", "tsne": "t-SNE"}[how]
    default = f"Embeddings of {len(people)} people as a map ({name}), coloured by {by}"
    ax.set(xticks=[], yticks=[], title=title or default)
    return figure


@style.styled
def bars(
    values: Mapping[str, float],
    intervals: Mapping[str, tuple[float, float]] | None = None,
    xlabel: str = "rank-1",
    title: str = "",
    limit: float | None = 1.0,
) -> style.Figure:
    """Compare methods: a dot a name at its value, on the line of its interval (low, high)."""
    import seaborn

    names = list(values)
    figure, ax = style.axes(8, 1.1 + 0.5 * len(names))
    at = [values[name] for name in names]
    seaborn.stripplot(x=at, y=names, jitter=False, size=12, color=style.BLUE, ax=ax, zorder=3)
    ends = dict(values)
    for name, (low, high) in (intervals or {}).items():
        row = names.index(name)
        ax.plot([low, high], [row, row], color=style.SKY, marker="|", ms=12, mew=2, lw=5, alpha=0.8)
        ends[name] = max(high, values[name])
    longest = limit or max(ends.values())
    for row, name in enumerate(names):
        digits = ",.0f" if abs(values[name]) >= 100 else ".3g"  # 1,234, not 1.23e+03
        text = format(values[name], digits if limit is None else ".2f")
        ax.text(ends[name] + longest * 0.025, row, text, va="center")
        ax.axhline(row, color=style.GREY, lw=0.6, ls=":", zorder=0)
    ax.set(xlabel=xlabel, ylabel="", xlim=(0, longest * (1.12 if limit is None else 1.1)))
    note = " (line: 95 % interval)" if intervals else ""
    ax.set(ylim=(len(names) - 0.5, -0.5), title=f"{title}{note}")
    ax.grid(False, axis="y")
    return figure


@style.styled
def curve(
    x: Sequence[float],
    values: Mapping[str, Sequence[float]],
    xlabel: str,
    ylabel: str,
    intervals: Mapping[str, tuple[Sequence[float], Sequence[float]]] | None = None,
    chosen: float | None = None,
    title: str = "",
) -> style.Figure:
    """Plot scores against one choice: the fusion weight, the frames a track, the size of a crop.

    `values` is name to a line; `intervals` name to (low, high) lines, shaded; `chosen` marks an x.
    """
    figure, ax = style.axes(7.4, 4.4)
    looks = zip(style.SERIES, style.DASHES, style.MARKERS)
    for (name, line), (colour, dash, marker) in zip(values.items(), looks):
        ax.plot(x, line, color=colour, ls=dash, marker=marker, label=name)
        if intervals and name in intervals:
            ax.fill_between(x, *intervals[name], color=colour, alpha=0.15, lw=0)
        if chosen is not None:
            here = float(np.interp(chosen, x, line))
            ax.plot(chosen, here, "o", ms=13, mfc="none", mec=style.INK, mew=2)
            ax.annotate(f"{here:.3f}", (chosen, here), (9, 9), textcoords="offset points")
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    ax.margins(y=0.15)
    if len(values) > 1:
        ax.legend()
    return figure


def fusion(
    weights: Sequence[float], scores: Sequence[float], chosen: float | None = None
) -> style.Figure:
    """Plot mAP against the weight of the embedding: 0 is the histogram alone, 1 the network."""
    xlabel = "weight of the embedding (0: histogram alone, 1: embedding alone)"
    title = "Two kinds of features together"
    return curve(weights, {"mAP": scores}, xlabel, "mAP", None, chosen, title)


@style.styled
def costs(table: pd.DataFrame, cost: str, score: str) -> style.Figure:
    """Compare methods by what they give and what they cost: a row a method, two columns of bars.

    `table` is indexed by the method's name; `cost` is drawn on a logarithmic axis.
    """
    figure, (gives, takes) = style.axes(9.5, 1.3 + 0.42 * len(table), 1, 2, sharey=True)
    names = [str(name) for name in table.index]
    colours = {score: (style.SKY, style.BLUE), cost: (style.YELLOW, style.ORANGE)}
    for ax, column in ((gives, score), (takes, cost)):
        fill, edge = colours[column]
        ax.barh(names, table[column], color=fill, ec=edge)
        ax.set_xlabel(column)
        ax.grid(False, axis="y")
        for row, value in enumerate(table[column]):
            text = f" {value:.2f}" if column == score else f" {value:.{2 if value < 10 else 3}g}"
            ax.text(value, row, text, va="center")
    gives.set_xlim(0, max(1.0, table[score].max()) * 1.1)
    takes.set_xscale("log")
    takes.set_xlim(table[cost].min() / 3, table[cost].max() * 4)
    gives.invert_yaxis()
    figure.suptitle("What features give, and what they cost")
    return figure


def hues(bins: int) -> np.ndarray:
    """Return the colour of every bin of a hue histogram, (bins, 3) from 0 to 1."""
    return hsv_to_rgb([((i + 0.5) / bins, 0.8, 0.9) for i in range(bins)])
