"""Run the notebooks from top to bottom in fresh kernels; measure time and memory.

    python notebooks/run.py                     # all; saves outputs, and the times that are quoted
    python notebooks/run.py 04 --check          # one lesson; saves nothing, fails above the budgets

Saving also renews `notebooks/measured.json` and, from it, the time in the lesson's header and in
the README's table. Checking runs under nbval, so it compares the key numbers as well, and makes
sure that the bundled data stay untouched. ``REIDLIB_BUDGETS=1 python -m pytest`` does the same.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import os
import re
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import nbformat
import psutil
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from PIL import Image

from reidlib import assets
from reidlib.live import HINT, RECORD

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
SECONDS, GIGABYTES = 180, 1.3
# Panels of the browser by which no cell draws the same as a figure, and what is seen in them.
TWINS = {
    "04_model-toys": "Toy world as it begins: twelve points of three people in the plane, and arrows "
    "that show where the loss would move each of them"
}


class Memory(threading.Thread):
    """The highest resident memory of a process and its children, looked at 20 times a second."""

    def __init__(self, pid: int):
        super().__init__(daemon=True)
        self.process, self.peak, self.stopped = psutil.Process(pid), 0, threading.Event()

    def run(self) -> None:
        while self.process.is_running() and not self.stopped.wait(0.05):
            try:
                children = self.process.children(recursive=True)
                # A child just forked shares its parent's pages: only what it has of its own counts.
                own = sum(child.memory_full_info().uss for child in children)
                self.peak = max(self.peak, self.process.memory_info().rss + own)
            except psutil.Error:  # a child that ended meanwhile
                continue


class Meter:
    """A pytest plugin: notebooks that nbval runs stay within their budgets and leave data alone."""

    def __init__(self):
        self.seconds: dict[Path, float] = {}
        self.memory: dict[Path, Memory] = {}
        self.before = state(ROOT / "data")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item):
        if item.path.suffix != ".ipynb":
            return (yield)
        if item.path not in self.memory:
            self.memory[item.path] = Memory(item.parent.kernel.km.provisioner.pid)
            self.memory[item.path].start()
        started = time.perf_counter()
        try:
            return (yield)
        finally:
            passed = time.perf_counter() - started
            self.seconds[item.path] = self.seconds.get(item.path, 0.0) + passed

    def pytest_terminal_summary(self, terminalreporter):
        terminalreporter.section("notebooks: time and memory")
        for path, seconds in self.seconds.items():
            terminalreporter.line(took(path, seconds, self.memory[path].peak / 1e9))

    def pytest_sessionfinish(self, session):
        pairs = ((seconds, self.memory[path].peak / 1e9) for path, seconds in self.seconds.items())
        changed = {path for path, _ in self.before ^ state(ROOT / "data")}
        print(*(f"{path} was changed" for path in changed), sep="\n")
        if changed or not all(within_budget(*pair) for pair in pairs):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def state(folder: Path) -> set[tuple[Path, tuple[int, int]]]:
    """Return what tells whether a file changed: its size and time, for every file in a folder.

    Python's caches do not count: importing `data.generator` writes them.
    """
    files = [p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    stats = [(path, path.stat()) for path in files]
    return {(path, (stat.st_size, stat.st_mtime_ns)) for path, stat in stats}


def within_budget(seconds: float, gigabytes: float) -> bool:
    """Return whether a notebook may take as much."""
    return seconds <= SECONDS and gigabytes <= GIGABYTES


def took(path: Path, seconds: float, gigabytes: float) -> str:
    """Return a line that says what a notebook took."""
    over = "" if within_budget(seconds, gigabytes) else "  OVER BUDGET"
    return f"{path.relative_to(HERE).as_posix():40} {seconds:6.0f} s {gigabytes:6.2f} GB{over}"


def quote(path: Path, notebook: nbformat.NotebookNode, seconds: float, gigabytes: float) -> None:
    """Write what was measured to the table, to the lesson's header and to the README."""
    table, readme = HERE / "measured.json", ROOT / "README.md"
    name, rounded = path.relative_to(HERE).as_posix(), 5 * max(1, round(seconds / 5))
    measured = json.loads(table.read_text()) if table.exists() else {}
    measured[name] = {"seconds": round(seconds), "gigabytes": round(gigabytes, 2)}
    table.write_text(json.dumps(dict(sorted(measured.items())), indent=1) + "\n")
    header = notebook.cells[0]
    header.source = re.sub(
        r"(top\s+to\s+bottom\s+in)\s+about\s[^.]*?\s+(on\s+two\s+CPU\s+cores)",
        rf"\1 about {rounded} seconds \2", header.source,
    )  # fmt: skip
    row = rf"(?m)^(\| \[.*\(notebooks/{re.escape(name)}\).*\|) [^|]* \|$"
    text = readme.read_text(encoding="utf-8")
    readme.write_text(re.sub(row, rf"\1 {rounded} s |", text), encoding="utf-8")


def execute(path: Path) -> tuple[nbformat.NotebookNode, float, float]:
    """Run a notebook in a fresh kernel; return it with its outputs, seconds and peak gigabytes."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook, timeout=600, kernel_name="python3", store_widget_state=False,
        resources={"metadata": {"path": str(path.parent)}},
    )  # fmt: skip
    with client.setup_kernel():
        memory = Memory(client.km.provisioner.pid)
        memory.start()
        started = time.perf_counter()
        for index, cell in enumerate(notebook.cells):
            client.execute_cell(cell, index)
        seconds = time.perf_counter() - started
        memory.stopped.set()
    seconds -= record(path, notebook)
    return clean(notebook), seconds, memory.peak / 1e9


def clean(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Drop what differs from run to run and what GitHub chokes on: widget state, timings."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata["kernelspec"] = {
        "display_name": "Python 3", "language": "python", "name": "python3",
    }  # fmt: skip
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = [_without_widget(o) for o in cell.outputs if not _is_progress(o)]
            for output in cell.outputs:
                if "image/png" in output.get("data", {}):
                    output.data["image/png"] = _smaller(output.data["image/png"])
    return notebook


def _smaller(png: str) -> str:
    """Return a PNG, as base64 text, with a palette of 256 colours: drawings need no more."""
    picture = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    buffer = io.BytesIO()
    picture.quantize(256, dither=Image.Dither.NONE).save(buffer, "PNG", optimize=True)
    small = base64.b64encode(buffer.getvalue()).decode()
    return min(png, small, key=len)


def _is_progress(output: dict) -> bool:
    """A progress bar: interesting while it moves, noise in a saved notebook."""
    text = output.get("data", {}).get("text/plain", "")
    if output.output_type == "stream" and output.name == "stderr":
        text = output.text.strip() or "HBox(children="
    return "HBox(children=" in text or bool(re.search(r"[\d?]\w*/s\]|s/\w+\]|\d%\|", text))


def _without_widget(output: dict) -> dict:
    """Say in place of a panel what it is: without its kernel it would show as an error."""
    if "application/vnd.jupyter.widget-view+json" in output.get("data", {}):
        text = output.data.get("text/plain", "")
        if not text.startswith("Your guess"):  # a question of guesses.py says itself what it is
            text = HINT
        output.data = {"text/plain": text}
    return output


def record(path: Path, notebook: nbformat.NotebookNode) -> float:
    """Move what the browser's panels hold from a notebook to the web book, which shows it.

    Returns the seconds that a panel took to compute what the book alone needs: nobody who runs the
    notebook waits for that.
    """
    seconds = 0.0
    for cell in notebook.cells:
        for output in list(cell.get("outputs", [])):
            panel = output.get("data", {}).pop(RECORD, None)
            if panel:
                seconds += panel.pop("seconds", 0.0)
                name = f"{path.stem}-{Path(panel['module']).stem}"
                with assets.atomic(HERE / "book" / "panels" / f"{name}.json") as temporary:
                    temporary.write_text(json.dumps(panel) + "\n")
                output.metadata["panel"] = name
                if name in TWINS and (picture := photograph(panel)):
                    data = {"image/png": picture, "text/plain": TWINS[name]}
                    twin = nbformat.v4.new_output("display_data", data, metadata={"twin": name})
                    cell.outputs.append(twin)
                    cell.metadata["mystnb"] = {"image": {"alt": TWINS[name]}}
    return seconds


def photograph(panel: dict) -> str | None:
    """Return a picture of a recorded panel as the browser draws it, PNG as base64 text.

    None where Playwright or a browser is missing; $REIDLIB_BROWSER names one.
    """
    sys.path.append(str(ROOT))
    from benchmarks import latency

    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    if latency.browser_path() is None:
        return None
    recorded = SimpleNamespace(module=panel["module"], record=lambda: panel)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        latency.write_page(recorded, Path(folder, "panel"))
        browser = playwright.chromium.launch(
            executable_path=latency.browser_path(), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1000, "height": 900})
        with latency.served(Path(folder)) as address:
            page.goto(f"{address}/panel/")
            drawn = page.locator(".reid").screenshot(animations="disabled")
        browser.close()
    return _smaller(base64.b64encode(drawn).decode())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="beginnings of notebook names; all by default")
    parser.add_argument("--check", action="store_true", help="save nothing, enforce the budgets")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    os.environ |= {key: str(arguments.threads) for key in ("OMP_NUM_THREADS", "REIDLIB_THREADS")}
    nobody = tempfile.TemporaryDirectory()  # what is saved shows nobody's guesses
    os.environ["REIDLIB_GUESSES"] = nobody.name
    os.chdir(ROOT)
    paths = sorted(HERE.glob("*.ipynb")) + sorted(HERE.glob("solutions/*.ipynb"))
    paths = [p for p in paths if not arguments.names or p.name.startswith(tuple(arguments.names))]
    if arguments.check:
        os.environ["REIDLIB_BUDGETS"] = "1"  # conftest.py then puts a Meter in place
        return int(pytest.main(["-q", "--rootdir", str(ROOT), *map(str, paths)]))
    os.environ["REIDLIB_RECORD"] = "1"  # panels then say what they hold
    passed = True
    for path in paths:
        try:
            notebook, seconds, gigabytes = execute(path)
        except CellExecutionError as error:
            print(f"{path.name}: {error}", file=sys.stderr)
            passed = False
            continue
        print(took(path, seconds, gigabytes))
        passed &= within_budget(seconds, gigabytes)
        quote(path, notebook, seconds, gigabytes)
        nbformat.write(notebook, path)
    return int(not passed)


if __name__ == "__main__":
    sys.exit(main())
