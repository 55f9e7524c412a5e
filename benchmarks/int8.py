"""What 8-bit weights would cost and save: the bundled detector and embedding, quantised by NNCF.

    pip install nncf
    python benchmarks/int8.py --out quantised

Both are calibrated on frames and crops of plaza (every 25th frame of the clips, every 8th training
crop) and written to `--out`. Scores are those of `benchmarks/plaza.py`; the pace on two threads is
a ratio within a round, the median of `--rounds`.
"""

import argparse
import shutil
import statistics
import time
from pathlib import Path

import cv2
import numpy as np
import plaza
from looks import PLAZA

from reidlib import assets
from reidlib.collection import datasets, video
from reidlib.detection import detectors
from reidlib.features import extractors


def frames(every: int) -> list[np.ndarray]:
    """Return every n-th frame of plaza's clips."""
    paths = [assets.data("plaza", "clips", f"{clip}.mp4") for clip in PLAZA]
    return [image for path in paths for _, _, image in video.read(path, every=every)]


def quantised(source: Path, inputs: list, target: Path) -> Path:
    """Write a network of 8-bit weights and activations, calibrated on `inputs`."""
    import nncf
    import openvino as ov

    network = nncf.quantize(ov.Core().read_model(source), nncf.Dataset(inputs))
    target.parent.mkdir(parents=True, exist_ok=True)
    ov.save_model(network, target)
    return target


def detector(out: Path) -> Path:
    """Return the folder of the quantised detector, with the notes of the bundled one."""
    source = assets.data("weights", "plaza_detector_openvino_model")
    small = [cv2.resize(image, (416, 256)) for image in frames(25)]
    inputs = [image.transpose(2, 0, 1)[None].astype(np.float32) / 255 for image in small]
    target = quantised(source / "plaza_detector.xml", inputs, out / source.name / "detector.xml")
    shutil.copy(source / "metadata.yaml", target.parent)
    return target.parent


def embedding(out: Path) -> Path:
    """Return the path of the quantised embedding."""
    crops = datasets.read_images(datasets.load("plaza").train.path[::8])
    source = assets.data("weights", "plaza_embedding.onnx")
    return quantised(source, [crop[None] for crop in crops], out / "plaza_embedding.xml")


def times(tools: dict, images: list, rounds: int) -> dict[str, float]:
    """Return how many times the pace of the first tool each has, the median over rounds."""
    taken = {name: [] for name in tools}
    for tool in tools.values():
        tool(images[:8])
    for _ in range(rounds):
        for name, tool in tools.items():
            started = time.perf_counter()
            tool(images)
            taken[name].append(time.perf_counter() - started)
    first = next(iter(taken.values()))
    return {
        name: statistics.median(a / b for a, b in zip(first, seconds))
        for name, seconds in taken.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("quantised"))
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    names = ["plaza", str(embedding(arguments.out))]
    plaza.show("Finding a test person in another camera", plaza.identification(names))
    crops = list(datasets.read_images(datasets.load("plaza").gallery.path[:512]))
    print(times({name: extractors.load(name) for name in names}, crops, arguments.rounds))
    names = ["plaza", str(detector(arguments.out))]
    plaza.show("Detection, visibility 0.3 and up", plaza.detection(names, PLAZA))
    tools = {name: detectors.load(name, confidence=0.01) for name in names}
    print(times(tools, frames(25), arguments.rounds))


if __name__ == "__main__":
    main()
