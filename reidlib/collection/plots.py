"""Figures of lesson 01: frames, cameras, quality, augmentation and the data set they make."""

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
import pandas as pd

from reidlib import style
from reidlib.collection import transforms
from reidlib.collection.quality import Report, Thresholds


def contact_sheet(
    images: Sequence[np.ndarray], seconds: Sequence[float], columns: int = 4, title: str = ""
) -> style.Figure:
    """Show frames of a clip in reading order, each with its time in seconds."""
    return style.grid(images, [f"{t:.1f} s" for t in seconds], columns, 3.0, title)


def augmentations(original: np.ndarray, variants: Mapping[str, np.ndarray]) -> style.Figure:
    """Show one crop beside its augmented variants, given as name to image."""
    shown = {"original": original, **variants}
    return style.grid(list(shown.values()), list(shown), 6, 1.5)


@style.styled
def bench(
    image: np.ndarray, *, crop: float, flip: bool, rotate: float, contrast: float,
    brightness: float, erase: float, rows: int, seed: int,
) -> style.Figure:  # fmt: skip
    """Show a crop after each step of a chain with the given settings, above random draws.

    `crop` and `erase` are shares of the sides and of the area, `rotate` degrees, `contrast` and
    `brightness` factors, `rows` the height in pixels. The random draws are what
    `transforms.augment` makes when these settings are its limits.
    """
    rng, (height, width) = np.random.default_rng(seed), image.shape[:2]
    box = np.outer([crop / 2, 1 - crop / 2], [width, height]).ravel()
    steps = {"original": image, f"crop {crop:.0%}": (now := transforms.crop(image, box))}
    steps[f"resize {rows}×{rows // 2}"] = now = transforms.resize(now, (rows, rows // 2))
    steps["flip" if flip else "no flip"] = now = transforms.flip(now) if flip else now
    steps[f"rotate {rotate:g}°"] = now = transforms.rotate(now, rotate)
    steps[f"contrast ×{contrast:.1f}"] = now = transforms.contrast(now, contrast)
    steps[f"bright ×{brightness:.1f}"] = now = transforms.brightness(now, brightness)
    if erase:
        now = transforms.random_erase(now, rng, (erase, erase))
    steps[f"erase {erase:.0%}"] = now
    batch = np.stack([transforms.resize(image, (rows, rows // 2))] * len(steps))
    limits = {"contrast": abs(1 - contrast), "brightness": abs(1 - brightness), "flip": flip / 2}
    limits |= {"crop": crop, "rotate": abs(rotate), "erase": min(1.0, 2 * erase)}
    draws = transforms.augment(batch, rng, **limits, blur=0.0, white_balance=0.0)
    figure, (above, below) = style.axes(9.6, 5.6, 2, 1)
    _strip(above, list(steps.values()), list(steps), "One step after the other")
    _strip(below, draws, [f"draw {i + 1}" for i in range(len(draws))], "Drawn at random")
    return figure


def _strip(ax, images: Sequence[np.ndarray], texts: Sequence[str], title: str) -> None:
    """Show crops in one row, a text under each: one picture, as many axes would be slow."""
    tiles = [cv2.resize(image, (96, 192), interpolation=cv2.INTER_NEAREST) for image in images]
    edged = [np.pad(tile, ((0, 0), (3, 3), (0, 0)), constant_values=255) for tile in tiles]
    style.show(ax, np.concatenate(edged, axis=1), interpolation="bilinear")
    ax.set_title(title, fontsize=11)
    for i, text in enumerate(texts):
        ax.text(102 * i + 51, 196, text, ha="center", va="top", size=9)


@style.styled
def quality(report: Report, thresholds: Thresholds | None = None, title: str = "") -> style.Figure:
    """Plot each measure of a quality report against time, limits dashed, failing frames marked."""
    thresholds, table = thresholds or Thresholds(), report.table
    limits = thresholds.limits
    names = [name for name in table if name in limits]
    figure, strips = style.axes(9, 1.1 + 0.95 * len(names), len(names), 1, sharex=True)
    for ax, name in zip(strips, names):
        low, high = limits[name]
        ax.plot(table["time"], table[name], color=style.BLUE, marker=".", lw=1.4)
        bad = table[(table[name] < low) | (table[name] > high)]
        ax.plot(bad["time"], bad[name], "X", color=style.RED, ms=8)
        shown = [limit for limit in (low, high) if np.isfinite(limit)]
        for limit in shown:
            ax.axhline(limit, color=style.RED, ls="--", lw=1.4)
        ends = np.append(table[name].dropna(), shown)
        room = 0.12 * np.ptp(ends) or 1.0
        ax.set_ylim(ends.min() - room, ends.max() + room)
        ax.set_ylabel(name.replace("_", "\n"), rotation=0, ha="right", va="center")
        ax.locator_params(axis="y", nbins=3)
    strips[-1].set_xlabel("time, s")
    figure.suptitle(f"{title or 'Quality'}: {report.verdict} (dashed: limit, ✗: frame beyond it)")
    return figure


@style.styled
def tracks(
    table: pd.DataFrame,
    crops: Mapping[int, np.ndarray],
    chosen: Sequence[int],
    names: Mapping[int, int] | None = None,
    frame: int | None = None,
) -> style.Figure:
    """Show crops of the chosen tracks along time, above a bar for the life of every track.

    `table` has columns frame and track, `crops` is a row's index to its image (some rows are
    enough), `names` is track to pid, `frame` marks a moment.
    """
    names, chosen, columns = names or {}, list(dict.fromkeys(chosen)), 10
    lives = table.groupby("track")["frame"].agg(["min", "max"]).sort_values("min")
    heights = [2.1] * len(chosen) + [0.5 + 0.2 * len(lives)]
    figure = style.Figure(figsize=(9.6, sum(heights)))
    *strips, bars = figure.subplots(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    for ax, track in zip(strips, chosen):
        rows = [row for row in table.index[table["track"] == track] if row in crops]
        places = np.unique(np.linspace(0, len(rows) - 1, min(columns, len(rows))).round())
        rows = [rows[int(i)] for i in places]
        images = [crops[row] for row in rows]
        images += [np.full((2, 2, 3), 255, np.uint8)] * (columns - len(rows))
        frames = [f"{number}" for number in table["frame"][rows]]
        _strip(ax, images, frames, f"track {track}: {_named(names, track)}")
    for i, (track, life) in enumerate(lives.iterrows()):
        bars.barh(i, life["max"] - life["min"] + 1, left=life["min"], height=0.75,
                  color=style.colour(names.get(track, -1)),
                  edgecolor=style.INK if track in chosen else "none", lw=2)  # fmt: skip
        bars.text(life["max"] + 3, i, f"{track}: {_named(names, track)}", va="center", size=9)
    if frame is not None:
        bars.axvline(frame, color=style.RED, ls="--")
    bars.set(yticks=[], xlabel="frame", ylabel="tracks")
    bars.invert_yaxis()
    bars.set_xlim(table["frame"].min(), 1.12 * table["frame"].max() + 4)
    return figure


def _named(names: Mapping[int, int], track: int) -> str:
    return f"pid {names[track]}" if names.get(track, -1) >= 0 else "no name"


@style.styled
def normalisations(image: np.ndarray, ways: Mapping[str, np.ndarray]) -> style.Figure:
    """Show an image and the histogram of its values after each way of normalising it."""
    import seaborn

    widths = [0.7] + [1] * len(ways)
    figure, cells = style.axes(3.2 + 3.1 * len(ways), 3.6, 1, len(widths), width_ratios=widths)
    style.show(cells[0], image, "image")
    for ax, (name, values) in zip(cells[1:], ways.items()):
        for channel, colour, letter in zip(range(3), (style.RED, style.GREEN, style.BLUE), "RGB"):
            pixels = np.asarray(values)[..., channel].ravel()
            line = {"element": "step", "fill": False, "color": colour, "lw": 2}
            seaborn.histplot(pixels, bins=32, label=letter, ax=ax, **line)
        mean, spread = np.mean(values), np.std(values)
        ax.set_title(f"{name}\nmean {mean:.2f}, deviation {spread:.2f}", loc="center")
        ax.set(yticks=[], xlabel="value", ylabel="")
    cells[1].set_ylabel("pixels")
    cells[-1].legend(loc="upper right")
    return figure


@style.styled
def dataset(tables: Mapping[str, pd.DataFrame]) -> style.Figure:
    """Show identities per camera and images per identity of a data set's parts.

    `tables` is part (train, query, gallery) to a table with columns pid and camid; distractors and
    junk (pid 0 and below) are left out.
    """
    import seaborn

    known = {name: table[table["pid"] > 0] for name, table in tables.items()}
    figure, (left, right) = style.axes(10, 4.2, 1, 2)
    everybody = pd.concat(
        table.assign(part=f"{name}: {table['pid'].nunique()} people")
        for name, table in known.items()
    )
    seen = everybody.groupby(["part", "camid"], sort=False)["pid"].nunique().reset_index()
    look = {"palette": style.SERIES[: seen["part"].nunique()], "saturation": 1, "gap": 0.1}
    seaborn.barplot(seen, x="camid", y="pid", hue="part", ax=left, **look)
    for (name, table), colour, dash in zip(known.items(), style.SERIES, style.DASHES):
        counts = table["pid"].value_counts()
        bins = np.arange(0.5, max(counts.max(), 8) + 1.5, max(1, counts.max() // 24))
        line = {"element": "step", "fill": False, "lw": 2.4, "ls": dash, "color": colour}
        label = f"{name}: {len(table)} images"
        seaborn.histplot(counts.to_numpy(), bins=bins, label=label, ax=right, **line)
    left.set(xlabel="camera", ylabel="identities")
    left.legend(loc="lower left", bbox_to_anchor=(0, 1), title="")
    right.set(xlabel="images of one identity", ylabel="identities")
    right.legend(loc="lower left", bbox_to_anchor=(0, 1))
    figure.suptitle("The data set")
    return figure


@style.styled
def images_per_camera(counts: Mapping[str, Mapping[int, int]]) -> style.Figure:
    """Draw how many images each camera gave to each of several data sets, beside one another.

    `counts` is name of the set to camera to images.
    """
    figure, cells = style.axes(10, 3.6, 1, len(counts), squeeze=False)
    for ax, (name, images), colour in zip(cells[0], counts.items(), style.SERIES):
        bars = ax.bar([str(camera) for camera in images], list(images.values()), color=colour)
        ax.bar_label(bars, size=10)
        ax.set(title=f"{name}: {sum(images.values()):,} images", xlabel="camera", ylabel="images")
        ax.grid(axis="x", visible=False)
    return figure
