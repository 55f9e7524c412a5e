"""Figures of cameras: what they resolve at a distance, and the ground that they see."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from reidlib import boxes, style
from reidlib.collection import cameras
from reidlib.collection.cameras import LEVELS
from reidlib.words import counted

SENSOR, PERSON = 4.8, 1.7  # width of the planner's sensor in millimetres, a person's metres
LEVEL_COLOURS = (style.GREY, style.SKY, style.BLUE, style.GREEN, style.ORANGE)


@style.styled
def pixels_per_metre(
    distances: np.ndarray, values: Mapping[str, np.ndarray], at: float | None = None
) -> style.Figure:
    """Plot pixels per metre against distance (metres), one line a camera, over the IEC levels.

    `at` marks a distance, and says there what each camera resolves.
    """
    figure, ax = style.axes(8, 4.6)
    beside = {"xytext": (10, 4), "textcoords": "offset points", "bbox": style.LABEL}
    for (name, line), colour, dash in zip(values.items(), style.SERIES, style.DASHES):
        ax.plot(distances, line, color=colour, ls=dash, label=name)
        if at is not None:
            here = float(np.interp(at, distances, line))
            ax.plot(at, here, "o", color=colour, ms=9)
            ax.annotate(f"{here:.0f} px/m", (at, here), **beside)
    _level_axis(ax, distances[-1])
    ax.set(title="What a camera resolves (levels of IEC 62676-4)", xlim=distances[[0, -1]])
    ax.legend(loc="lower left")
    return figure


def _level_axis(ax, end: float) -> None:
    """Draw the levels of IEC 62676-4 across an axis of pixels per metre that ends at `end`."""
    for name, needed in LEVELS.items():
        ax.axhline(needed, color=style.GREY, lw=1, ls=":")
        ax.text(end, needed, name, ha="right", va="bottom", color=style.INK, bbox=style.LABEL)
    ax.set(xlabel="distance, m", ylabel="pixels per metre", yscale="log", ylim=(10, 1500))
    ax.set_yticks([*LEVELS.values(), 500, 1000], minor=False)
    ax.set_yticks([], minor=True)
    ax.yaxis.set_major_formatter("{x:g}")


@style.styled
def planner(
    width: int, focal: float, height: float, tilt: float, distance: float
) -> tuple[style.Figure, str]:
    """Draw a planned camera from the side, and the levels that it reaches along the ground.

    `width` is in pixels, `focal` in millimetres (on a sensor 4.8 wide), `height` and `distance` in
    metres, `tilt` in degrees down; the image is 16 to 9. Returns the figure and a sentence on a
    person at `distance`.
    """
    pixels = cameras.focal_pixels(width, focal, SENSOR)
    half = np.degrees(np.arctan(width * 9 / 16 / 2 / pixels))
    along = np.linspace(0.05, max(30.0, 1.3 * distance), 600)
    seen = np.abs(np.degrees(np.arctan2(height, along)) - tilt) <= half
    values = np.where(seen, cameras.pixels_per_metre(along, pixels, height, tilt), np.nan)
    reached = np.where(seen, cameras.level(np.nan_to_num(values)), "")
    low, high = -0.5, max(height, 2) + 0.8
    drawn = 9.2 * (high - low) / along[-1]  # inches: a metre up is as long as a metre along
    figure, (side, curve) = style.axes(10, drawn + 4.4, 2, 1, sharex=True, height_ratios=[drawn, 3])
    for angle in np.radians([tilt - half, tilt + half]):
        side.plot(along, height - along * np.tan(angle), color=style.GREY, lw=1.4)
    for name, colour in zip(LEVELS, LEVEL_COLOURS):
        side.fill_between(along, -0.5, 0, where=reached == name, color=colour, lw=0, label=name)
    side.plot([0, 0], [0, height], color=style.INK, lw=3)
    side.plot(0, height, "^", color=style.INK, ms=11)
    side.plot([distance] * 2, [0, PERSON], color=style.RED, lw=5, solid_capstyle="round")
    side.set(ylabel="height, m", ylim=(low, high), xlabel="", aspect="equal", anchor="W")
    side.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(LEVELS), handlelength=1)
    side.set_title(f"From the side, to scale: field of view, a person of {PERSON} m", pad=34)
    curve.plot(along, values, color=style.BLUE)
    _level_axis(curve, along[-1])
    curve.set_xlim(0, along[-1])
    if not np.interp(distance, along, seen) > 0.5:
        return figure, f"At {distance:g} m the feet are outside the picture."
    here = float(cameras.pixels_per_metre(distance, pixels, height, tilt))
    curve.plot(distance, here, "o", color=style.RED, ms=9)
    tall = float(cameras.person_pixels(distance, pixels, height, tilt))
    lower, upper = np.tan(np.radians([min(tilt + half, 89.999), max(tilt - half, 1e-9)]))
    near = height / lower
    # A camera that looks down steeply sees less far than it resolves.
    ends = min(cameras.reach(LEVELS["recognise"], pixels, height, tilt), height / upper)
    upto = f"is reached from {near:.1f} to {ends:.1f} m" if ends > near else "is reached nowhere"
    return figure, (
        f"At {distance:g} m: {here:.0f} pixels per metre ({cameras.level(here)}), a person is "
        f"{tall:.0f} pixels tall. The level recognise {upto}."
    )


@style.styled
def cameras_from_above(
    calibrations: Mapping[str, Mapping],
    paths: pd.DataFrame | None = None,
    reach: float = 40.0,
    title: str = "Cameras from above",
    follow: int | None = None,
) -> style.Figure:
    """Draw the ground that each calibrated camera sees, where views overlap, and people's paths.

    `calibrations` is name to camera, see `cameras.ground_view`; `paths` has columns track, x, y in
    metres, in the order of time. `follow` is a track that stands out, the others are grey. With a
    column frame, where nobody saw a person for ten frames the path is interrupted, and dotted for
    the one who is followed.
    """
    figure, ax = style.axes(7, 6)
    for (name, camera), colour, dash in zip(calibrations.items(), style.SERIES, style.DASHES):
        outline = cameras.ground_view(camera, reach)
        eye = -np.asarray(camera["R"], float).T @ np.asarray(camera["t"], float).reshape(3)
        ax.fill(*outline.T, color=colour, alpha=0.16, lw=0)
        ax.plot(*np.vstack([outline, outline[:1]]).T, color=colour, ls=dash, lw=1.6)
        ax.plot(*eye[:2], "^", color=colour, ms=11, mec=style.INK)
        below = {"xytext": (0, -14), "textcoords": "offset points", "ha": "center", "va": "top"}
        box = {"boxstyle": "round", "fc": "white", "ec": colour, "alpha": 0.9}
        ax.annotate(f"{name}\n{eye[2]:.1f} m up", eye[:2], **below, size=11, bbox=box)
    for person, path in () if paths is None else paths.groupby("track"):
        chosen = person == follow
        colour = style.GREY if follow is not None and not chosen else style.colour(person)
        path = path.reset_index(drop=True)
        gaps = path["frame"].diff() > 10 if "frame" in path else path["x"].isna()
        look = {"lw": 3, "zorder": 3} if chosen else {"lw": 1.2, "alpha": 0.8}
        ax.plot(path["x"].mask(gaps), path["y"].mask(gaps), color=colour, **look)
        ax.plot(path["x"].iloc[-1], path["y"].iloc[-1], "o", color=colour, ms=8 if chosen else 4)
        for end in path.index[gaps & chosen]:
            unseen = path.loc[end - 1 : end]
            ax.plot(unseen["x"], unseen["y"], color=colour, ls=":", lw=2)
    ax.set(aspect="equal", xlabel="x, m", ylabel="y, m", title=title)
    ax.margins(x=0.08, y=0.28)
    return figure


@style.styled
def box_heights(table: pd.DataFrame) -> style.Figure:
    """Plot the heights of boxes against the heights that the calibration predicts, in pixels.

    `table` has columns camera, predicted (for each person's own height) and box; on the line both
    are equal.
    """
    figure, ax = style.axes(7, 4.4)
    for (name, rows), colour, marker in zip(table.groupby("camera"), style.SERIES, style.MARKERS):
        ax.scatter(rows["predicted"], rows["box"], 18, colour, marker, alpha=0.6, label=name)
    ax.axline((100, 100), slope=1, color=style.INK, lw=1.4)
    ax.set(
        xlabel="predicted from each person's own height, pixels", ylabel="height of the box, pixels"
    )
    ax.legend(title="camera")
    return figure


@style.styled
def on_plan(
    image: np.ndarray,
    table: pd.DataFrame,
    frame: int,
    points,
    plan,
    ground: np.ndarray | None = None,
    chosen: int | None = None,
) -> tuple[style.Figure, str]:
    """Show four points of the ground in a frame and on a plan, and people's feet; and a sentence.

    `points` (pixels) and `plan` (metres), (4, 2) each, belong together, `ground` is what
    cameras.ground_from_points makes of them: with it the plan's metres lie on the frame as a grid,
    and the feet of `table`, one camera's boxes with frame, time and track, on the plan, those of
    `frame` with their numbers. `chosen` is the point (0 to 3) that is being moved.
    """
    points, plan = np.asarray(points, float), np.asarray(plan, float)
    figure, (film, map_) = style.axes(13, 5.2, 1, 2, width_ratios=[8, 5])
    style.show(film, image)
    limits = {"xlim": film.get_xlim(), "ylim": film.get_ylim()}
    now = table[table["frame"] == frame]
    sentence = f"{counted(len(now), 'person', 'people')} in view."
    if ground is not None:
        to_film = np.linalg.inv(ground)
        grid = [_carried(line, to_film) for line in _metres(plan)]
        film.plot(*_one_line(grid).T, color=style.SKY, lw=1, alpha=0.9)
        places = cameras.on_ground(table[boxes.BOX].to_numpy(), {"ground": ground})
        walked = table.assign(x=places[:, 0], y=places[:, 1])
        paths = [path[["x", "y"]].to_numpy() for _, path in walked.groupby("track")]
        map_.plot(*_one_line(paths).T, color=style.GREY, lw=0.8, alpha=0.5)
        for row in walked[walked["frame"] == frame].dropna(subset=["x", "y"]).itertuples():
            colour = style.colour(row.track)
            film.plot((row.x1 + row.x2) / 2, row.y2, "o", color=colour, mec="white", ms=7)
            map_.plot(row.x, row.y, "o", color=colour, mec=style.INK, ms=9)
            map_.annotate(row.track, (row.x, row.y), (6, 4), textcoords="offset points", size=10)
        sentence += _pace(walked)
        # Feet far behind the points may be anywhere: the plan shows twice the points' width.
        spread = np.ptp(plan, axis=0)
        low, high = plan.min(axis=0) - spread, plan.max(axis=0) + spread
        map_.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    for ax, corners in ((film, points), (map_, plan)):
        ax.plot(*np.vstack([corners, corners[:1]]).T, color=style.ORANGE, lw=1.5, ls="--")
        ax.plot(*corners.T, "s", color=style.ORANGE, mec=style.INK, ms=7)
        for number, corner in enumerate(corners, 1):
            label = {"size": 12, "weight": "bold", "bbox": style.LABEL, "color": style.INK}
            ax.annotate(number, corner, (7, 7), textcoords="offset points", **label)
    if chosen is not None:
        film.axvline(points[chosen, 0], color=style.YELLOW, lw=0.8)
        film.axhline(points[chosen, 1], color=style.YELLOW, lw=0.8)
    film.set(**limits)
    map_.set(aspect="equal", xlabel="metres", ylabel="metres")
    return figure, sentence


def _metres(plan: np.ndarray) -> list[np.ndarray]:
    """Return lines on the plan, (40, 2) each, a metre or more apart, around its four points."""
    low, high = np.floor(plan.min(axis=0)), np.ceil(plan.max(axis=0))
    step = max(1.0, np.ceil((high - low).max() / 12))
    x, y = (np.arange(a, b + step / 2, step) for a, b in zip(low, high))
    along = np.linspace(0, 1, 40)[:, None]
    across = [np.hstack([np.full((40, 1), at), y[0] + along * (y[-1] - y[0])]) for at in x]
    return across + [np.hstack([x[0] + along * (x[-1] - x[0]), np.full((40, 1), at)]) for at in y]


def _one_line(lines: Sequence[np.ndarray]) -> np.ndarray:
    """Return many lines as one with gaps, which is drawn ten times as fast."""
    gap = np.full((1, 2), np.nan)
    return np.concatenate([gap, *(part for line in lines for part in (line, gap))])


def _carried(points: np.ndarray, homography: np.ndarray) -> np.ndarray:
    """Return points (N, 2) carried by a homography; NaN where they lie behind the camera."""
    carried = np.column_stack([points, np.ones(len(points))]) @ homography.T
    scale = carried[:, 2:] * np.sign(np.median(carried[:, 2]))
    return np.where(scale > 1e-9, carried[:, :2] / carried[:, 2:], np.nan)


def _pace(walked: pd.DataFrame) -> str:
    """Return how fast people walk on the plan, as a sentence; it tells whether metres are right."""
    second = walked["time"].floordiv(1)
    steps = walked.groupby([walked["track"], second])[["x", "y"]].mean().groupby("track").diff()
    pace = np.hypot(steps["x"], steps["y"])
    pace = pace[pace > 0.3]  # others stand
    if pace.empty:
        return ""
    return f" Who walks does so at {pace.median():.1f} m/s, in the middle; 1.0 to 1.6 are usual."
