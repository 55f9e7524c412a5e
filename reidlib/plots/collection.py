"""Figures of lesson 01: frames, cameras, quality, augmentation and the data set they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from reidlib.plots import style

# Pixels per metre that IEC 62676-4 asks for, by what the operator wants to do.
LEVELS = {"detect": 25, "observe": 62.5, "recognise": 125, "identify": 250}


def contact_sheet(
    images: Sequence[np.ndarray], seconds: Sequence[float], columns: int = 4, title: str = ""
) -> style.Figure:
    """Show frames of a clip in reading order, each with its time in seconds."""
    return style.grid(images, [f"{t:.1f} s" for t in seconds], columns, 3.0, title)


def augmentations(
    original: np.ndarray, variants: Mapping[str, np.ndarray], columns: int = 6
) -> style.Figure:
    """Show one crop beside its augmented variants, given as name to image."""
    images = [original, *variants.values()]
    return style.grid(images, ["original", *variants], columns, 1.5)


@style.styled
def quality(
    table: pd.DataFrame, limits: Mapping[str, tuple[float, float]] | None = None, title: str = ""
) -> style.Figure:
    """Plot each measure of a quality table against time, with its accepted range shaded.

    `table` has a column ``time`` in seconds; every other numeric column but ``frame`` gets a strip.
    `limits` gives (low, high) by column; None or infinity leaves a side open.
    """
    names = [
        name
        for name in table.select_dtypes("number")
        if name not in ("time", "frame") and table[name].notna().any()
    ]
    figure, strips = style.axes(
        9, 1.3 + 1.15 * len(names), len(names), 1, sharex=True, squeeze=False
    )
    for ax, name in zip(strips[:, 0], names):
        ax.plot(table["time"], table[name], color=style.BLUE, marker=".", lw=1.4)
        low, high = (limits or {}).get(name, (None, None))
        bottom, top = ax.get_ylim()
        for limit in (low, high):
            if limit is not None and np.isfinite(limit):
                ax.axhline(limit, color=style.RED, ls="--", lw=1.4)
                bottom, top = min(bottom, limit), max(top, limit)
        spread = 0.08 * (top - bottom)
        ax.set_ylim(bottom - spread, top + spread)
        ax.set_ylabel(name.replace("_", "\n"), rotation=0, ha="right", va="center")
        ax.locator_params(axis="y", nbins=3)
    strips[-1, 0].set_xlabel("time, s")
    strips[0, 0].set_title(title or "Frame quality (dashed red: limit)", loc="left")
    return figure


@style.styled
def pixels_per_metre(
    distances: np.ndarray, values: Mapping[str, np.ndarray], at: float | None = None
) -> style.Figure:
    """Plot pixels per metre against distance (metres), one line a camera, over the IEC levels.

    `at` marks a distance, and says there what each camera resolves.
    """
    figure, ax = style.axes(8, 4.6)
    for (name, line), colour, dash in zip(values.items(), style.SERIES, style.DASHES):
        ax.plot(distances, line, color=colour, ls=dash, label=name)
        if at is not None:
            here = float(np.interp(at, distances, line))
            ax.plot(at, here, "o", color=colour, ms=9)
            ax.annotate(f"{here:.0f} px/m", (at, here), (8, 6), textcoords="offset points")
    for level, needed in LEVELS.items():
        ax.axhline(needed, color=style.GREY, lw=1, ls=":")
        ax.text(distances[-1], needed, level, ha="right", va="bottom", color=style.INK)
    ax.set(xlabel="distance, m", ylabel="pixels per metre", yscale="log")
    ax.set_title("What a camera resolves (levels of IEC 62676-4)", loc="left")
    ax.set_xlim(distances[0], distances[-1])
    ax.set_yticks([10, 25, 62.5, 125, 250, 500, 1000], minor=False)
    ax.set_yticks([], minor=True)
    ax.yaxis.set_major_formatter("{x:g}")
    ax.set_ylim(
        max(8, min(map(np.min, values.values()))), min(2000, max(map(np.max, values.values())))
    )
    ax.legend(loc="lower left")
    return figure


def ground_view(camera: Mapping, reach: float = 40.0, step: int = 40) -> np.ndarray:
    """Return the outline (metres, shape (N, 2)) of the ground that a calibrated camera sees.

    `camera` holds ``K`` (3x3), ``R`` (3x3, world to camera), ``t`` (3), ``width`` and ``height``;
    the outline is cut `reach` metres from the camera.
    """
    K, R, t = (np.asarray(camera[key], float) for key in ("K", "R", "t"))
    t = t.reshape(3)
    width, height = camera["width"], camera["height"]
    across, down = np.linspace(0, width, step), np.linspace(0, height, step)
    border = np.concatenate(
        [
            np.stack([across, np.full(step, height)], 1),
            np.stack([np.full(step, width), down[::-1]], 1),
            np.stack([across[::-1], np.zeros(step)], 1),
            np.stack([np.zeros(step), down], 1),
        ]
    )
    rays = np.column_stack([border, np.ones(len(border))]) @ np.linalg.inv(K).T @ R
    eye = -R.T @ t
    flat = rays[:, :2] / np.linalg.norm(rays[:, :2], axis=1, keepdims=True)
    slope = np.minimum(rays[:, 2] / np.linalg.norm(rays[:, :2], axis=1), -1e-6)
    return eye[:2] + flat * np.minimum(-eye[2] / slope, reach)[:, None]


@style.styled
def cameras_from_above(
    cameras: Mapping[str, Mapping],
    paths: pd.DataFrame | None = None,
    reach: float = 40.0,
    title: str = "Cameras from above",
) -> style.Figure:
    """Draw the ground that each calibrated camera sees, where views overlap, and people's paths.

    `cameras` is name to calibration, see `ground_view`; `paths` has columns track, x, y in metres.
    """
    figure, ax = style.axes(7, 6)
    for (name, camera), colour, dash in zip(cameras.items(), style.SERIES, style.DASHES):
        outline = ground_view(camera, reach)
        eye = -np.asarray(camera["R"], float).T @ np.asarray(camera["t"], float).reshape(3)
        ax.fill(*outline.T, color=colour, alpha=0.16, lw=0)
        ax.plot(*np.vstack([outline, outline[:1]]).T, color=colour, ls=dash, lw=1.6)
        ax.plot(*eye[:2], "^", color=colour, ms=11, mec=style.INK)
        ax.annotate(
            f"{name}, {eye[2]:.1f} m up",
            eye[:2],
            (10, 8),
            textcoords="offset points",
            bbox={"boxstyle": "round", "fc": "white", "ec": colour, "alpha": 0.9},
        )
    if paths is not None:
        for person, path in paths.groupby("track"):
            ax.plot(path["x"], path["y"], color=style.colour(person), lw=1.5)
            ax.plot(path["x"].iloc[-1], path["y"].iloc[-1], "o", color=style.colour(person), ms=5)
    ax.set(aspect="equal", xlabel="x, m", ylabel="y, m")
    ax.margins(0.08)
    ax.set_title(title, loc="left")
    return figure


@style.styled
def normalisations(image: np.ndarray, ways: Mapping[str, np.ndarray]) -> style.Figure:
    """Show an image and the histogram of its values after each way of normalising it."""
    figure = style.Figure(figsize=(3.2 + 3.1 * len(ways), 3.6))
    cells = figure.subplots(1, 1 + len(ways), width_ratios=[0.7] + [1] * len(ways))
    style.show(cells[0], image, "image")
    for ax, (name, values) in zip(cells[1:], ways.items()):
        for channel, colour, letter in zip(range(3), (style.RED, style.GREEN, style.BLUE), "RGB"):
            pixels = np.asarray(values)[..., channel].ravel()
            ax.hist(pixels, 32, histtype="step", color=colour, lw=2, label=letter)
        mean, spread = np.mean(values), np.std(values)
        ax.set_title(f"{name}\nmean {mean:.2f}, deviation {spread:.2f}")
        ax.set(yticks=[], xlabel="value")
    cells[1].set_ylabel("pixels")
    cells[-1].legend(loc="upper right")
    return figure


@style.styled
def dataset(tables: Mapping[str, pd.DataFrame], title: str = "") -> style.Figure:
    """Show identities per camera and images per identity of a data set's parts.

    `tables` is part (train, query, gallery) to a table with columns pid and camid; distractors and
    junk (pid 0 and below) are left out.
    """
    known = {name: table[table["pid"] > 0] for name, table in tables.items()}
    figure, (left, right) = style.axes(10, 4.2, 1, 2)
    cameras = sorted(set().union(*(table["camid"] for table in known.values())))
    width = 0.8 / len(known)
    for i, ((name, table), colour) in enumerate(zip(known.items(), style.SERIES)):
        people = table.groupby("camid")["pid"].nunique().reindex(cameras, fill_value=0)
        at = np.arange(len(cameras)) + (i - (len(known) - 1) / 2) * width
        left.bar(at, people, width, color=colour, label=f"{name}: {table['pid'].nunique()} people")
        counts = table["pid"].value_counts()
        right.hist(
            counts,
            np.arange(0.5, max(counts.max(), 8) + 1.5, max(1, counts.max() // 24)),
            histtype="step",
            lw=2.4,
            ls=style.DASHES[i],
            color=colour,
            label=f"{name}: {len(table)} images",
        )
    left.set_xticks(range(len(cameras)), [str(camera) for camera in cameras])
    left.set(xlabel="camera", ylabel="identities")
    left.legend(loc="lower left", bbox_to_anchor=(0, 1))
    right.set(xlabel="images of one identity", ylabel="identities")
    right.legend(loc="lower left", bbox_to_anchor=(0, 1))
    figure.suptitle(title or "The data set")
    return figure
