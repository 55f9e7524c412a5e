"""A YOLO network run by OpenVINO directly, without torch: its input and its output."""

import ast
import difflib
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from reidlib import assets

FLOOR = 0.01  # candidates below it are noise, and there are thousands of them
Infer = Callable[[Sequence[np.ndarray]], list[np.ndarray]]


def openvino(path: Path, size: int | None, wanted: Sequence | None = None) -> Infer:
    """Return a function from images to candidates (N, 5), run by OpenVINO on the CPU.

    A dynamic export sees each image in a rectangle of its shape, the longer side `size` pixels. A
    static one runs at the size, and with the number of images, that it was exported for. Either is
    tried out first. `wanted` is as for `classes_of`. Raises ValueError for a file that is no
    detector of these classes, or cannot be a right one.
    """
    path = next(path.glob("*.xml")) if path.is_dir() else path
    model = assets.read_network(path)
    batch, fixed, output = _shapes(model, path)
    names, trained_size = _notes(model, path)
    classes = classes_of(names or {0: "person"}, wanted, path)
    if not _is_detection(output, names):
        raise ValueError(
            f"{path} gives numbers of shape {output}, which are not boxes with a score a class; "
            "expected a YOLO detector (not one of poses, masks or features)"
        )
    if size and fixed and size != max(fixed):
        raise ValueError(
            f"{path} was exported for images of {fixed[0]} x {fixed[1]} pixels, not for size="
            f"{size}; leave size out, or export again with dynamic=True"
        )
    size = size or trained_size or 640
    idle = {}  # the requests of each input shape that compute nothing at the moment

    def input_shape(height, width):
        if fixed:
            return fixed
        scale = size / max(height, width)
        return tuple(int(np.ceil(side * scale / 32)) * 32 for side in (height, width))

    def requests(shape):
        try:
            compiled = _compile(model, [batch, 3, *shape], path)
            count = compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
            made = [compiled.create_infer_request() for _ in range(count)]
            _try_out(made[0], batch, shape, path)
        except RuntimeError as error:
            raise ValueError(
                f"{path} is not a detector that OpenVINO can run: {assets.reason(error)}"
            ) from error
        return made

    def infer(images):
        found, running = [], deque()

        def finish():
            request, shape, places = running.popleft()
            request.wait()
            for output, (scale, corner) in zip(request.get_output_tensor().data, places):
                candidates = _decode(output, classes)
                candidates[:, :4] = (candidates[:, :4] - np.tile(corner, 2)) / scale
                found.append(candidates)
            idle[shape].append(request)

        for start in range(0, len(images), batch):
            group = images[start : start + batch]
            shape = input_shape(*group[0].shape[:2])
            if shape not in idle:
                idle[shape] = requests(shape)
            while not idle[shape]:
                finish()
            boxed, *places = zip(*(_letterbox(image, *shape) for image in group))
            empty = [np.zeros_like(boxed[0])] * (batch - len(group))
            request = idle[shape].pop()
            request.start_async([np.stack([*boxed, *empty])])
            running.append((request, shape, list(zip(*places))))
        while running:
            finish()
        return found

    usual = input_shape(9, 16)  # as most footage: what is made for the trial will be used
    idle[usual] = requests(usual)
    return infer


def _compile(model, shape: list[int], path: Path):
    """Return a network for one shape of input, made to take uint8 images (N, H, W, 3)."""
    import openvino as ov

    fitted = model.clone()
    fitted.reshape(shape)
    assets.check_network(fitted, path)
    steps = ov.preprocess.PrePostProcessor(fitted)
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    steps.input().preprocess().convert_element_type(ov.Type.f32).scale(255.0)
    steps.input().model().set_layout(ov.Layout("NCHW"))
    options = {"PERFORMANCE_HINT": "THROUGHPUT"}
    return assets.openvino_core().compile_model(steps.build(), "CPU", options)


def _shapes(model, path: Path) -> tuple[int, tuple[int, int] | None, list[int | None]]:
    """Return how many images a network takes at once, their fixed size or None, and its output."""
    try:
        batch, channels, *sides = _sizes(model.input())
        if len(sides) != 2 or channels not in (3, None):
            raise ValueError(f"its input is {[batch, channels, *sides]}")
        return batch or 1, None if None in sides else tuple(sides), _sizes(model.output())
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            f"{path} is not a detector network from (N, 3, H, W) images to boxes "
            f"({assets.reason(error)})"
        ) from error


def _sizes(port) -> list[int | None]:
    """Return the sizes of a network's input or output, None where any will do."""
    return [side.get_length() if side.is_static else None for side in port.partial_shape]


def _is_detection(output: list[int | None], names: dict | None) -> bool:
    """Say whether an output is that of `_decode`: 4 numbers and one a class, or 6 in all."""
    if len(output) != 3:
        return False
    rows, columns = output[1:]
    if names:
        return columns == 6 or rows == 4 + len(names) > 4 + max(names)
    return columns == 6 or (rows is not None and 4 < rows < (columns or np.inf))


def _try_out(request, batch: int, shape: tuple[int, int], path: Path) -> None:
    """Raise ValueError if a network's numbers for made-up images cannot be right.

    An export for one image that is given several, or has lost its input, still gives numbers.
    """
    images = np.random.default_rng(0).integers(0, 256, (2 * batch, *shape, 3), np.uint8)
    images[1::2] //= 3
    outputs = np.concatenate([request.infer([part])[0].copy() for part in np.split(images, 2)])
    remedy = "; export it again, with dynamic=True"
    if len(outputs) != len(images):
        raise ValueError(f"{path} gives {len(outputs)} results for {len(images)} images{remedy}")
    if not np.isfinite(outputs).all():
        raise ValueError(f"{path} gives numbers that are not finite{remedy}")
    if outputs.shape[2] == 6:  # a head that ends in suppression may rightly find nothing in any
        return
    if (outputs == outputs[:1]).all():
        raise ValueError(f"{path} gives the same boxes whatever it sees; train it, or{remedy[1:]}")
    if batch > 1:
        alone = np.zeros_like(images[:batch])
        alone[-1] = images[0]
        if not np.allclose(request.infer([alone])[0][-1], outputs[0], rtol=1e-2, atol=1e-2):
            raise ValueError(f"{path} mixes the images that it is given together{remedy}")


# What an export says of itself


def _notes(model, path: Path) -> tuple[dict[int, str] | None, int | None]:
    """Return an export's class names and the longer side of its images, None where it has neither.

    Without names class 0 is people: COCO's order, and that of any detector of people only.
    """
    metadata = path.parent / "metadata.yaml"
    try:
        if path.suffix == ".xml" and metadata.exists():
            notes = _plain_yaml(metadata.read_text(encoding="utf-8"))
            names, sides = notes["names"], notes.get("imgsz")
        else:  # where OpenVINO puts the metadata of ONNX files
            stored = [["framework", key] for key in ("names", "imgsz")]
            names, sides = (
                ast.literal_eval(model.get_rt_info(key).astype(str))
                if model.has_rt_info(key)
                else None
                for key in stored
            )
        size = None if sides is None else max(sides if isinstance(sides, list) else [sides])
        if not (size is None or (type(size) is int and size >= 32)):
            raise ValueError(f"its image size is {size}")
    except Exception as error:  # the parsers raise at least nine kinds, depending on the damage
        raise ValueError(
            f"{path} does not say what its classes are called or how large its images are; "
            "export again"
        ) from error
    return None if names is None else class_names(names, path), size


def _plain_yaml(text: str):
    """Return the content of a YAML text; ValueError for one that a program would not write.

    An alias repeats a part of the text, in which others may stand: a few lines can mean gigabytes.
    Deep nesting takes the parser hours.
    """
    import yaml

    depth = 0
    for event in yaml.parse(text):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > 9 or isinstance(event, yaml.AliasEvent):
            raise ValueError("it has aliases, or is nested deeply")
    return yaml.safe_load(text)


def class_names(names: dict | list, path: Path) -> dict[int, str]:
    """Return a list, or dictionary, of class names by number; ValueError if it is neither."""
    try:
        pairs = enumerate(names) if isinstance(names, list) else names.items()
        named = {int(number): name for number, name in pairs}
        if all(number >= 0 and type(name) in (str, int) for number, name in named.items()):
            return {number: str(name) for number, name in named.items()}
    except (AttributeError, TypeError, ValueError, OverflowError):
        pass
    raise ValueError(f"{path} does not say what its classes are called; export again")


def classes_of(names: dict[int, str], wanted: Sequence | None, source: Path | str) -> list[int]:
    """Return the numbers of the classes `wanted`, each a name or a number; None: of people.

    A network that knows one class only is taken to have been made for what is looked for. Raises
    ValueError, which lists the classes known, for one that is not among them.
    """
    if wanted is None and len(names) == 1:
        return list(names)
    listed, found = ", ".join(names.values()), []
    for word in ["person"] if wanted is None else map(str, wanted):
        called = [number for number, name in names.items() if name == word]
        called = called or [number for number in names if str(number) == word]
        if not called and wanted is None:
            raise ValueError(
                f"{source} detects {listed}; expected a class 'person', or say which by --classes"
            )
        if not called:
            near = difflib.get_close_matches(word, names.values(), 1)
            hint = f", did you mean {near[0]!r}?" if near else ";"
            raise ValueError(f"{source} knows no class {word!r}{hint} it knows {listed}")
        found += called
    return found


# Into the network and out of it


def _letterbox(image: np.ndarray, height: int, width: int):
    """Scale an image into (height, width) on grey; also return the scale and the corner x, y."""
    scale = min(height / image.shape[0], width / image.shape[1])
    rows, columns = (max(1, round(side * scale)) for side in image.shape[:2])
    top, left = round((height - rows) / 2 - 0.1), round((width - columns) / 2 - 0.1)
    boxed = np.full((height, width, 3), 114, np.uint8)
    cv2.resize(image, (columns, rows), dst=boxed[top : top + rows, left : left + columns])
    return boxed, scale, (left, top)


def _decode(output: np.ndarray, classes: list[int] | int) -> np.ndarray:
    """Turn a YOLO output into candidates (N, 5): x1 y1 x2 y2 score in network pixels.

    Candidates are those that look most like one of `classes`, with the score of that one.
    """
    if output.shape[1] == 6:  # a head that needs no suppression: x1 y1 x2 y2 score class
        return output[np.isin(output[:, 5], classes), :5].copy()
    likely = output[4 + np.atleast_1d(classes)].max(axis=0) >= FLOOR
    output = output[:, likely].T  # rows: cx cy w h, then a score a class
    output = output[np.isin(output[:, 4:].argmax(axis=1), classes)]
    half, score = output[:, 2:4] / 2, output[:, 4:].max(axis=1, initial=0)
    return np.column_stack([output[:, :2] - half, output[:, :2] + half, score])
