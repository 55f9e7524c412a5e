"""Networks of real people by name: from a hub that stands in for the real one, and without it."""

import contextlib
import os
import subprocess
import sys
import threading
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from reidlib import assets
from reidlib.features import extractors, real_people

LOAD = f"""
import numpy as np
from reidlib.features import extractors
crops = np.random.default_rng(0).integers(0, 256, (3, 60, 30, 3), np.uint8)
extractor = extractors.load({real_people.BEST!r})
vectors = extractor(list(crops))
print(extractor.size, vectors.shape, float(np.linalg.norm(vectors, axis=1).mean().round(5)))
print(",".join(f"{{value:.4f}}" for value in vectors[0, :4]))
"""


@contextlib.contextmanager
def hub(content: bytes):
    """Serve one file as Hugging Face's hub does; yields its address and what was asked for."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            asked.append(self.path)
            self.send_response(200)
            self.send_header("ETag", '"0123456789abcdef"')
            self.send_header("X-Repo-Commit", "0" * 40)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()

        def do_GET(self):
            self.do_HEAD()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def run(code: str, address: str, home) -> subprocess.CompletedProcess:
    """Run Python where the hub is at `address` and nothing was downloaded before."""
    settings = {"HF_ENDPOINT": address, "HF_HOME": str(home), "REID_CACHE_DIR": str(home)}
    settings |= {"HF_HUB_DISABLE_XET": "1", "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300,
        env=os.environ | settings,
    )  # fmt: skip


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """OSNet with random weights, as its authors save theirs, and the vector of one picture."""
    pytest.importorskip("reid")
    import torch
    from reid import architectures

    torch.manual_seed(7)
    network = architectures.build_architecture("osnet_x1_0").eval()
    path = tmp_path_factory.mktemp("hub") / "osnet.pth"
    state = {f"module.{name}": value for name, value in network.state_dict().items()}
    torch.save(state | {"module.classifier.weight": torch.zeros(9, 512)}, path)
    network.dim = 512
    crops = np.random.default_rng(0).integers(0, 256, (3, 60, 30, 3), np.uint8)
    vector = extractors._torch("same", network, (256, 128), "cpu")(list(crops))[0]
    return path.read_bytes(), ",".join(f"{value:.4f}" for value in vector[:4])


def test_a_named_network_comes_from_the_hub_once(weights, tmp_path):
    content, vector = weights
    with hub(content) as (address, asked):
        done = run(LOAD, address, tmp_path)
        assert done.returncode == 0, done.stderr[-2000:]
        assert done.stdout.split("\n")[:2] == ["(256, 128) (3, 512) 1.0", vector]
        assert any("/kaiyangzhou/osnet/resolve/main/osnet_x1_0_msmt17" in path for path in asked)


def test_weights_that_would_run_code_or_are_damaged_are_refused(weights, tmp_path):
    import pickle

    class Harm:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "harm"),)

    for number, content in enumerate([pickle.dumps({"a": Harm()}), weights[0][:90_000]]):
        with hub(content) as (address, _):
            done = run(LOAD, address, tmp_path / str(number))
        last = done.stderr.strip().splitlines()[-1]
        assert "Unavailable" in last and "nothing in them was run" in last, done.stderr[-2000:]
    assert not (tmp_path / "harm").exists()


def test_without_a_network_one_sentence_says_what_to_do(tmp_path):
    pytest.importorskip("reid")
    done = run(LOAD, "http://127.0.0.1:9", tmp_path)
    last = done.stderr.strip().splitlines()[-1]
    assert "Unavailable" in last and "connect to the internet" in last and len(last) < 500


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(assets, "has", lambda name: name != "reid")
    with pytest.raises(assets.Unavailable, match=r"\.\[real\]"):
        extractors.load(real_people.BEST)


def test_the_names_are_those_of_the_package():
    catalog = pytest.importorskip("reid.catalog")
    assert set(real_people.NAMES) <= set(catalog.ALIASES)


def test_advice_is_for_footage_of_ones_own(tmp_path):
    with warnings.catch_warnings(action="error"):
        real_people.advise("plaza", [assets.data("plaza", "clips", "c1_day.mp4")])
        real_people.advise("osnet", [tmp_path / "own.mp4"])
    with pytest.warns(UserWarning, match=real_people.BEST):
        real_people.advise("plaza", [tmp_path / "own.mp4"])
