"""How figures look: colours everybody can tell apart, sizes that can be read on a projector."""

import functools
import io
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib
import matplotlib.figure
import numpy as np

from reidlib import assets
from reidlib.drawing import OKABE_ITO, person_colour

# A font that an old cache remembers and the machine has lost is replaced; nobody need read of it.
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)

ORANGE, SKY, GREEN, YELLOW, BLUE, RED, PURPLE = OKABE_ITO
INK, GREY = "#222222", "#8A8A8A"
RIGHT, WRONG = BLUE, RED  # never the only cue: marks and line styles say the same
SERIES = (BLUE, ORANGE, GREEN, PURPLE, SKY, RED, INK)
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 1)))
MARKERS = "osD^vP*X"
LABEL = {"fc": "white", "ec": "none", "alpha": 0.8, "pad": 1}  # behind text on lines

RC = {
    "font.size": 12,
    "axes.titlesize": 13,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "lines.linewidth": 2.2,
    "legend.framealpha": 0.85,
    "legend.edgecolor": "white",
    "legend.fontsize": 11,
    "figure.dpi": 100,
    "figure.constrained_layout.use": True,
}


class Figure(matplotlib.figure.Figure):
    """A figure outside pyplot: shown once where a notebook cell ends in it, and then forgotten."""

    def _photographic(self) -> bool:
        return any(image.get_array().dtype == np.uint8 for ax in self.axes for image in ax.images)

    def _repr_png_(self) -> bytes | None:
        return None if self._photographic() else png(self)

    def _repr_jpeg_(self) -> bytes | None:  # photographs are five times smaller as JPEG
        return encode(self, "jpeg", 100) if self._photographic() else None


def styled(function: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draw `function`'s figure in the course's style without touching anybody else's settings."""

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        with matplotlib.rc_context(RC):
            return function(*args, **kwargs)

    return wrapper


def axes(width: float = 7.0, height: float = 4.2, rows: int = 1, columns: int = 1, **kwargs):
    """Return a new figure of `width` x `height` inches and its axes (an array if several)."""
    figure = Figure(figsize=(width, height))
    return figure, figure.subplots(rows, columns, **kwargs)


def tiles(count: int, columns: int, width: float, height: float):
    """Return a new figure with `count` axes in rows of up to `columns`, and these axes.

    Each takes `width` x `height` inches.
    """
    columns = min(columns, count)
    rows = -(-count // columns)
    figure, cells = axes(columns * width, rows * height, rows, columns, squeeze=False)
    for ax in cells.flat[count:]:
        ax.set_axis_off()
    return figure, cells.flat[:count]


def encode(figure: matplotlib.figure.Figure, kind: str = "png", dpi: int = 100) -> bytes:
    """Return a figure as the bytes of a PNG or JPEG file, its empty margins cut off."""
    buffer = io.BytesIO()
    figure.savefig(
        buffer, format=kind, dpi=dpi, facecolor="white", bbox_inches="tight", pad_inches=0.1
    )
    return buffer.getvalue()


def png(figure: matplotlib.figure.Figure, dpi: int = 100) -> bytes:
    """Return a figure as the bytes of a PNG file."""
    return encode(figure, "png", dpi)


def save(figure: matplotlib.figure.Figure, path: str | Path, dpi: int = 100) -> Path:
    """Write a figure as a PNG or JPEG file, whole or not at all; returns its path."""
    with assets.atomic(path) as temporary:
        kind = "jpeg" if temporary.suffix in (".jpg", ".jpeg") else "png"
        temporary.write_bytes(encode(figure, kind, dpi))
    return Path(path)


def colour(identity) -> tuple[float, ...]:
    """Return a person's colour for Matplotlib, three values 0..1."""
    return tuple(value / 255 for value in person_colour(identity))


def show(ax, image: np.ndarray, title: str = "", size: float = 11, **kwargs) -> None:
    """Show an image without ticks, with a small title."""
    ax.imshow(image, **kwargs)
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    ax.spines[:].set_visible(False)
    if title:
        ax.set_title(title, fontsize=size, loc="center")


def heat_map(
    ax,
    values: np.ndarray,
    rows: Sequence,
    columns: Sequence,
    digits: str = "",
    label: str = "",
    **options,
) -> None:
    """Draw a matrix (rows, columns) as a heat map by seaborn; NaN leaves a cell empty.

    With `digits`, a format such as ".2f", cells bear their value. With `label` a colour bar stands
    beside it; `options` go to seaborn.heatmap, such as cmap, vmin and vmax, and those in `bar` to
    the colour bar. Cell (i, j) has its middle at x = j + 0.5, y = i + 0.5.
    """
    import seaborn  # brings pyplot along, half a second that only such figures pay

    bar = {"label": label, "shrink": 0.9, **options.pop("bar", {})} if label else None
    options |= {"annot": bool(digits), "fmt": digits, "cbar": bool(label), "cbar_kws": bar}
    seaborn.heatmap(values, ax=ax, xticklabels=False, yticklabels=False, **options)
    for set_ticks, names in ((ax.set_xticks, columns), (ax.set_yticks, rows)):
        every = -(-len(names) // 30)  # more than thirty names would lie on each other
        set_ticks(np.arange(0, len(names), every) + 0.5, [str(name) for name in names[::every]])
    ax.grid(False)
    ax.tick_params(axis="both", length=0, rotation=0)
    if max(len(str(name)) for name in columns) > 4:
        ax.tick_params(axis="x", rotation=90)


def plain_text(text: object) -> str:
    """Return the name of a file or a camera as Matplotlib shows it letter by letter.

    Between two dollar signs it would read mathematics, and fail where there is none; what a file
    system allows and no text may hold becomes a question mark.
    """
    return str(text).encode("utf-8", "replace").decode().replace("$", r"\$")


def frame(ax, edge, width: float = 3.0, style="-") -> None:
    """Put a coloured border around a picture."""
    for spine in ax.spines.values():
        spine.set(visible=True, edgecolor=edge, linewidth=width, linestyle=style)


@styled
def grid(
    images: Sequence[np.ndarray],
    titles: Sequence[str] | None = None,
    columns: int = 4,
    width: float = 2.6,
    title: str = "",
) -> Figure:
    """Show images in rows of `columns`, each `width` inches wide, with a title above each."""
    if not len(images):
        raise ValueError("no images to show; give at least one (H, W, 3) image")
    tallest = max(image.shape[0] / image.shape[1] for image in images)
    height = width * tallest + (0.3 if titles else 0.05)
    figure, cells = tiles(len(images), columns, width, height)
    for ax, image, name in zip(cells, images, titles or [""] * len(images)):
        show(ax, image, name)
    if title:
        figure.suptitle(title)
        figure.set_figheight(figure.get_figheight() + 0.4)
    return figure
