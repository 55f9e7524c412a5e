"""Pace and memory of our tracker beside Ultralytics' ByteTrack and BoT-SORT: one clip, one YOLO.

    python benchmarks/pace.py --clip vtest.avi --truth gt.txt \\
        --weights yolo11n_openvino_model --embedding osnet.onnx

Each tracker runs in a process of its own, one after the other, for its peak memory. Time counts
reading, detection, embedding, tracking and drawing of every frame after a warm-up; encoding is left
out. Without --clip and --truth the footage is pets09-s2l1 in the folder $REIDLIB_REAL_DATA. The
rivals run with the settings they ship with; they need `pip install ultralytics lap onnxruntime`.
Memory is read from /proc or getrusage, so this runs on Linux and macOS.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

from reidlib import drawing
from reidlib.collection import formats, video
from reidlib.detection import detectors, scores, tracking
from reidlib.features import extractors

COLUMNS = ["frame", "track", "x1", "y1", "x2", "y2", "confidence"]
WARM_UP = 16  # frames


def draw(index, image, tracks):
    drawing.draw_tracks(image, tracks)


def ours(clip, weights, embedding=None):
    detector = detectors.load(weights)
    extractor = extractors.load(embedding) if embedding else None

    def run(stop=None):
        return tracking.track(clip, detector, extractor, on_frame=draw, stop=stop)

    return run


def rival(clip, weights, kind, **settings):
    os.environ["YOLO_AUTOINSTALL"] = "False"
    import ultralytics

    shipped = Path(ultralytics.__file__).parent / "cfg" / "trackers" / f"{kind}.yaml"
    lines = shipped.read_text(encoding="utf-8").splitlines()
    lines = [line for line in lines if line.split(":")[0] not in settings]
    lines += [f"{key}: {value}" for key, value in settings.items()]
    config = Path(tempfile.mkdtemp()) / f"{kind}.yaml"
    config.write_text("\n".join(lines), encoding="utf-8")
    model = ultralytics.YOLO(weights, task="detect")

    def run(stop=None):
        model.predictor, tables = None, []  # a new predictor has a new tracker
        for index, _, image in video.read(clip, stop=stop):
            (result,) = model.track(
                image[..., ::-1], persist=True, tracker=config, classes=[0], verbose=False
            )
            data = result.boxes.data.numpy()  # x1 y1 x2 y2 [id] confidence class
            data = data if result.boxes.is_track else data[:0, [0, *range(6)]]
            table = pd.DataFrame(data[:, [4, 0, 1, 2, 3, 5]], columns=COLUMNS[1:])
            draw(index, image, table.astype({"track": int}))
            tables.append(table.assign(frame=index))
        return pd.concat(tables, ignore_index=True)

    return run


def peak_megabytes():
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def trackers(clip, weights, embedding):
    """Return what is compared: a name, and a function that loads it and returns its run."""
    return {
        "ByteTrack": lambda: rival(clip, weights, "bytetrack"),
        "BoT-SORT": lambda: rival(clip, weights, "botsort"),
        "BoT-SORT, re-ID": lambda: rival(clip, weights, "botsort", with_reid=True, model=embedding),
        "ours, no appearance": lambda: ours(clip, weights),
        "ours, plaza": lambda: ours(clip, weights, "plaza"),
        "ours, re-ID": lambda: ours(clip, weights, embedding),
    }


def measure(load, out):
    """Run one tracker in this process; write its tracks, print frames a second and megabytes."""
    run = load()
    run(WARM_UP)
    start = time.perf_counter()
    table = run()
    seconds = time.perf_counter() - start
    formats.write_mot(table, out)
    fps = (int(table.frame.max()) + 1) / seconds
    print(json.dumps({"fps": fps, "MB": peak_megabytes()}))


def main():
    real = Path(os.environ.get("REIDLIB_REAL_DATA", ".")) / "pets09-s2l1"
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clip", default=str(real / "vtest.avi"))
    parser.add_argument("--truth", default=str(real / "gt.txt"))
    parser.add_argument("--weights", required=True, help="YOLO weights, for all trackers")
    parser.add_argument("--embedding", required=True, help="a re-ID network as .onnx")
    parser.add_argument("--only", nargs="*", help="run these trackers only")
    parser.add_argument("--one", nargs=2, metavar=("NAME", "OUT"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    loaders = trackers(args.clip, args.weights, args.embedding)
    if args.one:
        measure(loaders[args.one[0]], args.one[1])
        return
    truth = formats.read_mot(args.truth)
    print(f"{'':20} {'fps':>6} {'MB':>5} {'MOTA':>6} {'IDF1':>6} {'HOTA':>6} switches", flush=True)
    for name in loaders:
        if args.only and name not in args.only:
            continue
        with tempfile.TemporaryDirectory() as folder:
            out = str(Path(folder) / "tracks.txt")
            command = [sys.executable, __file__, *sys.argv[1:], "--one", name, out]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                print(f"{name:20} failed: {done.stderr.strip().splitlines()[-1]}", flush=True)
                continue
            cost = json.loads(done.stdout.strip().splitlines()[-1])
            score = scores.evaluate(truth, formats.read_mot(out))
        print(
            f"{name:20} {cost['fps']:6.1f} {cost['MB']:5.0f} {score.MOTA:6.3f} {score.IDF1:6.3f} "
            f"{score.HOTA:6.3f} {int(score.switches):8d}",
            flush=True,
        )


if __name__ == "__main__":
    main()
