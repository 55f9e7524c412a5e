import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from reidlib.detection import tracking
from reidlib.detection.association import (
    Appearance,
    assign,
    correct_motion,
    predict_motion,
    start_motion,
)
from reidlib.detection.tracker import Tracker

BOX = ["x1", "y1", "x2", "y2"]


def found(*people, confidence=0.9):
    """Boxes 20 x 50, given left and top, or left, top and confidence."""
    rows = [(x, y, x + 20, y + 50, *(rest or [confidence])) for x, y, *rest in people]
    return pd.DataFrame(rows, columns=[*BOX, "confidence"])


def look(person, noise=0.0, seed=0):
    """The embedding of a person: unit vectors at right angles to one another, noise aside."""
    vector = np.eye(8)[person] + noise * np.random.default_rng(seed).normal(size=8)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def looks(*people):
    return np.array([look(p) for p in people], np.float32).reshape(-1, 8)


def walk(tracker, frames, people=((100, 100, 3, 0),), persons=(0,), offset=0):
    """Let people (left, top, speeds) walk on; return the last frame's tracks."""
    for f in range(offset, offset + frames):
        places = [(x + f * vx, y + f * vy) for x, y, vx, vy in people]
        out = tracker.update(found(*places), looks(*persons))
    return out


def dense_kalman(boxes):
    """The textbook filter with one state of eight numbers, for comparison."""
    measure = [(*(b[:2] + b[2:]) / 2, *(b[2:] - b[:2])) for b in boxes]
    height = measure[0][3]
    mean = np.r_[measure[0], np.zeros(4)]
    cov = np.diag([(height / 10) ** 2] * 4 + [(height / 16) ** 2] * 4)
    step, see = np.eye(8) + np.eye(8, k=4), np.eye(4, 8)
    for z in measure[1:]:
        height = mean[3]
        mean = step @ mean
        noise = [(height / 20) ** 2] * 4 + [(height / 160) ** 2] * 4
        cov = step @ cov @ step.T + np.diag(noise)
        gain = cov @ see.T @ np.linalg.inv(see @ cov @ see.T + np.eye(4) * (z[3] / 20) ** 2)
        mean, cov = mean + gain @ (z - see @ mean), cov - gain @ see @ cov
    return mean, cov


def test_motion_agrees_with_the_textbook_filter():
    rng = np.random.default_rng(0)
    corner = np.arange(12)[:, None] * [3.0, 1.0] + rng.normal(size=(12, 2)) + 50
    boxes = np.concatenate([corner, corner + [20, 50] + rng.normal(size=(12, 2))], axis=1)
    mean, cov = (a[None] for a in start_motion(boxes[0]))
    for box in boxes[1:]:
        mean, cov = correct_motion(*predict_motion(mean, cov), box[None])
    expected, dense = dense_kalman(boxes)
    np.testing.assert_allclose(mean[0].T.ravel(), expected, rtol=1e-9)
    np.testing.assert_allclose(cov[0, :, 0, 1], dense[range(4), range(4, 8)], rtol=1e-9)


def test_assignment():
    cost = np.array([[1.0, 2.0], [2.0, 9.0]])
    assert assign(cost) == [(0, 1), (1, 0)]
    assert assign(cost, "greedy") == [(0, 0), (1, 1)]
    cost[1] = 1e6
    assert assign(cost) == assign(cost, "greedy") == [(0, 0)]
    assert assign(np.zeros((0, 3))) == assign(np.zeros((0, 3)), "greedy") == []


@pytest.mark.parametrize("assignment", ["hungarian", "greedy"])
def test_people_keep_their_numbers(assignment):
    tracker = Tracker(assignment=assignment)
    out = walk(tracker, 20, [(100, 100, 3, 0), (300, 100, -2, 1)], (0, 1))
    assert out.track.tolist() == [1, 2]
    np.testing.assert_allclose(out[BOX].iloc[0], [157, 100, 177, 150], atol=1)
    first = tracker.tracks[0]
    assert (first.age, first.hits, first.missed, len(first.history)) == (20, 20, 0, 20)
    assert first.mean[:2, 1] == pytest.approx([3, 0], abs=0.1)


def test_birth_takes_several_confident_boxes():
    tracker = Tracker(min_hits=3)
    assert walk(tracker, 2).empty
    assert len(walk(tracker, 1, offset=2)) == 1
    faint = Tracker(high=0.3, birth=0.5)
    for _ in range(5):
        assert faint.update(found((0, 0, 0.4))).empty
    assert not faint.tracks
    assert len(Tracker(min_hits=1).update(found((0, 0)))) == 1


def test_faint_boxes_carry_a_track_on():
    tracker = Tracker(high=0.5, birth=0.5)
    walk(tracker, 5, [(100, 100, 0, 0)])
    out = tracker.update(found((100, 100, 0.2)), looks(3))  # half hidden: looks do not count
    assert out.track.tolist() == [1] and out.confidence[0] == pytest.approx(0.2)
    assert tracker.update(found((100, 100, 0.05))).empty


def test_death_by_age():
    tracker = Tracker(max_age=4)
    walk(tracker, 5, [(100, 100, 0, 0)])
    for _ in range(4):
        tracker.update(found())
    assert tracker.tracks[0].missed == 4 and not tracker.ended
    tracker.update(found())
    assert not tracker.tracks and [t.id for t in tracker.ended] == [1]


def test_who_walks_out_is_gone():
    tracker = Tracker(size=(160, 200))
    walk(tracker, 14)  # the right side reaches 100 + 13 * 3 + 20 = 159
    for _ in range(3):
        tracker.update(found())
    assert not tracker.tracks
    assert walk(tracker, 3, [(130, 100, 0, 0)]).track.tolist() == [2]


def test_a_lost_person_is_known_again_by_looks():
    for person, expected in ((0, 1), (5, 2)):
        tracker = Tracker()
        walk(tracker, 10, [(100, 100, 3, 0), (400, 100, 0, 0)], (0, 1))
        for _ in range(12):  # behind a pillar, and stops there
            tracker.update(found((400, 100)), looks(1))
        out = walk(tracker, 4, [(190, 100, 0, 0), (400, 100, 0, 0)], (person, 1))
        assert sorted(out.track) == sorted({expected, 1, 2} if person == 0 else {2, 3})


def test_looks_tell_people_apart_where_boxes_cannot():
    def swap(embeddings):
        tracker = Tracker()
        walk(tracker, 10, [(100, 100, 0, 0), (110, 100, 0, 0)], (0, 1))
        here = found((108, 100), (102, 100))  # they have changed places within one frame
        out = tracker.update(here, looks(0, 1) if embeddings else None)
        return out.track[out.x1.argmax()]

    assert swap(embeddings=True) == 1 and swap(embeddings=False) == 2


def test_appearance_does_not_depend_on_the_scale_of_a_network():
    scale = Appearance()
    rng = np.random.default_rng(0)
    for _ in range(100):
        scale.learn("same", rng.normal(0.99, 0.001, 30))
        scale.learn("other", rng.normal(0.9, 0.001, 30))
    a = np.array([[1.0, 0.0]])
    b = np.array([[0.99, np.sqrt(1 - 0.99**2)], [0.9, np.sqrt(1 - 0.9**2)], [np.nan, np.nan]])
    np.testing.assert_allclose(scale.distance(a, b), [[0, 1, np.nan]], atol=0.05)


def test_no_second_track_on_one_person():
    tracker = Tracker()
    for _ in range(6):
        out = tracker.update(found((100, 100), (103, 102)))
    assert len(out) == 1 and len(tracker.tracks) == 1


def test_odd_boxes_are_survived():
    tracker = Tracker()
    odd = found((100, 100), (-500, 9000), (30, 30))
    odd.loc[2, ["x2", "y2"]] = [30, 30]  # no area
    for _ in range(4):
        out = tracker.update(odd, np.full((3, 8), np.nan))
    assert len(out) == 2
    assert tracker.update(found()).empty


@pytest.mark.parametrize(
    ("table", "embeddings", "match"),
    [
        (found((np.nan, 0)), None, "NaN"),
        (found((0, 0, np.nan)), None, "confidence NaN"),
        (found((0, 0)).drop(columns="y2"), None, "detections lacks y2"),
        (found((0, 0)), looks(0, 1), r"expected \(1, D\)"),
        (found((0, 0)), np.ones(8), r"expected \(1, D\)"),
        (found((0, 0)), np.ones((1, 5)), "5 dimensions, earlier ones 8"),
        (found((0, 0)), np.r_[np.nan, np.ones(7)][None], "in part"),
        (found((0, 0)), np.full((1, 8), np.inf), "in part"),
    ],
)
def test_bad_input(table, embeddings, match):
    tracker = Tracker()
    walk(tracker, 3)
    with pytest.raises(ValueError, match=match):
        tracker.update(table, embeddings)


def test_bad_settings():
    with pytest.raises(ValueError, match="'hungarian' or 'greedy'"):
        Tracker(assignment="nearest")
    with pytest.raises(ValueError, match="high <= birth"):
        Tracker(high=0.5, birth=0.3)
    with pytest.raises(ValueError, match="expected 0 to 1"):
        Tracker(low=-1)
    for wrong in ({"iou": 2}, {"weight": float("nan")}, {"max_age": -1}, {"min_hits": 0}):
        with pytest.raises(ValueError, match="two shares from 0 to 1"):
            Tracker(**wrong)
    boxed = found((0, 0)).assign(frame=0)
    with pytest.raises(ValueError, match="2 embeddings for 1 boxes"):
        tracking.replay(boxed, Tracker(), np.ones((2, 3)))


def clip(frames=10):
    """A video of one grey-level person walking right, as (index, seconds, image)."""
    for f in range(frames):
        image = np.zeros((100, 200, 3), np.uint8)
        image[20:70, 10 + 3 * f : 30 + 3 * f] = 200
        yield f, f / 10, image


def spot(images):
    """A detector of what is bright."""
    tables = []
    for image in images:
        ys, xs = np.nonzero(image[..., 0])
        rows = [(xs.min(), ys.min(), xs.max() + 1, ys.max() + 1, 0.9)] if len(xs) else []
        tables.append(pd.DataFrame(rows, columns=[*BOX, "confidence"]))
    return tables


def mean_colour(crops):
    return np.array([c.mean(axis=(0, 1)) / 255 for c in crops], np.float32)


@pytest.mark.parametrize("batch", [1, 4])
def test_track_a_video(batch):
    shown = []
    table, vectors = tracking.track(
        clip(), spot, mean_colour, embeddings=True, batch=batch,
        on_frame=lambda index, image, tracks: shown.append((index, image.shape, len(tracks))),
    )  # fmt: skip
    # The table has the two frames before the track was confirmed; the drawing could not know.
    assert table.frame.tolist() == list(range(10)) and table.track.unique().tolist() == [1]
    assert table.columns.tolist() == ["frame", "time", "track", *BOX, "confidence"]
    assert table.time.tolist() == pytest.approx(np.arange(10) / 10)
    np.testing.assert_array_equal(table[BOX].iloc[9], [37, 20, 57, 70])
    assert shown == [(f, (100, 200, 3), int(f >= 2)) for f in range(10)]
    assert vectors.shape == (10, 3) and np.isfinite(vectors).all()


def test_a_threshold_under_the_default_keeps_its_boxes():
    class Faint:
        confidence, nms = 0.1, 0.7

        def raw(self, images):
            boxed = [table[BOX].to_numpy() for table in spot(images)]
            return [np.column_stack([b, np.full(len(b), 0.15)]).astype(np.float32) for b in boxed]

    follow = Tracker(high=0.1, birth=0.1)
    assert len(tracking.track(clip(), Faint(), tracker=follow)) == 10
    with pytest.raises(ValueError, match="has followed people before"):
        tracking.track(clip(), Faint(), tracker=follow)


def test_nobody_in_sight():
    black = [(0, 0.0, np.zeros((50, 50, 3), np.uint8))]
    table, vectors = tracking.track(black, spot, mean_colour, embeddings=True)
    assert table.empty and "track" in table and len(vectors) == 0


def test_imports_stay_light():
    code = (
        "import sys; from reidlib.detection import detectors, scores, tracking;"
        "print([m for m in ('torch', 'ultralytics', 'openvino', 'matplotlib', 'sklearn')"
        " if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
