"""Box geometry. A box is ``x1 y1 x2 y2`` in pixels, half-open: it covers x1 <= x < x2."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

BOX = ["x1", "y1", "x2", "y2"]  # the columns of a table that hold a box


def as_boxes(values) -> np.ndarray:
    """Return `values` as a float32 array of boxes, shape (N, 4); an empty input gives (0, 4).

    Raises ValueError for any other shape and for NaN or infinite coordinates.

    >>> as_boxes([0, 0, 10, 20]).shape
    (1, 4)
    """
    boxes = np.asarray(values, dtype=np.float32)
    if boxes.size == 0:
        return np.zeros((0, 4), np.float32)
    if boxes.ndim == 1:
        boxes = boxes[None]
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(
            f"boxes have shape {boxes.shape}; expected (N, 4) with columns x1 y1 x2 y2 in pixels"
        )
    bad = ~np.isfinite(boxes).all(axis=1)
    if bad.any():
        raise ValueError(
            f"box {int(bad.argmax())} holds NaN or infinity: {boxes[bad][0].tolist()}; "
            "drop such rows first"
        )
    return boxes


def require(table: pd.DataFrame, columns: Sequence[str], what: str = "the table") -> None:
    """Raise ValueError when `table`, called `what` in the message, lacks one of the columns."""
    missing = [name for name in columns if name not in table]
    if missing:
        raise ValueError(
            f"{what} lacks {', '.join(missing)}; expected {' '.join(columns)}, it has "
            f"{' '.join(map(str, table.columns)) or 'no columns'}"
        )


def area(boxes) -> np.ndarray:
    """Return the area of each box in square pixels, shape (N,); a reversed box has area 0."""
    boxes = as_boxes(boxes)
    return np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)


def iou(a, b) -> np.ndarray:
    """Return intersection over union of every box in `a` with every box in `b`, shape (N, M).

    Boxes without area overlap nothing.

    >>> iou([[0, 0, 10, 10]], [[0, 0, 10, 10], [5, 0, 15, 10]]).round(3).tolist()
    [[1.0, 0.3330000042915344]]
    """
    a, b = as_boxes(a), as_boxes(b)
    top_left = np.maximum(a[:, None, :2], b[None, :, :2])
    bottom_right = np.minimum(a[:, None, 2:], b[None, :, 2:])
    overlap = np.prod(np.maximum(bottom_right - top_left, 0), axis=2)
    union = area(a)[:, None] + area(b)[None] - overlap
    return np.divide(overlap, union, out=np.zeros_like(overlap), where=union > 0)


def clip(boxes, width: int, height: int) -> np.ndarray:
    """Return the boxes cut to an image of `width` x `height` pixels, shape (N, 4).

    A box wholly outside comes back with zero area, on the nearest border.
    """
    limit = np.array([width, height, width, height], np.float32)
    return np.clip(as_boxes(boxes), 0, limit)


def visible(boxes, width: int, height: int) -> np.ndarray:
    """Return which boxes cover at least one square pixel of the image, bool (N,)."""
    return area(clip(boxes, width, height)) >= 1


def pad(boxes, fraction: float) -> np.ndarray:
    """Return the boxes grown by `fraction` of their width and height on every side."""
    boxes = as_boxes(boxes)
    margin = (boxes[:, 2:] - boxes[:, :2]) * fraction
    return np.concatenate([boxes[:, :2] - margin, boxes[:, 2:] + margin], axis=1)


def nms(boxes, scores, threshold: float) -> np.ndarray:
    """Return the indices kept by greedy non-maximum suppression, best score first.

    A box is dropped when its IoU with a better one is above `threshold`.
    """
    boxes, scores = as_boxes(boxes), np.asarray(scores, np.float32)
    if len(boxes) != len(scores):
        raise ValueError(f"{len(boxes)} boxes but {len(scores)} scores; one score a box is needed")
    order = np.argsort(-scores, kind="stable")
    overlaps = iou(boxes[order], boxes[order]) > threshold
    keep = np.ones(len(order), bool)
    for i in range(len(order)):
        if keep[i]:
            keep[i + 1 :] &= ~overlaps[i, i + 1 :]
    return order[keep]


def crop(image: np.ndarray, boxes, padding: float = 0.0) -> list[np.ndarray]:
    """Cut each box out of an image; parts outside the image are left out.

    `image` is (H, W, 3); `padding` is the fraction of the box added on every side. Returns N views
    of shape (h, w, 3). Raises ValueError for a box that covers no pixel of the image: drop such
    boxes first, see `visible`.
    """
    height, width = image.shape[:2]
    padded = clip(pad(boxes, padding) if padding else boxes, width, height)
    corners = np.concatenate([np.floor(padded[:, :2]), np.ceil(padded[:, 2:])], axis=1).astype(int)
    empty = (corners[:, 2:] <= corners[:, :2]).any(axis=1)
    if empty.any():
        i = int(empty.argmax())
        raise ValueError(
            f"box {i} {as_boxes(boxes)[i].tolist()} covers no pixel of the {width}x{height} image; "
            "drop boxes with zero area or outside the image first"
        )
    return [image[y1:y2, x1:x2] for x1, y1, x2, y2 in corners]
