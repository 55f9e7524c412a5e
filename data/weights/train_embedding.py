"""Train the bundled embedding on rendered crops, export it, and measure it.

    python data/weights/train_embedding.py CROPS --out data/weights

CROPS holds Market-1501 names (0001_c1s1_000123_00.jpg), as ``data/generator`` renders them, of
people other than those in ``data/plaza``; the last identities are held out. Needs the
packages of requirements.txt and onnx.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from torch import nn

from reidlib.collection import datasets, formats, transforms
from reidlib.features import extractors
from reidlib.model import embedding, networks, training, verification


def tight(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return crops of which most are cut closer to the person, as some detectors' boxes are."""
    count, height, width = images.shape[:3]
    cut = rng.uniform(0, (0.14, 0.4), (count, 2)) * (height, width)
    begins = cut * rng.uniform((0.2, 0.3), (0.8, 0.7), (count, 2))
    result = images.copy()
    for i in np.flatnonzero(rng.random(count) < 0.6):
        (top, left), (bottom, right) = begins[i].astype(int), (begins[i] - cut[i]).astype(int)
        part = images[i, top : height + bottom, left : width + right]
        result[i] = cv2.resize(part, (width, height), interpolation=cv2.INTER_LINEAR)
    return result


def camera(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return crops as other cameras might have taken them: geometry, light, lens, sensor, codec."""
    count, height, width = images.shape[:3]
    zoom = np.exp(rng.uniform(-0.12, 0.12, (count, 2)))
    zoom[:, 0] *= np.where(rng.random(count) < 0.5, -1, 1)
    lean = rng.uniform(-0.06, 0.06, count)
    move = rng.uniform(-0.08, 0.08, (count, 2)) * (width, height)
    gamma = np.exp(rng.normal(0, 0.15, count))
    gain = np.exp(rng.normal(0, 0.12, (count, 1)) + rng.normal(0, 0.06, (count, 3)))
    black = rng.uniform(-0.04, 0.08, (count, 1))  # haze lifts the blacks, crushing sinks them
    pale = rng.random(count) < 0.05
    fade = np.where(pale, rng.uniform(0, 0.5, count), rng.uniform(0.6, 1.2, count))
    detail = np.where(rng.random(count) < 0.35, rng.uniform(0.25, 1, count), 1)
    sigma = np.where(rng.random(count) < 0.2, rng.uniform(0.4, 1.5, count), 0)
    noise = np.where(rng.random(count) < 0.3, rng.uniform(0, 10, count), 0)
    quality = np.where(rng.random(count) < 0.3, rng.integers(25, 90, count), 0)
    grain = rng.standard_normal(1 << 18, np.float32)
    ramp = np.arange(256)[:, None] / 255
    centre = np.array([width / 2, height / 2])
    result = np.empty_like(images)
    for i, image in enumerate(tight(images, rng)):
        matrix = np.array([[zoom[i, 0], lean[i] * 0.5, 0], [0, zoom[i, 1], 0]])
        matrix[:, 2] = centre + move[i] - matrix[:, :2] @ centre
        image = cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
        table = gain[i] * ((ramp ** gamma[i]) * (1 - black[i]) + black[i])
        image = cv2.LUT(image, np.clip(table * 255, 0, 255).astype(np.uint8)[:, None])
        grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        image = cv2.addWeighted(image, fade[i], grey, 1 - fade[i], 0)
        if detail[i] < 1:
            small = (round(width * detail[i]), round(height * detail[i]))
            image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        if sigma[i]:
            image = cv2.GaussianBlur(image, (0, 0), sigma[i])
        if noise[i]:
            start = rng.integers(len(grain) - image.size)
            speckle = grain[start : start + image.size].reshape(image.shape) * noise[i]
            image = np.clip(image + speckle, 0, 255).astype(np.uint8)
        if quality[i]:
            image = transforms.jpeg(image, int(quality[i]))
        result[i] = transforms.random_erase(image, rng) if rng.random() < 0.4 else image
    return result


class MixStyle:
    """A forward hook that gives some images the style of others, in training alone.

    The mean and deviation of a channel over an image are much of what a camera makes of it; blended
    with another image's they make a camera that was never there (Zhou et al., 2021). `share` of
    the batches are blended.
    """

    def __init__(self, share: float):
        self.share, self.weight = share, torch.distributions.Beta(0.1, 0.1)

    def __call__(self, module: nn.Module, _, x: torch.Tensor) -> torch.Tensor:
        if not module.training or torch.rand(()) >= self.share:
            return x
        mean = x.mean((2, 3), keepdim=True).detach()
        deviation = (x.var((2, 3), keepdim=True) + 1e-6).sqrt().detach()
        own, other = self.weight.sample((len(x), 1, 1, 1)).to(x.dtype), torch.randperm(len(x))
        mixed = own * deviation + (1 - own) * deviation[other]
        return (x - mean) / deviation * mixed + own * mean + (1 - own) * mean[other]


class Export(nn.Module):
    """The network with its normalisation in front: uint8 (N, 128, 64, 3) to (N, D) unit vectors."""

    def __init__(self, model: nn.Module):
        super().__init__()
        mean, std = torch.tensor(transforms.IMAGENET_MEAN), torch.tensor(transforms.IMAGENET_STD)
        self.model = model
        self.register_buffer("scale", (1 / (255 * std)).view(1, 3, 1, 1))
        self.register_buffer("shift", (-mean / std).view(1, 3, 1, 1))

    def forward(self, images):
        return self.model(images.permute(0, 3, 1, 2).float() * self.scale + self.shift)


def export(model: nn.Module, path: Path, threshold: float) -> None:
    """Write `model` as ONNX with a free batch size, the threshold in its metadata."""
    import onnx

    example = torch.zeros(2, *networks.SIZE, 3, dtype=torch.uint8)
    torch.onnx.export(
        Export(model).eval(), (example,), path, input_names=["images"], output_names=["embeddings"],
        dynamic_axes={"images": {0: "n"}, "embeddings": {0: "n"}}, dynamo=False,
    )  # fmt: skip
    content = onnx.load(path)
    content.metadata_props.add(key="threshold", value=f"{threshold:.4f}")
    onnx.save(content, path)


def read(folder: Path) -> pd.DataFrame:
    """Return a table path, pid, camid of all crops in a folder."""
    paths = sorted(folder.glob("*.jpg"))
    names = [formats.parse_market_name(path) for path in paths]
    labels = {"pid": [n.pid for n in names], "camid": [n.camid for n in names]}
    return pd.DataFrame({"path": paths, **labels})


def scores(model: nn.Module, dataset: datasets.Dataset) -> dict[str, float]:
    """Return rank-1 and mAP on the people held out."""
    result = embedding.evaluate(model, dataset)
    return {"rank1": result.cmc[0], "mAP": result.mAP}


def threshold(model: nn.Module, dataset: datasets.Dataset) -> tuple[float, float]:
    """Return the distance at which 1 % of different people match, and the share of true matches.

    Linking compares every track with every other, so that false matches must be rare.
    """
    parts = []
    for table in (dataset.query, dataset.gallery):
        vectors = embedding.embed(model, datasets.read_images(table.path, networks.SIZE))
        parts += [vectors, table.pid.to_numpy(), table.camid.to_numpy()]
    same, other = verification.verification(*parts)
    chosen = verification.threshold_at(0.01, other)
    return chosen, float((same <= chosen).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("crops", type=Path, help="folder of rendered crops")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--backbone", default="tiny-x2-s4-in-eq")
    parser.add_argument("--mix", type=float, default=0.5, help="share of batches to mix styles in")
    parser.add_argument("--dim", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--hold-out", type=int, default=40, help="identities to validate on")
    parser.add_argument("--start", type=Path, help="weights of an earlier run to go on from")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)

    table = read(arguments.crops)
    # The last people, so that an earlier run on fewer has not seen them either.
    held = table.pid > table.pid.drop_duplicates().nlargest(arguments.hold_out + 1).min()
    test = table[held]
    query = ~test.duplicated(["pid", "camid"])
    parts = (part.reset_index(drop=True) for part in (table[~held], test[query], test[~query]))
    dataset = datasets.Dataset("rendered", arguments.crops, *parts)
    print(dataset.summary())
    model = networks.SiameseNetwork(
        arguments.backbone, arguments.dim, classes=dataset.train.pid.nunique()
    )
    if arguments.start:
        model.load_state_dict(networks.load(arguments.start).state_dict(), strict=False)
    if arguments.mix:  # an earlier place would be undone by the instance normalisation
        model.backbone.blocks[-2].register_forward_hook(MixStyle(arguments.mix))
    training.fit(
        model, dataset, epochs=arguments.epochs, lr=arguments.lr, optimiser="adamw",
        mining="all", by_camera=1.0, weight_decay=1e-2, augment=camera, bfloat16=True,
        seed=arguments.seed,
        validate=lambda network: scores(network, dataset), every=2,
        checkpoint=arguments.out / "plaza_embedding_checkpoint.pt",
        on_epoch=lambda row: print(json.dumps(row), flush=True), progress=False,
    )  # fmt: skip

    # The classifier knows only the training people: leave it behind.
    state = {k: v for k, v in model.state_dict().items() if not k.startswith("classifier")}
    plain = networks.SiameseNetwork(arguments.backbone, arguments.dim).eval()
    plain.load_state_dict(state)
    chosen, found = threshold(plain, dataset)
    path = arguments.out / "plaza_embedding.pt"
    networks.save(plain, path, size=networks.SIZE, threshold=chosen)
    export(plain, path.with_suffix(".onnx"), chosen)
    images = datasets.read_images(dataset.query.path[:64], networks.SIZE)
    exported = extractors.load(path.with_suffix(".onnx"))(images)
    difference = np.abs(exported - embedding.embed(plain, images)).max()
    print(f"threshold {chosen:.3f} finds {found:.3f}; the export differs {difference:.0e}")
    if difference > 1e-4:
        raise SystemExit("the export does not agree with the network")


if __name__ == "__main__":
    main()
