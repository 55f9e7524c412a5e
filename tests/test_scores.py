import warnings

import numpy as np
import pandas as pd
import pytest

from reidlib.collection import formats
from reidlib.detection import scores

BOX = ["x1", "y1", "x2", "y2"]


def table(*rows, **columns):
    """Rows of frame, track, left edge: boxes of 10 x 20 pixels."""
    frame, track, left = np.array(rows, float).reshape(-1, 3).T
    boxes = np.column_stack([left, 0 * left, left + 10, 0 * left + 20])
    out = pd.DataFrame(boxes, columns=BOX).assign(frame=frame.astype(int), track=track.astype(int))
    return out.assign(**columns)


TRUTH = table(*[(f, p, 100 * p + f) for f in range(4) for p in (1, 2)])


def test_perfect_tracks_score_one():
    found = scores.evaluate(TRUTH, TRUTH.assign(track=TRUTH.track + 10))
    assert found[["MOTA", "IDF1", "HOTA"]].tolist() == pytest.approx([1, 1, 1])
    assert found[["switches", "misses", "false_positives", "people"]].tolist() == [0, 0, 0, 2]


def test_scores_by_hand():
    # Person 1 is covered by track 5, then 6; person 2 is missed in frame 3; one box is nobody.
    tracks = table(
        (0, 5, 100), (1, 5, 101), (2, 6, 102), (3, 6, 103),
        (0, 7, 200), (1, 7, 201), (2, 7, 202), (2, 8, 400),
    )  # fmt: skip
    found = scores.evaluate(TRUTH, tracks)
    assert found[["switches", "misses", "false_positives"]].tolist() == [1, 1, 1]
    assert found["MOTA"] == pytest.approx(1 - 3 / 8)
    # Best one-to-one pairing: person 1 with 5 or 6 (2 boxes), person 2 with 7 (3 boxes).
    assert found["IDF1"] == pytest.approx(2 * 5 / (8 + 8))


def test_true_boxes_of_confidence_zero_neither_help_nor_hurt():
    aside = table(*[(f, 3, 500) for f in range(4)], confidence=0.0)
    truth = pd.concat([TRUTH.assign(confidence=1.0), aside], ignore_index=True)
    perfect = scores.evaluate(truth, truth)
    without = scores.evaluate(truth, TRUTH)
    assert perfect["MOTA"] == without["MOTA"] == 1
    assert perfect["false_positives"] == 0 and perfect["people"] == 2


def test_a_good_match_is_not_given_up_for_two_faint_ones():
    # Together the overlaps .54 (ignored) and .43 outweigh the .82 of the true match.
    truth = table((0, 1, 0), (0, 2, 4), confidence=[1.0, 0.0])
    tracks = table((0, 5, 1), (0, 6, -4))
    found = scores.evaluate(truth, tracks)
    assert found["misses"] == 0 and found["recall"] == 1


def test_a_truth_is_cut_to_its_clip(tmp_path):
    formats.write_mot(TRUTH, tmp_path / "gt.txt")
    assert scores.read_truth(tmp_path / "gt.txt", 2).frame.max() == 1
    assert len(scores.read_truth(tmp_path / "gt.txt")) == len(TRUTH)
    formats.write_mot(TRUTH.assign(frame=TRUTH.frame + 50), tmp_path / "late.txt")
    with pytest.raises(ValueError, match="no boxes to score against in the frames of this clip"):
        scores.read_truth(tmp_path / "late.txt", 20)


# Two people who walk through 100 frames of 200 x 100 pixels.
LONG = table(*[(f, p, 150 * (p - 1) + f // 3) for f in range(100) for p in (1, 2)])
SIZE = (200, 100)


def read(tmp_path, truth, *clip, **options):
    formats.write_mot(truth, tmp_path / "gt.txt")
    return scores.read_truth(tmp_path / "gt.txt", *clip, **options)


def test_a_truth_that_fits_is_read_without_a_word(tmp_path):
    with warnings.catch_warnings(action="error"):
        assert len(read(tmp_path, LONG, 100, SIZE)) == len(LONG)
        assert read(tmp_path, LONG, 100, SIZE, stop=7).frame.max() == 6
        late = LONG[LONG.frame.between(9, 90)]  # nobody is there at first, nor at last
        assert len(read(tmp_path, late, 100, SIZE)) == len(late)


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (LONG[LONG.frame % 10 == 3], "labels every 10th frame or so; only these 10 are scored"),
        (LONG[LONG.frame.isin([0, 4, 5, 50, 60, 90])], "only these 6 are scored"),
        (LONG[LONG.frame < 50], "labels frames 1 to 50 of 100; only these 50 are scored"),
        (LONG[LONG.frame >= 50], "labels frames 51 to 100 of 100; only these 50 are scored"),
        (LONG.assign(frame=LONG.frame + 20), "labels frames 21 to 120, but the clip has 100"),
        (LONG.assign(frame=LONG.frame + 1), "labels frames 2 to 101, but the clip has 100"),
        (LONG.assign(**LONG[BOX] / 2), "all boxes within 96x10 of the 200x100 picture"),
    ],
)
def test_a_truth_that_may_not_belong_to_its_clip_is_said_aloud(tmp_path, change, note):
    with pytest.warns(UserWarning, match=rf"gt\.txt .*{note}"):
        read(tmp_path, change, 100, SIZE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (LONG.assign(**LONG[BOX] / [200, 100, 200, 100]), "like shares of the picture; .*pixels"),
        (LONG.assign(**LONG[BOX] * 2), r"% of the boxes .* outside the 200x100 picture"),
        (LONG.assign(x2=LONG.x1 + LONG.x2, y2=LONG.y1 + LONG.y2), r"% .*may be corners"),
        (LONG.assign(**LONG[BOX] - [0, 40, 0, 40]), "100% .* outside the 200x100 picture"),
        (LONG.assign(track=-1), "track -1 twice .*these are detections"),
        (table(*[(6, i, i) for i in range(2001)]), "2001 boxes in frame 7; at most 2000"),
    ],
)
def test_a_truth_that_cannot_be_right_is_refused(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, change, 100, SIZE)


@pytest.mark.parametrize("edge", [[-60, 0, 140, 20], [0, -30, 20, 80], [20, 0, 260, 20]])
def test_boxes_that_reach_far_out_of_the_picture_are_of_another(tmp_path, edge):
    far = LONG.copy()
    far.loc[:20, BOX] = edge  # their centres are inside
    with pytest.raises(ValueError, match="10% of the boxes"):
        read(tmp_path, far, 100, SIZE)
    with pytest.raises(ValueError, match="like shares"):
        read(tmp_path, LONG.assign(x1=0.0, y1=0.0, x2=2.0, y2=2.0))


def test_people_may_be_half_out_of_the_picture(tmp_path):
    cut = LONG.assign(x1=LONG.x1 - 4, x2=LONG.x2 - 4)  # the first seconds reach out to the left
    cut.loc[:9, BOX] = [-30, 0, -20, 20]  # and one in twenty boxes is out of it
    with warnings.catch_warnings(action="error"):
        read(tmp_path, cut, 100, SIZE)
    cut.loc[10, BOX] = [-30, 0, -20, 20]
    with pytest.raises(ValueError, match="6% of the boxes"):
        read(tmp_path, cut, 100, SIZE)


def in_frames(frames, of=100):
    """Frames of a clip of `of` frames that are scored against a truth in `frames`."""
    truth, clip = pd.DataFrame({"frame": frames}), pd.DataFrame({"frame": range(of)})
    return scores.labelled(truth, clip).frame.tolist()


def test_which_frames_a_truth_labels():
    assert in_frames(range(100)) == list(range(100))
    assert in_frames([*range(20), *range(70, 100)]) == list(range(100))  # nobody there for a while
    assert in_frames(range(10, 90)) == list(range(100))
    assert in_frames(range(11, 100)) == list(range(11, 100))
    assert in_frames(range(89)) == list(range(89))
    assert in_frames(range(8), of=19) == list(range(8))  # more than ten frames, and a tenth
    assert in_frames(range(8), of=18) == list(range(18))
    assert in_frames(range(40), of=400) == list(range(40))
    assert in_frames([3, 13, 23, 43, 93]) == list(range(3, 100, 10))  # nobody in frame 33
    assert in_frames([3, 13, 23, 53]) == list(range(3, 54, 10))  # and not labelled later
    assert in_frames([0, 30, 60, 89]) == [0, 30, 60, 89]  # once a second, at 29.97 frames a second
    assert in_frames([50]) == [50]
    assert in_frames([]) == list(range(100))
    assert scores.labelled(LONG, LONG[:0]).empty


def test_sparse_truth_is_scored_on_the_frames_that_it_labels():
    wrong = table(*[(f, 9, 20) for f in range(100)])
    tracks = pd.concat([LONG[LONG.frame != 33], wrong])  # both are missed once, and one is nobody
    sparse = LONG[LONG.frame % 10 == 3]
    found = scores.evaluate(sparse, tracks)
    assert found[["misses", "false_positives", "people"]].tolist() == [2, 10, 2]
    assert found["MOTA"] == pytest.approx(1 - 12 / 20)
    assert scores.evaluate(sparse, LONG)[["MOTA", "IDF1", "HOTA"]].tolist() == [1, 1, 1]
    sure = tracks.assign(confidence=1.0)
    assert scores.average_precision(sparse, sure[sure.track != 9]) == pytest.approx(0.9)
    assert len(scores.precision_recall(sparse, sure)) == 18 + 10
    people = scores.true_people(tracks.assign(track=tracks.track + 10), sparse)
    assert people.to_dict() == {11: 1, 12: 2, 19: -1}
    assert scores.matches(sparse, LONG).frame.nunique() == 10


def test_matches_by_hand():
    # Person 1 is covered by track 0, then 6, then 0 again; person 2 is missed, then by track 5.
    tracks = table(
        (0, 0, 100), (1, 6, 101), (2, 0, 102), (3, 0, 103),
        (0, 5, 300), (1, 5, 201), (2, 5, 400), (3, 5, 203),
    )  # fmt: skip
    matched = scores.matches(TRUTH, tracks)
    ours, theirs = (matched[matched.person == person] for person in (1, 2))
    assert ours.frame.tolist() == theirs.frame.tolist() == [0, 1, 2, 3]
    assert ours.track.tolist() == [0, 6, 0, 0] and theirs.track.tolist() == [-1, 5, -1, 5]
    assert ours.switch.tolist() == [False, True, True, False] and not theirs.switch.any()
    assert matched.switch.sum() == scores.evaluate(TRUTH, tracks)["switches"]
    # Whom a track covered before it keeps, also where another overlaps a little more.
    truth = table((0, 1, 0), (1, 1, 0))
    both = table((0, 4, 2), (1, 4, 2), (1, 8, 1))
    assert scores.matches(truth, both).track.tolist() == [4, 4]
    assert scores.matches(truth.assign(confidence=[1, 0]), both).frame.tolist() == [0]


def test_detections_where_nobody_is_are_wrong():
    truth = table((0, 1, 0), (2, 1, 0), (3, 1, 0))
    found = table((1, 0, 0), (0, 0, 0), (2, 0, 0)).assign(confidence=[0.9, 0.8, 0.95])
    curve = scores.precision_recall(truth, found)
    assert list(curve) == ["confidence", "precision", "recall"]
    assert curve.index.tolist() == [0, 1, 2] and curve.confidence.tolist() == [0.95, 0.9, 0.8]
    assert curve.precision.tolist() == pytest.approx([1, 1 / 2, 2 / 3])


def test_true_boxes_of_confidence_zero_need_not_be_found():
    truth = table((0, 1, 0), (0, 2, 100)).assign(confidence=[1.0, 0.0])
    found = table((0, 0, 0), (0, 0, 100)).assign(confidence=[0.8, 0.9])
    assert scores.precision_recall(truth, found).recall.tolist() == [1]
    assert scores.average_precision(truth, found) == 1


def test_a_line_of_confidence_zero_labels_its_frame():
    half = LONG[LONG.frame < 50].assign(confidence=1.0)
    assert scores.evaluate(half, LONG)["false_positives"] == 0
    end = table((99, 3, 60), confidence=0.0)
    assert scores.evaluate(pd.concat([half, end]), LONG)["false_positives"] == 100


def test_no_tracks_score_nothing():
    found = scores.evaluate(TRUTH, TRUTH[:0])
    assert found["MOTA"] == 0 and found["IDF1"] == 0 and found["misses"] == 8


@pytest.mark.parametrize(
    ("truth", "tracks", "match"),
    [
        (TRUTH[:0], TRUTH, "truth holds no boxes"),
        (TRUTH.assign(confidence=0), TRUTH, "truth holds no boxes"),
        (TRUTH, TRUTH.drop(columns="x1"), "tracks lacks x1"),
        (TRUTH, pd.concat([TRUTH, TRUTH[:1]]), "track 1 twice in frame 0"),
    ],
)
def test_bad_tables(truth, tracks, match):
    with pytest.raises(ValueError, match=match):
        scores.evaluate(truth, tracks)


def test_average_precision_by_hand():
    truth = table((0, 1, 0), (0, 2, 100), (1, 1, 0))
    found = table((0, 0, 0), (1, 0, 300), (0, 0, 101), (0, 0, 2))
    found["confidence"] = [0.9, 0.8, 0.7, 0.6]  # hit, nobody, hit, second box on a person
    curve = scores.precision_recall(truth, found)
    assert curve.precision.tolist() == pytest.approx([1, 1 / 2, 2 / 3, 2 / 4])
    assert curve.recall.tolist() == pytest.approx([1 / 3, 1 / 3, 2 / 3, 2 / 3])
    assert scores.average_precision(truth, found) == pytest.approx(1 / 3 * 1 + 1 / 3 * 2 / 3)
    assert scores.average_precision(truth, found, iou=0.95) == pytest.approx(1 / 3)


def test_hidden_people_need_not_be_found():
    truth = table((0, 1, 0), (0, 2, 100)).assign(visibility=[1.0, 0.1])
    found = table((0, 0, 100), (0, 0, 0)).assign(confidence=[0.9, 0.8])
    assert scores.average_precision(truth, found, visibility=0.3) == 1
    assert scores.average_precision(truth, found[1:], visibility=0.3) == 1
    assert scores.average_precision(truth, found[1:]) == 0.5
    with pytest.raises(ValueError, match="no boxes that count"):
        scores.average_precision(truth, found, visibility=2)


def test_nothing_found_has_no_precision():
    assert scores.average_precision(TRUTH, TRUTH[:0].assign(confidence=0.0)) == 0
