import ast
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from stand_ins import in_white

from reidlib import __main__, assets, command_line
from reidlib.collection import capture, encoding, formats, plots, video
from reidlib.demonstration import matching
from reidlib.detection import detectors, tracking
from reidlib.features import vectors
from reidlib.model import networks

COMMANDS = ("collect", "detect", "track", "extract", "train", "evaluate", "visualize", "demo")
COMMANDS += ("site", "search", "threshold", "forget", "evidence", "count", "tune", "tune-tracker")


def test_no_kind_of_argument_is_defined_twice():
    """The second would change what the first one's commands ask for, without a word."""
    tree = ast.parse(Path(command_line.__file__).read_text("utf-8"))
    assigned = [node.targets for node in tree.body if isinstance(node, ast.Assign)]
    names = [target.id for targets in assigned for target in targets]
    assert len(names) > 30 and len(names) == len(set(names))


@pytest.fixture
def clip(tmp_path):
    """A film of two seconds in which a light box walks from left to right."""
    path = tmp_path / "clip.mp4"
    rng = np.random.default_rng(0)
    ground = rng.integers(60, 120, (120, 160, 3), dtype=np.uint8)
    with encoding.Writer(path, 10) as writer:
        for frame in range(20):
            image = ground.copy()
            image[40:100, 10 + 5 * frame : 34 + 5 * frame] = 240
            writer.write(image)
    return path


@pytest.fixture
def people(tmp_path):
    """A data set in Market-1501 folders: six people in two cameras, each with a colour."""
    rng = np.random.default_rng(1)
    colours = rng.integers(0, 255, (9, 3))
    for folder, pids in {
        "train": range(1, 5),
        "query": range(5, 9),
        "gallery": range(5, 9),
    }.items():
        (tmp_path / "people" / folder).mkdir(parents=True)
        for pid in pids:
            for camid, frame in ((1, 0), (1, 7), (2, 3), (2, 9)):
                if folder == "query" and frame > 5:
                    continue
                noise = rng.normal(0, 20, (64, 32, 3))
                image = np.clip(colours[pid] + noise, 0, 255).astype(np.uint8)
                name = formats.market_name(pid, camid, frame, index=folder == "query")
                cv2.imwrite(str(tmp_path / "people" / folder / name), image[..., ::-1])
    return tmp_path / "people"


@pytest.fixture
def detector(monkeypatch):
    """Stand in for a network: whatever is nearly white is a person."""
    monkeypatch.setattr(detectors, "load", lambda *_, **__: in_white)


@pytest.fixture
def call(capsys):
    """Run a command in this process; returns status, standard output and standard error."""

    def run(*arguments):
        status = __main__.main([str(argument) for argument in arguments])
        text = capsys.readouterr()
        return SimpleNamespace(status=status, out=text.out, err=text.err)

    return run


def refused(result, *words):
    """Check for status 2 and one clear line that has all the words."""
    assert result.status == 2
    lines = [line for line in result.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and "Traceback" not in result.err
    for word in words:
        assert word in lines[0]


def test_collect(call, clip, tmp_path):
    result = call("collect", clip, "--out", tmp_path / "frames", "--every", "500ms")
    assert result.status == 0 and result.out.splitlines()[-1].startswith("4 frames, quality: ")
    assert len(list((tmp_path / "frames").glob("frame_*.jpg"))) == 4
    table = pd.read_csv(tmp_path / "frames" / "quality.csv")
    assert len(table) == 4 and {"sharpness", "brightness"} <= set(table)
    for name in ("quality.png", "contact_sheet.png"):
        assert cv2.imread(str(tmp_path / "frames" / name)) is not None


def test_collect_refuses(call, clip, tmp_path):
    out = tmp_path / "frames"
    refused(call("collect", clip, "--out", out, "--every", "often"), "often", "1s")
    refused(call("collect", tmp_path / "missing.mp4", "--out", out), "missing.mp4")
    (tmp_path / "empty.mp4").touch()
    refused(call("collect", tmp_path / "empty.mp4", "--out", out), "empty.mp4")
    refused(call("collect", clip), "--out")
    assert not out.exists()
    refused(call("collect", clip, "--out", clip / "frames"), "clip.mp4")


def test_detect(call, clip, detector, tmp_path):
    out, film = tmp_path / "boxes.txt", tmp_path / "boxes.mp4"
    result = call("detect", clip, "--out", out, "--video", film)
    assert result.status == 0 and result.out.splitlines()[-1] == "20 people found in 20 frames"
    assert f"wrote {out}" in result.out and f"wrote {film}" in result.out
    table = formats.read_mot(out)
    assert len(table) == 20 and set(table["track"]) == {-1}
    assert video.probe(film).frames == 20


def test_detect_refuses(call, clip, detector, tmp_path, monkeypatch):
    out, before = tmp_path / "boxes.txt", clip.read_bytes()
    refused(call("detect", clip, "--out", clip), "is the input")
    refused(call("detect", clip, "--out", out, "--video", clip), "is the input")
    refused(call("detect", clip, "--out", out, "--video", tmp_path / "film.gif"), ".mp4")
    refused(call("detect", clip, "--out", tmp_path), "is a folder")
    refused(call("detect", clip, "--out", clip / "boxes.txt"), "cannot write")
    monkeypatch.undo()
    refused(call("detect", clip, "--out", out, "--detector", "yollo11n"), "yollo11n", "yolo11n")
    assert clip.read_bytes() == before and not out.exists()


def test_track_and_its_scores(call, clip, detector, tmp_path):
    out = tmp_path / "tracks.txt"
    result = call("track", clip, "--out", out, "--features", "histogram")
    assert result.status == 0 and result.out.splitlines()[-1] == "1 track"
    tracks = formats.read_mot(out)
    assert tracks["track"].nunique() == 1 and len(tracks) >= 18
    film = tmp_path / "tracks.mp4"
    arguments = ("--truth", out, "--video", film, "--features", "histogram")
    result = call("track", clip, "--out", tmp_path / "again.txt", *arguments)
    assert "IDF1 1.000" in result.out and video.probe(film).frames == 20


def test_track_refuses(call, clip, detector, tmp_path):
    out = tmp_path / "tracks.txt"
    (tmp_path / "bad.txt").write_text("1,2,three\n")
    refused(call("track", clip, "--out", out, "--truth", tmp_path / "bad.txt"), "line 1")
    refused(call("track", clip, "--out", out, "--features", "resnet19"), "resnet19", "resnet18")
    (tmp_path / "model.pt").write_bytes(b"no weights at all")
    refused(call("track", clip, "--out", out, "--features", tmp_path / "model.pt"), "model.pt")
    assert not out.exists()


def test_extract_from_a_data_set(call, people, tmp_path):
    result = call("extract", people, "--out", tmp_path / "f.npz", "--features", "histogram")
    assert result.status == 0, result.err
    found_vectors, table = vectors.read(tmp_path / "f.npz")
    assert len(found_vectors) == len(table) == 16 + 8 + 16
    assert table["part"].value_counts().to_dict() == {"train": 16, "gallery": 16, "query": 8}


def test_extract_from_a_video_with_and_without_tracks(call, clip, detector, tmp_path):
    call("track", clip, "--out", tmp_path / "t.txt", "--features", "histogram")
    given = call(
        "extract",
        clip,
        "--tracks",
        tmp_path / "t.txt",
        "--out",
        tmp_path / "f",
        "--features",
        "histogram",
    )
    assert given.status == 0 and f"wrote {tmp_path / 'f.csv'}" in given.out
    found_vectors, table = vectors.read(tmp_path / "f.npz")
    assert len(found_vectors) == len(formats.read_mot(tmp_path / "t.txt")) == len(table)
    np.testing.assert_allclose(np.linalg.norm(found_vectors, axis=1), 1, atol=1e-5)
    found = call("extract", clip, "--out", tmp_path / "g.npz", "--features", "histogram")
    assert found.status == 0 and len(vectors.read(tmp_path / "g.npz")[0]) == len(table)


def test_extract_refuses(call, clip, people, tmp_path):
    out = tmp_path / "f.npz"
    refused(
        call("extract", tmp_path / "nothing", "--out", out, "--features", "histogram"), "nothing"
    )
    refused(call("extract", people, "--out", out, "--features", "hog"), "hog", "histogram")
    refused(
        call(
            "extract", clip, "--tracks", tmp_path / "t.txt", "--out", out, "--features", "histogram"
        ),
        "t.txt",
    )
    assert not out.exists()


def test_train_then_evaluate_and_visualize(call, people, tmp_path):
    out = tmp_path / "model.pt"
    result = call("train", people, "--out", out, "--epochs", 2)
    assert result.status == 0 and "2 epochs in" in result.out and "rank-1" in result.out
    assert len(pd.read_csv(tmp_path / "model.csv")) == 2
    assert not (tmp_path / "model.pt.checkpoint").exists()
    scored = call("evaluate", people, "--model", out, "--rerank")
    assert scored.status == 0 and "re-ranked" in scored.out and "rank-1, 95 %" in scored.out
    drawn = call("visualize", people, "--model", out, "--out", tmp_path / "figures")
    assert drawn.status == 0, drawn.err
    for name in ("rank_grid", "cmc", "embedding_map", "confusion"):
        assert cv2.imread(str(tmp_path / "figures" / f"{name}.png")).std() > 5


def test_evaluate_finds_plain_colours_easily(call, people):
    result = call("evaluate", people, "--model", "histogram")
    assert result.status == 0
    assert result.out.splitlines()[-1].startswith("histogram on people: rank-1 1.000")


def test_train_repeats_itself(call, people, tmp_path):
    for name in ("a.pt", "b.pt"):
        assert call("train", people, "--out", tmp_path / name, "--epochs", "1").status == 0
    a, b = (networks.load(tmp_path / name).state_dict() for name in ("a.pt", "b.pt"))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_an_input_is_never_the_output(call, clip, people, detector, tmp_path):
    tracks = tmp_path / "tracks.csv"
    call("track", clip, "--out", tracks, "--features", "histogram")
    before = tracks.read_bytes()
    same = ("--out", tmp_path / "tracks.npz", "--features", "histogram")
    refused(call("extract", clip, "--tracks", tracks, *same), "is the input")
    same = ("--out", tracks, "--features", "histogram")
    refused(call("track", clip, "--truth", tracks, *same), "is the input")
    film = tmp_path / "one.mp4"
    refused(call("detect", clip, "--out", film, "--video", film), "written twice")
    refused(call("demo", clip, "--out", tmp_path, "--features", "histogram"), "clip.mp4")
    frames = tmp_path / "frames"
    call("collect", clip, "--out", frames)
    refused(call("collect", frames, "--out", frames), "is the input")
    refused(call("detect", frames, "--out", frames / "frames.csv"), "is the input")
    refused(call("evaluate", ""), "no data set")
    refused(call("collect", clip, "--out", ""), "empty name")
    assert tracks.read_bytes() == before and video.probe(clip).frames == 20


def test_frames_that_were_sampled_are_not_judged_by_their_rate(call, clip, tmp_path):
    call("collect", clip, "--out", tmp_path / "frames", "--every", "1s")
    again = call("collect", tmp_path / "frames", "--out", tmp_path / "again", "--every", "1")
    assert "2 frames, quality" in again.out and "frames a second" not in again.out


def test_a_truth_of_another_clip_is_refused_before_the_work(call, clip, detector, tmp_path):
    truth, out = tmp_path / "truth.txt", tmp_path / "tracks.txt"
    truth.write_text("900,1,10,10,20,40,1\n")
    refused(call("track", clip, "--out", out, "--truth", truth), "frames of this clip")
    refused(call("demo", clip, "--out", tmp_path / "demo", "--truth", truth), "frames of this clip")
    refused(call("demo", "--out", tmp_path / "demo", "--truth", truth, clip), "without a video")
    refused(call("extract", clip, "--tracks", truth, "--out", tmp_path / "v"), "belong together")
    assert not out.exists() and not (tmp_path / "demo").exists()


def test_crops_in_one_folder_are_a_data_set(call, people, tmp_path):
    flat = tmp_path / "flat"
    shutil.copytree(people / "gallery", flat)
    result = call("extract", flat, "--out", tmp_path / "v.npz", "--features", "histogram")
    assert result.status == 0 and result.out.splitlines()[-1].startswith("16 vectors")


def test_train_refuses(call, people, tmp_path):
    out = tmp_path / "model.pt"
    refused(call("train", people, "--out", out, "--loss", "tripple"), "tripple", "triplet")
    refused(call("train", people, "--out", out, "--margin", "-1"), "margin")
    refused(call("train", people, "--out", out, "--margin", "wide"), "--margin")
    refused(call("train", people, "--out", out, "--epochs", "0"), "epochs")
    refused(call("train", people, "--out", tmp_path / "model"), "ends in .pt")
    shutil.copytree(people / "query", tmp_path / "some", ignore=shutil.ignore_patterns("*_c2*"))
    refused(call("train", tmp_path / "some", "--out", out), "one image each")
    refused(call("train", people, "--out", out, "--backbone", "resnet19"), "resnet19")
    refused(call("train", tmp_path / "nobody", "--out", out), "nobody", "plaza")
    assert not out.exists()


def test_evaluate_and_visualize_refuse(call, people, tmp_path):
    refused(call("evaluate", tmp_path / "nobody"), "nobody")
    refused(call("evaluate", people, "--model", tmp_path / "none.pt"), "none.pt")
    for path in (people / "gallery").glob("*_c2*"):
        path.unlink()
    for path in (people / "query").glob("*_c2*"):
        path.unlink()
    for command in (("evaluate",), ("visualize", "--out", tmp_path / "figures")):
        refused(call(command[0], people, *command[1:], "--model", "histogram"), "match")
    assert not (tmp_path / "figures").exists()


def test_missing_cameras_are_a_note_of_one_line(call, people, tmp_path):
    for path in list(people.rglob("*.jpg")):
        pid, _, rest = path.name.partition("_")
        (tmp_path / "own" / pid).mkdir(parents=True, exist_ok=True)
        path.rename(tmp_path / "own" / pid / f"{path.parent.name}{rest[-12:]}")
    result = call("evaluate", tmp_path / "own", "--model", "histogram")
    assert result.status == 0
    notes = [line for line in result.err.splitlines() if "camid is -1" in line]
    assert len(notes) == 1 and notes[0].startswith("note: ")


def test_demo(call, clip, detector, tmp_path):
    out = tmp_path / "demo"
    result = call("demo", clip, "--out", out, "--features", "histogram")
    assert result.status == 0, result.err
    assert result.out.splitlines()[-1].startswith("1 person in one camera")
    assert json.loads((out / "metrics.json").read_text("utf-8"))["people"] == 1
    assert (out / "report.html").stat().st_size > 10_000


def test_demo_refuses(call, clip, detector, tmp_path):
    arguments = ("--features", "histogram", "--out", tmp_path / "demo")
    refused(call("demo", tmp_path / "no.mp4", *arguments), "no.mp4")
    refused(call("demo", clip, *arguments, "--truth", "a.txt", "b.txt"), "1 video but 2")
    refused(call("demo", clip, *arguments, "--start", "0", "15"), "1 video but 2 starts")
    assert not (tmp_path / "demo").exists()


def test_an_option_takes_several_values_in_either_form(call, clip, detector, tmp_path):
    second, tools = tmp_path / "second.mp4", ("--features", "histogram", "--out")
    second.write_bytes(clip.read_bytes())
    call("track", clip, *tools, tmp_path / "t.txt")
    truth = tmp_path / "t.txt"
    shared = ("demo", clip, second, *tools, tmp_path / "demo")
    refused(call(*shared, "--start", "0", "15", "3"), "2 videos but 3 starts")
    refused(call(*shared, "--start", "0", "--start=15", "--start", "3"), "2 videos but 3 starts")
    refused(call(*shared, "--start", "0", "1e12"), "finite seconds")
    result = call(*shared, "--start", "0", "-5", "--truth", truth, truth)
    assert result.status == 0, result.err
    metrics = json.loads((tmp_path / "demo" / "metrics.json").read_text("utf-8"))
    assert metrics["scores"]["clip"]["IDF1"] == metrics["scores"]["second"]["IDF1"] == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("a.mp4 --start 0 -5 --out d", "a.mp4 --start 0 --start -5 --out d"),
        ("--truth a b c", "--truth a --truth b --truth c"),
        ("--start 1 --start 2 3", "--start 1 --start 2 --start 3"),
        ("--start=1 2 --out d e", "--start=1 2 --out d e"),
        ("--start --out d", "--start --out d"),
    ],
)
def test_one_value_each(words, expected):
    options = {"--start", "--truth"}
    assert command_line.one_value_each(words.split(), options) == expected.split()


def test_people_of_one_camera_can_be_scored_when_asked(call, people, tmp_path):
    for path in people.rglob("*_c2*"):
        path.unlink()
    for command in (("evaluate",), ("visualize", "--out", tmp_path / "figures")):
        shared = (command[0], people, *command[1:], "--model", "histogram")
        refused(call(*shared), "match", "--same-camera")
        result = call(*shared, "--same-camera")
        assert result.status == 0 and "rank-1 1.000" in result.out, result.err
    assert "camera ids are missing" in call("evaluate", people, "--same-camera").out
    out = ("--out", tmp_path / "m.pt", "--epochs", 1)
    refused(call("train", people, *out), "match", "--same-camera")
    assert call("train", people, *out, "--same-camera").status == 0


@pytest.mark.skipif(os.name == "nt", reason="Windows allows fewer names")
@pytest.mark.parametrize(
    "name", ["$\\frac$ $x^$.mp4", "<b>&amp;'.mp4", "100 %.mp4", "kamera №1 人.mp4"]
)
def test_any_name_of_a_file_survives_to_the_end(call, clip, detector, tmp_path, name):
    odd = clip.rename(tmp_path / name)
    result = call("collect", odd, "--out", tmp_path / f"{name}.frames")
    assert result.status == 0 and "quality" in result.out, result.err
    arguments = ("--features", "histogram", "--out", tmp_path / f"{name}.demo")
    result = call("demo", odd, *arguments)
    assert result.status == 0 and "1 person in one camera" in result.out, result.err


@pytest.mark.skipif(sys.platform != "linux", reason="other systems take names in UTF-8 only")
def test_a_folder_whose_name_is_no_text_is_written_and_named(call, clip, tmp_path):
    result = call("collect", clip, "--out", tmp_path / "caf\udce9")
    assert result.status == 0 and "caf\\udce9/quality.png" in result.out


@pytest.mark.skipif(os.name == "nt", reason="Windows allows fewer names")
def test_any_name_of_a_model_survives_to_the_end(call, people, tmp_path):
    out = tmp_path / "$\\frac$ $x^$.pt"
    assert call("train", people, "--out", out, "--epochs", 1).status == 0
    result = call("visualize", people, "--model", out, "--out", tmp_path / "figures")
    assert result.status == 0, result.err


def test_the_password_of_an_address_is_not_drawn(call, clip, tmp_path, monkeypatch):
    drawn, draw = [], plots.quality

    def quality(report, title):
        drawn.append(title)
        return draw(report, title=title)

    address = "http://me:secret@camera/clip.mp4"
    monkeypatch.setattr(plots, "quality", quality)
    opened = video.open(clip)
    opened.name = capture.display_name(address)  # as an opened address is called
    monkeypatch.setattr(video, "open", lambda *_: opened)
    result = call("collect", address, "--out", tmp_path / "frames")
    assert result.status == 0, result.err
    assert drawn == ["http://camera/clip.mp4"] and "secret" not in result.out + result.err


@pytest.mark.parametrize(
    "every", ["0." + "0" * 310 + "1s", "0" * 310, "1" + "0" * 310 + "s", "9" * 9999]
)
def test_steps_beyond_all_bounds(call, clip, tmp_path, every):
    result = call("collect", clip, "--out", tmp_path / "frames", "--every", every)
    if result.status:
        refused(result, "no step" if every.startswith("0") else "digits")
        assert not (tmp_path / "frames").exists()
    else:
        assert result.out.splitlines()[-1].startswith("1 frame,")


def test_a_folder_is_no_file_to_write(call, clip, people, detector, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").mkdir()
    for out in ("..", ".", "/", "frames/..", "new/", "new/.", "there"):
        refused(call("detect", clip, "--out", out), "is a folder")
        refused(call("extract", people, "--out", out, "--features", "histogram"), "is a folder")
        refused(call("track", clip, "--out", out), "is a folder")
        refused(call("track", clip, "--out", "t.txt", "--video", out), "is a folder")
        refused(call("train", people, "--out", out), "is a folder")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    assert [*(tmp_path / "there").iterdir()] == [] and not (tmp_path / "new").exists()
    (tmp_path / "figures" / "confusion.png").mkdir(parents=True)
    drawn = ("--model", "histogram", "--out", tmp_path / "figures")
    refused(call("visualize", people, *drawn), "confusion.png", "is a folder")
    (tmp_path / "frames" / "quality.png").mkdir(parents=True)
    refused(call("collect", clip, "--out", tmp_path / "frames"), "quality.png", "is a folder")
    names = sorted(path.name for path in tmp_path.glob("f*/*"))
    assert names == ["confusion.png", "quality.png"]


class Webcam:
    """A webcam without end, which shows a walker; somebody presses Ctrl-C at its 30th picture."""

    def __init__(self, *_):
        self.sent = 0

    def isOpened(self):
        return True

    def get(self, what):
        sizes = {cv2.CAP_PROP_FRAME_WIDTH: 160, cv2.CAP_PROP_FRAME_HEIGHT: 120}
        return float(sizes.get(what, 0))

    def grab(self):
        self.sent += 1
        if self.sent == 30:
            signal.raise_signal(signal.SIGINT)
        return self.sent < 300

    def retrieve(self):
        image = np.full((120, 160, 3), 90, np.uint8)
        image[40:100, 10 + 2 * self.sent : 34 + 2 * self.sent] = 240
        return True, image

    def release(self):
        pass


def test_ctrl_c_ends_a_live_recording(call, detector, tmp_path, monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", Webcam)
    handler = signal.getsignal(signal.SIGINT)
    film, tracks, boxed = (tmp_path / name for name in ("film.mp4", "tracks.txt", "boxes.txt"))
    result = call("track", "0", "--out", tracks, "--video", film, "--features", "histogram")
    assert result.status == 0 and "1 track" in result.out
    assert 25 < len(formats.read_mot(tracks)) <= video.probe(film).frames == 30
    assert "30 people found in 30 frames" in call("detect", "0", "--out", boxed).out
    arguments = ("--out", tmp_path / "walk", "--features", "histogram")
    assert call("extract", "0", *arguments).out.endswith("by histogram\n")
    result = call("collect", "0", "--out", tmp_path / "live", "--every", "10")
    assert result.status == 0 and "3 frames, quality" in result.out
    # What was kept tells neither the camera's rate nor its gaps.
    assert "frames a second" not in result.out and "without a frame" not in result.out
    refused(call("demo", "0", *arguments), "record")
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_friendly_and_has_an_example(call, name):
    result = call(name, "--help")
    assert result.status == 0 and f"example: python -m reidlib {name}" in " ".join(
        result.out.split()
    )


def test_the_top_level_lists_every_command(call):
    result = call("--help")
    assert result.status == 0 and all(name in result.out for name in COMMANDS)
    assert call("--version").out.startswith("reidlib 0.")
    refused(call(), "COMMAND")
    refused(call("trak"), "trak", "track")
    refused(call("track", "a.mp4", "--speed", "9"), "--out")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("track", ["VIDEO"]),
        ("track a.mp4", ["--out"]),
        ("track a.mp4 --out", ["--out", "argument"]),
        ("track a.mp4 --out b.txt --speed 9", ["--speed", "--detector"]),
        ("track a.mp4 --out b.txt --featurs x", ["--featurs", "--features"]),
        ("detect a.mp4 b.mp4 --out c.txt", ["b.mp4"]),
        ("train plaza --out a.pt --epochs 2.5", ["--epochs", "2.5", "whole number"]),
        ("train plaza --out a.pt --margin wide", ["--margin", "wide", "number"]),
        ("demo --out d --start soon", ["--start", "soon", "number"]),
        ("--speed 9", ["--speed", "COMMAND"]),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line_that_names_the_help(call, words, expected):
    result = call(*words.split())
    refused(result, *expected, "see python -m reidlib", "--help")
    assert result.err.count("\n") == 1 and result.out == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_told_how_commands_go_on(call, monkeypatch, shell):
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/reidlib"])

    def words(line):
        monkeypatch.setenv("_REIDLIB_COMPLETE", f"complete_{shell}")
        monkeypatch.setenv("_TYPER_COMPLETE_ARGS", line)
        monkeypatch.setenv("_TYPER_COMPLETE_FISH_ACTION", "get-args")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
        result = call()
        assert result.status == 0 and result.err == ""
        return result.out

    assert "track" in words("reidlib tr") and "collect" not in words("reidlib tr")
    assert "--same-camera" in words("reidlib evaluate plaza --s")
    assert "contrastive" in words("reidlib train plaza --loss c")


def test_completion_is_for_the_installed_command(call, monkeypatch):
    monkeypatch.delenv("_REIDLIB_COMPLETE", raising=False)
    monkeypatch.setattr("typer.completion._get_shell_name", lambda: "bash")
    result = call("--show-completion")
    assert result.status == 0 and "_REIDLIB_COMPLETE=complete_bash" in result.out


def test_help_comes_without_the_heavy_libraries():
    code = """if True:
        import sys
        from reidlib.__main__ import main
        main(["train", "--help"])
        sys.exit(bool({"numpy", "pandas", "cv2", "torch", "rich"} & set(sys.modules)))"""
    assert subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL).returncode == 0


@pytest.mark.parametrize(
    "error",
    [
        ValueError("two\nlines"),
        FileNotFoundError("gone"),
        ImportError("no x"),
        assets.Unavailable("off"),
    ],
)
def test_errors_become_one_line(call, clip, tmp_path, monkeypatch, error):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(video, "probe", fail)
    refused(call("detect", clip, "--out", tmp_path / "b.txt"), str(error).split()[0])


def test_debug_shows_where_it_came_from(call, tmp_path, monkeypatch):
    monkeypatch.setenv("REIDLIB_DEBUG", "1")
    assert "Traceback" in call("evaluate", tmp_path / "nobody").err


def test_a_bug_is_not_hidden(monkeypatch, clip, tmp_path):
    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(video, "probe", broken)
    with pytest.raises(ZeroDivisionError):
        __main__.main(["detect", str(clip), "--out", str(tmp_path / "b.txt")])


def test_interruption_keeps_older_files(call, clip, detector, tmp_path, monkeypatch):
    out = tmp_path / "tracks.txt"
    out.write_text("older result")

    def stopped(*_, on_frame=None, **__):
        on_frame(
            0, np.zeros((120, 160, 3), np.uint8), pd.DataFrame(columns=["x1", "y1", "x2", "y2"])
        )
        raise KeyboardInterrupt

    monkeypatch.setattr(tracking, "track", stopped)
    film = tmp_path / "film.mp4"
    result = call("track", clip, "--out", out, "--video", film, "--features", "histogram")
    assert result.status == 130
    assert "interrupted: nothing was written" in result.err and "Traceback" not in result.err
    assert out.read_text() == "older result" and not film.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", "tracks.txt"]


def test_interrupted_training_names_its_checkpoint(call, people, tmp_path, monkeypatch):
    from reidlib.model import training

    def stop(*_, checkpoint, **__):
        checkpoint.write_text("an epoch")
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "fit", stop)
    result = call("train", people, "--out", tmp_path / "model.pt")
    assert result.status == 130 and f"{tmp_path / 'model.pt'}.checkpoint" in result.err


def test_from_the_shell(tmp_path):
    def shell(*arguments):
        command = [sys.executable, "-m", "reidlib", *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=os.environ)

    assert shell("--version").stdout.startswith("reidlib ")
    failed = shell("track", str(tmp_path / "no.mp4"), "--out", str(tmp_path / "out" / "t.txt"))
    assert failed.returncode == 2 and failed.stdout == ""
    assert failed.stderr.count("\n") == 1 and "no.mp4" in failed.stderr
    assert not list(tmp_path.rglob("*.txt"))


def test_what_a_command_wrote_is_noted_and_forgotten(call, clip, detector, tmp_path):
    out = tmp_path / "frames"
    assert call("collect", clip, "--out", out, "--every", "1s", "--keep", "2w").status == 0
    record = pd.read_csv(out / "retention.csv")
    on_disk = {path.name for path in out.iterdir()} - {"retention.csv"}
    assert set(record["file"]) == on_disk and set(record["command"]) == {"collect"}
    day = pd.Timestamp(record["delete_after"][0])
    assert (day - pd.Timestamp(record["written"][0][:10])).days == 14
    (out / "mine.txt").write_text("not the command's")
    early = call("forget", out, "--on", day.date())
    assert early.out.splitlines() == [
        f"deleted 0 files and 0 rows that were due on {day.date()}; 0 were left; "
        f"the next may be deleted after {day.date()}"
    ]
    late = day.date() + pd.Timedelta(days=1)
    dry = call("forget", out, "--on", late, "--dry-run")
    assert dry.out.count("would delete ") == len(record) + 1 and len(list(out.iterdir())) > 4
    done = call("forget", out, "--on", late)
    assert done.status == 0 and f"deleted {out / 'quality.csv'}" in done.out
    assert [path.name for path in out.iterdir()] == ["mine.txt"]


def test_rows_of_a_gallery_are_forgotten(call, tmp_path):
    gallery = matching.Gallery().add(
        np.eye(3),
        pd.DataFrame({"label": list("abc"), "delete_after": ["2026-01-01"] * 2 + ["2027-01-01"]}),
    )
    path = tmp_path / "known.npz"
    gallery.save(path)
    assert "would delete 2 rows" in call("forget", path, "--on", "2026-06-01", "--dry-run").out
    assert len(matching.Gallery.load(path)) == 3
    assert call("forget", path, "--on", "2026-06-01").status == 0
    left = matching.Gallery.load(path)
    assert left.table["label"].tolist() == ["c"]
    np.testing.assert_array_equal(left.vectors, [[0, 0, 1]])
    vectors.write(path, np.eye(3), pd.DataFrame({"label": list("abc")}))
    refused(call("forget", path), "known.npz lacks delete_after")


def test_forget_and_keep_refuse_in_one_line(call, clip, tmp_path):
    refused(call("forget", tmp_path), "holds no retention.csv")
    refused(call("forget", tmp_path, "--on", "tomorrow"), "'tomorrow' is no day", "2026-12-31")
    refused(call("collect", clip, "--out", tmp_path / "a", "--keep", "long"), "'long' is no time")
    assert not (tmp_path / "a").exists()


def test_a_film_of_tracks_with_heads_blurred(call, clip, detector, tmp_path):
    """The top of the bright walker, rows 40 to 100, melts into the ground; the rest stays."""
    films = [tmp_path / "clear.mp4", tmp_path / "blurred.mp4"]
    for film, words in zip(films, ([], ["--blur"])):
        out = tmp_path / f"{film.stem}.txt"
        done = call("track", clip, "--out", out, "--video", film, "--features", "histogram", *words)
        assert done.status == 0
    assert films[0].with_suffix(".txt").read_text() == films[1].with_suffix(".txt").read_text()
    pairs = zip(video.read(films[0]), video.read(films[1]))
    for index, ((_, _, clear), (_, _, blurred)) in enumerate(pairs):
        left = 10 + 5 * index
        change = np.abs(clear.astype(int) - blurred).mean(axis=2)[:, left : left + 24]
        assert change[40:44].mean() > 8 and change[60:95, 4:20].mean() < 4


def test_a_film_needs_pictures_of_one_size_and_says_so_before_the_work(
    call, detector, tmp_path, monkeypatch
):
    frames = tmp_path / "frames"
    for number, (height, width) in enumerate([(120, 160), (120, 160), (160, 120), (60, 80)]):
        encoding.write_image(frames / f"{number}.jpg", np.full((height, width, 3), 90, np.uint8))
    film, out = tmp_path / "film.mp4", tmp_path / "out.txt"
    said = f"{frames} holds images of several sizes (0.jpg 160x120, 2.jpg 120x160, 3.jpg 80x60)"
    for command in ("detect", "track"):
        refused(call(command, frames, "--out", out, "--video", film), said.split(" (")[0], "one")
    result = call("demo", frames, "--features", "histogram", "--out", tmp_path / "demo")
    refused(result, "several sizes", "3.jpg 80x60")
    assert not out.exists() and not film.exists() and not (tmp_path / "demo").exists()
    assert call("detect", frames, "--out", out).status == 0  # without a film, as they are
    (frames / "2.jpg").unlink()
    (frames / "3.jpg").unlink()
    assert call("detect", frames, "--out", out, "--video", film).status == 0 and film.exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"PK\x03\x04" + bytes(60), "is a zip archive; unpack it"), (b"\x89PNG\0\0", "is no text")],
)
def test_a_truth_that_is_no_text_is_named_without_its_bytes(
    content, words, call, clip, detector, tmp_path
):
    """CVAT hands out its MOT export as an archive."""
    given = tmp_path / "task_1_mot.zip"
    given.write_bytes(content)
    result = call("track", clip, "--out", tmp_path / "t.txt", "--truth", given)
    refused(result, str(given), words)
    assert "PK" not in result.err and "\\x" not in result.err
