"""Figures of lesson 02: detections, their scores, the cost matrix and tracks."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.patches import Rectangle

from reidlib import style
from reidlib.boxes import BOX
from reidlib.drawing import ink

PRECISION_AND_RECALL = {
    "xlabel": "recall", "ylabel": "precision", "xlim": (0, 1.02), "ylim": (0, 1.05)
}  # fmt: skip


@style.styled
def detections(
    image: np.ndarray,
    found: Mapping[str, pd.DataFrame],
    truth: pd.DataFrame | None = None,
    columns: int = 3,
) -> style.Figure:
    """Draw each detector's boxes on the same frame, with confidences, over the true boxes in white.

    `found` is a name to a table x1 y1 x2 y2 confidence; `truth` has x1 y1 x2 y2.
    """
    width = 8 if min(columns, len(found)) == 1 else 5
    height = width * image.shape[0] / image.shape[1] + 0.4
    figure, cells = style.tiles(len(found), columns, width, height)
    for ax, (name, table) in zip(cells, found.items()):
        style.show(ax, image, f"{name}: {len(table)} boxes", 13)
        _draw_boxes(ax, table, truth)
    if truth is not None:
        figure.suptitle(f"orange: found, white: the {len(truth)} true people")
    return figure


def _draw_boxes(ax, table: pd.DataFrame, truth: pd.DataFrame | None) -> None:
    if truth is not None:
        for x1, y1, x2, y2 in truth[BOX].to_numpy():
            for colour, width in ((style.INK, 5.5), ("white", 3.5)):  # seen on pale ground too
                place = (x1, y1), x2 - x1, y2 - y1
                ax.add_patch(Rectangle(*place, fill=False, ec=colour, lw=width))
    for x1, y1, x2, y2, score in table[[*BOX, "confidence"]].to_numpy():
        ax.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec=style.ORANGE, lw=2))
        box = {"fc": style.ORANGE, "ec": "none", "pad": 0.8}
        ax.text(x1, y1, f"{score:.2f}".lstrip("0"), size=9, va="bottom", clip_on=True, bbox=box)


@style.styled
def thresholds(
    image: np.ndarray,
    found: pd.DataFrame,
    truth: pd.DataFrame,
    curve: pd.DataFrame,
    confidence: float,
) -> style.Figure:
    """Draw what a threshold keeps on one frame, beside the precision and recall over all frames.

    `found` and `truth` are this frame's boxes, `curve` is as from `scores.precision_recall`.
    """
    figure, (picture, ax) = style.axes(13, 4.3, 1, 2, width_ratios=[1.7, 1])
    style.show(picture, image, f"orange: {len(found)} found, white: {len(truth)} people", 13)
    _draw_boxes(picture, found, truth)
    ax.plot(curve.recall, curve.precision, color=style.BLUE)
    kept = curve[curve.confidence >= confidence]
    if len(kept):
        at = kept.recall.iloc[-1], kept.precision.iloc[-1]
        ax.plot(*at, "o", color=style.BLUE, ms=11, mec=style.INK)
        words = f"confidence {confidence:.2f}:\nrecall {at[0]:.2f}\nprecision {at[1]:.2f}"
        ax.text(0.05, 0.08, words, transform=ax.transAxes)
    ax.set(**PRECISION_AND_RECALL, title="All frames: the chosen point")
    return figure


@style.styled
def precision_recall(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]],
    confidence: float | None = None,
    low: float = 0.0,
) -> style.Figure:
    """Plot precision against recall; `confidence` marks the point that this threshold chooses.

    `curves` is a name to (recall, precision, confidence), each of shape (N,), best detection first.
    Both axes begin at `low`.
    """
    figure, ax = style.axes(6.6, 4.8)
    for (name, curve), colour, dash in zip(curves.items(), style.SERIES, style.DASHES):
        recall, precision, scores = map(np.asarray, curve)
        kept = int(np.sum(scores >= confidence)) if confidence is not None else 0
        if kept:
            at = recall[kept - 1], precision[kept - 1]
            ax.plot(*at, "o", color=colour, ms=11, mec=style.INK)
            name = f"{name}: recall {at[0]:.2f}, precision {at[1]:.2f}"
        ax.plot(recall, precision, color=colour, ls=dash, label=name)
    chosen = "" if confidence is None else f" (points: confidence at least {confidence:.2f})"
    ax.set(**PRECISION_AND_RECALL, title=f"Precision and recall{chosen}")
    ax.set(xlim=(low, 1.01), ylim=(low, 1.02))
    ax.legend(loc="lower left")
    return figure


@style.styled
def cost_matrix(
    cost: np.ndarray,
    matches: Mapping[str, list[tuple[int, int]]],
    rows: list[str],
    columns: list[str],
    lost: float | None = None,
    crops: tuple[list, list] | None = None,
) -> style.Figure:
    """Draw a cost matrix (tracks x detections) once for each way of matching, matches outlined.

    `matches` is a name (greedy, Hungarian) to (row, column) pairs; the sum of their costs is shown,
    and with `lost`, the price of a track without a pair, what was really paid. Forbidden pairs are
    infinite or NaN and left blank. `crops` are images for the rows and for the columns.
    """
    cost = np.asarray(cost, float)
    shown = np.where(np.isfinite(cost), cost, np.nan)
    width = max(3.6, 0.75 * len(columns) + 1.4)
    height = max(2.8, 0.6 * len(rows) + 1.5)
    figure, cells = style.axes(width * len(matches), height, 1, len(matches), squeeze=False)
    for ax, (name, pairs) in zip(cells[0], matches.items()):
        # A light map, so that dark figures are readable on every cell.
        style.heat_map(
            ax, shown, rows, columns, ".2f", cmap="Blues_r", vmin=-0.6, vmax=1,
            annot_kws={"color": "black"},
        )  # fmt: skip
        for i, j in np.argwhere(np.isnan(shown)):
            ax.text(j + 0.5, i + 0.5, "–", ha="center", va="center")
        for i, j in pairs:
            ax.add_patch(Rectangle((j + 0.03, i + 0.05), 0.94, 0.9, fill=False, ec=style.RED, lw=3))
        total = sum(cost[i, j] for i, j in pairs)
        title = f"{name}: {len(pairs)} pair{'s' * (len(pairs) != 1)}, cost {total:.2f}"
        if lost is not None:
            alone = len(rows) - len(pairs)
            title += f"\n+ {alone} lost × {lost:g} = {total + alone * lost:.2f}"
        ax.set_title(title, size=12, loc="center")
        ax.set(xlabel="detections", ylabel="tracks")
        if crops is not None:
            _crops_beside(ax, *crops)
    return figure


def _crops_beside(ax, rows: list, columns: list) -> None:
    """Put an image beside each row and below each column of a heat map, outside its labels."""
    from matplotlib.offsetbox import AnnotationBbox, OffsetImage

    places = [((0, i + 0.5), (-62, 0)) for i in range(len(rows))]
    places += [((j + 0.5, len(rows)), (0, -50)) for j in range(len(columns))]
    for image, (at, beside) in zip([*rows, *columns], places):
        picture = OffsetImage(image, zoom=44 / image.shape[0])
        box = AnnotationBbox(
            picture, at, beside, boxcoords="offset points", frameon=False, annotation_clip=False
        )
        ax.add_artist(box)
    ax.xaxis.labelpad = 56
    ax.yaxis.labelpad = 48


@style.styled
def ladder(table: pd.DataFrame, score: str = "IDF1") -> style.Figure:
    """Draw a score of one tracker after another: a point a clip, the mean and its interval.

    `table` has columns rung and clip and the score; `low` and `high` are the interval of the mean.
    """
    means = table.groupby("rung", sort=False)[[score, "low", "high"]].mean()
    figure, ax = style.axes(9, 0.48 * len(means) + 1.2)
    for row, (rung, (mean, low, high)) in enumerate(means.iterrows()):
        clips = table[score][table["rung"] == rung]
        ax.plot(clips, [row] * len(clips), "o", color=style.GREY, ms=5, alpha=0.7)
        ax.plot([low, high], [row, row], color=style.BLUE, lw=5, alpha=0.5)
        ax.plot(mean, row, "D", color=style.BLUE, ms=8, mec=style.INK)
        ax.annotate(f"{mean:.2f}", (mean, row), (0, 9), textcoords="offset points", ha="center")
    ax.set_yticks(range(len(means)), means.index)
    ax.set(xlabel=score, ylim=(len(means) - 0.4, -0.8))
    ax.set_title("Grey: one clip each; diamond and band: mean of the clips, 95 % interval")
    return figure


@style.styled
def identities_over_time(matched: pd.DataFrame, times) -> style.Figure:
    """Draw which track each true person has, a row a person, a colour and number a track.

    `matched` is as from `scores.matches`, `times` the seconds of every frame of the video, as from
    `video.times`. White is where nobody was tracked; a cross is a switch.
    """
    times = np.asarray(times, float)
    last = times[-1] + (times[-1] - times[0]) / max(len(times) - 1, 1)
    times = np.append(times, last)  # when the last frame is over
    order = matched.groupby("person")["frame"].min().sort_values(kind="stable").index
    figure, ax = style.axes(10, max(2.4, 0.3 * len(order) + 1.2))
    for row, person in enumerate(order):
        mine = matched[matched.person == person]
        begin, end = times[mine.frame.min()], times[mine.frame.max() + 1]
        ax.broken_barh([(begin, end - begin)], (row - 0.38, 0.76), fc="none", ec=style.GREY, lw=0.8)
        new = (mine.track.diff().fillna(1) != 0) | (mine.frame.diff().fillna(1) != 1)
        for _, run in mine.groupby(new.cumsum()):
            track, start = int(run.track.iloc[0]), times[run.frame.iloc[0]]
            if track >= 0:
                length = times[run.frame.iloc[-1] + 1] - start
                colour = style.colour(track)
                ax.broken_barh([(start, length)], (row - 0.38, 0.76), fc=colour, lw=0)
                if length > 1.2:
                    beside = start + 0.08 + 0.25 * run.switch.iloc[0]  # a cross needs room
                    ax.text(beside, row, str(track), va="center", size=9, color=ink(colour))
        switches = times[mine.frame[mine.switch]]
        ax.plot(switches, [row] * len(switches), "X", color="black", ms=8, mec="white")
    ax.set_yticks(range(len(order)), [str(person) for person in order], fontsize=10)
    ax.set(xlabel="time, s", ylabel="true person", ylim=(len(order) - 0.4, -0.6))
    ax.grid(axis="y", visible=False)
    ax.set_title(f"{len(order)} people, {matched.switch.sum()} identity switches (crosses)")
    return figure


@style.styled
def motion(
    seconds: np.ndarray, measured: np.ndarray, predicted: np.ndarray, deviation: np.ndarray
) -> style.Figure:
    """Plot what a Kalman filter predicted, with two standard deviations, over what was measured.

    All are (N,), the last three in pixels; `measured` is NaN where the filter got no box.
    """
    figure, ax = style.axes(9, 3.8)
    low, high = predicted - 2 * deviation, predicted + 2 * deviation
    ax.fill_between(seconds, low, high, color=style.SKY, alpha=0.35, lw=0, label="two deviations")
    ax.plot(seconds, predicted, color=style.BLUE, label="predicted")
    ax.plot(seconds, measured, "o", color=style.ORANGE, ms=4.5, label="box found")
    ax.set(xlabel="time, s", ylabel="x of the centre, pixels")
    ax.set_title("The prediction for each frame, made before the frame was seen")
    ax.legend(loc="best")
    return figure


@style.styled
def delays(runs: Mapping[str, pd.DataFrame]) -> style.Figure:
    """Plot how late the result of each frame was, a line a run: tables time, delay (seconds)."""
    figure, ax = style.axes(9, 3.6)
    marks = zip(runs.items(), style.SERIES, style.DASHES, style.MARKERS)
    for (name, run), colour, dash, mark in marks:
        ax.plot(run.time, run.delay, mark, ls=dash, color=colour, ms=3.5, lw=1.4, label=name)
    top = max((run.delay.max() for run in runs.values() if len(run)), default=0)
    ax.set(xlabel="time of the frame, s", ylabel="delay, s", ylim=(0, 1.15 * max(top, 0.05)))
    ax.set_title("How old a frame is when its result is there")
    ax.legend(loc="upper left")
    return figure


@style.styled
def scores(table: pd.DataFrame) -> style.Figure:
    """Draw scores between 0 and 1 as groups of bars: a group a row, a bar a column."""
    import seaborn

    figure, ax = style.axes(max(7, 1.9 * len(table)), 4)
    long = table.rename_axis("what").reset_index().melt("what", var_name="score")
    palette = [style.BLUE, style.ORANGE, style.GREEN][: table.shape[1]]
    seaborn.barplot(
        long, x="what", y="value", hue="score", palette=palette, saturation=1, gap=0.08, ax=ax
    )
    for bars in ax.containers:
        ax.bar_label(bars, fmt="%.2f", size=10)
    lowest = float(table.min().min())
    ax.set(xlabel="", ylabel="score", ylim=(min(0, 1.1 * lowest), 1.12))
    ax.grid(axis="x", visible=False)
    ax.legend(title="", loc="upper left", bbox_to_anchor=(1, 1))
    return figure


@style.styled
def trajectories(table: pd.DataFrame, image: np.ndarray) -> style.Figure:
    """Draw where each person's feet went on the image; the number, at the end, is the track.

    `table` has columns frame, track and x1 y1 x2 y2 (pixels).
    """
    figure, ax = style.axes(8, 8 * image.shape[0] / image.shape[1] + 0.4)
    style.show(ax, image // 2 + 110, "Where people walked", 13)
    placed = np.zeros((0, 2))
    for track, path in table.sort_values("frame").groupby("track"):
        x, y = ((path["x1"] + path["x2"]) / 2).to_numpy(), path["y2"].to_numpy()
        ax.plot(x, y, color=style.colour(track), lw=2.5)
        # Labels keep clear of each other and of the border: the last place on the path that does.
        points = np.column_stack([x, y])[::-1]
        border = np.minimum(points, image.shape[1::-1] - points).min(axis=1)
        apart = np.linalg.norm(points[:, None] - placed, axis=2).min(axis=1, initial=np.inf)
        spot = points[np.argmax(np.where(border > 14, np.minimum(apart, 26), -1))]
        placed = np.vstack([placed, spot])
        box = {"boxstyle": "circle,pad=.2", "fc": "white", "ec": style.colour(track), "lw": 2}
        ax.text(*spot, str(track), size=10, ha="center", va="center", clip_on=True, bbox=box)
    ax.set(xlim=(0, image.shape[1]), ylim=(image.shape[0], 0))
    return figure
