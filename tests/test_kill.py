"""kill -9 at any moment: old files stay whole, running again gives what an undisturbed run gives.

A moment is the n-th time that a command makes, opens, renames or removes a file in its folder, and
up to a tenth of a second later: the same on slow machines and fast ones. ``REIDLIB_KILLS=20`` tries
that many for each command.
"""

import json
import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from reidlib.collection import encoding, formats, video

KILLS = int(os.environ.get("REIDLIB_KILLS", 2))
SCRIPT = """if True:
    import os, signal, sys, threading
    import numpy as np, pandas as pd
    from reidlib import __main__
    from reidlib.detection import detectors

    def find(images):  # stands in for a network: whatever is nearly white is a person
        tables = []
        for image in images:
            y, x = np.nonzero(image.min(axis=2) > 200)
            rows = [(x.min(), y.min(), x.max() + 1, y.max() + 1, 0.9)] if len(x) > 20 else []
            tables.append(pd.DataFrame(rows, columns=detectors.COLUMNS, dtype=float))
        return tables

    detectors.load = lambda *_, **__: find
    moment, delay, place = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
    count = 0

    def hear(event, arguments):
        global count
        if event not in ("open", "os.rename", "os.remove", "os.mkdir", "os.chmod"):
            return
        if not str(arguments[0]).startswith(place):
            return
        count += 1
        if count == moment and not delay:
            os.kill(os.getpid(), signal.SIGKILL)
        if count == moment:
            threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL)).start()

    sys.addaudithook(hear)
    status = __main__.main(sys.argv[4:])
    print("moments", count)
    sys.exit(status)
"""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """A film in which a light box walks to the right, and a data set of four people's colours."""
    folder, rng = tmp_path_factory.mktemp("inputs"), np.random.default_rng(0)
    ground = rng.integers(60, 120, (120, 160, 3), dtype=np.uint8)
    with encoding.Writer(folder / "clip.mp4", 10) as writer:
        for frame in range(20):
            image = ground.copy()
            image[40:100, 10 + 5 * frame : 34 + 5 * frame] = 240
            writer.write(image)
    for part, people in {"train": (1, 2), "query": (3, 4), "gallery": (3, 4)}.items():
        (folder / "people" / part).mkdir(parents=True)
        for pid in people:
            for camid in (1, 2):
                noise = rng.normal(60 * pid, 20, (64, 32, 3))
                name = formats.market_name(pid, camid, 7, index=part == "query")
                crop = np.clip(noise, 0, 255).astype(np.uint8)
                cv2.imwrite(str(folder / "people" / part / name), crop)
    return folder


COMMANDS = {
    "collect": ("collect", "clip.mp4", "--out", "{out}", "--every", "2"),
    "track": ("track", "clip.mp4", "--out", "{out}/t.txt", "--features", "histogram",
              "--video", "{out}/t.mp4"),
    "extract": ("extract", "clip.mp4", "--out", "{out}/f.npz", "--features", "histogram"),
    "train": ("train", "people", "--out", "{out}/m.pt", "--epochs", "2"),
    "demo": ("demo", "clip.mp4", "--out", "{out}", "--features", "histogram"),
}  # fmt: skip


def run(inputs, out, command, moment=0, delay=0.0):
    words = [word.replace("{out}", str(out)) for word in COMMANDS[command]]
    root = str(Path(__file__).parent.parent)
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, str(moment), str(delay), str(out), *words],
        cwd=inputs,
        env=os.environ | {"PYTHONPATH": root, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def without_times(value):
    if not isinstance(value, dict):
        return value
    timed = ("made", "seconds", "frames a second")
    return {name: without_times(part) for name, part in value.items() if name not in timed}


def content(path):
    """What a file says, without the seconds that it took; fails if it is not whole."""
    if path.suffix == ".npz":
        with np.load(path) as archive:
            return {name: archive[name].tobytes() for name in archive}
    if path.suffix == ".json":
        return without_times(json.loads(path.read_text("utf-8")))
    if path.suffix == ".html":  # times and paces have one decimal in its tables
        pace = r"<td>\d+\.\d</td>|<b>\d+</b>frames a second"
        return re.sub(pace, "", path.read_text("utf-8"))
    if path.name == "retention.csv":  # films' checksums vary with their bytes
        return pd.read_csv(path)[["file", "command", "keep_days"]].to_csv()
    if path.suffix == ".csv" and "seconds" in path.read_text():
        table = pd.read_csv(path)
        return table.drop(columns=["seconds", "images_per_second"]).to_csv()
    return path.read_bytes()


def same(path, other):
    """Say whether two files say the same; of films, whose bytes x264 varies, it is the pictures."""
    if path.suffix != ".mp4":
        return content(path) == content(other)
    films = [np.array([image for _, _, image in video.read(film)], float) for film in (path, other)]
    return films[0].shape == films[1].shape and np.abs(films[0] - films[1]).mean() < 0.5


def contents(folder):
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path for path in paths}


def is_temporary(name):
    return "-reidlib-" in name


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9 on this system")
@pytest.mark.parametrize("command", COMMANDS)
def test_killed_at_any_moment(inputs, tmp_path, command):
    undisturbed = tmp_path / "undisturbed"
    result = run(inputs, undisturbed, command)
    assert result.returncode == 0, result.stderr
    moments = int(result.stdout.split()[-1])
    expected = contents(undisturbed)
    assert moments > len(expected) > 1
    for number in range(KILLS):
        rng = random.Random(f"{command} {number}")
        moment, delay = rng.randint(1, moments), rng.choice([0.0, 0.0, 0.01, 0.1])
        out = tmp_path / str(number)
        # Frames that are there are kept: that is how a collection goes on.
        old = [name for name in expected if not name.startswith(("frame_", "source"))]
        for name in old:
            (out / name).parent.mkdir(parents=True, exist_ok=True)
            (out / name).write_bytes(b"old")
        killed = run(inputs, out, command, moment, delay)
        where = f"{command}, killed at moment {moment} of {moments} and {delay} s"
        assert killed.returncode == -signal.SIGKILL, f"{where}: {killed.stderr}"
        for name, path in contents(out).items():
            if name in expected and path.read_bytes() != b"old":
                assert same(path, expected[name]), f"{where}: {name} is half written"
        assert set(old) <= set(contents(out)), where
        again = run(inputs, out, command)
        assert again.returncode == 0, f"{where}: {again.stderr}"
        found = contents(out)
        assert not list(filter(is_temporary, found)), where
        assert set(found) == set(expected), where
        for name, path in found.items():
            assert same(path, expected[name]), f"{where}: {name} differs after running again"
