import hashlib
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

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
