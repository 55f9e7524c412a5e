"""What counts in a ranking, as Market-1501 has it: identities, cameras, junk, true matches."""

from __future__ import annotations

import numpy as np


def labels(pids, camids, name: str, size: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return identities and cameras as whole numbers; cameras that are None become -1, unknown."""
    pids = np.asarray(pids)
    camids = np.full(len(pids), -1) if camids is None else np.asarray(camids)
    size = len(pids) if size is None else size
    for values, what in ((pids, "pids"), (camids, "camids")):
        if values.shape != (size,):
            raise ValueError(
                f"{name}_{what} have shape {values.shape}; expected ({size},), one an image"
            )
        if not np.issubdtype(values.dtype, np.integer):
            raise ValueError(
                f"{name}_{what} are {values.dtype}; expected whole numbers, with -1 for unknown"
            )
    return pids.astype(np.int64), camids.astype(np.int64)


def junk(query_pids, query_camids, gallery_pids, gallery_camids) -> np.ndarray:
    """Return which gallery images do not count for which query, a mask of shape (Q, G)."""
    query_pids, query_camids = labels(query_pids, query_camids, "query")
    gallery_pids, gallery_camids = labels(gallery_pids, gallery_camids, "gallery")
    same = (query_pids[:, None] == gallery_pids) & (query_camids[:, None] == gallery_camids)
    return (same & (gallery_camids >= 0)) | (gallery_pids == -1)


def same_person(query_pids, gallery_pids) -> tuple[np.ndarray, np.ndarray]:
    """Return the query and the gallery index of all pairs of one identity, ordered by query."""
    order = np.argsort(gallery_pids, kind="stable")
    begin, end = (np.searchsorted(gallery_pids[order], query_pids, s) for s in ("left", "right"))
    count = np.where(query_pids > 0, end - begin, 0)
    within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return np.repeat(np.arange(len(count)), count), order[np.repeat(begin, count) + within]


def notes(query_pids, camids) -> tuple[str, ...]:
    """Return what a reader of the scores should know about the labels."""
    found = []
    nobody = int((query_pids <= 0).sum())
    if nobody:
        found.append(
            f"{nobody} queries have pid 0 (distractor) or -1 (junk) and are left "
            "out; if your identities count from 0, add 1 to the pids of queries and gallery"
        )
    if (camids < 0).any():
        found.append(
            "camera ids are missing: matches from the query's own camera could not be left out, "
            "so the scores are higher than under the Market-1501 protocol"
        )
    return tuple(found)
