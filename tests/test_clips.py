"""Many clips: each is done once, here or by workers that may die, and failures are told apart."""

import os
import random
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from stand_ins import follow_white, in_white

from reidlib import __main__, assets
from reidlib.collection import encoding, formats, privacy
from reidlib.demonstration import clips, pipeline
from reidlib.detection import detectors
from reidlib.features import extractors

NAMES = ("a", "b", "c", "d")


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Four films of a second, in each of which a light box walks at another height."""
    folder, rng = tmp_path_factory.mktemp("films"), np.random.default_rng(0)
    for number, name in enumerate(NAMES):
        ground = rng.integers(60, 120, (120, 160, 3), dtype=np.uint8)
        with encoding.Writer(folder / f"{name}.mp4", 10) as writer:
            for frame in range(10):
                image = ground.copy()
                image[20 + 10 * number : 70 + 10 * number, 10 + 5 * frame : 34 + 5 * frame] = 240
                writer.write(image)
    return [str(folder / f"{name}.mp4") for name in NAMES]


def tasks(films, out, **values):
    return clips.jobs(follow_white, films, Path(out), ".txt", {"detector": "white"}, **values)


def starts(log):
    return Path(log).read_text("utf-8").split()[::2] if Path(log).exists() else []


def results(out):
    return {path.name: path.read_bytes() for path in Path(out).glob("*.txt")}


def test_what_is_there_is_not_done_again(films, tmp_path):
    out, log = tmp_path / "out", str(tmp_path / "log")
    clips.run(tasks(films[:2], out))
    clips.run(tasks(films, out, log=log)[2:])
    # The log is one of the values: with it the first two are other jobs, and are done anew.
    clips.run(tasks(films, out, log=log))
    assert starts(log) == ["c", "d", "a", "b"]
    before = results(out)
    assert sorted(before) == ["a.txt", "b.txt", "c.txt", "d.txt"]
    clips.run(tasks(films, out, log=log))
    assert len(starts(log)) == 4

    (out / "a.txt").write_bytes(before["a.txt"][:-1])  # somebody changed it
    (out / "b.note.json").write_text("[]")
    (out / "c.note.json").write_text('{"made with": {}, "fil')  # half written by other hands
    os.utime(films[3], ns=(1, 1))  # another recording of that name
    clips.run(tasks(films, out, log=log))
    assert starts(log)[4:] == ["a", "b", "c", "d"] and results(out) == before


def test_names_that_clash_and_what_has_no_end(films, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="two videos are called a, .*rename one"):
        tasks([films[0], films[0]], tmp_path)
    with pytest.raises(ValueError, match="rtsp://door is live, or far away"):
        tasks([films[0], "rtsp://door"], tmp_path)
    with pytest.raises(FileNotFoundError, match=r"missing\.mp4"):
        tasks([films[0], "missing.mp4"], tmp_path)
    waiting = tasks(films[:2], tmp_path)
    with pytest.raises(ValueError, match="--workers 0; expected 1 or more"):
        clips.run(waiting, workers=0)
    with pytest.raises(ValueError, match="give one of the two"):
        clips.run(waiting, workers=2, scheduler="tcp://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(assets.Unavailable, match=r"need Dask: pip install -e '\.\[scale\]'"):
        clips.run(waiting, workers=2)


def test_some_failed_and_all_failed(films, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no film")
    out = tmp_path / "out"
    with pytest.raises(ValueError, match=r"^1 of 3 clips failed, the other 2 are in .*: broken: "):
        clips.run(tasks([films[0], str(broken), films[1]], out))
    assert sorted(results(out)) == ["a.txt", "b.txt"] and not (out / "broken.note.json").exists()
    with pytest.raises(ValueError, match="1 of 1 clips failed, nothing was made: broken: "):
        clips.run(tasks([str(broken)], out))


def test_a_bug_is_not_taken_for_a_bad_clip(films, tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "write_mot", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        clips.run(tasks(films, tmp_path))


def test_followed_clips_come_back_as_they_were(films, tmp_path, monkeypatch):
    monkeypatch.setattr(detectors, "load", lambda *_, **__: in_white)
    monkeypatch.setattr(in_white, "name", "white", raising=False)
    embed = extractors.load("histogram")
    direct, shared = pipeline.clips(films[:2]), pipeline.clips(films[:2])
    for clip in direct:
        pipeline.follow(clip, in_white, embed)
    clips.follow(shared, tmp_path / "followed", in_white, embed)
    for one, other in zip(direct, shared):
        for kind in clips.TABLES:
            pd.testing.assert_frame_equal(getattr(one, kind), getattr(other, kind))
        np.testing.assert_array_equal(one.vectors, other.vectors)
        assert one.notes == other.notes and one.notes  # pictures this small are remarked on
        assert one.vectors.dtype == other.vectors.dtype and list(one.crops) == list(other.crops)
        for track, kept in one.crops.items():
            assert [frame for frame, _ in kept] == [frame for frame, _ in other.crops[track]]
            assert all((x[1] == y[1]).all() for x, y in zip(kept, other.crops[track]))
    first = shared[0].seconds
    again = pipeline.clips(films[:2])
    clips.follow(again, tmp_path / "followed", in_white, embed)
    assert again[0].seconds == first  # read, not followed again
    clips.follow(again, tmp_path / "followed", in_white, embed, detect_every=2)
    assert again[0].seconds != first


@pytest.fixture
def call(capsys):
    """Run a command in this process; returns status, standard output and standard error."""

    def run(*arguments):
        status = __main__.main([str(argument) for argument in arguments])
        return status, *capsys.readouterr()

    return run


def test_commands_take_several_videos(films, tmp_path, call, monkeypatch):
    monkeypatch.setattr(detectors, "load", lambda *_, **__: in_white)
    out = tmp_path / "tracks"
    status, said, _ = call("track", *films, "--out", out, "--features", "histogram", "--gate")
    assert status == 0 and said.splitlines()[-1] == f"4 clips in {out}"
    assert f"wrote {out / 'a.txt'}" in said and len(results(out)) == 4
    one = tmp_path / "one.txt"
    assert call("track", films[1], "--out", one, "--features", "histogram", "--gate")[0] == 0
    assert one.read_bytes() == (out / "b.txt").read_bytes()
    record = privacy.read_retention(out)
    assert {"a.txt", "a.note.json"} <= set(record["file"])
    status, _, _ = call("extract", *films[:2], "--out", tmp_path / "f", "--features", "histogram")
    assert status == 0 and sorted(path.name for path in (tmp_path / "f").glob("a.*")) == [
        "a.csv", "a.json", "a.note.json", "a.npz",
    ]  # fmt: skip


def test_commands_refuse(films, tmp_path, call, monkeypatch):
    monkeypatch.setattr(detectors, "load", lambda *_, **__: in_white)
    out, two = tmp_path / "out", films[:2]
    for words, expected in (
        (("track", films[0], "--workers", "2"), "give more than one"),
        (("demo", films[0], "--scheduler", "tcp://127.0.0.1:1"), "give more than one"),
        (("track", *two, "--video", "x.mp4"), "with 2 videos; give one"),
        (("extract", *two, "--tracks", "x.txt"), "--tracks are those of one video"),
        (("track", films[0], "--detect-every", "0"), "expected 1 or more"),
        (("track", films[0], "--gate", "--blur", "--video", out / "x.mp4"), "leave out --blur"),
        (("demo", films[0], "--detect-every", "2", "--blur"), "leave out --blur"),
        (("demo", films[0], "--detect-every", "two"), "is no whole number"),
        (("collect", *two, "--workers", "-1"), "--workers -1; expected 1 or more"),
        (("collect", films[0], films[0]), "two videos are called a"),
    ):
        status, _, error = call(*words, "--out", out)
        assert status == 2 and expected in error, words
    assert not results(out)


# On Dask


@pytest.fixture(scope="module")
def cluster():
    pytest.importorskip("distributed")
    with clips.local_cluster(2) as started:
        yield started


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9 on this system")
@pytest.mark.parametrize("seed", [0])
def test_a_worker_that_is_killed_costs_its_clip_only(films, tmp_path, cluster, seed):
    out, log, rng = tmp_path / "out", str(tmp_path / "log"), random.Random(seed)
    finished = []

    def kill():
        moment = rng.randint(1, len(films))
        while len(starts(log)) < moment:
            time.sleep(0.01)
        time.sleep(rng.choice([0.0, 0.1, 0.3]))
        finished.extend(path.name.partition(".")[0] for path in out.glob("*.note.json"))
        os.kill(int(Path(log).read_text("utf-8").split()[2 * moment - 1]), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    clips.run(tasks(films, out, log=log, seconds=0.3), scheduler=cluster.scheduler_address)
    killer.join()
    clips.run(tasks(films, tmp_path / "undisturbed"))
    assert results(out) == results(tmp_path / "undisturbed") and len(results(out)) == 4
    assert all(starts(log).count(name) == 1 for name in finished)
    assert len(starts(log)) <= 5


def test_a_worker_that_comes_back_late_is_not_given_up(cluster):
    """Dask's own 15 seconds are too few on a busy machine, and then nobody would go on."""
    import dask

    patience = dask.config.get("distributed.deploy.lost-worker-timeout")
    assert dask.utils.parse_timedelta(patience) >= 600


def test_workers_tell_failures_apart(films, tmp_path, cluster):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no film")
    out, address = tmp_path / "out", cluster.scheduler_address
    with pytest.raises(ValueError, match=r"^1 of 2 clips failed, the other 1 are in .*: broken: "):
        clips.run(tasks([films[0], str(broken)], out), scheduler=address)
    assert list(results(out)) == ["a.txt"]


def test_a_local_cluster_has_a_dashboard(films, tmp_path, call):
    pytest.importorskip("distributed")
    out = tmp_path / "frames"
    status, said, error = call("collect", *films[:2], "--out", out, "--workers", "1")
    assert status == 0, error
    assert "Dask's dashboard: http://127.0.0.1:" in said and said.endswith(f"2 clips in {out}\n")
    assert sorted(path.name for path in out.iterdir() if path.is_dir()) == ["a", "b"]
    assert "a/quality.csv" in set(privacy.read_retention(out)["file"])


def test_a_scheduler_that_does_not_answer(films, tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed")
    monkeypatch.setattr(clips, "PATIENCE", 1)
    for address in ("tcp://127.0.0.1:1", "no address"):
        with pytest.raises(assets.Unavailable, match=f"no Dask scheduler answers at {address}"):
            clips.run(tasks(films, tmp_path), scheduler=address)
    empty = distributed.LocalCluster(n_workers=0, dashboard_address=None, silence_logs="CRITICAL")
    with empty, pytest.raises(assets.Unavailable, match="has no workers; start some"):
        clips.run(tasks(films, tmp_path), scheduler=empty.scheduler_address)
