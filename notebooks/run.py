"""Run lessons from top to bottom in fresh kernels, save their outputs, record time and memory.

    python notebooks/run.py                     # all lessons and solutions, outputs saved
    python notebooks/run.py 04 --check          # one lesson; nothing saved, budgets enforced

The table goes to `notebooks/measured.json`; the README and the lessons' headers quote it.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import os
import re
import sys
import threading
import time
from pathlib import Path

import nbformat
import psutil
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from PIL import Image

HERE = Path(__file__).resolve().parent
SECONDS, GIGABYTES = 180, 1.3


class Memory(threading.Thread):
    """The highest resident memory of a process and its children, looked at 20 times a second."""

    def __init__(self, pid: int):
        super().__init__(daemon=True)
        self.process, self.peak, self.stopped = psutil.Process(pid), 0, threading.Event()

    def run(self) -> None:
        while not self.stopped.wait(0.05):
            try:
                family = [self.process, *self.process.children(recursive=True)]
                self.peak = max(self.peak, sum(p.memory_info().rss for p in family))
            except psutil.NoSuchProcess:
                continue


def execute(path: Path, threads: int) -> tuple[nbformat.NotebookNode, float, float]:
    """Run a notebook in a fresh kernel; return it with its outputs, seconds and peak gigabytes."""
    os.environ |= {"OMP_NUM_THREADS": str(threads), "REIDLIB_THREADS": str(threads)}
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
    return "HBox(children=" in text or bool(re.search(r"\d\w*/s\]|s/\w+\]|\d%\|", text))


def _without_widget(output: dict) -> dict:
    """Say in place of a panel what it is: without its kernel it would show as an error."""
    if "application/vnd.jupyter.widget-view+json" in output.get("data", {}):
        output.data = {"text/plain": "An interactive panel. Run this cell to use it."}
    return output


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="beginnings of notebook names; all by default")
    parser.add_argument("--check", action="store_true", help="save nothing, enforce the budgets")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    paths = sorted(HERE.glob("0*.ipynb")) + sorted(HERE.glob("solutions/*.ipynb"))
    paths = [p for p in paths if not arguments.names or p.name.startswith(tuple(arguments.names))]
    table = HERE / "measured.json"
    failed = False
    for path in paths:
        try:
            notebook, seconds, gigabytes = execute(path, arguments.threads)
        except CellExecutionError as error:
            print(f"{path.name}: {error}", file=sys.stderr)
            failed = True
            continue
        over = seconds > SECONDS or gigabytes > GIGABYTES
        failed |= over
        print(f"{path.name:40} {seconds:6.0f} s {gigabytes:6.2f} GB {'OVER BUDGET' * over}")
        if not arguments.check:
            nbformat.write(notebook, path)
            name = path.relative_to(HERE).as_posix()
            measured = json.loads(table.read_text()) if table.exists() else {}
            measured[name] = {"seconds": round(seconds), "gigabytes": round(gigabytes, 2)}
            table.write_text(json.dumps(measured, indent=1) + "\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
