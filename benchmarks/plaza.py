"""How hard plaza is, and how good the bundled weights are on it: the tables of the datasheet.

python benchmarks/plaza.py                                  # bundled weights and histograms
python benchmarks/plaza.py --features OSNET.onnx --detector yolo11n   # others beside them
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from reidlib import assets
from reidlib.collection import datasets, formats, video
from reidlib.demonstration import pipeline
from reidlib.detection import detectors, scores
from reidlib.features import extractors
from reidlib.model import ranking

SCENARIOS = ("clothes", "dusk", "pose", "occlusion", "lowres")


def identification(names: list[str]) -> pd.DataFrame:
    """Return rank-1 and mAP, with intervals, of each extractor on each test set of plaza."""
    rows = []
    normal = datasets.load("plaza")
    gallery = datasets.read_images(normal.gallery.path)
    for name in names:
        extractor = extractors.load(name)
        known = extractor(gallery)
        for scenario in (None, *SCENARIOS):
            query = (datasets.load("plaza", scenario=scenario) if scenario else normal).query
            result = ranking.evaluate(
                extractor(datasets.read_images(query.path)), query.pid, query.camid,
                known, normal.gallery.pid, normal.gallery.camid,
            )  # fmt: skip
            low, high = result.interval("rank1")
            rows.append(
                {"features": Path(name).stem, "queries": scenario or "normal", "n": result.valid,
                 "rank-1": result.cmc[0], "95 %": f"{low:.2f} to {high:.2f}", "mAP": result.mAP}
            )  # fmt: skip
    return pd.DataFrame(rows)


def detection(names: list[str], clips: list[str]) -> pd.DataFrame:
    """Return AP50 of each detector on each clip, people at least 0.3 visible."""
    table = pd.DataFrame(index=clips)
    for name in names:
        detector = detectors.load(name, confidence=0.01)
        for clip in clips:
            truth = formats.read_mot(assets.data("plaza", "truth", f"{clip}.txt"))
            frames = video.read(assets.data("plaza", "clips", f"{clip}.mp4"))
            found = [detector([image])[0].assign(frame=index) for index, _, image in frames]
            score = scores.average_precision(truth, pd.concat(found), visibility=0.3)
            table.loc[clip, Path(name).stem] = score
    return table.rename_axis("AP50").reset_index()


def following(detector: str, extractor: str, clips: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return scores of tracks, each camera and linked, and how pure the links are."""
    find, look = detectors.load(detector), extractors.load(extractor)
    paths = [assets.data("plaza", "clips", f"{clip}.mp4") for clip in clips]
    truth = [assets.data("plaza", "truth", f"{clip}.txt") for clip in clips]
    found = pipeline.clips(paths, truth)
    for clip in found:
        pipeline.follow(clip, find, look)
    table, *_ = pipeline.link(found, look.threshold)
    return pipeline.scores(found, table)


def show(title: str, table: pd.DataFrame) -> None:
    """Print a table as Markdown."""
    print(f"\n### {title}\n")
    text = table.map(lambda v: f"{v:.3f}" if isinstance(v, float) else str(v))
    for row in (text.columns, ["---"] * text.shape[1], *text.to_numpy()):
        print("| " + " | ".join(map(str, row)) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", nargs="*", default=[], help="more extractors: names, paths")
    parser.add_argument("--detector", nargs="*", default=[], help="more detectors: names, paths")
    arguments = parser.parse_args()
    day, other = ["c1_day", "c2_day", "c3_day"], ["c1_dusk", "c2_dusk", "c3_dusk", "c4_hall"]
    show("Finding a test person in another camera",
         identification(["histogram", "plaza", *arguments.features]))  # fmt: skip
    show("Detection, visibility 0.3 and up", detection(["plaza", *arguments.detector], day + other))
    columns = ["MOTA", "IDF1", "HOTA", "switches", "people", "tracks"]
    scores = following("plaza", "plaza", day)[columns]
    show("Tracking and linking by day", scores.rename_axis("tracks of").reset_index())


if __name__ == "__main__":
    main()
