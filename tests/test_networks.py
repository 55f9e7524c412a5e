"""Networks: shapes, names, files, and files that are not what they should be."""

import copy
import importlib
import os
import pickle
import re
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torchvision
from torch import nn

from reidlib import assets
from reidlib.model import embedding, networks


def test_tiny_resnet_is_small_and_as_described():
    network = networks.TinyResNet(dim=256)
    assert network(torch.zeros(2, 3, 128, 64)).shape == (2, 256)
    assert sum(p.numel() for p in network.parameters()) == 242_512
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert convolutions[0].out_channels == 16
    assert [b.conv2.out_channels for b in network.blocks] == [32, 64, 96]
    wide = networks.backbone("tiny-x2-s4", dim=64)
    assert [b.conv2.out_channels for b in wide.blocks] == [64, 128, 192] and wide.dim == 64
    assert wide.linear.in_features == 4 * 192 and wide(torch.zeros(1, 3, 128, 64)).shape == (1, 64)


def test_equalised_images_are_as_opencv_equalises_them():
    """Up to the steps between which we go on straight, and to OpenCV's whole numbers."""
    rng = np.random.default_rng(0)
    smooth = cv2.resize(rng.integers(0, 256, (9, 5, 3), np.uint8), (64, 128))
    for image in (smooth, smooth // 8, 255 - smooth // 6):
        planes = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)
        equal = networks.Equalise()
        inputs = embedding.to_input(image[None], torch.device("cpu"))
        colours = (equal(inputs) * equal.std + equal.mean)[0].permute(1, 2, 0).numpy()
        brightness = 255 * colours @ np.array(networks.LUMA)
        expected = cv2.equalizeHist(planes[..., 0])
        assert np.abs(brightness - expected).mean() < 12  # of 255, where 8 steps are in use
        assert np.corrcoef(brightness.ravel(), expected.ravel())[0, 1] > 0.99
        before = image / 255 - (image / 255) @ np.array(networks.LUMA)[:, None]
        assert np.allclose(colours - brightness[..., None] / 255, before, atol=1e-3)


def test_a_network_that_equalises_sees_the_same_in_the_shade():
    torch.manual_seed(0)
    image = cv2.resize(np.random.default_rng(0).integers(0, 256, (9, 5), np.uint8), (64, 128))[
        ..., None
    ].repeat(3, axis=2)
    both = embedding.to_input(np.stack([image, image // 4]), torch.device("cpu"))
    plain, equal = (networks.backbone(name).eval() for name in ("tiny-in", "tiny-in-eq"))
    a, b = torch.nn.functional.normalize(equal(both))
    assert a @ b > 0.995 > torch.nn.functional.cosine_similarity(*plain(both), dim=0)
    uniform = embedding.to_input(np.full((1, 128, 64, 3), 77, np.uint8), torch.device("cpu"))
    uniform.requires_grad_()
    equal(uniform).sum().backward()
    assert torch.isfinite(uniform.grad).all()


def test_stripes_tell_above_from_below():
    image = torch.zeros(1, 3, 128, 64)
    image[:, 0, :64] = 1
    network = networks.backbone("tiny-s4").eval()
    network.blocks = network.stem = nn.Identity()
    network.linear = nn.Identity()
    assert network(image).reshape(3, 4)[0].tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize("name, dim", [("resnet18", 512), ("mobilenet_v3_small", 576)])
def test_backbones_give_pooled_features(name, dim):
    network = networks.backbone(name).eval()
    images = torch.rand(2, 3, 128, 64)
    assert network.dim == dim and network(images).shape == (2, dim)
    assert torch.equal(network(images)[1:], network(images[1:])) or torch.allclose(
        network(images)[1:], network(images[1:]), atol=1e-5
    )


def test_any_layer_can_be_taken_and_the_rest_is_dropped():
    network = networks.backbone("resnet18", layer="layer2.0.conv1")
    assert network.dim == 128
    assert not any("layer3" in name or "fc" in name for name, _ in network.named_parameters())
    with pytest.raises(ValueError, match="unknown layer 'layer9'.*layer4"):
        networks.backbone("resnet18", layer="layer9")


def test_unknown_backbones_are_listed():
    with pytest.raises(ValueError, match="unknown backbone 'resnet19'.*tiny.*resnet18.*vgg16"):
        networks.backbone("resnet19")
    with pytest.raises(ValueError, match="neither ImageNet weights nor layers"):
        networks.backbone("tiny", pretrained=True)


def test_no_network_is_said_plainly(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def refuse(*arguments, **options):
        raise OSError("Name or service not known")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.setattr("torch.hub.urlopen", refuse)
    with pytest.raises(assets.Unavailable, match="resnet18.*connect to the internet"):
        networks.backbone("resnet18", pretrained=True)


class Loud:
    """What a pickle may do when it is opened."""

    def __reduce__(self):
        return os.mkdir, (os.environ["LOUD"],)


@pytest.mark.parametrize("content", [b"", b"no weights", pickle.dumps([1]), None])
def test_damaged_imagenet_weights_run_nothing(monkeypatch, tmp_path, content):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("LOUD", str(tmp_path / "ran"))
    path = tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth"
    path.parent.mkdir(parents=True)
    path.write_bytes(content) if content is not None else torch.save(Loud(), path)
    with pytest.raises(ValueError, match=r"resnet18 are damaged.*delete .*resnet18-f37072fd\.pth"):
        networks.backbone("resnet18", pretrained=True)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["tiny-x0", "tiny-s3", "tiny-s0", "tiny-x"])
def test_tiny_networks_that_cannot_be(name):
    with pytest.raises(ValueError, match="unknown backbone"):
        networks.backbone(name)


def test_a_layer_inside_a_block_that_cannot_be_cut():
    layer = "features.4.block.2.activation"  # of a squeeze-and-excitation block
    network = networks.backbone("mobilenet_v3_small", layer=layer).eval()
    heard, x = [], torch.rand(2, 3, *networks.SIZE)
    whole = torchvision.models.mobilenet_v3_small().eval()
    kept = {n.removeprefix("layers."): v for n, v in network.state_dict().items()}
    whole.load_state_dict(kept, strict=False)
    whole.get_submodule(layer).register_forward_hook(lambda _, __, out: heard.append(out))
    whole(x)
    torch.testing.assert_close(network(x), heard[0].mean(dim=(2, 3)))
    assert network(x).shape == (2, network.dim)
    torch.testing.assert_close(copy.deepcopy(network).eval()(x), network(x))
    with pytest.raises(ValueError, match="gives no output of its own"):
        networks.backbone("efficientnet_b0", layer="features.2.0.stochastic_depth")


def test_old_names_in_downloaded_weights(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    state = torchvision.models.densenet121().state_dict()
    old = {re.sub(r"(denselayer\d+\.\w+)(\d\.)", r"\1.\2", k): v for k, v in state.items()}
    assert set(old) != set(state)
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(old, tmp_path / "hub" / "checkpoints" / "densenet121-a639ec97.pth")
    networks.backbone("densenet121", pretrained=True)


def test_head_and_network_return_unit_rows():
    head = networks.SiameseHead(32, dim=16)
    assert torch.allclose(head(torch.randn(5, 32)).norm(dim=1), torch.ones(5))
    network = networks.SiameseNetwork("tiny", dim=64, classes=7)
    features, logits = network(torch.rand(4, 3, 128, 64))
    assert features.shape == (4, 64) and logits.shape == (4, 7)
    assert not torch.allclose(features.norm(dim=1), torch.ones(4))
    embeddings = network.eval()(torch.rand(4, 3, 128, 64))
    assert torch.allclose(embeddings.norm(dim=1), torch.ones(4), atol=1e-6)


def test_bnneck_has_no_trained_shift_and_can_be_left_out():
    assert not networks.SiameseNetwork("tiny").neck.bias.requires_grad
    plain = networks.SiameseNetwork("tiny", neck=False)
    assert isinstance(plain.neck, nn.Identity)
    assert plain(torch.rand(2, 3, 128, 64))[1] is None


@pytest.mark.parametrize(
    "model",
    [networks.SiameseHead(8, 4, hidden=6), networks.SiameseNetwork("tiny-x1.5", 32, 5, neck=False)],
    ids=["head", "network"],
)
def test_saved_models_come_back(model, tmp_path):
    networks.save(model, tmp_path / "model.pt", size=(128, 64), threshold=0.3)
    loaded = networks.load(tmp_path / "model.pt")
    assert loaded.config == model.config and not loaded.training
    assert loaded.info == {"size": (128, 64), "threshold": 0.3}
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)


def test_files_that_are_no_weights(tmp_path):
    with pytest.raises(FileNotFoundError, match="no weights at"):
        networks.load(tmp_path / "missing.pt")
    for name, content in {"text": b"hello", "empty": b"", "zip": b"PK\x03\x04 cut"}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match="holds no weights"):
            networks.load(tmp_path / name)
    torch.save({"anything": torch.zeros(2)}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match="expected one written by reidlib"):
        networks.load(tmp_path / "other.pt")


def test_a_cut_short_file_and_a_false_description(tmp_path):
    path = tmp_path / "model.pt"
    networks.save(networks.SiameseHead(8, 4), path)
    content = torch.load(path, weights_only=True)
    content["config"]["dim"] = 5
    torch.save(content, tmp_path / "false.pt")
    with pytest.raises(ValueError, match="does not hold the model that it describes"):
        networks.load(tmp_path / "false.pt")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match="holds no weights"):
        networks.load(path)


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize(
    "writer", [torch.save, lambda o, p: p.write_bytes(pickle.dumps(o, protocol=2))]
)
def test_pickled_code_is_never_run(writer, tmp_path):
    path, witness = tmp_path / "evil.pt", tmp_path / "witness"
    writer({"format": networks.FORMAT, "config": Bomb(witness)}, path)
    with pytest.raises(ValueError, match="read safely"):
        networks.load(path)
    assert not witness.exists()


# Small files that describe large things, and files that break off


@pytest.mark.parametrize(
    "change",
    [
        {"backbone": "regnet_y_128gf"},  # 2.6 GB
        {"backbone": "tiny", "dim": 10**9},
        {"kind": "SiameseHead", "in_dim": 10**6, "dim": 10**6, "hidden": 10**6},
    ],
    ids=["backbone", "embedding", "head"],
)
def test_a_small_file_that_describes_a_huge_network(tmp_path, change):
    resource = pytest.importorskip("resource")
    networks.save(networks.SiameseNetwork("tiny", 8), tmp_path / "model.pt")
    content = torch.load(tmp_path / "model.pt", weights_only=True)
    content["config"] |= change
    if "kind" in change:
        content["config"] = change
    torch.save(content, tmp_path / "model.pt")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match="MB of weights would be needed"):
        networks.load(tmp_path / "model.pt")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 400_000  # KB


@pytest.mark.parametrize(
    "config",
    [
        None,
        [],
        {"kind": "SiameseHead"},
        {"kind": ["SiameseHead"]},
        {"kind": "SiameseHead", "in_dim": -8, "dim": 4},
        {"kind": "SiameseHead", "in_dim": 1e300, "dim": 4},
        {"kind": "SiameseHead", "in_dim": 10**30, "dim": 4},
        {"kind": "SiameseNetwork", "backbone": 3},
        {"kind": "SiameseNetwork", "backbone": "resnet18", "layer": "layer2"},
        {"kind": "SiameseNetwork", "dim": 0},
        {"kind": "SiameseNetwork", "classes": "many"},
    ],
)
def test_settings_that_make_no_network(tmp_path, config):
    networks.save(networks.SiameseHead(8, 4), tmp_path / "model.pt")
    content = torch.load(tmp_path / "model.pt", weights_only=True)
    torch.save(content | {"config": config}, tmp_path / "model.pt")
    with pytest.raises(ValueError, match="does not hold the model that it describes"):
        networks.load(tmp_path / "model.pt")


@pytest.mark.parametrize("part", ["config", "info", "state"])
@pytest.mark.parametrize("value", [None, 3, "text", [1], {"a": 1}, torch.zeros(3)])
def test_parts_of_another_kind(tmp_path, part, value):
    networks.save(networks.SiameseHead(8, 4), tmp_path / "model.pt")
    content = torch.load(tmp_path / "model.pt", weights_only=True)
    torch.save(content | {part: value}, tmp_path / "model.pt")
    if (part, type(value)) == ("info", dict):
        assert networks.load(tmp_path / "model.pt").info == value
        return
    with pytest.raises(ValueError, match="does not hold the model that it describes"):
        networks.load(tmp_path / "model.pt")


class Large:
    def __reduce__(self):
        return bytearray, (10**12,)


def test_a_checkpoint_that_asks_for_memory(tmp_path):
    torch.save({"format": networks.FORMAT, "config": Large()}, tmp_path / "model.pt")
    with pytest.raises(ValueError, match=r"it names \w+\.bytearray.*nothing in it was run"):
        networks.load(tmp_path / "model.pt")


def test_a_checkpoint_that_unpacks_to_more_than_its_size(tmp_path):
    networks.save(networks.SiameseHead(8, 4), tmp_path / "model.pt")
    with zipfile.ZipFile(tmp_path / "model.pt", "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model/data/9", bytes(600_000_000))
    with pytest.raises(ValueError, match="would take 600 MB when unpacked"):
        networks.load(tmp_path / "model.pt")


def test_a_model_is_loaded_without_drawing_numbers(tmp_path):
    model = networks.SiameseNetwork("mobilenet_v3_small", 32, 4).eval()
    networks.save(model, tmp_path / "model.pt")
    torch.manual_seed(3)
    before = torch.get_rng_state()
    loaded = networks.load(tmp_path / "model.pt")
    assert torch.equal(before, torch.get_rng_state())
    assert not any(value.is_meta for value in [*loaded.parameters(), *loaded.buffers()])
    assert [p.requires_grad for p in loaded.parameters()] == [
        p.requires_grad for p in model.parameters()
    ]
    images = torch.rand(2, 3, 128, 64)
    assert torch.equal(loaded(images), model(images))


@pytest.mark.parametrize(
    ("failure", "expected", "times"),
    [(KeyboardInterrupt, KeyboardInterrupt, 1), (OSError(28, "No space left"), OSError, 99)],
)
def test_ctrl_c_while_saving_is_no_full_disk(tmp_path, monkeypatch, failure, expected, times):
    path = tmp_path / "model.pt"
    networks.save(networks.SiameseHead(8, 4), path)
    before = path.read_bytes()

    class Interrupted:
        def __init__(self, file):
            self.file, self.written = file, 0

        def write(self, data):
            self.written += 1
            if 3 < self.written <= 3 + times:
                raise failure
            return self.file.write(data)

        def flush(self):
            self.file.flush()

    importlib.import_module("ultralytics.utils")  # puts a patient torch.save in place of torch's
    place, whole = torch.serialization, torch.serialization.save
    monkeypatch.setattr(place, "save", lambda content, file: whole(content, Interrupted(file)))
    with pytest.raises(expected):
        networks.save(networks.SiameseHead(8, 4), path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_a_server_that_falls_silent(monkeypatch, tmp_path):
    """ImageNet weights come with the course's own download, which has time limits."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    asked = []

    def fetch(url, path, checksum):
        asked.append((Path(url).name, path.parent, checksum))
        raise assets.Unavailable("only 3 bytes came in 20 s; connect to the internet")

    monkeypatch.setattr(assets, "fetch", fetch)
    with pytest.raises(assets.Unavailable, match="only 3 bytes came"):
        networks.backbone("resnet18", pretrained=True)
    assert asked == [("resnet18-f37072fd.pth", tmp_path / "hub" / "checkpoints", "f37072fd")]


def test_a_weight_that_is_none_is_refused_in_one_line(tmp_path):
    networks.save(networks.SiameseHead(8, 4), tmp_path / "model.pt")
    content = torch.load(tmp_path / "model.pt", weights_only=True)
    content["state"]["layers.0.weight"] = 7
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(ValueError, match=r"describes: .*layers\.0\.weight") as failure:
        networks.load(tmp_path / "model.pt")
    assert "\n" not in str(failure.value)


def test_numbers_of_numpy_come_back_as_pythons(tmp_path):
    path = tmp_path / "model.pt"
    model = networks.SiameseHead(np.int64(8), np.int32(4))
    told = {"size": (np.int64(128), np.int64(64)), "threshold": np.float32(0.5)}
    networks.save(model, path, **told, table={"ap": np.arange(3), "deep": [np.bool_(True)]})
    loaded = networks.load(path)
    assert loaded.info == {
        "size": (128, 64), "threshold": 0.5, "table": {"ap": [0, 1, 2], "deep": [True]}
    }  # fmt: skip
    assert type(loaded.config["in_dim"]) is int and type(loaded.info["size"][0]) is int


def test_what_cannot_be_read_back_is_not_written(tmp_path):
    with pytest.raises(ValueError, match="seen is a set, which a checkpoint cannot hold"):
        networks.save(networks.SiameseHead(8, 4), tmp_path / "model.pt", seen={1, 2})
    with pytest.raises(ValueError, match="where is a .*Path, which a checkpoint cannot hold"):
        networks.save(networks.SiameseHead(8, 4), tmp_path / "model.pt", where=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_far_down_among_the_reasons_is_still_ctrl_c():
    try:
        try:
            try:
                raise KeyboardInterrupt
            finally:
                raise ValueError("closing failed")
        except ValueError as error:
            raise RuntimeError("unexpected pos") from error
    except RuntimeError as error:
        assert networks._interrupted(error)
    assert not networks._interrupted(RuntimeError("disk"))
