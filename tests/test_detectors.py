import json
import os
import pickle
import shutil
import subprocess
import sys
import urllib.error
import zipfile

import numpy as np
import pytest

from reidlib import __main__, assets, boxes
from reidlib.collection import encoding, formats, video
from reidlib.detection import detectors, yolo

BOX = ["x1", "y1", "x2", "y2"]


def bright_network(folder, height=128, width=128, batch=1, change=lambda op, output: output):
    """Write a network like a static Ultralytics export: a cell's brightness is its box's score."""
    ov = pytest.importorskip("openvino")
    op = ov.opset13
    image = op.parameter([batch, 3, height, width], np.float32, name="images")
    grey = op.reduce_mean(image, op.constant([1]), keep_dims=True)
    scores, centres, strides = [], [], []
    for s in (8, 16, 32):
        rows, columns = height // s, width // s
        pooled = op.avg_pool(grey, [s, s], [0, 0], [0, 0], [s, s], True)
        scores.append(op.reshape(pooled, op.constant([batch, 1, rows * columns]), False))
        centres.append((np.indices((rows, columns))[::-1].reshape(2, -1) + 0.5) * s)
        strides.append(np.full((1, rows * columns), s))

    def constant(values):
        return op.constant(np.tile(np.concatenate(values, axis=1), (batch, 1, 1)).astype("f4"))

    centre, size = constant(centres), constant(strides)
    output = op.concat([centre, size, size, op.concat(scores, 2)], 1)
    model = ov.Model([change(op, output)], [image])
    ov.save_model(model, folder / "bright.xml", compress_to_fp16=False)
    (folder / "metadata.yaml").write_text("names:\n  0: person\n")
    return folder


@pytest.fixture(scope="module")
def bright(tmp_path_factory):
    return bright_network(tmp_path_factory.mktemp("bright_openvino_model"))


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No network, an empty cache."""

    def refuse(*args, **kwargs):
        raise urllib.error.URLError("no network")

    monkeypatch.setattr("urllib.request.urlopen", refuse)
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path / "cache"))


def frame(height=128, width=128, left=32, top=64, side=32):
    image = np.zeros((height, width, 3), np.uint8)
    image[top : top + side, left : left + side] = 255
    return image


def test_one_table_an_image_in_its_pixels(bright):
    detector = detectors.load(bright, confidence=0.9, nms=0.5)
    small, large = detector([frame(), frame(256, 256, 64, 0, 64)])
    assert small.columns.tolist() == [*BOX, "confidence"]
    # 16 cells of 8 pixels, 4 of 16 and one of 32 lie in the white square, none on another.
    corners = small[BOX].to_numpy()
    assert corners.min(axis=0).tolist() == [32, 64, 40, 72] and len(small) == 21
    assert corners.max(axis=0).tolist() == [56, 88, 64, 96]
    np.testing.assert_allclose(
        np.sort(large[BOX].to_numpy() / 2, axis=0), np.sort(corners - [0, 64, 0, 64], axis=0)
    )
    assert detector([]) == []


@pytest.mark.parametrize(("height", "width"), [(64, 128), (128, 64), (50, 100)])
def test_a_rectangular_input_gives_the_boxes_of_the_square_one(bright, tmp_path, height, width):
    image = frame(height, width, left=16, top=16, side=24)
    image[::3] //= 2
    scale = 128 / max(height, width)
    rows, columns = (int(np.ceil(n * scale / 32)) * 32 for n in (height, width))
    (found,) = detectors.load(bright_network(tmp_path, rows, columns)).raw([image])
    square = np.zeros((max(height, width),) * 2 + (3,), np.uint8)
    top, left = (max(height, width) - height) // 2, (max(height, width) - width) // 2
    square[top : top + height, left : left + width] = image
    (expected,) = detectors.load(bright).raw([square])
    expected = expected - np.float32([left, top, left, top, 0])
    inside = (expected[:, :4] >= 0).all(axis=1) & (expected[:, 2:4] <= [width, height]).all(axis=1)
    order = [np.lexsort(a.round(2).T) for a in (found, expected[inside])]
    np.testing.assert_allclose(found[order[0]], expected[inside][order[1]], atol=1e-3)


def test_a_static_export_runs_at_its_own_size(bright):
    with pytest.raises(ValueError, match=r"exported for images of 128 x 128.*not for size=64"):
        detectors.load(bright, size=64)
    assert len(detectors.load(bright, size=128)([frame()])[0])


@pytest.mark.parametrize("count", [1, 3, 4, 7])
def test_a_fixed_batch_is_filled(bright, tmp_path, count):
    images = [frame(left=8 * i, top=128 - 8 * i - 32) for i in range(count)]
    alone, four = detectors.load(bright), detectors.load(bright_network(tmp_path, batch=4))
    for expected, found in zip(alone.raw(images), four.raw(images), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4)


def mean_of_all(op, output):
    scale = op.constant(np.float32(0.5))
    together = op.reduce_mean(output, op.constant([0]), keep_dims=True)
    return op.add(op.multiply(output, scale), op.multiply(together, scale))


@pytest.mark.parametrize(
    ("batch", "change", "match"),
    [
        (4, mean_of_all, "mixes the images that it is given together"),
        (4, lambda op, x: op.reduce_max(x, op.constant([0]), True), "gives 2 results for 8 images"),
        (1, lambda op, x: op.log(op.constant(np.float32(-1)) * x), "are not finite"),
        (1, lambda op, x: op.multiply(x, op.constant(np.float32(0))), "whatever it sees"),
        (1, lambda op, x: op.squeeze(x, op.constant([0])), "not boxes"),
    ],
)
def test_an_export_that_cannot_be_right(tmp_path, batch, change, match):
    with pytest.raises(ValueError, match=match):
        detectors.load(bright_network(tmp_path, batch=batch, change=change), device="cpu")


def test_an_export_that_is_too_large(tmp_path):
    ov = pytest.importorskip("openvino")
    op = ov.opset13
    image = op.parameter([1, 3, 20_000, 20_000], np.float32)
    small = op.reduce_mean(image, op.constant([1, 2]), keep_dims=True)
    output = op.broadcast(
        op.reduce_mean(small, op.constant([3]), keep_dims=False), op.constant([1, 5, 9])
    )
    ov.save_model(ov.Model([output], [image]), tmp_path / "net.xml")
    with pytest.raises(ValueError, match="at most"):
        detectors.load(tmp_path / "net.xml", device="cpu")
    with pytest.raises(ValueError, match="at most"):  # so is the size that somebody may ask for
        detectors.load("plaza", size=100_000, device="cpu")


def test_thresholds_need_no_second_run(bright):
    detector = detectors.load(bright, confidence=0.5, nms=0.9)
    image = np.maximum(frame(), frame(left=96, top=0) // 4)  # one white square, one dark
    (candidates,) = detector.raw([image])
    assert candidates.dtype == np.float32 and candidates.shape[1] == 5
    assert detectors.select(candidates, 0.5, 0.9).equals(detector([image])[0])
    counts = [len(detectors.select(candidates, c, 0.9)) for c in (0.02, 0.2, 0.9)]
    assert counts == sorted(counts, reverse=True) and counts[0] > counts[2]
    scores = detectors.select(candidates, 0.02, 0.9).confidence
    assert scores.is_monotonic_decreasing


def test_suppression():
    candidates = np.array([[0, 0, 9, 9, 0.8], [1, 0, 9, 9, 0.9], [50, 0, 59, 9, 0.3]], np.float32)
    assert detectors.select(candidates).confidence.tolist() == pytest.approx([0.9, 0.3])
    assert len(detectors.select(candidates, nms=0.95)) == 3
    assert len(detectors.select(candidates[:0])) == 0


def test_only_people_are_kept():
    output = np.zeros((4 + 3, 2), np.float32)  # two boxes, three classes
    output[:4] = [[10, 30], [10, 30], [4, 4], [8, 8]]
    output[4:] = [[0.2, 0.6], [0.7, 0.5], [0.1, 0.1]]
    np.testing.assert_allclose(yolo._decode(output, 0), [[28, 26, 32, 34, 0.6]], rtol=1e-6)
    np.testing.assert_allclose(yolo._decode(output, 1), [[8, 6, 12, 14, 0.7]], rtol=1e-6)
    end_to_end = np.array([[1, 2, 3, 4, 0.9, 0], [1, 2, 3, 4, 0.8, 2]], np.float32)
    np.testing.assert_allclose(yolo._decode(end_to_end, 2), [[1, 2, 3, 4, 0.8]], rtol=1e-6)
    assert yolo._decode(output, [0, 1])[:, 4].tolist() == pytest.approx([0.7, 0.6])
    assert len(yolo._decode(end_to_end, [0, 2])) == 2 and not len(yolo._decode(output, [2]))


@pytest.mark.parametrize(
    ("images", "match"),
    [
        (frame(), "expected a list of uint8 RGB images"),
        ([frame()[..., 0]], "expected a list of uint8 RGB images"),
        ([frame() / 255], "float64"),
        ([None], "NoneType"),
        ([frame(), frame()[:0]], "image 1 has no pixels"),
    ],
)
def test_bad_images(bright, images, match):
    with pytest.raises(ValueError, match=match):
        detectors.load(bright)(images)


@pytest.mark.parametrize("settings", [{"confidence": 2}, {"nms": -0.1}])
def test_bad_thresholds(settings):
    with pytest.raises(ValueError, match="expected a number from 0 to 1"):
        detectors.load("plaza", **settings)


def test_unknown_names_list_the_valid_ones():
    with pytest.raises(ValueError, match="did you mean 'fasterrcnn'.*auto, plaza.*yolo11n"):
        detectors.load("fastercnn")
    with pytest.raises(ValueError, match="unknown detector 'yolo11n-seg'"):
        detectors.load("yolo11n-seg")


def test_missing_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="no detector weights at"):
        detectors.load(tmp_path / "none.onnx")
    with pytest.raises(FileNotFoundError, match="no detector weights at .*none_openvino_model"):
        detectors.load(tmp_path / "none_openvino_model")
    with pytest.raises(ValueError, match="holds no .xml"):
        detectors.load(tmp_path)


@pytest.mark.parametrize("name", ["yolov3", "yolo11n", "rtdetr-l", "fasterrcnn", "ssd"])
def test_no_network(offline, name):
    with pytest.raises(assets.Unavailable, match="has to be downloaded.*connect to the internet"):
        detectors.load(name)


@pytest.mark.parametrize("ending", [".onnx", ".xml", ".pt"])
def test_weights_that_are_not_weights(tmp_path, ending):
    path = tmp_path / f"weights{ending}"
    path.write_bytes(b"these are not the weights you are looking for")
    with pytest.raises(ValueError, match="weights"):
        detectors.load(path)


def test_an_export_without_people(bright, tmp_path):
    for name in ("bright.xml", "bright.bin"):
        (tmp_path / name).write_bytes((bright / name).read_bytes())
    (tmp_path / "metadata.yaml").write_text("names:\n  0: cat\n  1: dog\n")
    with pytest.raises(ValueError, match="cat, dog; expected a class 'person'"):
        detectors.load(tmp_path)


@pytest.fixture(scope="module")
def animals(tmp_path_factory):
    """A network of two classes: what is bright is a cat, what is half as bright a dog."""

    def second_class(op, output):
        cat = op.slice(output, [4], [5], [1], [1])
        dog = op.multiply(op.multiply(cat, op.subtract(np.float32(1), cat)), np.float32(2))
        return op.concat([output, dog], 1)

    folder = bright_network(tmp_path_factory.mktemp("animals_model"), change=second_class)
    (folder / "metadata.yaml").write_text("names:\n  0: cat\n  1: dog\n")
    return folder


@pytest.mark.parametrize(
    ("classes", "found"),
    [(["cat"], [64]), (["dog"], [32]), ([1], [32]), (["1", "cat"], [32, 64]), (["0"], [64])],
)
def test_other_classes_than_people(animals, classes, found):
    image = frame(left=64) // 255 * 255 + frame(left=32) // 255 * 102
    detector = detectors.load(animals, 0.4, device="cpu", classes=classes)
    (table,) = detector([image])
    assert sorted(set(table["x1"] // 32 * 32)) == found and detector.classes == classes
    assert table["confidence"].max() == pytest.approx(1 if 64 in found else 0.48, abs=0.01)


def test_commands_look_for_other_classes(animals, tmp_path, capsys):
    clip, boxed = tmp_path / "clip.mp4", tmp_path / "boxes.txt"
    image = frame(left=64) // 255 * 255 + frame(left=32) // 255 * 102
    encoding.write(clip, [image] * 8, 10)
    told = ["--detector", str(animals), "--classes"]
    detect = ["detect", str(clip), "--out", str(boxed)]
    assert __main__.main([*detect, *told, "cat", "dog"]) == 0
    assert "cat, dog found in 8 frames" in capsys.readouterr().out
    both = len(formats.read_mot(boxed))
    assert __main__.main([*detect, *told, "cat"]) == 0
    assert 0 < len(formats.read_mot(boxed)) < both
    extract = ["extract", str(clip), "--out", str(tmp_path / "features.npz")]
    assert __main__.main([*extract, *told, "cat", "--features", "histogram"]) == 0
    about = json.loads((tmp_path / "features.json").read_text())
    assert about["detector"]["classes"] == ["cat"]
    capsys.readouterr()
    assert __main__.main([*detect, *told, "cow"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "knows no class 'cow'" in line and line.endswith("it knows cat, dog")


def test_a_class_that_is_not_known(animals):
    with pytest.raises(ValueError, match=r"'dogs', did you mean 'dog'\? it knows cat, dog$"):
        detectors.load(animals, device="cpu", classes=["cat", "dogs"])
    with pytest.raises(ValueError, match=r"knows no class '2'; it knows cat, dog$"):
        detectors.load(animals, device="cpu", classes=[2])
    with pytest.raises(ValueError, match="knows no class 'cat'; it knows person"):
        detectors.load("plaza", device="cpu", classes=["cat"])
    weights = assets.data("weights", "plaza_detector.pt")
    with pytest.raises(ValueError, match="knows no class 'cat'; it knows person"):
        detectors._ultralytics(weights, "cpu", None, ["cat"])


@pytest.mark.parametrize(
    ("metadata", "match"),
    [
        ("names: {0: person, 1: dog}", "which are not boxes with a score a class"),
        ("task: detect", "does not say what its classes are called"),
        ("names: [", "does not say what its classes are called"),
        ("names: {a: person}", "does not say what its classes are called"),
        ("names: {0: 3, 1: 4}", "expected a class 'person'"),
        ("names: {9: person}", "which are not boxes"),
        ("names: {-1: person}", "does not say what its classes are called"),
        ("names: {.inf: person}", "does not say what its classes are called"),
        ("names: {0: [person]}", "does not say what its classes are called"),
        ("names: person", "does not say what its classes are called"),
        ("names: {0: person}\nimgsz: [large]", "how large its images are"),
        ("names: {0: person}\nimgsz: [-5]", "how large its images are"),
        ("names: &a {0: person}\nmore: [*a, *a]", "does not say what its classes are called"),
        ("[" * 100_000, "does not say what its classes are called"),
        ("\0", "does not say what its classes are called"),
    ],
)
def test_an_export_that_is_something_else(bright, tmp_path, metadata, match):
    folder = shutil.copytree(bright, tmp_path / "other")
    (folder / "metadata.yaml").write_text(metadata)
    with pytest.raises(ValueError, match=match):
        detectors.load(folder, device="cpu")


@pytest.mark.parametrize("names", ["[person]", "{'0': person}", "{0: person}"])
def test_ways_to_name_classes(bright, tmp_path, names):
    folder = shutil.copytree(bright, tmp_path / "other")
    (folder / "metadata.yaml").write_text(f"names: {names}")
    assert len(detectors.load(folder, device="cpu")([frame()])[0])


def test_a_bomb_of_aliases_takes_no_memory(bright, tmp_path):
    import resource

    lines = ["a0: &a0 {x: 1, y: 2}"]
    for i in range(1, 10):
        merged = ", ".join([f"*a{i - 1}"] * 10)
        lines.append(f"a{i}: &a{i} {{<<: [{merged}]}}")
    folder = shutil.copytree(bright, tmp_path / "other")
    (folder / "metadata.yaml").write_text("\n".join([*lines, "names: {0: person}"]))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ValueError, match="does not say"):
        detectors.load(folder, device="cpu")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 200_000  # KB


def test_features_are_not_boxes():
    with pytest.raises(ValueError, match="not boxes|not a detector"):
        detectors.load(assets.data("weights", "plaza_embedding.onnx"), device="cpu")


def test_a_strip_is_an_image_too(bright):
    (found,) = detectors.load(bright).raw([np.zeros((1, 2000, 3), np.uint8)])
    assert (found[:, 3] <= 1).all()


class Harmful:
    """Pickles as a call of `function`."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def checkpoints(target):
    """Checkpoints that would create the file `target`, were they read the common way."""
    from ultralytics.nn.tasks import DetectionModel

    touch = f"open({str(target)!r}, 'w')"
    yield {"model": Harmful(os.system, f"echo > {target}")}
    yield {"model": Harmful(eval, touch)}
    # An allowed name, but called: building a network evaluates the text of its activation.
    layers = [[-1, 1, "Conv", [8, 3, 2]]]
    config = {"activation": touch, "nc": 1, "backbone": layers, "head": []}
    yield {"model": Harmful(DetectionModel, config, 3, 1, False)}


def test_pickled_code_is_never_run(tmp_path):
    import torch

    target = tmp_path / "created"
    for i, checkpoint in enumerate(checkpoints(target)):
        plain, zipped = tmp_path / f"plain{i}.pt", tmp_path / f"zipped{i}.pt"
        plain.write_bytes(pickle.dumps(checkpoint))
        torch.save(checkpoint, zipped)
        for path in (plain, zipped):
            with pytest.raises(ValueError, match="cannot|safely"):
                detectors.load(path, device="cpu")
            assert not target.exists()


def test_what_others_allowed_is_not_run_either(tmp_path):
    """Ultralytics, once it has read weights, leaves its classes allowed for the whole process."""
    import torch

    detectors._ultralytics(assets.data("weights", "plaza_detector.pt"), "cpu", None)
    before = set(torch.serialization.get_safe_globals())
    assert any("DetectionModel" in str(each) for each in before)
    torch.save(list(checkpoints(tmp_path / "created"))[-1], tmp_path / "harmful.pt")
    for _ in range(20):  # which of two classes of one name is taken is by chance
        with pytest.raises(ValueError, match="read safely, and nothing in it was run"):
            detectors._check_pickle(tmp_path / "harmful.pt")
    assert set(torch.serialization.get_safe_globals()) == before


def naming(module, name, argument, how):
    """Return a pickle that names module.name, whose name may have dots, and may use it."""
    head = b"\x80\x02}X\x05\x00\x00\x00model" + f"c{module}\n{name}\n".encode()
    text = argument.encode()
    called = b"X" + len(text).to_bytes(4, "little") + text + b"\x85R"
    return head + {"called": called, "made": b")\x81", "kept": b""}[how] + b"s."


@pytest.mark.parametrize("how", ["called", "made", "kept"])
@pytest.mark.parametrize("device", ["cpu", "torch"])
@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("posix", "system"),
        ("builtins", "eval"),
        ("builtins", "bytearray"),
        ("ultralytics.utils", "subprocess.Popen"),
        ("ultralytics.utils.downloads", "subprocess.Popen"),
        ("ultralytics.utils", "checks.subprocess.Popen"),
        ("ultralytics.utils", "downloads.Path.Popen"),
        ("ultralytics.utils.subprocess", "Popen"),
        ("ultralytics.nn.tasks", "os.system"),
        ("ultralytics.nn.tasks", "Path"),
        ("ultralytics.nn.tasks", "attempt_load_weights"),
        ("ultralytics.nn.modules.block", "torch.hub.load"),
        ("torch.nn.modules", "module.torch.hub.load"),
        ("torch.nn.modules.module", "OrderedDict.Unknown"),
        ("torch.nn.modules.linear.Linear", "Popen"),
        ("torch._utils", "os.system"),
    ],
)
def test_names_cannot_walk_out_of_their_module(tmp_path, monkeypatch, device, how, module, name):
    def ran(*arguments, **options):
        pytest.fail(f"{module}.{name} was called")

    pytest.importorskip("ultralytics.utils.downloads")  # its modules are at hand for the walk
    content = naming(module, name, f"echo > {tmp_path / 'created'}", how)
    with zipfile.ZipFile(tmp_path / "model.pt", "w") as archive:
        archive.writestr("model/data.pkl", content)
        archive.writestr("model/version", "3\n")
    if device == "torch":  # as with a GPU: never exported
        monkeypatch.setattr(assets, "has", lambda package: False)
    monkeypatch.setattr(subprocess, "Popen", ran)
    monkeypatch.setattr(os, "system", ran)
    message = rf"safely, and nothing in it was run: it names {module}\.{name}; expected"
    with pytest.raises(ValueError, match=message):
        detectors.load(tmp_path / "model.pt", device="cpu")
    assert not (tmp_path / "created").exists()


def test_a_nested_call_in_a_layer(tmp_path):
    """An allowed class whose attribute is made by a call."""
    import torch

    layer = torch.nn.Linear(2, 2)
    layer.activation = Harmful(os.system, f"echo > {tmp_path / 'created'}")
    torch.save({"model": torch.nn.Sequential(layer)}, tmp_path / "model.pt")
    with pytest.raises(ValueError, match=r"it names (posix|nt)\.system"):
        detectors.load(tmp_path / "model.pt", device="cpu")
    assert not (tmp_path / "created").exists()


def test_a_layer_is_made_but_not_called(tmp_path):
    """A layer's own builder would take 40 GB."""
    import torch

    torch.save({"model": Harmful(torch.nn.Linear, 100_000, 100_000)}, tmp_path / "model.pt")
    with pytest.raises(ValueError, match="safely, and nothing in it was run"):
        detectors.load(tmp_path / "model.pt", device="cpu")


def test_tensors_larger_than_their_file(tmp_path):
    import torch

    content = torch.load(assets.data("weights", "plaza_detector.pt"), weights_only=False)
    content["model"].model[0].conv.weight.data = torch.zeros(1).half().expand(99_999, 99_999)
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(ValueError, match="tensors claim to be far larger than the file"):
        detectors.load(tmp_path / "model.pt", device="cpu")


def test_ultralytics_reads_safely_too(tmp_path):
    """Were our own check to miss something, its list of classes is asked next."""
    import torch
    from ultralytics.nn import tasks

    before = tasks.SAFE_LOAD
    torch.save({"model": Harmful(os.system, f"echo > {tmp_path / 'created'}")}, tmp_path / "m.pt")
    with pytest.raises(ValueError, match="is not the weights of a YOLO detector"):
        detectors._quiet_yolo(tmp_path / "m.pt")
    assert not (tmp_path / "created").exists() and before == tasks.SAFE_LOAD


def test_a_detector_on_a_device_that_is_not_there():
    with pytest.raises(ValueError, match="has no device 'cuda:99'"):
        detectors.load("plaza", device="cuda:99")


def test_one_switch_same_boxes():
    """The bundled detector finds the same people through OpenVINO and through torch."""
    _, _, image = next(video.read(assets.data("plaza", "clips", "c1_day.mp4"), start=100))
    small = np.ascontiguousarray(image[20:300, 100:500])
    weights = assets.data("weights", "plaza_detector.pt")
    rival = detectors.Detector("torch", detectors._ultralytics(weights, "cpu", None))
    for ours, theirs in zip(detectors.load()([image, small]), rival([image, small])):
        sure = ours[ours.confidence > 0.4], theirs[theirs.confidence > 0.4]
        assert len(sure[0]) >= 2
        for some, all_ in ((sure[0], theirs), (sure[1], ours)):
            assert (boxes.iou(some[BOX], all_[BOX]).max(axis=1) > 0.9).all()


def test_ultralytics_prints_nothing(tmp_path):
    """Not even at its very first use, when it writes its settings, and converts weights."""
    code = (
        "import sys; from reidlib.detection import detectors; "
        "detectors.load(sys.argv[1], device='cpu')"
    )
    folders = {"YOLO_CONFIG_DIR": tmp_path / "settings", "REIDLIB_CACHE": tmp_path / "cache"}
    done = subprocess.run(
        [sys.executable, "-c", code, assets.data("weights", "plaza_detector.pt")],
        cwd=assets.PACKAGE.parent,
        env=os.environ | {name: str(folder) for name, folder in folders.items()},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("", "")
    (made,) = (tmp_path / "cache").iterdir()  # the export, and no temporary folder
    assert made.name.endswith("_openvino_model")


def test_torchvision(tmp_path, monkeypatch):
    """The real network with made-up weights in the cache, as if they had been downloaded."""
    import torch
    from torchvision.models import detection

    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path))
    torch.manual_seed(0)
    network = detection.ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None)
    for key, bias in network.state_dict().items():
        if "classification_head" in key and bias.ndim == 1 and len(bias) % 91 == 0:
            bias.view(-1, 91)[:, 1] += 6  # people everywhere
    url = detection.SSDLite320_MobileNet_V3_Large_Weights.DEFAULT.url
    torch.save(network.state_dict(), tmp_path / url.rsplit("/", 1)[1])
    with pytest.raises(assets.Unavailable):  # these are not the weights whose checksum is known
        detectors.load("ssd", device="cpu")
    monkeypatch.setattr(assets, "sha256", lambda path: path.stem.rpartition("-")[2])
    (found,) = detectors.load("ssd", device="cpu").raw([frame(90, 120)])
    assert found.shape[1] == 5 and len(found)
    assert (found[:, :4] >= 0).all() and (found[:, 2:4] <= [120, 90]).all()
    people, dogs = (
        detectors.load("ssd", device="cpu", classes=[name]).raw([frame(90, 120)])[0]
        for name in ("person", "dog")
    )
    np.testing.assert_array_equal(people, found)
    assert len(dogs) < len(people)
    with pytest.raises(ValueError, match="ssd knows no class 'N/A'; it knows person, bicycle"):
        detectors.load("ssd", device="cpu", classes=["N/A"])
