"""Features: a person crop in, a vector out, so that vectors of one person lie close together.

Colour histograms, and networks by name or from a file. Rows are of unit length: the dot product of
two is their cosine similarity.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from reidlib import assets, boxes
from reidlib.boxes import BOX
from reidlib.collection import datasets, transforms, video
from reidlib.features import histograms
from reidlib.model.distances import unit

NAMES = ["auto", "plaza", "tiny", "resnet18", "resnet50", "vgg16", "mobilenet_v3_small"]
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
    from reidlib.model import networks

    if name not in networks.backbones() and not networks.TINY.fullmatch(name):
        raise ValueError(
            f"unknown features {name!r}; choose from {', '.join(NAMES)}, histogram, another "
            "torchvision backbone (models.backbones()), or a path to .pt, .onnx or .xml"
        )
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = networks.backbone(name, pretrained and not name.startswith("tiny"), layer)
    return _torch(name, network, size or networks.SIZE, device)


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

    from reidlib.model import embedding

    device = embedding.pick_device(device)
    fold(network).to(device, memory_format=torch.channels_last)
    run = partial(embedding.embed, network)
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
    from reidlib.model import networks

    model = networks.load(path)
    if not isinstance(model, networks.SiameseNetwork):
        raise ValueError(f"{path} holds a {type(model).__name__}, which takes vectors, not images")
    size = size or tuple(model.info.get("size", networks.SIZE))
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


def embed(table: pd.DataFrame, extractor: Callable) -> np.ndarray:
    """Return the vectors of a table's images, read a part at a time."""
    parts = [table["path"].iloc[i : i + 256] for i in range(0, len(table), 256)]
    bar = tqdm(parts, "embed", leave=False, delay=2)
    return np.concatenate([extractor(datasets.read_images(paths)) for paths in bar])


def embed_tracks(source: str, table: pd.DataFrame, extractor, length: int | None) -> np.ndarray:
    """Return a vector for each box of a video, NaN where a box covers no pixel."""
    vectors = np.full((len(table), extractor.dim), np.nan, np.float32)
    rows = table.groupby("frame").indices
    for index, _, image in tqdm(video.read(source), "embed", length, leave=False):
        here = rows.get(index, np.empty(0, int))
        corners = table[BOX].to_numpy()[here]
        inside = boxes.visible(corners, *image.shape[1::-1])
        if inside.any():
            vectors[here[inside]] = extractor(boxes.crop(image, corners[inside]))
    return vectors
