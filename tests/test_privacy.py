import numpy as np
import pandas as pd
import pytest

from reidlib.collection import encoding, privacy, video

PERSON = [40, 20, 80, 140]  # 120 pixels tall: the head is in the top 17, around x = 60
HEAD = np.s_[22:36, 53:67]


@pytest.fixture
def image():
    return np.random.default_rng(0).integers(0, 256, (160, 120, 3), np.uint8)


def variation(image):
    return np.abs(np.diff(image.astype(float), axis=1)).mean()


@pytest.mark.parametrize("pixelate", [False, True])
def test_heads_are_hidden_and_the_rest_is_not(image, pixelate):
    before = image.copy()
    blurred = privacy.blur_heads(image, [PERSON], pixelate=pixelate)
    np.testing.assert_array_equal(image, before)
    assert variation(blurred[HEAD]) < 0.2 * variation(image[HEAD])
    np.testing.assert_array_equal(blurred[60:], image[60:])  # below the shoulders
    np.testing.assert_array_equal(blurred[:, :38], image[:, :38])
    assert not (blurred[HEAD] == image[HEAD]).all(axis=2).any()


def test_the_edge_is_soft():
    flat = np.zeros((160, 120, 3), np.uint8)
    flat[:, 60:] = 255
    row = privacy.blur_heads(flat, [PERSON])[30, :, 0].astype(int)
    assert np.abs(np.diff(row)).max() < 80  # a hard edge would leave a step of 128


@pytest.mark.parametrize("scale", [0.5, 1, 3])
def test_strength_follows_the_size_of_the_person(scale):
    """Whatever the resolution, no more than a few independent values are left of a head."""
    rng, person = np.random.default_rng(0), np.array(PERSON) * scale
    size = int(160 * scale), int(120 * scale), 3
    images = rng.integers(0, 256, (30, *size), np.uint8)
    x1, x2, y1, y2 = (np.array([53, 67, 22, 36]) * scale).astype(int)
    heads = [privacy.blur_heads(image, [person])[y1:y2, x1:x2, 0].ravel() for image in images]
    values = np.linalg.svd(np.array(heads) - np.mean(heads, 0), compute_uv=False)
    energy = np.cumsum(values**2) / (values**2).sum()
    assert np.searchsorted(energy, 0.98) < 12


def test_heads_that_cannot_be_hidden(image):
    odd = [[500, 500, 540, 620], [50, 50, 50, 50], [80, 140, 40, 20], [-400, -400, -300, -300]]
    np.testing.assert_array_equal(privacy.blur_heads(image, odd), image)
    np.testing.assert_array_equal(privacy.blur_heads(image, []), image)
    assert (privacy.blur_heads(image, [[-10, -5, 12, 60]]) != image).any()  # cut by the border
    assert (privacy.blur_heads(image, [[60, 60, 68, 84]]) != image).any()  # far away
    with pytest.raises(ValueError, match="box 0 holds NaN"):
        privacy.blur_heads(image, [[0, 0, np.nan, 9]])


def test_blur_video(tmp_path, image):
    frames = np.repeat(np.kron(image[::8, ::8], np.ones((8, 8, 1), np.uint8))[None], 12, axis=0)
    encoding.write(tmp_path / "clip.mp4", frames, fps=10, crf=10)
    table = pd.DataFrame([[5, *PERSON]], columns=["frame", "x1", "y1", "x2", "y2"])
    target = tmp_path / "blurred.mp4"
    assert privacy.blur_video(tmp_path / "clip.mp4", target, table, hold=2) == 12
    assert video.probe(target) == video.probe(tmp_path / "clip.mp4")
    pairs = zip(video.read(target), video.read(tmp_path / "clip.mp4"))
    change = [np.abs(a[HEAD].astype(int) - b[HEAD]).mean() for (_, _, a), (_, _, b) in pairs]
    hidden = [index for index, value in enumerate(change) if value > 20]
    assert hidden == [3, 4, 5, 6, 7]


def row(**changes):
    return {
        **{"clip": "c1.mp4", "person": "P1", "purpose": "course", "consent": "given"},
        **{"recorded": "2026-01-10", "keep_days": 30},
        **changes,
    }


def test_what_has_to_be_deleted():
    record = privacy.consent_record(
        [row(), row(person="P2", consent="withdrawn"), row(person="P3", keep_days=365)]
    )
    assert record.delete_after.dt.strftime("%Y-%m-%d").tolist()[::2] == ["2026-02-09", "2027-01-10"]
    assert privacy.due_for_deletion(record, "2026-02-09").person.tolist() == ["P2"]
    assert privacy.due_for_deletion(record, "2026-02-10").person.tolist() == ["P1", "P2"]
    assert len(privacy.due_for_deletion(record, "2027-06-01")) == 3


def test_a_record_survives_a_file(tmp_path):
    record = privacy.consent_record([row(), row(keep_days=365)])
    record.to_csv(tmp_path / "record.csv", index=False)
    read = pd.read_csv(tmp_path / "record.csv")
    assert len(privacy.due_for_deletion(read, "2026-03-01")) == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"purpose": None}, "row 1 of the record lacks 'purpose'"),
        ({"consent": "maybe"}, "consent 'maybe'; choose from given, refused"),
        ({"keep_days": -1}, "keep_days below 0"),
        ({"recorded": "yesterday"}, "yesterday"),
        ({"recorded": "10.01.2026"}, "give recorded as 2026-01-31"),
        ({"keep_days": "long"}, "keep_days as a number"),
    ],
)
def test_what_a_record_refuses(changes, message):
    with pytest.raises(ValueError, match=message):
        privacy.consent_record([row(), row(**changes)])


def test_an_empty_record():
    assert privacy.due_for_deletion(privacy.consent_record([]), "2026-01-01").empty
