"""What the first cell of every lesson needs: `start()` makes the kernel ready or says what to do.

On Colab it installs what is missing, and never touches torch, torchvision or NumPy. Elsewhere it
installs nothing.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # as malloc.h numbers them
ROOT = Path(__file__).resolve().parent.parent
COLAB_LACKS = ["ultralytics", "openvino", "av", "trackers", "anywidget"]  # all that is ever installed there
NEEDED = ["torch", "torchvision", "cv2", "numpy", "scipy", "pandas", "sklearn", "matplotlib",
          "seaborn", "ipywidgets", "tqdm", *COLAB_LACKS]  # fmt: skip
# What the lessons read of the bundled data, and how many pictures the folders of crops have.
BUNDLED = ["cameras.json", "identities.csv", "truth", "tracks", "drafts", "clips", "crops", "scenarios"]
PICTURES = {"crops/train": 3600, "crops/query": 600, "crops/gallery": 1250, "scenarios/clothes": 300,
            "scenarios/dusk": 300, "scenarios/lowres": 300, "scenarios/occlusion": 290,
            "scenarios/pose": 300}  # fmt: skip


def missing() -> list[str]:
    """Return the import names of packages that the lessons need and this kernel lacks."""
    return [name for name in NEEDED if importlib.util.find_spec(name) is None]


def absent(plaza: Path) -> list[str]:
    """Return what the bundled data lack, by the record of their checksums: files, pictures, weights.

    `plaza` is the folder of the footage. Whether files are whole is for check_machine.py to say.
    """
    records = [place / "SHA256SUMS" for place in (plaza.parent, ROOT / "data")]
    record = next((path for path in records if path.is_file()), None)
    if record is None:
        return ["SHA256SUMS"]
    named = [line.split("  ", 1)[1] for line in record.read_text("utf-8").splitlines()]
    files = [name.removeprefix("plaza/") for name in named]
    files = [name for part in BUNDLED for name in files if name.split("/")[0] == part]
    lacking = [name for name in files if not (plaza / name).exists()]
    for name, number in PICTURES.items():
        found = len(list((plaza / name).glob("*.jpg")))
        if found < number and name not in lacking:
            lacking.append(f"{number - found} of the {number} pictures of {name}")
    places = plaza.parent, ROOT / "data"  # the weights may lie in either
    weights = [name for name in named if name.startswith("weights/")]
    return lacking + [n for n in weights if not any((place / n).exists() for place in places)]


def install_on_colab(names: list[str]) -> None:
    """Install the packages of `COLAB_LACKS` in `names`, keeping torch and NumPy as they are."""
    lines = (ROOT / "requirements.txt").read_text("utf-8").splitlines()
    absent = set(names).intersection(COLAB_LACKS)
    wanted = [line for line in lines if line.split(">")[0] in absent]
    if not wanted:
        return
    with tempfile.TemporaryDirectory() as folder:
        pins = Path(folder, "pins.txt")
        pins.write_text("\n".join(_installed("torch", "torchvision", "numpy")), "utf-8")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--constraint", str(pins)]
        done = subprocess.run([*command, *wanted], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(
            f"Colab could not install {', '.join(wanted)}; choose Runtime, Restart session, and run "
            f"this cell again. pip said: {done.stderr.strip().splitlines()[-1:]}"
        )
    importlib.invalidate_caches()


def _installed(*packages: str) -> list[str]:
    from importlib.metadata import PackageNotFoundError, version

    pins = []
    for package in packages:
        try:
            pins.append(f"{package}=={version(package)}")
        except PackageNotFoundError:
            continue
    return pins


def _give_back(_result) -> None:
    """Give the memory that lies idle back to the system; IPython calls it with a cell's result."""
    ctypes.CDLL(None).malloc_trim(0)


def save_memory() -> None:
    """Keep every lesson below 1.3 GB on Linux, since Binder has 2 GB.

    Arrays above 8 MB are given back to the system at once, and after each cell so is the rest that
    lies idle: the C library would keep it. Less than 8 MB would slow training by a quarter. Without
    a GPU, PyTorch need not load the 70 MB of Triton, its compiler for GPUs.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        for setting in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD):
            libc.mallopt(setting, 8 << 20)
        if "IPython" in sys.modules and (shell := sys.modules["IPython"].get_ipython()):
            shell.events.register("post_run_cell", _give_back)  # once, however often it is called
    if shutil.which("nvidia-smi") is None:
        sys.modules.setdefault("triton", None)  # to Python, a package that is not installed


def start() -> None:
    """Make this kernel ready for a lesson: packages, library, data, threads. Say so in one line.

    Two threads, or ``$REIDLIB_THREADS``. Raises RuntimeError with a remedy when something is missing.
    """
    if "google.colab" in sys.modules:
        install_on_colab(missing())
    if lacking := missing():
        raise RuntimeError(
            f"this kernel ({sys.executable}) lacks {', '.join(lacking)}. In a terminal, in the "
            "folder of the course, run:  python -m pip install -e .  and restart the kernel"
        )
    if importlib.util.find_spec("reidlib") is None:
        sys.path.insert(0, str(ROOT))
    save_memory()
    threads = int(os.environ.get("REIDLIB_THREADS", 2))
    # More threads than cores make small networks slower, and the timings in the text assume two.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(variable, str(threads))
    # A thread that waits sleeps: if it spun it would hold a core, and on a shared machine two spinning
    # threads make a training step several times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    import cv2

    import reidlib
    from reidlib import assets

    cv2.setNumThreads(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    try:
        plaza = assets.data("plaza")
    except FileNotFoundError as error:
        raise RuntimeError(str(error)) from error
    if lacking := absent(plaza):
        more = f" and {len(lacking) - 4} more" if len(lacking) > 4 else ""
        raise RuntimeError(
            f"the data folder {plaza} lacks {', '.join(lacking[:4])}{more}; clone the whole "
            "repository, or set REIDLIB_DATA to its data folder"
        )
    print(f"Ready: reidlib {reidlib.__version__}, {threads} threads, bundled data found.")
