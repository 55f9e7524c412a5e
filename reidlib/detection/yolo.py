"""A YOLO network run by OpenVINO directly, without torch: its input and its output."""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from reidlib import assets

FLOOR = 0.01  # candidates below it are noise, and there are thousands of them
Infer = Callable[[Sequence[np.ndarray]], list[np.ndarray]]


def openvino(path: Path, size: int | None) -> Infer:
    """Return a function from images to candidates (N, 5), run by OpenVINO on the CPU.

    Raises ValueError for a file that is no detector with a class "person".
    """
    import openvino as ov

    path = next(path.glob("*.xml")) if path.is_dir() else path
    core, pools = ov.Core(), {}
    assets.check_network(path)
    try:
        model = core.read_model(path)
        side = _sizes(model.input())[2]
        names, output = _class_names(model, path), _sizes(model.output())
    except (RuntimeError, IndexError) as error:
        raise ValueError(f"{path} is not a detector network that OpenVINO can read") from error
    person = person_class(names or {0: "person"}, path)
    if not _is_detection(output, names):
        raise ValueError(
            f"{path} gives numbers of shape {output}, which are not boxes with a score a class; "
            "expected a YOLO detector (not one of poses, masks or features)"
        )
    size = size or side or 640

    def compile_for(height, width):
        fitted = _fit(model, height, width)
        steps = ov.preprocess.PrePostProcessor(fitted)
        steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
        steps.input().preprocess().convert_element_type(ov.Type.f32).scale(255.0)
        steps.input().model().set_layout(ov.Layout("NCHW"))
        compiled = core.compile_model(steps.build(), "CPU", {"PERFORMANCE_HINT": "THROUGHPUT"})
        count = compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        return [compiled.create_infer_request() for _ in range(count)], compiled.input().shape[1:3]

    def infer(images):
        found, running = [], deque()

        def finish():
            request, free, scale, corner = running.popleft()
            request.wait()
            candidates = _decode(request.get_output_tensor().data[0], person)
            candidates[:, :4] = (candidates[:, :4] - np.tile(corner, 2)) / scale
            found.append(candidates)
            free.append(request)

        for image in images:
            scale = size / max(image.shape[:2])
            shape = tuple(int(np.ceil(side * scale / 32)) * 32 for side in image.shape[:2])
            if shape not in pools:
                pools[shape] = compile_for(*shape)
            free, target = pools[shape]
            while not free:
                finish()
            boxed, scale, corner = _letterbox(image, *target)
            request = free.pop()
            request.start_async([boxed[None]])
            running.append((request, free, scale, corner))
        while running:
            finish()
        return found

    return infer


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


def _class_names(model, path: Path) -> dict[int, str] | None:
    """Return the class names that Ultralytics stores with an export, if they are there.

    Without them class 0 is people: COCO's order, and that of any detector of people only.
    """
    import yaml

    metadata, names = path.parent / "metadata.yaml", None
    try:
        if path.suffix == ".xml" and metadata.exists():
            names = yaml.safe_load(metadata.read_text(encoding="utf-8"))["names"]
        elif model.has_rt_info(["framework", "names"]):  # where OpenVINO puts ONNX files' metadata
            names = ast.literal_eval(model.get_rt_info(["framework", "names"]).astype(str))
        if names is None:
            return None
        pairs = enumerate(names) if isinstance(names, list) else names.items()
        return {int(number): str(name) for number, name in pairs}
    except (KeyError, TypeError, ValueError, AttributeError, SyntaxError, yaml.YAMLError) as error:
        raise ValueError(
            f"{path} does not say what its classes are called; export again"
        ) from error


def _fit(model, height: int, width: int):
    """Return a copy of a network for one input size; of a square export that cannot, a plain copy.

    An export for one square holds its grid of anchors, and the number of cells, as constants. A
    smaller rectangle has the same anchors, less those outside, so the constants can be cut to it.
    """
    import openvino as ov

    fitted, side = model.clone(), model.input().partial_shape[2]
    if side.is_static:
        side = side.get_length()
        rows_columns = {side // s: [height // s, width // s] for s in (8, 16, 32)}
        counts = {n * n: rows * columns for n, (rows, columns) in rows_columns.items()}
        counts[sum(counts)] = sum(counts.values())
        inside = np.concatenate([
            np.outer(np.arange(n) < rows, np.arange(n) < columns).ravel()
            for n, (rows, columns) in rows_columns.items()
        ])  # fmt: skip
        for node in fitted.get_ordered_ops():
            if node.get_type_name() != "Constant" or node.data.ndim == 0:
                continue
            new, users = node.data, node.output(0).get_target_inputs()
            if new.shape[-1] == len(inside):
                new = new[..., inside]
            elif new.ndim == 1 and any(u.get_node().get_type_name() == "Reshape" for u in users):
                new = new.copy()
                new[-1] = counts.get(new[-1], new[-1])
                if len(new) == 4 and new[-2] == new[-1]:
                    new[-2:] = rows_columns.get(new[-1], new[-2:])
            for user in users if new is not node.data else ():
                user.replace_source_output(ov.opset13.constant(np.ascontiguousarray(new)).output(0))
    try:
        fitted.get_parameters()[0].set_partial_shape(ov.PartialShape([1, 3, height, width]))
        fitted.validate_nodes_and_infer_types()
    except RuntimeError:
        return model.clone()
    return fitted


def _letterbox(image: np.ndarray, height: int, width: int):
    """Scale an image into (height, width) on grey; also return the scale and the corner x, y."""
    scale = min(height / image.shape[0], width / image.shape[1])
    rows, columns = (max(1, round(side * scale)) for side in image.shape[:2])
    top, left = round((height - rows) / 2 - 0.1), round((width - columns) / 2 - 0.1)
    boxed = np.full((height, width, 3), 114, np.uint8)
    cv2.resize(image, (columns, rows), dst=boxed[top : top + rows, left : left + columns])
    return boxed, scale, (left, top)


def _decode(output: np.ndarray, person: int) -> np.ndarray:
    """Turn a YOLO output into candidates (N, 5): x1 y1 x2 y2 score in network pixels."""
    if output.shape[1] == 6:  # a head that needs no suppression: x1 y1 x2 y2 score class
        return output[output[:, 5] == person, :5].copy()
    output = output[:, output[4 + person] >= FLOOR].T  # rows: cx cy w h, then a score a class
    output = output[output[:, 4:].argmax(axis=1) == person]
    half = output[:, 2:4] / 2
    return np.column_stack([output[:, :2] - half, output[:, :2] + half, output[:, 4 + person]])


def person_class(names: dict[int, str], path: Path) -> int:
    for index, name in names.items():
        if name == "person" or len(names) == 1:
            return index
    raise ValueError(f"{path} detects {', '.join(names.values())}; expected a class 'person'")
