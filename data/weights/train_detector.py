"""Train the bundled person detector from scratch on rendered frames, export it, and measure it.

    python data/weights/train_detector.py FRAMES --out data/weights

FRAMES holds images and, beside each, a text file of YOLO labels (``0 cx cy width height`` as shares
of the frame), as ``data/generator`` renders them, of people and scenes other than those in
``data/plaza``. Every twentieth frame is held out. Needs the packages of requirements.txt; the
network and its loss are Ultralytics' (AGPL-3.0), which therefore is the licence of the weights.
"""

from __future__ import annotations

import argparse
import copy
import json
import shutil
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from ultralytics.cfg import DEFAULT_CFG_DICT, get_cfg
from ultralytics.nn.tasks import DetectionModel, yaml_model_load

from reidlib import boxes
from reidlib.collection import encoding, formats, video
from reidlib.detection import detectors, scores
from reidlib.model import training

SIZE = (256, 416)  # a 640x360 frame scaled to 416x234, on grey to a multiple of 32
GREY = 114


def read(folder: Path) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return all frames (H, W, 3) and their boxes (N, 4) in pixels."""
    paths = sorted(p for p in folder.rglob("*") if p.suffix in (".jpg", ".png"))
    frames, people = [], []
    for path in paths:
        label = path.with_suffix(".txt")
        if not label.exists():  # Ultralytics keeps labels in a folder of their own
            label = Path(str(label).replace("images", "labels"))
        frame = encoding.read_image(path)
        rows = np.array([line.split()[1:5] for line in label.read_text().splitlines()], np.float32)
        rows = rows.reshape(-1, 4) * np.tile(frame.shape[1::-1], 2)
        corner = rows[:, :2] - rows[:, 2:] / 2
        frames.append(frame)
        people.append(np.concatenate([corner, corner + rows[:, 2:]], axis=1))
    return frames, people


def place(frame, people, canvas, rng) -> np.ndarray:
    """Draw a frame on `canvas`, zoomed, moved, mirrored at random; return where its people are."""
    height, width = canvas.shape[:2]
    fit = min(height / frame.shape[0], width / frame.shape[1])
    zoom = fit * np.exp(rng.uniform(np.log(0.7), np.log(1.8)))
    stretch = np.exp(rng.uniform(-0.08, 0.08))
    mirror = rng.choice([-1.0, 1.0])
    spare = np.array([width, height]) - zoom * np.array(frame.shape[1::-1])
    middle = np.array([width, height]) / 2 + rng.uniform(-0.5, 0.5, 2) * spare
    matrix = np.array([[zoom * stretch * mirror, 0, 0], [0, zoom, 0]])
    matrix[:, 2] = middle - matrix[:, :2] @ (np.array(frame.shape[1::-1]) / 2)
    cv2.warpAffine(
        frame, matrix, (width, height), dst=canvas, flags=cv2.INTER_AREA,
        borderMode=cv2.BORDER_CONSTANT, borderValue=(GREY,) * 3,
    )  # fmt: skip
    corners = people.reshape(-1, 2, 2) * matrix[[0, 1], [0, 1]] + matrix[:, 2]
    moved = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    cut = boxes.clip(moved, width, height)
    shown = boxes.area(cut) > 0.3 * boxes.area(moved)
    return cut[shown & (cut[:, 3] - cut[:, 1] > 8)]


def sample(frames, people, rng) -> tuple[np.ndarray, np.ndarray]:
    """Return one training image (256, 416, 3) and its boxes: one frame, or four in a mosaic."""
    height, width = SIZE
    canvas = np.full((height, width, 3), GREY, np.uint8)
    if rng.random() < 0.3:
        found, y = [], rng.integers(height // 3, height * 2 // 3)
        x = rng.integers(width // 3, width * 2 // 3)
        for rows, columns in ((s, t) for s in (slice(0, y), slice(y, None))
                              for t in (slice(0, x), slice(x, None))):  # fmt: skip
            k = rng.integers(len(frames))
            tile = np.ascontiguousarray(canvas[rows, columns])
            moved = place(frames[k], people[k], tile, rng)
            canvas[rows, columns] = tile
            found.append(moved + np.tile([columns.start, rows.start], 2))
        found = np.concatenate(found)
    else:
        k = rng.integers(len(frames))
        found = place(frames[k], people[k], canvas, rng)
    return camera(canvas, rng), found


def camera(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a frame in other light, through another lens and sensor."""
    ramp = (np.arange(256)[:, None] / 255) ** np.exp(rng.normal(0, 0.25))
    gains = np.exp(rng.normal(0, 0.15) + rng.normal(0, 0.08, 3))
    image = cv2.LUT(image, np.clip(255 * gains * ramp, 0, 255).astype(np.uint8)[:, None])
    if rng.random() < 0.3:
        grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        image = cv2.addWeighted(image, share := rng.uniform(0, 0.8), grey, 1 - share, 0)
    if rng.random() < 0.3:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.4, 1.5))
    if rng.random() < 0.4:
        noise = rng.standard_normal(image.shape, np.float32) * rng.uniform(2, 12)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    return image


def batch_of(frames, people, count: int, rng) -> dict:
    """Return a batch as the Ultralytics loss expects it."""
    images, found = zip(*(sample(frames, people, rng) for _ in range(count)))
    index = np.repeat(np.arange(count), [len(b) for b in found])
    moved = np.concatenate(found)
    scale = np.tile(SIZE[::-1], 2)
    centres = np.concatenate([(moved[:, :2] + moved[:, 2:]) / 2, moved[:, 2:] - moved[:, :2]], 1)
    return {
        "img": torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255,
        "bboxes": torch.from_numpy((centres / scale).astype(np.float32)),
        "cls": torch.zeros(len(moved), 1),
        "batch_idx": torch.from_numpy(index),
    }


def in_float(value):
    """Return a network's output, nested as it may be, in full precision for the loss."""
    if isinstance(value, dict):
        return {name: in_float(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [in_float(part) for part in value]
    return value.float()


def train(frames, people, steps: int, batch: int, width: float, seed: int) -> DetectionModel:
    """Return a YOLOv8 of the given width, trained from scratch; the average of its last steps."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    config = yaml_model_load("yolov8n.yaml") | {"nc": 1, "scales": {"n": [0.33, width, 512]}}
    model = DetectionModel(config, nc=1, verbose=False).to(memory_format=torch.channels_last)
    model.names, model.args = {0: "person"}, get_cfg()
    decayed = [p for p in model.parameters() if p.ndim > 1 and p.requires_grad]
    other = [p for p in model.parameters() if p.ndim <= 1 and p.requires_grad]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": other, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=2e-3, betas=(0.9, 0.999))
    average, started, recent = copy.deepcopy(model).eval(), time.monotonic(), []
    model.train()
    for step in range(1, steps + 1):
        for group in optimiser.param_groups:
            group["lr"] = training.learning_rate(step / steps, 2e-3, "cosine", 0.05)
        content = batch_of(frames, people, batch, rng)
        with torch.autocast("cpu", torch.bfloat16):
            found = model(content["img"])
        parts, _ = model.loss(content, in_float(found))
        optimiser.zero_grad()
        parts.sum().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimiser.step()
        keep = 0.998 * (1 - np.exp(-step / 300))
        with torch.no_grad():
            for mean, now in zip(average.state_dict().values(), model.state_dict().values()):
                mean.lerp_(now, 1 - keep) if mean.is_floating_point() else mean.copy_(now)
        recent.append((parts / batch).tolist())
        if step % 50 == 0:
            box, kind, edge = np.mean(recent, axis=0).round(3)
            seconds = time.monotonic() - started
            print(f"{seconds:6.0f} s, step {step}: {box} {kind} {edge}", flush=True)
            recent = []
    return average


def save(model: DetectionModel, out: Path) -> None:
    """Write the weights in half precision, and as an OpenVINO network for inputs of any size."""
    from ultralytics import YOLO

    path = out / "plaza_detector.pt"
    model = copy.deepcopy(model).half()
    model.criterion = None
    model.args = dict(DEFAULT_CFG_DICT, imgsz=SIZE[1], task="detect", model="plaza_detector")
    model.yaml.pop("yaml_file", None)
    torch.save({"model": model, "train_args": model.args, "license": "AGPL-3.0"}, path)
    exported = YOLO(path).export(format="openvino", imgsz=SIZE[1], half=True, dynamic=True)
    target = out / "plaza_detector_openvino_model"
    if Path(exported) != target:
        shutil.rmtree(target, ignore_errors=True)
        shutil.move(exported, target)


def score(truth: pd.DataFrame, found: pd.DataFrame, visibility: float = 0.0) -> dict:
    """Return AP50, recall at confidence 0.25 and how many people, see scores.precision_recall."""
    curve = scores.precision_recall(truth, found, visibility=visibility)
    sure = curve[curve.confidence >= 0.25]
    counted = len(truth) if "visibility" not in truth else (truth.visibility >= visibility).sum()
    return {
        "AP50": scores.average_precision(truth, found, visibility=visibility),
        "recall": float(sure.recall.max()),
        "people": int(counted),
    }


def by_frame(tables) -> pd.DataFrame:
    """Return one table of boxes from a table or an array of them for each frame."""
    parts = [pd.DataFrame(t, columns=boxes.BOX).assign(frame=k) if isinstance(t, np.ndarray)
             else t.assign(frame=k) for k, t in enumerate(tables)]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def score_clip(detector, clip: Path, truth: Path) -> dict:
    """Return the score of a detector on a video against MOT text, visibility 0.3 and up."""
    found = [detector([image])[0] for _, _, image in video.read(clip)]
    return score(formats.read_mot(truth), by_frame(found), visibility=0.3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("frames", type=Path, help="folder of rendered frames with YOLO labels")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--width", type=float, default=0.25)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--clips", type=Path, help="folder of plaza clips to score on at the end")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(1)
    frames, people = read(arguments.frames)
    held = np.arange(len(frames)) % 20 == 0
    learn = [f for f, h in zip(frames, held) if not h], [p for p, h in zip(people, held) if not h]
    test = [f for f, h in zip(frames, held) if h], [p for p, h in zip(people, held) if h]
    print(f"{len(learn[0])} frames, {sum(map(len, learn[1]))} people; {len(test[0])} held out")
    model = train(*learn, arguments.steps, arguments.batch, arguments.width, arguments.seed)
    arguments.out.mkdir(parents=True, exist_ok=True)
    save(model, arguments.out)
    folder = arguments.out / "plaza_detector_openvino_model"
    detector = detectors.load(folder, confidence=0.01)
    print(json.dumps({"held out": score(by_frame(test[1]), by_frame(detector(test[0])))}))
    for clip in sorted(arguments.clips.glob("*.mp4")) if arguments.clips else ():
        truth = arguments.clips.parent / "truth" / f"{clip.stem}.txt"
        print(json.dumps({clip.stem: score_clip(detector, clip, truth)}))


if __name__ == "__main__":
    main()
