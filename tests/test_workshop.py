"""For a workshop: what is said about a participant's machine, and the bundle for offline rooms."""

import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "notebooks"))
import bundle  # noqa: E402
import check_machine  # noqa: E402

GOOD = {
    "python": (3, 12), "bits": 64, "system": "Linux", "base": "2.35", "processor": "x86_64",
    "gigabytes": 7.6,
}  # fmt: skip


@pytest.mark.parametrize(
    "machine",
    [
        {},
        {"python": (3, 11)},
        {"python": (3, 13), "system": "Darwin", "base": "14.0", "processor": "arm64"},
        {"system": "Windows", "base": "", "processor": "AMD64", "gigabytes": 3.8},
    ],
)
def test_a_good_machine_has_no_fault(machine):
    assert check_machine.machine_faults(**GOOD | machine) == []


@pytest.mark.parametrize(
    ("machine", "says"),
    [
        ({"python": (3, 10)}, "Python 3.10 is not among.*install 3.12"),
        ({"python": (3, 14)}, "Python 3.14 is not among"),
        ({"bits": 32}, "32-bit.*64-bit"),
        ({"gigabytes": 1.9}, "1.9 GB of memory, 4 are needed: use Binder"),
        ({"base": "2.27"}, "glibc 2.28, here is 2.27"),
        ({"base": ""}, "glibc 2.28, here is none"),
        ({"system": "Darwin", "base": "14.5"}, "Intel Macs: use Binder"),
        ({"system": "Darwin", "base": "13.6.1", "processor": "arm64"}, "macOS 13.6.1.*update"),
        ({"system": "Windows", "processor": "ARM64"}, "Windows on ARM: use Binder"),
    ],
)
def test_a_fault_is_named_with_its_remedy(machine, says):
    (fault,) = check_machine.machine_faults(**GOOD | machine)
    assert re.search(says, fault)


def test_every_fault_is_named_at_once():
    bad = {"python": (3, 9), "bits": 32, "gigabytes": 1.0, "base": "2.17"}
    assert len(check_machine.machine_faults(**GOOD | bad)) == 4


def test_this_machine_is_measured():
    assert 0.5 < check_machine.memory() < 10_000
    assert check_machine.base() or sys.platform == "win32"


def test_a_machine_with_the_course_is_ready(monkeypatch, capsys):
    monkeypatch.setattr(check_machine, "memory", lambda: 7.8)
    assert check_machine.main() == 0
    number = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert capsys.readouterr().out == f"Python {number}, {os.cpu_count()} cores, 8 GB: ready\n"


def test_a_bare_python_is_told_how_to_install(tmp_path):
    venv.create(tmp_path, with_pip=False)
    python = tmp_path / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    script = ROOT / "notebooks" / "check_machine.py"
    done = subprocess.run([str(python), "-I", str(script)], capture_output=True, text=True)
    assert done.returncode == 1 and not done.stderr
    assert "missing: torch" in done.stdout and "-m pip install -e ." in done.stdout


def test_the_commands_use_the_bundle_s_versions_and_may_be_pasted(tmp_path, monkeypatch):
    monkeypatch.setattr(check_machine, "ROOT", str(tmp_path))
    monkeypatch.setattr(sys, "prefix", "/usr")
    monkeypatch.setattr(sys, "base_prefix", "/usr")
    monkeypatch.setattr(sys, "executable", "/opt/my python/python3")
    (tmp_path / "constraints.txt").touch()
    monkeypatch.setattr(sys, "platform", "linux")
    make, install, check = check_machine.install().splitlines()
    assert make.strip() == "'/opt/my python/python3' -m venv .venv"
    assert install.endswith("-m pip install -c constraints.txt -e .") and ".venv" in install
    monkeypatch.setattr(sys, "platform", "win32")
    assert check_machine.install().strip().startswith('& "/opt/my python/python3" -m venv')


def test_packages_that_do_not_load_are_reported(monkeypatch, capsys):
    library = "libGL.so.1: cannot open shared object file: No such file or directory"
    monkeypatch.setattr(check_machine, "LOAD", f"raise ImportError({library!r})")
    assert check_machine.main() == 1
    told = capsys.readouterr().out
    assert f"do not load (ImportError: {library}): sudo apt-get install libgl1" in told


def test_lost_data_are_reported(tmp_path, monkeypatch, capsys):
    for name in ("notebooks/course.py", "data/checksums.py", "data/SHA256SUMS"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "data" / "plaza").mkdir()
    (tmp_path / "data" / "weights").mkdir()
    monkeypatch.setattr(check_machine, "ROOT", str(tmp_path))
    monkeypatch.setattr(check_machine, "LOAD", "pass")
    assert check_machine.main() == 1
    assert "data are not whole (plaza/cameras.json is missing)" in capsys.readouterr().out


@pytest.fixture
def clone(tmp_path):
    """A small repository with an untracked file, and one tracked file changed since."""
    root = tmp_path / "clone"
    (root / "binder").mkdir(parents=True)
    shutil.copy(ROOT / "binder" / "requirements.txt", root / "binder")
    (root / "lesson é.txt").write_text("first", "utf-8")
    for command in (["init", "-q"], ["add", "-A"]):
        if subprocess.run(["git", *command], cwd=root, capture_output=True).returncode:
            pytest.skip("git is needed")
    (root / "lesson é.txt").write_text("edited", "utf-8")
    (root / "private.mp4").write_bytes(b"not for others")
    return root


def test_a_bundle_holds_what_git_tracks_with_instructions_and_versions(clone, tmp_path):
    assert bundle.bundle(clone, tmp_path / "course.zip") == 2
    with zipfile.ZipFile(tmp_path / "course.zip") as packed:
        assert sorted(packed.namelist()) == [
            "course/START_HERE.txt", "course/binder/requirements.txt", "course/constraints.txt",
            "course/lesson é.txt",
        ]  # fmt: skip
        assert packed.read("course/lesson é.txt") == b"edited"
        assert b"check_machine.py" in packed.read("course/START_HERE.txt")
        pins = packed.read("course/constraints.txt").decode().splitlines()
    wanted = {Requirement(pin).name for pin in pins}
    assert {"torch", "openvino", "jupyterlab"} < wanted
    assert not [pin for pin in pins if "+cpu" in pin]


def test_an_older_bundle_stays_whole_when_a_file_is_lost(clone, tmp_path):
    target = tmp_path / "course.zip"
    bundle.bundle(clone, target)
    before = target.read_bytes()
    (clone / "lesson é.txt").unlink()
    with pytest.raises(FileNotFoundError, match="lesson é.txt is tracked by git but missing"):
        bundle.bundle(clone, target)
    assert target.read_bytes() == before


def test_only_a_clone_can_be_bundled(tmp_path):
    with pytest.raises(RuntimeError, match="is not a git clone"):
        bundle.tracked(tmp_path)


def test_the_instructions_name_files_that_exist():
    for name in ("notebooks/check_machine.py", "notebooks/01_collection.ipynb"):
        assert name in bundle.START_HERE and (ROOT / name).exists()
        assert name.replace("/", "\\") in bundle.START_HERE
