"""Several processes that train one network: a GPU each, or a few cores each, on many machines.

Every process draws the same batch, puts its share of the identities through the network, and then
gathers the embeddings of all. So mining sees the whole batch, the loss is that of the whole batch,
and a training by two or by eight processes is the training by one, but for rounding and for which
image gets which augmentation. Hugging Face Accelerate starts the processes and averages their
gradients; pip install "reidlib[distributed]" brings it:

    accelerate launch --num_processes 4 --mixed_precision bf16 -m reidlib train plaza --out a.pt

or, where a process may die, PyTorch's own launcher, which begins all anew from the checkpoint:

    torchrun --nproc-per-node 4 --max-restarts 3 -m reidlib train plaza --out a.pt
"""

import contextlib
import os
from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from reidlib import assets


def join():
    """Return the Accelerator of a process that a launcher has started, else None.

    Without a GPU the processes talk by gloo, on the CPU. Raises ImportError when Accelerate is
    missing: the processes would train a network each, and write it to the same file.
    """
    count = int(os.environ.get("WORLD_SIZE", 1))
    if count < 2 and "ACCELERATE_MIXED_PRECISION" not in os.environ:
        return None
    if not assets.has("accelerate"):
        raise ImportError(
            f"a launcher started this as 1 of {count} processes, which takes Hugging Face "
            'Accelerate; pip install "reidlib[distributed]", or run it without the launcher'
        )
    from accelerate import Accelerator

    return Accelerator(cpu=not torch.cuda.is_available())


def part(accelerator) -> None:
    """End what processes have in common, if there are several: each goes its own way."""
    if accelerator is not None:
        accelerator.end_training()


def is_first(accelerator) -> bool:
    """Return whether this process is the one that writes files and talks."""
    return accelerator is None or accelerator.process_index == 0


def share(rows: np.ndarray, people: int, accelerator) -> np.ndarray:
    """Return this process's part of a batch of `people`, whose rows follow each other.

    Raises ValueError when the people cannot be split evenly: the processes wait for each other, and
    a mean over unequal parts would be another number.
    """
    if accelerator is None:
        return rows
    count = accelerator.num_processes
    if people % count:
        raise ValueError(
            f"{people} identities a batch cannot be split evenly over {count} processes; choose "
            f"identities={max(1, people // count) * count}, or another number of processes"
        )
    return np.split(rows, count)[accelerator.process_index]


class _Gather(torch.autograd.Function):
    """The rows of all processes; backwards, what all of them say of this process's rows."""

    @staticmethod
    def forward(context, rows):
        parts = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, rows)
        return torch.cat(parts)

    @staticmethod
    def backward(context, gradient):
        gradient = gradient.contiguous()
        dist.all_reduce(gradient)
        return gradient.chunk(dist.get_world_size())[dist.get_rank()]


def gather(rows: torch.Tensor) -> torch.Tensor:
    """Return (N, ...) rows of each of W processes as (W * N, ...), in the order of the processes.

    Gradients find their way back. Each process computes the same loss of all rows, so a row is told
    W times how to change; Accelerate's mean over the processes divides by W again.
    """
    return _Gather.apply(rows.contiguous()) if _several() else rows


def gather_output(output):
    """Return a network's embeddings, or embeddings and logits, of the whole batch."""
    if isinstance(output, tuple):
        return tuple(part if part is None else gather(part) for part in output)
    return gather(output)


@contextlib.contextmanager
def sharing(accelerator, model: nn.Module, optimiser) -> Iterator[tuple]:
    """Yield the network to call and the optimiser to step, with which all processes learn as one.

    Without an accelerator these are `model` and `optimiser` themselves.
    """
    if accelerator is None:
        yield model, optimiser
        return
    from accelerate import DistributedDataParallelKwargs

    if accelerator.ddp_handler is None and model.classes is None:
        # Without a classifier nothing learns from what comes behind the neck.
        accelerator.ddp_handler = DistributedDataParallelKwargs(find_unused_parameters=True)
    network, optimiser = accelerator.prepare(model, optimiser)
    with synchronised(model):
        yield network, optimiser
    accelerator.unwrap_model(network, keep_fp32_wrapper=False)  # `model` rounds no more


@contextlib.contextmanager
def synchronised(model: nn.Module) -> Iterator[None]:
    """While entered, batch normalisation in training takes its statistics over all processes.

    torch's own SyncBatchNorm does so on GPUs only. Each process would otherwise normalise by its
    own share: another network than that of one process, and poor where the share is small.
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    for norm in norms if _several() else ():
        norm.forward = partial(_normalise, norm)
    try:
        yield
    finally:
        for norm in norms:
            vars(norm).pop("forward", None)


def _normalise(norm: _BatchNorm, x: torch.Tensor) -> torch.Tensor:
    """Do what `norm` does, with the mean and variance of the rows of all processes."""
    if not norm.training:
        return type(norm).forward(norm, x)
    values, others = x.float(), [0, *range(2, x.ndim)]  # all dimensions but the channels
    own = torch.stack(torch.var_mean(values, dim=others, correction=0))
    variances, means = gather(own[None]).unbind(dim=1)
    # Of equal shares: the mean of their variances, and the variance of their means.
    mean = means.mean(dim=0)
    variance = variances.mean(dim=0) + means.var(dim=0, correction=0)
    with torch.no_grad():
        count = values.numel() / len(mean) * len(means)
        norm.num_batches_tracked += 1
        norm.running_mean.lerp_(mean, norm.momentum)
        norm.running_var.lerp_(variance * count / (count - 1), norm.momentum)
    scale = norm.weight * torch.rsqrt(variance + norm.eps)
    shift = norm.bias - mean * scale
    shape = [1, -1] + [1] * (x.ndim - 2)
    return torch.addcmul(shift.view(shape), values, scale.view(shape)).to(x.dtype)


def check_alike(accelerator, begun: dict) -> None:
    """Raise ValueError unless all processes begin with the same: settings, data, epochs done."""
    if accelerator is None:
        return
    from accelerate.utils import gather_object

    for other in gather_object([begun]):
        different = [name for name in begun if other.get(name) != begun[name]]
        if different:
            raise ValueError(
                f"the processes differ in {', '.join(different)}; give all of them the same data, "
                "settings and checkpoint, on a disk that all of them see"
            )


def _several() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
