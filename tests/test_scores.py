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
