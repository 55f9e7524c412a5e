"""Training: identity-balanced batches, the loop, and checkpoints that resume to the same result.

Everything random in an epoch comes from (seed, epoch), so an epoch begun anew repeats itself.
"""

from __future__ import annotations

import itertools
import math
import time
import zlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn
from tqdm.auto import tqdm

from reidlib.collection import datasets, transforms
from reidlib.model import embedding, losses, networks, ranking
from reidlib.model.sampler import IdentitySampler

FORMAT = "reidlib-checkpoint-1"
OPTIMISERS = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": partial(torch.optim.SGD, momentum=0.9, nesterov=True),
}
SETTINGS = (
    "margin", "mining", "beta", "id_loss", "label_smoothing", "epochs", "identities", "images",
    "optimiser", "lr", "weight_decay", "schedule", "warmup", "size", "seed",
)  # fmt: skip


def learning_rate(
    progress: float, lr: float, schedule: str = "cosine", warmup: float = 0.1
) -> float:
    """Return the learning rate at `progress`, the share of training done, 0 to 1.

    It rises linearly over the first `warmup` share, then falls: "cosine" to zero (Loshchilov and
    Hutter, 2017), "step" to a tenth after 60 % and to a hundredth after 85 %.
    """
    if progress < warmup:
        return lr * (0.01 + 0.99 * progress / warmup)
    if schedule == "step":
        return lr * 0.1 ** ((progress >= 0.6) + (progress >= 0.85))
    return lr * 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


def fit(
    model: networks.SiameseHead | networks.SiameseNetwork,
    dataset,
    *,
    loss: str | nn.Module = "triplet",
    margin: float | None = None,
    mining: str = "hard",
    beta: float = 1.2,
    id_loss: float = 1.0,
    label_smoothing: float = 0.1,
    epochs: int = 20,
    identities: int = 16,
    images: int = 4,
    optimiser: str = "adam",
    lr: float = 1e-3,
    weight_decay: float = 5e-4,
    schedule: str = "cosine",
    warmup: float = 0.1,
    augment: Callable[[np.ndarray, np.random.Generator], np.ndarray] | None = transforms.augment,
    size: tuple[int, int] = networks.SIZE,
    checkpoint: str | Path | None = None,
    validate: Callable[[nn.Module], dict] | None = None,
    every: int = 1,
    on_epoch: Callable[[dict], None] | None = None,
    device: str = "auto",
    bfloat16: bool | None = None,
    accelerator=None,
    seed: int = 0,
    progress: bool = True,
) -> pd.DataFrame:
    """Train `model` in place and return its history, one row an epoch.

    `dataset` is a datasets.Dataset, or a pair of arrays: uint8 images (N, H, W, 3) or feature
    vectors (N, D), and identities (N,). The metric `loss`, with its own default `margin`, is joined
    by cross-entropy over identities, weighted by `id_loss`, when the model has a classifier (Luo et
    al., 2019). `augment` takes a batch of images and a generator; `warmup` is a share of all steps.
    `validate(model)` returns columns for the history after each `every` epochs; `on_epoch` gets
    each new row.

    `checkpoint` is written after each epoch; a call with the same settings goes on from it and ends
    with the result of an uninterrupted run, an interrupted epoch being begun anew. `bfloat16`
    rounds the network's arithmetic, by default on a GPU only; an `accelerate.Accelerator` spreads
    the work over its processes.

    Raises ValueError for unknown names, a classifier of the wrong width, a checkpoint of other
    settings or data, and as soon as the loss is not finite.
    """
    given = locals()
    settings = {name: networks.plain(given[name]) for name in SETTINGS}
    lr, weight_decay = settings["lr"], settings["weight_decay"]
    data, pids = _in_memory(dataset, size)
    names, labels = np.unique(pids, return_inverse=True)
    settings |= {"config": model.config, "loss": repr(loss), "data": _fingerprint(data, labels)}
    settings["augment"] = augment is not None
    if epochs < 1 or every < 1:
        raise ValueError(f"epochs={epochs}, every={every}; expected 1 or more")
    if model.classes not in (None, len(names)):
        raise ValueError(
            f"the model classifies {model.classes} identities, the data hold {len(names)}; "
            f"build it with classes={len(names)}"
        )
    if optimiser not in OPTIMISERS or schedule not in ("cosine", "step"):
        raise ValueError(
            f"optimiser {optimiser!r}, schedule {schedule!r}; choose from "
            f"{', '.join(OPTIMISERS)} and from cosine, step"
        )
    embedding.keep_freed_memory()
    metric = losses.make(loss, margin, mining, beta)
    rank, world = (accelerator.process_index, accelerator.num_processes) if accelerator else (0, 1)
    sampler = IdentitySampler(labels, identities, images, seed)
    steps = math.ceil(len(sampler) / world)
    device = accelerator.device if accelerator else embedding.pick_device(device)
    bfloat16 = device.type == "cuda" if bfloat16 is None else bfloat16
    model.to(device, memory_format=torch.channels_last)
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    # One kernel for all weights takes a quarter of the time.
    fused = device.type in ("cpu", "cuda") and torch.__version__ >= "2.4"
    optimise = OPTIMISERS[optimiser](trained, lr=lr, weight_decay=weight_decay, fused=fused)
    history = _resume(checkpoint, model, optimise, settings) if checkpoint else []
    network = model
    if accelerator:
        network, optimise = accelerator.prepare(model, optimise)

    for epoch in range(len(history), epochs):
        started, scores, seen = time.perf_counter(), [], 0
        torch.manual_seed(seed * 100_003 + epoch)
        rng = np.random.default_rng([seed, epoch, rank, 1])
        sampler.epoch = epoch * world + rank
        network.train()

        def prepare(rows, rng=rng):
            batch = augment(data[rows], rng) if augment and data.ndim == 4 else data[rows]
            return batch, labels[rows]

        batches = transforms.one_ahead(prepare, itertools.islice(sampler, steps))
        title = f"epoch {epoch + 1}/{epochs}"
        bar = tqdm(batches, title, steps, leave=False, disable=not progress)
        for step, (batch, target) in enumerate(bar):
            # In the thread, torch would start threads of its own, which get in each other's way.
            batch, target = embedding.to_input(batch, device), torch.from_numpy(target).to(device)
            rate = learning_rate((epoch + step / steps) / epochs, lr, schedule, warmup)
            for group in optimise.param_groups:
                group["lr"] = rate
            with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
                output = network(batch)
            cost, score = _cost(output, target, metric, id_loss, label_smoothing)
            optimise.zero_grad()
            accelerator.backward(cost) if accelerator else cost.backward()
            optimise.step()
            scores.append(score)
            seen += len(target)
        seconds = time.perf_counter() - started
        row = {"epoch": epoch + 1, "lr": rate, **pd.DataFrame(scores).mean().to_dict()}
        row |= {"images_per_second": seen / seconds, "seconds": seconds}
        if validate and ((epoch + 1) % every == 0 or epoch + 1 == epochs):
            row |= {name: float(value) for name, value in validate(model.eval()).items()}
        history.append(row)
        if checkpoint and rank == 0:
            _save(checkpoint, model, optimise, settings, history)
        if on_epoch:
            on_epoch(row)
    model.eval()
    return pd.DataFrame(history)


def _cost(output, labels, metric, id_loss, label_smoothing):
    """Return the loss of one batch, and its parts as numbers."""
    features, logits = output if isinstance(output, tuple) else (output, None)
    cost = metric(features.float(), labels)
    score = {"metric_loss": cost.item()}
    if not math.isfinite(score["metric_loss"]):
        raise ValueError(
            f"the loss became {score['metric_loss']}; try a lower learning rate or margin, and "
            "look for NaN in the data"
        )
    if logits is not None:
        logits = logits.float()
        identity = F.cross_entropy(logits, labels, label_smoothing=label_smoothing)
        cost = cost + id_loss * identity
        score["id_loss"] = identity.item()
        score["accuracy"] = (logits.argmax(dim=1) == labels).float().mean().item()
    return cost, score


def _in_memory(dataset, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(dataset, datasets.Dataset):
        return datasets.read_images(dataset.train.path, size), dataset.train.pid.to_numpy()
    data, pids = np.asarray(dataset[0]), np.asarray(dataset[1])
    good = data.ndim == 2 or (data.ndim == 4 and data.dtype == np.uint8)
    if len(data) != len(pids) or not good:
        raise ValueError(
            f"{data.dtype} data of shape {data.shape} and {len(pids)} identities; expected uint8 "
            "images (N, H, W, 3) or vectors (N, D), and N identities"
        )
    return data, pids


def _fingerprint(data: np.ndarray, labels: np.ndarray) -> int:
    """Return a number that tells data sets apart: of their size, labels and every hundredth row."""
    some = np.ascontiguousarray(data[:: max(1, len(data) // 100)])
    return zlib.crc32(some, zlib.crc32(np.asarray([*data.shape, *labels], np.int64)))


def _save(path, model, optimise, settings: dict, history: list[dict]) -> None:
    content = {"format": FORMAT, "settings": settings, "history": history}
    content |= {"model": model.state_dict(), "optimiser": optimise.state_dict()}
    networks.write_weights(content, path)


def _resume(path, model, optimise, settings: dict) -> list[dict]:
    if not Path(path).exists():
        return []
    content = networks.read_weights(path, FORMAT)
    if not {"settings", "history", "model", "optimiser"} <= set(content):
        raise ValueError(f"checkpoint {path} is incomplete; delete it to start again")
    before = content["settings"]
    was = {name: before.get(name) for name, value in settings.items() if before.get(name) != value}
    if was:
        raise ValueError(
            f"checkpoint {path} was made with {was}; call with the same settings to resume it, or "
            "delete it (or give another path) to start again"
        )
    model.load_state_dict(content["model"])
    optimise.load_state_dict(content["optimiser"])
    return content["history"]


def train_head(
    vectors: Sequence[np.ndarray],
    split: datasets.Dataset,
    *,
    dim: int = 128,
    steps: int = 300,
    identities: int = 12,
    seed: int = 0,
    **settings,
) -> tuple[networks.SiameseHead, ranking.Result]:
    """Train a small head on cached features and rank with it; returns both.

    `vectors` are the features of the train, query and gallery images of `split`, (N, D) each.
    `settings` go to `training.fit`: loss, margin, mining, lr, optimiser ...
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = networks.SiameseHead(vectors[0].shape[1], dim)
    pids = split.train.pid.to_numpy()
    epochs = max(1, round(steps / len(IdentitySampler(pids, identities))))
    settings = {"identities": identities, "epochs": epochs, "seed": seed, **settings}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # on so small a network threads wait longer than they work
    try:
        fit(head, (vectors[0], pids), device="cpu", progress=False, **settings)
        query, gallery = (embedding.embed(head, part) for part in vectors[1:])
        return head, ranking.score(query, gallery, split)
    finally:
        torch.set_num_threads(threads)
