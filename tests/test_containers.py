"""The containers, as far as that can be said without building them: what they copy and start."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parent.parent


def test_the_image_is_made_of_what_there_is():
    text = (ROOT / "Dockerfile").read_text("utf-8")
    copied = [line.split()[1:-1] for line in text.splitlines() if re.match("COPY [^-]", line)]
    names = [name for group in copied for name in group]
    kept = (ROOT / ".dockerignore").read_text("utf-8").split()
    assert {"pyproject.toml", "reidlib", "data"} <= set(names)
    for name in names:
        assert (ROOT / name).exists() and f"!{name}" in kept


def test_workers_and_scheduler_agree():
    services = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]
    address = services["worker"]["entrypoint"][2]
    assert address == "tcp://scheduler:8786" and services["worker"]["scale"] == 2
    assert services["scheduler"]["entrypoint"][-1] == "8786"
    assert services["scheduler"]["ports"] == [
        "127.0.0.1:8787:8787"
    ]  # the dashboard, seen from here
    assert address in (ROOT / "compose.yaml").read_text("utf-8").split("services:")[0]
    volumes = {name: service["volumes"] for name, service in services.items()}
    assert volumes["worker"] == volumes["reidlib"] == ["./footage:/footage"]


def test_dask_has_the_options_that_the_containers_give():
    cli = pytest.importorskip("distributed.cli")
    from distributed.cli import dask_scheduler, dask_worker

    assert cli
    services = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]
    for service, program in (("scheduler", dask_scheduler), ("worker", dask_worker)):
        words = services[service]["entrypoint"] + services[service]["command"]
        known = {option for part in program.main.params for option in part.opts}
        assert {word for word in words if word.startswith("--")} <= known
