"""Figures of lesson 03: crops, histograms, embeddings as a map, and what each choice gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from threadpoolctl import threadpool_limits

from reidlib.plots import style


@style.styled
def before_after(
    before: Sequence[np.ndarray],
    after: Sequence[np.ndarray],
    labels: tuple[str, str] = ("before", "after"),
) -> style.Figure:
    """Show crops in two rows: as cut from the frame, and as the network will see them."""
    tallest = max(image.shape[0] / image.shape[1] for image in (*before, *after))
    size = 1.2 * len(before) + 0.6, 2.4 * min(tallest, 2.6) + 0.3
    figure, cells = style.axes(*size, 2, len(before), squeeze=False)
    for ax, image in zip(cells.flat, (*before, *after)):
        style.show(ax, image)
    for ax, label in zip(cells[:, 0], labels):
        ax.set_ylabel(label)
    return figure


@style.styled
def stripe_histograms(
    crops: Sequence[np.ndarray],
    histograms: Sequence[np.ndarray],
    names: Sequence[str] | None = None,
    xlabel: str = "bin",
) -> style.Figure:
    """Show crops and, beside each, the histogram of every body stripe.

    `histograms` holds one array (stripes, bins) a crop; stripes run from head to feet.
    """
    stripes = len(histograms[0])
    figure = style.Figure(figsize=(9, 2.7 * len(crops)))
    cells = figure.subplots(
        len(crops), 1 + stripes, width_ratios=[0.8] + [1] * stripes, squeeze=False
    )
    top = max(np.max(values) for values in histograms)
    for i, (row, crop, values) in enumerate(zip(cells, crops, histograms)):
        style.show(row[0], crop, names[i] if names else "")
        for edge in range(1, stripes):
            row[0].axhline(crop.shape[0] * edge / stripes - 0.5, color="white", lw=1.5, ls="--")
        for j, (ax, stripe) in enumerate(zip(row[1:], values)):
            ax.bar(range(len(stripe)), stripe, 1.0, color=style.SERIES[j % len(style.SERIES)])
            ax.set(ylim=(0, top * 1.05), yticks=[], xticks=[])
            if i == 0:
                ax.set_title(f"stripe {j + 1}")
    for ax in cells[-1, 1:]:
        ax.set_xlabel(xlabel)
    return figure


def project(vectors: np.ndarray, how: str = "pca", seed: int = 0) -> np.ndarray:
    """Return vectors (N, D) as points (N, 2), by ``pca`` or ``tsne`` (van der Maaten, 2008)."""
    vectors = np.asarray(vectors, np.float32)
    if vectors.ndim != 2 or len(vectors) < 3:
        raise ValueError(f"vectors have shape {vectors.shape}; a map needs at least 3 rows (N, D)")
    if how == "pca":
        from sklearn.decomposition import PCA

        return PCA(2, random_state=seed).fit_transform(vectors)
    if how == "tsne":
        from sklearn.manifold import TSNE

        # Perplexity is about the number of neighbours: it has to stay below the number of points.
        perplexity = min(20.0, (len(vectors) - 1) / 3)
        # On so few points threads wait for each other ten times longer than they work.
        with threadpool_limits(1):
            return TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(vectors)
    raise ValueError(f"no map called {how!r}; choose 'pca' or 'tsne'")


@style.styled
def embedding_map(
    vectors: np.ndarray,
    pids: Sequence,
    camids: Sequence | None = None,
    how: str = "pca",
    by: str = "person",
    seed: int = 0,
    title: str = "",
) -> style.Figure:
    """Draw vectors (N, D) as points on a plane: colour is the person, the marker the camera.

    With ``by="camera"`` the colour is the camera too, which shows camera bias. Up to 40 people are
    numbered at the middle of their points.
    """
    if by not in ("person", "camera"):
        raise ValueError(f"by={by!r}; choose 'person' or 'camera'")
    points = project(vectors, how, seed)
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
        for person in people:
            ax.text(
                *np.median(points[pids == person], axis=0),
                str(person),
                size=11,
                ha="center",
                va="center",
                bbox={"boxstyle": "round,pad=.2", "fc": "white", "ec": "none", "alpha": 0.75},
            )
    if len(cameras) > 1:
        fill = style.SERIES if by == "camera" else ["white"] * len(cameras)
        handles = [
            Line2D([], [], ls="", marker=style.MARKERS[i % 8], mfc=fill[i % len(fill)], mec="black")
            for i in range(len(cameras))
        ]
        names = [f"camera {camera}" for camera in cameras]
        ax.legend(handles, names, loc="upper left", bbox_to_anchor=(1, 1))
    ax.set(xticks=[], yticks=[])
    name = {"pca": "PCA", "tsne": "t-SNE"}[how]
    default = f"Embeddings of {len(people)} people as a map ({name}), coloured by {by}"
    ax.set_title(title or default, loc="left")
    return figure


@style.styled
def bars(
    values: Mapping[str, float],
    intervals: Mapping[str, tuple[float, float]] | None = None,
    xlabel: str = "rank-1",
    title: str = "",
    limit: float | None = 1.0,
) -> style.Figure:
    """Compare methods: one bar a name with its value, and its interval (low, high) as a whisker."""
    names = list(values)
    figure, ax = style.axes(8, 1.1 + 0.5 * len(names))
    lengths = [values[name] for name in names]
    ax.barh(names, lengths, color=style.SKY, ec=style.BLUE)
    ends = dict(values)
    for name, (low, high) in (intervals or {}).items():
        row = names.index(name)
        ax.plot([low, high], [row, row], color=style.INK, marker="|", ms=10, mew=2, lw=2)
        ends[name] = max(high, values[name])
    longest = limit or max(ends.values())
    for row, name in enumerate(names):
        text = f"{values[name]:.3g}" if limit is None else f"{values[name]:.2f}"
        ax.text(ends[name] + longest * 0.015, row, text, va="center")
    ax.set(xlabel=xlabel, xlim=(0, longest * (1.12 if limit is None else 1.08)))
    ax.invert_yaxis()
    ax.grid(False, axis="y")
    note = " (whiskers: 95 % interval)" if intervals else ""
    ax.set_title(f"{title}{note}", loc="left")
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
    for (name, line), colour, dash, marker in zip(
        values.items(), style.SERIES, style.DASHES, style.MARKERS
    ):
        ax.plot(x, line, color=colour, ls=dash, marker=marker, label=name)
        if intervals and name in intervals:
            ax.fill_between(x, *intervals[name], color=colour, alpha=0.15, lw=0)
        if chosen is not None:
            here = float(np.interp(chosen, x, line))
            ax.plot(chosen, here, "o", ms=13, mfc="none", mec=style.INK, mew=2)
            ax.annotate(f"{here:.3f}", (chosen, here), (9, 9), textcoords="offset points")
    ax.set(xlabel=xlabel, ylabel=ylabel)
    ax.margins(y=0.15)
    ax.set_title(title, loc="left")
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
