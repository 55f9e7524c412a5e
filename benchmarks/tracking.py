"""Trackers beside one another on any set of clips: the same boxes and vectors for all.

    python benchmarks/tracking.py                                      # plaza's seven clips
    python benchmarks/tracking.py --text mot15/*                       # boxes from files
    python benchmarks/tracking.py --video street street.mp4 gt.txt --weights yolo11n \\
        --embedding plaza osnet.onnx

A text clip is a folder of MOT Challenge with seqinfo.ini, det.txt and gt.txt (or det/det.txt and
gt/gt.txt); truth marked 0 is dropped, as MOT15's own tool does. A video is detected and embedded
once. Three parts are printed:

- `peers`: every tracker clip by clip, without appearance and with each embedding. Ours is quoted as
  it was known at the time, and after the second pass over the recording; rivals (`rivals.py`) as
  shipped, and by our rule for confidence and patience. The better of the two is what to beat.
- `ladder`: ours with each mechanism switched off, over all clips.
- `left-out`: the setting of `GRID` that is best on the other clips, quoted on the clip left out.
  Clips of one name, whatever its case, are one footage and left out together.

Milliseconds a frame are of the tracker's update alone.
"""

import argparse
import configparser
import contextlib
import itertools
import logging
import time
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
from rivals import FAINT, Clip, our_scale, rivals, run
from tqdm.auto import tqdm

from reidlib import assets, boxes
from reidlib.boxes import BOX
from reidlib.collection import formats, video
from reidlib.detection import association, detectors, scores, tracker, tracking
from reidlib.features import extractors

PLAZA = ["c1_day", "c2_day", "c3_day", "c1_dusk", "c2_dusk", "c3_dusk", "c4_hall"]
METRICS = ["IDF1", "HOTA", "MOTA", "switches", "ms"]
PARTS = ["peers", "ladder", "left-out"]

# Settings in capitals are constants of the rooms `tracker` and `association`.
LADDER = {
    "all of it": {},
    "- grown boxes (C-BIoU)": {"buffer": 0.0},
    "- heights (Hybrid-SORT)": {"heights": False},
    "- confidence relative to the usual": {"relative": False, "birth": 0.45},
    "- faint boxes (ByteTrack)": {"FAINT_IOU": 2.0},
    "- second boxes on one person are refused": {"TWIN_IOU": 2.0},
    "- who walks out ends": {"size": None},
    "- Hungarian, greedy instead": {"assignment": "greedy"},
    "- two boxes to confirm, one instead": {"min_hits": 1},
    "- appearance in the cost": {"weight": 0.0},
    "- recovery by appearance": {"alike": 0.0},
    "+ moving camera, from boxes": {"moving": True},
}
GRID = {"default": {}} | {
    f"{name.lower()} {value:.2g}": {name: value}
    for name, values in {
        "iou": (0.22, 0.34), "buffer": (0.2, 0.4), "patience": (1.0, 3.0), "alike": (0.6,),
        "UNREST": (0.2, 0.35), "SWAY": (0.2,),
    }.items()
    for value in values
}  # fmt: skip


def read_text(folder: Path) -> Clip:
    """Read a folder of MOT Challenge text."""
    ini = configparser.ConfigParser()
    ini.read(folder / "seqinfo.ini")
    about = ini["Sequence"]
    found, truth = (
        formats.read_mot(folder / (f"{kind}/" if (folder / kind).is_dir() else "") / f"{kind}.txt")
        for kind in ("det", "gt")
    )
    if found.confidence.max() > 1:  # some detectors of MOT15 count to 100
        found["confidence"] = np.clip(found.confidence / 100, 0, 1)
    fps, length = float(about["frameRate"]), int(about["seqLength"])
    places, found_boxes = found.groupby("frame").indices, found[[*BOX, "confidence"]]
    tables = [found_boxes.iloc[places.get(i, [])].reset_index(drop=True) for i in range(length)]
    return Clip(
        folder.name, truth[truth.confidence != 0], (int(about["imWidth"]), int(about["imHeight"])),
        fps, [i / fps for i in range(length)], tables,
    )  # fmt: skip


def read_video(name, path, truth, detector, extractor_of: dict) -> list[Clip]:
    """Detect and embed a video; return its clip without appearance and with each extractor."""
    about, times, tables = video.probe(path), [], []
    vectors = {key: [] for key in extractor_of}
    for _, seconds, image in tqdm(video.read(path), desc=name, total=about.frames, leave=False):
        (raw,) = detector.raw([image])
        table = detectors.select(raw, FAINT, min(detector.nms, 0.5))
        corners = table[BOX].to_numpy()
        clear = boxes.visible(corners, about.width, about.height)
        clear &= table.confidence.to_numpy() >= detector.confidence
        for key, extractor in extractor_of.items():
            rows = np.full((len(table), extractor.dim), np.nan, np.float32)
            if clear.any():
                rows[clear] = extractor(boxes.crop(image, corners[clear]))
            vectors[key].append(rows)
        times.append(seconds)
        tables.append(table)
    size = about.width, about.height
    clip = Clip(name, formats.read_mot(truth), size, about.fps, times, tables, path)
    return [clip, *(clip._replace(appearance=k, vectors=v) for k, v in vectors.items())]


def ours(clip: Clip, **settings) -> dict[str, tuple[pd.DataFrame, float]]:
    """Return our tracks as known at the time, and after the second pass."""
    size, made = settings.pop("size", clip.size), []
    with contextlib.ExitStack() as stack:
        for name in [name for name in settings if name.isupper()]:
            room = tracker if hasattr(tracker, name) else association
            stack.enter_context(mock.patch.object(room, name, settings.pop(name)))
        follower = tracker.Tracker(size=size, fps=clip.fps, **settings)

        def step(i, _):
            vectors = None if clip.vectors is None else clip.vectors[i]
            found = follower.update(clip.boxes[i], vectors, clip.times[i])
            made.extend(follower.ended)
            return found[[*BOX, "track"]].to_numpy(float)

        live, milliseconds = run(clip, step)
    start = time.perf_counter()
    tracks = [*made, *(track for track in follower.tracks if track.id)]
    rows = [(o.frame, t.id, *o.box, o.confidence, o.index) for t in tracks for o in t.history]
    whole = pd.DataFrame(rows, columns=["frame", "track", *BOX, "confidence", "index"])
    whole["time"] = np.array(clip.times)[whole.frame]
    whole = whole.sort_values(["frame", "track"], ignore_index=True)
    places = whole[["frame", "index"]].to_numpy()
    vectors = clip.vectors and np.array([clip.vectors[frame][row] for frame, row in places])
    second = tracking.refine(whole.drop(columns="index"), vectors, size=size)
    more = (time.perf_counter() - start) / len(clip.boxes) * 1e3
    return {"ours, live": (live, milliseconds), "ours, second pass": (second, milliseconds + more)}


def score(clip: Clip, tracks: pd.DataFrame, milliseconds: float) -> dict:
    """Return a row of the table: the clip, its metrics."""
    found = scores.evaluate(clip.truth, tracks)[METRICS[:-1]].to_dict()
    return {"clip": clip.name, "appearance": clip.appearance} | found | {"ms": milliseconds}


def peers(clips: list[Clip], only: list[str]) -> pd.DataFrame:
    """Return a row a clip and tracker: ours live and second pass, rivals by both rules."""
    jobs = [(clip, None, "") for clip in clips] + [
        (clip, rival, rule)
        for clip in clips
        for rival in rivals()
        for rule in ("as shipped", "our rule")
        if rival.takes[clip.vectors is not None]
    ]
    rows = []
    for clip, rival, rule in tqdm(jobs, desc="peers"):
        name = f"{rival.name}, {rule}" if rival else "ours"
        if only and not any(part in name for part in only):
            continue
        if rival is None:
            made = ours(clip)
        else:
            given = our_scale(clip) if rule == "our rule" else clip
            made = {name: rival.follow(given, rule == "our rule")}
        rows += [{"tracker": k, **score(clip, *result)} for k, result in made.items()]
    return pd.DataFrame(rows)


def settings(clips: list[Clip], choices: dict) -> pd.DataFrame:
    """Return a row a clip, setting and pass: ours with other settings."""
    rows = []
    for setting, clip in tqdm(list(itertools.product(choices, clips)), desc="settings"):
        for name, result in ours(clip, **choices[setting]).items():
            rows.append({"setting": setting, "tracker": name, **score(clip, *result)})
    return pd.DataFrame(rows)


def left_out(table: pd.DataFrame) -> pd.DataFrame:
    """Choose a setting without each footage in turn by the mean IDF1; quote it on that footage."""
    table = table.assign(footage=table["clip"].str.lower())
    rows = []
    for name, of_pass in table.groupby("tracker"):
        values = of_pass.pivot_table("IDF1", "footage", "setting")  # means over kinds of vectors
        for footage, own in values.iterrows():
            others = values.drop(footage)
            if len(others):
                chosen = others.mean().idxmax()
                rows.append((footage, name, chosen, own[chosen], own["default"]))
    columns = ["footage", "tracker", "chosen on the others", "its IDF1", "default"]
    return pd.DataFrame(rows, columns=columns)


def show(title: str, table: pd.DataFrame) -> None:
    """Print a table as Markdown."""
    print(f"\n### {title}\n", flush=True)
    whole = {name: int for name in table if name == "switches"}
    text = table.astype(whole).map(lambda v: f"{v:.3f}" if isinstance(v, float) else str(v))
    for row in (text.columns, ["---"] * text.shape[1], *text.to_numpy()):
        print("| " + " | ".join(map(str, row)) + " |")


def means(table: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Return means over clips, of switches the sum, one row a value of `by`, in order."""
    groups = table.groupby(by, sort=False)
    return groups[METRICS].mean().assign(switches=groups["switches"].sum()).reset_index()


def read_clips(arguments) -> list[Clip]:
    """Read the clips that the command line names; plaza's, if it names none."""
    wanted = arguments.clips
    clips = [read_text(Path(folder)) for folder in arguments.text]
    clips = [clip for clip in clips if not wanted or clip.name in wanted]
    videos = [(*named, arguments.weights) for named in arguments.video]
    if arguments.plaza or not (arguments.text or arguments.video):
        folder = assets.data("plaza")
        videos += [
            (name, folder / "clips" / f"{name}.mp4", folder / "truth" / f"{name}.txt", "plaza")
            for name in PLAZA
        ]
    videos = [named for named in videos if not wanted or named[0] in wanted]
    looks = {Path(name).stem: extractors.load(name) for name in arguments.embedding if videos}
    finders = {weights: detectors.load(weights) for weights in {named[3] for named in videos}}
    for name, path, truth, weights in tqdm(videos, desc="detect and embed"):
        clips += read_video(name, path, truth, finders[weights], looks)
    return clips


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", nargs="*", default=[], help="folders with seqinfo.ini, det, gt")
    video_help = {"metavar": ("NAME", "CLIP", "TRUTH"), "help": "a clip; may be given again"}
    parser.add_argument("--video", nargs=3, action="append", default=[], **video_help)
    parser.add_argument("--plaza", action="store_true", help="plaza's clips as well")
    parser.add_argument("--weights", default="auto", help="the detector for --video")
    parser.add_argument(
        "--embedding", nargs="*", default=["plaza"], help="extractors: names, paths"
    )
    parser.add_argument("--clips", nargs="*", help="of all clips, only those of these names")
    parser.add_argument("--trackers", nargs="*", help="only trackers in whose name one of these is")
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("--csv", help="write every row, clip by clip, to this file")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)  # some rivals report each tracker they make
    clips, tables = read_clips(arguments), {}
    if "peers" in arguments.parts:
        tables["peers"] = table = peers(clips, arguments.trackers)
        for (name, appearance), rows in table.groupby(["clip", "appearance"], sort=False):
            columns = rows.sort_values("IDF1", ascending=False)[["tracker", *METRICS]]
            show(f"{name}, appearance: {appearance}", columns)
        for appearance, rows in table.groupby("appearance", sort=False):
            kinds = f"{rows['clip'].nunique()} clips, appearance: {appearance}"
            best_first = means(rows, ["tracker"]).sort_values("IDF1", ascending=False)
            show(f"Means over {kinds}", best_first)
    if "ladder" in arguments.parts:
        tables["ladder"] = table = settings(clips, LADDER)
        show("Mechanisms, over all clips", means(table, ["setting", "tracker"]))
    if "left-out" in arguments.parts:
        tables["left-out"] = table = settings(clips, GRID)
        show("Settings, over all clips", means(table, ["setting", "tracker"]))
        show("Leave one footage out", left_out(table))
    if arguments.csv:
        rows = pd.concat([table.assign(part=part) for part, table in tables.items()])
        with assets.atomic(arguments.csv) as temporary:
            rows.to_csv(temporary, index=False)


if __name__ == "__main__":
    main()
