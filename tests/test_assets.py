import errno
import hashlib
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from reidlib import assets

CONTENT = b"some weights" * 1000
CHECKSUM = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A web server with one file; `cut` promises more than it sends. Yields its address."""
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path / "cache"))

    class Handler(BaseHTTPRequestHandler):
        asked = 0

        def do_GET(self):
            Handler.asked += 1
            self.send_response(200 if self.path in ("/file", "/cut") else 404)
            promised = len(CONTENT) * (2 if self.path == "/cut" else 1)
            self.send_header("Content-Length", str(promised))
            self.end_headers()
            self.wfile.write(CONTENT)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}", Handler
        running.shutdown()


def test_data(tmp_path, monkeypatch):
    (tmp_path / "plaza").mkdir()
    (tmp_path / "plaza" / "cameras.json").write_text("{}")
    monkeypatch.setenv("REIDLIB_DATA", str(tmp_path))
    assert assets.data("plaza", "cameras.json") == tmp_path / "plaza" / "cameras.json"
    with pytest.raises(FileNotFoundError, match="'plaza/none' not found in .* set REIDLIB_DATA"):
        assets.data("plaza", "none")


def test_atomic_replaces_in_one_step(tmp_path):
    path = tmp_path / "new" / "table.csv"
    with assets.atomic(path) as temporary:
        assert temporary.suffix == ".csv" and temporary.parent == path.parent
        temporary.write_text("one")
        assert not path.exists()
    with assets.atomic(path) as temporary:
        temporary.write_text("two")
        assert path.read_text() == "one"
    assert path.read_text() == "two" and list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt, SystemExit])
def test_atomic_keeps_the_old_file_when_it_fails(tmp_path, failure):
    path = tmp_path / "table.csv"
    path.write_text("old")
    with pytest.raises(failure), assets.atomic(path) as temporary:
        temporary.write_text("half")
        raise failure
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="rights are not bits on Windows")
def test_ctrl_c_at_any_moment_leaves_one_whole_file(tmp_path):
    """It is pressed at every call, and at every return from C, at which Python looks for it."""
    path, moment, pressed = tmp_path / "table.csv", 0, True

    def press(frame, event, _):
        nonlocal countdown
        if event in ("call", "c_return") and countdown >= 0:
            countdown -= 1
            if countdown < 0:
                raise KeyboardInterrupt

    while pressed:
        path.write_text("old")
        countdown, moment = moment, moment + 1
        sys.setprofile(press)
        try:
            with assets.atomic(path) as temporary:
                temporary.write_text("new")
            assets.check_writable(path)
        except KeyboardInterrupt:
            pass
        finally:
            sys.setprofile(None)
        pressed = countdown < 0
        assert path.read_text() in ("old", "new") and os.listdir(tmp_path) == ["table.csv"], moment
    assert moment > 50 and path.read_text() == "new"


def test_atomic_gives_the_rights_of_any_new_file(tmp_path):
    before = os.umask(0o022)
    try:
        with assets.atomic(tmp_path / "file") as temporary:
            temporary.write_text("text")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


def test_atomic_in_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(OSError, match=r"cannot write .*table\.csv: .*; choose another"),
        assets.atomic(tmp_path / "file" / "table.csv"),
    ):
        pytest.fail("the block must not run")


def test_atomic_in_place_of_a_folder(tmp_path):
    with (
        pytest.raises(IsADirectoryError, match="it is a folder; give the name of a file"),
        assets.atomic(tmp_path),
    ):
        pytest.fail("the block must not run")
    assert list(tmp_path.iterdir()) == []


def test_fetch_downloads_once(server):
    address, handler = server
    path = assets.fetch(f"{address}/file", "weights.pt", CHECKSUM)
    assert path.read_bytes() == CONTENT and assets.sha256(path) == CHECKSUM
    assert assets.fetch(f"{address}/file", "weights.pt", CHECKSUM) == path
    assert handler.asked == 1
    assert assets.fetch(f"{address}/file", "weights.pt", CHECKSUM[:8]) == path
    path.write_bytes(b"damaged")  # a wrong file in the cache is replaced
    assert assets.fetch(f"{address}/file", "weights.pt", CHECKSUM).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("name", "message"),
    [("file", "checksum differs"), ("cut", "the connection was cut after"), ("none", "Not Found")],
)
def test_fetch_keeps_nothing_wrong(server, name, message):
    with pytest.raises(assets.Unavailable, match=message):
        assets.fetch(f"{server[0]}/{name}", "weights.pt", "0" * 64 if name == "file" else "")
    assert list(assets.cache().iterdir()) == []


class Handler(BaseHTTPRequestHandler):
    """A server that answers as its address says, and as no good server does."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        if self.path == "/chunks":  # one whole chunk, then a part of the next
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(b"5\r\nhello\r\n100\r\nhal")
            self.close_connection = True
        elif self.path.endswith("drip"):
            drop = b"."
            if self.path == "/header-drip":
                self.flush_headers()
                drop = b"x"
            elif self.path == "/chunk-drip":  # the length of a chunk, which never ends
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                drop = b"0"
            else:
                self.end_headers()
            for _ in range(400):  # twenty seconds
                try:
                    self.wfile.write(drop)
                except OSError:
                    break
                time.sleep(0.05)
            self.close_connection = True
        else:
            page = b"" if self.path == "/empty" else b"\n <!DOCTYPE html><p>Please log in"
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

    def log_message(self, *_):
        pass


@pytest.fixture
def bad_server(tmp_path, monkeypatch):
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path / "cache"))
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("chunks", "IncompleteRead"),
        ("page", "a web page in place of weights.pt.*log in"),
        ("empty", "cut after 0"),
        ("drip", r"only \d+ bytes came"),
        ("header-drip", "only 0 bytes came"),
        ("chunk-drip", "only 0 bytes came"),
    ],
)
def test_fetch_from_a_server_that_gives_no_file(bad_server, name, message):
    began = time.monotonic()
    with pytest.raises(assets.Unavailable, match=message):
        assets.fetch(f"{bad_server}/{name}", "weights.pt", timeout=0.5)
    assert list(assets.cache().iterdir()) == [] and time.monotonic() - began < 10


def test_fetch_from_a_server_that_says_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path))
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(assets.Unavailable, match="timed out"),
    ):
        assets.fetch(f"http://127.0.0.1:{silent.getsockname()[1]}/file", "w.pt", timeout=0.3)


def test_a_page_in_the_cache_is_no_file(server):
    address, handler = server
    (assets.cache() / "weights.pt").write_text("<html>log in")
    assert assets.fetch(f"{address}/file", "weights.pt").read_bytes() == CONTENT
    assert handler.asked == 1


def test_fetch_without_a_network(tmp_path, monkeypatch):
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path))
    with pytest.raises(assets.Unavailable, match=r"connect to the internet, or put the file at"):
        assets.fetch("http://127.0.0.1:9/weights.pt", "weights.pt")
    (tmp_path / "weights.pt").write_bytes(CONTENT)  # put there by hand, no network is needed
    assert assets.fetch("http://127.0.0.1:9/weights.pt", "weights.pt") == tmp_path / "weights.pt"


def test_cache_is_made_when_needed(tmp_path, monkeypatch):
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path / "a" / "b"))
    assert assets.cache() == tmp_path / "a" / "b" and assets.cache().is_dir()
    monkeypatch.delenv("REIDLIB_CACHE")
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")
    assert assets.cache() == tmp_path / "home" / ".cache" / "reidlib"


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_no_input_is_an_output_and_no_output_is_written_twice(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clip.mp4").touch()
    (tmp_path / "link.mp4").symlink_to("clip.mp4")
    assets.refuse_overwriting(["clip.mp4", "0", None, "a" * 300], ["0", "out.txt", None])
    for name in ("clip.mp4", tmp_path / "clip.mp4", "link.mp4", "sub/../clip.mp4"):
        with pytest.raises(ValueError, match="would write over .*mp4, which is the input"):
            assets.refuse_overwriting([None, "clip.mp4"], ["out.txt", name])
    with pytest.raises(ValueError, match="written twice"):
        assets.refuse_overwriting([], ["out.txt", "./out.txt"])


# What is written where


def test_atomic_follows_a_link(tmp_path):
    (tmp_path / "far").mkdir()
    link = tmp_path / "table.csv"
    link.symlink_to(tmp_path / "far" / "real.csv")
    for text in ("new", "newer"):  # at first the link points to nothing
        with assets.atomic(link) as temporary:
            temporary.write_text(text)
        assert link.is_symlink() and (tmp_path / "far" / "real.csv").read_text() == text
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_atomic_leaves_devices_and_pipes(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/null")
    for path in (tmp_path / "pipe", tmp_path / "link", "/dev/null"):
        for act in (lambda path: assets.atomic(path).__enter__(), assets.check_writable):
            with pytest.raises(OSError, match="it is a device or a pipe"):
                act(path)
    assert (tmp_path / "pipe").is_fifo() and Path("/dev/null").is_char_device()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "pipe"]


@pytest.mark.parametrize("name", [".npz", "...npz", "v.npz", f"{'long' * 60}.npz"])
def test_writers_that_add_an_ending_find_one(tmp_path, name):
    with assets.atomic(tmp_path / name) as temporary:
        np.savez(temporary, numbers=np.arange(3))  # adds .npz to names that do not end in it
    assert [p.name for p in tmp_path.iterdir()] == [name]
    assert np.load(tmp_path / name)["numbers"].tolist() == [0, 1, 2]


def test_what_a_killed_run_leaves_is_removed(tmp_path):
    code = (
        "import os, signal, sys; from reidlib import assets\n"
        "with assets.atomic(sys.argv[1]) as temporary:\n"
        "    temporary.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    path, root = tmp_path / "table.csv", assets.PACKAGE.parent
    path.write_text("old")
    killed = subprocess.run([sys.executable, "-c", code, path], cwd=root, check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = (p for p in tmp_path.iterdir() if p != path)
    assert left.read_text() == "half" and path.read_text() == "old"
    mine = [".table-backup.csv", ".reidlib", "table.csv.tmp", ".a-reidlib-notes.csv"]
    for name in mine:
        (tmp_path / name).write_text("of somebody else")
    with assets.atomic(tmp_path / "other.csv") as running:
        assets.sweep.cache_clear()
        assets.check_writable(path)
        assert running.exists() and not left.exists()
    assert {p.name for p in tmp_path.iterdir()} == {"table.csv", "other.csv", *mine}


def test_what_another_machine_left_is_removed_after_a_day(tmp_path):
    old, new = (tmp_path / f".table-reidlib-elsewhere-1-{name}.csv" for name in ("old", "new"))
    old.write_text("")
    new.write_text("")
    os.utime(old, (time.time() - 2 * assets.DAY,) * 2)
    assets.check_writable(tmp_path / "table.csv")
    assert list(tmp_path.iterdir()) == [new]


# What files from elsewhere claim


def test_an_archive_far_larger_than_its_file(tmp_path):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for i in range(600):
            archive.writestr(f"{i}.npy", bytes(1_000_000))
    assert path.stat().st_size < 1_000_000
    with pytest.raises(ValueError, match=r"bomb.npz would take 600 MB when unpacked"):
        assets.check_archive(path)
    np.savez_compressed(tmp_path / "zeros.npz", np.zeros(1_000_000))
    assets.check_archive(tmp_path / "zeros.npz")


def test_pickled_names_are_read_and_not_called(tmp_path):
    path = tmp_path / "weights.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weights/data.pkl", pickle.dumps([os.mkdir, np.dtype], protocol=2))
    assert assets.pickled_names(path) == {f"{os.name}.mkdir", "numpy.dtype"}
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("other/data.pkl", b"")
    with pytest.raises(ValueError, match="holds 2 pickles"):
        assets.pickled_names(path)


@pytest.mark.parametrize("shape", [[1, 3, 20_000, 20_000], [1, 3, 64, 64]])
def test_a_network_that_works_on_more_than_memory_holds(tmp_path, shape):
    ov = pytest.importorskip("openvino")
    op = ov.opset13
    image = op.parameter(shape, np.float32)
    ov.save_model(ov.Model([op.relu(image)], [image]), tmp_path / "net.xml")
    network = assets.read_network(tmp_path / "net.xml")
    if shape[2] == 64:
        assets.check_network(network, tmp_path / "net.xml")
        network.reshape([12_000, *shape[1:]])
    with pytest.raises(ValueError, match="works on numbers of shape .*at most 537 MB"):
        assets.check_network(network, tmp_path / "net.xml")


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\x08\x07hello", b"<net hello", b"<net version='11'></net>"]
)
@pytest.mark.parametrize("ending", [".onnx", ".xml"])
def test_damaged_networks_are_silent(tmp_path, capfd, content, ending):
    pytest.importorskip("openvino")
    path = tmp_path / f"net{ending}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is not a network in the format.*export it again"):
        assets.read_network(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["cuda:99", "meta", "graphics"])
def test_a_device_that_is_not_there(name):
    with pytest.raises(ValueError, match=f"has no device '{name}'.*use 'cpu'"):
        assets.check_device(name)


def test_nothing_phones_home():
    """OpenVINO reports its import, Ultralytics its use, to Google Analytics if nobody objects."""
    code = """
import socket, sys, threading
asked = []
def refuse(*address, **_):
    asked.append(address)
    raise OSError("no network here")
socket.getaddrinfo = socket.socket.connect = refuse
from reidlib import assets
from reidlib.detection import detectors
assets.openvino_core()
assert not [name for name, module in sys.modules.items() if "openvino_telemetry" in name and module]
detectors._import("ultralytics.nn.tasks")
from ultralytics.utils import ONLINE, AUTOINSTALL, events
assert not ONLINE and not AUTOINSTALL and not events.events.enabled
assert not asked and threading.active_count() == 1, (asked, threading.enumerate())
"""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("CI", "YOLO_OFFLINE")
    }
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_a_read_only_file_system_is_told_by_the_name_that_was_given(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system", "a temporary name")

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(OSError, match=r"cannot write .*t\.txt: Read-only.*choose another output"):
        assets.check_writable(tmp_path / "t.txt")
