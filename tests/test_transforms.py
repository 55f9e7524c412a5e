import cv2
import numpy as np
import pytest

from reidlib.collection import transforms

OFF = dict.fromkeys(
    ("crop", "flip", "rotate", "brightness", "contrast", "white_balance", "blur", "erase"), 0.0
)


@pytest.fixture
def image():
    rng = np.random.default_rng(0)
    return cv2.resize(rng.integers(40, 216, (16, 8, 3), dtype=np.uint8), (64, 128))


@pytest.fixture
def batch(image):
    return np.stack([image, image[:, ::-1], image[::-1], 255 - image])


def rng(seed=0):
    return np.random.default_rng(seed)


def test_resize():
    checks = np.zeros((100, 100, 3), np.uint8)
    checks[::2, ::2] = checks[1::2, 1::2] = 200
    assert np.ptp(transforms.resize(checks, (10, 20)).astype(int)) == 0  # averaged, not picked
    assert transforms.resize(checks, (256, 128)).shape == (256, 128, 3)
    with pytest.raises(ValueError, match=r"shape \(0, 5, 3\) holds no pixel"):
        transforms.resize(np.zeros((0, 5, 3), np.uint8), (10, 10))


def test_geometry(image):
    np.testing.assert_array_equal(transforms.crop(image, [5, 10, 30, 50]), image[10:50, 5:30])
    np.testing.assert_array_equal(transforms.flip(image), image[:, ::-1])
    np.testing.assert_array_equal(transforms.rotate(image, 0), image)
    np.testing.assert_array_equal(transforms.rotate(image, 180), image[::-1, ::-1])
    square = image[:64]
    turned = transforms.rotate(square, 90)  # counter-clockwise
    np.testing.assert_array_equal(turned, np.rot90(square))


def test_colour(image):
    np.testing.assert_array_equal(transforms.brightness(image, 0.5), np.rint(image * 0.5))
    assert transforms.brightness(image, 9.0).max() == 255
    np.testing.assert_array_equal(transforms.contrast(image, 1.0), image)
    assert np.ptp(transforms.contrast(image, 0.0)) == 0
    strong = transforms.contrast(image, 1.3)
    assert strong.std() > 1.2 * image.std()
    assert strong.mean() == pytest.approx(image.mean(), abs=1)
    gains = transforms.white_balance(image, (1.0, 0.5, 0.0))
    np.testing.assert_array_equal(gains, np.rint(image * [1, 0.5, 0]))


def test_degradation(image):
    np.testing.assert_array_equal(transforms.blur(image, 0), image)
    variation = [np.abs(np.diff(transforms.blur(image, s).astype(int))).sum() for s in (0, 1, 3)]
    assert variation[0] > variation[1] > variation[2]
    errors = [np.abs(transforms.jpeg(image, q).astype(int) - image).mean() for q in (95, 5)]
    assert 0 < errors[0] < errors[1] < 40  # red stays red


def test_random_erase(image):
    erased = transforms.random_erase(image, rng(3), area=(0.1, 0.1))
    changed = (erased != image).any(axis=2)
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    assert changed.sum() == pytest.approx(0.1 * changed.size, rel=0.1)
    assert np.ptp(erased[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], (0, 1)).max() == 0
    np.testing.assert_array_equal(erased, transforms.random_erase(image, rng(3), area=(0.1, 0.1)))
    assert (transforms.random_erase(image, rng(4)) != erased).any()


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 2)])
def test_random_erase_of_tiny_images(size):
    for seed in range(20):
        tiny = np.full((*size, 3), 99, np.uint8)
        assert transforms.random_erase(tiny, rng(seed)).shape == tiny.shape
        assert (tiny == 99).all()


def test_nothing_changes_its_input(image, batch):
    before, all_before = image.copy(), batch.copy()
    transforms.crop(image, [0, 0, 9, 9])[:] = 0
    transforms.flip(image)[:] = 0
    transforms.blur(image, 0)[:] = 0
    transforms.random_erase(image, rng())
    transforms.augment(batch, rng(), erase=1, blur=1)
    np.testing.assert_array_equal(image, before)
    np.testing.assert_array_equal(batch, all_before)


def test_augment_can_be_switched_off(batch):
    np.testing.assert_array_equal(transforms.augment(batch, rng(), **OFF), batch)


def test_each_strength_does_its_own_thing(batch):
    def only(**strength):
        return transforms.augment(batch, rng(), **{**OFF, **strength})

    np.testing.assert_array_equal(only(flip=1), batch[:, :, ::-1])
    for strength in OFF:
        assert (only(**{strength: 1.0 if strength != "crop" else 0.3}) != batch).any(), strength
    hue = only(brightness=0.2).astype(float).sum((1, 2))
    shares = hue / hue.sum(1, keepdims=True)
    original = batch.sum((1, 2)) / batch.sum((1, 2, 3))[:, None]
    np.testing.assert_allclose(shares, original, atol=0.01)  # brightness leaves the hue alone


def test_augment_is_random_and_repeatable(batch):
    first = transforms.augment(batch, rng(1))
    np.testing.assert_array_equal(first, transforms.augment(batch, rng(1)))
    assert first.shape == batch.shape and first.dtype == np.uint8
    assert (first != transforms.augment(batch, rng(2))).any()
    same = transforms.augment(np.stack([batch[0]] * 8), rng(1))
    assert len({image.tobytes() for image in same}) == 8  # each image on its own


def test_augment_keeps_the_person(batch):
    means = transforms.augment(batch, rng(), erase=0).mean((1, 2, 3))
    np.testing.assert_allclose(means, batch.mean((1, 2, 3)), rtol=0.25)


def test_augment_of_no_images():
    assert transforms.augment(np.zeros((0, 128, 64, 3), np.uint8), rng()).shape == (0, 128, 64, 3)


def test_to_batch(image):
    batch = transforms.to_batch([image, image[:50, :20], image[:, :1]], (128, 64))
    assert batch.shape == (3, 128, 64, 3) and batch.dtype == np.uint8
    np.testing.assert_array_equal(batch[0], image)
    np.testing.assert_array_equal(batch[1], transforms.resize(image[:50, :20], (128, 64)))
    assert transforms.to_batch([], (128, 64)).shape == (0, 128, 64, 3)


@pytest.mark.parametrize(
    ("how", "low", "high"), [("0..1", 0, 1), ("-1..1", -1, 1), ("imagenet", -2.1179, 2.64)]
)
def test_normalisation_and_back(batch, how, low, high):
    batch[0, 0, 0], batch[0, 0, 1] = 0, 255
    values = transforms.normalise(batch, how)
    assert values.dtype == np.float32 and values.shape == batch.shape
    assert (values.min(), values.max()) == pytest.approx((low, high), abs=1e-3)
    mean, std = (np.array(v) for v in transforms.NORMALISATIONS[how])
    np.testing.assert_allclose(values, (batch / 255 - mean) / std, atol=1e-6)
    np.testing.assert_array_equal(transforms.denormalise(values, how), batch)


def test_unknown_normalisation(batch):
    for function in (transforms.normalise, transforms.denormalise):
        with pytest.raises(ValueError, match=r"unknown normalisation 'z'; choose from 0\.\.1, "):
            function(batch, "z")


def test_batches_come_in_order_and_one_is_prepared_ahead():
    made = []

    def prepare(item):
        made.append(item)
        return item * item

    before = cv2.getNumThreads()
    stream = transforms.one_ahead(prepare, range(5))
    assert next(stream) == 0 and cv2.getNumThreads() == 1
    assert [*stream] == [1, 4, 9, 16] and made == [0, 1, 2, 3, 4]
    assert cv2.getNumThreads() == before and [*transforms.one_ahead(prepare, [])] == []


def test_a_batch_that_fails_raises_where_it_is_used():
    before = cv2.getNumThreads()
    stream = transforms.one_ahead(lambda item: 1 / item, [1, 0, 2])
    assert next(stream) == 1
    with pytest.raises(ZeroDivisionError):
        next(stream)
    assert cv2.getNumThreads() == before
