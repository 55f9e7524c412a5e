"""Videos as people have them: each test makes its own and knows what was filmed."""

import base64
import os
import signal
import socket
import threading
import time
import warnings
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise

import av
import cv2
import numpy as np
import pytest
from av.stream import Disposition

from reidlib.collection import decoding, encoding, video

SIZE = WIDTH, HEIGHT = 160, 96


def picture(i, width=WIDTH, height=HEIGHT):
    """A red and a blue half, and the number of the picture as a bar code of 8 dark bars."""
    image = np.empty((height, width, 3), np.uint8)
    image[:, : width // 2], image[:, width // 2 :] = (200, 40, 60), (30, 60, 190)
    for bit in range(8):
        if i >> bit & 1:
            image[height // 9 : height // 2, (1 + 2 * bit) * width // 20 :][:, : width // 16] = 10
    return image


def number(image):
    height, width = image.shape[:2]
    dark = 0
    for bit in range(8):
        left = (1 + 2 * bit) * width // 20 + width // 60
        if image[height // 5 : height // 3, left : left + width // 60].max() < 40:
            dark += 1 << bit
    return dark


def encode(
    path, images, codec="libx264", rate=25, pixels="yuv420p", start=0, setup=None, **options
):
    """Write RGB images, or frames as they are, with PyAV; `setup` is given the codec's context."""
    with av.open(str(path), "w", options=options.pop("container", {})) as container:
        stream = container.add_stream(codec, rate=rate)
        images = list(images)
        frames = [
            i if isinstance(i, av.VideoFrame) else av.VideoFrame.from_ndarray(i) for i in images
        ]
        stream.width, stream.height = frames[0].width, frames[0].height
        stream.pix_fmt, stream.options = pixels, options
        if setup:
            setup(stream.codec_context)
        for i, frame in enumerate(frames):
            if frame.format.name != pixels:
                frame = frame.reformat(format=pixels)
            frame.pts = start + i
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def look(source, **options):
    """Return probe, times, what was read and what was said."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        clip = video.open(source, **options)
        about, times, read = clip.about, clip.times, list(clip.read())
    seconds = [t for _, t, _ in read]
    assert [i for i, _, _ in read] == list(range(len(read)))
    assert all(a < b for a, b in pairwise(seconds))
    assert about.frames == len(times) == len(read)  # one count of frames, and one clock
    np.testing.assert_allclose(times, seconds, atol=1e-6)
    images = [image for _, _, image in read]
    assert {image.shape for image in images} == {(about.height, about.width, 3)}
    assert all(image.flags.c_contiguous and image.flags.writeable for image in images)
    return about, seconds, images, [str(warning.message) for warning in caught]


def woven(count, width=WIDTH, height=HEIGHT):
    """Frames of two moments: a white bar walks on by 4 pixels from the even to the odd lines."""
    frames = []
    for i in range(count):
        image = np.full((height, width, 3), 60, np.uint8)
        for field in (0, 1):
            x = 8 * i + 4 * field
            image[field::2, x : x + 24] = 220
        frames.append(image)
    return frames


def combing(image):
    """How much more neighbouring lines differ than lines of one moment do."""
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(float)[8:-8]
    return np.abs(luma[1:-1] - (luma[:-2] + luma[2:]) / 2).mean()


INTERLACED = {
    "h264.mp4": {"flags": "+ilme+ildct", "x264-params": "tff=1", "crf": "10"},
    "h264.mkv": {"flags": "+ilme+ildct", "x264-params": "tff=1", "crf": "10"},
    "h264.ts": {"flags": "+ilme+ildct", "x264-params": "tff=1", "crf": "10"},
    "mpeg2.mpg": {"codec": "mpeg2video", "flags": "+ilme+ildct", "b": "3000000"},
    "mpeg2.ts": {
        "codec": "mpeg2video",
        "flags": "+ilme+ildct",
        "b": "3000000",
        "pixels": "yuv422p",
    },
    "dv.avi": {"codec": "dvvideo"},
}


@pytest.mark.parametrize("name", INTERLACED)
def test_interlaced_video_is_made_whole(tmp_path, name):
    size = (720, 576) if name == "dv.avi" else SIZE
    frames = woven(16, *size)
    path = encode(tmp_path / name, frames, **INTERLACED[name])
    about, seconds, images, said = look(path)
    assert about.interlaced and len(images) == 16
    assert f"{path} is interlaced, two moments in each frame; it is deinterlaced" in said
    np.testing.assert_allclose(seconds, np.arange(16) / 25, atol=1e-3)
    with av.open(str(path)) as container:
        combed = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    # The bar is there, at its place, and not in teeth; without a filter it would be.
    for image, raw, filmed in list(zip(images, combed, frames))[2:-1]:
        filmed = cv2.resize(filmed, (about.width, about.height))
        assert np.abs(image.astype(int) - filmed).mean() < 8
        assert combing(image) < 0.35 * combing(raw)


def test_progressive_video_is_left_alone(tmp_path):
    path = encode(tmp_path / "clip.mp4", [picture(i) for i in range(9)])
    about, _, images, said = look(path)
    assert not about.interlaced and not said
    with av.open(str(path)) as container:
        for image, frame in zip(images, container.decode(video=0)):
            np.testing.assert_array_equal(image, frame.to_ndarray(format="rgb24"))


class Bits:
    """Writes the numbers of an H.264 stream."""

    def __init__(self, text=""):
        self.text = text

    def fixed(self, *pairs):
        for width, value in pairs:
            self.text += format(value, f"0{width}b")
        return self

    def golomb(self, *values):
        for value in values:
            code = format(value + 1, "b")
            self.text += "0" * (len(code) - 1) + code
        return self

    def samples(self, data):
        self.text += "0" * (-len(self.text) % 8) + "".join(format(value, "08b") for value in data)

    def unit(self, kind):
        text = self.text + "1"
        text += "0" * (-len(text) % 8)
        data = int(text, 2).to_bytes(len(text) // 8, "big")
        safe = bytearray()
        for value in data:
            if safe[-2:] == b"\0\0" and value <= 3:
                safe.append(3)
            safe.append(value)
        return b"\0\0\0\1" + bytes([kind]) + bytes(safe)


def field_pictures(count, side=4):
    """H.264 in which each field is a picture by itself, as broadcasters send it: even, odd.

    All is plain grey, 40 and 120 more with each frame; macroblocks are sent as samples (I_PCM).
    """
    sequence = Bits().fixed((8, 77), (8, 0), (8, 30)).golomb(0, 0, 2, 1).fixed((1, 0))
    sequence = sequence.golomb(side - 1, side // 2 - 1).fixed((1, 0), (1, 0), (1, 1), (2, 0))
    setup = Bits().golomb(0, 0).fixed((2, 0)).golomb(0, 0, 0).fixed((3, 0)).golomb(0, 0, 0)
    setup = setup.fixed((3, 0b100))
    start = b"\0\0\0\1\x09\x10" + sequence.unit(0x67) + setup.unit(0x68)
    pairs = []
    for i in range(count):
        fields = []
        for odd in (0, 1):
            bits = Bits().golomb(0, 7, 0).fixed((4, 0), (1, 1), (1, odd))
            if odd:
                bits.fixed((1, 0)).golomb(0, 1)
            else:
                bits.golomb(i % 2).fixed((2, 0)).golomb(0, 1)
            for _ in range(side * side // 2):
                bits.golomb(25).samples([40 + 5 * i] * 256 + [128] * 128)
            fields.append(b"\0\0\0\1\x09\x10" * odd + bits.unit(0x61 if odd else 0x65))
        pairs.append((start + fields[0], fields[1]))
    return pairs


@pytest.mark.parametrize("stamps", ["both", "first"])
def test_two_packets_of_fields_are_one_frame(tmp_path, stamps):
    pairs = field_pictures(20)
    (tmp_path / "raw.h264").write_bytes(b"".join(a + b for a, b in pairs))
    path = tmp_path / "fields.ts"
    with av.open(str(tmp_path / "raw.h264")) as raw, av.open(str(path), "w") as container:
        stream = container.add_stream_from_template(raw.streams.video[0])
        for i, pair in enumerate(pairs):
            sent = pair if stamps == "both" else (pair[0] + pair[1],)
            for odd, data in enumerate(sent):
                packet = av.Packet(data)
                packet.stream, packet.time_base = stream, Fraction(1, 90000)
                packet.pts = packet.dts = 9000 + 3600 * i + 1800 * odd
                container.mux(packet)
    with av.open(str(path)) as container:
        assert sum(1 for packet in container.demux(video=0) if packet.size) == 40
    about, seconds, images, said = look(path)
    assert about == video.Probe(64, 64, 25.0, 20, 0.8, True)
    np.testing.assert_allclose(seconds, np.arange(20) / 25, atol=1e-6)
    levels = [image.mean() for image in images]
    np.testing.assert_allclose(np.diff(levels), 5 * 255 / 219, atol=1)
    assert len(said) == 1 and "is interlaced" in said[0]


# Luma weights of red and blue: ITU-R BT.601, BT.709 and BT.2020; H.273 numbers of the matrices.
WEIGHTS = {"601": (6, 0.299, 0.114), "709": (1, 0.2126, 0.0722), "2020": (9, 0.2627, 0.0593)}
COLOURS = [(200, 40, 60), (30, 60, 190), (40, 180, 70), (250, 250, 250), (5, 5, 5)]


def frame_of(colour, weights, full, width=64, height=48, bits=8):
    """A plain frame, by the definition of luma and chroma."""
    red, green, blue = (value / 255 for value in colour)
    kr, kb = weights
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    chroma = (blue - luma) / (2 - 2 * kb), (red - luma) / (2 - 2 * kr)
    scale = 2 ** (bits - 8)
    if full:
        values = [luma * 255, *(128 + 255 * c for c in chroma)]
    else:
        values = [16 + 219 * luma, *(128 + 224 * c for c in chroma)]
    values = [round(value * scale) for value in values]
    kind = np.uint8 if bits == 8 else np.uint16
    rows = [np.full((height, width), values[0], kind)]
    rows += [np.full((height // 4, width), value, kind) for value in values[1:]]
    name = "yuv420p" if bits == 8 else f"yuv420p{bits}le"
    return av.VideoFrame.from_ndarray(np.concatenate(rows), format=name)


@pytest.mark.parametrize("full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("standard", WEIGHTS)
def test_colours_are_those_that_were_filmed(tmp_path, standard, full):
    code, *weights = WEIGHTS[standard]

    def setup(context):
        context.colorspace, context.color_range = code, 2 if full else 1

    frames = [frame_of(colour, weights, full) for colour in COLOURS]
    for frame in frames:
        frame.colorspace, frame.color_range = code, 2 if full else 1
    path = encode(tmp_path / "clip.mp4", frames, setup=setup, crf="1", g="1")
    _, _, images, _ = look(path)
    for image, colour in zip(images, COLOURS):
        assert np.abs(image.astype(int) - colour).max() <= 4


@pytest.mark.parametrize("size, standard", [((720, 576), "601"), ((1280, 720), "709")])
def test_colours_that_say_nothing_are_taken_as_players_do(tmp_path, size, standard):
    _, *weights = WEIGHTS[standard]
    frames = [frame_of(colour, weights, False, *size) for colour in COLOURS]
    _, _, images, _ = look(encode(tmp_path / "clip.mp4", frames, crf="1", g="1"))
    for image, colour in zip(images, COLOURS):
        assert np.abs(image.astype(int) - colour).max() <= 4


@pytest.mark.parametrize("transfer, words", [(18, None), (16, "is HDR (PQ)")])
def test_ten_bits_and_hdr(tmp_path, transfer, words):
    code, *weights = WEIGHTS["2020"]
    frames = [frame_of(colour, weights, False, bits=10) for colour in COLOURS]

    def setup(context):
        context.colorspace = context.color_primaries = code
        context.color_trc, context.color_range = transfer, 1

    for frame in frames:
        frame.colorspace, frame.color_range = code, 1
    options = {"preset": "ultrafast", "x265-params": "log-level=none:lossless=1"}
    path = tmp_path / "clip.mov"
    encode(path, frames, "libx265", pixels="yuv420p10le", setup=setup, **options)
    _, _, images, said = look(path)
    for image, colour in zip(images, COLOURS):
        assert np.abs(image.astype(int) - colour).max() <= 1
    assert [words in text for text in said] == [True] * (words is not None)


@pytest.mark.parametrize("pixels", ["gray", "gray16le", "yuv444p", "bgr0", "yuv420p10le"])
def test_other_pixels_and_odd_sizes(tmp_path, pixels):
    images = [picture(i, 159, 97) for i in range(6)]
    path = encode(tmp_path / "clip.mkv", images, "ffv1", pixels=pixels)
    about, _, read, said = look(path)
    assert (about.width, about.height) == (159, 97) and not said
    assert [number(image) for image in read] == list(range(6))
    filmed = np.array(images, int)
    if pixels.startswith("gray"):
        filmed = filmed @ (0.299, 0.587, 0.114)
        filmed = np.repeat(filmed[..., None], 3, axis=-1)
    assert np.abs(np.array(read) - filmed).mean() < 4


def test_size_and_pixels_that_change_in_mid_file(tmp_path):
    first = encode(tmp_path / "a.ts", [picture(i) for i in range(10)])
    small = [picture(i, 80, 48) for i in range(10, 20)]
    second = encode(tmp_path / "b.ts", small, pixels="yuv444p", start=10)
    path = tmp_path / "both.ts"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    about, _, images, said = look(path)
    assert (about.width, about.height) == SIZE
    assert [number(image) for image in images] == list(range(20))
    assert np.abs(images[15][80, 20].astype(int) - (200, 40, 60)).max() < 16
    assert said == [f"{path} changes in size from 160x96 to 80x48; all is shown in the first size"]


ONE = 1 << 16
TURNS = {  # the matrix a b c d that a phone writes, and what it makes of the stored picture
    "90": ((0, ONE, -ONE, 0), lambda image: np.rot90(image, -1)),
    "180": ((-ONE, 0, 0, -ONE), lambda image: np.rot90(image, 2)),
    "270": ((0, -ONE, ONE, 0), lambda image: np.rot90(image, 1)),
    "mirrored": ((-ONE, 0, 0, ONE), lambda image: image[:, ::-1]),
}


@pytest.mark.parametrize("turn", TURNS)
def test_turned_video_is_shown_upright(tmp_path, turn):
    (a, b, c, d), upright = TURNS[turn]
    plain = encode(tmp_path / "plain.mp4", [picture(i) for i in range(5)])
    data = bytearray(plain.read_bytes())
    place = data.index(b"tkhd") + 4 + 4 + 20 + 8 + 8  # ISO/IEC 14496-12, 8.3.2, version 0
    for offset, value in zip((0, 4, 12, 16), (a, b, c, d)):
        data[place + offset : place + offset + 4] = value.to_bytes(4, "big", signed=True)
    path = tmp_path / "turned.mp4"
    path.write_bytes(data)
    about, _, images, _ = look(path)
    assert (about.width, about.height) == (SIZE if turn in ("180", "mirrored") else SIZE[::-1])
    for image, stored in zip(images, (i for _, _, i in video.read(plain))):
        np.testing.assert_array_equal(image, upright(stored))


@pytest.mark.parametrize("aspect, width", [("16/11", 233), ("10/11", 145), ("1001/1000", 160)])
def test_pixels_that_are_not_square(tmp_path, aspect, width):
    def setup(context):
        context.sample_aspect_ratio = Fraction(aspect)

    path = encode(tmp_path / "clip.mp4", [picture(i) for i in range(5)], setup=setup)
    about, _, images, said = look(path)
    assert (about.width, about.height) == (width, 96)
    assert [number(image) for image in images] == list(range(5))
    text = f"{path} has pixels of {aspect.replace('/', ':')}, not square: frames of 160x96 are "
    expected = [] if width == 160 else [f"{text}shown as {width}x96"]
    assert said == expected


def several(path, *tracks):
    """Write several video streams: (images, codec, pixels, disposition) each."""
    with av.open(str(path), "w") as container:
        streams = []
        for images, codec, pixels, disposition in tracks:
            stream = container.add_stream(codec, rate=25)
            stream.height, stream.width = images[0].shape[:2]
            stream.pix_fmt, stream.disposition = pixels, disposition
            streams.append(stream)
        for stream, (images, *_) in zip(streams, tracks):
            for i, image in enumerate(images):
                frame = av.VideoFrame.from_ndarray(image)
                frame.pts = i
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    return path


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
@pytest.mark.parametrize("flag", [Disposition.attached_pic, Disposition(0)])
def test_a_cover_picture_is_not_the_video(tmp_path, ending, flag):
    cover = [np.full((48, 64, 3), 200, np.uint8)], "mjpeg", "yuvj420p", flag
    film = [picture(i) for i in range(12)], "libx264", "yuv420p", Disposition(0)
    path = several(tmp_path / f"clip.{ending}", cover, film)
    about, _, images, said = look(path)
    assert (about.width, about.height, about.frames) == (*SIZE, 12)
    assert [number(image) for image in images] == list(range(12))
    assert len(said) == (0 if flag and ending == "mp4" else 1)  # Matroska keeps no such flag


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_the_longest_of_several_videos_is_read_and_named(tmp_path, ending):
    short = [picture(0, 80, 48)] * 10, "libx264", "yuv420p", Disposition.default
    long = [picture(i) for i in range(50)], "libx264", "yuv420p", Disposition(0)
    path = several(tmp_path / f"two.{ending}", short, long)
    about, _, _, said = look(path)
    assert (about.width, about.frames) == (160, 50)
    assert len(said) == 1 and said[0].startswith(f"{path} holds 2 video streams; the longest is")
    assert "stream 1, 160x96, 2.0 s" in said[0]


def test_sound_with_a_cover_is_no_video(tmp_path):
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=16000)
        cover = container.add_stream("mjpeg", rate=25)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        frame = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8))
        frame.pts = 0
        container.mux([*cover.encode(frame), *cover.encode()])
        wave = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        wave.sample_rate = 16000
        container.mux([*sound.encode(wave), *sound.encode()])
    for use in (video.probe, video.read, video.times):
        with pytest.raises(ValueError, match="holds sound only; give a video"):
            use(path)


def test_a_codec_that_nobody_knows_is_named_as_such(tmp_path):
    path = tmp_path / "clip.mp4"
    encoding.write(path, [np.zeros((48, 64, 3), np.uint8)] * 3, fps=10)
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))
    for use in (video.probe, video.times, lambda source: list(video.read(source))):
        with pytest.raises(ValueError, match="clip.mp4 holds video of an unknown codec"):
            use(path)


def test_text_is_no_video(tmp_path):
    path = tmp_path / "notes.txt"  # FFmpeg would draw it, letter by letter
    path.write_text("these are words\n" * 100)
    with pytest.raises(ValueError, match="does not open as a video"):
        video.read(path)


NAMES = [
    "12:30 gate.mp4",
    "50% %03d.mp4",
    "-i.mp4",
    "no ending",
    "pipe:0",
    "a?b*[c]#d&e=f.mp4",
    "'\".mp4",
]


@pytest.mark.skipif(os.name == "nt", reason="Windows does not allow these names")
@pytest.mark.parametrize("name", NAMES)
def test_names_of_any_kind(tmp_path, monkeypatch, name):
    made = encode(tmp_path / "made.mp4", [picture(i) for i in range(4)])
    made.rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for source in (name, tmp_path / name):
        about, _, images, said = look(source)
        assert about.frames == 4 and [number(image) for image in images] == [0, 1, 2, 3]
        assert not said


@pytest.mark.skipif(os.name == "nt", reason="Windows does not allow these names")
def test_a_folder_named_like_an_address(tmp_path, monkeypatch):
    (tmp_path / "http:").mkdir()
    encode(tmp_path / "http:" / "clip.mp4", [picture(3)])
    monkeypatch.chdir(tmp_path)
    assert [number(image) for _, _, image in video.read("http://clip.mp4")] == [3]


def copy_packets(source, target, change):
    """Write the packets of one file to another, as far and as changed as `change` returns them."""
    with av.open(str(source)) as given, av.open(str(target), "w") as container:
        stream = given.streams.video[0]
        copy = container.add_stream_from_template(stream)
        for i, packet in enumerate(p for p in given.demux(stream) if p.size):
            if (packet := change(i, packet)) is not None:
                packet.stream = copy
                container.mux(packet)
    return target


@pytest.mark.parametrize(
    "codec, ending", [("libx264", "ts"), ("mpeg2video", "ts"), ("libx264", "mkv")]
)
def test_a_beginning_between_key_frames_is_reported(tmp_path, codec, ending):
    options = {"g": "30", "bf": "2", "sc_threshold": "0"}
    if codec == "mpeg2video":
        options["sc_threshold"] = "1000000000"
    whole = encode(tmp_path / "whole.ts", [picture(i) for i in range(60)], codec, **options)
    path = tmp_path / f"part.{ending}"
    copy_packets(whole, path, lambda i, packet: packet if i >= 4 else None)
    about, seconds, images, said = look(path)
    shown = [number(image) for image in images]
    assert shown == list(range(shown[0], 60)) and 28 <= shown[0] <= 31
    assert about.fps == pytest.approx(25, rel=0.01)
    # The first that cannot be decoded is 0, and time begins there.
    assert seconds[0] == pytest.approx((shown[0] - 4) / 25, abs=0.09)
    text = f"{path} begins between key frames: {len(shown)} of 56 frames can be decoded, "
    assert said == [text + f"from {seconds[0]:.1f} s"]
    *_, image = next(video.read(path, start=about.frames // 2))  # is there
    assert number(image) == shown[0] + about.frames // 2


def test_a_trimmed_beginning_is_no_damage(tmp_path):
    whole = encode(tmp_path / "whole.mp4", [picture(i) for i in range(60)], g="30")

    def earlier(_, packet):
        shift = round(0.8 / packet.time_base)
        packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
        return packet

    path = copy_packets(whole, tmp_path / "trimmed.mp4", earlier)
    about, seconds, images, said = look(path)
    assert not said and about.frames == 40 and seconds[0] == 0
    assert [number(image) for image in images] == list(range(20, 60))


def test_a_trimmed_end_is_no_damage(tmp_path):
    whole = encode(tmp_path / "whole.mp4", [picture(i) for i in range(60)], bf="0")
    data = bytearray(whole.read_bytes())
    place = data.index(b"elst") + 12  # the length of the edit, in thousandths; 14496-12, 8.6.6
    assert int.from_bytes(data[place : place + 4], "big") == 2400
    data[place : place + 4] = (1000).to_bytes(4, "big")
    path = tmp_path / "trimmed.mp4"
    path.write_bytes(data)
    about, _, images, said = look(path)
    assert not said and 25 <= about.frames <= 26
    assert [number(image) for image in images] == list(range(about.frames))


def test_a_clock_that_was_set_back(tmp_path):
    parts = [
        encode(tmp_path / f"{a}.ts", [picture(i) for i in range(a, a + 40)], start=500 - 3 * a)
        for a in (0, 40)
    ]
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    about, seconds, images, said = look(path)
    assert [number(image) for image in images] == list(range(80)) and not said
    np.testing.assert_allclose(seconds, np.arange(80) / 25, atol=1e-3)
    assert about.fps == pytest.approx(25)


def test_stamps_that_are_missing_repeated_or_uneven():
    from reidlib.collection.counting import Clock

    clock = Clock(rate=10, zero=5.0)
    stamps = [5.0, 5.1, 5.1, None, 5.9, 2.0, 2.1, 2.5]
    expected = [0.0, 0.1, 0.2, 0.3, 0.9, 1.0, 1.1, 1.5]
    np.testing.assert_allclose([clock(stamp) for stamp in stamps], expected)
    raw = Clock(rate=10, count=3)
    np.testing.assert_allclose([raw(None) for _ in range(3)], [0.3, 0.4, 0.5])


@pytest.mark.parametrize(
    "ending, codec", [("h264", "libx264"), ("mjpeg", "mjpeg"), ("m2v", "mpeg2video")]
)
def test_raw_streams_take_a_rate(tmp_path, ending, codec):
    pixels = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = encode(tmp_path / f"raw.{ending}", [picture(i) for i in range(20)], codec, pixels=pixels)
    about, seconds, images, said = look(path, fps=10)
    assert (about.fps, about.frames, about.duration) == (10, 20, 2.0) and not said
    np.testing.assert_allclose(seconds, np.arange(20) / 10)
    assert [number(image) for image in images] == list(range(20))
    assert video.probe(path, fps=5).duration == 4.0
    assert [t for _, t, _ in video.read(path, every="1s", fps=5)] == [0, 1, 2, 3]
    assert video.times(path).tolist() == pytest.approx((np.arange(20) / 25).tolist())


def test_a_rate_does_not_overrule_time_stamps(tmp_path):
    path = encode(tmp_path / "clip.mp4", [picture(i) for i in range(20)])
    about, _, _, said = look(path, fps=10)
    assert about.fps == 25
    assert said == [f"{path} has time stamps of its own, which are kept; fps=10 is not used"]
    with pytest.raises(ValueError, match="fps=0; expected 0.01 to 1000 frames a second"):
        video.open(path, fps=0)


def sequence(folder, count=6, text=None):
    (folder / "img1").mkdir(parents=True)
    for i in range(count):
        encoding.write_image(folder / "img1" / f"{i + 1:06d}.jpg", picture(i))
    text = text or "[Sequence]\nname=x\nimDir=img1\nframeRate=14\nseqLength=6\nimExt=.jpg\n"
    (folder / "seqinfo.ini").write_text(text)
    return folder


def test_a_sequence_of_mot_challenge_has_its_rate(tmp_path):
    folder = sequence(tmp_path / "MOT-01")
    for source in (folder, folder / "img1", str(folder / "img1") + "/"):
        about, seconds, images, said = look(source)
        assert about == video.Probe(160, 96, 14.0, 6, 6 / 14) and not said
        np.testing.assert_allclose(seconds, np.arange(6) / 14)
        assert [number(image) for image in images] == list(range(6))
    about, seconds, _, _ = look(folder, fps=7)  # who gives a rate knows better
    assert about.fps == 7 and seconds[1] == pytest.approx(1 / 7)
    other = sequence(tmp_path / "MOT-02", text="[Sequence]\nimDir=other\nframeRate=14\n")
    assert video.probe(other / "img1").fps == 25  # not the folder that the file names


def test_sequences_that_are_not_whole(tmp_path):
    folder = sequence(tmp_path / "MOT-01", count=4)
    _, _, _, said = look(folder)
    assert said == [f"{folder / 'img1'} holds 4 of the 6 frames that seqinfo.ini names"]
    for text in ("frameRate=14", "[Sequence]\nframeRate=fast", "[Sequence]\nframeRate=0", "[x]\n"):
        (folder / "seqinfo.ini").write_text(text)
        with pytest.raises(ValueError, match=r"seqinfo\.ini is no description of a sequence"):
            video.probe(folder)


def test_folders_take_a_rate_and_other_images(tmp_path):
    for i in range(5):
        cv2.imwrite(str(tmp_path / f"{i}.{'bmp' if i % 2 else 'tif'}"), picture(i)[..., ::-1])
    about, seconds, images, said = look(tmp_path, fps=10)
    assert about == video.Probe(160, 96, 10.0, 5, 0.5) and not said
    assert seconds == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert [number(image) for image in images] == list(range(5))


def test_the_times_of_an_extraction_are_kept(tmp_path):
    clip = encode(tmp_path / "clip.mp4", [picture(i) for i in range(10)], rate=5)
    table = video.extract(clip, tmp_path / "frames")
    assert table.equals(video.extract(clip, tmp_path / "frames"))
    about, seconds, _, said = look(tmp_path / "frames", fps=99)
    assert seconds == table.time.tolist() == pytest.approx((np.arange(10) / 5).tolist())
    assert about.fps == 5 and len(said) == 1 and "fps=99 is not used" in said[0]


def test_hidden_pictures_are_not_counted(tmp_path):
    """VP8 may send a picture only to predict others from it, and say so by a bit."""
    whole = encode(tmp_path / "whole.webm", [picture(i) for i in range(30)], "libvpx")

    def hide(i, packet):
        data = bytearray(bytes(packet))
        if i in (10, 20):
            data[0] &= ~0x10
        hidden = av.Packet(bytes(data))
        hidden.pts, hidden.dts, hidden.time_base = packet.pts, packet.dts, packet.time_base
        hidden.is_keyframe = packet.is_keyframe
        return hidden

    path = copy_packets(whole, tmp_path / "clip.webm", hide)
    about, _, images, said = look(path)
    assert about.frames == 28 and not said
    assert [number(image) for image in images] == [i for i in range(30) if i not in (10, 20)]


def test_a_cut_matroska_file_says_where_it_ends(tmp_path):
    whole = encode(tmp_path / "whole.mkv", [picture(i) for i in range(100)])
    path = tmp_path / "cut.mkv"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    with pytest.warns(UserWarning, match=r"cut\.mkv stopped after \d+ frames, at .* of the 4\.0 s"):
        count = len(list(video.read(path)))
    assert 20 < count < 90


def test_a_damaged_stretch_says_how_many_frames_are_missing(tmp_path):
    whole = encode(tmp_path / "whole.ts", [picture(i) for i in range(100)], g="10")
    with av.open(str(whole)) as container:
        places = [packet.pos for packet in container.demux(video=0) if packet.size]
    data = bytearray(whole.read_bytes())
    middle = places[50] // 188 * 188
    data[middle : middle + 188 * 20] = bytes(188 * 20)
    path = tmp_path / "damaged.ts"
    path.write_bytes(data)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        read = [(t, number(image)) for _, t, image in video.read(path)]
    assert 40 < len(read) < 100 and read[-1][1] == 99
    assert read[-1][0] == pytest.approx(99 / 25, abs=0.01)
    assert not caught or "is damaged" in str(caught[0].message)


def test_frames_that_are_not_asked_for_are_not_turned_into_pictures(tmp_path, monkeypatch):
    path = encode(tmp_path / "clip.mp4", [picture(i) for i in range(50)])
    made = []
    convert = decoding.Converter.__call__

    def counted(self, frame):
        made.append(frame.pts)
        return convert(self, frame)

    monkeypatch.setattr(decoding.Converter, "__call__", counted)
    assert [number(image) for _, _, image in video.read(path, every=20)] == [0, 20, 40]
    assert len(made) == 3


def test_an_opened_video_is_looked_at_once(tmp_path, monkeypatch):
    path = encode(tmp_path / "clip.mp4", [picture(i) for i in range(10)])
    opened = []
    recording = decoding.Recording

    def counted(*arguments):
        opened.append(arguments[0])
        return recording(*arguments)

    monkeypatch.setattr(decoding, "Recording", counted)
    clip = video.open(path)
    assert (clip.kind, clip.name, str(clip)) == ("file", str(path), str(path))
    assert clip.about is video.probe(clip) and len(video.times(clip)) == 10
    assert video.open(clip) is clip and clip.about.frames == 10
    assert len(opened) == 1
    assert len(list(video.read(clip, stop=3))) == 3 == len(list(clip.read(every=4)))
    assert len(video.extract(clip, tmp_path / "frames", every=5)) == 2
    assert video.convert(clip, tmp_path / "again.mp4") == 10
    assert len(opened) == 5  # and then once for each time that it is gone through


class Pictures(BaseHTTPRequestHandler):
    """A camera that sends JPEGs one after the other, and whose clock nobody knows."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.end_headers()
        for i in range(12):
            data = cv2.imencode(".jpg", picture(i)[..., ::-1])[1].tobytes()
            head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            self.wfile.write(head.encode() + data + b"\r\n")
            self.wfile.flush()
            time.sleep(0.05)

    def log_message(self, *_):
        pass


def test_a_camera_that_sends_pictures_over_http():
    with ThreadingHTTPServer(("127.0.0.1", 0), Pictures) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        address = f"http://user:secret@127.0.0.1:{server.server_port}/video"
        shown = address.replace("user:secret@", "")
        assert video.probe(address) == video.Probe(160, 96, 25.0, None, None)
        with pytest.warns(UserWarning, match=f"{shown} stopped after 12 frames$"):
            read = list(video.read(address))
        with pytest.raises(ValueError, match="is live") as failure:
            video.times(address)
        server.shutdown()
    assert "secret" not in str(failure.value)
    assert [number(image) for _, _, image in read] == list(range(12))
    assert read[0][1] < 0.05 and 0.2 < read[-1][1] < 3  # by our clock: twelve times 0.05 s


def rtsp_camera(server, units, tick):
    """Answer as a camera on RTSP does, then send H.264 pictures inside the connection."""

    def serve():
        connection, _ = server.accept()
        with connection, connection.makefile("rb") as file:
            while line := file.readline():
                method, number = line.split()[0].decode(), ""
                while (header := file.readline().strip()) != b"":
                    if header.lower().startswith(b"cseq"):
                        number = header.split(b":")[1].strip().decode()
                sets = ",".join(base64.b64encode(unit).decode() for unit in units[0][:2])
                body = {
                    "DESCRIBE": "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nt=0 0\r\n"
                    "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
                    f"a=fmtp:96 packetization-mode=1;sprop-parameter-sets={sets}\r\n"
                    "a=control:track\r\n"
                }.get(method, "")
                extra = {
                    "OPTIONS": "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n",
                    "DESCRIBE": "Content-Type: application/sdp\r\n",
                    "SETUP": "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n",
                    "PLAY": "Session: 1\r\n",
                }.get(method, "")
                head = f"RTSP/1.0 200 OK\r\nCSeq: {number}\r\n{extra}"
                connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
                if method == "PLAY":
                    break
            count = 0
            for i, pictures in enumerate(units):
                for j, unit in enumerate(pictures):
                    last = 0x80 if j == len(pictures) - 1 else 0
                    head = bytes([0x80, last | 96]) + count.to_bytes(2, "big")
                    head += (1000 + i * tick).to_bytes(4, "big") + b"\0\0\0\7"
                    packet = head + unit
                    connection.sendall(b"$\0" + len(packet).to_bytes(2, "big") + packet)
                    count += 1

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return thread


def test_network_cameras_tell_when_a_picture_was_taken(tmp_path):
    """Pictures come all at once, with the time at which each was taken."""
    raw = encode(
        tmp_path / "raw.h264",
        [picture(i) for i in range(20)],
        bf="0",
        **{
            "x264-params": "slices=1:threads=1:repeat-headers=1:aud=0",
            "g": "5",
            "tune": "zerolatency",
        },
    )
    units = []
    for unit in raw.read_bytes().replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")[1:]:
        if unit[0] & 31 == 7 or (unit[0] & 31 == 1):
            units.append([])
        if unit[0] & 31 != 6:
            units[-1].append(unit)
    assert len(units) == 20
    with socket.create_server(("127.0.0.1", 0)) as server:
        rtsp_camera(server, units, tick=9000)
        address = f"rtsp://user:secret@127.0.0.1:{server.getsockname()[1]}/stream"
        began = time.monotonic()
        with pytest.warns(UserWarning, match="stopped after 20 frames$") as caught:
            read = list(video.read(address))
    assert "secret" not in str(caught[0].message)
    assert [number(image) for _, _, image in read] == list(range(20))
    np.testing.assert_allclose([t for _, t, _ in read], np.arange(20) / 10, atol=1e-3)
    assert time.monotonic() - began < 1.9  # sooner than filmed


def test_a_live_recording_ends_with_ctrl_c(tmp_path, monkeypatch):
    with ThreadingHTTPServer(("127.0.0.1", 0), Pictures) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/video"
        write_image = encoding.write_image

        def pressed(path, image):
            write_image(path, image)
            if path.name == "frame_000003.jpg":
                signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr(video, "write_image", pressed)
        table = video.extract(address, tmp_path / "kept")
        server.shutdown()
    assert table.frame.tolist() == [0, 1, 2]
    assert (tmp_path / "kept" / "frames.csv").exists()


@pytest.mark.parametrize("ending", ["mp4", "avi"])
@pytest.mark.parametrize("height", [480, 720])
def test_what_is_written_keeps_its_colours(tmp_path, ending, height):
    images = [np.full((height, 2 * height, 3), colour, np.uint8) for colour in COLOURS]
    path = tmp_path / f"clip.{ending}"
    encoding.write(path, images, fps=5, crf=10)
    _, _, read, said = look(path)
    assert not said
    for image, colour in zip(read, COLOURS):
        assert np.abs(np.median(image, axis=(0, 1)) - colour).max() <= 6
    if ending == "mp4":
        with av.open(str(path)) as container:
            context = container.streams.video[0].codec_context
            assert (context.colorspace, context.color_range) == (1 if height == 720 else 5, 1)
