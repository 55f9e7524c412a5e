import subprocess
import sys
import tracemalloc

import numpy as np
import pandas as pd
import pytest

from reidlib.detection import pieces, streaming, tracking
from reidlib.detection.association import (
    FORBIDDEN,
    Appearance,
    assign,
    correct_motion,
    overlap,
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


def dense_kalman(boxes, seconds):
    """The textbook filter with one state of eight numbers, for comparison."""
    measure = [(*(b[:2] + b[2:]) / 2, *(b[2:] - b[:2])) for b in boxes]
    height = measure[0][3]
    mean = np.r_[measure[0], np.zeros(4)]
    cov = np.diag([(2 * height / 15) ** 2] * 4 + [height**2] * 4)
    step, see = np.eye(8) + seconds * np.eye(8, k=4), np.eye(4, 8)
    wander = np.kron([[seconds**3 / 3, seconds**2 / 2], [seconds**2 / 2, seconds]], np.eye(4)) / 16
    wander[:4, :4] += 0.01 * seconds * np.eye(4)
    for z in measure[1:]:
        height = mean[3]
        mean = step @ mean
        cov = step @ cov @ step.T + height**2 * wander
        gain = cov @ see.T @ np.linalg.inv(see @ cov @ see.T + np.eye(4) * (z[3] / 15) ** 2)
        mean, cov = mean + gain @ (z - see @ mean), cov - gain @ see @ cov
    return mean, cov


def test_motion_agrees_with_the_textbook_filter():
    rng = np.random.default_rng(0)
    corner = np.arange(12)[:, None] * [3.0, 1.0] + rng.normal(size=(12, 2)) + 50
    boxes = np.concatenate([corner, corner + [20, 50] + rng.normal(size=(12, 2))], axis=1)
    mean, cov = (a[None] for a in start_motion(boxes[0]))
    for box in boxes[1:]:
        mean, cov = correct_motion(*predict_motion(mean, cov, 0.1), box[None])
    expected, dense = dense_kalman(boxes, 0.1)
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
    assert first.mean[:2, 1] / 25 == pytest.approx([3, 0], abs=0.1)  # 25 frames a second


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
    tracker = Tracker(fps=10, patience=0.4)
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
        assert sorted(out.track) == [1, 2]
        return max(tracker.tracks, key=lambda track: track.history[-1].box[0]).id

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
    for wrong in ({"iou": 2}, {"weight": float("nan")}, {"patience": -1}, {"min_hits": 0}):
        with pytest.raises(ValueError, match="two shares from 0 to 1"):
            Tracker(**wrong)
    for wrong in ({"fps": 0}, {"buffer": -1}):
        with pytest.raises(ValueError, match="a rate above 0"):
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
    # The table has the frame before the track was confirmed; the drawing could not know.
    assert table.frame.tolist() == list(range(10)) and table.track.unique().tolist() == [1]
    assert table.columns.tolist() == ["frame", "time", "track", *BOX, "confidence"]
    assert table.time.tolist() == pytest.approx(np.arange(10) / 10)
    np.testing.assert_array_equal(table[BOX].iloc[9], [37, 20, 57, 70])
    assert shown == [(f, (100, 200, 3), int(f >= 1)) for f in range(10)]
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


def parade(frames):
    """A walker whom nothing hides, and another who is away from frame 20 to frame 24."""
    image = np.zeros((300, 600, 3), np.uint8)
    image[0, 0, 0] = 1

    def detector(images):
        tables = []
        for _ in images:
            frame = detector.frame
            detector.frame += 1
            places = [(10 + 2 * frame, 20)] + [(500 - 2 * frame, 200)] * (not 20 <= frame < 25)
            tables.append(found(*places))
        return tables

    def extractor(crops):
        order = [0, 1] * len(crops) if len(crops) % 2 == 0 else [0] * len(crops)
        return looks(*order[: len(crops)])

    detector.frame = 0
    return ((frame, frame / 10, image) for frame in range(frames)), detector, extractor


def test_a_stream_hands_on_each_box_once_and_forgets_it(monkeypatch):
    monkeypatch.setattr(streaming, "MEMORY", 5)
    tracker = Tracker()
    parts = list(streaming.stream(*parade(60), tracker=tracker, batch=1))
    assert len(parts) > 50 and max(len(boxes) for boxes, _ in parts) <= 6
    assert max(len(track.history) for track in tracker.tracks) <= 10
    boxes = pd.DataFrame(np.concatenate([boxes for boxes, _ in parts]))
    vectors = np.concatenate([vectors for _, vectors in parts])
    assert not boxes.duplicated(["frame", "track"]).any() and len(boxes) == 60 + 55
    assert (vectors.argmax(axis=1) == boxes["track"] - 1).mean() > 0.9
    assert boxes["time"].tolist() == (boxes["frame"] / 10).tolist()
    monkeypatch.undo()
    table, embeddings = tracking.track(*parade(60), embeddings=True, batch=1)
    order = boxes.sort_values(["frame", "track"])
    assert np.array_equal(order.to_numpy(), table.to_numpy())
    assert np.array_equal(vectors[order.index], embeddings, equal_nan=True)


@pytest.mark.parametrize("relative", [True, False])
def test_boxes_that_cannot_use_a_vector_get_none_and_the_tracks_are_the_same(relative):
    """A sure walker, and a second who is as sure and then, from frame 20 on, faint."""
    embedded = []

    def detector(images):
        tables = []
        for _ in images:
            frame = detector.frame
            detector.frame += 1
            places = [(10 + 2 * frame, 20, 0.9), (400 - 2 * frame, 200, 0.9 if frame < 20 else 0.4)]
            tables.append(found(*places))
        return tables

    def extractor(crops):
        embedded.append(len(crops))
        return looks(*[crop.shape[1] % 2 for crop in crops])

    results = []
    for embeddings in (True, False):
        detector.frame = 0
        embedded.append(0)
        source = ((f, f / 10, np.ones((300, 600, 3), np.uint8)) for f in range(60))
        options = {"tracker": Tracker(relative=relative), "embeddings": embeddings}
        out = tracking.track(source, detector, extractor, **options)
        results.append(out[0] if embeddings else out)
    assert results[0].equals(results[1]) and results[0]["track"].nunique() == 2
    assert len(results[0]) == 120
    starts = [i for i, count in enumerate(embedded) if count == 0]
    kept, spared = sum(embedded[: starts[1]]), sum(embedded[starts[1] :])
    assert kept == 120 and spared == (80 if relative else 120)


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


# One rung at a time: each test makes its own input, and fails without the rung.


def test_overlap_of_grown_boxes_and_of_heights():
    still, far = np.array([[0.0, 0, 20, 50]]), np.array([[21.0, 0, 41, 50]])
    assert overlap(still, far)[0, 0] == 0 and overlap(still, far, 0.3)[0, 0] > 0.1
    aside, below = np.array([[5.0, 0, 25, 50]]), np.array([[0.0, 12.5, 20, 62.5]])
    assert overlap(still, aside)[0, 0] == pytest.approx(overlap(still, below)[0, 0])
    assert overlap(still, aside, heights=True) == overlap(still, aside)
    assert overlap(still, below, heights=True)[0, 0] == pytest.approx(0.6 * 0.6)
    nothing = np.zeros((1, 4))
    assert overlap(nothing, nothing)[0, 0] == 0 and overlap(still, np.zeros((0, 4))).shape == (1, 0)


def test_grown_boxes_catch_a_fast_walker_at_five_frames_a_second():
    def numbers(buffer):
        tracker = Tracker(fps=5, buffer=buffer)
        tables = [tracker.update(found((100 + 16 * f, 100))) for f in range(8)]
        return set(pd.concat(tables).track)

    assert numbers(0.3) == {1} and numbers(0) == set()


def test_confident_is_what_the_detector_is_usually():
    tracker = Tracker(high=0.25)
    for _ in range(20):  # a detector that says .9 for people, and .5 for a lamp
        out = tracker.update(found((100, 100, 0.9), (300, 100, 0.9), (500, 100, 0.5)))
    assert len(out) == 2 and len(tracker.tracks) == 2
    absolute = Tracker(high=0.25, relative=False)
    for _ in range(20):
        out = absolute.update(found((100, 100, 0.9), (300, 100, 0.9), (500, 100, 0.5)))
    assert len(out) == 3
    modest = Tracker(high=0.1)  # another detector says .3 for people
    for _ in range(5):
        out = modest.update(found((100, 100, 0.3), (300, 100, 0.3)))
    assert len(out) == 2


@pytest.mark.parametrize("fps", [5, 12.5, 25, 60])
def test_a_lost_track_lives_as_long_at_any_rate(fps):
    tracker = Tracker(fps=fps, patience=1.0)
    for _ in range(6):
        tracker.update(found((100, 100)))
    for _ in range(int(fps)):
        tracker.update(found())
        assert not tracker.ended
    assert 0.9 < tracker.tracks[0].unseen <= 1.0 + 1e-6
    tracker.update(found())
    tracker.update(found())
    assert not tracker.tracks


@pytest.mark.parametrize("fps", [5, 12.5, 25, 60])
def test_motion_is_the_same_at_any_rate(fps):
    tracker = Tracker(fps=1, patience=1.5)  # the times given count, not the rate
    for f in range(int(3 * fps) + 1):
        tracker.update(found((100 + 30 * f / fps, 100)), time=f / fps)
    speed = tracker.tracks[0].mean[0, 1]
    assert speed == pytest.approx(30, abs=1)
    last = tracker.time
    while tracker.time < last + 1 - 1e-9:
        tracker.update(found(), time=tracker.time + 1 / fps)
    walked = 30 * (tracker.time - last)
    assert tracker.tracks[0].box[0] == pytest.approx(190 + walked, abs=3)


def test_a_gap_says_how_fast_somebody_walked():
    """Seen again after a gap, a track takes its speed from the gap, not from what it thought."""
    tracker = Tracker(fps=10, iou=0.05)
    for f in range(10):
        tracker.update(found((100 + 2 * f, 100)))
    for _ in range(8):
        tracker.update(found())
    tracker.update(found((118 + 9 * 3, 100)))  # three pixels a frame while out of sight
    (track,) = tracker.tracks
    assert track.id == 1 and track.missed == 0
    assert track.mean[0, 1] / 10 == pytest.approx(3, abs=0.3)


def test_time_runs_forward():
    tracker = Tracker()
    tracker.update(found((100, 100)), time=5.0)
    tracker.update(found((100, 100)))
    assert tracker.time == pytest.approx(5.04)
    for wrong in (5.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="in order"):
            tracker.update(found((100, 100)), time=wrong)
    assert tracker.update(found((100, 100)), time=6.0).track.tolist() == [1]


def test_newcomers_take_no_box_from_somebody_known():
    tracker = Tracker(min_hits=3)
    walk(tracker, 10, [(100, 100, 0, 0)])
    tracker.update(found((100, 100), (112, 100)))  # a chance box begins a track
    assert [t.id for t in tracker.tracks] == [1, 0]
    out = tracker.update(found((108, 100)))  # nearer to the newcomer
    assert out.track.tolist() == [1] and len(tracker.tracks) == 1


def test_a_camera_that_turns_carries_the_unseen_with_it():
    def numbers(moving):
        tracker = Tracker(fps=10, moving=moving)
        people = [(100, 100), (300, 100), (500, 100), (700, 100)]
        for _ in range(8):
            tracker.update(found(*people))
        for f in range(1, 11):  # it turns five pixels a frame, the last one is hidden
            tracker.update(found(*[(x + 5 * f, y) for x, y in people[:3]]))
        for f in range(11, 14):
            out = tracker.update(found(*[(x + 5 * f, y) for x, y in people]))
        return out.track.tolist()

    assert sorted(numbers(True)) == [1, 2, 3, 4] and 5 in numbers(False)


def test_an_unknown_embedding_does_not_wipe_out_a_known_one():
    """Embeddings blend; a box without one (NaN) leaves what the track knew, and the reverse."""
    tracker = Tracker()
    walk(tracker, 3, [(100, 100, 0, 0)], (0,))
    tracker.update(found((100, 100)), np.full((1, 8), np.nan))
    np.testing.assert_allclose(tracker.tracks[0].embedding, look(0))
    late = Tracker()
    for _ in range(3):
        late.update(found((100, 100)), np.full((1, 8), np.nan))
    assert np.isnan(late.tracks[0].embedding).all()
    late.update(found((100, 100)), looks(2))
    np.testing.assert_allclose(late.tracks[0].embedding, look(2))
    turned = (look(2) + 0.4 * look(3))[None]  # blended: a little of the new, still of unit length
    late.update(found((100, 100)), turned)
    assert 0 < late.tracks[0].embedding[3] < late.tracks[0].embedding[2]
    assert np.linalg.norm(late.tracks[0].embedding) == pytest.approx(1)


# The second pass


def line(track, frames, start, speed=(3, 0), **more):
    """A track of boxes 20 x 50 on a straight walk: one row a frame."""
    frames = np.array(frames)
    x, y = (start[i] + speed[i] * (frames - frames[0]) for i in (0, 1))
    columns = {"frame": frames, "time": frames / 10, "track": track}
    columns |= {"x1": x * 1.0, "y1": y * 1.0, "x2": x + 20.0, "y2": y + 50.0, "confidence": 0.9}
    return pd.DataFrame(columns | more)


def test_refine_joins_across_a_gap_and_fills_it():
    walker = [line(3, range(0, 20), (100, 100)), line(8, range(26, 50), (178, 100))]
    table = pd.concat([*walker, line(5, range(0, 50), (400, 300))], ignore_index=True)
    out = tracking.refine(table, fps=10)
    assert out.groupby("track").size().tolist() == [50, 50]
    mine = out[out.x1 < 300]
    np.testing.assert_allclose(mine.x1, 100 + 3 * np.arange(50), atol=1e-6)
    assert (mine.row == -1).sum() == 6 and (out.row >= 0).sum() == len(table)
    kept = out[out.row >= 0]
    np.testing.assert_array_equal(kept[BOX], table[BOX].to_numpy()[kept.row])
    assert out.columns.tolist() == [*table.columns, "row"]
    np.testing.assert_allclose(out.time, out.frame / 10)


def test_refine_does_not_join_what_motion_tells_apart():
    one = line(1, range(0, 20), (100, 100))
    for other in (
        line(2, range(24, 50), (400, 100)),  # far away
        line(2, range(24, 50), (165, 100), (-3, 0)).assign(y1=20, y2=150),  # twice as tall
        line(2, range(60, 90), (180, 100)),  # too late
        line(2, range(10, 40), (150, 100)),  # seen at the same time
    ):
        table = pd.concat([one, other], ignore_index=True)
        assert tracking.refine(table, fps=10).track.nunique() == 2
    leaving = line(2, range(22, 50), (162, 100), (-3, 0))
    table = pd.concat([one, leaving], ignore_index=True)
    assert tracking.refine(table, fps=10).track.nunique() == 1
    assert tracking.refine(table, fps=10, size=(165, 300)).track.nunique() == 2  # walked out


def test_refine_splits_where_the_person_changes():
    table = pd.concat([line(1, range(60), (100, 100)), line(2, range(60), (100, 300))])
    vectors = np.concatenate([looks(*[0] * 30, *[1] * 30), looks(*[2] * 60)])
    out = tracking.refine(table, vectors)
    pids = out.groupby("track").frame.agg(["min", "max"]).to_numpy().tolist()
    assert sorted(pids) == [[0, 29], [0, 59], [30, 59]]
    assert tracking.refine(table).track.nunique() == 2  # nothing tells without embeddings
    unknown = np.full_like(vectors, np.nan)
    assert tracking.refine(table, unknown).track.nunique() == 2


def test_refine_knows_somebody_again_after_a_long_gap():
    early, late = line(1, range(0, 30), (100, 100)), line(2, range(80, 120), (320, 140), (0, 0))
    table = pd.concat([early, late, line(3, range(120), (500, 300), (0, 0))], ignore_index=True)
    same, other = looks(*[0] * 70, *[2] * 120), looks(*[0] * 30, *[1] * 40, *[2] * 120)
    assert tracking.refine(table, same).track.nunique() == 2
    assert tracking.refine(table, other).track.nunique() == 3
    joined = tracking.refine(table, same)
    assert (joined.row == -1).sum() == 0  # five seconds are not guessed at


def test_refine_drops_what_lasts_a_moment():
    table = pd.concat([line(1, range(30), (100, 100)), line(2, range(3), (400, 100))])
    assert tracking.refine(table).track.tolist() == [1] * 30
    assert tracking.refine(table[:0]).columns.tolist() == [*table.columns, "row"]


def test_refine_fills_only_frames_that_were_read():
    seen = [f for f in range(0, 60, 5) if f not in (20, 25)]
    other = line(2, range(0, 60, 5), (100, 300), (1, 0))
    table = pd.concat([line(1, seen, (100, 100), (1, 0)), other], ignore_index=True)
    out = tracking.refine(table.drop(columns="time"), fps=25)
    assert out[out.track == 1].frame.tolist() == list(range(0, 60, 5))


def test_refine_refuses_what_does_not_fit():
    table = line(1, range(30), (100, 100))
    with pytest.raises(ValueError, match="2 embeddings for 30 boxes"):
        tracking.refine(table, np.ones((2, 3)))
    with pytest.raises(ValueError, match="tracks lacks track"):
        tracking.refine(table.drop(columns="track"))


# Memory


HOUR = 450_000  # boxes of ten people in an hour at 12.5 frames a second


def passers_by(seconds, stay=20, people=10, fps=12.5):
    """What `stream` hands on: parts of boxes and vectors, of people who walk by in lanes."""
    for start in range(0, int(seconds * fps), 8):
        frames = np.repeat(np.arange(start, start + 8), people)
        lane = np.tile(np.arange(people), 8)
        visit, phase = np.divmod(frames + lane * 7, int(stay * fps))
        here = phase > 25  # two seconds lie between two people
        found = np.zeros(here.sum(), streaming.SEEN)
        found["frame"], found["time"] = frames[here], frames[here] / fps
        found["track"] = (visit * people + lane)[here] + 1
        found["x1"], found["y1"] = 2.0 * phase[here], 100.0 * lane[here]
        found["x2"], found["y2"], found["confidence"] = found["x1"] + 20, found["y1"] + 60, 0.9
        yield found, np.eye(32, dtype=np.float32)[found["track"] * 7 % 32]


def peak_a_box(work, monkeypatch):
    """Return by how many bytes the peak of `work`'s memory grows with each box."""
    peaks, counts = [], []
    for seconds in (40, 160):
        parts = list(passers_by(seconds))
        monkeypatch.setattr(tracking, "stream", lambda *_, parts=parts, **__: iter(parts))
        tracemalloc.start()
        counts.append(work())
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    return (peaks[1] - peaks[0]) / (counts[1] - counts[0])


@pytest.mark.parametrize("embeddings", [False, "file"])
def test_a_long_video_is_tracked_in_little_memory(monkeypatch, embeddings):
    def work():
        found = tracking.track(None, None, embeddings=embeddings)
        return len(found[0] if embeddings else found)

    assert peak_a_box(work, monkeypatch) * HOUR < 60e6


def test_a_long_recording_is_refined_in_little_memory(monkeypatch):
    def work():
        return len(tracking.track_recording(None, None).table)

    assert peak_a_box(work, monkeypatch) * HOUR < 100e6


def test_memory_grows_with_tracks_and_not_with_their_pairs():
    rows = [line(i, range(4 * i, 4 * i + 6), (100 + 90 * (i % 5), 100)) for i in range(900)]
    table = pd.concat(rows, ignore_index=True)
    vectors = np.eye(61, dtype=np.float32)[table["track"] % 61]
    tracemalloc.start()
    out = tracking.refine(table, vectors)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert out["track"].nunique() == 900
    assert peak < 900**2 * 8  # one matrix of all pairs


def test_pairs_that_do_not_compete_are_assigned_as_all_together():
    rng = np.random.default_rng(0)
    for density in (0.02, 0.1, 0.5):
        cost = np.where(rng.random((30, 30)) < density, rng.random((30, 30)), FORBIDDEN)
        before, after = np.nonzero(cost < 2)
        found = pieces.assign_sparse(cost[before, after], before, after, 30)
        assert sorted(found) == sorted(assign(cost))


def test_vectors_in_a_file_are_as_in_memory():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(60, 5)).astype(np.float32)
    kept = streaming.VectorFile()
    assert kept[:].shape == (0, 0)
    kept.append(np.empty((3, 0), np.float32))  # nobody was clear enough at first
    assert kept[1:].shape == (2, 0)
    kept.append(rows[:20])
    kept.append(np.empty((2, 0), np.float32))
    kept.append(rows[20:])
    expected = np.concatenate(
        [np.full((3, 5), np.nan), rows[:20], np.full((2, 5), np.nan), rows[20:]]
    )
    assert np.array_equal(kept[:], expected.astype(np.float32), equal_nan=True)
    order = rng.permutation(len(expected))
    assert np.array_equal(kept.ordered(order)[10:40], kept[order[10:40]], equal_nan=True)
    assert len(kept) == 65 and kept.ordered(order[:7]).shape == (7, 5)
