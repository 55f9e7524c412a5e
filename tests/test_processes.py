"""Several processes train as one would: same loss, same gradients, same weights after a death."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from reidlib.model import networks, processes, training

accelerate = pytest.importorskip("accelerate")

TWO = """
import os, signal, sys
from pathlib import Path
import torch
from reidlib.model import processes
sys.path.insert(0, {tests!r})
import test_processes as ours

accelerator, folder = processes.join(), Path({folder!r})
first = not (folder / "died").exists()  # torchrun starts everybody anew after a death
for name in ours.NETWORKS if first else ():
    result = ours.learn_once(ours.trainer(ours.network(name), accelerator))
    if processes.is_first(accelerator):
        torch.save(result, folder / f"{{name}}.pt")

def stumble(row):
    if accelerator.process_index == 1 and row["epoch"] == 2 and first:
        (folder / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)

for name, on_epoch in (("resumed", stumble), ("whole", None)):
    model = ours.network("tiny")
    ours.train(model, accelerator, checkpoint=folder / name, on_epoch=on_epoch)
    if processes.is_first(accelerator):
        torch.save(model.state_dict(), folder / f"{{name}}.pt")
accelerator.end_training()
"""
NETWORKS = ("head", "tiny", "without classifier")


def crops():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (48, 32, 16, 3), dtype=np.uint8)
    return images, np.repeat(np.arange(8), 6)


def network(name):
    torch.manual_seed(1)
    if name == "head":
        return networks.SiameseHead(32 * 16 * 3, 8)
    return networks.SiameseNetwork("tiny-x0.5", 16, 8 if name == "tiny" else None)


def data(model):
    images, labels = crops()
    if isinstance(model, networks.SiameseHead):
        return images.reshape(len(images), -1) / np.float32(255), labels
    return images, labels


def train(model, accelerator, **options):
    settings = {"identities": 4, "images": 3, "epochs": 4, "lr": 3e-3, "progress": False}
    return training.fit(model, data(model), accelerator=accelerator, **settings, **options)


def trainer(model, accelerator=None):
    images, labels = data(model)
    settings = training.Settings(identities=4, images=3, epochs=1, augment=None)
    return training.Trainer(model, images, labels, settings, "cpu", accelerator)


def learn_once(trainer):
    """Return the loss of the first batch, all gradients, and the batch statistics after it."""
    model = trainer.model
    with processes.sharing(trainer.accelerator, model, trainer.optimiser) as shared:
        trainer.network, trainer.optimiser = shared
        model.train()
        batch, labels = next(trainer.batches(0))
        score = trainer.step(batch, labels)
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return {"score": score, "gradients": gradients, "buffers": dict(model.named_buffers())}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What two processes left behind, one of which was killed in its second epoch."""
    # After a kill torchrun's processes may look for each other at a port that is gone, and wait
    # without end or give up: that is torch's, and whoever trains gives the command again. So do we.
    for seconds in (100, 100, 200):
        folder = tmp_path_factory.mktemp("two")
        script = folder / "two.py"
        script.write_text(TWO.format(tests=str(Path(__file__).parent), folder=str(folder)))
        if finished(script, seconds):
            return folder
    raise TimeoutError("two processes did not end, three times")


def finished(script: Path, seconds: float) -> bool:
    """Run two processes by torchrun; return whether they ended, well, within so many seconds."""
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    with subprocess.Popen(
        [*launch, "--max-restarts=3", "--monitor-interval=0.1", script],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parent.parent)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            said, _ = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # the processes that it started, too
            return False
    assert process.returncode == 0 or "Gloo connectFullMesh failed" in said, said
    return process.returncode == 0


@pytest.mark.parametrize("name", NETWORKS)
def test_two_processes_have_the_loss_and_gradients_of_one(folder, name):
    alone, both = learn_once(trainer(network(name))), torch.load(folder / f"{name}.pt")
    assert both["score"] == pytest.approx(alone["score"], abs=1e-5)
    assert both["gradients"].keys() == alone["gradients"].keys()
    for kind in ("gradients", "buffers"):
        for name, value in alone[kind].items():
            assert value.float().abs().max() > 0, "nothing to compare"
            torch.testing.assert_close(both[kind][name], value, atol=1e-5, rtol=1e-5)


def test_a_process_killed_and_all_begun_anew_end_with_the_same_weights(folder):
    assert (folder / "died").exists()
    resumed, whole = (torch.load(folder / f"{name}.pt") for name in ("resumed", "whole"))
    begun = network("tiny").state_dict()
    assert not torch.equal(whole["backbone.stem.0.weight"], begun["backbone.stem.0.weight"])
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)


def test_people_who_cannot_be_split_evenly():
    three = SimpleNamespace(num_processes=3, process_index=1)
    rows = np.arange(12)
    assert processes.share(rows, 6, three).tolist() == [4, 5, 6, 7]
    assert processes.share(rows, 4, None) is rows
    with pytest.raises(ValueError, match="4 identities a batch.*3 processes; choose identities=3"):
        processes.share(rows, 4, three)


def test_a_process_without_accelerate_or_without_company(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.setattr(processes.assets, "has", lambda name: False)
    assert processes.join() is None
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ImportError, match=r"1 of 2 processes.*reidlib\[distributed\]"):
        processes.join()


def test_an_accelerator_rounds_and_leaves_the_model_as_it_was():
    accelerate.state.AcceleratorState._reset_state(True)
    try:
        rounding = accelerate.Accelerator(cpu=True, mixed_precision="bf16")
        exact, rounded = network("tiny"), network("tiny")
        before, after = train(exact, None, device="cpu"), train(rounded, rounding)
        assert "forward" not in vars(rounded) or not hasattr(rounded.forward, "__wrapped__")
        changed = (before.metric_loss - after.metric_loss).abs()
        assert 0 < changed.max() < 0.2  # rounded to 8 bits, not wrong
        assert rounded(torch.zeros(1, 3, 32, 16)).dtype == torch.float32
    finally:
        accelerate.state.AcceleratorState._reset_state(True)
