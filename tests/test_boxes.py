import numpy as np
import pytest

from reidlib import boxes

FUNCTIONS = (
    *(boxes.area, lambda b: boxes.clip(b, 10, 10)),
    *(lambda b: boxes.pad(b, 0.1), lambda b: boxes.iou(b, [[0, 0, 1, 1]])),
    *(lambda b: boxes.nms(b, [1.0], 0.5), lambda b: boxes.crop(np.zeros((9, 9, 3), np.uint8), b)),
)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_boxes_that_are_no_numbers(function, value):
    with pytest.raises(ValueError, match="box 0 holds NaN or infinity"):
        function([[0, 0, value, 5]])


@pytest.mark.parametrize("shape", [(3,), (2, 5), (1, 1, 4)])
def test_boxes_of_another_shape(shape):
    with pytest.raises(ValueError, match=r"expected \(N, 4\)"):
        boxes.as_boxes(np.ones(shape))


def test_no_boxes():
    for empty in ([], np.zeros((0, 4)), np.zeros((0, 5))):
        assert boxes.as_boxes(empty).shape == (0, 4)
    assert boxes.iou([], [[0, 0, 1, 1]]).shape == (0, 1)
    assert boxes.nms([], [], 0.5).tolist() == []
    assert boxes.crop(np.zeros((9, 9, 3), np.uint8), []) == []


def test_area_and_iou():
    assert boxes.area([[0, 0, 10, 20], [5, 5, 5, 9], [9, 9, 1, 1]]).tolist() == [200, 0, 0]
    pairs = boxes.iou(
        [[0, 0, 10, 10], [3, 3, 3, 3]],
        [[0, 0, 10, 10], [5, 5, 15, 15], [10, 0, 20, 10], [3, 3, 3, 3]],
    )
    # Half-open boxes that only touch do not overlap, nor do boxes without area.
    np.testing.assert_allclose(pairs, [[1, 25 / 175, 0, 0], [0, 0, 0, 0]], rtol=1e-6)


def test_iou_against_counting_pixels():
    rng = np.random.default_rng(0)
    corners = rng.integers(0, 20, (40, 2, 2))
    some = np.concatenate([corners.min(1), corners.max(1)], axis=1)
    masks = np.zeros((40, 20, 20), bool)
    for mask, (x1, y1, x2, y2) in zip(masks, some):
        mask[y1:y2, x1:x2] = True
    both = (masks[:, None] & masks).sum((2, 3))
    either = (masks[:, None] | masks).sum((2, 3))
    np.testing.assert_allclose(boxes.iou(some, some), both / np.maximum(either, 1), atol=1e-6)


def test_clip_and_pad():
    clipped = boxes.clip([[-5, 2, 30, 8], [40, 40, 50, 50], [-9, -9, -1, -1]], 20, 10)
    assert clipped.tolist() == [[0, 2, 20, 8], [20, 10, 20, 10], [0, 0, 0, 0]]
    assert boxes.pad([10, 20, 20, 40], 0.5).tolist() == [[5, 10, 25, 50]]


def test_nms():
    some = [[0, 0, 10, 10], [1, 0, 11, 10], [50, 0, 60, 10], [0, 0, 10, 10]]
    assert boxes.nms(some, [0.5, 0.9, 0.3, 0.5], 0.5).tolist() == [1, 2]
    assert boxes.nms(some, [0.5, 0.9, 0.3, 0.5], 0.9).tolist() == [1, 0, 2]  # ties: first wins
    with pytest.raises(ValueError, match="4 boxes but 2 scores"):
        boxes.nms(some, [0.5, 0.9], 0.5)


def test_crop():
    image = np.arange(20 * 30 * 3, dtype=np.uint16).astype(np.uint8).reshape(20, 30, 3)
    whole, edge, padded = (
        boxes.crop(image, [[2, 3, 7, 9]])[0],
        boxes.crop(image, [[-5, 15, 4.2, 40]])[0],
        boxes.crop(image, [[10, 5, 14, 9]], padding=0.5)[0],
    )
    np.testing.assert_array_equal(whole, image[3:9, 2:7])
    np.testing.assert_array_equal(edge, image[15:20, 0:5])  # a pixel partly inside counts
    np.testing.assert_array_equal(padded, image[3:11, 8:16])


@pytest.mark.parametrize("box", [[5, 5, 5, 9], [9, 9, 5, 5], [40, 5, 50, 9], [-9, -9, 0, 5]])
def test_crop_of_nothing(box):
    with pytest.raises(ValueError, match="box 1 .* covers no pixel of the 30x20 image"):
        boxes.crop(np.zeros((20, 30, 3), np.uint8), [[0, 0, 5, 5], box])
