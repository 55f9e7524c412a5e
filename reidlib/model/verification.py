"""Is this the same person: error rates and thresholds from genuine and impostor distances."""

import numpy as np
import pandas as pd

from reidlib.model import ranking
from reidlib.model.distances import distances as distances_between


def roc(genuine, impostor) -> pd.DataFrame:
    """Return the ROC curve: columns threshold, fmr, tmr, a row per distinct genuine distance.

    A pair matches when its distance is at most the threshold. `fmr` is the share of impostor pairs
    that match (false match rate), `tmr` that of genuine pairs (ISO/IEC 19795-1). Between two rows
    only `fmr` grows, so these rows hold the best of what the distances can do.
    """
    genuine, impostor = _sorted(genuine, "genuine"), _sorted(impostor, "impostor")
    threshold = np.unique(genuine)
    fmr = np.searchsorted(impostor, threshold, side="right") / len(impostor)
    tmr = np.searchsorted(genuine, threshold, side="right") / len(genuine)
    return pd.DataFrame({"threshold": threshold, "fmr": fmr, "tmr": tmr})


def equal_error_rate(genuine, impostor) -> tuple[float, float]:
    """Return the lowest rate that neither error exceeds, and the threshold that gives it.

    Between samples the two errors seldom meet exactly, so the larger of them is kept lowest.
    """
    curve = roc(genuine, impostor)
    error = np.maximum(curve.fmr, 1 - curve.tmr)
    return float(error.min()), float(curve.threshold[error.idxmin()])


def threshold_at(fmr: float, impostor) -> float:
    """Return the largest threshold whose false match rate on `impostor` distances is at most `fmr`.

    Below 1 / len(impostor) it lies just under the smallest distance: too few pairs to tell more.
    """
    if not 0 <= fmr < 1:
        raise ValueError(f"fmr is {fmr}; expected a share from 0 to below 1, such as 0.001")
    impostor = _sorted(impostor, "impostor")
    allowed = int(fmr * len(impostor) + 1e-9)  # as a float 0.29 * 100 is 28.999...
    # Just under the first distance that may not match, since equal ones would match with it.
    return float(np.nextafter(impostor[allowed], -np.inf, dtype=impostor.dtype))


def _sorted(values, name: str) -> np.ndarray:
    values = np.sort(np.asarray(values), axis=None)
    if not len(values) or not np.isfinite(values).all():
        raise ValueError(f"{name} distances are empty or hold NaN; expected one or more numbers")
    return values if values.dtype == np.float32 else values.astype(np.float64)


def verification(
    query, query_pids, query_camids, gallery, gallery_pids, gallery_camids, *, metric="cosine"
) -> tuple[np.ndarray, np.ndarray]:
    """Return the distances of all pairs of one person and of all pairs of two, junk left out.

    Distractors (pid 0) count as other people; queries without an identity (pid 0, -1) do not count.
    """
    distances = distances_between(query, gallery, metric)
    query_pids, query_camids = ranking.as_labels(query_pids, query_camids, "query", len(distances))
    gallery_pids, gallery_camids = ranking.as_labels(
        gallery_pids, gallery_camids, "gallery", distances.shape[1]
    )
    counts = ~ranking.junk(query_pids, query_camids, gallery_pids, gallery_camids)
    counts &= query_pids[:, None] > 0
    same = query_pids[:, None] == gallery_pids
    return distances[counts & same], distances[counts & ~same]
