"""What 8-bit weights would cost and save: the bundled detector and embedding, quantised by NNCF.

    pip install nncf
    python benchmarks/int8.py --out quantised

Both are calibrated on frames and crops of plaza (every 25th frame of the clips, every 8th training
crop) and written to `--out`. AP50 is measured on the clips, people at least 0.3 visible, rank-1 and
mAP on plaza's test people; the pace on two threads is a ratio within a round, the median of
`--rounds`.
"""

import argparse
import shutil
import statistics
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from reidlib import assets
from reidlib.collection import datasets, formats, video
from reidlib.detection import detectors, scores
from reidlib.features import extractors
from reidlib.model import ranking

CLIPS = ["c1_day", "c2_day", "c3_day", "c1_dusk", "c2_dusk", "c3_dusk", "c4_hall"]


def frames(every: int) -> list[np.ndarray]:
    """Return every n-th frame of plaza's clips."""
    paths = [assets.data("plaza", "clips", f"{clip}.mp4") for clip in CLIPS]
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


def found(detector) -> dict[str, float]:
    """Return AP50 of each clip."""
    result = {}
    for clip in CLIPS:
        truth = formats.read_mot(assets.data("plaza", "truth", f"{clip}.txt"))
        read = video.read(assets.data("plaza", "clips", f"{clip}.mp4"))
        tables = [detector([image])[0].assign(frame=index) for index, _, image in read]
        result[clip] = scores.average_precision(truth, pd.concat(tables), visibility=0.3)
    return result | {"mean": statistics.mean(result.values())}


def ranked(extractor) -> dict[str, float]:
    """Return rank-1 and mAP on plaza's test people."""
    plaza = datasets.load("plaza")
    query, gallery = (
        extractor(datasets.read_images(part.path)) for part in (plaza.query, plaza.gallery)
    )
    result = ranking.score(query, gallery, plaza)
    return {"rank-1": result.cmc[0], "mAP": result.mAP}


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


def show(title: str, tools: dict, measure, images: list, rounds: int) -> None:
    pace = times(tools, images, rounds)
    rows = {name: measure(tool) | {"pace": pace[name]} for name, tool in tools.items()}
    print(f"\n{title}\n\n{pd.DataFrame(rows).T.to_string(float_format='{:.3f}'.format)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("quantised"))
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    crops = list(datasets.read_images(datasets.load("plaza").gallery.path[:512]))
    tools = {"as bundled": extractors.load(), "8 bits": extractors.load(embedding(arguments.out))}
    show("Embedding", tools, ranked, crops, arguments.rounds)
    eager = {"confidence": 0.01}
    tools = {
        "as bundled": detectors.load("plaza", **eager),
        "8 bits": detectors.load(detector(arguments.out), **eager),
    }
    show("Detector", tools, found, frames(25), arguments.rounds)


if __name__ == "__main__":
    main()
