"""Properties that hold for any input: boxes, tables on disk, tracks joined and cut, the nearest.

The examples are the same in each run. ``REIDLIB_EXAMPLES=5000`` tries more of them.
"""

import os

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from reidlib import boxes
from reidlib.collection import annotation, formats
from reidlib.model import distances

settings.register_profile(
    "gate",
    max_examples=int(os.environ.get("REIDLIB_EXAMPLES", 40)),
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("gate")

BOX = boxes.BOX
HUNDREDTHS = st.integers(-100_000, 100_000).map(lambda value: value / 100)


@st.composite
def some_boxes(draw, least=0, most=12, reach=200.0):
    """Boxes x1 y1 x2 y2 with x1 <= x2 and y1 <= y2, also outside a picture and without area."""
    count = draw(st.integers(least, most))
    numbers = st.floats(-reach, reach, width=32)
    corners = draw(arrays(np.float32, (count, 2, 2), elements=numbers))
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)


@given(some_boxes(), some_boxes())
def test_iou_is_a_share_and_the_same_both_ways(a, b):
    overlaps = boxes.iou(a, b)
    assert overlaps.shape == (len(a), len(b))
    assert (overlaps >= 0).all() and (overlaps <= 1 + 1e-6).all()
    np.testing.assert_array_equal(overlaps, boxes.iou(b, a).T)
    own = np.diag(boxes.iou(a, a))
    np.testing.assert_allclose(own, boxes.area(a) > 0, atol=1e-6)


@given(some_boxes(), st.floats(-50, 50, width=32), st.sampled_from([0.5, 2.0, 4.0]))
def test_iou_does_not_change_with_place_and_scale(a, shift, scale):
    a = np.rint(a)  # so that moving them is exact
    overlaps = boxes.iou(a, a)
    np.testing.assert_allclose(boxes.iou(a + np.rint(shift), a + np.rint(shift)), overlaps)
    np.testing.assert_allclose(boxes.iou(a * scale, a * scale), overlaps)


@given(some_boxes(), st.integers(1, 150), st.integers(1, 150))
def test_clip_stays_in_the_picture_and_changes_nothing_inside(a, width, height):
    cut = boxes.clip(a, width, height)
    assert (cut >= 0).all() and (cut <= [width, height, width, height]).all()
    np.testing.assert_array_equal(boxes.clip(cut, width, height), cut)
    inside = ((a >= 0) & (a <= [width, height, width, height])).all(axis=1)
    np.testing.assert_array_equal(cut[inside], a[inside])
    assert (boxes.area(cut) <= boxes.area(a)).all()
    np.testing.assert_array_equal(boxes.visible(a, width, height), boxes.area(cut) >= 1)


@given(some_boxes(), st.floats(0, 2))
def test_pad_grows_around_the_same_centre(a, fraction):
    padded = boxes.pad(a, fraction)
    size, grown = a[:, 2:] - a[:, :2], padded[:, 2:] - padded[:, :2]
    np.testing.assert_allclose(grown, size * (1 + 2 * fraction), rtol=1e-4, atol=1e-3)
    centres = [box[:, :2] + box[:, 2:] for box in (a, padded)]
    np.testing.assert_allclose(*centres, atol=1e-2)


@given(some_boxes(), st.data(), st.floats(0, 1))
def test_nms_keeps_no_overlapping_pair_and_drops_only_what_overlaps(a, data, threshold):
    scores = data.draw(arrays(np.float32, len(a), elements=st.sampled_from([0.1, 0.5, 0.9])))
    kept = boxes.nms(a, scores, threshold)
    overlaps = boxes.iou(a, a)
    among = overlaps[np.ix_(kept, kept)] - np.diag(np.diag(overlaps)[kept])
    assert (among <= threshold).all()
    assert (np.diff(scores[kept]) <= 0).all() and len(set(kept)) == len(kept)
    for dropped in set(range(len(a))) - set(kept.tolist()):
        better = kept[scores[kept] >= scores[dropped]]
        assert (overlaps[dropped, better] > threshold).any()


@given(some_boxes(reach=40.0), st.integers(1, 30), st.integers(1, 30), st.floats(0, 1))
def test_a_crop_holds_the_pixels_that_its_box_touches(a, width, height, padding):
    image = np.zeros((height, width, 3), np.uint8)
    image[..., 0], image[..., 1] = np.arange(width), np.arange(height)[:, None]
    a = a[boxes.visible(a, width, height)]
    cuts = boxes.crop(image, a, padding)
    assert len(cuts) == len(a)
    for (x1, y1, x2, y2), cut in zip(boxes.clip(boxes.pad(a, padding), width, height), cuts):
        assert cut.base is not None  # a view: no pixels are copied
        assert cut[0, 0, :2].tolist() == [int(x1), int(y1)]
        assert cut[-1, -1, :2].tolist() == [int(np.ceil(x2)) - 1, int(np.ceil(y2)) - 1]


@st.composite
def tracks(draw, least=0):
    """A table of tracks with coordinates in hundredths: no track is twice in a frame."""
    keys = st.tuples(st.integers(0, 40), st.integers(0, 6))
    places = draw(st.lists(keys, min_size=least, max_size=25, unique=True))
    rows = []
    for frame, track in places:
        left, top = draw(HUNDREDTHS), draw(HUNDREDTHS)
        width, height = (abs(draw(HUNDREDTHS)) for _ in range(2))
        rows.append((frame, track, left, top, left + width, top + height))
    table = pd.DataFrame(rows, columns=["frame", "track", *BOX])
    return table.astype({"frame": int, "track": int, **dict.fromkeys(BOX, float)})


@given(tracks(), st.data())
def test_mot_text_there_and_back(tmp_path, table, data):
    shares = st.integers(0, 1000).map(lambda value: value / 1000)
    table["confidence"] = data.draw(arrays(float, len(table), elements=shares))
    table["visibility"] = data.draw(arrays(float, len(table), elements=shares))
    formats.write_mot(table, tmp_path / "tracks.txt")
    read = formats.read_mot(tmp_path / "tracks.txt")
    expected = table.sort_values("frame", kind="stable", ignore_index=True)
    pd.testing.assert_frame_equal(read, expected, atol=1e-9, rtol=0)
    formats.write_mot(read, tmp_path / "again.txt")
    assert (tmp_path / "again.txt").read_text() == expected_text(expected)


def expected_text(table):
    """What a plain loop writes."""
    lines = [
        f"{row.frame + 1},{row.track},{round(row.x1, 2)},{round(row.y1, 2)},"
        f"{round(row.x2 - row.x1, 2)},{round(row.y2 - row.y1, 2)},{row.confidence},1,"
        f"{row.visibility}\n"
        for row in table.itertuples()
    ]
    return "".join(lines)


@given(tracks(), st.sampled_from([",", "\t", " ", ", ", " ,  "]), st.sampled_from(["\n", "\r\n"]))
def test_mot_text_with_other_separators(tmp_path, table, separator, end):
    formats.write_mot(table, tmp_path / "tracks.txt")
    text = (tmp_path / "tracks.txt").read_text()
    other = text.replace(",", separator).replace("\n", f"{separator}{end}{end}")
    (tmp_path / "other.txt").write_bytes(b"\xef\xbb\xbf" + other.encode())
    read = [formats.read_mot(tmp_path / f"{name}.txt") for name in ("tracks", "other")]
    pd.testing.assert_frame_equal(*read)


@given(st.text(alphabet="0123456789,.-+eE \t\r\n;xnaif\x00\ufeff\"'", max_size=120))
def test_any_text_is_read_or_refused_by_line(tmp_path, text):
    (tmp_path / "odd.txt").write_bytes(text.encode())
    try:
        table = formats.read_mot(tmp_path / "odd.txt")
    except ValueError as error:
        assert "odd.txt, line " in str(error)
    else:
        assert np.isfinite(table.to_numpy(float)).all() and (table.frame >= 0).all()


@given(tracks(), st.data())
def test_cvat_there_and_back(tmp_path, table, data):
    table["visibility"] = data.draw(arrays(float, len(table), elements=st.sampled_from([0.5, 1.0])))
    people = {track: data.draw(st.integers(-1, 99)) for track in sorted(set(table.track))}
    table["pid"] = table.track.map(people).astype(int)
    formats.write_cvat(table, tmp_path / "cvat.xml")
    read = formats.read_cvat(tmp_path / "cvat.xml")
    expected = table.sort_values(["frame", "track"], ignore_index=True)
    if not (table.pid >= 0).any():
        assert "pid" not in read
        expected = expected.drop(columns="pid")
    pd.testing.assert_frame_equal(read, expected, atol=1e-9, rtol=0, check_dtype=len(table) > 0)


@given(tracks(least=2), st.data())
def test_a_cut_track_joined_again_is_as_before(table, data):
    track = data.draw(st.sampled_from(sorted(set(table.track))))
    frames = sorted(table.frame[table.track == track])
    assume(len(frames) > 1)
    frame = data.draw(st.integers(frames[0] + 1, frames[-1]))
    cut = annotation.split_track(table, track, frame)
    new = table.track.max() + 1
    assert set(cut.track) == set(table.track) | {new}
    assert cut.frame[cut.track == track].max() < frame <= cut.frame[cut.track == new].min()
    pd.testing.assert_frame_equal(annotation.merge_tracks(cut, [new, track]), table)


@given(tracks(least=2), st.data())
def test_only_tracks_without_a_common_frame_can_be_joined(table, data):
    some = st.lists(st.sampled_from(sorted(set(table.track))), min_size=1, unique=True)
    chosen = data.draw(some)
    frames = table.frame[table.track.isin(chosen)]
    if frames.duplicated().any():
        with pytest.raises(ValueError, match="two places at once"):
            annotation.merge_tracks(table, chosen)
        return
    merged = annotation.merge_tracks(table, chosen)
    assert set(merged.track) == set(table.track) - set(chosen) | {min(chosen)}
    assert sorted(merged.frame[merged.track == min(chosen)]) == sorted(frames)
    pd.testing.assert_frame_equal(merged.drop(columns="track"), table.drop(columns="track"))


@given(st.data(), st.integers(1, 5), st.integers(1, 30), st.integers(1, 35))
def test_the_nearest_are_those_of_a_stable_sort(data, queries, size, k):
    """Small whole numbers: many distances are equal, to the last digit."""
    whole = st.integers(-2, 2)
    query = data.draw(arrays(np.float64, (queries, 2), elements=whole))
    gallery = data.draw(arrays(np.float64, (size, 2), elements=whole))
    junk = data.draw(arrays(bool, (queries, size)))
    expected = distances.distances(query, gallery, "euclidean")
    expected[junk] = np.inf
    order = np.argsort(expected, axis=1, kind="stable")[:, :k]
    nearest = np.take_along_axis(expected, order, axis=1)
    order[np.isinf(nearest)] = -1
    found, its_distances = distances.top(query, gallery, k, metric="euclidean", junk=junk)
    np.testing.assert_array_equal(found, order)
    np.testing.assert_array_equal(its_distances, nearest)
