"""Site files: what they say reaches the work, and every mistake is one line that names its key."""

import json
from datetime import UTC, datetime

import av
import cv2
import numpy as np
import pandas as pd
import pytest
from stand_ins import in_white

from reidlib import __main__, assets
from reidlib.collection import encoding, formats
from reidlib.demonstration import pipeline, place, site_file
from reidlib.detection import detectors

SIZE = 160, 120


def film(path, left, top=40, frames=20):
    """Write two seconds in which a light box walks to the right from `left`."""
    with encoding.Writer(path, 10) as writer:
        for frame in range(frames):
            image = np.full((SIZE[1], SIZE[0], 3), 90, np.uint8)
            image[top : top + 60, left + 3 * frame : left + 3 * frame + 24] = 240
            writer.write(image)
    return path


@pytest.fixture
def folder(tmp_path):
    film(tmp_path / "door.mp4", 10)
    film(tmp_path / "yard.mp4", 20)
    truth = [f"{frame + 1},1,{10 + 3 * frame},40,24,60,1,1,1\n" for frame in range(20)]
    (tmp_path / "door.txt").write_text("".join(truth))
    return tmp_path


@pytest.fixture
def detector(monkeypatch):
    """Stand in for a network: whatever is nearly white is a person."""
    asked = []
    monkeypatch.setattr(detectors, "load", lambda name="auto", **_: asked.append(name) or in_white)
    return asked


def call(capsys, *words):
    status = __main__.main([str(word) for word in words])
    text = capsys.readouterr()
    return status, text.out, text.err


GOOD = """
detector = "plaza"
features = "histogram"
threshold = 0.25
overlap = ["door,yard"]
[cameras.door]
video = "door.mp4"
start = 2026-11-27T14:02:10
truth = "door.txt"
masks = [[[0, 90], [40, 90], [40, 119], [0, 119]]]
ground.image = [[20, 110], [140, 110], [110, 50], [50, 50]]
ground.plan = [[0, 0], [4, 0], [4, 9], [0, 9]]
[cameras.yard]
video = "yard.mp4"
start = "2026-11-27 14:02:25.5"
"""


def written(folder, text):
    (folder / "site.toml").write_text(text, "utf-8")
    return folder / "site.toml"


def test_a_site_file_is_read(folder, monkeypatch):
    site = site_file.read(written(folder, GOOD))
    assert (site.detector, site.features, site.threshold) == ("plaza", "histogram", 0.25)
    assert site.overlap == [("door", "yard")] and site.travel == {}
    assert site.began == datetime(2026, 11, 27, 14, 2, 10)
    door, yard = site.cameras["door"], site.cameras["yard"]
    assert (door.start, yard.start) == (0.0, 15.5)
    assert door.video == folder / "door.mp4" and door.truth == folder / "door.txt"
    assert door.masks[0].shape == (4, 2) and door.calibration["ground"].shape == (3, 3)
    assert yard.calibration is None and len(yard.masks) == 0
    monkeypatch.chdir(folder.parent)  # its paths are relative to the file, not to where we are
    relative = site_file.read(f"{folder.name}/site.toml")
    assert relative.cameras["door"].video.exists()


def test_seconds_pairs_and_times_may_be_written_in_any_form(folder):
    text = """
    [travel]
    "yard , door" = 90
    "door,the, gate" = "1.5 min"
    [cameras]
    door = { video = "door.mp4", start = 3 }
    yard = { video = "rtsp://camera/1" }
    "the, gate" = { video = "yard.mp4", start = -2.5 }
    """
    site = site_file.read(written(folder, text))
    assert site.travel == {("yard", "door"): 90.0, ("door", "the, gate"): 90.0}
    assert site.overlap is None and site.began is None
    assert [camera.start for camera in site.cameras.values()] == [3, 0, -2.5]
    assert site.cameras["yard"].video == "rtsp://camera/1"


MISTAKES = {
    "unknown key": ("treshold = 0.3", ["treshold", "did you mean 'threshold'"]),
    "unknown key of a camera": ("cameras.door.vidoe = 1", ["cameras.door.vidoe", "'video'"]),
    "unknown camera": ('overlap = ["dor,yard"]', ["overlap", "'dor'", "did you mean 'door'"]),
    "unknown camera on the way": ('travel = { "door,yrd" = 3 }', ["travel", "'yrd'", "'yard'"]),
    "no pair": ('overlap = ["door"]', ["overlap", "'door' is no pair"]),
    "pairs in brackets": ('overlap = [["door", "yard"]]', ["overlap", "is no pair"]),
    "no list": ('overlap = "door,yard"', ["overlap is a list"]),
    "with itself": ('overlap = ["yard,yard"]', ["overlap", "names one camera twice"]),
    "negative time": ('travel = { "door,yard" = -3 }', ["travel, door,yard", "-3", "0 or more"]),
    "no time": ('travel = { "door,yard" = "soon" }', ["travel, door,yard", "'soon'"]),
    "both ways": ('travel = { "door,yard" = 1, "yard,door" = 2 }', ["travel", "twice"]),
    "both at once": (
        'overlap = ["door,yard"]\ntravel = { "door,yard" = 3 }', ["overlap", "travel", "3 s"]
    ),
    "wrong date": ('cameras.door.start = "2026-13-01 10:00"', ["cameras.door.start", "2026-13-01"]),
    "wrong bare date": ("cameras.door.start = 2026-13-01T10:00", ["TOML", "door.start = 2"]),
    "day without a time": ("cameras.door.start = 2026-11-01", ["cameras.door.start", "2026-11-01"]),
    "a date beside seconds": (
        "cameras.door.start = 2026-11-27T10:00:00", ["cameras.yard.start is 0", "a date"]
    ),
    "one time zone": (
        "cameras.door.start = 2026-11-27T10:00:00Z\ncameras.yard.start = 2026-11-27T10:00:00",
        ["time zone"],
    ),
    "beyond all clocks": ("cameras.door.start = 1e15", ["cameras.door.start", "seconds"]),
    "not a number": ("cameras.door.start = nan", ["cameras.door.start", "nan"]),
    "three points": (
        "cameras.door.ground = { image = [[0,0],[9,0],[9,9]], plan = [[0,0],[9,0],[9,9],[0,9]] }",
        ["cameras.door.ground.image holds 3 points; expected 4"],
    ),
    "no plan": (
        "cameras.door.ground = { image = [[0,0],[9,0],[9,9],[0,9]] }",
        ["cameras.door.ground.plan is None"],
    ),
    "points on a line": (
        "cameras.door.ground = { image = [[0,0],[9,0],[5,0],[0,9]], "
        "plan = [[0,0],[9,0],[9,9],[0,9]] }",
        ["cameras.door.ground", "three of the four image points lie on a line"],
    ),
    "points in another order": (
        "cameras.door.ground = { image = [[0,9],[9,9],[8,0],[1,0]], "
        "plan = [[0,0],[9,9],[9,0],[0,9]] }",
        ["cameras.door.ground", "another order"],
    ),
    "mask of two points": (
        "cameras.door.masks = [[[0,0],[9,0]]]",
        ["cameras.door.masks, number 1 holds 2 points; expected 3 or more"],
    ),
    "mask on a line": ("cameras.door.masks = [[[0,0],[9,9],[5,5]]]", ["masks, number 1", "area"]),
    "mask without points": ("cameras.door.masks = [[0, 0, 9, 9]]", ["masks, number 1", "[[x, y]"]),
    "no video": ('cameras.door.video = "dor.mp4"', ["cameras.door.video", "dor.mp4"]),
    "video as a number": ("cameras.door.video = 0", ["cameras.door.video is 0", "quotes"]),
    "camera without a video": ("cameras.gate.start = 0", ["cameras.gate.video is missing"]),
    "camera as text": ('cameras.gate = "gate.mp4"', ["cameras.gate", "a table"]),
    "name of a folder": ('cameras."../x".video = "door.mp4"', ["cameras.../x", "give the camera"]),
    "name of a film": ('cameras.side_by_side.video = "door.mp4"', ["cameras.side_by_side"]),
    "no truth": ('cameras.door.truth = "gt.txt"', ["cameras.door.truth", "gt.txt"]),
    "no calibration": ('calibration = "c.json"', ["calibration", "c.json"]),
    "uncalibrated camera": ('calibration = "cameras.json"', ["calibration", "'door'", "c1"]),
    "threshold": ("threshold = 2.5", ["threshold is 2.5", "from 0 to 2"]),
    "class in place of classes": ('classes = "cat"', ["classes is 'cat'", "list of names"]),
    "no classes": ("classes = []", ["classes is []"]),
    "classes that are none": ("classes = [0.5]", ["classes is [0.5]"]),
    "threshold as text": ('threshold = "loose"', ["threshold is 'loose'"]),
    "no such weights": ('features = "own.onnx"', ["features", "own.onnx"]),
    "detector as a number": ("detector = 11", ["detector is 11"]),
    "no TOML": ("cameras.door.start = ", ["TOML", "line 1", "cameras.door.start"]),
    "twice": ("cameras.door.start = 1\ncameras.door.start = 2", ["TOML", "line 2"]),
}  # fmt: skip


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_line_that_names_the_key(folder, capsys, detector, name):
    (folder / "cameras.json").write_bytes(assets.data("plaza", "cameras.json").read_bytes())
    mistake, words = MISTAKES[name]
    lines = mistake
    for camera in ("door", "yard"):
        if f"cameras.{camera}.video" not in mistake:
            lines += f'\ncameras.{camera}.video = "{camera}.mp4"'
    site = written(folder, lines)
    status, out, err = call(capsys, "demo", "--site", site, "--out", folder / "out")
    assert status == 2 and out == "" and err.count("\n") == 1, err
    assert err.startswith(f"error: {site}") and all(word in err for word in words), err
    assert not (folder / "out").exists() and detector == []


def test_classes_of_the_site_go_to_the_detector_and_options_before_them(folder, monkeypatch):
    told = []

    def load(name="auto", **options):
        told.append(options["classes"])
        raise ValueError("far enough")

    monkeypatch.setattr(detectors, "load", load)
    lines = "".join(f'cameras.{name}.video = "{name}.mp4"\n' for name in ("door", "yard"))
    site = written(folder, f'classes = ["cat", 16]\n{lines}')
    assert site_file.read(site).classes == ["cat", 16]
    demo = ["demo", "--site", site, "--out", folder / "out"]
    track = ["track", "--site", site, "--camera", "door", "--out", folder / "out.txt"]
    for words in (demo, track, [*demo, "--classes", "dog", "wild boar"]):
        assert __main__.main([str(word) for word in words]) == 2
    assert told == [["cat", 16], ["cat", 16], ["dog", "wild boar"]]


@pytest.mark.parametrize("text", ["", "detector = 'auto'", "cameras = 3", "[cameras]"])
def test_a_site_has_cameras(folder, text):
    with pytest.raises(ValueError, match="cameras: there is none; expected a table"):
        site_file.read(written(folder, text))


def test_what_is_no_text_and_what_is_not_there(folder):
    (folder / "site.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="site.toml is not TOML"):
        site_file.read(folder / "site.toml")
    (folder / "site.toml").write_text("a = " + "[" * 100_000)
    with pytest.raises(ValueError, match="site.toml is not TOML"):
        site_file.read(folder / "site.toml")
    with pytest.raises(FileNotFoundError):
        site_file.read(folder / "none.toml")


def test_plaza_says_what_is_known_of_it():
    site = site_file.read(assets.data("plaza", "site.toml"))
    assert list(site.cameras) == ["c1", "c2", "c3"] and site.overlap == [("c1", "c2")]
    assert site.travel == {("c2", "c3"): 3.0, ("c1", "c3"): 4.0}
    assert all(camera.truth.exists() and camera.calibration for camera in site.cameras.values())
    clips = pipeline.clips()
    assert [clip.camera for clip in clips] == ["c1", "c2", "c3"]
    assert all(clip.site == clips[0].site and clip.truth is not None for clip in clips)


def test_the_demo_follows_its_site_file_and_options_go_before_it(folder, capsys, detector):
    site, out = written(folder, GOOD), folder / "out"
    status, _, err = call(capsys, "demo", "--site", site, "--out", out)
    assert status == 0, err
    found = json.loads((out / "metrics.json").read_text("utf-8"))
    assert found["settings"]["cameras that overlap"] == "door and yard"
    assert found["settings"]["link threshold"] == 0.25
    assert found["settings"]["features"] == "histogram" and detector == ["plaza"]
    rows = pd.read_csv(out / "identities.csv")
    assert rows["start"].min() == pytest.approx(0.5, abs=0.5) and rows["start"].max() >= 15.5
    options = ("--overlap", "none", "--travel", "door,yard=8s", "--threshold", "0.5")
    status, _, err = call(
        capsys, "demo", "--site", site, "--out", out, *options, "--detector", "auto"
    )
    assert status == 0, err
    found = json.loads((out / "metrics.json").read_text("utf-8"))
    assert found["settings"]["cameras that overlap"] == "none"
    assert found["settings"]["least seconds between cameras"] == "door and yard: 8"
    assert found["settings"]["link threshold"] == 0.5 and detector[-1] == "auto"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--overlap", "door,gate"], ["'gate'", "door, yard"]),
        (["--overlap", "door,yard", "yard"], ["'yard' is no pair"]),
        (["--travel", "door,yard"], ["travel"]),
        (["--travel", "door,yard=-8s"], ["travel, door,yard", "-8s"]),
        (["--threshold", "3"], ["--threshold", "0 to 2"]),
        (["--threshold", "loose"], ["--threshold", "no number"]),
        (["--site", "none.toml"], ["none.toml"]),
    ],
)
def test_options_of_the_place_that_cannot_be(folder, capsys, detector, options, words):
    videos = [] if "--site" in options else [folder / "door.mp4", folder / "yard.mp4"]
    status, _, err = call(capsys, "demo", *videos, "--out", folder / "out", *options)
    assert status == 2 and err.count("\n") == 1 and all(word in err for word in words), err
    assert not (folder / "out").exists() and detector == []


def test_videos_and_a_site_file_are_one_too_many(folder, capsys, detector):
    site = written(folder, GOOD)
    for command in ("demo", "track"):
        words = (command, folder / "door.mp4", "--site", site, "--out", folder / "o.txt")
        status, _, err = call(capsys, *words)
        assert status == 2 and "site" in err and err.count("\n") == 1


def test_track_knows_the_cameras_of_a_site(folder, capsys, detector):
    site, out = written(folder, GOOD), folder / "tracks.txt"
    status, text, err = call(capsys, "track", "--site", site, "--camera", "yard", "--out", out)
    assert status == 0 and text.splitlines()[-1] == "1 track" and detector == ["plaza"], err
    status, text, _ = call(capsys, "track", "--site", site, "--camera", "door", "--out", out)
    assert "IDF1" in text  # the truth that the site file names
    for words, expected in (
        (["--camera", "dor"], ["--camera", "'dor'", "did you mean 'door'"]),
        ([], ["--camera", "which camera", "door, yard"]),
    ):
        status, _, err = call(capsys, "track", "--site", site, *words, "--out", out)
        assert status == 2 and all(word in err for word in expected)
    status, _, err = call(capsys, "track", "--camera", "door", "--out", out)
    assert status == 2 and "--site" in err
    status, _, err = call(capsys, "track", "--site", site, "--camera", "yard", "--out", site)
    assert status == 2 and "is the input" in err and site.read_text("utf-8") == GOOD


def test_who_stands_in_a_mask_does_not_count(folder, capsys, detector):
    """The walker's feet are at 100; a mask over the left half hides the first part of the walk."""
    mask = "masks = [[[0, 90], [50, 90], [50, 119], [0, 119]]]"
    text = f'features = "histogram"\n[cameras.door]\nvideo = "door.mp4"\ntruth = "all.txt"\n{mask}'
    out = folder / "tracks.txt"
    call(capsys, "track", folder / "door.mp4", "--out", out, "--features", "histogram")
    (folder / "all.txt").write_bytes(out.read_bytes())
    whole = formats.read_mot(out)
    site = written(folder, text)
    status, line, err = call(capsys, "track", "--site", site, "--out", out)
    assert status == 0, err
    seen = formats.read_mot(out)
    feet = (seen["x1"] + seen["x2"]) / 2
    assert feet.min() > 49 and len(seen) < len(whole) - 5
    assert "MOTA 1.000" in line.splitlines()[-1]  # the truth in there does not count either
    clips = pipeline.clips(site=site_file.read(site))
    assert len(clips[0].truth) == len(seen)


def test_masks_go_by_the_feet_and_hold_for_every_step_of_a_detector():
    square = np.array([[0, 50], [60, 50], [60, 100], [0, 100]])
    found = np.array([[10, 0, 30, 60], [10, 0, 30, 40], [70, 0, 90, 60]], np.float32)
    assert place.in_masks(found, [square]).tolist() == [True, False, False]
    assert place.in_masks(found, []).tolist() == [False] * 3
    assert place.in_masks(np.zeros((0, 4)), [square]).shape == (0,)
    candidates = np.column_stack([found, [0.9, 0.8, 0.7]]).astype(np.float32)
    detector = detectors.Detector("stand-in", lambda images: [candidates] * len(images))
    seeing = place.outside(detector, [square])
    image = np.zeros((120, 160, 3), np.uint8)
    assert len(detector([image])[0]) == 3 and len(seeing([image])[0]) == 2
    assert len(seeing.raw([image])[0]) == 2 and seeing.name == "stand-in"
    assert place.outside(detector, []) is detector


# The command that begins a site file


def dated(path, moment):
    """Copy a film's packets to one that says when it was recorded."""
    target = path.with_name(f"{path.stem}_dated.mp4")
    with av.open(str(path)) as source, av.open(str(target), "w") as copy:
        copy.metadata["creation_time"] = moment
        stream = copy.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                copy.mux(packet)
    return target


def test_a_first_site_file_of_one_camera_speaks_of_one(folder, capsys):
    status, text, err = call(capsys, "site", folder / "door.mp4", "--out", folder / "site.toml")
    assert status == 0, err
    assert "1 camera and no clock: its file does not say when it begins" in text


def test_a_first_site_file_is_commented_and_works(folder, capsys, detector):
    yard = (folder / "yard.mp4").rename(folder / "the yard's #1.mp4")
    out = folder / "there" / "site.toml"
    status, text, err = call(capsys, "site", folder / "door.mp4", yard, "--out", out)
    assert status == 0 and f"wrote {out}" in text and "no clocks" in text, err
    site = site_file.read(out)
    assert list(site.cameras) == ["door", "the yard's #1"] and site.overlap is None
    assert all(camera.video.exists() and camera.start == 0 for camera in site.cameras.values())
    assert "../door.mp4" in out.read_text("utf-8")
    commented = out.read_text("utf-8").splitlines()
    keys = [line.partition("=")[0].strip("# ") for line in commented if " = " in line]
    assert {"threshold", "overlap", "calibration", "masks", "ground.image", "truth"} <= set(keys)
    # All that is commented out can be said: only files that are not there are named.
    said = [line.removeprefix("# ") if " = " in line else line for line in commented]
    said = [line for line in said if not line.startswith(("calibration", "truth", '"door,'))]
    full = site_file.read(written(folder / "there", "\n".join(said)))
    assert full.threshold == 0.35 and full.overlap == [("door", "the yard's #1")]
    assert full.cameras["door"].calibration and len(full.cameras["door"].masks) == 1
    before = out.read_bytes()
    status, _, err = call(capsys, "site", folder / "door.mp4", "--out", out)
    assert status == 2 and "is there already" in err and out.read_bytes() == before


def test_clocks_come_from_the_files_if_all_have_them(folder, capsys):
    films = [
        dated(folder / "door.mp4", "2026-11-27T14:02:10Z"),
        dated(folder / "yard.mp4", "2026-11-27T14:02:25Z"),
    ]
    assert site_file.created_at(films[0]) == datetime(2026, 11, 27, 14, 2, 10, tzinfo=UTC)
    status, text, err = call(capsys, "site", *films, "--out", folder / "site.toml")
    assert status == 0 and "2 cameras and their clocks" in text, err
    site = site_file.read(folder / "site.toml")
    assert [camera.start for camera in site.cameras.values()] == [0, 15]
    assert site.began == datetime(2026, 11, 27, 14, 2, 10, tzinfo=UTC)
    never = dated(folder / "door.mp4", "1970-01-01T00:00:00Z")
    assert site_file.created_at(never) is None and site_file.created_at(folder) is None
    call(capsys, "site", *films, folder / "yard.mp4", "--out", folder / "some.toml")
    site = site_file.read(folder / "some.toml")
    assert [camera.start for camera in site.cameras.values()] == [0, 0, 0]


def test_a_site_of_what_is_no_video(folder, capsys):
    (folder / "empty.mp4").touch()
    for source in ("no.mp4", "empty.mp4"):
        words = ("site", folder / "door.mp4", folder / source, "--out", folder / "site.toml")
        status, _, err = call(capsys, *words)
        assert status == 2 and source in err and err.count("\n") == 1
    assert not (folder / "site.toml").exists()
    same = folder / "other"
    same.mkdir()
    (same / "door.mp4").write_bytes((folder / "door.mp4").read_bytes())
    call(capsys, "site", folder / "door.mp4", same / "door.mp4", "--out", folder / "site.toml")
    assert list(site_file.read(folder / "site.toml").cameras) == ["1_door", "2_door"]
    images = folder / "frames"
    images.mkdir()
    for number in range(3):
        cv2.imwrite(str(images / f"{number}.png"), np.zeros((120, 160, 3), np.uint8))
    call(capsys, "site", images, "--out", folder / "frames.toml")
    assert site_file.read(folder / "frames.toml").cameras["frames"].video == images
