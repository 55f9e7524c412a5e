"""Features: histograms, networks by name and from files, tracks, fusion, feature files."""

import subprocess
import sys
import zipfile

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from reidlib import assets
from reidlib.collection import datasets, encoding, transforms
from reidlib.demonstration import provenance
from reidlib.detection.streaming import VectorFile
from reidlib.features import extractors, histograms, vectors
from reidlib.model import distances, networks

RNG = np.random.default_rng(0)
CROPS = [
    RNG.integers(0, 256, (RNG.integers(30, 160), RNG.integers(12, 80), 3), dtype=np.uint8)
    for _ in range(9)
]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "model.pt"
    networks.save(networks.SiameseNetwork("tiny", 32), path, size=(64, 32), threshold=0.25)
    return path


class Uint8(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, images):
        mean, std = torch.tensor(transforms.IMAGENET_MEAN), torch.tensor(transforms.IMAGENET_STD)
        images = images.permute(0, 3, 1, 2).float() / 255
        return self.model((images - mean[:, None, None]) / std[:, None, None])


@pytest.fixture(scope="module", params=["uint8", "float"])
def exported(request, checkpoint):
    """The checkpoint as an OpenVINO network, with and without its own normalisation."""
    openvino = pytest.importorskip("openvino")
    model = networks.load(checkpoint)
    if request.param == "uint8":
        model, example = Uint8(model), torch.zeros(2, 64, 32, 3, dtype=torch.uint8)
    else:
        example = torch.zeros(2, 3, 64, 32)
    shape = [-1, *example.shape[1:]]
    converted = openvino.convert_model(model, example_input=example, input=shape)
    path = checkpoint.with_name(f"{request.param}.xml")
    openvino.save_model(converted, path, compress_to_fp16=False)
    return path


@pytest.mark.parametrize(
    "name, options",
    [
        ("histogram", {}),
        ("histogram", {"space": "lab", "stripes": 8, "background": "ellipse"}),
        ("tiny", {}),
        ("resnet18", {"pretrained": False, "layer": "layer2", "size": (64, 32)}),
    ],
)
def test_extractors_give_unit_rows(name, options):
    extractor = extractors.load(name, **options)
    vectors = extractor(CROPS)
    assert extractor.name == name and extractor.threshold is None
    assert vectors.shape == (9, extractor.dim) and vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert extractor([]).shape == (0, extractor.dim)
    assert np.allclose(extractor(CROPS[3:5]), vectors[3:5], atol=1e-5)


@pytest.mark.parametrize("name", ["tiny", "plaza", "histogram"])
def test_a_crop_and_its_mirror_image_have_one_vector(name):
    plain, both = extractors.load(name), extractors.load(f"{name}+flip")
    other_way = [crop[:, ::-1] for crop in CROPS]
    assert both.name == f"{name}+flip" and both.threshold == plain.threshold
    assert np.allclose(both(CROPS), both(other_way), atol=1e-5)
    expected = plain(CROPS) + plain(other_way)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.allclose(both(CROPS), expected, atol=1e-5)


def test_lists_arrays_and_batches_agree():
    extractor = extractors.load("tiny")
    batch = transforms.to_batch(CROPS, extractor.size)
    expected = extractor(batch)
    assert np.allclose(extractor(list(batch)), expected, atol=1e-5)
    extractor.batch = 4
    assert np.allclose(extractor(batch), expected, atol=1e-5)


def test_untrained_networks_depend_on_the_seed_only():
    a, b, c = (extractors.load("tiny", seed=s)(CROPS) for s in (1, 1, 2))
    assert np.array_equal(a, b) and not np.allclose(a, c)


@pytest.mark.parametrize(
    "bad, message",
    [
        (np.zeros((20, 10), np.uint8), r"image 1 is uint8 with shape \(20, 10\)"),
        (np.zeros((20, 10, 4), np.uint8), "expected uint8 RGB"),
        (np.full((20, 10, 3), np.nan), "image 1 is float64"),
        (np.zeros((0, 10, 3), np.uint8), "image 1 has no pixels"),
        (None, "image 1 is NoneType"),
    ],
)
def test_images_that_are_none(bad, message):
    with pytest.raises(ValueError, match=message):
        extractors.load("histogram")([CROPS[0], bad])


def test_histogram_counts_stripes_by_hand():
    image = np.zeros((1, 8, 4, 3), np.uint8)
    image[0, 4:] = (255, 0, 0)
    vector = histograms.stripes(image, space="rgb", stripes=2, bins=2).reshape(2, 3, 2)
    assert vector[0] == pytest.approx(np.array([[1, 0]] * 3) / np.sqrt(6))
    assert vector[1] == pytest.approx(np.array([[0, 1], [1, 0], [1, 0]]) / np.sqrt(6))
    assert histograms.stripes(image, stripes=3, bins=4).shape == (1, 36)


def test_histogram_options_are_checked():
    with pytest.raises(ValueError, match="space 'yuv'.*rgb, hsv, lab"):
        extractors.load("histogram", space="yuv")
    with pytest.raises(ValueError, match="unknown background 'magic'"):
        extractors.load("histogram", background="magic")
    with pytest.raises(ValueError, match="only 'histogram' has such options"):
        extractors.load("tiny", stripes=3)


def test_grabcut_gives_one_mask_whatever_ran_before():
    crops = datasets.read_images(datasets.load("plaza").query.path[::10], (128, 64))
    forwards = histograms.foreground(crops, "grabcut")
    assert np.array_equal(histograms.foreground(crops[::-1], "grabcut")[::-1], forwards)


@pytest.mark.parametrize("how", ["ellipse", "grabcut"])
def test_foreground_is_the_middle(how):
    image = np.full((128, 64, 3), (40, 140, 60), np.uint8)
    cv2.ellipse(image, (32, 64), (14, 48), 0, 0, 360, (200, 40, 40), -1)
    image = np.clip(image + RNG.normal(0, 5, image.shape), 0, 255).astype(np.uint8)
    (mask,) = histograms.foreground(image[None], how)
    assert mask.shape == (128, 64) and mask.dtype == np.float32
    assert mask[64, 32] > 0.9 and mask[2, 2] < 0.1 and 0 <= mask.min() <= mask.max() <= 1
    flat = histograms.foreground(np.zeros((1, 16, 8, 3), np.uint8), how)
    assert flat.max() > 0


def test_background_suppression_ignores_the_border():
    one, other = (np.full((1, 128, 64, 3), 120, np.uint8) for _ in range(2))
    other[:, :, :6] = other[:, :, -6:] = (255, 0, 0)
    plain = histograms.stripes(one) @ histograms.stripes(other).T
    masked = [histograms.stripes(x, background="ellipse") for x in (one, other)]
    assert (masked[0] @ masked[1].T).item() > plain.item() + 0.02


@pytest.mark.parametrize("name", ["tiny-x2-s4", "mobilenet_v3_small", "siamese"])
def test_folding_keeps_the_features(name):
    torch.manual_seed(0)
    build = networks.SiameseNetwork if name == "siamese" else networks.backbone
    network = build("tiny" if name == "siamese" else name)
    norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.running_mean.normal_(0, 0.1)
        norm.running_var.uniform_(0.5, 2)
    x = torch.randn(2, 3, 128, 64)
    with torch.no_grad():
        before, after = network.eval()(x), extractors.fold(network)(x)
    assert norms and not any(isinstance(m, torch.nn.BatchNorm2d) for m in network.modules())
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5)


def test_folding_leaves_a_layer_that_is_listened_to():
    network = networks.backbone("mobilenet_v3_small", layer="features.0.0").eval()
    x = torch.randn(2, 3, 128, 64)
    with torch.no_grad():
        before = network(x)
        assert network.inner and torch.equal(extractors.fold(network)(x), before)


def test_checkpoint_of_ours(checkpoint):
    extractor = extractors.load(checkpoint)
    assert (extractor.dim, extractor.size, extractor.threshold) == (32, (64, 32), 0.25)
    assert extractor(CROPS).shape == (9, 32)


def test_exports_agree_with_the_checkpoint(checkpoint, exported):
    theirs, ours = extractors.load(exported), extractors.load(checkpoint, device="cpu")
    assert theirs.size == (64, 32) and theirs.dim == 32
    assert np.allclose(theirs(CROPS), ours(CROPS), atol=1e-4)


def test_the_cpu_path_never_imports_torch(exported):
    code = (
        "import sys, numpy as np; from reidlib.features import extractors; "
        f"e = extractors.load({str(exported)!r}); e([np.zeros((50, 20, 3), np.uint8)]); "
        "extractors.load('histogram'); sys.exit('torch' in sys.modules)"
    )
    root = assets.PACKAGE.parent
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_the_bundled_embedding_is_the_same_in_both_forms():
    pytest.importorskip("openvino")
    forms = [assets.data("weights", f"plaza_embedding.{ending}") for ending in ("onnx", "pt")]
    assert all(path.stat().st_size < 8e6 for path in forms)
    plaza = extractors.load("plaza", device="cpu")
    exported, checkpoint = (extractors.load(path, device="cpu") for path in forms)
    assert plaza.name == extractors.load().name == "plaza" and plaza.size == (128, 64)
    assert 0 < plaza.threshold < 1
    assert checkpoint.threshold == pytest.approx(exported.threshold, abs=1e-4)
    assert np.allclose(exported(CROPS), checkpoint(CROPS), atol=1e-4)


def test_unknown_names_and_files_that_are_no_models(tmp_path):
    with pytest.raises(ValueError, match="unknown features 'resnet19'.*plaza.*histogram"):
        extractors.load("resnet19")
    with pytest.raises(FileNotFoundError, match="no model at"):
        extractors.load(tmp_path / "missing.onnx")
    for name in ("text.onnx", "text.xml", "text.pt"):
        (tmp_path / name).write_text("hello")
        with pytest.raises(ValueError, match="is not a network|holds no weights"):
            extractors.load(tmp_path / name)
    networks.save(networks.SiameseHead(8, 4), tmp_path / "head.pt")
    with pytest.raises(ValueError, match="SiameseHead, which takes vectors"):
        extractors.load(tmp_path / "head.pt")


def test_without_openvino_the_remedy_is_named(exported, monkeypatch):
    monkeypatch.setattr(assets, "has", lambda package: False)
    with pytest.raises(assets.Unavailable, match="pip install openvino"):
        extractors.load(exported)


# Exports from elsewhere


class Small(torch.nn.Module):
    """A network whose last step is what an exporter may make of it."""

    def __init__(self, ending):
        super().__init__()
        self.convolution, self.ending = torch.nn.Conv2d(3, 16, 5, 4), ending
        self.linear = torch.nn.Linear(16, 8)

    def forward(self, images):
        pooled = torch.relu(self.convolution(images)).mean(dim=(2, 3), keepdim=True)
        return self.ending(self, pooled)


ENDINGS = {  # what is written for one image, in place of flatten
    "linear": lambda net, x: net.linear(x.reshape(1, -1)),
    "pool": lambda net, x: x.reshape(1, -1),
    "first": lambda net, x: x.flatten(1)[:1],
    "copied": lambda net, x: x.flatten(1)[:1] + 0 * x.flatten(1),
    "mixed": lambda net, x: x.flatten(1) + x.flatten(1).mean(dim=0),
    "ranked": lambda net, x: x,
    "constant": lambda net, x: x.flatten(1) * 0 + 1,
    "zero": lambda net, x: x.flatten(1) * 0,
    "nan": lambda net, x: (-1 - x.flatten(1)).log(),
    "good": lambda net, x: net.linear(x.flatten(1)),
}


def export(ending, folder, batch=1, size=(64, 32), threshold=None):
    openvino = pytest.importorskip("openvino")
    torch.manual_seed(0)
    network, example = Small(ENDINGS[ending]).eval(), torch.zeros(max(batch, 1), 3, *size)
    model = openvino.convert_model(network, example_input=example, input=[batch, 3, *size])
    if threshold is not None:
        model.set_rt_info(threshold, extractors.THRESHOLD)
    openvino.save_model(model, folder / f"{ending}.xml", compress_to_fp16=False)
    return network, folder / f"{ending}.xml"


@pytest.mark.parametrize("ending", ["linear", "pool", "first", "copied", "mixed", "good"])
def test_a_network_exported_for_one_image_gives_each_its_own_vector(tmp_path, ending):
    network, path = export(ending, tmp_path)
    extractor = extractors.load(path)
    found = extractor(CROPS)
    batch = transforms.to_batch(CROPS, (64, 32)).transpose(0, 3, 1, 2) / 255
    mean, std = (np.reshape(s, (3, 1, 1)) for s in transforms.NORMALISATIONS["imagenet"])
    images = torch.from_numpy((batch - mean) / std).float()
    with torch.no_grad():
        expected = np.concatenate([network(image[None]).numpy() for image in images])
    np.testing.assert_allclose(found, distances.unit(expected), atol=1e-4)
    assert np.allclose(np.concatenate([extractor([crop]) for crop in CROPS]), found, atol=1e-5)
    assert np.ptp(found, axis=0).max() > 1e-3


def test_ctrl_c_after_networks_were_dropped(tmp_path):
    """With a Core for each network, what OpenVINO leaves made the next signal a crash."""
    _, path = export("good", tmp_path)
    code = (
        "import gc, signal, sys\n"
        "from reidlib.detection import detectors\n"
        "from reidlib.features import extractors\n"
        "one, two, three = extractors.load(sys.argv[1]), detectors.load(), extractors.load()\n"
        "for name in ('one', 'two', 'three'):\n"
        "    del globals()[name]; gc.collect()\n"
        "try:\n"
        "    signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "    signal.raise_signal(signal.SIGINT)\n"
        "except KeyboardInterrupt:\n"
        "    sys.exit(130)"
    )
    root = assets.PACKAGE.parent
    assert (
        subprocess.run([sys.executable, "-c", code, path], cwd=root, check=False).returncode == 130
    )


def test_a_batch_of_three_is_filled(tmp_path):
    _, whole = export("good", tmp_path)
    expected = extractors.load(whole)(CROPS)
    openvino = pytest.importorskip("openvino")
    op = openvino.opset13
    network = openvino.Core().read_model(whole)
    network.reshape([3, 3, 64, 32])
    # As exporters do, with the batch in a constant.
    result = network.get_results()[0]
    fixed = op.reshape(result.input_value(0), op.constant([3, 8]), False)
    openvino.save_model(
        openvino.Model([fixed], network.get_parameters()), tmp_path / "three.xml", False
    )
    three = extractors.load(tmp_path / "three.xml")
    for count in (1, 2, 3, 7, 9):
        assert np.allclose(three(CROPS[:count]), expected[:count], atol=1e-4)


@pytest.mark.parametrize(
    ("ending", "batch", "message"),
    [
        ("constant", -1, "gives different images the same vector"),
        ("constant", 1, "gives different images the same vector"),
        ("zero", 1, "gives different images the same vector"),
        ("nan", -1, "numbers that are not finite"),
        ("ranked", -1, "not a network from"),
        ("mixed", 4, "another vector when others are beside it"),
    ],
)
def test_exports_that_cannot_be_right(tmp_path, ending, batch, message):
    _, path = export(ending, tmp_path, batch)
    with pytest.raises(ValueError, match=f"{message}.*; export it again"):
        extractors.load(path)


def test_an_export_for_images_that_memory_does_not_hold(tmp_path):
    _, path = export("good", tmp_path, size=(64, 64))
    ov = pytest.importorskip("openvino")
    network = ov.Core().read_model(path)
    network.reshape([1, 3, 20_000, 20_000])
    ov.save_model(network, tmp_path / "huge.xml")
    with pytest.raises(ValueError, match="at most 537 MB"):
        extractors.load(tmp_path / "huge.xml")


@pytest.mark.parametrize("threshold", ["high", "nan", "-1", "inf", "3", "[0.2]", ""])
def test_a_threshold_that_is_none(tmp_path, checkpoint, threshold):
    _, path = export("good", tmp_path, threshold=threshold)
    content = torch.load(checkpoint, weights_only=True)
    content["info"]["threshold"] = threshold
    torch.save(content, tmp_path / "model.pt")
    for file in (path, tmp_path / "model.pt"):
        with pytest.raises(ValueError, match=r"suggests the threshold .* no cosine distance"):
            extractors.load(file, device="cpu")


def test_a_threshold_that_is_text_of_a_number(tmp_path):
    _, path = export("good", tmp_path, threshold="0.25")
    assert extractors.load(path).threshold == 0.25


@pytest.mark.parametrize(
    "size", [(0, 64), (64,), (64, 32, 3), "64", (1.5, 2), (20_000, 20_000), (float("nan"), 2), 64]
)
def test_sizes_that_are_none(tmp_path, checkpoint, size):
    with pytest.raises(ValueError, match="expected a height and a width in pixels"):
        extractors.load("tiny", size=size)
    content = torch.load(checkpoint, weights_only=True)
    content["info"]["size"] = size
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(ValueError, match=r"model\.pt was made for images of"):
        extractors.load(tmp_path / "model.pt", device="cpu")


def test_a_device_that_is_not_there(checkpoint):
    for name in ("tiny", checkpoint):
        with pytest.raises(ValueError, match="has no device 'cuda:99'"):
            extractors.load(name, device="cuda:99")


VECTORS = distances.unit(RNG.normal(size=(7, 5)).astype(np.float32))
TRACKS = np.array([4, 4, 2, 2, 2, 9, 9])


def test_aggregate_is_one_unit_row_a_track():
    mean = vectors.aggregate(VECTORS, TRACKS)
    assert mean.shape == (3, 5) and np.linalg.norm(mean, axis=1) == pytest.approx(1)
    assert mean[1] == pytest.approx(distances.unit(VECTORS[:2].mean(axis=0)))
    median = vectors.aggregate(VECTORS, TRACKS, how="median")
    assert median[0] == pytest.approx(distances.unit(np.median(VECTORS[2:5], axis=0)))
    weights = np.array([1, 0, 1, 1, 1, 0, 3])
    weighted = vectors.aggregate(VECTORS, TRACKS, how="weighted", weights=weights)
    assert weighted[1] == pytest.approx(VECTORS[0], abs=1e-5)
    assert weighted[2] == pytest.approx(VECTORS[6], abs=1e-5)
    names = vectors.aggregate(VECTORS, np.array(list("bbaaacc")))
    assert np.allclose(names, mean)


def test_aggregate_leaves_out_rows_without_a_vector():
    broken = VECTORS.copy()
    broken[[1, 5, 6]] = np.nan
    result = vectors.aggregate(broken, TRACKS)
    assert result[1] == pytest.approx(VECTORS[0]) and np.isnan(result[2]).all()


def test_aggregate_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="7 vectors, 3 tracks"):
        vectors.aggregate(VECTORS, [1, 2, 3])
    with pytest.raises(ValueError, match="how='best'"):
        vectors.aggregate(VECTORS, TRACKS, how="best")
    with pytest.raises(ValueError, match="together with weights"):
        vectors.aggregate(VECTORS, TRACKS, how="weighted")


@pytest.mark.parametrize("weight", [0, 0.3, 1])
def test_fusion_mixes_similarities(weight):
    other = RNG.normal(size=(7, 3))
    fused = vectors.fuse(VECTORS, other, weight)
    unit = distances.unit(other)
    expected = weight * VECTORS @ VECTORS.T + (1 - weight) * unit @ unit.T
    assert fused.shape == (7, 8) and np.allclose(fused @ fused.T, expected, atol=1e-6)
    with pytest.raises(ValueError, match="7 and 2 rows"):
        vectors.fuse(VECTORS, other[:2])
    with pytest.raises(ValueError, match="weight 1.5"):
        vectors.fuse(VECTORS, other, 1.5)


def test_files_come_back(tmp_path):
    table = pd.DataFrame({"track": TRACKS, "camera": list("aabbbcc")})
    vectors.write(tmp_path / "new" / "vectors.npz", VECTORS, table)
    restored, read = vectors.read(tmp_path / "new" / "vectors.npz")
    assert np.array_equal(restored, VECTORS) and read.equals(table)
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["vectors.csv", "vectors.npz"]
    with pytest.raises(ValueError, match="7 vectors but 6 table rows"):
        vectors.write(tmp_path / "x", VECTORS, table[:6])
    for folder in ("..", tmp_path, ""):
        with pytest.raises(ValueError, match="is a folder; give the name of a file"):
            vectors.write(folder, VECTORS, table)
    assert not (tmp_path / "x.npz").exists()


def test_names_that_are_numbers_or_look_like_nothing_stay_names(tmp_path):
    names = ["01", "1e5", "NA", "True", "inf", "2024-05-01", "0"]
    table = pd.DataFrame({name: names for name in ("camera", "label", "path", "part")})
    vectors.write(tmp_path / "v.npz", VECTORS, table.assign(track=TRACKS))
    read = vectors.read(tmp_path / "v.npz")[1]
    assert read[table.columns].to_numpy().tolist() == table.to_numpy().tolist()
    assert read["track"].tolist() == list(TRACKS)


def test_damaged_feature_files(tmp_path):
    path, table = tmp_path / "v.npz", pd.DataFrame({"track": TRACKS})
    with pytest.raises(FileNotFoundError):
        vectors.read(path)
    vectors.write(path, VECTORS, table)
    table[:3].to_csv(path.with_suffix(".csv"), index=False)
    with pytest.raises(ValueError, match="7 vectors, its .csv 3 rows"):
        vectors.read(path)
    path.write_bytes(path.read_bytes()[:90])
    with pytest.raises(ValueError, match="are no feature files"):
        vectors.read(path)
    np.savez(path, vectors=np.array([{"code": 1}], dtype=object))
    with pytest.raises(ValueError, match="are no feature files.*pickle"):
        vectors.read(path)


def npy(shape, kind="<f4", data=bytes(64)):
    """Return an array file whose head may promise more than follows."""
    head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}}}".encode()
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + data


@pytest.mark.parametrize(
    "array",
    [
        npy("(10_000_000_000_000, 256)"),
        npy("(-1, 4)"),
        npy("(1.5, 4)"),
        npy(f"(1{'0' * 400}, 4)"),
        npy("((((("),
        npy("-" * 8000 + "1"),
        npy("(1, 2)", "<U4"),
        npy("()"),
        npy("(2, 9)"),
        b"\x93NUMPY\x09\x00",
        b"hello",
        b"",
        npy("(1_000_000, 256)", data=bytes(600_000_000)),
    ],
    ids=range(13),
)
def test_feature_files_with_false_heads(tmp_path, array):
    path = tmp_path / "v.npz"
    pd.DataFrame({"track": [1]}).to_csv(path.with_suffix(".csv"), index=False)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("vectors.npy", array)
    with pytest.raises(ValueError, match="are no feature files"):
        vectors.read(path)


def test_a_table_beside_features_that_is_none_is_refused_in_one_line(tmp_path):
    table = pd.DataFrame({"track": [1, 2]})
    vectors.write(tmp_path / "v.npz", np.eye(2), table)
    (tmp_path / "v.csv").write_text("track\n1\n2,3,4\n")
    with pytest.raises(ValueError, match="are no feature files: .*saw 3; write") as failure:
        vectors.read(tmp_path / "v.npz")
    assert "\n" not in str(failure.value)


def test_vectors_of_a_file_are_written_part_by_part(tmp_path, monkeypatch):
    monkeypatch.setattr(vectors, "BLOCK", 3)
    kept = VectorFile()
    kept.append(VECTORS)
    order = np.arange(len(VECTORS))[::-1]
    table = pd.DataFrame({"track": TRACKS})
    vectors.write(tmp_path / "v.npz", kept.ordered(order), table)
    assert np.array_equal(vectors.read(tmp_path / "v.npz")[0], VECTORS[::-1].astype(np.float32))


def test_boxes_are_embedded_in_the_order_of_their_table(tmp_path):
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for i, path in enumerate(paths):
        encoding.write_image(path, np.full((40, 40, 3), 50 * i + 50, np.uint8))
    table = pd.DataFrame({"frame": [2, 0, 7, 0], "x1": 5.0, "y1": 5.0, "x2": 15.0, "y2": 35.0})
    table.loc[3, ["x1", "x2"]] = [60.0, 70.0]  # beside the picture

    def embed(crops):
        return np.array([[crop.mean(), 1.0] for crop in crops], np.float32)

    embed.dim = 2
    found = extractors.embed_tracks(tmp_path, table, embed, None)
    expected = [[150, 1], [50, 1], [np.nan] * 2, [np.nan] * 2]
    np.testing.assert_allclose(found[:], expected, atol=3)


def test_a_threshold_of_plain_vectors_does_not_hold_for_mirrored_ones():
    plain, both = (
        provenance.describe(extractors.load(name), "features") for name in ("plaza", "plaza+flip")
    )
    assert both["sha256"] == plain["sha256"] + "+flip"
    with pytest.raises(ValueError, match="cannot be compared"):
        provenance.check_alike(plain, both, "somewhere")
