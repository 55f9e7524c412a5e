"""Small valid inputs, damage done to them, and readers that must give a result or one clear error.

``python tests/fuzzing.py FOLDER mot:0:40 video:0:12`` runs those cases and prints a line for each
that goes wrong; it stops where native code crashes or hangs, so that only that process ends.
"""

from __future__ import annotations

import contextlib
import copy
import faulthandler
import io
import json
import os
import random
import re
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from reidlib import __main__, assets
from reidlib.collection import cameras, datasets, encoding, formats, video
from reidlib.demonstration import place, provenance, site_file

SECONDS = 20  # that one case may take on a slow machine
MEMORY = 1.5e9  # bytes that all of a process's cases may take at their largest
NUMBERS = [
    "0", "-1", "1e400", "-1e308", "nan", "inf", "9" * 30, "1_000", "0x10", "1,5", "", "٣", "½",
    "1e-320", "2147483648", "-9223372036854775809", "1" + "0" * 310, "true", "None",
]  # fmt: skip
VALUES = [
    None, True, -1, 0, 2**63, 10**30, 1e300, float("nan"), float("inf"), "", "x", "nan", [], {},
    [[1, 2], [3]], {"a": 1}, [None], b"x", 0.5,
]  # fmt: skip
WORDS = [
    "", " ", "-", "--", "-x", "--out", "--help", ".", "..", "/", "/dev/null", "nul", "~", "a\nb",
    "a\tb", "$x$", r"$\frac{$", "{out}", "{0}", "%s", "<b>x</b>", "'", '"', "a;b", "`id`", "$(id)",
    "\u202egpj", "日本", "e\u0301", "\ud800", "x" * 300, "x" * 5000, "*.mp4", "|id", "a:b", "-1",
    "1e999", "nan", "inf", "0", "1s", "0s", "9" * 400, "1e3", "plaza", "auto", ".npz", ".pt",
    "no.pt", "no.onnx", "no.xml", "no/", "a/../b", "C:\\x", "file:x", "pipe:0", "concat:a|b",
]  # fmt: skip
ALLOWED = (ValueError, OSError, assets.Unavailable)
# What no reader has a reason to do: see the table of audit events in Python's documentation.
EXECUTES = re.compile(r"os\.(system|exec|fork|posix_spawn|spawn|startfile)|subprocess|socket\.conn")


# Damage


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Return bytes with one to four faults: flipped, cut, doubled, inserted, overwritten."""
    content = bytearray(content)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        # Headers are at either end; anywhere else is tried as often.
        near = rng.choice([64, 512, len(content), len(content)])
        at = rng.randrange(min(near, len(content)) + 1)
        at = len(content) - at if rng.random() < 0.2 else at
        length = rng.choice([1, 1, 2, 4, 8, 64, 1000])
        fault = rng.randrange(6)
        if fault == 0:
            content[at:] = b""
        elif fault == 1:
            content[at:at] = rng.randbytes(length)
        elif fault == 2:
            content[at : at + length] = b""
        elif fault == 3:
            content[at:at] = content[at : at + length]
        elif fault == 4:
            value = rng.choice([0, 1, 0x7F, 0x80, 0xFF])
            content[at : at + length] = bytes([value]) * min(length, len(content) - at)
        elif at < len(content):
            content[at] ^= 1 << rng.randrange(8)
    return bytes(content)


def damaged_text(content: bytes, rng: random.Random) -> bytes:
    """Return text with an odd number, another encoding, a line twice or away, or damaged bytes."""
    text = content.decode()
    fault = rng.randrange(6)
    if fault < 3:
        spans = [match.span() for match in re.finditer(r"-?\d+(\.\d+)?", text)]
        for start, end in sorted(rng.sample(spans, min(len(spans), rng.choice([1, 3]))))[::-1]:
            text = text[:start] + rng.choice(NUMBERS) + text[end:]
        return text.encode()
    if fault == 3:
        codec = rng.choice(["utf-16", "utf-16-le", "utf-32", "utf-8-sig", "utf-7", "cp037"])
        return text.encode(codec)
    if fault == 4:
        lines = text.split("\n")
        rng.shuffle(lines)
        return "\n".join(lines[: rng.randrange(len(lines) + 1)] * rng.choice([1, 2])).encode()
    return damaged(content, rng)


def damaged_value(value, rng: random.Random):
    """Return nested dicts and lists in which one value, anywhere, is missing or of another type."""
    value = copy.copy(value)
    keys = list(value) if isinstance(value, dict) else range(len(value))
    if not keys:
        return rng.choice(VALUES)
    key = rng.choice(list(keys))
    if isinstance(value[key], (dict, list)) and rng.random() < 0.8:
        value[key] = damaged_value(value[key], rng)
    elif isinstance(value, dict) and rng.random() < 0.2:
        value[rng.choice(["x", 7, "format"])] = value.pop(key)
    else:
        value[key] = rng.choice(VALUES)
    return value


def damaged_archive(content: bytes, rng: random.Random) -> bytes:
    """Return a zip archive with a damaged member, whose checksum is right nevertheless."""
    if rng.random() < 0.3:
        return damaged(content, rng)
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(target, "w") as other:
        names = archive.namelist()
        # Where it says what the rest means.
        told = [name for name in names if name.endswith(("data.pkl", ".npy"))]
        chosen = rng.choice(told if rng.random() < 0.7 else names)
        for name in names:
            member = archive.read(name)
            other.writestr(name, damaged(member, rng) if name == chosen else member)
    return target.getvalue()


# Kinds of input: each makes a valid one once, damages it for a case, and has a reader


def boxes_table() -> pd.DataFrame:
    rows = [(f, t, 10.5 * t + f, 20, 10.5 * t + f + 8, 44, 1.0) for f in range(6) for t in (1, 2)]
    names = ["frame", "track", "x1", "y1", "x2", "y2", "visibility"]
    return pd.DataFrame(rows, columns=names).assign(pid=3)


def picture(frame: int) -> np.ndarray:
    image = np.full((48, 64, 3), 90, np.uint8)
    image[::3, frame::5] = 200
    image[10:40, 5 + frame : 20 + frame] = 250
    return image


def written(name: str, write: Callable[[Path], object], folder: Path) -> bytes:
    """Return the content of the file that `write` makes."""
    path = folder / name
    write(path)
    content = path.read_bytes()
    path.unlink()
    return content


def mot(folder: Path) -> Callable:
    valid = written("a.txt", lambda path: formats.write_mot(boxes_table(), path), folder)

    def case(rng: random.Random) -> None:
        (folder / "case.txt").write_bytes(damaged_text(valid, rng))
        table = formats.read_mot(folder / "case.txt")
        assert np.isfinite(table.to_numpy(float)).all() and (table.frame >= 0).all()

    return case


def cvat(folder: Path) -> Callable:
    valid = written("a.xml", lambda path: formats.write_cvat(boxes_table(), path), folder)

    def case(rng: random.Random) -> None:
        (folder / "case.xml").write_bytes(damaged_text(valid, rng))
        table = formats.read_cvat(folder / "case.xml")
        assert np.isfinite(table.to_numpy(float)).all() and (table.frame >= 0).all()

    return case


def calibration(folder: Path) -> Callable:
    camera = {"K": [[500, 0, 320], [0, 500, 180], [0, 0, 1.0]], "R": np.eye(3).tolist()}
    camera |= {"t": [0, 0, 3.0], "width": 640, "height": 360}
    valid = {"cameras": {"c1": camera, "c2": {**camera, "start": 0.5}}, "units": "metres"}

    def case(rng: random.Random) -> None:
        text = json.dumps(damaged_value(valid, rng) if rng.random() < 0.6 else valid, default=str)
        content = damaged_text(text.encode(), rng) if rng.random() < 0.5 else text.encode()
        (folder / "cameras.json").write_bytes(content)
        for camera in cameras.read_cameras(folder / "cameras.json").values():
            assert np.isfinite(cameras.ground_view(camera)).all()

    return case


SITE = """
threshold = 0.3
overlap = ["a,b"]
[travel]
"a,c" = "8s"
[cameras.a]
video = "site.toml"
start = 2026-11-27T14:02:10
masks = [[[0, 0], [9, 0], [9, 9]]]
ground.image = [[120, 340], [520, 340], [420, 150], [220, 150]]
ground.plan = [[0, 0], [4, 0], [4, 10], [0, 10]]
[cameras.b]
video = "site.toml"
start = "2026-11-27 14:02:25"
[cameras.c]
video = "rtsp://camera"
start = 2026-11-28T00:00:00
"""


def site(folder: Path) -> Callable:
    """A site file, and the record of what made features."""
    record = {
        "features": {"name": "plaza", "sha256": "00", "threshold": 0.3},
        "detector": {"name": "plaza", "sha256": "00"},
        "began": None,
        "cameras": {"a": {"video": "a.mp4", "start": 0.0}},
    }

    def case(rng: random.Random) -> None:
        if rng.random() < 0.3:
            text = json.dumps(damaged_value(record, rng), default=str)
            (folder / "features.json").write_text(text, "utf-8", "replace")
            provenance.read(folder / "features.npz")
            return
        (folder / "site.toml").write_bytes(damaged_text(SITE.encode(), rng))
        found = site_file.read(folder / "site.toml")
        assert all(abs(camera.start) < 1e13 for camera in found.cameras.values())
        feet = np.array([[100.0, 100, 120, 300]])
        for camera in found.cameras.values():
            assert camera.calibration is None or len(cameras.on_ground(feet, camera.calibration))
            assert len(place.in_masks(feet, camera.masks)) == 1

    return case


def features(folder: Path) -> Callable:
    from reidlib.features import vectors

    numbers = np.random.default_rng(0).normal(size=(12, 5))
    vectors.write(folder / "case.npz", numbers, boxes_table())
    valid = {name: (folder / name).read_bytes() for name in ("case.npz", "case.csv")}

    def case(rng: random.Random) -> None:
        for name, content in valid.items():
            (folder / name).write_bytes(content)
        if rng.random() < 0.7:
            (folder / "case.npz").write_bytes(damaged_archive(valid["case.npz"], rng))
        else:
            (folder / "case.csv").write_bytes(damaged_text(valid["case.csv"], rng))
        found, table = vectors.read(folder / "case.npz")
        assert found.ndim == 2 and found.dtype.kind == "f" and len(found) == len(table)

    return case


def frames(folder: Path) -> Callable:
    """A folder of frames, with times by ``frames.csv`` or a rate by ``seqinfo.ini``."""
    for i in range(3):
        encoding.write_image(folder / f"{i}.png", picture(i))
    index = b"frame,time,path\n0,0.0,0.png\n1,0.04,1.png\n2,0.08,2.png\n"
    sequence = b"[Sequence]\nname=a\nimDir=.\nframeRate=12.5\nseqLength=3\nimWidth=64\n"

    def case(rng: random.Random) -> None:
        name, valid = rng.choice([("frames.csv", index), ("seqinfo.ini", sequence)])
        for other in ("frames.csv", "seqinfo.ini"):
            (folder / other).unlink(missing_ok=True)
        (folder / name).write_bytes(damaged_text(valid, rng))
        check_video(folder)

    return case


def image_set(folder: Path) -> Callable:
    """Folders of images whose names are damaged, or named by a damaged list as MSMT17 has it."""
    content = written("a.png", lambda path: encoding.write_image(path, picture(0)), folder)
    listed = "".join(f"{p:04d}/{p:04d}_00{c}_0{c}_1.jpg {p}\n" for p in (1, 2) for c in (1, 2))
    count = 0

    def case(rng: random.Random) -> None:
        nonlocal count
        count += 1
        root = folder / f"set{count}"
        root.mkdir()
        if rng.random() < 0.3:
            for part in ("train", "query", "gallery"):
                text = damaged_text(listed.encode(), rng) if rng.random() < 0.5 else listed.encode()
                (root / f"list_{part}.txt").write_bytes(text)
        for person in range(1, 5):
            for camera in (1, 2):
                parts = [rng.choice(["train", "query", "gallery", "Val", "cam1", f"{person:04d}"])]
                parts += [str(person)] if rng.random() < 0.3 else []
                name = formats.market_name(person, camera, 7)
                if rng.random() < 0.3:
                    odd = damaged_text(name.encode(), rng).replace(b"/", b"").replace(b"\0", b"")
                    name = os.fsdecode(odd[:200]) or "x.jpg"
                with contextlib.suppress(FileExistsError, IsADirectoryError, NotADirectoryError):
                    root.joinpath(*parts).mkdir(parents=True, exist_ok=True)
                    root.joinpath(*parts, name).write_bytes(content)
        data = datasets.load(root)
        assert list(data.train) == ["path", "pid", "camid"] and (data.train.pid > 0).all()

    return case


def image(folder: Path) -> Callable:
    valid = [cv2.imencode(f".{e}", picture(0))[1].tobytes() for e in ("jpg", "png", "webp", "bmp")]
    tiff = cv2.imencode(".tiff", picture(0))[1].tobytes()

    def case(rng: random.Random) -> None:
        (folder / "case.jpg").write_bytes(damaged(rng.choice([*valid, tiff]), rng))
        found = encoding.read_image(folder / "case.jpg")
        assert found.dtype == np.uint8 and found.ndim == 3 and found.shape[2] == 3

    return case


def check_video(source: Path) -> None:
    """Look at a video and read it; what was found must be possible."""
    about, times = video.probe(source), video.times(source)
    assert np.isfinite(times).all() and about.frames == len(times) and about.fps > 0
    for _, seconds, image in video.read(source, stop=40):
        assert np.isfinite(seconds) and image.dtype == np.uint8 and image.ndim == 3


def film(folder: Path) -> Callable:
    valid = {}
    for ending in ("mp4", "mkv", "avi"):
        images = [picture(i) for i in range(8)]
        path = folder / f"a.{ending}"
        valid[ending] = written(path.name, lambda p, i=images: encoding.write(p, i, 10), folder)

    def case(rng: random.Random) -> None:
        ending = rng.choice(list(valid))
        path = folder / f"case.{ending}"
        path.write_bytes(damaged(valid[ending], rng))
        try:
            check_video(path)
        finally:
            path.unlink()

    return case


def weights(folder: Path) -> Callable:
    import torch

    from reidlib.features import extractors
    from reidlib.model import networks

    path, content = folder / "case.pt", {}
    networks.save(networks.SiameseHead(4, 3, 5), path, size=(8, 4), threshold=0.3)
    content["head"] = path.read_bytes()
    networks.save(networks.SiameseNetwork("tiny", 8), path, size=(8, 4), threshold=0.3)
    content["network"] = path.read_bytes()

    def case(rng: random.Random) -> None:
        valid = content["head" if rng.random() < 0.7 else "network"]
        if rng.random() < 0.5:
            path.write_bytes(damaged_archive(valid, rng))
        else:
            nested = torch.load(io.BytesIO(valid), weights_only=True)
            torch.save(damaged_value(nested, rng), path)
        networks.load(path)
        found = extractors.load(path)([picture(0), picture(1)])
        assert found.shape[0] == 2 and found.dtype == np.float32

    return case


def checkpoint(folder: Path) -> Callable:
    import torch

    from reidlib.model import networks, training

    rng = np.random.default_rng(0)
    data = rng.normal(size=(12, 4)).astype(np.float32), np.repeat(np.arange(3), 4)
    path, kept = folder / "case.pt", []

    def train(checkpoint: Path, on_epoch=None) -> pd.DataFrame:
        torch.manual_seed(0)
        settings = {"epochs": 2, "identities": 2, "images": 2, "device": "cpu", "progress": False}
        model = networks.SiameseHead(4, 3, 5)
        return training.fit(model, data, checkpoint=checkpoint, on_epoch=on_epoch, **settings)

    train(path, lambda row: kept.append(path.read_bytes()))

    def case(rng: random.Random) -> None:
        valid = rng.choice(kept)
        if rng.random() < 0.4:
            path.write_bytes(damaged_archive(valid, rng))
        else:
            nested = torch.load(io.BytesIO(valid), weights_only=True)
            torch.save(damaged_value(nested, rng), path)
        history = train(path)
        assert history.epoch.tolist() == [1, 2]

    return case


def field(number: int, value: int | bytes | str) -> bytes:
    """Return one field as protocol buffers write it: a number, or text with its length."""
    if isinstance(value, int):
        return bytes([number << 3, value])
    value = value.encode() if isinstance(value, str) else value
    low, high = len(value) % 128, len(value) // 128
    return bytes([number << 3 | 2, *([low | 128, high] if high else [low])]) + value


def tensor(name: str, *sides: int) -> bytes:
    shape = b"".join(field(1, field(1, side)) for side in sides)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, shape)))


def onnx() -> bytes:
    """Return an ONNX file that gives the mean colour of images (1, 3, 16, 8)."""
    steps = [("x", "GlobalAveragePool", "m"), ("m", "Flatten", "y")]
    nodes = b"".join(
        field(1, field(1, taken) + field(2, given) + field(4, kind)) for taken, kind, given in steps
    )
    ends = field(11, tensor("x", 1, 3, 16, 8)) + field(12, tensor("y", 1, 3))
    threshold = field(14, field(1, "threshold") + field(2, "0.25"))
    return field(1, 8) + field(7, nodes + field(2, "g") + ends) + field(8, field(2, 13)) + threshold


def exported(folder: Path) -> Callable:
    """Networks for features, ONNX and OpenVINO."""
    import openvino as ov

    from reidlib.features import extractors

    path = folder / "case.onnx"
    path.write_bytes(onnx())
    network = assets.read_network(path)
    ov.save_model(network, folder / "case.xml")
    (valid_xml, valid_onnx) = (folder / "case.xml").read_bytes(), path.read_bytes()

    def case(rng: random.Random) -> None:
        name, valid = rng.choice([("case.onnx", valid_onnx), ("case.xml", valid_xml)])
        change = damaged_text if name == "case.xml" and rng.random() < 0.7 else damaged
        (folder / name).write_bytes(change(valid, rng))
        found = extractors.load(folder / name)([picture(0), picture(1)])
        assert np.isfinite(found).all() and len(found) == 2

    return case


def detector(folder: Path) -> Callable:
    """A network for boxes, an OpenVINO folder with the names of its classes."""
    from test_detectors import bright_network

    from reidlib.detection import detectors

    root = bright_network(folder, 64, 64)
    (root / "bright.bin").touch()
    names = ("bright.xml", "bright.bin", "metadata.yaml")
    valid = {name: (root / name).read_bytes() for name in names}

    def case(rng: random.Random) -> None:
        for name, content in valid.items():
            (root / name).write_bytes(content)
        name = rng.choice(names)
        change = damaged if name == "bright.bin" or rng.random() < 0.3 else damaged_text
        (root / name).write_bytes(change(valid[name], rng))
        table = detectors.load(root, device="cpu")([picture(0)])[0]
        assert np.isfinite(table.to_numpy(float)).all()

    return case


def names(folder: Path) -> Callable:
    """Commands that are given odd names: one line of error and status 2, or a result."""
    # What these do when they are loaded is their own.
    import openvino  # noqa: F401
    import torch  # noqa: F401
    import ultralytics  # noqa: F401

    clip, place = folder / "clip.mp4", folder / "work"
    encoding.write(clip, [picture(i) for i in range(4)], 10)
    (folder / "gt.txt").write_text("1,1,5,10,15,30,1,1,1\n")
    place.mkdir()
    os.chdir(place)
    shared = {"SOURCE": str(clip), "--out": "result"}
    commands = {
        "collect": {**shared, "--every": "1s", "--fps": None},
        "track": {**shared, "--detector": None, "--features": "histogram", "--truth": None},
        "extract": {**shared, "--features": "histogram", "--tracks": str(folder / "gt.txt")},
        "train": {**shared, "--epochs": "1", "--loss": None, "--margin": None, "--backbone": None},
        "evaluate": {"SOURCE": str(folder), "--model": "histogram"},
        "demo": {**shared, "--start": None, "--truth": None, "--features": "histogram"},
    }

    def case(rng: random.Random) -> None:
        command = rng.choice(list(commands))
        options = dict(commands[command])
        chosen = rng.choice(list(options))
        word = rng.choice(WORDS)
        if rng.random() < 0.2:
            word = os.fsdecode(rng.randbytes(rng.randrange(1, 40)).replace(b"\0", b"0"))
        if chosen == "SOURCE" and re.fullmatch(r"\d{1,3}|plaza", word):
            word = "x" + word  # neither the user's webcam, nor ten minutes of work
        if chosen == "--out" and word.startswith("/"):
            word = f"./{word}"
        options[chosen] = word
        words = [command]
        for name, value in options.items():
            words += [] if value is None else [value] if name == "SOURCE" else [name, value]
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = __main__.main(words)
        errors = [line for line in err.getvalue().splitlines() if line.startswith("error: ")]
        assert status in (0, 2), f"status {status} of {words}"
        assert len(errors) == (status == 2), f"{words} gave {err.getvalue()!r}"
        assert all(len(line) > 12 for line in errors) and "Traceback" not in err.getvalue()

    return case


KINDS = {
    maker.__name__: maker
    for maker in (
        mot, cvat, calibration, site, features, frames, image_set, image, film, weights, checkpoint,
        exported, detector, names,
    )
}  # fmt: skip


# Running cases


class Guard:
    """Notes what a case does that reading has no reason to do."""

    def __init__(self, folder: Path):
        self.folder, self.seen, self.active = str(folder), [], False
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple) -> None:
        if not self.active:
            return
        if EXECUTES.match(event):
            self.seen.append(f"{event} {arguments[:1]!r:.80}")
        if event == "open" and isinstance(arguments[0], (str, os.PathLike)):
            name, mode, flags = os.fspath(arguments[0]), arguments[1] or "", arguments[2] or 0
            writes = set(mode) & set("wax+") if mode else flags & (os.O_WRONLY | os.O_RDWR)
            if writes and not os.path.realpath(name).startswith((self.folder, os.devnull)):
                self.seen.append(f"wrote to {name!r:.80}")


def fault_of(case: Callable, rng: random.Random) -> str:
    """Run a case and return what is wrong with how it ended, "" if nothing is."""
    try:
        with warnings.catch_warnings(record=True) as notes:
            warnings.simplefilter("always")
            case(rng)
    except ALLOWED as error:
        text = str(error).strip()
        return "" if text and "\n" not in text else f"a message not of one line: {text!r:.300}"
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-3:]
        places = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in where[::-1])
        return f"{type(error).__name__}: {error!s:.300} ({places})"
    odd = [n for n in notes if n.category is RuntimeWarning or "\n" in str(n.message)]
    return f"a note {odd[0].message!s:.200}" if odd else ""


def run(folder: Path, kind: str, first: int, last: int, guard: Guard) -> int:
    """Run the cases of a kind and print those that go wrong; return how many."""
    place = folder / kind
    place.mkdir()
    case, wrong = KINDS[kind](place), 0
    for number in range(first, last):
        print(f"case {kind}:{number}", flush=True)
        faulthandler.dump_traceback_later(3 * SECONDS, exit=True)
        began, guard.seen, guard.active = time.monotonic(), [], True
        fault = fault_of(case, random.Random(f"{kind} {number}"))
        guard.active = False
        seconds = time.monotonic() - began
        faulthandler.cancel_dump_traceback_later()
        left = [path for path in folder.rglob(".*-reidlib-*")]
        faults = [fault, *guard.seen, *(f"left {path}" for path in left)]
        faults += [f"took {seconds:.0f} s"] if seconds > SECONDS else []
        for text in filter(None, faults):
            print(f"fault {kind}:{number} {ascii(text)}", flush=True)
            wrong += 1
        for path in left:
            path.unlink()
    return wrong


def peak_memory() -> float:
    """Return the bytes that this process took at its largest, 0 where the system does not say."""
    try:
        import resource
    except ImportError:
        return 0.0
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main(words: list[str]) -> int:
    """Run ``FOLDER KIND:FIRST:LAST ...`` and return how many faults were found."""
    faulthandler.enable()
    folder = Path(words[0]).resolve()
    tempfile.tempdir = str(folder)
    guard, wrong = Guard(folder), 0
    parts = [word.split(":") for word in words[1:]]
    for kind, first, last in parts:
        before = peak_memory()
        wrong += run(folder, kind, int(first), int(last), guard)
        taken = peak_memory() - before
        if taken > MEMORY:
            print(f"fault {kind} took {taken / 1e6:.0f} MB", flush=True)
            wrong += 1
    return min(wrong, 99)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
