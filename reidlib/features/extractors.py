"""Features: a person crop in, a vector out, so that vectors of one person lie close together.

Colour histograms, and networks by name or from a file. Rows are of unit length: the dot product of
two is their cosine similarity.
"""

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from reidlib import assets, boxes
from reidlib.boxes import BOX
from reidlib.collection import datasets, encoding, transforms, video
from reidlib.detection.streaming import VectorFile
from reidlib.features import histograms, real_people
from reidlib.model.distances import unit

NAMES = ["auto", "plaza", "tiny", "resnet18", "resnet50", "vgg16", "mobilenet_v3_small"]
FLIP = "+flip"  # behind a name: a crop and its mirror image, see `mirrored`
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
        whole = isinstance(images, np.ndarray)
        encoding.check_images(images[:1] if whole else images, "uint8 RGB images")
        vectors = np.zeros((len(images), self.dim), np.float32)
        for start in range(0, len(images), self.batch):
            part = images[start : start + self.batch]
            if not whole or part.shape[1:3] != self.size:
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
    The names of `real_people.NAMES` are networks that learnt from real people, to be downloaded.
    Any other name is a torchvision backbone, `pretrained` on ImageNet or not, of which `layer`
    names the module to take. A path is a model of ours (.pt), ONNX or OpenVINO (.xml): an export
    with uint8 input brings its own normalisation, others are given ImageNet's. `size` is the
    input's (height, width). On a CPU, "plaza" and exports run in OpenVINO, never importing torch.
    Exports are tried out first, see `_fault`, and run at the batch that they were made for if need
    be. With "+flip" behind it, as in "plaza+flip", any of them is `mirrored`.

    Raises ValueError for unknown names, devices that this machine lacks, files that are no models
    and those that cannot be right, FileNotFoundError for missing files, assets.Unavailable when
    something has to be downloaded or installed first.
    """
    name = str(name)
    if name.endswith(FLIP):
        same = {"device": device, "size": size, "layer": layer, "pretrained": pretrained}
        return mirrored(load(name.removesuffix(FLIP), **same, seed=seed, **options))
    if size:
        _check_size(size, f"size={size}")
    if name == "histogram":
        size = size or (128, 64)
        dim = histograms.stripes(np.zeros((1, *size, 3), np.uint8), **options).shape[1]
        run = partial(histograms.stripes, **options)
        return Extractor(name, dim, size, run, batch=32)
    if options:
        raise ValueError(f"{', '.join(options)}: only 'histogram' has such options, not {name!r}")
    path, bundled = Path(name), name in ("auto", "plaza")
    if layer and (bundled or path.suffix):
        raise ValueError(f"layer={layer!r}: only torchvision backbones have layers to choose from")
    if bundled:
        direct = assets.has("openvino") and device in ("auto", "cpu") and not assets.has_gpu()
        name = "plaza"
        path = assets.data("weights", f"plaza_embedding.{'onnx' if direct else 'pt'}")
    if path.suffix in (".onnx", ".xml", ".pt", ".pth"):
        if not path.is_file():
            raise FileNotFoundError(f"no model at {path}; give the path of an existing file")
        from_file = _openvino if path.suffix in (".onnx", ".xml") else _checkpoint
        return from_file(name, path, size, device)
    if name in real_people.NAMES:
        network, own = real_people.load(name)
        return _torch(name, network, size or own, device)
    from reidlib.model import networks

    if name not in networks.backbones() and not networks.TINY.fullmatch(name):
        raise ValueError(
            f"unknown features {name!r}; choose from {', '.join(NAMES)}, histogram, another "
            f"torchvision backbone (networks.backbones()), {', '.join(real_people.NAMES)}, or a "
            "path to .pt, .onnx or .xml"
        )
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = networks.backbone(name, pretrained and not name.startswith("tiny"), layer)
    return _torch(name, network, size or networks.SIZE, device)


def mirrored(extractor: Extractor) -> Extractor:
    """Return an extractor that gives the mean of a crop's vector and of its mirror image's.

    Which side of a person is seen then counts for less, at twice the time.
    """

    def run(images):
        other = np.ascontiguousarray(images[:, :, ::-1])
        return unit(extractor.run(images)) + unit(extractor.run(other))

    return replace(extractor, name=f"{extractor.name}{FLIP}", run=run)


def _check_size(size, source: str) -> None:
    """Raise ValueError unless `size` is a (height, width) whose images memory has room for."""
    pair = isinstance(size, tuple | list) and len(size) == 2
    whole = pair and all(isinstance(side, int | np.integer) and side > 0 for side in size)
    if not whole or 4 * 3 * BATCH * math.prod(size) > assets.LIMIT:
        raise ValueError(
            f"{source}: expected a height and a width in pixels, such as (128, 64), of which "
            f"{BATCH} images take at most {assets.LIMIT / 1e6:.0f} MB"
        )


def _check_threshold(threshold, path: Path) -> float | None:
    """Return the threshold stored in a file as a number; ValueError if it is no cosine distance."""
    if threshold is None:
        return None
    with contextlib.suppress(TypeError, ValueError):
        if 0 <= float(threshold) <= 2:
            return float(threshold)
    raise ValueError(
        f"{path} suggests the threshold {threshold!r}, which is no cosine distance from 0 to 2; "
        "export it again with another, or without"
    )


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
    size = size or model.info.get("size", networks.SIZE)
    _check_size(size, f"{path} was made for images of {size}")
    threshold = _check_threshold(model.info.get("threshold"), path)
    return _torch(name, model, tuple(size), device, threshold)


def _openvino(name: str, path: Path, size: tuple[int, int] | None, device: str) -> Extractor:
    """Run an export in OpenVINO, with what its input still needs compiled into the network."""
    if not assets.has("openvino"):
        raise assets.Unavailable(f"{path} needs OpenVINO; pip install openvino, or use a .pt model")
    import openvino as ov

    model = assets.read_network(path)
    stored = model.get_rt_info(THRESHOLD).astype(str) if model.has_rt_info(THRESHOLD) else None
    threshold = _check_threshold(stored, path)
    fault = ""
    try:
        ours = model.input().element_type == ov.Type.u8  # (N, H, W, 3), normalises by itself
        own, *sides = model.input().partial_shape
        sides = sides[:2] if ours else sides[1:]
        size = tuple(size or (side.get_length() for side in sides))
        # A batch of fixed size is a third faster than one of any size, and takes 130 MB less. What
        # an exporter made for another batch may give nonsense at ours, and runs at its own.
        for batch in (BATCH, own.get_length() if own.is_static else 1):
            try:
                run, dim = _compile(model.clone(), batch, size, ours, path)
                fault = _fault(run, batch, size)
            except RuntimeError as error:
                fault = assets.reason(error)
            if not fault:
                return Extractor(name, dim, size, run, threshold)
    except (RuntimeError, ValueError) as error:
        fault = assets.reason(error)
    raise ValueError(
        f"{path} is not a network from (N, 3, H, W) images to (N, D) vectors, or needs size=: "
        f"{fault}; export it again, with a batch of any size"
    )


def _compile(model, batch: int, size: tuple[int, int], ours: bool, path: Path):
    """Return a function from uint8 images (n, *size, 3) to vectors (n, dim), and dim."""
    model.reshape([batch, *size, 3] if ours else [batch, 3, *size])
    assets.check_network(model, path)
    model = model if ours else _from_uint8(model)
    # Some processors would round to bfloat16; every machine should give the same numbers.
    options = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "f32"}
    compiled = assets.openvino_core().compile_model(model, "CPU", options)
    rows, dim = compiled.output().shape
    if rows != batch:
        raise RuntimeError(f"it gives {rows} vectors for {batch} images")
    count = compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
    requests = [compiled.create_infer_request() for _ in range(count)]

    def run(images):
        vectors = np.empty((len(images), dim), np.float32)
        starts = range(0, len(images), batch)
        for i in range(len(starts) + count):
            request = requests[i % count]
            if i >= count:
                request.wait()
                part = vectors[(i - count) * batch :][:batch]
                part[:] = request.get_output_tensor().data[: len(part)]
            if i < len(starts):
                part = images[starts[i] :][:batch]
                short = np.zeros((batch - len(part), *size, 3), np.uint8)
                request.start_async([np.concatenate([part, short]) if len(short) else part])
        return vectors

    return run, dim


def _fault(run: Callable, batch: int, size: tuple[int, int]) -> str:
    """Return what is wrong with a network's vectors for made-up images, "" if nothing is.

    An export for one image that is given several may give all the vector of one, or mix them.
    """
    images = np.random.default_rng(0).integers(0, 256, (batch + 1, *size, 3), np.uint8)
    images[1::2] //= 3
    vectors = run(images)  # the last one is alone in its batch
    largest = np.abs(vectors).max()
    if not np.isfinite(largest):
        return "it gives numbers that are not finite"
    if np.ptp(vectors, axis=0).max() <= 1e-6 * largest:
        return "it gives different images the same vector"
    if np.abs(run(images[::-1])[::-1] - vectors).max() > 1e-3 * largest:
        return "it gives an image another vector when others are beside it"
    return ""


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


def embed_tracks(source: str, table: pd.DataFrame, extractor, length: int | None) -> VectorFile:
    """Return a vector for each box of a video, NaN where a box covers no pixel."""
    vectors, order = VectorFile(), []
    rows, corners = table.groupby("frame").indices, table[BOX].to_numpy()
    for index, _, image in tqdm(video.read(source), "embed", length, leave=False):
        here = rows.pop(index, np.empty(0, int))
        found = np.full((len(here), extractor.dim), np.nan, np.float32)
        inside = boxes.visible(corners[here], *image.shape[1::-1])
        if inside.any():
            found[inside] = extractor(boxes.crop(image, corners[here[inside]]))
        vectors.append(found)
        order.append(here)
    for here in rows.values():  # of frames that the video does not have
        vectors.append(np.full((len(here), extractor.dim), np.nan, np.float32))
        order.append(here)
    return vectors.ordered(np.argsort(np.concatenate(order)))
