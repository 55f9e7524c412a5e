"""How soon a panel that the browser draws answers a hand: from the input to the painted frame.

    python benchmarks/latency.py                                   # as the web book runs them
    python benchmarks/latency.py --lab http://127.0.0.1:8888/lab   # in a running JupyterLab

Needs Playwright and Chromium ($REIDLIB_BROWSER names another one). A time is counted from the
moment that the browser received the input, until the frame that answers it has been painted: half
a frame's wait for the screen's clock, 8 ms at 60 Hz, is in it.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import http.server
import json
import os
import shutil
import statistics
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from reidlib import live

ROOT = Path(__file__).resolve().parent.parent
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{name}</title>
<link rel="icon" href="data:,"><body data-theme="light"><main><h1>{name}</h1>
<div class="panel" data-module="module.js" data-data="data.json">a note</div></main>
<script type="module" src="../panels.js"></script></body></html>"""
# What is posted at once comes when the panel has done its work. After the next frame's callbacks
# comes its painting, and after that the other message.
PROBE = """() => {
    const after = (act) => {
        const channel = new MessageChannel();
        channel.port1.onmessage = act;
        channel.port2.postMessage(0);
    };
    window.took = [];
    window.worked = [];
    const kinds = ["pointermove", "keydown", "input", "change"];
    for (const kind of kinds) addEventListener(kind, (event) => {
        const begun = performance.now();
        after(() => worked.push(performance.now() - begun));
        requestAnimationFrame(() => after(() => took.push(performance.now() - event.timeStamp)));
    }, true);
}"""


def browser_path() -> str | None:
    """Return where Chromium is on this machine, None if nowhere."""
    return os.environ.get("REIDLIB_BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)


def write_page(panel: live.Live, folder: Path) -> None:
    """Write a page with one panel, as the web book runs it, to a folder under that of panels.js."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "module.js").write_text(live.source(panel.module), "utf-8")
    (folder / "data.json").write_text(json.dumps(panel.record()), "utf-8")
    (folder / "index.html").write_text(PAGE.format(name=folder.name), "utf-8")
    shutil.copy(ROOT / "notebooks" / "book" / "static" / "panels.js", folder.parent)


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder, as any static server would; yields its address."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def drag(page, grip, steps: int = 60, reach: float = 80) -> None:
    """Drag something to the right and some way back by mouse, a small step at a time."""
    grip.scroll_into_view_if_needed()
    box = grip.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    for step in range(1, steps + 1):
        page.mouse.move(x + reach * np.sin(0.75 * np.pi * step / steps), y)
        page.wait_for_timeout(12)
    page.mouse.up()


def press(page, grip, steps: int = 42) -> None:
    """Move something with the arrow keys, to and fro; 2 steps on after 4 n + 2."""
    grip.focus()
    for step in range(steps):
        page.keyboard.press("ArrowRight" if step % 4 < 2 else "ArrowLeft")
        page.wait_for_timeout(12)


def times(page, act: Callable[[], None]) -> list[float]:
    """Return the milliseconds from each input of `act` to its painted frame."""
    page.evaluate("window.took = []; window.worked = []")
    act()
    page.wait_for_timeout(200)
    return page.evaluate("took")


def examples() -> dict[str, live.Live]:
    """Return the panels to measure, on data made up as large as the lessons'."""
    from reidlib.collection import panels as collection_panels
    from reidlib.demonstration import panels as demonstration_panels
    from reidlib.model import panels as model_panels

    rng = np.random.default_rng(0)
    rows = [(frame, track) for track in range(1, 15) for frame in range(188)]
    tracks = pd.DataFrame(rows, columns=["frame", "track"])
    crops = {row: rng.integers(0, 255, (96, 48, 3), np.uint8) for row in range(0, len(rows), 9)}
    numbers = np.arange(60)
    people = pd.DataFrame({"camera": "c1", "identity": numbers, "start": numbers / 2})
    people = people.assign(end=people["start"] + 5, frames=20, pid=numbers // 3)
    people.loc[::2, "camera"] = "c2"
    vectors = rng.normal(size=(60, 256))
    pairs = {"made up": (rng.beta(2, 8, 500), rng.beta(6, 5, 100_000))}
    linking = demonstration_panels.linking(people, vectors, {"clock": {}}, lambda numbers: 0.5)
    return {
        "thresholds": model_panels.thresholds(pairs),
        "toys": model_panels.toys(),
        "planner": collection_panels.planner(),
        "labeller": collection_panels.Labeller(tracks, crops),
        "browser": demonstration_panels.Browser(people, vectors, list(crops.values())[:60], None),
        "linking": linking,
        "playground": playground(rng),
    }


def playground(rng: np.random.Generator) -> live.Live:
    """Return the playground with one run, on vectors made up as many as the lesson's."""
    from reidlib.collection import datasets
    from reidlib.model import panels as model_panels

    pid, camid, _ = np.meshgrid(range(1, 151), range(1, 7), range(4), indexing="ij")
    table = pd.DataFrame({"path": "", "pid": pid.ravel(), "camid": camid.ravel()})
    split = datasets.split(table, train=0.8)
    parts = [len(part) for part in (split.train, split.query, split.gallery)]
    vectors = [rng.normal(size=(rows, 256)).astype(np.float32) for rows in parts]
    return model_panels.Playground({"made up": vectors}, split)


def measure(page, where: str) -> None:
    """Print a line of the table for every grip of the panels on a page, by mouse and by keys."""
    page.locator(".reid").first.wait_for()
    page.evaluate(PROBE)
    for panel in page.locator(".reid").all():
        name = panel.get_attribute("aria-label")
        grips = panel.locator("[role=slider]").all()
        for grip in dict.fromkeys([*grips[:2], grips[-1]]):
            for how, act in (("mouse", drag), ("keys", press)):
                took = times(page, functools.partial(act, page, grip))
                work = statistics.median(page.evaluate("worked"))
                label = grip.get_attribute("aria-label")
                print(f"| {where} | {name} | {label}, {how} | {len(took)} | {work:.1f} "
                      f"| {statistics.median(took):.1f} | {max(took):.1f} |")  # fmt: skip


def main() -> None:
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lab", help="address of a JupyterLab with a notebook of panels that ran")
    arguments = parser.parse_args()
    print(
        "load average", *(f"{load:.1f}" for load in os.getloadavg()), "on", os.cpu_count(), "cores"
    )
    print("| where | panel | moved | inputs | own work, ms | median, ms | worst, ms |")
    print("|---|---|---|---|---|---|---|")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=browser_path(), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        if arguments.lab:
            page.goto(arguments.lab)
            kernel = (
                "window.jupyterapp?.shell.currentWidget?.context?.sessionContext?.session?.kernel"
            )
            page.wait_for_function(f"{kernel}?.status === 'idle'", timeout=120_000)
            page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
            page.locator(".reid").first.wait_for(timeout=240_000)
            page.wait_for_timeout(3000)  # so that all have come
            measure(page, "JupyterLab")
            return
        for name, panel in examples().items():
            write_page(panel, Path(folder, name))
        with served(Path(folder)) as address:
            for name in examples():
                page.goto(f"{address}/{name}/")
                measure(page, "book")
        browser.close()


if __name__ == "__main__":
    main()
