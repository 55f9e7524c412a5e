"""Networks: the course's tiny ResNet, torchvision backbones, and Siamese heads on top of them."""

import re
import warnings
import zipfile
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from reidlib import assets
from reidlib.collection import transforms

LUMA = (0.299, 0.587, 0.114)  # how bright red, green and blue are to the eye (ITU-R BT.601)
SIZE = (128, 64)  # height and width of a person crop, pixels
FORMAT = "reidlib-model-1"
TINY = re.compile(r"tiny(?:-x(\d+(?:\.\d+)?))?(?:-s([1248]))?(-in)?(-eq)?")
LAST_LAYERS = ("layer4", "features", "conv5", "layers", "trunk_output")


class Equalise(nn.Module):
    """Spreads the brightnesses of each image evenly, by itself: histogram equalisation.

    A pixel's brightness becomes the share of the image that is darker, counted in `bins` steps on
    every third pixel, and straight between the steps; its colours stay as far from it as they were.
    What is black on black in the shade, or white on white in the sun, can be told apart again.
    Takes and returns (N, 3, H, W), normalised by ImageNet's mean and deviation.
    """

    def __init__(self, bins: int = 64):
        super().__init__()
        columns = transforms.IMAGENET_MEAN, transforms.IMAGENET_STD, LUMA
        for name, column in zip(("mean", "std", "luma"), columns):
            self.register_buffer(name, torch.tensor(column).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("steps", torch.arange(bins).view(1, bins, 1), persistent=False)
        self.bins = bins

    def forward(self, x):
        colours = x * self.std + self.mean  # from 0 to 1
        brightness = (colours * self.luma).sum(1, keepdim=True)
        height = (brightness.flatten(1) * self.bins).clamp(0, self.bins - 1e-3)
        reached = (height[:, None, ::3] >= self.steps).to(x.dtype).mean(2)  # share of the pixels
        on_it = reached - F.pad(reached[:, 1:], (0, 1))
        step = height.floor().long()
        equal = 1 - reached.gather(1, step) + (height - step) * on_it.gather(1, step)
        return (colours + equal.view_as(brightness) - brightness - self.mean) / self.std


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut; halves height and width (He et al., 2016)."""

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride=2, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(channels_out)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(channels_out)
        self.shortcut = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, 1, stride=2, bias=False),
            nn.BatchNorm2d(channels_out),
        )

    def forward(self, x):
        y = F.relu(self.norm1(self.conv1(x)), inplace=True)
        return F.relu(self.norm2(self.conv2(y)) + self.shortcut(x), inplace=True)


class TinyResNet(nn.Module):
    """The course's own network: a stem, three residual blocks, an average over the image, a linear.

    Takes (N, 3, H, W) float images and returns (N, dim) features, not yet of unit length. `width`
    multiplies the channels: 0.24 million parameters at 1, 0.9 million at 2. With `stripes` above 1
    the average is taken in as many body stripes, which the linear layer weighs apart. With
    `instance` the stem and the first block end in a normalisation of each image by itself: what a
    camera's light and colour add to a whole picture is lost early (Pan et al., 2018); with
    `equalise` an image goes through `Equalise` first.

    >>> TinyResNet(dim=256)(torch.zeros(2, 3, 128, 64)).shape
    torch.Size([2, 256])
    """

    def __init__(
        self,
        dim: int = 256,
        width: float = 1.0,
        stripes: int = 1,
        instance: bool = False,
        equalise: bool = False,
    ):
        super().__init__()
        stem, *channels = (round(width * c) for c in (16, 32, 64, 96))
        self.dim, self.stripes = dim, stripes
        norm = nn.InstanceNorm2d(stem, affine=True) if instance else nn.BatchNorm2d(stem)
        self.stem = nn.Sequential(
            nn.Conv2d(3, stem, 3, stride=2, padding=1, bias=False), norm, nn.ReLU()
        )
        if equalise:
            self.stem.insert(0, Equalise())
        blocks = [ResidualBlock(a, b) for a, b in zip([stem, *channels[:-1]], channels)]
        if instance:
            blocks.insert(1, nn.InstanceNorm2d(channels[0], affine=True))
        self.blocks = nn.Sequential(*blocks)
        self.linear = nn.Linear(stripes * channels[-1], dim)

    def forward(self, x):
        x = self.blocks(self.stem(x))
        x = x.unflatten(2, (self.stripes, -1))
        return self.linear(x.mean(dim=(3, 4)).flatten(1))


class LayerFeatures(nn.Module):
    """A torchvision network cut after one named layer, whose output is averaged over the image.

    A layer inside a block that cannot be cut is listened to while the block runs.
    """

    def __init__(self, network: nn.Module, layer: str | None = None):
        super().__init__()
        from torchvision.models.feature_extraction import create_feature_extractor as cut
        from torchvision.models.feature_extraction import get_graph_node_names

        children = dict(network.named_children())
        layer = layer or next((name for name in LAST_LAYERS if name in children), None)
        layers = [name for name, _ in network.named_modules() if name]
        if layer not in layers:
            raise ValueError(f"unknown layer {layer!r}; this network has {', '.join(layers)}")
        node, nodes = layer, {f"{name}." for name in get_graph_node_names(network)[1]}
        while node and not any(name.startswith(f"{node}.") for name in nodes):
            node = node.rpartition(".")[0]
        self.layers, self.inner = cut(network, {node: "out"}), layer if node != layer else None
        self.eval()  # the dry run must not move the batch statistics
        try:
            with torch.no_grad():
                self.dim = self(torch.zeros(1, 3, *SIZE)).shape[1]
        except (AttributeError, ValueError) as error:  # it does nothing here, or is used repeatedly
            raise ValueError(f"layer {layer!r} gives no output of its own; take another") from error
        self.train()

    def forward(self, x):
        if self.inner:
            heard = []
            module = self.layers.get_submodule(self.inner)
            with module.register_forward_hook(lambda _, __, out: heard.append(out)):
                self.layers(x)
            (x,) = heard
        else:
            x = self.layers(x)["out"]
        return x.mean(dim=(2, 3)) if x.ndim == 4 else x.flatten(1)


def backbones() -> list[str]:
    """Return the names `backbone` knows: ours, then torchvision's convolutional classifiers."""
    import torchvision

    names = torchvision.models.list_models(torchvision.models)
    # Transformers insist on 224x224 inputs, the inceptions on more; people are small and tall.
    squares = re.compile("vit|swin|maxvit|inception|googlenet")
    return ["tiny", "tiny-x2", *(name for name in names if not squares.match(name))]


def backbone(
    name: str, pretrained: bool = False, layer: str | None = None, dim: int = 256
) -> nn.Module:
    """Return a network from (N, 3, H, W) normalised images to (N, .dim) features.

    "tiny" is TinyResNet, "tiny-x2" one twice as wide, "tiny-x1.5-s4" also with four stripes,
    "tiny-x2-s4-in-eq" with normalised and equalised images too, each `dim` long. Any other name is
    torchvision's: `layer` names the module whose averaged output is taken, by default the last
    convolutional one, and `pretrained` downloads ImageNet weights.
    Raises ValueError for an unknown name or layer, and for downloaded weights that are damaged,
    assets.Unavailable when they cannot be downloaded.
    """
    match = TINY.fullmatch(name)
    if match and 0.1 <= float(match[1] or 1) <= 8:
        if pretrained or layer:
            raise ValueError(
                f"{name!r} has neither ImageNet weights nor layers to choose from; load('plaza') "
                "in features is trained"
            )
        width, stripes = float(match[1] or 1), int(match[2] or 1)
        return TinyResNet(dim, width, stripes, instance=bool(match[3]), equalise=bool(match[4]))
    if name not in backbones():
        raise ValueError(
            f"unknown backbone {name!r}; choose from {', '.join(backbones())}, or tiny "
            "with a width from 0.1 to 8, 1, 2, 4 or 8 stripes, -in, -eq, such as tiny-x1.5-s4-in-eq"
        )
    import torchvision

    network = torchvision.models.get_model(name)
    if pretrained:
        _load_imagenet(network, name)
    return LayerFeatures(network, layer)


def _load_imagenet(network: nn.Module, name: str) -> None:
    """Give a torchvision network its ImageNet weights, never running code from their file."""
    import torchvision

    weights = torchvision.models.get_model_weights(name).DEFAULT
    path = Path(torch.hub.get_dir(), "checkpoints", Path(weights.url).name)
    if not path.exists():  # torch itself would wait without end for a server that falls silent
        assets.fetch(weights.url, path, checksum=path.stem.rpartition("-")[2])
    try:
        state = weights.get_state_dict(weights_only=True)
        # The files of DenseNet are older than the names of its layers.
        old = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)")
        network.load_state_dict({old.sub(r"\1\2", name): value for name, value in state.items()})
    except Exception as error:  # torch raises at least eight kinds, depending on the damage
        raise ValueError(
            f"the ImageNet weights of {name} are damaged, and nothing in them was run; delete "
            f"{path} and try again"
        ) from error


build = backbone  # SiameseNetwork has an argument of that name


class SiameseHead(nn.Module):
    """A small perceptron that turns (N, in_dim) feature vectors into (N, dim) unit embeddings.

    The network is Siamese in that both images of a pair go through the same weights.
    """

    def __init__(self, in_dim: int, dim: int = 128, hidden: int = 256):
        super().__init__()
        self.config = {"kind": "SiameseHead", "in_dim": in_dim, "dim": dim, "hidden": hidden}
        self.dim, self.classes, self.info = dim, None, {}
        self.layers = nn.Sequential(nn.Linear(in_dim, hidden), nn.ReLU(), nn.Linear(hidden, dim))

    def forward(self, vectors):
        return F.normalize(self.layers(vectors))


class SiameseNetwork(nn.Module):
    """A backbone, an embedding of `dim` numbers and, for training, a classifier of `classes`.

    With `neck` the metric loss sees the embedding before, the classifier and the search after a
    batch normalisation without shift: the BNNeck of Luo et al. (2019). In training mode the network
    returns (embedding before the neck, logits or None), in evaluation mode (N, dim) unit vectors.
    """

    def __init__(
        self,
        backbone: str = "tiny",
        dim: int = 256,
        classes: int | None = None,
        *,
        neck: bool = True,
        pretrained: bool = False,
        layer: str | None = None,
    ):
        super().__init__()
        self.config = {"kind": "SiameseNetwork", "backbone": backbone, "dim": dim}
        self.config |= {"classes": classes, "neck": neck, "layer": layer}
        self.dim, self.classes, self.info = dim, classes, {}
        self.backbone = build(backbone, pretrained, layer, dim)
        same = self.backbone.dim == dim
        self.embed = nn.Identity() if same else nn.Linear(self.backbone.dim, dim)
        self.neck = nn.BatchNorm1d(dim) if neck else nn.Identity()
        if neck:
            self.neck.bias.requires_grad_(False)
        self.classifier = nn.Linear(dim, classes, bias=False) if classes else None

    def forward(self, images):
        features = self.embed(self.backbone(images))
        embeddings = self.neck(features)
        if not self.training:
            return F.normalize(embeddings)
        return features, self.classifier(embeddings) if self.classifier else None


def save(model: SiameseHead | SiameseNetwork, path: str | Path, **info) -> None:
    """Write a model's configuration and weights to `path`.

    `info` is kept beside them and comes back as ``load(path).info``; by convention `size`, the
    input's (height, width), and `threshold`, a cosine distance between same and different people.
    """
    state = {name: tensor.cpu().contiguous() for name, tensor in model.state_dict().items()}
    info = model.info | info
    write_weights({"format": FORMAT, "config": model.config, "info": info, "state": state}, path)


def plain(value, name: str = "it"):
    """Return NumPy's numbers and arrays as Python's, also inside dicts, lists and tuples.

    Others could not be read back without running code: ValueError names them.
    """
    if isinstance(value, dict):
        return {plain(key, name): plain(item, str(key)) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(plain(item, name) for item in value)
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist(), name)
    if value is None or type(value) in (bool, int, float, str) or isinstance(value, torch.Tensor):
        return value
    raise ValueError(
        f"{name} is a {type(value).__name__}, which a checkpoint cannot hold; expected numbers, "
        "text, tensors, or lists and dicts of these"
    )


def write_weights(content: dict, path: str | Path) -> None:
    """Write a checkpoint, whole or not at all.

    Raises ValueError for what `read_weights` would refuse, OSError when there is no room.
    """
    content = plain(content)
    with assets.atomic(path) as temporary, open(temporary, "wb") as file:
        try:
            # Not torch.save, in whose place Ultralytics puts one that tries again after Ctrl-C.
            torch.serialization.save(content, file)
        except RuntimeError as error:  # what torch makes of a full disk, and of Ctrl-C
            if _interrupted(error):
                raise KeyboardInterrupt from error
            file.flush()
            raise OSError(f"{path} was not written: is the disk full? Make room for it") from error


def _interrupted(error: BaseException | None) -> bool:
    """Return whether Ctrl-C is among the errors that led to this one."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def read_weights(path: str | Path, expected: str) -> dict:
    """Return the content of a checkpoint written by this package, never running code from it.

    Raises FileNotFoundError, or ValueError when the file is not a checkpoint of format `expected`,
    or would take far more memory than its size.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no weights at {path}; give the path of a .pt file")
    try:
        named = assets.pickled_names(path)
        foreign = [name for name in named if not assets.TENSORS.fullmatch(name)]
        if foreign:
            raise ValueError(f"it names {', '.join(foreign)}")
        with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # torch itself does not compare checksums
            content = None if damaged else torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises at least eight kinds, depending on the damage
        reason = f" ({error})" if type(error) is ValueError else ""
        raise ValueError(
            f"{path} holds no weights that can be read safely{reason}, and nothing in it was run: "
            "it is damaged or something else; expected a file written by reidlib"
        ) from error
    if damaged:
        raise ValueError(f"{path} is damaged; copy it again, or train again")
    if not isinstance(content, dict) or content.get("format") != expected:
        raise ValueError(f"{path} is not a {expected!r} file; expected one written by reidlib")
    return content


class _WithoutMemory(torch.overrides.TorchFunctionMode):
    """While it is entered, tensors made for weights have a shape, but no memory yet.

    A few words in a file can describe a network of gigabytes. As `torch.device("meta")`, except
    for the arithmetic in which some builders choose their shapes.
    """

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        if function in (torch.empty, torch.zeros, torch.ones):
            kwargs["device"] = "meta"
        return function(*args, **kwargs)


def load(path: str | Path) -> SiameseHead | SiameseNetwork:
    """Return the model saved at `path`, in evaluation mode; `.info` is what was saved with it.

    Raises FileNotFoundError, or ValueError for a file that does not hold the model it describes.
    """
    content = read_weights(path, FORMAT)
    kinds = {"SiameseHead": SiameseHead, "SiameseNetwork": SiameseNetwork}
    try:
        config, state = dict(content["config"]), content["state"]
        with _WithoutMemory():
            model = kinds[config.pop("kind")](**config)
        needed = sum(tensor.nbytes for tensor in model.state_dict().values())
        if needed > assets.LIMIT + Path(path).stat().st_size:
            raise ValueError(f"{needed / 1e6:.0f} MB of weights would be needed")
        model.load_state_dict(state, assign=True)
        model.info = dict(content["info"])
    except Exception as error:  # whatever torch makes of settings that make no sense
        reason = assets.reason(error)
        raise ValueError(f"{path} does not hold the model that it describes: {reason}") from error
    return model.eval()
