import os
import signal
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
import warnings
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from reidlib.collection import capture, encoding, video

REAL = os.environ.get("REIDLIB_REAL_DATA")
LEFT, RIGHT = (200, 40, 60), (30, 60, 190)


def picture(i, width=160, height=96):
    """A red and a blue half, and the number of the picture as a bar code of 8 dark bars."""
    image = np.empty((height, width, 3), np.uint8)
    image[:, : width // 2], image[:, width // 2 :] = LEFT, RIGHT
    for bit in range(8):
        if i >> bit & 1:
            image[10:40, 8 + 16 * bit : 18 + 16 * bit] = 10
    return image


def number(image):
    bars = [image[15:35, 10 + 16 * bit : 16 + 16 * bit].max() < 28 for bit in range(8)]
    return sum(1 << bit for bit, dark in enumerate(bars) if dark)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    for ending in ("mp4", "avi", "mkv"):
        encoding.write(folder / f"clip.{ending}", map(picture, range(50)), fps=12.5)
    return folder


@pytest.mark.parametrize("ending", ["mp4", "avi", "mkv"])
def test_what_is_written_is_read_back(clips, ending):
    path = clips / f"clip.{ending}"
    about = video.probe(path)
    assert (about.width, about.height, about.fps) == (160, 96, 12.5)
    assert (about.frames, about.duration) == (50, 4.0)
    seen = list(video.read(path))
    assert [index for index, _, _ in seen] == list(range(50))
    assert [number(image) for _, _, image in seen] == list(range(50))
    np.testing.assert_allclose([s for _, s, _ in seen], np.arange(50) / 12.5, atol=1e-3)
    np.testing.assert_allclose(video.times(path), np.arange(50) / 12.5, atol=1e-3)
    image = seen[0][2]
    assert image.dtype == np.uint8 and image.shape == (96, 160, 3)
    assert np.abs(image[80, 20].astype(int) - LEFT).max() < 12  # red is first
    assert np.abs(image[80, 140].astype(int) - RIGHT).max() < 12


def test_steps_and_limits(clips):
    def indices(**options):
        found = [(i, number(image)) for i, _, image in video.read(clips / "clip.mp4", **options)]
        assert all(i == shown for i, shown in found)
        return [i for i, _ in found]

    assert indices(every=20) == indices(every="20") == [0, 20, 40]
    assert indices(every="1s") == [0, 13, 25, 38]  # first at or after each second, no drift
    assert indices(every="1s", start=30) == [30, 38]
    assert indices(every=5, start=12, stop=23) == [12, 17, 22]
    assert indices(stop=0) == []
    assert len(indices(every="10ms")) == 50


@pytest.mark.parametrize("every", ["1s ", "1 s", "1.0s", "1000ms"])
def test_steps_in_time(every):
    assert video.parse_every(every) == 1.0 and isinstance(video.parse_every(every), float)


@pytest.mark.parametrize("every", [0, -1, "0", "0s", 1.5, "1h", "", "s", "1,5s", None, True])
def test_a_step_that_is_none(every, clips):
    with pytest.raises(ValueError, match="no step; give frames"):
        video.read(clips / "clip.mp4", every=every)


def test_missing_empty_and_foreign_files(tmp_path, capfd):
    with pytest.raises(FileNotFoundError, match=r"no such video: .*none\.mp4"):
        video.read(tmp_path / "none.mp4")
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("these are words and no video\n" * 100)
    (tmp_path / "noise.avi").write_bytes(np.random.default_rng(0).bytes(50_000))
    for use in (video.read, video.probe):
        with pytest.raises(ValueError, match=r"empty\.mp4 is empty \(0 bytes\)"):
            use(tmp_path / "empty.mp4")
        for name in ("text.mp4", "noise.avi"):
            with pytest.raises(ValueError, match=f"{name} does not open as a video"):
                use(tmp_path / name)
    assert capfd.readouterr() == ("", "")  # the error says it all


def test_a_damaged_stretch_does_not_lose_what_follows(clips, tmp_path):
    whole = (clips / "clip.mp4").read_bytes()
    middle = whole.index(b"mdat") + (len(whole) - whole.index(b"mdat")) // 2
    path = tmp_path / "damaged.mp4"
    path.write_bytes(whole[:middle] + bytes(200) + whole[middle + 200 :])
    with pytest.warns(UserWarning, match=r"damaged.mp4 is damaged: \d+ of about 50 frames"):
        seconds = [s for _, s, _ in video.read(path)]
    assert 30 < len(seconds) < 50 and seconds[-1] == pytest.approx(49 / 12.5, abs=0.01)


def test_a_clock_that_goes_on_from_another_file(tmp_path):
    path = tmp_path / "second part.mkv"
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(25):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 9 * i, np.uint8))
            frame.pts = 25 * 60 + i  # a minute late
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with warnings.catch_warnings(action="error"):
        assert len(list(video.read(path))) == 25


def test_names_that_are_no_video(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such video: 20240130153000"):
        video.read("20240130153000")
    with pytest.raises(ValueError, match="the name of the video is empty"):
        video.read("")
    with pytest.raises(ValueError, match="neither a file nor a folder; a webcam"):
        video.read(os.devnull)
    with pytest.raises(ValueError, match="is not a name in UTF-8"):
        video.read("film\udcff.mp4")
    with av.open(tmp_path / "sound.mp4", "w") as container:
        stream = container.add_stream("aac", rate=16000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        sound.sample_rate = 16000
        container.mux(stream.encode(sound))
        container.mux(stream.encode())
    with pytest.raises(ValueError, match="sound only"):
        video.times(tmp_path / "sound.mp4")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a,b\n1,2\n",
        "frame,time,path\n,0,a.jpg\n",
        "frame,time,path\n0,0,\n",
        "frame,time,path\n0,inf,a.jpg\n",
        "frame,time,path\n0,0,a.jpg\n0,1,a.jpg\n",
    ],
)
def test_a_foreign_table_among_the_frames(tmp_path, text):
    encoding.write_image(tmp_path / "a.jpg", picture(0))
    (tmp_path / "frames.csv").write_text(text)
    with pytest.raises(ValueError, match=r"frames\.csv is not the table frame, time, path"):
        list(video.read(tmp_path))


def test_an_extraction_that_gave_nothing_leaves_its_folder_free(clips, tmp_path):
    (tmp_path / "source.txt").write_text("a broken film, 12 bytes")
    assert len(video.extract(clips / "clip.mp4", tmp_path, every=25)) == 2


@pytest.mark.parametrize("ending", ["mp4", "avi", "mkv"])
def test_a_cut_off_file_gives_what_it_holds_and_a_warning(clips, tmp_path, ending, capfd):
    whole = (clips / f"clip.{ending}").read_bytes()
    path = tmp_path / f"cut.{ending}"
    path.write_bytes(whole[: len(whole) * 3 // 5])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        seen = [number(image) for _, _, image in video.read(path)]
    assert 5 < len(seen) < 45 and seen[:-2] == list(range(len(seen) - 2))
    if ending != "mkv":  # its header promises no number of frames
        assert f"stopped after {len(seen)} frames of 50 in its header" in str(caught[0].message)
        assert caught[0].filename == __file__
    # The header says 50; a few frames at the cut may be there without decoding.
    assert len(seen) - 1 <= video.probe(path).frames <= len(seen) + 4
    assert capfd.readouterr() == ("", "")


def test_a_header_that_lies_about_the_number_of_frames(clips, tmp_path):
    data = bytearray((clips / "clip.avi").read_bytes())
    fields = data.index(b"avih") + 8 + 16, data.index(b"strh") + 8 + 32
    for field in fields:  # dwTotalFrames, dwLength
        assert int.from_bytes(data[field : field + 4], "little") == 50
        data[field : field + 4] = (5000).to_bytes(4, "little")
    path = tmp_path / "liar.avi"
    path.write_bytes(data)
    assert video.probe(path).frames == 50
    with pytest.warns(UserWarning, match="stopped after 50 frames of 5000"):
        assert len(list(video.read(path))) == 50
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is missing from what was asked for
        assert len(list(video.read(path, stop=40))) == 40


def test_an_mp4_without_its_index(tmp_path, clips):
    with av.open(str(tmp_path / "plain.mp4"), "w") as container:  # index at the end
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for i in range(20):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(i), format="rgb24")))
        container.mux(stream.encode())
    data = (tmp_path / "plain.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: data.index(b"moov") - 10])
    with pytest.raises(ValueError, match="was cut off: copy or record it again"):
        video.read(tmp_path / "cut.mp4")


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts"])
def test_uneven_time_stamps_are_kept(tmp_path, ending):
    path = tmp_path / f"uneven.{ending}"
    ticks = [0, 1, 2, 3, 50, 51, 52]  # a stall of almost two seconds at 25 a second
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for i, tick in enumerate(ticks):
            frame = av.VideoFrame.from_ndarray(picture(i), format="rgb24")
            frame.pts = tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # seven frames in two seconds are not cut short
        seconds = [s for _, s, _ in video.read(path)]
    np.testing.assert_allclose(seconds, np.array(ticks) / 25, atol=1e-3)
    np.testing.assert_allclose(video.times(path), seconds, atol=1e-3)
    assert video.probe(path).fps == pytest.approx(6 / (52 / 25), rel=0.01)


def test_memory_stays_constant(tmp_path):
    path, frame = tmp_path / "long.mp4", 96 * 160 * 3
    encoding.write(path, (picture(i % 256) for i in range(400)), fps=25)
    tracemalloc.start()
    try:
        count = sum(1 for _ in video.read(path))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 400 and peak < 10 * frame


def test_folders_of_frames(tmp_path):
    for i in (1, 2, 10, 11):  # by letters, 10 would come before 2
        encoding.write_image(tmp_path / f"img{i}.{'png' if i % 2 else 'jpg'}", picture(i))
    (tmp_path / ".img3-half.jpg").write_bytes(b"left behind")
    (tmp_path / "notes.txt").write_text("no frame")
    seen = list(video.read(tmp_path))
    assert [number(image) for _, _, image in seen] == [1, 2, 10, 11]
    assert [index for index, _, _ in seen] == [0, 1, 2, 3]
    assert video.probe(tmp_path) == video.Probe(160, 96, 25.0, 4, 0.16)
    (tmp_path / "img12.jpg").write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"img12\.jpg \(8 bytes\) does not decode"):
        list(video.read(tmp_path))


def test_images_of_several_sizes_are_said_once(tmp_path, recwarn):
    for i in range(4):
        image = picture(i) if i < 2 else picture(i)[::2, ::2]
        encoding.write_image(tmp_path / f"{i}.png", image)
    clip = video.open(tmp_path)
    for _ in range(2):
        assert [image.shape[:2] for _, _, image in clip.read()] == 2 * [(96, 160)] + 2 * [(48, 80)]
    said = [str(warning.message) for warning in recwarn]
    assert len(said) == 1 and "160x96: 2.png is 80x48" in said[0]


@pytest.mark.parametrize(
    ("names", "cameras"),
    [
        (["cam1_0001", "cam1_0002", "cam2_0001", "cam2_0002"], ["cam1_0001", "cam2_0001"]),
        (["0001-C1", "0001-C2", "0002-C1", "0002-C2"], ["0001-C1", "0001-C2"]),
        (["left_1", "left_2", "right_1", "right_2"], ["left_1", "right_1"]),
        (["cam1_1", "cam1_2"], []),
        (["cam1_2024-05-01T12-00-00.500", "cam1_2024-05-01T12-00-01.500"], []),
        (["hall_12-00-00_1", "hall_12-00-00_2", "hall_12-00-01_1", "hall_12-00-01_2"], []),
        (["a3", "a4", "b5", "b6"], []),
        (["start_1", "1", "2", "3"], []),
    ],
)
def test_frames_of_several_cameras_in_one_folder(tmp_path, recwarn, names, cameras):
    for name in names:
        encoding.write_image(tmp_path / f"{name}.png", picture(1))
    assert len(list(video.read(tmp_path))) == len(names)
    said = [str(warning.message) for warning in recwarn]
    assert len(said) == bool(cameras) and all(name in said[0] for name in cameras)


def test_a_folder_without_frames(tmp_path):
    with pytest.raises(ValueError, match=r"holds no frames; expected \.jpg or \.png"):
        video.read(tmp_path)


def test_images_with_any_name(tmp_path, capfd):
    path = tmp_path / "Straße 日本.png"
    encoding.write_image(path, picture(7))
    np.testing.assert_array_equal(encoding.read_image(path), picture(7))
    assert capfd.readouterr() == ("", "")
    with pytest.raises(FileNotFoundError, match="no image at"):
        encoding.read_image(tmp_path / "none.png")
    with pytest.raises(ValueError, match=r"must end in \.jpg or \.png"):
        encoding.write_image(tmp_path / "picture.txt", picture(7))


def test_an_image_that_claims_more_pixels_than_it_has(tmp_path):
    path = tmp_path / "bomb.jpg"
    data = cv2.imencode(".jpg", np.zeros((16, 16, 3), np.uint8))[1].tobytes()
    sizes = data.index(b"\xff\xc0") + 5  # height and width, in the header of the frame
    for side in (10_000, 30_000, 65_000):
        path.write_bytes(data[:sizes] + 2 * side.to_bytes(2, "big") + data[sizes + 4 :])
        with pytest.raises(ValueError, match="bomb.jpg .* claims more than 89 million pixels"):
            encoding.read_image(path)


def test_times_that_are_all_but_equal_give_the_usual_rate(tmp_path, recwarn):
    encoding.write_image(tmp_path / "0.png", np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "frames.csv").write_text("frame,time,path\n0,0,0.png\n1,1e-320,0.png\n")
    assert video.probe(tmp_path).fps == 25 and not recwarn.list


@pytest.mark.parametrize("ending", ["png", "bmp", "tiff", "webp", "jpg"])
def test_a_picture_of_any_format_with_more_pixels_than_memory_has_room_for(
    tmp_path, monkeypatch, ending
):
    path = tmp_path / f"large.{ending}"
    path.write_bytes(cv2.imencode(f".{ending}", np.zeros((60, 100, 3), np.uint8))[1].tobytes())
    assert encoding.read_image(path).shape == (60, 100, 3)
    monkeypatch.setattr(encoding, "PIXELS", 60 * 100 - 1)
    with pytest.raises(ValueError, match="claims more than"):
        encoding.read_image(path)


@pytest.mark.parametrize(
    "line", ["0,0.0,0.png,7", "9" * 30 + ",0.0,0.png", "0,nan,0.png", "2,1e308,0.png"]
)
def test_a_table_of_frames_that_is_none(tmp_path, line):
    encoding.write_image(tmp_path / "0.png", np.zeros((8, 8, 3), np.uint8))
    (tmp_path / "frames.csv").write_text(f"frame,time,path\n1,1.0,0.png\n{line}\n")
    with pytest.raises(ValueError, match="is not the table frame, time, path") as failure:
        video.probe(tmp_path)
    assert "\n" not in str(failure.value)


def test_extract(clips, tmp_path):
    table = video.extract(clips / "clip.mp4", tmp_path / "frames", every="1s")
    assert list(table) == ["frame", "time", "path"]
    assert table.frame.tolist() == [0, 13, 25, 38]
    assert table.time.round(2).tolist() == [0, 1.04, 2, 3.04]
    assert [Path(path).name for path in table.path][1] == "frame_000013.jpg"
    assert [number(encoding.read_image(path)) for path in table.path] == [0, 13, 25, 38]
    # Read as a video again, the frames keep their numbers and times.
    again = [(index, seconds) for index, seconds, _ in video.read(tmp_path / "frames")]
    assert again == list(zip(table.frame, table.time))


def test_an_extraction_stopped_by_ctrl_c_goes_on(clips, tmp_path, monkeypatch):
    written, write_image = [], encoding.write_image

    def interrupted(path, image):
        if len(written) == 7:
            raise KeyboardInterrupt
        written.append(path.name)
        write_image(path, image)

    monkeypatch.setattr(video, "write_image", interrupted)
    with pytest.raises(KeyboardInterrupt):
        video.extract(clips / "clip.mp4", tmp_path, every=5)
    assert len(list(tmp_path.glob("frame_*.jpg"))) == 7
    assert not (tmp_path / "frames.csv").exists()
    before, written[:] = list(written), []
    table = video.extract(clips / "clip.mp4", tmp_path, every=5)
    assert len(table) == 10 and len(written) == 3 and not set(written) & set(before)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9 on this system")
def test_an_extraction_killed_in_the_middle_goes_on(tmp_path):
    clip, folder = tmp_path / "clip.mp4", tmp_path / "frames"
    encoding.write(clip, (picture(i, 640, 360) for i in range(120)), fps=25)
    code = f"from reidlib.collection import video; video.extract({str(clip)!r}, {str(folder)!r})"
    process = subprocess.Popen([sys.executable, "-c", code])
    while len(list(folder.glob("frame_*.jpg"))) < 10:
        assert process.poll() is None
        time.sleep(0.005)
    process.kill()
    process.wait()
    left = sorted(folder.glob("frame_*.jpg"))
    assert 10 <= len(left) < 120 and not (folder / "frames.csv").exists()
    assert [number(encoding.read_image(path)) for path in left] == list(range(len(left)))
    stamps = [path.stat().st_mtime_ns for path in left]
    assert len(video.extract(clip, folder)) == 120
    assert [path.stat().st_mtime_ns for path in left] == stamps


def test_frames_of_two_videos_are_not_mixed(clips, tmp_path):
    video.extract(clips / "clip.mp4", tmp_path, every=25)
    with pytest.raises(ValueError, match=r"already holds frames of clip\.mp4, \d+ bytes"):
        video.extract(clips / "clip.avi", tmp_path, every=25)
    (tmp_path / "source.txt").unlink()
    with pytest.raises(ValueError, match="frames of an unknown video"):
        video.extract(clips / "clip.mp4", tmp_path, every=25)


def test_conversion_keeps_frames_and_rate(clips, tmp_path):
    for source, target in [
        (clips / "clip.avi", tmp_path / "a.mp4"),
        (tmp_path / "a.mp4", tmp_path / "frames"),
        (tmp_path / "frames", tmp_path / "b.avi"),
    ]:
        assert video.convert(source, target) == 50
        about = video.probe(target)
        assert (about.frames, about.fps) == (50, pytest.approx(12.5, rel=1e-4))
    assert [number(image) for _, _, image in video.read(tmp_path / "b.avi")] == list(range(50))
    video.convert(clips / "clip.mp4", tmp_path / "fast.mp4", fps=50)
    assert video.probe(tmp_path / "fast.mp4").duration == pytest.approx(1.0)


def test_written_videos_play_in_a_browser(tmp_path):
    path = tmp_path / "odd.mp4"
    encoding.write(path, [picture(i, 161, 97) for i in range(5)], fps=30000 / 1001)
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # starts before it is loaded
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert stream.average_rate == Fraction(30000, 1001)
        assert (stream.width, stream.height) == (162, 98)


def test_crf_trades_size_for_quality(tmp_path):
    rng = np.random.default_rng(0)
    images = [cv2.resize(rng.integers(0, 256, (24, 40, 3), np.uint8), (160, 96)) for _ in range(8)]
    sizes = []
    for crf in (18, 35):
        encoding.write(tmp_path / "clip.mp4", images, fps=25, crf=crf)
        sizes.append((tmp_path / "clip.mp4").stat().st_size)
    assert sizes[0] > 2 * sizes[1]


def test_what_the_writer_refuses(tmp_path):
    path = tmp_path / "clip.mp4"
    with pytest.raises(ValueError, match=r"must end in \.mp4"):
        encoding.Writer(tmp_path / "clip.gif", fps=25)
    for fps in (0, 4e-4, -1, float("nan"), 1e9):
        with pytest.raises(ValueError, match="expected 0.01 to 1000 frames"):
            encoding.Writer(path, fps=fps)
    with pytest.raises(ValueError, match=r"frame 1 is 80x96, but clip\.mp4 began with 160x96"):
        encoding.write(path, [picture(0), picture(0)[:, :80]], fps=25)
    with pytest.raises(ValueError, match="frame 0 is float64"):
        encoding.write(path, [picture(0) / 255], fps=25)
    with pytest.raises(ValueError, match=r"of shape \(96, 160\); expected uint8"):
        encoding.write(path, [picture(0)[..., 0]], fps=25)
    with pytest.raises(ValueError, match="no image was written"):
        encoding.write(path, [], fps=25)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file_whole(tmp_path):
    path = tmp_path / "clip.mp4"
    encoding.write(path, [picture(1)] * 3, fps=25)
    before = path.read_bytes()
    with pytest.raises(KeyboardInterrupt), encoding.Writer(path, fps=25) as writer:
        writer.write(picture(2))
        raise KeyboardInterrupt
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_written(clips, tmp_path):
    (tmp_path / "file").write_text("in the way")
    for target in ("file/clip.mp4", "file/frames"):
        with pytest.raises(OSError, match="choose another output folder"):
            video.convert(clips / "clip.avi", tmp_path / target)


def test_a_stalled_stream_fails_in_bounded_time(monkeypatch):
    monkeypatch.setattr(capture, "TIMEOUT", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:  # answers the call and says nothing
        address = f"rtsp://user:secret@127.0.0.1:{server.getsockname()[1]}/stream"
        began = time.monotonic()
        with pytest.raises(ConnectionError, match="gave no video; check address") as failure:
            video.read(address)
        assert time.monotonic() - began < 5
        assert "secret" not in str(failure.value)


def test_an_address_where_nobody_listens():
    with pytest.raises(ConnectionError, match="gave no video"):
        video.probe("http://127.0.0.1:9/clip.mp4")


def test_a_file_behind_an_address(clips, monkeypatch):
    handler = partial(SimpleHTTPRequestHandler, directory=clips)
    monkeypatch.setattr(SimpleHTTPRequestHandler, "log_message", lambda *_: None)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/clip.mp4"
        assert [number(i) for _, _, i in video.read(address, every=10)] == [0, 10, 20, 30, 40]
        server.shutdown()


class Camera:
    """A webcam that sends five pictures and is then unplugged."""

    def __init__(self, index):
        self.index, self.sent = index, 0

    def isOpened(self):
        return self.index == 3

    def get(self, _):
        return 0.0

    def grab(self):
        self.sent += 1
        return self.sent <= 5

    def retrieve(self):
        return True, picture(self.sent)[..., ::-1].copy()

    def release(self):
        self.sent = 100


def test_webcams(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    with pytest.warns(UserWarning, match="3 stopped after 5 frames$"):
        seen = list(video.read("3"))
    assert [number(image) for _, _, image in seen] == [1, 2, 3, 4, 5]
    assert seen[0][1] < 0.01 and all(a[1] <= b[1] for a, b in zip(seen, seen[1:]))
    assert len(list(video.read(3, stop=2))) == 2
    with pytest.raises(OSError, match="webcam 0 does not open"):
        video.read(0)


def test_a_second_interruption_is_not_held_back():
    frames = capture.until_interrupted(range(9))
    next(frames)
    signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    assert list(frames) == []
    assert list(capture.until_interrupted(range(3))) == [0, 1, 2]


def test_live_recordings_are_not_mixed(monkeypatch, tmp_path):
    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    with pytest.warns(UserWarning):
        assert len(video.extract(3, tmp_path)) == 5
    with pytest.raises(ValueError, match="already holds frames of 3"):
        video.extract(3, tmp_path)


@pytest.mark.skipif(not REAL, reason="REIDLIB_REAL_DATA is not set")
def test_real_footage():
    path = Path(REAL) / "pets09-s2l1" / "vtest.avi"
    assert video.probe(path) == video.Probe(768, 576, 10.0, 795, 79.5)
    assert [i for i, _, _ in video.read(path, every="20s")] == [0, 200, 400, 600]
