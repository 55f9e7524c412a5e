"""The game that opens lesson 01: one person asked for, twelve crops of other cameras.

first, second = game.rounds(data.query, data.gallery, people=[201, 217], seed=1)
game.show(first)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from reidlib import style
from reidlib.collection import datasets

CROPS = 12


class Round(NamedTuple):
    """One person asked for, and `CROPS` crops, of which the one at `place` shows the same person."""

    pid: int
    query: np.ndarray  # (H, W, 3)
    crops: list[np.ndarray]
    place: int  # from 1

    @property
    def answer(self) -> str:
        return str(self.place)


def choices() -> list[str]:
    """Return the numbers under the crops, as a question shows them."""
    return [str(number) for number in range(1, CROPS + 1)]


def rounds(
    query: pd.DataFrame, gallery: pd.DataFrame, people: Sequence[int], seed: int
) -> list[Round]:
    """Return a round for each of `people`: tables have path, pid and camid.

    All twelve crops are from other cameras than the query; eleven show other people, no two of them
    the same. ValueError for a person who is not in both tables.
    """
    rng = np.random.default_rng(seed)
    drawn = [_draw(query, gallery, pid, rng) for pid in people]
    paths = [path for round in drawn for path in (round[0], *round[1])]
    images = iter(datasets.read_images(paths))
    return [
        Round(pid, next(images), [next(images) for _ in range(CROPS)], place)
        for pid, (_, _, place) in zip(people, drawn)
    ]


def _draw(query, gallery, pid, rng) -> tuple:
    """Return the query's path, twelve paths, and the place of the right one, from 1."""
    asked = query[query.pid == pid]
    if asked.empty:
        raise ValueError(f"person {pid} is not among the queries")
    asked = asked.iloc[rng.integers(len(asked))]
    elsewhere = gallery[(gallery.camid != asked.camid) & (gallery.pid > 0)]
    same, others = elsewhere[elsewhere.pid == pid], elsewhere[elsewhere.pid != pid]
    if same.empty or others.pid.nunique() < CROPS - 1:
        raise ValueError(f"person {pid} has no crop in another camera, or there are too few others")
    strangers = rng.choice(others.pid.unique(), CROPS - 1, replace=False)
    paths = [rng.choice(others.path[others.pid == stranger]) for stranger in strangers]
    place = int(rng.integers(1, CROPS + 1))
    paths.insert(place - 1, rng.choice(same.path))
    return asked.path, paths, place


@style.styled
def show(round: Round, answers: bool = False, chosen: int | None = None) -> style.Figure:
    """Draw a round: the person asked for on the left, twelve numbered crops beside them.

    With `answers` the right crop is framed, and the one that was `chosen` for it by mistake.
    """
    figure = style.Figure(figsize=(9.6, 4.4))
    places = figure.add_gridspec(2, 8)
    asked = figure.add_subplot(places[:, :2])
    style.show(asked, round.query, "who is this?", 13)
    for number, crop in enumerate(round.crops, 1):
        row, column = divmod(number - 1, CROPS // 2)
        ax = figure.add_subplot(places[row, 2 + column])
        right = answers and number == round.place
        wrong = answers and number == chosen and number != round.place
        word = " right" if right else " taken" if wrong else ""
        style.show(ax, crop, f"{number}{word}", 12)
        if right:
            style.frame(ax, style.RIGHT, 5)
        if wrong:
            style.frame(ax, style.WRONG, 4, "--")
    return figure


def machine(rounds: Sequence[Round], extractor: Callable) -> list[int]:
    """Return which crop a network takes for the same person, in each round: the most similar."""
    chosen = []
    for round in rounds:
        vectors = extractor([round.query, *round.crops])
        chosen.append(int(np.argmax(vectors[1:] @ vectors[0])) + 1)
    return chosen
