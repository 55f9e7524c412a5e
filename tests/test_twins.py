"""A panel that no figure repeats leaves a picture of itself in the saved notebook and in the book.

In a file of its own: the runner starts a browser, and a test with one open could not.
"""

import base64
import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest
import run
from nbformat import v4

from benchmarks import latency
from reidlib import live
from reidlib.model import panels as model_panels

pytest.importorskip("myst_nb", reason="the book needs: pip install -e '.[book]'")
ROOT = Path(__file__).parent.parent


def loaded(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_panel_without_a_figure_is_pictured_in_the_saved_notebook(tmp_path, monkeypatch):
    pytest.importorskip("playwright")
    if latency.browser_path() is None:
        pytest.skip("no Chromium or Chrome found; install one, or name it in REIDLIB_BROWSER")
    conf = loaded(ROOT / "notebooks" / "book" / "conf.py")
    panel = model_panels.toys()
    (tmp_path / "book" / "panels").mkdir(parents=True)
    monkeypatch.setattr(run, "HERE", tmp_path)
    monkeypatch.setattr(conf, "PANELS", tmp_path / "book" / "panels")
    data = {"text/plain": live.HINT, live.RECORD: panel.record()}
    output = v4.new_output("execute_result", data, execution_count=1)
    notebook = v4.new_notebook(cells=[v4.new_code_cell("panels.toys()", outputs=[output])])
    run.record(Path("04_model.ipynb"), notebook)
    run.clean(notebook)
    placeholder, picture = notebook.cells[0].outputs
    assert "Run ▸ Run All Above Selected Cell" in placeholder.data["text/plain"]
    drawn = np.frombuffer(base64.b64decode(picture.data["image/png"]), np.uint8)
    image = cv2.imdecode(drawn, cv2.IMREAD_COLOR)
    assert min(image.shape[:2]) > 200 and image.std() > 10 and len(drawn) < 150_000
    cell = dict(notebook.cells[0])
    conf.adapt(cell, Path("notebooks"))
    (shown,) = cell["outputs"]  # the book has the panel, and the picture where it cannot run
    assert "04_model-toys.json" in shown["data"]["text/html"]
    assert picture.data["image/png"] in shown["data"]["text/html"]
