"""What it costs, and what it saves, to look at fewer frames: the motion gate and every n-th frame.

    python benchmarks/looks.py                                          # plaza's clips
    python benchmarks/looks.py --video pets vtest.avi gt.txt --weights yolo11n

Three parts are printed as Markdown:

- `cost`: clips where people always walk. Recall (IoU .5) and IDF1 after the second pass, as in
  `demo`, and the share of frames that the detector looked at. Detections and vectors are computed
  once an image and shared by all settings.
- `lone`: an empty place through which one person at a time walks: the true boxes of each of plaza's
  people, pasted onto the empty place with new sensor noise. What the gate misses at the
  beginning and the end of each visit shows here, as there is nobody else to open it.
- `empty`: the pace on an empty hour. The places of three cameras, the median beside the people's
  true boxes, with new sensor noise in each frame, encoded as H.264, `--seconds` of it; the rate is
  the same for an hour. Each setting is run in turn, `--rounds` times, and the median of the ratios
  within a round is given, by the clock and by the time of the processor, which a busy neighbour
  disturbs less.
"""

import argparse
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from reidlib import assets
from reidlib.boxes import BOX
from reidlib.collection import encoding, formats, video
from reidlib.detection import detectors, scores, tracking
from reidlib.features import extractors

PLAZA = ["c1_day", "c2_day", "c3_day", "c1_dusk", "c2_dusk", "c3_dusk", "c4_hall"]
SETTINGS = {
    "every frame": {},
    "--gate": {"gate": True},
    "--detect-every 2": {"detect_every": 2},
    "--detect-every 3": {"detect_every": 3},
    "--detect-every 5": {"detect_every": 5},
    "--gate --detect-every 2": {"gate": True, "detect_every": 2},
}
NOISE = 4.0  # grey levels, standard deviation: that of the bundled cameras, .013 to .018 of 255
PARTS = ["cost", "lone", "empty"]


class Remembered:
    """A detector that runs once an image, and counts the images at which it was asked to look."""

    def __init__(self, detector):
        self.detector, self.found, self.looks = detector, {}, 0
        self.confidence, self.nms = detector.confidence, detector.nms

    def raw(self, images):
        self.looks += len(images)
        keys = [hash(image.tobytes()) for image in images]
        new = [place for place, key in enumerate(keys) if key not in self.found]
        for place, found in zip(new, self.detector.raw([images[place] for place in new])):
            self.found[keys[place]] = found
        return [self.found[key] for key in keys]


def remembered(extractor):
    """Return an extractor that runs once a crop."""
    kept = {}

    def embed(crops):
        keys = [hash(crop.tobytes()) for crop in crops]
        new = [place for place, key in enumerate(keys) if key not in kept]
        for place, vector in zip(new, extractor([crops[place] for place in new])):
            kept[keys[place]] = vector
        return np.array([kept[key] for key in keys])

    return embed


def compare(name: str, frames, truth: pd.DataFrame, detector, extractor, choices) -> list[dict]:
    """Return a row a setting: recall, IDF1, and the share of frames looked at."""
    detector, extractor, rows = Remembered(detector), remembered(extractor), []
    for setting in choices:
        detector.looks = 0
        table = tracking.track_recording(frames, detector, extractor, **SETTINGS[setting]).table
        found = scores.evaluate(truth, table, every_frame=True)
        looked = detector.looks / len(frames)
        values = {"recall": found["recall"], "IDF1": found["IDF1"], "looked at": looked}
        rows.append({"clip": name, "setting": setting, **values})
    return rows


def background(path: Path, truth: pd.DataFrame) -> np.ndarray:
    """Return a clip's place without its people, float32 (H, W, 3): the median beside their boxes.

    Where somebody stands from beginning to end, the pixels around are drawn in.
    """
    frames, by_frame = [], truth.groupby("frame")[BOX]
    for index, _, image in video.read(path, every=10):
        picture = image.astype(np.float32)
        for x1, y1, x2, y2 in by_frame.get_group(index).round().astype(int).clip(0).to_numpy():
            picture[y1 : y2 + 4, max(x1 - 4, 0) : x2 + 4] = np.nan  # and a little shadow
        frames.append(picture)
    hidden = np.isnan(frames).all(axis=(0, 3))
    frames[0][hidden] = 0
    place = np.nanmedian(frames, axis=0).round().astype(np.uint8)
    return cv2.inpaint(place, hidden.astype(np.uint8), 5, cv2.INPAINT_TELEA).astype(np.float32)


def noisy(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a picture as a sensor sees it once more, uint8."""
    noise = rng.standard_normal(picture.shape, np.float32) * NOISE
    return np.clip(picture + noise, 0, 255).round().astype(np.uint8)


def visits(path: Path, truth: pd.DataFrame, people: int, rng) -> list[tuple[list, pd.DataFrame]]:
    """Return frames and truth of `people` walks of one person each, from the longest walk on."""
    images = [image for _, _, image in video.read(path)]
    place, found = background(path, truth), []
    lengths = truth.groupby("track").size().sort_values(ascending=False, kind="stable")
    for track in lengths.index[:people]:
        walk = truth[truth["track"] == track].set_index("frame")
        first, last = walk.index.min() - 25, walk.index.max() + 25  # two seconds of nobody
        frames = []
        for place_in_clip in range(first, last):
            picture = place.copy()
            if place_in_clip in walk.index:
                x1, y1, x2, y2 = walk.loc[place_in_clip, BOX].round().astype(int).clip(0)
                picture[y1:y2, x1:x2] = images[place_in_clip][y1:y2, x1:x2]
            number = place_in_clip - first
            frames.append((number, number / 12.5, noisy(picture, rng)))
        known = walk.reset_index()
        known["frame"] -= first
        found.append((frames, known))
    return found


def empty_clip(target: Path, place: np.ndarray, seconds: float, rng) -> None:
    """Write a clip of an empty place (H, W, 3) at 12.5 frames a second."""
    with encoding.Writer(target, 12.5) as writer:
        for _ in range(round(12.5 * seconds)):
            writer.write(noisy(place, rng))


def paces(clip: Path, detector, extractor, rounds: int) -> pd.DataFrame:
    """Return a row a setting: frames a second, processor's time a frame, and how both compare."""
    length, rows = video.probe(clip).frames, []
    tracking.track(clip, detector, extractor, stop=16)  # warm
    for number in range(rounds):
        for setting, options in SETTINGS.items():
            start, spent = time.perf_counter(), time.process_time()
            tracking.track(clip, detector, extractor, **options)
            taken, spent = time.perf_counter() - start, time.process_time() - spent
            rows.append({"setting": setting, "round": number, "taken": taken, "spent": spent})
    table = pd.DataFrame(rows).set_index(["round", "setting"]).unstack()
    first = list(SETTINGS)
    taken, spent = table["taken"][first], table["spent"][first]
    columns = {
        "frames a second": (length / taken).median(),
        "times every frame": taken.rdiv(taken["every frame"], axis=0).median(),
        "processor ms a frame": (1000 * spent / length).median(),
        "times less processor": spent.rdiv(spent["every frame"], axis=0).median(),
    }
    return pd.DataFrame(columns).rename_axis("setting").reset_index()


def show(title: str, table: pd.DataFrame) -> None:
    """Print a table as Markdown."""
    print(f"\n### {title}\n", flush=True)
    text = table.map(lambda v: f"{v:.3f}" if isinstance(v, float) else str(v))
    for row in (text.columns, ["---"] * text.shape[1], *text.to_numpy()):
        print("| " + " | ".join(map(str, row)) + " |", flush=True)


def mean(rows: list[dict]) -> pd.DataFrame:
    """Return the means over clips, a row a setting."""
    columns = ["recall", "IDF1", "looked at"]
    return pd.DataFrame(rows).groupby("setting", sort=False)[columns].mean().reset_index()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    video_help = {"metavar": ("NAME", "CLIP", "TRUTH"), "help": "a clip in place of plaza's"}
    parser.add_argument("--video", nargs=3, action="append", default=[], **video_help)
    parser.add_argument("--weights", default="plaza", help="the detector")
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("--people", type=int, default=6, help="lone walks a camera")
    parser.add_argument("--seconds", type=float, default=40, help="of each empty clip")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    detector, extractor = detectors.load(arguments.weights), extractors.load("plaza")
    folder, rng = assets.data("plaza"), np.random.default_rng(0)
    plaza = [(n, folder / "clips" / f"{n}.mp4", folder / "truth" / f"{n}.txt") for n in PLAZA]
    if "cost" in arguments.parts:
        rows = []
        for name, path, truth in tqdm(arguments.video or plaza, desc="cost"):
            frames, known = list(video.read(path)), formats.read_mot(truth)
            rows += compare(name, frames, known, detector, extractor, SETTINGS)
        table = pd.DataFrame(rows)
        for name, part in table.groupby("clip", sort=False):
            show(name, part.drop(columns="clip"))
        show(f"Means over {table['clip'].nunique()} clips", mean(rows))
    if "lone" in arguments.parts:
        rows = []
        for name, path, truth in tqdm(plaza[:3], desc="lone"):
            walks = visits(path, formats.read_mot(truth), arguments.people, rng)
            for frames, known in walks:
                choices = ["every frame", "--gate", "--gate --detect-every 2"]
                rows += compare(name, frames, known, detector, extractor, choices)
        show(f"One person at a time, means over {len(rows) // 3} walks", mean(rows))
    if "empty" in arguments.parts:
        with tempfile.TemporaryDirectory() as place:
            for name, path, truth in plaza[:3]:
                clip = Path(place, f"{name}.mp4")
                empty = background(path, formats.read_mot(truth))
                empty_clip(clip, empty, arguments.seconds, rng)
                table = paces(clip, detector, extractor, arguments.rounds)
                show(f"An empty place, as {name} sees it", table)


if __name__ == "__main__":
    main()
