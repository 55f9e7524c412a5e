"""Training: identity-balanced batches, the loop, and checkpoints that resume to the same result.

Everything random in an epoch comes from (seed, epoch), so an epoch begun anew repeats itself.
"""

import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn
from tqdm.auto import tqdm

from reidlib.collection import datasets, transforms
from reidlib.model import checkpoints, embedding, examples, losses, networks, processes, ranking
from reidlib.model.sampler import CameraSampler, IdentitySampler

OPTIMISERS = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": partial(torch.optim.SGD, momentum=0.9, nesterov=True),
}
SCHEDULES = ("cosine", "step")
DROPS = (0.6, 0.85)  # shares of the training after which "step" divides the rate by ten


def learning_rate(progress, lr: float, schedule: str = "cosine", warmup: float = 0.1):
    """Return the learning rate at `progress`, the share of training done, 0 to 1.

    It rises linearly over the first `warmup` share, because the gradients of random weights point
    nowhere in particular (Goyal et al., 2017); then it falls, so that the weights settle: "cosine"
    to zero (Loshchilov and Hutter, 2017), "step" to a tenth after 60 % and to a hundredth after
    85 %. An array of shares gives an array of rates.

    >>> learning_rate(np.array([0.3, 0.7, 0.9]), 1.0, "step").round(3).tolist()
    [1.0, 0.1, 0.01]
    """
    if np.ndim(progress):
        rates = [learning_rate(share, lr, schedule, warmup) for share in np.ravel(progress)]
        return np.reshape(rates, np.shape(progress))
    progress = float(progress)
    if progress < warmup:
        return lr * (0.01 + 0.99 * progress / warmup)
    if schedule == "step":
        passed = [share for share in DROPS if progress >= share]
        return lr * 0.1 ** len(passed)
    return lr * 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


@dataclass(frozen=True)
class Settings:
    """What decides the outcome of a training; a checkpoint is resumed under the same only.

    NumPy's numbers become Python's. Raises ValueError, naming the setting, for values that cannot
    be trained with.

    >>> Settings(loss="margin", epochs=60).lr
    0.001
    """

    loss: str | nn.Module = "triplet"  # a name that losses.make knows, or a loss of your own
    margin: float | None = None  # None is the default of the loss
    mining: str = "hard"  # which triplets count
    beta: float = 1.2  # of the margin loss
    id_loss: float = 1.0  # weight of the classifier's cross-entropy beside the metric loss
    label_smoothing: float = 0.1  # of that cross-entropy, as in Luo et al. (2019)
    epochs: int = 20
    identities: int = 16  # people in a batch
    images: int = 4  # images of each of them
    by_camera: float = 0.0  # share of batches in which strangers share a camera, see CameraSampler
    augment: Callable[[np.ndarray, np.random.Generator], np.ndarray] | None = transforms.augment
    size: tuple[int, int] = networks.SIZE  # height and width, pixels, of a data set's images
    optimiser: str = "adam"
    lr: float = 1e-3
    weight_decay: float = 5e-4
    schedule: str = "cosine"
    warmup: float = 0.1  # a share of all steps
    bfloat16: bool | None = None  # rounds the network's arithmetic; None is on a GPU only
    seed: int = 0

    def __post_init__(self):
        for name, value in list(vars(self).items()):
            if not callable(value):  # as a loss of one's own is
                object.__setattr__(self, name, networks.plain(value, name))
        for name, least in {"epochs": 1, "identities": 2, "images": 1, "seed": 0}.items():
            _check_number(name, getattr(self, name), least, whole=True)
        for name in ("beta", "id_loss", "lr", "weight_decay"):
            _check_number(name, getattr(self, name))
        for name in ("label_smoothing", "warmup", "by_camera"):
            _check_number(name, getattr(self, name), most=1)
        if self.margin is not None:
            _check_number("margin", self.margin)
        if not isinstance(self.size, Sequence) or len(self.size) != 2:
            raise ValueError(f"size is {self.size!r}; expected height and width, as (128, 64)")
        object.__setattr__(self, "size", tuple(map(networks.plain, self.size)))
        for side in self.size:
            _check_number("a side of size", side, 1, whole=True)
        if self.augment is not None and not callable(self.augment):
            raise ValueError(f"augment is {self.augment!r}; expected a function or None")
        if self.bfloat16 not in (None, True, False):
            raise ValueError(f"bfloat16 is {self.bfloat16!r}; expected True, False or None")
        if self.optimiser not in tuple(OPTIMISERS) or self.schedule not in SCHEDULES:
            raise ValueError(
                f"optimiser {self.optimiser!r}, schedule {self.schedule!r}; choose from "
                f"{', '.join(OPTIMISERS)} and from {', '.join(SCHEDULES)}"
            )
        self.metric()  # raises for an unknown loss or mining

    def metric(self) -> nn.Module:
        """Return the metric loss that these settings describe."""
        return losses.make(self.loss, self.margin, self.mining, self.beta)


def fit(
    model: networks.SiameseHead | networks.SiameseNetwork,
    dataset,
    settings: Settings | None = None,
    *,
    checkpoint: str | Path | None = None,
    validate: Callable[[nn.Module], dict] | None = None,
    every: int = 1,
    on_epoch: Callable[[dict], None] | None = None,
    device: str = "auto",
    accelerator=None,
    progress: bool = True,
    **changes,
) -> pd.DataFrame:
    """Train `model` in place and return its history, one row an epoch.

    `dataset` is a datasets.Dataset, or a pair of arrays: uint8 images (N, H, W, 3) or feature
    vectors (N, D), and identities (N,). Junk, pid -1, is left out; so are the distractors of a
    Dataset, pid 0, which in an array is a person like any other. Single `settings` may be given by
    their names instead: ``fit(model, dataset, loss="margin", epochs=60)``.

    The metric loss is joined by cross-entropy over identities when the model has a classifier (Luo
    et al., 2019). `validate(model)` returns columns for the history after each `every` epochs;
    `on_epoch` gets each new row. `checkpoint` is written after each epoch; a call with the same
    settings goes on from it and ends with the result of an uninterrupted run, an interrupted epoch
    being begun anew. An `accelerate.Accelerator` spreads every batch over its processes, whose
    first writes the checkpoint; see `processes` for how they are started. One that rounds has its
    own `bfloat16`.

    Raises TypeError for a setting that does not exist, ValueError for one that cannot be, a
    classifier of the wrong width, a checkpoint that is damaged or of other settings or data, a
    batch that the processes cannot share evenly, and as soon as the loss is not finite.
    """
    settings = _changed(Settings() if settings is None else settings, changes)
    _check_number("every", every, 1, whole=True)
    data, pids, cameras = examples.in_memory(dataset, settings.size)
    people, labels = np.unique(pids, return_inverse=True)
    if model.classes not in (None, len(people)):
        raise ValueError(
            f"the model classifies {model.classes} identities, the data hold {len(people)}; "
            f"build it with classes={len(people)}"
        )
    embedding.keep_freed_memory()
    trainer = Trainer(model, data, labels, settings, device, accelerator, cameras)
    history, described = [], trainer.description()
    if checkpoint and Path(checkpoint).exists():
        history = checkpoints.resume(checkpoint, model, trainer.optimiser, described)
    processes.check_alike(accelerator, described | {"epochs done": len(history)})
    with processes.sharing(accelerator, model, trainer.optimiser) as shared:
        trainer.network, trainer.optimiser = shared
        for epoch in range(len(history), settings.epochs):
            row = trainer.epoch(epoch, progress)
            done = epoch + 1
            if validate and (done % every == 0 or done == settings.epochs):
                row |= {name: float(value) for name, value in validate(model.eval()).items()}
            history.append(row)
            if checkpoint and processes.is_first(accelerator):
                checkpoints.save(checkpoint, model, trainer.optimiser, described, history)
            if on_epoch:
                on_epoch(row)
    model.eval()
    return pd.DataFrame(history)


class Trainer:
    """A training in progress: a model, its optimiser, and the batches that they learn from.

    `data` are uint8 images (N, H, W, 3) or vectors (N, D), `labels` (N,) count people from 0,
    `cameras` (N,) are asked for by some settings only.
    """

    def __init__(
        self, model, data, labels, settings: Settings, device="auto", accelerator=None, cameras=None
    ):
        self.model, self.data, self.labels, self.settings = model, data, labels, settings
        self.accelerator = accelerator
        self.device = embedding.pick_device(device) if accelerator is None else accelerator.device
        rounded = accelerator is not None and accelerator.mixed_precision != "no"
        on_gpu = self.device.type == "cuda" and not rounded
        self.bfloat16 = on_gpu if settings.bfloat16 is None else settings.bfloat16
        self.metric = settings.metric()
        each = labels, settings.identities, settings.images, settings.seed
        self.sampler = IdentitySampler(*each)
        if settings.by_camera:
            self.sampler = CameraSampler(*each, cameras, share=settings.by_camera)
        self.steps = len(self.sampler)
        model.to(self.device, memory_format=torch.channels_last)
        self.network = model  # what is called; `fit` may wrap it
        # One kernel for all weights takes a quarter of the time.
        fused = self.device.type in ("cpu", "cuda") and torch.__version__ >= "2.4"
        options = {"lr": settings.lr, "weight_decay": settings.weight_decay, "fused": fused}
        trained = [weight for weight in model.parameters() if weight.requires_grad]
        self.optimiser = OPTIMISERS[settings.optimiser](trained, **options)

    def epoch(self, number: int, progress: bool = True) -> dict:
        """Train for one epoch, counted from 0, and return its row of the history."""
        started = time.perf_counter()
        title = f"epoch {number + 1}/{self.settings.epochs}"
        quiet = not (progress and processes.is_first(self.accelerator))
        scores = list(tqdm(self.learn(number), title, self.steps, leave=False, disable=quiet))
        seconds = time.perf_counter() - started
        means = pd.DataFrame(scores).mean().to_dict()
        seen = self.steps * self.sampler.identities * self.sampler.images
        pace = {"images_per_second": seen / seconds, "seconds": seconds}
        return {"epoch": number + 1, "lr": self.optimiser.param_groups[0]["lr"], **means, **pace}

    def learn(self, number: int) -> Iterator[dict]:
        """Train for one epoch, counted from 0, and yield the parts of the loss of every batch."""
        torch.manual_seed(self.settings.seed * 100_003 + number)
        self.network.train()
        for step, (batch, labels) in enumerate(self.batches(number)):
            self.set_rate(number + step / self.steps)
            yield self.step(batch, labels)

    def batches(self, epoch: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield an epoch's batches with their labels, each prepared while the last is learnt.

        Of several processes each has the images of its share, and the labels of the whole batch.
        """
        rank = 0 if self.accelerator is None else self.accelerator.process_index
        rng = np.random.default_rng([self.settings.seed, epoch, rank, 1])
        self.sampler.epoch = epoch
        augment = self.settings.augment if self.data.ndim == 4 else None

        def prepare(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            own = processes.share(rows, self.sampler.identities, self.accelerator)
            batch = self.data[own]
            return augment(batch, rng) if augment else batch, self.labels[rows]

        if self.data.ndim == 2:  # to pick vectors takes less than a thread's turn
            return map(prepare, self.sampler)
        return transforms.one_ahead(prepare, self.sampler)

    def set_rate(self, epochs_done: float) -> float:
        """Set the learning rate after so many epochs, and return it."""
        settings = self.settings
        progress = epochs_done / settings.epochs
        rate = learning_rate(progress, settings.lr, settings.schedule, settings.warmup)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        return rate

    def step(self, batch: np.ndarray, labels: np.ndarray) -> dict:
        """Learn from one batch and return the parts of its loss."""
        # Not in the thread that prepares: torch would start threads of its own there, and the two
        # sets of threads would get in each other's way.
        inputs = embedding.to_input(batch, self.device)
        target = torch.from_numpy(labels).to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bfloat16):
            output = processes.gather_output(self.network(inputs))
        cost, score = _cost(output, target, self.metric, self.settings)
        self.optimiser.zero_grad()
        if self.accelerator is None:
            cost.backward()
        else:
            self.accelerator.backward(cost)
        self.optimiser.step()
        return score

    def description(self) -> dict:
        """Return what a run that goes on from a checkpoint must have in common with it."""
        return vars(self.settings) | {
            "loss": repr(self.settings.loss),
            "augment": self.settings.augment is not None,
            "config": {name: networks.plain(value) for name, value in self.model.config.items()},
            "data": examples.fingerprint(self.data, self.labels),
        }


def _cost(output, labels: torch.Tensor, metric: nn.Module, settings: Settings):
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
        # A triplet compares three images, a classifier all people at once. With a BNNeck it reads
        # the embedding behind a normalisation, so that neither loss bends the other's space.
        logits = logits.float()
        identity = F.cross_entropy(logits, labels, label_smoothing=settings.label_smoothing)
        cost = cost + settings.id_loss * identity
        score["id_loss"] = identity.item()
        score["accuracy"] = (logits.argmax(dim=1) == labels).float().mean().item()
    return cost, score


def _changed(settings: Settings, changes: dict) -> Settings:
    """Return the settings with some of them replaced."""
    names = [field.name for field in fields(Settings)]
    unknown = ", ".join(sorted(set(changes) - set(names)))
    if unknown:
        raise TypeError(f"fit has no setting {unknown}; choose from {', '.join(names)}")
    return replace(settings, **changes)


def _check_number(name, value, least=0, most=sys.float_info.max, whole=False) -> None:
    """Raise ValueError unless `value` is a number within limits; infinity and NaN never are."""
    kinds, kind = ((int,), "a whole number") if whole else ((int, float), "a number")
    if type(value) not in kinds or not least <= value <= most:
        limits = f"{least} or more" if most == sys.float_info.max else f"{least} to {most}"
        raise ValueError(f"{name} is {value!r}; expected {limits}, {kind}")


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
    `settings` go to `fit`: loss, margin, mining, lr, optimiser ...
    """
    head, data, settings = _head(vectors, split, dim, steps, identities, seed, **settings)
    with embedding.one_thread():
        fit(head, data, device="cpu", progress=False, **settings)
        query, gallery = (embedding.embed(head, part) for part in vectors[1:])
        return head, ranking.score(query, gallery, split)


def head_trainer(vectors: Sequence[np.ndarray], split: datasets.Dataset, **settings) -> Trainer:
    """Return the training of `train_head`, of the same arguments, before its first step."""
    head, (data, pids), settings = _head(vectors, split, **settings)
    labels = np.unique(pids, return_inverse=True)[1]
    return Trainer(head, data, labels, _changed(Settings(), settings), "cpu")


def _head(vectors, split, dim=128, steps=300, identities=12, seed=0, **settings):
    """Return a new head, the vectors and people that it learns from, and settings of `fit`."""
    with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they were
        torch.manual_seed(seed)
        head = networks.SiameseHead(vectors[0].shape[1], dim)
    chosen = examples.shows_somebody(split.train.pid, least=1)
    train, pids = vectors[0][chosen], split.train.pid[chosen].to_numpy()
    epochs = max(1, round(steps / len(IdentitySampler(pids, identities))))
    settings = {"identities": identities, "epochs": epochs, "seed": seed, **settings}
    return head, (train, pids), settings
