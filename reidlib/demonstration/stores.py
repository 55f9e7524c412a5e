"""Where a gallery keeps its unit vectors and what is known of each: in memory, all compared."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from reidlib import boxes
from reidlib.demonstration import provenance
from reidlib.features import vectors as files
from reidlib.model import distances

BLOCK = 16_384  # vectors that a query is compared with at a time
SMALL = 40_000  # vectors; among so few, to compare with every one is as fast as an index
LISTS = 1024  # into which an index divides its vectors; the lists nearest to a query are searched
MORE = 10  # times as many candidates as hits are asked of an index, and compared anew
TIE = 1e-4  # hits whose cosine distances differ by less are too alike for an index to tell apart


class Exact:
    """Vectors in memory; a search compares with every one."""

    def __init__(self, features: Mapping | None = None):
        self.features = features  # the network that made the vectors, as provenance describes it
        self.place = "the gallery"
        self._blocks: list[np.ndarray] = []
        self._tables: list[pd.DataFrame] = []

    def __len__(self) -> int:
        return sum(len(table) for table in self._tables)

    @property
    def width(self) -> int:
        """How many numbers a vector has, 0 while there is none."""
        return self._blocks[0].shape[1] if self._blocks else 0

    @property
    def vectors(self) -> np.ndarray:
        """All vectors, (N, D) float32."""
        # Joined when asked for: adding copies nothing, and a search reads every vector anyway.
        if len(self._blocks) > 1:
            self._blocks = [np.concatenate(self._blocks)]
        return self._blocks[0] if self._blocks else np.empty((0, 0), np.float32)

    @property
    def table(self) -> pd.DataFrame:
        """What is known about each vector, a row each."""
        if len(self._tables) > 1:
            self._tables = [pd.concat(self._tables, ignore_index=True)]
        return self._tables[0] if self._tables else pd.DataFrame()

    def add(self, vectors: np.ndarray, table: pd.DataFrame) -> None:
        """Add unit vectors (N, D) and a table of N rows."""
        self._blocks.append(vectors)
        self._tables.append(table.reset_index(drop=True))

    def keep(self, which: np.ndarray) -> None:
        """Keep the rows that a mask (N,) marks."""
        self._blocks, table = [self.vectors[which]], self.table[which]
        self._tables = [table.reset_index(drop=True)]

    def strike(self, results: str) -> int:
        """Take out the tracks of a folder of results, and return how many there were."""
        if "results" not in self.table:
            return 0
        struck = (self.table["results"] == results).to_numpy()
        if struck.any():
            self.keep(~struck)
        return int(struck.sum())

    def first(self, count: int) -> tuple[np.ndarray, pd.DataFrame]:
        """Return the vectors (N, D) and the rows that were added first, at most `count`."""
        return self.vectors[:count], self.table[:count]

    def search(self, query: np.ndarray, k: int, cameras, between) -> pd.DataFrame:
        """Return the hits of each unit query (Q, D): query, distance, and what the table knows."""
        rows = chosen(self.table, cameras, between)
        nearest, distance = self._nearest(query, k, rows)
        kept = nearest >= 0
        hits = self.table.iloc[nearest[kept]].reset_index(drop=True)
        hits.insert(0, "query", np.nonzero(kept)[0])
        hits.insert(1, "distance", distance[kept])
        return hits

    def _nearest(self, query: np.ndarray, k: int, rows: np.ndarray | None):
        return nearest(query, self.vectors, k, rows)

    def save(self, path: str | Path) -> None:
        """Write `path` (.npz), a .csv and, where the network is known, a .json beside it."""
        save(self, path)


def save(store, path: str | Path, vectors=None, members: Mapping | None = None) -> None:
    """Write a store as features; `vectors` and `members` as for features.vectors.write."""
    files.write(path, store.vectors if vectors is None else vectors, store.table, members)
    if store.features:
        about = {"features": store.features, "began": None, "cameras": {}}
        provenance.write_json(Path(path).with_suffix(".json"), about)


def chosen(table: pd.DataFrame, cameras: Sequence[str] | None, between) -> np.ndarray | None:
    """Return the rows of some cameras, seen at some time between two seconds; None means all."""
    if cameras is None and between is None:
        return None
    which = np.ones(len(table), bool)
    if cameras is not None:
        boxes.require(table, ["camera"], "the gallery's table")
        which &= table["camera"].isin(cameras).to_numpy()
    if between is not None:
        boxes.require(table, ["start", "end"], "the gallery's table")
        which &= (table["start"] <= between[1]).to_numpy()
        which &= (table["end"] >= between[0]).to_numpy()
    return np.flatnonzero(which)


def nearest(query: np.ndarray, vectors, k: int, rows: np.ndarray | None = None):
    """Return rows and cosine distances, (Q, k) each, of the nearest of `vectors` (N, D).

    A block at a time is read, from memory or from a file; `rows`, ascending, are those
    that count. Equal distances rank by row; where there are fewer than `k`, row -1 is at inf.
    """
    total = len(vectors) if rows is None else len(rows)
    best = np.full((len(query), k), -1)
    closest = np.full((len(query), k), np.inf, np.float32)
    for start in range(0, total, BLOCK):
        part = slice(start, start + BLOCK) if rows is None else rows[start : start + BLOCK]
        found, apart = distances.top(query, vectors[part], k)
        found = found + start if rows is None else part[found]
        both, indices = np.hstack([closest, apart]), np.hstack([best, found])
        # A stable sort leaves equals in the order of the blocks.
        order = np.argsort(both, axis=1, kind="stable")[:, :k]
        closest = np.take_along_axis(both, order, axis=1)
        best = np.take_along_axis(indices, order, axis=1)
    return best, closest
