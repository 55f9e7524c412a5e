"""Batches in which everybody has a partner: what metric losses need to compare."""

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd


class IdentitySampler:
    """Batches of `identities` x `images` row indices, so that every row has partners in its batch.

    In a batch drawn at random from many people hardly anybody would be there twice, and there would
    be no positive pair to learn from: hence the "PK batches" of Hermans, Beyer, Leibe (2017).

    Each pass over all people is in a new random order. A person with fewer than `images` images is
    drawn with repetition. Iterating gives the batches of one epoch, about as many rows as there are
    images; `epoch` says which. Raises ValueError for fewer than two people.
    """

    def __init__(self, pids, identities: int = 16, images: int = 4, seed: int = 0):
        pids = np.asarray(pids)
        self.rows = [np.flatnonzero(pids == pid) for pid in np.unique(pids)]
        if len(self.rows) < 2 or identities < 2 or images < 1:
            raise ValueError(
                f"{len(self.rows)} people in the data, {identities} identities x {images} images a "
                "batch; telling people apart needs at least 2 people and 2 identities a batch"
            )
        self.identities, self.images = min(identities, len(self.rows)), images
        self.batches = math.ceil(len(pids) / (self.identities * images))
        self.seed, self.epoch = seed, 0

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[np.ndarray]:
        rng = np.random.default_rng([self.seed, self.epoch])
        queue = np.empty(0, int)
        for _ in range(self.batches):
            if len(queue) < self.identities:  # a few people wait for the next pass
                queue = rng.permutation(len(self.rows))
            people, queue = queue[: self.identities], queue[self.identities :]
            yield np.concatenate([self._draw(rng, self.rows[i]) for i in people])

    def _draw(self, rng: np.random.Generator, rows: np.ndarray) -> np.ndarray:
        return rng.choice(rows, self.images, replace=len(rows) < self.images)


class CameraSampler(IdentitySampler):
    """Batches in which strangers share a camera, and nobody's partners do.

    At random two people hardly ever stand before one background, so a network may take it for a
    part of them: what is behind somebody then speaks for a match. Here a batch is made of up to
    `together` people of one camera, then of another, and each of them is there once as that camera
    saw them, and otherwise as others did. `camids` (N,) says which camera took an image; a `share`
    of the batches is drawn so, the rest as by IdentitySampler.
    """

    def __init__(
        self, pids, identities=16, images=4, seed=0, camids=None, *, share=1.0, together: int = 8
    ):
        super().__init__(pids, identities, images, seed)
        if camids is None:
            raise ValueError("who saw whom is not known; give a data set with cameras")
        self.camids, self.share, self.together = np.asarray(camids), share, together
        seen = [
            (camera, i) for i, rows in enumerate(self.rows) for camera in set(self.camids[rows])
        ]
        table = pd.DataFrame(seen, columns=["camera", "person"]).groupby("camera")["person"]
        self.seen_by = {camera: people.to_numpy() for camera, people in table if len(people) > 1}
        if not self.seen_by:
            raise ValueError("no camera saw two people; take IdentitySampler")

    def __iter__(self) -> Iterator[np.ndarray]:
        rng = np.random.default_rng([self.seed, self.epoch, 1])
        for plain in super().__iter__():
            yield self._one_camera_after_another(rng) if rng.random() < self.share else plain

    def _one_camera_after_another(self, rng: np.random.Generator) -> np.ndarray:
        """Return the rows of a batch, people of one camera after those of another."""
        batch: dict[int, np.ndarray] = {}
        for camera in rng.permutation(list(self.seen_by)):
            people = rng.permutation(self.seen_by[camera])[: self.together]
            for person in people[: self.identities - len(batch)]:
                batch.setdefault(person, self._draw_with(rng, self.rows[person], camera))
            if len(batch) == self.identities:
                break
        for person in rng.permutation(len(self.rows)):  # where too few people share a camera
            if len(batch) < self.identities:
                batch.setdefault(person, self._draw(rng, self.rows[person]))
        return np.concatenate(list(batch.values()))

    def _draw_with(self, rng: np.random.Generator, rows: np.ndarray, camera) -> np.ndarray:
        """Return rows of one person: one of `camera`, then one each of others as far as they go."""
        shuffled = rng.permutation(rows)
        camids = self.camids[shuffled]
        order = pd.Series(camids).groupby(camids).cumcount().to_numpy()  # how often seen before
        first = np.lexsort((camids != camera, order))
        return np.resize(shuffled[first], self.images)
