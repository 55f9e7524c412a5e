"""Pack the course for a room without a network: one zip file to hand out on memory sticks.

    python notebooks/bundle.py                   # course.zip, beside the folder of the course
    python notebooks/bundle.py --out stick.zip

It holds every file that git tracks, footage and weights among them, as they are in this folder; the
versions that Binder uses, as `constraints.txt`, so that everybody has the same; and
`START_HERE.txt`. Python packages differ from system to system and are no part of it: TEACHING.md
says how to bring them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
START_HERE = """\
Person re-identification: a course in notebooks
===============================================

You need Python 3.11, 3.12 or 3.13 from https://www.python.org.
Open a terminal (on Windows: PowerShell) in this folder.

1. Look whether this machine will do, and what to type next:

     python3 notebooks/check_machine.py        (Windows: py notebooks\\check_machine.py)

   It prints the commands that install the course here, and "ready" when it is. They take the network
   once. If somebody gave you a folder "wheels" with this one, put it here and add to the
   install command:   --no-index --find-links wheels

2. Start the first lesson:

     .venv/bin/python -m jupyterlab notebooks/01_collection.ipynb
     (Windows: .venv\\Scripts\\python -m jupyterlab notebooks\\01_collection.ipynb)

Nothing after the installation takes a network.
"""


def tracked(root: Path) -> list[str]:
    """Return the names of the files that git tracks, with slashes.

    Raises RuntimeError where `root` is no clone, or git is missing.
    """
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        raise RuntimeError(
            f"{root} is not a git clone: clone the repository and bundle that"
        ) from error
    return sorted(listed.stdout.decode().rstrip("\0").split("\0"))


def constraints(root: Path) -> str:
    """Return Binder's pins for pip's ``--constraint``, for any system: without the CPU label."""
    lines = (root / "binder" / "requirements.txt").read_text("utf-8").splitlines()
    pins = [line.replace("+cpu", "") for line in lines if "==" in line and line[0] not in "#-"]
    return "\n".join(pins) + "\n"


def bundle(root: Path, target: Path) -> int:
    """Write the zip file `target` and return how many files of the course it holds.

    Raises FileNotFoundError when a tracked file is not there.
    """
    names = tracked(root)
    if lost := [name for name in names if not (root / name).is_file()]:
        raise FileNotFoundError(
            f"{lost[0]} is tracked by git but missing: git checkout brings it back"
        )
    part = target.with_name(f"{target.name}.part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("course/START_HERE.txt", START_HERE)
        packed.writestr("course/constraints.txt", constraints(root))
        for name in names:
            packed.write(root / name, f"course/{name}")
    part.replace(target)
    return len(names)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT.parent / "course.zip")
    target = parser.parse_args().out
    try:
        count = bundle(ROOT, target)
    except (RuntimeError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{target}: {count} files, {target.stat().st_size / 1e6:.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
