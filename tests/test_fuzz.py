"""Damaged input gives a result or one clear error: no crash, no hang, nothing executed.

The cases are the same in each run. ``REIDLIB_FUZZ=2000`` tries that many; a fault names its case,
such as mot:13, which ``python tests/fuzzing.py FOLDER mot:13:14`` repeats.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CASES = int(os.environ.get("REIDLIB_FUZZ", 300))
# What each process reads, and the share of all cases that a kind of input gets.
BATCHES = {
    "texts": {"mot": 0.16, "cvat": 0.12, "calibration": 0.12, "features": 0.1, "frames": 0.1},
    "places": {"site": 0.12},
    "pictures": {"image": 0.12, "film": 0.1, "image_set": 0.05},
    "networks": {"weights": 0.03, "checkpoint": 0.03, "exported": 0.02, "detector": 0.01},
    "commands": {"names": 0.04},
}


@pytest.mark.parametrize("batch", BATCHES)
def test_damaged_input(batch, tmp_path):
    if batch == "networks":
        pytest.importorskip("openvino")
    kinds = [f"{kind}:0:{max(1, round(share * CASES))}" for kind, share in BATCHES[batch].items()]
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here.parent), str(here)])
    result = subprocess.run(
        [sys.executable, str(here / "fuzzing.py"), str(tmp_path), *kinds],
        env=os.environ | {"PYTHONPATH": paths, "REIDLIB_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    lines = result.stdout.splitlines()
    faults = [line for line in lines if line.startswith("fault ")]
    ended = f"ended with {result.returncode} in {lines[-1:]}: {result.stderr[-1500:]}"
    assert not faults, "\n".join(faults)
    assert result.returncode == 0, ended
    assert sum(line.startswith("case ") for line in lines) >= len(kinds)


def test_the_suite_notices_what_it_looks_for(tmp_path):
    """A reader that runs commands, writes elsewhere, leaves files and fails oddly is caught."""
    code = """if True:
    import os, sys
    from pathlib import Path
    import fuzzing

    def bad(folder):
        def case(rng):
            os.system("true")
            (folder.parent.parent / "elsewhere").write_text("x")
            (folder / ".a-reidlib-b-1-c.txt").write_text("half")
            raise KeyError("odd")
        return case

    def silent(folder):
        def case(rng):
            raise ValueError("two\\nlines")
        return case

    fuzzing.KINDS.update(bad=bad, silent=silent)
    sys.exit(fuzzing.main([sys.argv[1], "bad:0:1", "silent:0:1"]))"""
    (tmp_path / "cases").mkdir()
    here = Path(__file__).parent
    paths = os.pathsep.join([str(here.parent), str(here)])
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "cases")],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    faults = [line for line in result.stdout.splitlines() if line.startswith("fault ")]
    assert result.returncode == 5, result.stdout + result.stderr
    for words in ("os.system", "wrote to", "left ", "KeyError", "not of one line"):
        assert sum(words in line for line in faults) == 1, faults
