import functools
import os
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pandas as pd
import pytest

from reidlib.collection import cameras, encoding, quality, video

REAL = os.environ.get("REIDLIB_REAL_DATA")


@functools.cache
def scene(i=0, height=360, width=480):
    """Overlapping rectangles of many sizes and greys, as sharp as can be, and one that walks."""
    rng, image = np.random.default_rng(1), np.zeros((height, width, 3), np.uint8)
    for _ in range(1500):
        y, x = rng.integers(height), rng.integers(width)
        h, w = (rng.pareto(1.5, 2) * 12 + 6).astype(int)
        image[y : y + h, x : x + w] = rng.integers(50, 210, 3)
    image[height // 3 : height // 3 + 90, 20 + 4 * i : 50 + 4 * i] = (200, 30, 40)
    return image


def clip(folder, images, fps=10):
    encoding.write(folder / "clip.mp4", images, fps=fps, crf=18)
    return folder / "clip.mp4"


def test_measures_of_plain_images():
    half = np.zeros((40, 60, 3), np.uint8)
    half[:, 30:] = 255
    measures = quality.frame_quality(half)
    assert (measures["dark"], measures["bright"]) == (0.5, 0.5)
    assert measures["brightness"] == pytest.approx(127.5)
    assert measures["contrast"] == pytest.approx(127.5)
    grey = quality.frame_quality(np.full((40, 60, 3), 128, np.uint8))
    assert (grey["sharpness"], grey["contrast"], grey["dark"], grey["bright"]) == (0, 0, 0, 0)


def test_sharpness_falls_with_blur_and_ignores_the_rest():
    image = scene(height=576, width=768)
    sharp = quality.frame_quality(image)["sharpness"]
    blurred = [
        quality.frame_quality(cv2.GaussianBlur(image, (0, 0), s))["sharpness"] for s in (1, 3, 8)
    ]
    assert sharp > blurred[0] > blurred[1] > blurred[2]
    for same in (image // 3, 255 - image, image[:, ::-1]):
        assert quality.frame_quality(same)["sharpness"] == pytest.approx(sharp, abs=0.02)
    larger = cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    assert quality.frame_quality(larger)["sharpness"] == pytest.approx(sharp, abs=0.03)
    smear = np.full((1, 25), 1 / 25, np.float32)  # motion in one direction is blur, too
    moved = quality.frame_quality(cv2.filter2D(image, -1, smear))["sharpness"]
    assert moved < 0.6 * sharp


def test_a_good_clip_is_accepted(tmp_path):
    heights = pd.DataFrame({"frame": [0, 0, 10], "y1": [0, 0, 0], "y2": [80, 100, 120]})
    result = quality.report(clip(tmp_path, map(scene, range(30))), "500ms", boxes=heights)
    assert (result.verdict, result.reasons) == ("accept", [])
    assert result.table.frame.tolist() == [0, 5, 10, 15, 20, 25]
    assert np.isnan(result.table.change[0]) and (result.table.change[1:] > 20).all()
    assert result.table.person_height.tolist()[:3:2] == [90, 120]
    about = {name: result.clip[name] for name in ("width", "height", "fps", "duration")}
    assert about == {"width": 480, "height": 360, "fps": 10, "duration": 3}
    assert result.clip["gap"] == pytest.approx(0.1)
    assert 1 < result.clip["light"] <= 32 and 1 < result.clip["background"] <= 64


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (
            lambda image: cv2.GaussianBlur(image, (0, 0), 9),
            "5 of 5 frames are blurred (sharpness below 0.5)",
        ),
        (lambda image: image // 8, "frames are too dark"),
        (lambda image: image // 32, "are black in large parts (dark above 0.5)"),
        (lambda image: 255 - image // 8, "frames are too bright"),
        (lambda image: np.where(image[..., :1] > 128, 254, image), "are burnt out in large parts"),
        (lambda image: image // 12 + 110, "frames are flat"),
        (lambda image: scene(0), "4 of 5 frames are unchanged"),
        (lambda image: image[:200], "the image has 200 rows, fewer than 240"),
    ],
)
def test_a_bad_clip_is_rejected_with_the_reason(tmp_path, spoil, reason):
    images = (spoil(scene(i)).astype(np.uint8) for i in range(25))
    result = quality.report(clip(tmp_path, images), every=5)
    assert result.verdict == "reject"
    assert any(reason in text for text in result.reasons), result.reasons


def test_duplicates_low_rate_and_small_people(tmp_path):
    path = clip(tmp_path, (scene(i // 2) for i in range(40)), fps=4)
    people = pd.DataFrame({"frame": range(40), "y1": 10.0, "y2": 40.0})
    result = quality.report(path, every=1, boxes=people)
    reasons = "; ".join(result.reasons)
    assert "20 of 40 frames are unchanged" in reasons
    assert "4 frames a second are fewer than 5" in reasons
    assert "40 of 40 frames are of people too small (person height below 48)" in reasons


def test_gaps(tmp_path):
    for i in range(6):
        encoding.write_image(tmp_path / f"frame_{i:06d}.jpg", scene(3 * i))
    index = pd.DataFrame({"frame": range(6), "time": [0, 0.1, 0.2, 2.7, 2.8, 2.9]})
    index["path"] = [f"frame_{i:06d}.jpg" for i in range(6)]
    index.to_csv(tmp_path / "frames.csv", index=False)
    result = quality.report(tmp_path, every=1)
    assert result.clip["gap"] == pytest.approx(2.5)
    assert "2.5 s without a frame, more than 1 s" in result.reasons


def test_the_verdict_is_a_function_of_table_and_thresholds(tmp_path):
    result = quality.report(clip(tmp_path, map(scene, range(10))), every=2)
    limits = quality.Thresholds()
    assert quality.judge(result.table, result.clip, limits) == ("accept", [])
    middle = result.table.sharpness.median()
    strict = replace(limits, sharpness=middle + 0.05)
    verdict, reasons = quality.judge(result.table, result.clip, strict)
    assert verdict == "reject" and "5 of 5 frames are blurred" in reasons[0]
    patient = replace(strict, failing=1.0)
    assert quality.judge(result.table, result.clip, patient) == ("accept", [])


def test_limits_cover_every_column_that_is_judged(tmp_path):
    limits = quality.Thresholds(sharpness=0.7).limits
    assert limits["sharpness"] == (0.7, np.inf) and limits["dark"] == (-np.inf, 0.5)
    assert set(limits) == {name for name, _ in quality.FAULTS}


def test_a_clip_of_one_frame(tmp_path):
    result = quality.report(clip(tmp_path, [scene()]))
    assert (len(result.table), result.clip["gap"], result.verdict) == (1, 0, "accept")


def test_a_folder_of_pictures_of_several_sizes(tmp_path):
    for i, height in enumerate((300, 360, 300)):
        encoding.write_image(tmp_path / f"{i}.jpg", scene(i)[:height])
    assert quality.report(tmp_path, 1).table.change.isna().tolist() == [True, True, True]


def test_variety():
    assert quality.variety(np.array([0, 7, 0])) == 1
    assert quality.variety(np.array([3, 3, 3, 3, 0])) == pytest.approx(4)
    assert 1 < quality.variety(np.array([99, 1])) < 1.1


def test_pixels_per_metre():
    focal = cameras.focal_pixels(1920, focal=4.0, sensor=4.8)
    assert focal == 1600
    assert cameras.pixels_per_metre([8, 16], focal).tolist() == [200, 100]
    # From 3 m up, looking 45 degrees down at the ground 3 m away: 3 * sqrt(2) m along the axis.
    down = cameras.pixels_per_metre(3, focal, height=3, tilt=45)
    assert down == pytest.approx(1600 / (3 * 2**0.5))
    at_head = cameras.pixels_per_metre(3, focal, height=3, tilt=45, target=1.7)
    assert at_head > down  # the head is nearer
    assert np.isnan(cameras.pixels_per_metre([0, -5], focal)).all()
    assert cameras.reach(125, focal) == pytest.approx(1600 / 125)
    far = cameras.reach(62.5, focal, height=4, tilt=20)
    assert cameras.pixels_per_metre(far, focal, 4, 20) == pytest.approx(62.5)


def test_person_pixels_against_projection():
    """The same through a projection matrix: x right, y down, z forward, pitched down."""
    focal, height, tilt = 900.0, 3.5, np.radians(18)
    pitch = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    distance = np.array([6.0, 12.0, 30.0])
    rows = []
    for above in (0.0, 1.8):
        points = np.stack([np.zeros(3), np.full(3, height - above), distance])
        x, y, z = pitch @ points
        rows.append(focal * y / z)
    expected = rows[0] - rows[1]
    np.testing.assert_allclose(
        cameras.person_pixels(distance, focal, height, np.degrees(tilt), person=1.8), expected
    )
    # Level with the person and not tilted, height is focal length times person over distance.
    assert cameras.person_pixels(10, 1000, height=0.9, person=1.8) == pytest.approx(180)


def test_levels_of_the_standard():
    values = [0, 12.4, 12.5, 25, 62.5, 124.9, 125, 250, 1000]
    names = ["none", "none", "monitor", "detect", "observe", "observe", "recognise"]
    assert cameras.level(values).tolist() == [*names, "identify", "identify"]


@pytest.mark.skipif(not REAL, reason="REIDLIB_REAL_DATA is not set")
def test_real_footage_is_accepted_and_its_blurred_copy_is_not(tmp_path):
    path = Path(REAL) / "pets09-s2l1" / "vtest.avi"
    assert quality.report(path, "10s").verdict == "accept"
    blurred = (
        cv2.GaussianBlur(image, (0, 0), 3) for _, _, image in video.read(path, "2s", stop=200)
    )
    result = quality.report(clip(tmp_path, blurred), every=1)
    assert "blurred" in result.reasons[0]


def test_interlaced_clips_are_named(tmp_path):
    path = tmp_path / "clip.ts"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        stream.options = {"flags": "+ilme+ildct", "x264-params": "tff=1"}
        for i in range(50):
            frame = av.VideoFrame.from_ndarray(scene(3 * i)[:240, :320].copy())
            frame.pts = i
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.warns(UserWarning, match="is interlaced"):
        result = quality.report(path)
    assert [why for why in result.reasons if "the clip is interlaced" in why]
    allowed = quality.judge(result.table, result.clip, quality.Thresholds(interlaced=True))
    assert not [why for why in allowed[1] if "interlaced" in why]
