"""Say what is wrong with notebooks as they were saved; the tests and the commit hook ask here.

    python notebooks/check_saved.py                            # every notebook of the course
    python notebooks/check_saved.py notebooks/03_features.ipynb

A saved notebook is read on GitHub and in the web book by people who do not run it. So every cell
was run, nothing failed, and no panel left its state behind, which weighs megabytes and shows
nothing without a kernel. `python notebooks/run.py` saves notebooks that way.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
MEGABYTES = 1.5  # GitHub shows larger notebooks slowly, or not at all


def faults(path: Path) -> list[str]:
    """Return what is wrong with a saved notebook, a sentence each; cells count from 1."""
    notebook = json.loads(path.read_text("utf-8"))
    found = []
    if "widgets" in notebook["metadata"]:
        found.append("it holds the state of its panels")
    if path.stat().st_size >= MEGABYTES * 1e6:
        weight = path.stat().st_size / 1e6
        found.append(f"it weighs {weight:.2f} MB; less than {MEGABYTES} MB is expected")
    for number, cell in enumerate(notebook["cells"], 1):
        if cell["cell_type"] == "code" and "".join(cell["source"]).strip():
            found += [f"cell {number} {fault}" for fault in _cell_faults(cell)]
    return found


def _cell_faults(cell: dict) -> list[str]:
    """Return what is wrong with a code cell, as the rest of a sentence."""
    found = [] if cell["execution_count"] else ["was not run"]
    for output in cell["outputs"]:
        if output["output_type"] == "error":
            found.append(f"ended with {output['ename']}")
        elif output.get("name") == "stderr":
            found.append("wrote a warning or a progress bar to standard error")
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="*", type=Path, help="all notebooks by default")
    everything = [*sorted(HERE.glob("*.ipynb")), *sorted(HERE.glob("solutions/*.ipynb"))]
    found = [
        f"{path}: {fault}"
        for path in parser.parse_args(arguments).paths or everything
        for fault in faults(path)
    ]
    if found:
        print(*found, "Run and save it with: python notebooks/run.py", sep="\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
