"""A graph of neighbours: the approximate index of a large gallery (Malkov and Yashunin, 2018)."""

import hashlib

import numpy as np

from reidlib import assets
from reidlib.model import distances

MORE = 4  # times as many candidates as hits are looked for in a graph
EFFORT = 128  # vectors that a walk through the graph keeps in mind
TIE = 1e-4  # hits whose cosine distances differ by less are too alike for a graph to tell apart


class Graph:
    """An approximate index that answers ties as the exact search does: in the gallery's order.

    Equal vectors are one node: a graph full of copies leads a walk nowhere else.
    """

    def __init__(self, dim: int):
        self.index = _graph(dim)
        self.rows: list[list[int]] = []  # of the gallery, by node
        self.nodes: dict[bytes, int] = {}
        self.count = 0

    def add(self, vectors: np.ndarray) -> None:
        """Add unit vectors (N, D) as the next rows of the gallery."""
        fresh = []
        for i, vector in enumerate(vectors):
            node = self.nodes.setdefault(hashlib.sha256(vector).digest(), len(self.rows))
            if node == len(self.rows):
                self.rows.append([])
                fresh.append(i)
            self.rows[node].append(self.count + i)
        self.count += len(vectors)
        if fresh:
            self.index.add(vectors[fresh])

    def search(
        self, query: np.ndarray, vectors: np.ndarray, k: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return rows and cosine distances, (Q, k) each, of the nearest of the gallery `vectors`.

        The distances of the candidates are computed anew. Walking the graph may end before it has
        met `k` vectors; and where the last candidate is as near as the k-th hit, there may be more
        of its like. Such queries are compared with every vector instead.
        """
        wanted = min(MORE * k, len(self.rows))
        _, found = self.index.search(query, wanted)
        nearest = np.zeros((len(query), k), int)
        distance = np.zeros((len(query), k), np.float32)
        unsure = []
        for i, nodes in enumerate(found):
            met = nodes[nodes >= 0]  # FAISS says -1 where the walk has ended
            rows = np.sort([row for node in met for row in self.rows[node]]).astype(int)
            apart = 1 - vectors[rows] @ query[i]
            order = np.argsort(apart, kind="stable")
            more = len(met) == wanted and len(rows) < self.count
            if len(rows) < k or (more and apart[order[-1]] - apart[order[k - 1]] < TIE):
                unsure.append(i)
            else:
                nearest[i], distance[i] = rows[order[:k]], apart[order[:k]]
        if unsure:
            nearest[unsure], distance[unsure] = distances.top(query[unsure], vectors, k)
        return nearest, distance


def _graph(dim: int):
    try:
        import faiss
    except ImportError as error:
        raise assets.Unavailable(
            "index='faiss' needs the package faiss-cpu: pip install faiss-cpu, or use 'exact'"
        ) from error
    index = faiss.IndexHNSWFlat(dim, 32, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efSearch = EFFORT
    return index
