import datetime

import numpy as np
import pandas as pd
import pytest

from reidlib import assets
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


def test_heads_are_blurred_where_the_detector_saw_anybody(image):
    found = pd.DataFrame([PERSON], columns=["x1", "y1", "x2", "y2"])
    heads, nobody = privacy.Heads(hold=1), found[:0]
    tables = [nobody, nobody, found, nobody, nobody]
    watched = heads.watch(lambda images: [tables.pop(0) for _ in images])
    assert [len(table) for table in watched([image] * 5)] == [0, 0, 1, 0, 0]
    changed = [(heads.blur(i, image, nobody) != image).any() for i in range(5)]
    assert changed == [False, True, True, True, False]
    assert (heads.blur(4, image, found) != image).any()  # a track counts by itself
    assert heads.table.values.tolist() == [[2, *PERSON]]
    blur = privacy.head_blur(heads.table, hold=1)
    assert [(blur(i, image) != image).any() for i in range(5)] == changed


def test_faint_boxes_are_blurred_too_and_the_detector_stays_as_it_was(image):
    candidates = np.array([[*PERSON, 0.15], [41, 20, 81, 140, 0.12], [0, 0, 30, 90, 0.05]])

    class Detector:
        confidence = 0.25

        def raw(self, images):
            return [candidates for _ in images]

    heads, detector = privacy.Heads(), Detector()
    watched = heads.watch(detector)
    assert watched.confidence == 0.25 and watched.raw([image])[0] is candidates
    assert heads.table.values.tolist() == [[0, *PERSON]]  # the second is the same person
    detector.raw([image])
    assert len(heads.table) == 1


def test_without_a_share_nothing_is_blurred(image):
    heads, found = privacy.Heads(share=0), pd.DataFrame([PERSON], columns=["x1", "y1", "x2", "y2"])
    assert heads.watch(len) is len
    assert heads.blur(0, image, found) is image and heads.table.empty


NOON = datetime.datetime(2026, 1, 10, 12, tzinfo=datetime.UTC)


@pytest.fixture
def results(tmp_path):
    """A folder into which a command wrote two files, with a record, and a user a third."""
    folder = (tmp_path / "results").resolve()
    with assets.noting_writes() as written:
        for name in ("report.html", "tracks/door.txt"):
            with assets.atomic(folder / name) as temporary:
                temporary.write_text(f"content of {name}")
    privacy.note_retention(written, "demo", 30, NOON)
    (folder / "notes.txt").write_text("my own")
    return folder


def names(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in files)


def test_a_record_says_what_was_written_and_until_when_it_is_kept(results):
    record = privacy.read_retention(results)
    assert record["file"].tolist() == ["report.html", "tracks/door.txt"]
    assert set(record["delete_after"]) == {datetime.date(2026, 2, 9)}
    assert record["sha256"][0] == assets.sha256(results / "report.html")
    assert privacy.forget(results, "2026-02-09") == ([], [])
    assert len(names(results)) == 4


def test_what_is_due_is_deleted_and_nothing_else(results):
    due = [results / "report.html", results / "tracks" / "door.txt"]
    assert privacy.forget(results, "2026-02-10", dry_run=True) == (due, [])
    assert len(names(results)) == 4
    assert privacy.forget(results, "2026-02-10") == (due, [])
    assert names(results) == ["notes.txt"] and not (results / "tracks").exists()
    with pytest.raises(ValueError, match=r"holds no retention.csv; expected a folder of results"):
        privacy.forget(results, "2026-02-10")


def test_a_file_that_somebody_changed_is_left_alone(results):
    (results / "report.html").write_text("mine now")
    (results / "tracks" / "door.txt").unlink()  # gone already: struck off
    deleted, kept = privacy.forget(results, "2026-02-10")
    assert deleted == [] and len(kept) == 1 and "report.html is not as it was written" in kept[0]
    assert names(results) == ["notes.txt", "report.html", "retention.csv"]
    assert privacy.read_retention(results)["file"].tolist() == ["report.html"]


def test_a_record_cannot_reach_out_of_its_folder(results, tmp_path):
    outside = tmp_path / "precious.txt"
    outside.write_text("content of report.html")  # and of the right checksum
    (results / "report.html").unlink()
    (results / "report.html").symlink_to(outside)
    record = pd.read_csv(results / "retention.csv")
    record.loc[1, "file"] = "../precious.txt"
    record.loc[1, "sha256"] = assets.sha256(outside)
    record.to_csv(results / "retention.csv", index=False)
    deleted, kept = privacy.forget(results, "2026-02-10")
    assert deleted == [] and outside.exists()
    assert all("is a link, or lies outside" in sentence for sentence in kept) and len(kept) == 2


def test_a_file_written_anew_is_kept_from_then_on(results):
    privacy.note_retention([results / "report.html"], "demo", 7, NOON + datetime.timedelta(90))
    record = privacy.read_retention(results).set_index("file")["delete_after"]
    assert str(record["report.html"]) == "2026-04-17" and len(record) == 2
    assert privacy.forget(results, "2026-03-01")[0] == [results / "tracks" / "door.txt"]


def test_downloads_are_nobodys_picture(tmp_path, monkeypatch):
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path))
    (tmp_path / "weights.pt").write_bytes(b"numbers")
    assert privacy.note_retention([(tmp_path / "weights.pt").resolve()], "demo") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("old", "no record of files that can be read"),
        ("file,delete_after\na,2026-01-01", "lacks sha256"),
        ("file,delete_after,sha256\na,soon,00", "no record"),
        ("file,delete_after,sha256\na,,00", "no record"),
    ],
)
def test_a_damaged_record_deletes_nothing(results, text, message):
    (results / "retention.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        privacy.forget(results, "2030-01-01")
    with pytest.warns(UserWarning, match="begun anew"):
        privacy.note_retention([results / "report.html"], "demo")
    assert len(privacy.read_retention(results)) == 1


@pytest.mark.parametrize("text", ["30", "d", "-1d", "1.5d", "30 days", ""])
def test_how_long_files_are_kept(text):
    assert privacy.keep_days("30d") == 30 and privacy.keep_days("2w") == 14
    with pytest.raises(ValueError, match="no time to keep files; expected days or weeks"):
        privacy.keep_days(text)


def test_a_face_stays_bare_where_nobody_was_found():
    people = [[40, 20, 80, 140], [200, 20, 240, 140]]
    assert privacy.bare_heads(people, []).tolist() == [True, True]
    assert privacy.bare_heads(people, [[42, 22, 82, 140]]).tolist() == [False, True]
    assert privacy.bare_heads(people, [[40, 60, 80, 140]]).tolist() == [True, True]  # legs alone
    assert privacy.bare_heads([], people).shape == (0,)
