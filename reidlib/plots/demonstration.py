"""Figures of lesson 05: who was where when, who is who, and why two pictures match."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from reidlib.plots import style


@style.styled
def who_was_where(
    tracklets: pd.DataFrame, identity: str = "identity", title: str = ""
) -> style.Figure:
    """Draw the time line of all cameras: a row a person, a bar a stay, the camera written on it.

    `tracklets` has columns camera, start and end (seconds) and `identity`.
    """
    first = tracklets.groupby(identity)["start"].min().sort_values()
    rows = {person: row for row, person in enumerate(first.index)}
    cameras = sorted(tracklets["camera"].astype(str).unique())
    lane = 0.84 / len(cameras)
    height = np.clip(0.17 * len(cameras) * len(rows) + 1.5, 2.8, 11)
    figure, ax = style.axes(10, height)
    for stay in tracklets.to_dict("records"):
        at = cameras.index(str(stay["camera"]))
        y = rows[stay[identity]] - 0.42 + lane * (at + 0.5)
        length = max(stay["end"] - stay["start"], 0.05)
        hatch = ("", "////", "....", "xxxx")[at % 4]
        shade = {"color": style.colour(stay[identity]), "ec": style.INK, "lw": 0.8, "hatch": hatch}
        ax.barh(y, length, lane * 0.9, left=stay["start"], **shade)
    for row in range(1, len(rows), 2):
        ax.axhspan(row - 0.5, row + 0.5, color=style.GREY, alpha=0.12, lw=0, zorder=0)
    for at, camera in enumerate(cameras):
        hatch = ("", "////", "....", "xxxx")[at % 4]
        label = f"camera {camera}"
        ax.barh(0, 0, color="white", ec=style.INK, hatch=hatch, label=label)
    ax.set_yticks(range(len(rows)), [str(person) for person in rows])
    ax.set(xlabel="time, s", ylabel="person", ylim=(len(rows) - 0.5, -0.5))
    ax.grid(False, axis="y")
    ax.set_title(title or "Who was where, and when", loc="left")
    if len(cameras) > 1:
        ax.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


@style.styled
def people(
    crops: Mapping[object, Sequence[tuple[str, np.ndarray]]], title: str = ""
) -> style.Figure:
    """Show each person in a row: a few crops, each with the name of the camera that took it.

    `crops` is person to (caption, image) pairs.
    """
    columns = max(len(images) for images in crops.values())
    figure, cells = style.axes(
        1.15 * columns + 0.7, 2.3 * len(crops), len(crops), columns, squeeze=False
    )
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
    drawn = cells[2].imshow(
        weight, cmap="viridis", alpha=0.55, extent=extent, interpolation="bilinear"
    )
    bar = figure.colorbar(drawn, ax=cells[2], shrink=0.8)
    bar.set_label("change of similarity")
    if title:
        figure.suptitle(title)
    return figure
