"""The comparison of trackers on a tiny clip: boxes as good as the truth, two people who cross."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from reidlib.collection import formats
from reidlib.detection.association import Confidence
from reidlib.detection.tracker import Tracker

FOLDER = Path(__file__).parent.parent / "benchmarks"
FRAMES, SIZE = 20, (320, 240)


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(FOLDER))
    import tracking

    yield tracking
    for name in ("tracking", "rivals"):
        sys.modules.pop(name)


def people(confidence=0.9):
    """Two people on their way, in opposite directions, at different depths."""
    rows = [
        (frame, track, x + step * frame, y, x + step * frame + 20, y + height, confidence)
        for frame in range(FRAMES)
        for track, x, y, height, step in ((1, 40, 60, 60, 4), (2, 200, 120, 80, -4))
    ]
    return pd.DataFrame(
        rows, columns=["frame", "track", "x1", "y1", "x2", "y2", "confidence"]
    ).astype({"frame": int, "track": int})


@pytest.fixture
def folder(tmp_path):
    """A clip of MOT Challenge text."""
    path = tmp_path / "street"
    path.mkdir()
    formats.write_mot(people(), path / "gt.txt")
    formats.write_mot(people().assign(track=-1), path / "det.txt")
    about = f"name=street\nframeRate=10\nseqLength={FRAMES}\nimWidth={SIZE[0]}\nimHeight={SIZE[1]}"
    (path / "seqinfo.ini").write_text(f"[Sequence]\n{about}\n", encoding="utf-8")
    return path


def test_all_parts_on_a_text_clip(benchmark, folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(benchmark, "GRID", {"default": {}, "iou .4": {"iou": 0.4}})
    out = tmp_path / "rows.csv"
    arguments = ["--text", str(folder), "--trackers", "ours", "CBIoU", "--csv", str(out)]
    monkeypatch.setattr(sys, "argv", ["tracking.py", *arguments])
    benchmark.main()
    rows = pd.read_csv(out)
    peers = rows[rows.part == "peers"].set_index("tracker")
    assert list(peers.index) == [
        "ours, live", "ours, second pass",
        "CBIoU (roboflow), as shipped", "CBIoU (roboflow), our rule",
    ]  # fmt: skip
    # The second pass knows who somebody was before the second box confirmed it.
    assert peers.IDF1["ours, second pass"] == 1 > peers.IDF1["ours, live"] > 0.95
    assert (peers.switches == 0).all() and (peers.ms > 0).all()
    rungs = rows[(rows.part == "ladder") & (rows.tracker == "ours, live")].set_index("setting")
    assert set(rungs.index) == set(benchmark.LADDER)
    assert rungs.IDF1["- two boxes to confirm, one instead"] == 1
    text = capsys.readouterr().out
    assert "### street, appearance: none" in text


def test_constants_come_back(benchmark, folder):
    """A rung may change a constant of the tracker's room: for its own run only."""
    constants = benchmark.tracker, benchmark.association
    before = [vars(room).copy() for room in constants]
    benchmark.ours(benchmark.read_text(folder), FAINT_IOU=2.0, SWAY=0.5)
    assert [vars(room) for room in constants] == before


def test_a_video_is_detected_and_embedded_once(benchmark, folder, tmp_path):
    path, seen = str(tmp_path / "street.mp4"), []
    writer = cv2.VideoWriter(path, cv2.VideoWriter_fourcc(*"mp4v"), 10, SIZE)
    for _ in range(FRAMES):
        writer.write(np.zeros((*SIZE[::-1], 3), np.uint8))
    writer.release()

    class Detector:
        nms, confidence = 0.7, 0.25

        def raw(self, images):
            seen.append(len(images))
            found = people()[people().frame == len(seen) - 1]
            faint = found.tail(1).assign(confidence=0.2, x1=5, x2=25)
            return [pd.concat([found, faint])[["x1", "y1", "x2", "y2", "confidence"]]]

    class Colours:
        dim = 2

        def __call__(self, crops):
            return np.eye(2, dtype=np.float32)[: len(crops)]

    blind, sighted = benchmark.read_video(
        "street", path, folder / "gt.txt", Detector(), {"colours": Colours()}
    )
    assert len(seen) == FRAMES and blind.vectors is None and sighted.appearance == "colours"
    assert blind.times == pytest.approx(np.arange(FRAMES) / 10)
    boxes, vectors = sighted.boxes[3], sighted.vectors[3]
    assert len(boxes) == len(vectors) == 3
    assert np.isnan(vectors[boxes.confidence < 0.25]).all()
    assert np.isfinite(vectors[boxes.confidence > 0.25]).all()
    found = benchmark.ours(sighted)["ours, second pass"][0]
    assert benchmark.score(sighted, found, 1.0)["IDF1"] == 1


def test_rivals_get_our_rule(benchmark, folder):
    """On the scale they are given, .7 and .95 are where our tracker draws its lines."""
    clip = benchmark.read_text(folder)
    rng, tracker = np.random.default_rng(0), Tracker()
    tables = [t.assign(confidence=rng.uniform(0.1, 1, len(t))) for t in clip.boxes]
    given = benchmark.our_scale(clip._replace(boxes=tables)).boxes
    usual = Confidence()
    for raw, scaled in zip(tables, given):
        usual.learn(raw.confidence.to_numpy())
        confident = raw.confidence >= max(tracker.high, 0.7 * usual.usual)
        birth = raw.confidence >= max(tracker.birth, 0.95 * usual.usual)
        assert ((scaled.confidence >= 0.7 - 1e-9) == confident).all()
        assert ((scaled.confidence >= 0.95 - 1e-9) == birth).all()
    import rivals

    names = rivals.settings_of({"track_buffer", "det_thresh", "iou"}, clip)
    assert names == {"track_buffer": 20, "det_thresh": 0.7}


def test_a_setting_is_never_chosen_on_the_clip_it_is_quoted_for(benchmark):
    """What is best on the others is quoted; a footage in two kinds of boxes is left out whole."""
    values = {
        "pets": {"default": 0.5, "wild": 0.9},
        "PETS": {"default": 0.5, "wild": 0.9},
        "street": {"default": 0.6, "wild": 0.5},
        "hall": {"default": 0.6, "wild": 0.55},
    }
    table = pd.DataFrame(values).T.stack().rename("IDF1")
    table = table.rename_axis(["clip", "setting"]).reset_index().assign(tracker="ours")
    found = benchmark.left_out(table).set_index("footage")
    assert found["chosen on the others"].to_dict() == {
        "hall": "wild", "pets": "default", "street": "wild",
    }  # fmt: skip
    assert found["its IDF1"].to_dict() == {"hall": 0.55, "pets": 0.5, "street": 0.5}
