"""Panels that the browser draws: data go there once, and what a hand moves is seen at once.

A panel of `panel.Panel` asks the kernel for a picture at every move; one of these holds its data
and an ES module, which draws and does the arithmetic. The web book runs the same module without a
kernel, on what `Live.record` returns (notebooks/book).
"""

import base64
import os
from collections.abc import Mapping
from pathlib import Path

import anywidget
import cv2
import numpy as np
import traitlets

PACKAGE = Path(__file__).parent
HINT = (
    "An interactive panel: missing is a running kernel with the cells above. "
    "Choose Run ▸ Run All Above Selected Cell, then run this cell."
)
RECORD = "application/vnd.reidlib.panel+json"  # in a cell's output where $REIDLIB_RECORD is set


class Live(anywidget.AnyWidget):
    """A panel that an ES module of the package draws, such as ``"model/thresholds.js"``.

    `data` is what JSON holds, and arrays and pictures that `pack` made; it goes to the browser
    once. `state` is all that a hand can change; it is given to the module, and is here what it is
    on the screen as soon as the hand rests. The module's default export has ``render({model, el})``
    (https://anywidget.dev), and finds what live.js defines.
    """

    _esm = traitlets.Unicode().tag(sync=True)
    data = traitlets.Dict().tag(sync=True)
    state = traitlets.Dict().tag(sync=True)

    def __init__(self, module: str, data: Mapping, **state):
        self.module = module
        super().__init__(_esm=source(module), data=dict(data), state=state)

    def record(self, **more) -> dict:
        """Return the panel as JSON holds it: its module, data (bytes as base64) and state.

        `more` joins the data, or takes the place of some.
        """
        return {"module": self.module, "data": _as_text(self.data | more), "state": self.state}

    def _repr_mimebundle_(self, **kwargs):
        bundle, metadata = super()._repr_mimebundle_(**kwargs)
        bundle["text/plain"] = HINT
        if os.environ.get("REIDLIB_RECORD"):
            bundle[RECORD] = self.record()
        return bundle, metadata


def source(module: str) -> str:
    """Return the text that a browser runs: what panels share, and the panel's own module."""
    return "\n".join((PACKAGE / name).read_text("utf-8") for name in ("live.js", module))


def pack(array) -> dict:
    """Return an array as the browser unpacks it, ValueError for a kind that it does not know.

    It knows float32, float16 (which becomes float32 there), uint32, int32 and uint8.

    >>> pack(np.zeros((2, 3), np.uint8))
    {'dtype': 'uint8', 'shape': [2, 3], 'bytes': b'\\x00\\x00\\x00\\x00\\x00\\x00'}
    """
    array = np.asarray(array)
    if array.dtype not in (np.float32, np.float16, np.uint32, np.int32, np.uint8):
        known = "float32, float16, uint32, int32 or uint8"
        raise ValueError(f"{array.dtype} values; a panel takes {known}")
    return {"dtype": array.dtype.name, "shape": list(array.shape), "bytes": array.tobytes()}


def jpeg(image: np.ndarray, height: int = 96) -> dict:
    """Return an image (H, W, 3), made no higher than `height`, as a picture for the browser."""
    if len(image) > height:
        size = (max(1, round(image.shape[1] * height / len(image))), height)
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 75])[1]
    return pack(encoded.ravel())


def _as_text(value):
    """Return data with bytes as base64, which JSON can hold."""
    if isinstance(value, Mapping):
        return {key: _as_text(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_as_text(one) for one in value]
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value
