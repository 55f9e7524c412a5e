"""Panels of lesson 03: a crop and its nearest neighbours, colours in other light, fusion."""

from collections.abc import Callable, Mapping, Sequence

import ipywidgets
import numpy as np
import pandas as pd

from reidlib import boxes
from reidlib.collection import datasets, transforms
from reidlib.features import extractors, histograms, plots, vectors
from reidlib.model import distances, ranking
from reidlib.model import plots as model_plots
from reidlib.panel import Panel

CHANNELS = {
    "hsv": ("hue", "saturation", "value"),
    "lab": ("lightness", "green to red", "blue to yellow"),
    "rgb": ("red", "green", "blue"),
}
WEIGHTS = np.linspace(0, 1, 11)


def crops(
    sightings: Mapping[str, tuple[np.ndarray, Sequence[float], int, int]],
    extractor: extractors.Extractor,
    vectors: np.ndarray,
    table: pd.DataFrame,
    backgrounds: Mapping[str, Callable[[np.ndarray], np.ndarray]],
    k: int = 6,
) -> Panel:
    """Return a panel that cuts one person in several ways and shows the nearest neighbours.

    `sightings` maps a name to (frame, box, pid, camid); `vectors` are those of the gallery `table`
    (path, pid, camid); `backgrounds` maps a name to a function of images (N, H, W, 3).
    """
    pids, camids = table.pid.to_numpy(), table.camid.to_numpy()

    def draw(person: str, padding: float, height: int, background: str):
        frame, box, pid, camid = sightings[person]
        small = transforms.resize(boxes.crop(frame, [box], padding)[0], (height, height // 2))
        seen = backgrounds[background](transforms.to_batch([small], extractor.size))
        junk = ranking.junk([pid], [camid], pids, camids)
        order, to_gallery = distances.top(extractor(seen), vectors, len(vectors), junk=junk)
        order, to_gallery = order[0][order[0] >= 0], to_gallery[0]
        right = pids[order] == pid
        first = int(right.argmax())
        sentence = (
            f"The first picture of the same person is number <b>{first + 1}</b> of {len(order)}, "
            f"at distance {to_gallery[first]:.2f}; {right[:k].sum()} of the first {k} are right."
        )
        captions = [f"{d:.2f}, c{c}" for d, c in zip(to_gallery[:k], camids[order[:k]])]
        nearest = datasets.read_images(table.path.iloc[order[:k]], extractor.size)
        names = ["what is seen"]
        return model_plots.rank_grid(seen, [nearest], [right[:k]], [captions], names), sentence

    return Panel(
        draw,
        live=False,
        person=ipywidgets.Dropdown(options=list(sightings)),
        padding=ipywidgets.FloatSlider(0.0, min=-0.2, max=0.6, step=0.05),
        height=ipywidgets.SelectionSlider(options=[16, 24, 32, 48, 64, 96, 128], value=128),
        background=ipywidgets.Dropdown(options=list(backgrounds)),
    )


def colours(images: np.ndarray, names: Sequence[str], pids: Sequence[int]) -> Panel:
    """Return a panel that puts a person into other light and compares colour histograms.

    `images` (N, H, W, 3) come from one camera; `names` and `pids` have one entry each.
    """
    pids = np.asarray(pids)
    rows = {name: row for row, name in enumerate(names)}

    def draw(person, light, warmth, space, channel, stripes, bins, background):
        row = rows[person]
        how = {"background": None if background == "counted" else background}
        gains = light * np.array([1 + warmth, 1, 1 - warmth])
        pair = images[row], transforms.white_balance(images[row], gains)
        counts = [
            histograms.stripe_counts(one, space, stripes, bins, channel, **how) for one in pair
        ]
        everybody = histograms.stripes(images, space, stripes, bins, **how)
        again = histograms.stripes(pair[1][None], space, stripes, bins, **how)
        to_all = distances.distances(again, everybody)[0]
        nearer = (to_all[pids != pids[row]] < to_all[row]).sum()
        sentence = (
            f"From the person in other light to the same picture: {to_all[row]:.2f}. "
            f"<b>{nearer} of {(pids != pids[row]).sum()} pictures of other people are nearer.</b>"
        )
        fill = plots.hues(bins) if (space, channel) == ("hsv", 1) else None
        label = CHANNELS[space][channel - 1]
        titles = ["as it is", "in other light"]
        return plots.stripe_histograms(pair, counts, titles, label, fill), sentence

    return Panel(
        draw,
        live=False,
        person=ipywidgets.Dropdown(options=list(names)),
        light=ipywidgets.FloatSlider(1.0, min=0.3, max=2.0, step=0.1),
        warmth=ipywidgets.FloatSlider(0.0, min=-0.4, max=0.4, step=0.05),
        space=ipywidgets.Dropdown(options=list(CHANNELS)),
        channel=ipywidgets.IntSlider(1, min=1, max=3),
        stripes=ipywidgets.IntSlider(4, min=1, max=8),
        bins=ipywidgets.IntSlider(16, min=4, max=32, step=4),
        background=ipywidgets.Dropdown(options=["counted", "ellipse"]),
    )


def fusion(
    pairs: Mapping[str, tuple[Sequence[np.ndarray], Sequence[np.ndarray]]], split: datasets.Dataset
) -> Panel:
    """Return a panel with the weight between two kinds of features and the mAP that it gives.

    `pairs` maps a name to two kinds of features, each as (query, gallery) vectors of `split`.
    """

    def score(name: str, weight: float) -> ranking.Result:
        query, gallery = (vectors.fuse(*both, weight) for both in zip(*pairs[name]))
        return ranking.score(query, gallery, split)

    curves = {name: [score(name, weight).mAP for weight in WEIGHTS] for name in pairs}

    def draw(kinds: str, weight: float):
        result = score(kinds, weight)
        best = WEIGHTS[np.argmax(curves[kinds])]
        sentence = (
            f"Weight {weight:.2f}: mAP <b>{result.mAP:.3f}</b>, rank-1 {result.cmc[0]:.3f}. "
            f"The best of eleven weights is {best:.1f}, with mAP {max(curves[kinds]):.3f}."
        )
        return plots.fusion(WEIGHTS, curves[kinds], weight), sentence

    return Panel(
        draw,
        kinds=ipywidgets.Dropdown(options=list(pairs)),
        weight=ipywidgets.FloatSlider(0.5, min=0.0, max=1.0, step=0.05),
    )
