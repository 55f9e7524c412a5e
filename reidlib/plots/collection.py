"""Figures of lesson 01: frames, cameras, quality, augmentation and the data set they make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from reidlib.plots import style
from reidlib.quality import (
    LEVELS,
    Report,
    Thresholds,
    focal_pixels,
    level,
    person_pixels,
    reach,
)
from reidlib.quality import pixels_per_metre as resolution

LEVEL_COLOURS = (style.GREY, style.SKY, style.BLUE, style.GREEN, style.ORANGE)


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


def bench(
    image: np.ndarray, *, crop: float, flip: bool, rotate: float, contrast: float,
    brightness: float, erase: float, rows: int, seed: int,
) -> style.Figure:  # fmt: skip
    """Show a crop after each step of a chain with the given settings, above random draws.

    `crop` and `erase` are shares of the sides and of the area, `rotate` degrees, `contrast` and
    `brightness` factors, `rows` the height in pixels at the end. The random draws are what
    `transforms.augment` makes when these settings are its limits.
    """
    height, width = image.shape[:2]
    box = [width * crop / 2, height * crop / 2, width * (1 - crop / 2), height * (1 - crop / 2)]
    steps = {"original": image, f"crop {crop:.0%}": transforms.crop(image, box)}
    steps["resize"] = transforms.resize(steps[f"crop {crop:.0%}"], (rows, rows // 2))
    for name, change in {
        "flip" if flip else "no flip": lambda x: transforms.flip(x) if flip else x,
        f"rotate {rotate:g}°": lambda x: transforms.rotate(x, rotate),
        f"contrast ×{contrast:.1f}": lambda x: transforms.contrast(x, contrast),
        f"brightness ×{brightness:.1f}": lambda x: transforms.brightness(x, brightness),
        f"erase {erase:.0%}": lambda x: _erase(x, erase, seed),
    }.items():
        steps[name] = change(list(steps.values())[-1])
    limits = {"contrast": abs(1 - contrast), "brightness": abs(1 - brightness), "flip": flip / 2}
    batch = np.stack([transforms.resize(image, (rows, rows // 2))] * len(steps))
    draws = transforms.augment(
        batch, np.random.default_rng(seed), crop=crop, rotate=rotate, erase=float(erase > 0),
        blur=0.0, white_balance=0.0, **limits,
    )  # fmt: skip
    titles = [*steps, *(f"draw {i + 1}" for i in range(len(draws)))]
    return style.grid([*steps.values(), *draws], titles, len(steps), 1.25)


def _erase(image: np.ndarray, share: float, seed: int) -> np.ndarray:
    if not share:
        return image
    return transforms.random_erase(image, np.random.default_rng(seed), (share, share))


@style.styled
def quality(report: Report, thresholds: Thresholds | None = None, title: str = "") -> style.Figure:
    """Plot each measure of a quality report against time, limits dashed, failing frames marked."""
    thresholds, table = thresholds or Thresholds(), report.table
    limits = {name: (getattr(thresholds, name), np.inf) for name in ("sharpness", "contrast")}
    limits |= {name: (-np.inf, getattr(thresholds, name)) for name in ("dark", "bright")}
    limits |= {"change": (thresholds.change, np.inf), "brightness": thresholds.brightness}
    limits["person_height"] = (thresholds.person_height, np.inf)
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
        ax.set_ylim(ends.min() - 0.12 * np.ptp(ends), ends.max() + 0.12 * np.ptp(ends))
        ax.set_ylabel(name.replace("_", "\n"), rotation=0, ha="right", va="center")
        ax.locator_params(axis="y", nbins=3)
    strips[-1].set_xlabel("time, s")
    figure.suptitle(f"{title or 'Quality'}: {report.verdict} (dashed: limit, ✗: frame beyond it)")
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
    ax.set_yticks([*LEVELS.values(), 500, 1000])
    ax.set_yticks([], minor=True)
    ax.yaxis.set_major_formatter("{x:g}")
    ax.set_ylim(8, 1500)
    ax.legend(loc="lower left")
    return figure


@style.styled
def planner(
    width: int, focal: float, height: float, tilt: float, distance: float, sensor: float = 4.8
) -> tuple[style.Figure, str]:
    """Draw a planned camera from the side, with the levels that it reaches along the ground.

    `width` is in pixels, `focal` and `sensor` (its width) in millimetres, `height` and `distance`
    in metres, `tilt` in degrees down; the image is 16 to 9. Returns the figure and a sentence on
    what a person at `distance` looks like.
    """
    pixels = focal_pixels(width, focal, sensor)
    half = np.degrees(np.arctan(width * 9 / 16 / 2 / pixels))
    along = np.linspace(0.05, max(30.0, 1.3 * distance), 600)
    seen = np.abs(np.degrees(np.arctan2(height, along)) - tilt) <= half
    values = np.where(seen, resolution(along, pixels, height, tilt), np.nan)
    figure, (side, curve) = style.axes(10, 5.6, 2, 1, sharex=True, height_ratios=[1, 1.3])
    for angle in (tilt - half, tilt + half):
        far = height / np.tan(np.radians(angle)) if angle > 0 else along[-1]
        far = min(far, along[-1])
        side.plot([0, far], [height, height - far * np.tan(np.radians(angle))], color=style.GREY)
    reached = np.where(seen, level(np.nan_to_num(values)), "none")
    for (name, _), colour in zip(LEVELS.items(), LEVEL_COLOURS):
        side.fill_between(along, -0.35, 0, where=reached == name, color=colour, lw=0, label=name)
    side.plot([0, 0], [0, height], color=style.INK, lw=3)
    side.plot(0, height, "^", color=style.INK, ms=11)
    side.plot([distance] * 2, [0, 1.7], color=style.RED, lw=4, solid_capstyle="round")
    side.set(ylabel="height, m", ylim=(-0.5, max(height, 2) + 0.6))
    side.legend(loc="upper right", ncols=len(LEVELS), handlelength=1)
    side.set_title("From the side: a camera, what it sees, a person of 1.7 m", loc="left")
    curve.plot(along, values, color=style.BLUE)
    for name, needed in LEVELS.items():
        curve.axhline(needed, color=style.GREY, lw=1, ls=":")
        curve.text(along[-1], needed, name, ha="right", va="bottom", color=style.INK)
    here = float(resolution(distance, pixels, height, tilt))
    visible = bool(np.interp(distance, along, seen) > 0.5)
    if visible:
        curve.plot(distance, here, "o", color=style.RED, ms=9)
    curve.set(xlabel="distance, m", ylabel="pixels per metre", yscale="log", ylim=(8, 2000))
    curve.set_xlim(0, along[-1])
    curve.set_yticks(list(LEVELS.values()), [f"{value:g}" for value in LEVELS.values()])
    curve.set_yticks([], minor=True)
    if not visible:
        return figure, f"At {distance:g} m the ground is outside the picture."
    tall = float(person_pixels(distance, pixels, height, tilt))
    return figure, (
        f"At {distance:g} m: {here:.0f} pixels per metre ({level(here)}), a person is {tall:.0f} "
        f"pixels tall. Recognise (125) reaches to {reach(125, pixels, height, tilt):.1f} m."
    )


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
def tracks(
    table: pd.DataFrame,
    crops: Mapping[int, np.ndarray],
    chosen: Sequence[int],
    names: Mapping[int, int] | None = None,
    frame: int | None = None,
    columns: int = 12,
) -> style.Figure:
    """Show crops of the chosen tracks along time, above a bar for the life of every track.

    `table` has columns frame and track, `crops` is a row's index to its image (some rows are
    enough), `names` is track to pid, `frame` marks a moment.
    """
    names, chosen = names or {}, list(dict.fromkeys(chosen))
    lives = table.groupby("track")["frame"].agg(["min", "max"]).sort_values("min")
    heights = [1.75] * len(chosen) + [0.5 + 0.2 * len(lives)]
    figure = style.Figure(figsize=(9.5, sum(heights)))
    *strips, bars = figure.subplots(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    for ax, track in zip(strips, chosen):
        rows = [row for row in table.index[table["track"] == track] if row in crops]
        rows = [rows[i] for i in np.unique(np.linspace(0, len(rows) - 1, columns).round())]
        blank = np.full((128, 68, 3), 255, np.uint8)
        for row, place in zip(rows, images := [blank.copy() for _ in range(columns)]):
            place[:, :64] = transforms.resize(crops[row], (128, 64))
        style.show(ax, np.concatenate(images, axis=1), f"track {track}, {_named(names, track)}")
        for i, row in enumerate(rows):
            ax.text(68 * i + 32, 131, f"{table['frame'][row]}", ha="center", va="top", size=9)
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
