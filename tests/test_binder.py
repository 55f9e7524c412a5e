"""Binder: exact pins that satisfy the course, and a folder that repo2docker turns into an image."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
BINDER = ROOT / "binder"
PYTORCH = "--extra-index-url https://download.pytorch.org/whl/cpu"


def lines(path):
    text = path.read_text("utf-8")
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def requirements(path):
    wanted = [Requirement(line) for line in lines(path) if not line.startswith("-")]
    return {canonicalize_name(requirement.name): requirement for requirement in wanted}


def version(requirement):
    """Return the version that `requirement` pins exactly, or fail."""
    found = re.fullmatch(r"==([^*,]+)", str(requirement.specifier))
    assert found, f"{requirement} is not an exact pin"
    return found[1]


def test_pins_are_exact_and_satisfy_what_the_course_asks_for():
    pins = requirements(BINDER / "requirements.txt")
    versions = {name: version(pin) for name, pin in pins.items()}
    assert len(pins) == len(lines(BINDER / "requirements.txt")) - 1
    for name, wanted in requirements(ROOT / "requirements.txt").items():
        assert name in versions, f"binder/requirements.txt lacks {name}"
        assert wanted.specifier.contains(versions[name]), f"{wanted}, but Binder has {pins[name]}"


def test_pytorch_is_the_cpu_build_and_torchvision_its_partner():
    pins = requirements(BINDER / "requirements.txt")
    torch, torchvision = version(pins["torch"]), version(pins["torchvision"])
    assert torch.endswith("+cpu") and torchvision.endswith("+cpu")
    # torch 2.n and torchvision 0.(n+15) are released together
    assert int(torchvision.split(".")[1]) == int(torch.split(".")[1]) + 15
    options = [line for line in lines(BINDER / "requirements.txt") if line.startswith("-")]
    assert options == [PYTORCH]


def test_python_is_one_that_the_course_supports():
    (runtime,) = lines(BINDER / "runtime.txt")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert SpecifierSet(project["requires-python"]).contains(runtime.removeprefix("python-"))


@pytest.mark.parametrize("name", ["postBuild", "start"])
def test_scripts_are_executable_in_git_and_end_lines_as_unix_does(name):
    listed = subprocess.run(
        ["git", "ls-files", "--stage", f"binder/{name}"], cwd=ROOT, capture_output=True, text=True
    ).stdout
    if not listed:
        pytest.skip("not a clone")
    assert listed.startswith("100755")
    script = (BINDER / name).read_bytes()
    assert script.startswith(b"#!/bin/bash\n") and b"\r" not in script


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.skipif(sys.platform == "win32", reason="bash there may be another system's")
def test_start_sets_threads_and_becomes_the_command():
    command = ["bash", str(BINDER / "start"), sys.executable, "-c"]
    code = "import os, sys; print(os.environ['OMP_NUM_THREADS'], sys.argv[1:])"
    done = subprocess.run([*command, code, "two words"], capture_output=True, text=True)
    assert done.stdout == "2 ['two words']\n"
    code = "import sys; sys.exit(7)"
    assert subprocess.run([*command, code]).returncode == 7


def test_repo2docker_accepts_the_folder_and_installs_before_it_copies_the_course(tmp_path):
    pytest.importorskip("repo2docker", reason="python -m pip install jupyter-repo2docker")
    shutil.copytree(BINDER, tmp_path / "binder")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    command = [sys.executable, "-m", "repo2docker", "--no-build", "--debug"]
    command += ["--user-id", "1000", "--user-name", "jovyan", "."]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    dockerfile = done.stdout + done.stderr
    packages = dockerfile.index('/bin/pip install --no-cache-dir -r "binder/requirements.txt"')
    course = re.search(r"COPY .* src/ \$\{REPO_DIR\}/", dockerfile).start()
    assert packages < course < dockerfile.index("RUN ./binder/postBuild")
    assert "libgl1" in dockerfile and "binder/start" in dockerfile
    python = lines(BINDER / "runtime.txt")[0].replace("-", "=")
    assert f"conda environment for {python}" in dockerfile
