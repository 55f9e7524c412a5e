"""The setup cell: on Colab it adds what is missing and leaves the rest; elsewhere nothing."""

import json
import os
import shutil
import subprocess
import sys
import types
import venv
import zipfile
from pathlib import Path

import pip
import pytest

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
sys.path.insert(0, str(NOTEBOOKS))
import course  # noqa: E402


def wheel(folder, name, version, *requires):
    """Write a package that holds nothing."""
    info = f"{name}-{version}.dist-info"
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
    metadata += [f"Requires-Dist: {requirement}" for requirement in requires]
    files = {
        f"{name}/__init__.py": "",
        f"{info}/METADATA": "\n".join(metadata) + "\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as packed:
        for file, text in files.items():
            packed.writestr(file, text)


@pytest.fixture(scope="module")
def colab(tmp_path_factory):
    """Run code in an environment with old torch and NumPy, and newer ones within pip's reach."""
    folder = tmp_path_factory.mktemp("colab")
    venv.create(folder, with_pip=False)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    index = folder / "index"
    index.mkdir()

    def run(*arguments):
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "PYTHON"))}
        environment |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index), "PIP_NO_CACHE_DIR": "1"}
        return subprocess.run(
            [str(python), *arguments], cwd=folder, env=environment, capture_output=True, text=True
        )

    site = run("-c", "import site; print(site.getsitepackages()[-1])").stdout.strip()
    shutil.copytree(
        Path(pip.__file__).parent, Path(site, "pip"), ignore=shutil.ignore_patterns("__pycache__")
    )
    for name, versions in {"torch": ("2.3.0", "2.99.0"), "numpy": ("2.0.2", "2.99.0")}.items():
        for version in versions:
            wheel(index, name, version)
    wheel(index, "ultralytics", "8.4.0", "torch", "numpy")
    wheel(index, "anywidget", "0.11.0")
    wheel(index, "av", "18.0.0")
    wheel(index, "trackers", "2.6.1", "numpy")
    wheel(index, "trackers", "2.7.0", "numpy>=2.1")  # the newest one wants another NumPy
    done = run("-m", "pip", "install", "-q", "torch==2.3.0", "numpy==2.0.2")
    assert done.returncode == 0, done.stderr
    run.index = index
    return run


SETUP = f"""
import sys
sys.path.insert(0, {str(NOTEBOOKS)!r})
import course
from importlib.metadata import distributions
try:
    course.install_on_colab(course.missing())
finally:
    found = {{d.name: d.version for d in distributions()}}
    print(*[f"{{name}}=={{found[name]}}" for name in sorted(found)])
"""


def test_colab_keeps_its_torch_and_numpy(colab):
    done = colab("-c", SETUP)
    assert done.returncode == 1 and "could not install" in done.stderr  # no openvino to be found
    assert done.stdout.split() == ["numpy==2.0.2", "torch==2.3.0"]  # and so nothing was changed
    wheel(colab.index, "openvino", "2026.1.0", "numpy")
    done = colab("-c", SETUP)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [
        "anywidget==0.11.0", "av==18.0.0", "numpy==2.0.2", "openvino==2026.1.0", "torch==2.3.0",
        "trackers==2.6.1", "ultralytics==8.4.0",
    ]  # fmt: skip


def test_nothing_is_installed_where_nothing_is_missing(monkeypatch, capsys):
    monkeypatch.setattr(course.subprocess, "run", lambda *_, **__: pytest.fail("ran a program"))
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    course.start()
    assert capsys.readouterr().out.startswith("Ready: reidlib")


def test_elsewhere_nothing_is_installed_and_the_message_says_what_to_do(monkeypatch):
    monkeypatch.setattr(course.subprocess, "run", lambda *_, **__: pytest.fail("ran a program"))
    monkeypatch.setattr(course, "missing", lambda: ["av"])
    assert "google.colab" not in sys.modules
    with pytest.raises(RuntimeError, match=r"lacks av.*python -m pip install -e \."):
        course.start()


@pytest.mark.parametrize("name", ["01_collection.ipynb", "solutions/01_collection.ipynb"])
@pytest.mark.parametrize("where", ["Colab", "Colab, run again", "elsewhere"])
def test_the_setup_cell_fetches_the_course_once_and_only_on_colab(monkeypatch, name, where):
    cells = json.loads((NOTEBOOKS / name).read_text("utf-8"))["cells"]
    cell = "".join(next(c for c in cells if c["cell_type"] == "code")["source"])
    there, ran, entered, started = {"/content/course/notebooks"}, [], [], []
    if where != "Colab":  # such a folder on another machine is none of our business
        there.add("/content/course")
    if where != "elsewhere":
        monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    monkeypatch.setattr(os.path, "exists", there.__contains__)
    monkeypatch.setattr(os, "chdir", entered.append)
    monkeypatch.setattr(sys, "path", sys.path.copy())
    monkeypatch.setattr(subprocess, "run", lambda command, check: ran.append(command))
    monkeypatch.setattr(course, "start", lambda: started.append(True))
    exec(cell, {})
    assert started
    assert len(ran) == (where == "Colab")
    there = bool(entered) or sys.path[0].startswith("/content")
    assert there == (where != "elsewhere")
    for command in ran:
        assert command[:2] == ["git", "clone"] and command[-1] == "/content/course"


def test_a_data_folder_with_files_missing_is_not_called_ready(monkeypatch, tmp_path):
    """A copy that stopped half-way has its first files; a lesson would fail in its middle."""
    (tmp_path / "plaza" / "crops").mkdir(parents=True)
    (tmp_path / "plaza" / "cameras.json").write_text("{}")
    monkeypatch.setenv("REIDLIB_DATA", str(tmp_path))
    with pytest.raises(RuntimeError, match="lacks identities.csv, truth.*c1_day.*REIDLIB_DATA"):
        course.start()


def test_a_data_folder_with_pictures_or_weights_missing_is_not_ready_either(monkeypatch, tmp_path):
    bundled, data = NOTEBOOKS.parent / "data", tmp_path / "data"
    plaza = data / "plaza"

    def name_only(source, target):
        Path(target).touch()

    shutil.copytree(bundled / "plaza", plaza, copy_function=name_only)
    assert course.absent(plaza) == []
    for path in list((plaza / "crops" / "train").iterdir())[:5]:
        path.unlink()
    shutil.rmtree(plaza / "scenarios" / "dusk")
    (plaza / "truth" / "c3_day.txt").unlink()
    assert course.absent(plaza) == [
        "truth/c3_day.txt", "scenarios/dusk", "5 of the 3600 pictures of crops/train"
    ]  # fmt: skip
    monkeypatch.setenv("REIDLIB_DATA", str(data))
    with pytest.raises(RuntimeError, match="lacks truth/c3_day.txt.*REIDLIB_DATA"):
        course.start()
    shutil.copy(bundled / "SHA256SUMS", data)
    monkeypatch.setattr(course, "ROOT", tmp_path)  # a course whose weights were not copied
    assert "weights/plaza_embedding.onnx" in course.absent(plaza)


def setup_cell(path):
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return "".join(next(cell for cell in cells if cell["cell_type"] == "code")["source"])


def test_every_notebook_begins_alike_and_finds_the_course_where_it_lies():
    notebooks = [*NOTEBOOKS.glob("*.ipynb"), *NOTEBOOKS.glob("solutions/*.ipynb")]
    assert len(notebooks) >= 11 and len({setup_cell(path) for path in notebooks}) == 1
    cell = setup_cell(notebooks[0]).replace("course.start()", "print(course.__file__)")
    for folder in (NOTEBOOKS, NOTEBOOKS / "solutions"):
        command = [sys.executable, "-c", cell]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        found = Path(folder, done.stdout.strip()).resolve()
        assert found == (NOTEBOOKS / "course.py").resolve(), done.stderr


def test_a_notebook_opened_elsewhere_says_where_it_should_be(tmp_path):
    """Without its folder it said `No module named 'course'`, and nobody knew what that was."""
    command = [sys.executable, "-c", setup_cell(NOTEBOOKS / "01_collection.ipynb")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode and f"course.py is not in {tmp_path}" in last and "notebooks" in last
    assert "ModuleNotFoundError" not in done.stderr
