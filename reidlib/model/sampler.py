"""Batches in which everybody has a partner: what metric losses need to compare."""

import math
from collections.abc import Iterator

import numpy as np


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
