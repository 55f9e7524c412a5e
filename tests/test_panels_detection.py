"""The panels of lesson 02 survive every control and count right, and so do the functions below."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text
from panels import sweep

from reidlib import style
from reidlib.detection import panels, plots, scores, tracking
from reidlib.detection.tracker import Tracker

TIMES = np.arange(40) / 12.5  # seconds of the frames


@pytest.fixture(scope="module")
def truth():
    """Two people walk towards each other and past, a third stands; 40 frames of 320x180."""
    frames = np.arange(40)
    x = {1: 20 + 5 * frames, 2: 240 - 5 * frames, 3: np.full(40, 280)}
    rows = [(f, i, x[i][f], 60, x[i][f] + 30, 140, 1.0, 1.0) for f in frames for i in x]
    names = ["frame", "track", "x1", "y1", "x2", "y2", "confidence", "visibility"]
    return pd.DataFrame(rows, columns=names)


@pytest.fixture(scope="module")
def looks(truth):
    return np.eye(8, dtype=np.float32)[truth.track]


@pytest.fixture(scope="module")
def detections(truth):
    return truth.assign(track=-1, confidence=0.8)


def text(figure):
    return " ".join(t.get_text() for t in figure.findobj(Text))


def test_thresholds_read_off_what_is_kept(truth):
    image = np.zeros((180, 320, 3), np.uint8)
    here = truth[truth.frame == 0][["x1", "y1", "x2", "y2"]].to_numpy()
    scores = np.array([[0.9], [0.6], [0.3]])
    wrong = [[100, 0, 130, 50, 0.5], [21, 61, 51, 141, 0.45]]  # nobody, and a second box on one
    candidates = np.vstack([np.hstack([here, scores]), wrong]).astype(np.float32)
    panel = panels.thresholds({0: image}, {0: candidates}, truth)
    assert sweep(panel) > 5
    panel.controls["nms"].value = 0.5
    panel.controls["confidence"].value = 0.55
    assert "of 2 boxes 100% are right, and 67%" in panel.message.value
    panel.controls["confidence"].value = 0.2
    assert "of 4 boxes 75% are right, and 100%" in panel.message.value
    panel.controls["nms"].value = 1.0  # the second box stays
    assert "of 5 boxes 60% are right, and 100%" in panel.message.value
    panel.controls["confidence"].value = 0.95
    assert "Nothing is sure enough" in panel.message.value


def test_realtime_survives_every_control():
    panel = panels.realtime()
    assert sweep(panel) > 9
    panel.controls["work"].value = 20.0
    assert "After 10 s: 0.02 s late" in panel.message.value


def test_a_slow_loop_falls_behind_unless_it_skips():
    waiting = tracking.serve(rate=10, work=0.15, seconds=10)
    newest = tracking.serve(rate=10, work=0.15, wait=False, seconds=10)
    assert len(waiting) == 100 and waiting.delay.iloc[-1] == pytest.approx(100 * 0.15 - 9.9)
    assert 60 <= len(newest) <= 68 and newest.delay.max() <= 0.15 + 0.1 + 1e-9
    assert tracking.serve(rate=10, work=0.15, every=2, seconds=10).delay.max() == pytest.approx(
        0.15
    )


def test_a_monitor_logs_what_it_shows(monkeypatch):
    clock = iter([100.0, 100.3, 100.4, 101.0])
    monkeypatch.setattr(panels.time, "monotonic", lambda: next(clock))
    monitor, image = panels.Monitor(), np.zeros((18, 32, 3), np.uint8)
    for index, seconds in [(0, 0.0), (1, 0.1), (4, 0.4), (5, 0.5)]:
        words = monitor.show(index, seconds, image)
    assert words == "frame 5, 0.5 s: 3.0 frames a second, 0.50 s late, 2 frames skipped"
    assert monitor.log.frame.tolist() == [0, 1, 4, 5]
    np.testing.assert_allclose(monitor.log.delay, [0, 0.2, 0, 0.5], atol=1e-9)
    assert bytes(monitor.screen.value[:2]) == b"\xff\xd8" and words in monitor.label.value
    clock = iter([200.0, 200.15])
    monitor.start()
    monitor.show(0, 0.0, image)
    assert monitor.log.delay.tolist() == pytest.approx([0.15])


def test_tracker_panel_survives_every_control(detections, truth, looks):
    panel = panels.tracker(detections, truth, looks, size=(320, 180), times=TIMES)
    assert sweep(panel) > 15
    assert "<b>0 identity switches</b>; 3 tracks for 3 people" in panel.message.value
    panel.controls["min_hits"].value = 10
    assert "93% of their boxes" not in panel.message.value
    panel.controls["high"].value = 0.9  # every box is too faint to begin a track
    assert "0 tracks for 3 people; 0% of their boxes" in panel.message.value


def test_tracker_panel_works_without_embeddings(detections, truth):
    panel = panels.tracker(detections, truth, size=(320, 180), times=TIMES)
    assert panel.controls["appearance"].disabled and not panel.controls["appearance"].value


def test_replay_is_what_the_tracker_says_frame_by_frame(detections, looks):
    gap = detections.frame.isin([10, 11]).to_numpy()  # two frames without any box
    table = tracking.replay(detections[~gap], Tracker(), looks[~gap])
    tracker, frames = Tracker(), []
    for frame in range(40):
        here = (detections.frame == frame).to_numpy() & ~gap
        frames.append(tracker.update(detections[here], looks[here]).assign(frame=frame))
    pd.testing.assert_frame_equal(
        table, pd.concat(frames, ignore_index=True)[list(table)], check_dtype=False
    )
    assert tracking.replay(detections[:0], Tracker()).empty


def test_matches_agree_with_the_scores(truth):
    rng = np.random.default_rng(0)
    for _ in range(20):
        tracks = truth[rng.random(len(truth)) < 0.8].copy()
        renamed = rng.integers(0, 6, 40)[tracks.frame]  # ids that wander
        tracks["track"] = (tracks.track + renamed) % 7 + 1
        tracks[["x1", "x2"]] += rng.normal(0, 8, (len(tracks), 1))
        matched, found = scores.matches(truth, tracks), scores.evaluate(truth, tracks)
        assert matched.switch.sum() == found.switches > 0
        assert (matched.track < 0).sum() == found.misses
        assert len(matched) == len(truth)


def test_matches_without_any_track(truth):
    matched = scores.matches(truth, truth[:0])
    assert (matched.track == -1).all() and not matched.switch.any()
    with pytest.raises(ValueError, match="truth holds no boxes"):
        scores.matches(truth[:0], truth)


def test_identities_over_time_show_switches_and_gaps(truth):
    swapped = truth.assign(track=truth.track.where(truth.frame < 20, truth.track % 3 + 1))
    matched = scores.matches(truth, swapped[swapped.frame != 5])
    figure = plots.identities_over_time(matched, TIMES)
    style.png(figure)
    assert "3 people, 3 identity switches" in text(figure)
    coloured = [c for c in figure.axes[0].collections if c.get_facecolor().size]
    assert len(coloured) == 3 * 3  # before the gap, after it, and after the switch


def test_identities_are_drawn_at_the_times_of_their_frames(truth):
    """A camera that pauses for ten seconds after frame 20 has them as white space."""
    times = TIMES + np.where(np.arange(40) > 20, 10, 0)
    figure = plots.identities_over_time(scores.matches(truth, truth), times)
    ends = [c.get_paths()[0].vertices[:, 0].max() for c in figure.axes[0].collections]
    assert max(ends) == pytest.approx(times[-1] + times[-1] / 39)
    swapped = truth.assign(track=truth.track.where(truth.frame < 30, truth.track % 3 + 1))
    figure = plots.identities_over_time(scores.matches(truth, swapped), times)
    crosses = [line.get_xdata() for line in figure.axes[0].lines if len(line.get_xdata())]
    np.testing.assert_allclose(np.concatenate(crosses), times[30])


def test_replay_goes_by_the_times_of_the_frames(detections):
    """Somebody who is away for one frame is given up where that frame lasts for ten seconds."""
    one = detections[(detections.frame != 20) & (detections.index % 3 == 2)]
    times = TIMES + np.where(np.arange(40) >= 20, 10, 0)
    assert tracking.replay(one, Tracker(), times=TIMES).track.nunique() == 1
    assert tracking.replay(one, Tracker(), times=times).track.nunique() == 2


def test_motion_and_scores_draw_what_they_are_given():
    seconds = np.arange(5) / 5
    figure = plots.motion(seconds, np.array([1, 2, np.nan, 4, 5.0]), 1 + seconds, seconds)
    style.png(figure)
    assert [len(line.get_xdata()) for line in figure.axes[0].lines] == [5, 5]
    bars = plots.scores(pd.DataFrame({"MOTA": [-0.2, 1], "IDF1": [0.5, 1]}, index=["bad", "good"]))
    style.png(bars)
    assert "-0.20" in text(bars) and bars.axes[0].get_ylim()[0] < -0.2
