"""Person detectors behind one call: images in, a table of boxes for each image out.

A detector works in two steps. `raw` runs the network and keeps every candidate; `select` applies
the confidence threshold and non-maximum suppression. A slider needs the network only once.
"""

import contextlib
import difflib
import importlib
import logging
import os
import re
import shutil
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from reidlib import assets, boxes
from reidlib.collection import encoding
from reidlib.detection import yolo
from reidlib.detection.yolo import Infer

COLUMNS = ["x1", "y1", "x2", "y2", "confidence"]
TORCHVISION = {
    "fasterrcnn": "fasterrcnn_mobilenet_v3_large_fpn",
    "ssd": "ssdlite320_mobilenet_v3_large",
}
ULTRALYTICS = re.compile(r"yolo(v3(-tiny|-spp)?|v5[nsmlx]6?|v?\d+[nsmlxtce])u?|rtdetr-[lx]")
ULTRALYTICS_URL = "https://github.com/ultralytics/assets/releases/download/v8.4.0/"
# All that a checkpoint of a YOLO detector may name besides tensors: layers, and their settings.
LAYERS = re.compile(r"(torch|ultralytics)\.nn\.modules(\.\w+)?|ultralytics\.nn\.tasks")
LOSSES = {"ultralytics.utils.loss", "ultralytics.utils.tal"}
SETTINGS = {
    "ultralytics.utils.IterableSimpleNamespace",
    # Classes of old checkpoints, which Ultralytics takes for others of today.
    "ultralytics.nn.modules.block.Silence",
    "ultralytics.nn.tasks.YOLOv10DetectionModel",
    "ultralytics.utils.loss.v10DetectLoss",
}


class Detector:
    """Finds people: ``detector(images)`` gives one table x1 y1 x2 y2 confidence an image.

    `classes` are what it finds in place of people, None: people.
    """

    def __init__(
        self,
        name: str,
        infer: Infer,
        confidence: float = 0.25,
        nms: float = 0.7,
        classes: Sequence[str | int] | None = None,
    ):
        self.name, self.confidence, self.nms, self._infer = name, confidence, nms, infer
        self.classes = classes

    def raw(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return all person candidates of each image, float32 (N, 5): x1 y1 x2 y2 score.

        `images` is a list of uint8 RGB images (H, W, 3) of any sizes; boxes are in their pixels.
        Raises ValueError for anything else.
        """
        encoding.check_images(images, "a list of uint8 RGB images")
        found = self._infer(list(images)) if len(images) else []
        return [_tidy(candidates, image) for candidates, image in zip(found, images)]

    def __call__(self, images: Sequence[np.ndarray]) -> list[pd.DataFrame]:
        """Return one table x1 y1 x2 y2 confidence for each image, best first."""
        return [select(candidates, self.confidence, self.nms) for candidates in self.raw(images)]


def select(candidates: np.ndarray, confidence: float = 0.25, nms: float = 0.7) -> pd.DataFrame:
    """Return the candidates worth keeping as a table x1 y1 x2 y2 confidence, best first.

    `candidates` is (N, 5) as from `Detector.raw`. Of two boxes whose IoU is above `nms`, the one
    with the lower score is dropped. Raises ValueError for thresholds outside 0..1.

    >>> select(np.array([[0, 0, 9, 9, 0.9], [1, 0, 9, 9, 0.8], [0, 0, 9, 9, 0.1]])).shape
    (1, 5)
    """
    _check_thresholds(confidence, nms)
    candidates = np.asarray(candidates, np.float32).reshape(-1, 5)
    candidates = candidates[candidates[:, 4] >= confidence]
    kept = boxes.nms(candidates[:, :4], candidates[:, 4], nms)
    return pd.DataFrame(candidates[kept], columns=COLUMNS)


def load(
    name: str | Path = "auto",
    confidence: float = 0.25,
    nms: float = 0.7,
    device: str = "auto",
    size: int | None = None,
    classes: Sequence[str | int] | None = None,
) -> Detector:
    """Return a person detector by name or from a file of weights.

    `name` is "auto" or "plaza" (the bundled detector), "fasterrcnn", "ssd", any Ultralytics
    detection name from "yolov3" to "yolo26n", or a path: .pt, .onnx, an OpenVINO folder or .xml.
    `size` is the length of the longer side the network sees in pixels (640 unless the weights say
    otherwise). On a CPU, YOLO runs through OpenVINO with an input of the frame's shape, or of the
    one shape that a static export takes; with a GPU or `device` "cuda" or "mps", through torch;
    boxes are the same. With `classes`, names or numbers of those that the weights know, such as
    ["cat", "dog"], it finds these in place of people; boxes do not say which it was.

    Raises ValueError for an unknown name or class, for a device that this machine lacks and for a
    file that is not weights or cannot be right, FileNotFoundError for a missing file and
    assets.Unavailable when weights would have to be downloaded and cannot be.
    """
    _check_thresholds(confidence, nms)
    if size is not None and not size >= 32:
        raise ValueError(f"size is {size}; expected the longer side in pixels, 32 or more")
    name = str(name)
    assets.check_device(device)
    if device == "auto":
        device = "cuda" if assets.has_gpu() else "cpu"
    if name in TORCHVISION:
        infer = _torchvision(name, device, size, classes)
        return Detector(name, infer, confidence, nms, classes)
    openvino = device == "cpu" and assets.has("openvino")
    path = _locate(name, openvino)
    if path.suffix == ".pt":
        _check_pickle(path)
        if openvino:
            path = _export(path)
    if name == "auto":
        name = "plaza" if path.stem.startswith("plaza") else path.stem
    if openvino:
        infer = yolo.openvino(path, size, classes)
    else:
        infer = _ultralytics(path, device, size, classes)
    return Detector(name, infer, confidence, nms, classes)


def _check_thresholds(confidence: float, nms: float) -> None:
    for label, value in (("confidence", confidence), ("nms", nms)):
        if not 0 <= value <= 1:
            raise ValueError(f"{label} is {value}; expected a number from 0 to 1")


def _tidy(candidates: np.ndarray, image: np.ndarray) -> np.ndarray:
    """Cut candidates to the image; drop what is faint, lies outside or has no area."""
    candidates = candidates[np.isfinite(candidates).all(axis=1) & (candidates[:, 4] >= yolo.FLOOR)]
    height, width = image.shape[:2]
    cut = boxes.clip(candidates[:, :4], width, height)
    kept = boxes.area(cut) > 0
    return np.column_stack([cut[kept], candidates[kept, 4]]).astype(np.float32)


# Where weights come from


def _locate(name: str, openvino: bool) -> Path:
    """Turn a name into the path of weights, downloading them if there is no other way."""
    if name in ("auto", "plaza"):
        forms = ["plaza_detector_openvino_model", "plaza_detector.pt"]
        for form in forms if openvino else forms[::-1]:
            with contextlib.suppress(FileNotFoundError):
                return assets.data("weights", form)
        if name == "plaza":
            return assets.data("weights", forms[-1])  # raises, naming the remedy
        name = "yolo11n"
    stem = name.removesuffix(".pt")
    path = Path(name)
    if path.exists() or not ULTRALYTICS.fullmatch(stem):
        return _check_path(path)
    # Ultralytics published its retrained versions of the oldest networks with a "u" at the end.
    if re.match(r"yolov[35]", stem) and not stem.endswith("u"):
        stem += "u"
    return assets.fetch(f"{ULTRALYTICS_URL}{stem}.pt", f"{stem}.pt")


def _check_path(path: Path) -> Path:
    if path.is_dir():
        if not list(path.glob("*.xml")):
            raise ValueError(f"{path} holds no .xml file; expected a folder exported to OpenVINO")
        return path
    weights = path.suffix in (".pt", ".onnx", ".xml")
    if not path.exists() and (weights or len(path.parts) > 1):
        raise FileNotFoundError(f"no detector weights at {path}; give the path of an existing file")
    if not weights:
        yolos = ["yolov3", "yolov5n", "yolov8n", "yolo11n", "yolo26n"]
        names = ["auto", "plaza", *TORCHVISION, *yolos]
        near = difflib.get_close_matches(path.name, names, 1)
        raise ValueError(
            f"unknown detector {str(path)!r}{f', did you mean {near[0]!r}?' if near else ';'} "
            f"valid are {', '.join(names)} and other Ultralytics detection names, "
            "or a path to .pt, .onnx, .xml or an OpenVINO folder"
        )
    return path


def _check_pickle(path: Path) -> None:
    """Raise ValueError unless the checkpoint can only rebuild known network layers.

    An Ultralytics checkpoint is a pickle, which may call anything. First the names in it are read,
    without running any of it: each must be on the lists above, or be a class of layers. Then
    torch's restricted reader sees a mute class in place of every layer, which cannot be told to do
    anything. A file that passes holds layers and numbers only, no more than memory has room for.
    """
    import torch

    class Mute:
        def __init__(self):  # takes no arguments: may be made, but not called
            pass

    try:
        named = [name for name in assets.pickled_names(path) if not assets.TENSORS.fullmatch(name)]
        foreign = [name for name in named if not _is_layer(name)]
        if foreign:
            raise ValueError(f"it names {foreign[0]}")
        layers = [(type("Mute", (Mute,), {}), name) for name in named]
        allowed = torch.serialization.get_safe_globals()  # by others, such as Ultralytics
        torch.serialization.clear_safe_globals()  # or their class could be taken for a mute one
        try:
            with torch.serialization.safe_globals(layers):
                content = torch.load(path, map_location="cpu", weights_only=True)
        finally:
            torch.serialization.add_safe_globals(allowed)
        if _tensor_bytes(content) > assets.LIMIT + path.stat().st_size:
            raise ValueError("its tensors claim to be far larger than the file")
    except Exception as error:  # torch raises at least eight kinds, depending on the damage
        reason = f": {error}" if type(error) is ValueError else ""
        raise ValueError(
            f"{path} is not a YOLO checkpoint that can be read safely, and nothing in it was run"
            f"{reason}; expected .pt weights from Ultralytics, or an export to .onnx or OpenVINO"
        ) from error


def _is_layer(name: str) -> bool:
    """Say whether "module.Name" is a class of layers, a loss or settings, and nothing else.

    Only modules on the lists are looked into, so that a name cannot lead out of them, as
    "ultralytics.utils.subprocess.Popen" would.
    """
    import torch

    if name in SETTINGS:
        return True
    module, _, attribute = name.rpartition(".")
    if not (LAYERS.fullmatch(module) or module in LOSSES):
        return False
    try:
        found = getattr(_import(module), attribute, None)
    except ImportError:
        return False
    ours = module in LOSSES and getattr(found, "__module__", "") == module
    return isinstance(found, type) and (ours or issubclass(found, torch.nn.Module))


def _tensor_bytes(content) -> int:
    """Return the size of all tensors in a checkpoint: a stride of 0 makes large ones of nothing."""
    import torch

    waiting, seen, total = [content], set(), 0
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, torch.Tensor):
            total += part.numel() * part.element_size()
        elif isinstance(part, dict):
            waiting += [*part.keys(), *part.values()]
        elif isinstance(part, (list, tuple, set)):
            waiting += part
        elif hasattr(part, "__dict__"):
            waiting.append(vars(part))
    return total


def _import(module: str):
    """Import a module of Ultralytics or torch; the former must not print, install or report."""
    quiet = {"YOLO_AUTOINSTALL": "False", "YOLO_VERBOSE": "False", "YOLO_OFFLINE": "True"}
    os.environ |= quiet  # read at the first import; offline, nothing is sent to its makers
    return importlib.import_module(module)


def _quiet_yolo(path: Path):
    """Open weights with Ultralytics, keeping it from printing, installing and downloading."""
    tasks = _import("ultralytics.nn.tasks")
    from ultralytics import YOLO

    logging.getLogger("ultralytics").setLevel(logging.ERROR)
    # Its own safe reading, too; the environment variable for it counts at the first import only.
    before, tasks.SAFE_LOAD = getattr(tasks, "SAFE_LOAD", False), True
    try:
        model = YOLO(path, task="detect")
    except Exception as error:
        raise ValueError(f"{path} is not the weights of a YOLO detector ({error})") from error
    finally:
        tasks.SAFE_LOAD = before
    if model.task != "detect":
        raise ValueError(f"{path} is a YOLO network for another task: {model.task}")
    return model


def _export(path: Path) -> Path:
    """Return the OpenVINO form of a checkpoint, converted once and kept in the cache."""
    folder = assets.cache() / f"{path.stem}-{assets.sha256(path)[:12]}_openvino_model"
    if folder.exists():
        return folder
    assets.sweep(folder.parent)
    with (
        tempfile.TemporaryDirectory(dir=folder.parent, prefix=assets.temporary_prefix()) as place,
        warnings.catch_warnings(action="ignore"),  # of torch's, about how Ultralytics uses it
    ):
        copy = shutil.copy(path, place)
        exported = Path(_quiet_yolo(Path(copy)).export(format="openvino", dynamic=True))
        try:
            exported.rename(folder)
        except OSError:
            if not folder.exists():  # another process may have been faster
                raise
    return folder


# Ways to run a network: each returns a function from images to candidates (N, 5)


def _ultralytics(path: Path, device: str, size: int | None, wanted=None) -> Infer:
    model = _quiet_yolo(path)
    classes = yolo.classes_of(yolo.class_names(model.names, path), wanted, path)

    def infer(images):
        found = model.predict(
            [image[..., ::-1] for image in images],  # Ultralytics takes BGR arrays
            conf=yolo.FLOOR, iou=1.0, max_det=3000, classes=classes, device=device,
            imgsz=size or model.overrides.get("imgsz", 640), verbose=False,
        )  # fmt: skip
        return [
            np.column_stack([r.boxes.xyxy.cpu().numpy(), r.boxes.conf.cpu().numpy()]) for r in found
        ]

    return infer


def _torchvision(name: str, device: str, size: int | None, wanted=None) -> Infer:
    import torch
    from torchvision.models import get_model, get_model_weights

    about = get_model_weights(TORCHVISION[name]).DEFAULT
    url, known = about.url, enumerate(about.meta["categories"])
    known = {number: each for number, each in known if each not in ("__background__", "N/A")}
    classes = torch.tensor(yolo.classes_of(known, wanted, name), device=device)
    options = {"weights": None, "weights_backbone": None}
    if name == "fasterrcnn":
        options |= {"box_score_thresh": 0.05, "box_nms_thresh": 1.0, "box_detections_per_img": 1000}
        options |= {"min_size": size, "max_size": size} if size else {}
    else:
        options |= {"score_thresh": yolo.FLOOR, "nms_thresh": 1.0, "detections_per_img": 1000}
    model = get_model(TORCHVISION[name], **options)
    file = Path(url)  # its name ends in the first digits of its checksum
    weights = assets.fetch(url, file.name, checksum=file.stem.rpartition("-")[2])
    model.load_state_dict(torch.load(weights, weights_only=True, map_location="cpu"))
    model.eval().to(device)

    @torch.inference_mode()
    def infer(images):
        tensors = [torch.from_numpy(i.copy()).permute(2, 0, 1).to(device) / 255 for i in images]
        found = [(r, torch.isin(r["labels"], classes)) for r in model(tensors)]
        return [
            torch.cat([r["boxes"][p], r["scores"][p, None]], dim=1).cpu().numpy() for r, p in found
        ]

    return infer
