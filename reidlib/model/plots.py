"""Figures of lesson 04: losses, training, rankings, thresholds and tuning."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from reidlib import style
from reidlib.collection import datasets


@style.styled
def forces(
    points: np.ndarray,
    labels: Sequence[int],
    gradient: np.ndarray,
    rings: Mapping[str, float] | None = None,
    anchor: int = 0,
    path: np.ndarray | None = None,
    title: str = "",
) -> style.Figure:
    """Draw 2-D embeddings and the way a loss moves each: arrows are minus its gradient (N, 2).

    `rings` are circles around point `anchor`, name to radius, such as the reach of the loss; `path`
    is where the points were before, (steps, N, 2).
    """
    points, step = np.asarray(points, float), -np.asarray(gradient, float)
    figure, ax = style.axes(7, 6)
    spread = max(np.ptp(points, axis=0).max(), 1e-6)
    longest = np.linalg.norm(step, axis=1).max()
    if longest > 0:
        step = step * 0.22 * spread / longest
    labels = np.asarray(labels)
    for i, person in enumerate(np.unique(labels)):
        here = labels == person
        look = {"color": style.colour(person), "marker": style.MARKERS[i % 8], "ec": style.INK}
        ax.scatter(*points[here].T, s=130, label=f"person {person}", zorder=3, **look)
    arrow = {"angles": "xy", "scale_units": "xy", "scale": 1, "width": 0.007, "zorder": 4}
    ax.quiver(*points.T, *step.T, color=style.INK, **arrow)
    for i, trail in enumerate([] if path is None else np.swapaxes(path, 0, 1)):
        ax.plot(*trail.T, color=style.colour(labels[i]), lw=1.2, alpha=0.6, zorder=1)
    turn = np.linspace(0, 2 * np.pi, 100)
    for (name, radius), dash in zip((rings or {}).items(), style.DASHES[1:]):
        ring = points[anchor] + radius * np.column_stack([np.cos(turn), np.sin(turn)])
        ax.plot(*ring.T, color=style.GREY, ls=dash, lw=1.6, label=name)
        ax.plot(*points[anchor], "o", ms=20, mfc="none", mec=style.INK, mew=2)
    ax.set(aspect="equal", title=title or "What the loss pushes and pulls")
    ax.margins(0.18)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.06), ncols=3, columnspacing=1)
    return figure


@style.styled
def training(history: pd.DataFrame) -> style.Figure:
    """Plot every numeric column of a training history against the epoch, a panel each."""
    columns = history.set_index("epoch").select_dtypes("number")
    figure, cells = style.tiles(columns.shape[1], 3, 3.7, 2.9)
    for ax, (name, values), colour in zip(cells, columns.items(), style.SERIES * 9):
        seen = values.dropna()
        ax.plot(seen.index, seen, color=colour, marker="o", ms=4)
        ax.set(title=name.replace("_", " "), xlabel="epoch")
    return figure


@style.styled
def cmc(
    curves: Mapping[str, np.ndarray],
    intervals: Mapping[str, tuple[np.ndarray, np.ndarray]] | None = None,
    ranks: int = 20,
) -> style.Figure:
    """Plot cumulative match curves, the first value being rank-1, with shaded intervals."""
    figure, ax = style.axes(7.4, 4.6)
    for (name, values), colour, dash in zip(curves.items(), style.SERIES, style.DASHES):
        values = np.asarray(values)[:ranks]
        at = np.arange(1, len(values) + 1)
        ax.plot(at, values, color=colour, ls=dash, label=f"{name}: rank-1 {values[0]:.2f}")
        if intervals and name in intervals:
            low, high = (np.asarray(side)[:ranks] for side in intervals[name])
            ax.fill_between(at, low, high, color=colour, alpha=0.15, lw=0)
    ax.set(xlabel="rank k", ylabel="found among the first k", ylim=(0, 1.03), xlim=(1, ranks))
    ax.set(xticks=[1, *range(5, ranks + 1, 5)], title="Cumulative match characteristic (CMC)")
    ax.legend(loc="lower right")
    return figure


@style.styled
def rank_grid(
    queries: Sequence[np.ndarray],
    ranked: Sequence[Sequence[np.ndarray]],
    right: Sequence[Sequence[bool | str | None]],
    captions: Sequence[Sequence[str]] | None = None,
    names: Sequence[str] | None = None,
    title: str = "",
) -> style.Figure:
    """Show each query and its ranked gallery; right: solid blue and ✓, wrong: dashed orange and ✗.

    `right` is None where the truth is unknown, "junk" for a picture that takes up no rank, and
    "rejected" or "missed" for one that a system calls nobody, rightly or not.
    `captions` is a line under each gallery picture, `names` one above each query.
    """
    columns = 1 + max(len(row) for row in ranked)
    size = 1.12 * columns + 0.3, 2.65 * len(queries) + 0.5
    figure = style.Figure(figsize=size)
    widths = [1.12] + [1] * (columns - 1)
    cells = figure.subplots(len(queries), columns, squeeze=False, width_ratios=widths)
    for i, row in enumerate(cells):
        style.show(row[0], queries[i], names[i] if names else "query", 11)
        style.frame(row[0], style.INK, 3)
        ranks = np.cumsum([mark != "junk" for mark in right[i]])
        for j, ax in enumerate(row[1:]):
            if j >= len(ranked[i]):
                ax.set_axis_off()
                continue
            above, edge, line = {
                True: (f"{ranks[j]} ✓", style.RIGHT, "-"),
                False: (f"{ranks[j]} ✗", style.WRONG, (0, (3, 2))),
                None: (f"{ranks[j]}", style.GREY, "-"),
                "junk": ("junk", style.GREY, ":"),
                "rejected": (f"{ranks[j]} rejected", style.GREY, ":"),
                "missed": (f"{ranks[j]} missed", style.WRONG, ":"),
            }[right[i][j]]
            style.show(ax, ranked[i][j])
            ax.set_title(above, fontsize=12, color=edge, weight="bold", loc="center")
            style.frame(ax, edge, 4, line)
            if captions:
                ax.set_xlabel(captions[i][j], fontsize=9, labelpad=2)
    if title:
        figure.suptitle(title)
    return figure


@style.styled
def best_to_worst(data, result, order, nearest, name: str, rows: int = 6) -> style.Figure:
    """Draw the rankings of some queries, from the best to the worst: as fair as the score.

    `data` is a datasets.Dataset and `result` a ranking.Result of it; `order` and `nearest` are
    gallery rows and distances (Q, k) as from distances.top.
    """
    query_pids, _, gallery_pids, _ = data.labels
    counted = np.flatnonzero(np.isfinite(result.ap))
    by_score = counted[np.argsort(-result.ap[counted], kind="stable")]
    shown = by_score[np.linspace(0, len(by_score) - 1, min(rows, len(by_score))).astype(int)]
    found = [order[i][order[i] >= 0] for i in shown]
    return rank_grid(
        datasets.read_images(data.query["path"].iloc[shown]),
        [datasets.read_images(data.gallery["path"].iloc[rows]) for rows in found],
        [gallery_pids[rows] == query_pids[i] for i, rows in zip(shown, found)],
        [[f"{distance:.2f}" for distance in nearest[i]] for i in shown],
        [f"{query_pids[i]}: AP {result.ap[i]:.2f}" for i in shown],
        f"From the best query to the worst, cosine distances ({name})",
    )


def distances(
    same: np.ndarray, different: np.ndarray, threshold: float | None = None, title: str = ""
) -> style.Figure:
    """Draw how distances of same and of different people spread, and a threshold between them."""
    import seaborn

    figure, ax = style.axes(7.4, 4.2)
    bins = np.linspace(min(same.min(), different.min()), max(same.max(), different.max()), 60)
    look = {"bins": bins, "stat": "density", "element": "step", "lw": 1.6, "alpha": 0.35, "ax": ax}
    for values, name, colour, hatch in (
        (same, "same person", style.RIGHT, ""),
        (different, "different people", style.WRONG, "///"),
    ):
        label = f"{name} ({len(values):,} pairs)"
        seaborn.histplot(values, label=label, color=colour, ec=colour, hatch=hatch, **look)
    if threshold is not None:
        missed, wrong = np.mean(same > threshold), np.mean(different <= threshold)
        label = f"threshold {threshold:.2f}: misses {missed:.1%}, false matches {wrong:.2%}"
        ax.axvline(threshold, color=style.INK, ls="--", label=label)
    ax.set(xlabel="distance", ylabel="density", yticks=[], title=title or "Same or different?")
    ax.margins(y=0.35)
    ax.legend(loc="upper left")
    return figure


@style.styled
def mining(to_partners: np.ndarray, to_strangers: np.ndarray, margin: float) -> style.Figure:
    """Draw what an anchor sees: its distances to partners (P,) and to strangers (N,), on a line.

    Seen from the farthest partner, strangers are hard (nearer), semi-hard (farther, within the
    margin) or easy. The triplet of hard mining is the farthest partner and the nearest stranger.
    """
    figure, ax = style.axes(7.4, 3.0)
    farthest, nearest = np.max(to_partners), np.min(to_strangers)
    left = min(np.min(to_partners), nearest) - 0.1
    right = max(np.max(to_strangers), farthest + margin) + 0.1
    edges = (left, farthest, farthest + margin, right)
    zones = ("hard", 0.22), ("semi-hard", 0.11), ("easy", 0)
    for start, stop, (name, alpha) in zip(edges, edges[1:], zones):
        inside = np.count_nonzero((to_strangers > start) & (to_strangers <= stop))
        ax.axvspan(start, stop, color=style.GREY, alpha=alpha, lw=0)
        ax.text((start + stop) / 2, 1.62, f"{name}: {inside}", ha="center", va="center")
    ax.scatter(to_partners, np.ones(len(to_partners)), s=90, color=style.RIGHT, ec=style.INK)
    ax.scatter(to_strangers, np.zeros(len(to_strangers)), s=60, color=style.WRONG, marker="x")
    for place, height in ((farthest, 1), (nearest, 0)):
        ax.plot(place, height, "o", ms=17, mfc="none", mec=style.INK, mew=2)
    ax.axvline(farthest, color=style.INK, ls="--")
    ax.axvline(farthest + margin, color=style.INK, ls=":")
    ax.set(xlim=(left, right), ylim=(-0.6, 2), yticks=[0, 1], xlabel="distance from the anchor")
    ax.set(yticklabels=["strangers", "partners"], title=f"An anchor's triplets, margin {margin:g}")
    return figure


@style.styled
def similarities(models: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> style.Figure:
    """Draw how alike one person and two people are to several models, on one axis for all.

    `models` maps a name to the cosine distances of pairs of one person and of pairs of two. Each
    hill has the height 1, and a line at its median: a needle would otherwise hide the others.
    """
    figure, cells = style.tiles(len(models), 1, 7.4, 1.9)
    bins = np.linspace(-1, 1, 201)
    for ax, (name, pairs) in zip(cells, models.items()):
        looks = (("one person", style.RIGHT, "-"), ("two people", style.WRONG, "--"))
        for values, (kind, colour, dash) in zip(pairs, looks):
            alike = np.clip(1 - values, -1, 1)
            heights, _ = np.histogram(alike, bins)
            ax.stairs(heights / heights.max(), bins, color=colour, fill=True, alpha=0.3)
            ax.stairs(heights / heights.max(), bins, color=colour, ls=dash, lw=1.6)
            median = np.median(alike)
            ax.axvline(median, color=colour, ls=dash, lw=2, label=f"{kind}: median {median:.4f}")
        ax.set(title=name, xlim=(-1, 1.05), ylim=(0, 1.7), yticks=[])
        ax.legend(loc="upper left")
    cells[-1].set_xlabel("similarity of a pair (cosine)")
    return figure


@style.styled
def roc(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]], chosen: float | None = None
) -> style.Figure:
    """Plot the true match rate against the false match rate (logarithmic), name to (false, true).

    `chosen` marks a false match rate and says what each method still finds there.
    """
    figure, ax = style.axes(6.8, 4.6)
    for (name, (false, true)), colour, dash in zip(curves.items(), style.SERIES, style.DASHES):
        false, true = np.asarray(false, float), np.asarray(true, float)
        if chosen is not None:
            allowed = true[false <= chosen].max(initial=0.0)
            name = f"{name}: {allowed:.0%} found"
            ax.plot(chosen, allowed, "o", color=colour, ms=10, mec=style.INK)
        # A curve may have a million points; two thousand, dense on the left, look the same.
        drawn = np.unique(np.geomspace(1, len(false), 2000).astype(int)) - 1
        ax.plot(np.maximum(false[drawn], 1e-6), true[drawn], color=colour, ls=dash, label=name)
    if chosen is not None:
        ax.axvline(chosen, color=style.GREY, ls=":")
    rates = [np.asarray(false, float) for false, _ in curves.values()]
    lowest = min(np.min(rate[rate > 0], initial=1.0) for rate in rates)
    ax.set(xscale="log", xlim=(max(lowest, 1e-5), 1), ylim=(0, 1.03))
    at = "" if chosen is None else f" (at a false match rate of {chosen:g})"
    ax.set(xlabel="false match rate", ylabel="true match rate", title=f"Which threshold?{at}")
    ax.legend(loc="best")
    return figure


@style.styled
def matrix(
    values: np.ndarray,
    rows: Sequence,
    columns: Sequence,
    xlabel: str,
    ylabel: str,
    title: str = "",
    best: tuple[int, int] | None = None,
    dark_is_high: bool = True,
    label: str = "",
) -> style.Figure:
    """Draw a matrix as a heat map; cells bear their value when there are at most 15 a side."""
    values = np.asarray(values, float)
    height, width = values.shape
    largest = max(height, width)
    cell = 0.62 if largest <= 15 else 0.3 if largest <= 40 else 0.12
    figure, ax = style.axes(max(5.0, cell * width + 2.6), max(3.8, cell * height + 1.6))
    look = {"cmap": "Blues" if dark_is_high else "Blues_r", "annot_kws": {"size": 11}}
    digits = ".2f"
    if np.allclose(values, np.round(values), equal_nan=True):  # counts, from none upwards
        look |= {"vmin": 0, "bar": {"ticks": MaxNLocator("auto", integer=True)}}
        digits = ".0f"
    digits = digits if largest <= 15 else ""
    style.heat_map(ax, values, rows, columns, digits, label or " ", **look)
    if best is not None:
        ax.add_patch(Rectangle(best[::-1], 1, 1, fill=False, ec=style.RED, lw=3, clip_on=False))
    ax.set(xlabel=xlabel, ylabel=ylabel, title=title)
    return figure


def confusion(
    counts: np.ndarray, people: Sequence, answers: Sequence | None = None, title: str = ""
) -> style.Figure:
    """Draw the confusion matrix of known people, counts (true person, person answered).

    `answers` names the columns, for example to have one more called "other"; default `people`.
    """
    hits = np.trace(counts) / max(np.sum(counts), 1)
    title = title or f"Who was taken for whom: {hits:.0%} right"
    names = people if answers is None else answers
    shown = np.where(counts, counts, np.nan)  # an empty cell is read faster than a zero
    return matrix(shown, people, names, "answered", "true person", title, label="images")


def distance_matrix(
    values: np.ndarray, rows: Sequence, columns: Sequence, title: str = "Distances: dark is alike"
) -> style.Figure:
    """Draw distances between queries (rows) and gallery (columns); dark is near."""
    look = {"dark_is_high": False, "label": "distance"}
    return matrix(values, rows, columns, "gallery", "query", title, **look)


def tuning(table: pd.DataFrame, row: str, column: str, score: str = "mAP") -> style.Figure:
    """Draw a search over two settings as a heat map of the mean `score`, the best one outlined."""
    pivot = table.pivot_table(index=row, columns=column, values=score, aggfunc="mean")
    best = np.unravel_index(np.nanargmax(pivot.to_numpy()), pivot.shape)
    title = f"{score} on validation identities (outlined: best)"
    return matrix(pivot, pivot.index, pivot.columns, column, row, title, best, label=score)


SHOWN = 12  # people in a map, a confusion matrix


def mistaken_people(true: np.ndarray, answers: np.ndarray):
    """Return the figure of who was taken for whom: the identity of each query's nearest image.

    Shown are those who were mistaken, and for whom; then others, while there is room.
    """
    wrong = true != answers
    mistaken = np.column_stack([true[wrong], answers[wrong]]).ravel()
    everybody = pd.unique(np.concatenate([mistaken[mistaken > 0], true]))
    people = np.sort(everybody[:SHOWN])
    names = [*people, "other"]
    place = {person: i for i, person in enumerate(people)}
    counts = np.zeros((len(people), len(names)), int)
    for person, answer in zip(true, answers):
        if person in place:
            counts[place[person], place.get(answer, -1)] += 1
    right = f"{1 - wrong.mean():.0%} of all right"
    title = f"Who was taken for whom: {right}, {people_shown(everybody)} shown"
    return confusion(counts, people, names, title)


def people_shown(people: np.ndarray) -> str:
    return f"{min(SHOWN, len(people))} of {len(people)} people"
