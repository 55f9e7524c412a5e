"""Features: a person crop in, a vector out, so that vectors of one person lie close together.

Colour histograms, networks by name or from a file, averages over a track, and feature files. Rows
are of unit length: the dot product of two is their cosine similarity.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from reidlib import assets, histograms, transforms
from reidlib.neighbours import unit

NAMES = ["auto", "plaza", "tiny", "resnet18", "resnet50", "vgg16", "mobilenet_v3_small"]
BROKEN = (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)
BATCH = 8  # crops that OpenVINO takes at once
THRESHOLD = ["framework", "threshold"]  # where OpenVINO keeps an ONNX file's metadata


@dataclass
class Extractor:
    """Turns person crops into vectors: ``extractor(images)`` gives (N, dim) float32 unit rows.

    `images` is a list of uint8 RGB crops (h, w, 3) of any sizes, or one array (N, H, W, 3). `run`
    is the network, from (n, *size, 3) to (n, dim). `threshold` is the suggested cosine distance
    between the same and different people, None where it was never measured.
    """

    name: str
    dim: int
    size: tuple[int, int]
    run: Callable[[np.ndarray], np.ndarray]
    threshold: float | None = None
    batch: int = 64

    def __call__(self, images: Sequence[np.ndarray] | np.ndarray) -> np.ndarray:
        """Return the features of `images`, (N, dim); ValueError if one is not uint8 RGB."""
        _check(images)
        vectors = np.zeros((len(images), self.dim), np.float32)
        for start in range(0, len(images), self.batch):
            part = images[start : start + self.batch]
            if not isinstance(part, np.ndarray) or part.shape[1:3] != self.size:
                part = transforms.to_batch(part, self.size)
            vectors[start : start + len(part)] = self.run(np.ascontiguousarray(part))
        return unit(vectors)


def load(
    name: str | Path = "auto",
    *,
    device: str = "auto",
    size: tuple[int, int] | None = None,
    layer: str | None = None,
    pretrained: bool = True,
    seed: int = 0,
    **options,
) -> Extractor:
    """Return the extractor called `name`, or the one in a file.

    "plaza" (also "auto") is the bundled network, trained on rendered people; "tiny" the course's
    ResNet untrained (`seed`); "histogram" body-stripe colours (`options`: see histograms.stripes).
    Any other name is a torchvision backbone, `pretrained` on ImageNet or not, of which `layer`
    names the module to take. A path is a model of ours (.pt), ONNX or OpenVINO (.xml): an export
    with uint8 input brings its own normalisation, others are given ImageNet's. `size` is the
    input's (height, width). On a CPU, "plaza" and exports run in OpenVINO, never importing torch.

    Raises ValueError for unknown names and files that are no models, FileNotFoundError for missing
    files, assets.Unavailable when something has to be downloaded or installed first.
    """
    name = str(name)
    if name == "histogram":
        size = size or (128, 64)
        dim = histograms.stripes(np.zeros((1, *size, 3), np.uint8), **options).shape[1]
        run = partial(histograms.stripes, **options)
        return Extractor(name, dim, size, run, batch=32)
    if options:
        raise ValueError(f"{', '.join(options)}: only 'histogram' has such options, not {name!r}")
    path = Path(name)
    if layer and (name in ("auto", "plaza") or path.suffix):
        raise ValueError(f"layer={layer!r}: only torchvision backbones have layers to choose from")
    if name in ("auto", "plaza"):
        direct = assets.has("openvino") and device in ("auto", "cpu") and not assets.has_gpu()
        name = "plaza"
        path = assets.data("weights", f"plaza_embedding.{'onnx' if direct else 'pt'}")
    if path.suffix in (".onnx", ".xml", ".pt", ".pth"):
        if not path.is_file():
            raise FileNotFoundError(f"no model at {path}; give the path of an existing file")
        from_file = _openvino if path.suffix in (".onnx", ".xml") else _checkpoint
        return from_file(name, path, size, device)
    from reidlib import models

    if name not in models.backbones() and not models.TINY.fullmatch(name):
        raise ValueError(
            f"unknown features {name!r}; choose from {', '.join(NAMES)}, histogram, another "
            "torchvision backbone (models.backbones()), or a path to .pt, .onnx or .xml"
        )
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = models.backbone(name, pretrained and not name.startswith("tiny"), layer)
    return _torch(name, network, size or models.SIZE, device)


def _check(images) -> None:
    for i, image in enumerate(images[:1] if isinstance(images, np.ndarray) else images):
        shape, kind = getattr(image, "shape", None), getattr(image, "dtype", type(image).__name__)
        if kind != np.uint8 or len(shape) != 3 or shape[2] != 3:
            raise ValueError(
                f"image {i} is {kind} with shape {shape}; expected uint8 RGB, (height, width, 3)"
            )
        if 0 in shape:
            raise ValueError(f"image {i} has no pixels, shape {shape}; leave such boxes out first")


# Networks


def _torch(name: str, network, size: tuple[int, int], device: str, threshold=None) -> Extractor:
    import torch

    from reidlib import training

    device = training.pick_device(device)
    fold(network).to(device, memory_format=torch.channels_last)
    run = partial(training.embed, network)
    return Extractor(name, network.dim, size, run, threshold, batch=512)


def fold(network):
    """Return `network`, changed in place, with batch normalisations folded into convolutions.

    It gives the same features to rounding, up to a fifth faster, and can no longer be trained.
    """
    from torch.fx.experimental.optimization import fuse

    network.eval()
    whole = getattr(network, "backbone", network)
    if not getattr(whole, "inner", None):  # the output of a layer that is listened to must not move
        for name, part in list(whole.named_children()):
            setattr(whole, name, fuse(part, inplace=True))
    return network


def _checkpoint(name: str, path: Path, size: tuple[int, int] | None, device: str) -> Extractor:
    from reidlib import models

    model = models.load(path)
    if not isinstance(model, models.SiameseNetwork):
        raise ValueError(f"{path} holds a {type(model).__name__}, which takes vectors, not images")
    size = size or tuple(model.info.get("size", models.SIZE))
    return _torch(name, model, size, device, model.info.get("threshold"))


def _openvino(name: str, path: Path, size: tuple[int, int] | None, device: str) -> Extractor:
    """Run an export in OpenVINO, with what its input still needs compiled into the network."""
    if not assets.has("openvino"):
        raise assets.Unavailable(f"{path} needs OpenVINO; pip install openvino, or use a .pt model")
    import openvino as ov

    core = ov.Core()
    assets.check_network(path)
    try:
        model = core.read_model(path)
        ours = model.input().element_type == ov.Type.u8  # (N, H, W, 3), normalises by itself
        sides = model.input().partial_shape[slice(1, 3) if ours else slice(2, 4)]
        size = size or tuple(side.get_length() for side in sides)
        # A batch of fixed size is a third faster than one of any size, and takes 130 MB less.
        model.reshape([BATCH, *size, 3] if ours else [BATCH, 3, *size])
        model = model if ours else _from_uint8(model)
        # Some processors would round to bfloat16; every machine should give the same numbers.
        options = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "f32"}
        compiled = core.compile_model(model, "CPU", options)
        _, dim = compiled.output().shape
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            f"{path} is not a network from (N, 3, H, W) images to (N, D) vectors, or needs size=: "
            f"{str(error).strip().splitlines()[-1]}"
        ) from error
    count = compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
    requests = [compiled.create_infer_request() for _ in range(count)]

    def run(images):
        vectors = np.empty((len(images), dim), np.float32)
        starts = range(0, len(images), BATCH)
        for i in range(len(starts) + count):
            request = requests[i % count]
            if i >= count:
                request.wait()
                part = vectors[(i - count) * BATCH :][:BATCH]
                part[:] = request.get_output_tensor().data[: len(part)]
            if i < len(starts):
                part = images[starts[i] :][:BATCH]
                short = np.zeros((BATCH - len(part), *size, 3), np.uint8)
                request.start_async([np.concatenate([part, short]) if len(short) else part])
        return vectors

    threshold = model.get_rt_info(THRESHOLD).astype(float) if model.has_rt_info(THRESHOLD) else None
    return Extractor(name, dim, size, run, threshold)


def _from_uint8(model):
    """Put the conversion from uint8 images and ImageNet's normalisation before a network."""
    import openvino as ov

    steps = ov.preprocess.PrePostProcessor(model)
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    steps.input().model().set_layout(ov.Layout("NCHW"))
    floats = steps.input().preprocess().convert_element_type(ov.Type.f32)
    floats.mean([255 * m for m in transforms.IMAGENET_MEAN])
    floats.scale([255 * s for s in transforms.IMAGENET_STD])
    return steps.build()


# Vectors of a track, vectors of two kinds, vectors on disk


def aggregate(
    vectors: np.ndarray, tracks, how: str = "mean", weights: np.ndarray | None = None
) -> np.ndarray:
    """Return one unit vector a track, (T, D), in the order of ``np.unique(tracks)``.

    `how` is "mean", "median" (of each number) or "weighted", a mean with `weights` (N,) such as
    quality or visibility. Rows of NaN are left out; a track of only such rows comes back as NaN.
    """
    vectors, tracks = np.asarray(vectors, np.float32), np.asarray(tracks)
    if how not in ("mean", "median", "weighted") or (how == "weighted") != (weights is not None):
        raise ValueError(f"how={how!r}; expected mean, median, or weighted together with weights")
    weights = np.ones(len(tracks)) if weights is None else np.asarray(weights, float)
    if not len(vectors) == len(tracks) == len(weights):
        raise ValueError(
            f"{len(vectors)} vectors, {len(tracks)} tracks, {len(weights)} weights; expected as "
            "many of each"
        )
    valid = np.isfinite(vectors).all(axis=1)
    if not (weights[valid] >= 0).all():
        raise ValueError("a weight is NaN or below 0; expected 0 or more for each vector")
    names, inverse = np.unique(tracks, return_inverse=True)
    result = np.full((len(names), vectors.shape[1]), np.nan, np.float32)
    inverse = pd.Series(inverse)[valid]
    for i, rows in inverse.groupby(inverse).groups.items():
        part, weight = vectors[rows], weights[rows] + 1e-12
        one = np.median(part, axis=0) if how == "median" else weight @ part / weight.sum()
        result[i] = unit(one)
    return result


def fuse(a: np.ndarray, b: np.ndarray, weight: float = 0.5) -> np.ndarray:
    """Return features whose cosine similarity is `weight` times that of `a` plus the rest of `b`.

    Unit rows (N, D) and (N, E) are scaled by the square roots of their shares and joined: (N, D+E).
    """
    if len(a) != len(b) or not 0 <= weight <= 1:
        raise ValueError(f"{len(a)} and {len(b)} rows, weight {weight}; expected as many, 0 to 1")
    parts = [np.sqrt(weight) * unit(a), np.sqrt(1 - weight) * unit(b)]
    return np.concatenate(parts, axis=1).astype(np.float32)


def write(path: str | Path, vectors: np.ndarray, table: pd.DataFrame) -> None:
    """Write features as `path` (.npz) and, row by row, what they belong to as .csv beside it."""
    path = Path(path).with_suffix(".npz")
    if len(vectors) != len(table):
        raise ValueError(f"{len(vectors)} vectors but {len(table)} table rows; expected as many")
    with assets.atomic(path) as numbers, assets.atomic(path.with_suffix(".csv")) as text:
        np.savez_compressed(numbers, vectors=np.asarray(vectors, np.float32))
        table.to_csv(text, index=False)


def read(path: str | Path) -> tuple[np.ndarray, pd.DataFrame]:
    """Return (vectors, table) as `write` wrote them; ValueError if the files do not fit."""
    path = Path(path).with_suffix(".npz")
    try:
        # Names such as NA, and numbers that begin with 0, stay what they are.
        text = {"keep_default_na": False, "na_values": [""], "dtype": {"label": str}}
        table = pd.read_csv(path.with_suffix(".csv"), **text)
        with np.load(path, allow_pickle=False) as content:
            vectors = content["vectors"]
        if vectors.ndim != 2:
            raise ValueError(f"vectors have shape {vectors.shape}")
    except FileNotFoundError:
        raise
    except BROKEN as error:
        raise ValueError(
            f"{path} and its .csv are no feature files: {error}; write them again"
        ) from error
    if len(vectors) != len(table):
        raise ValueError(
            f"{path} holds {len(vectors)} vectors, its .csv {len(table)} rows; write both again"
        )
    return vectors, table
