"""Checkpoints: a training on disk, from which another process goes on to the same result."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from reidlib.model import networks

FORMAT = "reidlib-checkpoint-1"
# What an optimiser remembers of each weight: averages of its gradients, and their number.
MEMORY = {
    "adam": {"step", "exp_avg", "exp_avg_sq"},
    "adamw": {"step", "exp_avg", "exp_avg_sq"},
    "sgd": {"momentum_buffer"},
}
DAMAGED = (LookupError, TypeError, ValueError, AttributeError, RuntimeError)


def save(path: str | Path, model, optimiser, settings: dict, history: list[dict]) -> None:
    """Write a training to `path`, whole or not at all; Ctrl-C waits until it is written.

    `settings` are plain values that tell this training from others, `history` has a row an epoch.
    """
    content = {"format": FORMAT, "settings": settings, "history": history}
    content |= {"model": model.state_dict(), "optimiser": optimiser.state_dict()}
    # Ctrl-C interrupts the main thread only; what another has begun to write it writes to the end.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(networks.write_weights, content, path).result()


def resume(path: str | Path, model, optimiser, settings: dict) -> list[dict]:
    """Bring `model` and `optimiser` to where the training at `path` was; return its history.

    Raises ValueError, and changes nothing, when that training had other `settings`, and when the
    file does not hold what it should.
    """
    content = networks.read_weights(path, FORMAT)
    try:
        before = content["settings"]
        other = {name: before.get(name) for name in settings if before.get(name) != settings[name]}
        if not other:
            _check_history(content["history"], settings["epochs"])
            _check_alike(content["model"], model.state_dict())
            memory = content["optimiser"]["state"]
            weights = [weight for group in optimiser.param_groups for weight in group["params"]]
            _check_memory(memory, weights, MEMORY[settings["optimiser"]])
    except DAMAGED as error:
        raise ValueError(
            f"checkpoint {path} does not hold the model, the optimiser and the history that belong "
            "to its settings; delete it (or give another path) to start again"
        ) from error
    if other:
        raise ValueError(
            f"checkpoint {path} was made with {other}; call with the same settings to resume it, "
            "or delete it (or give another path) to start again"
        )
    model.load_state_dict(content["model"])
    # Its rates and decays follow from the settings: only what it remembers comes from the file.
    optimiser.load_state_dict({**optimiser.state_dict(), "state": memory})
    return content["history"]


def _check_history(history: list[dict], epochs: int) -> None:
    """Raise unless this is a row of numbers for each epoch from the first."""
    done = [row["epoch"] for row in history]
    numbers = [type(value) in (int, float) for row in history for value in row.values()]
    if done != list(range(1, len(done) + 1)) or not 1 <= len(done) <= epochs or not all(numbers):
        raise ValueError(f"a history of the epochs {done}")


def _check_memory(memory: dict, weights: list, names: set[str]) -> None:
    """Raise unless something is remembered, each of the names, in the weight's shape and type."""
    weight_of, step = dict(enumerate(weights)), torch.zeros(())
    for number, tensors in memory.items():
        expected = {name: step if name == "step" else weight_of[number] for name in names}
        _check_alike(tensors, expected)
    if not memory:
        raise ValueError("no memory of any weight")


def _check_alike(saved: dict, expected: dict) -> None:
    """Raise unless tensors have the names, shapes and types of those expected."""
    outlines = [
        {name: (value.shape, value.dtype) for name, value in tensors.items()}
        for tensors in (saved, expected)
    ]
    if outlines[0] != outlines[1]:
        raise ValueError(f"tensors like {outlines[0]}")
