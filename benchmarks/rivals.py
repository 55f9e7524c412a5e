"""Trackers of others, fed with the boxes and vectors that ours gets.

They are those of Roboflow's `trackers`, and where they are installed those of `ultralytics` (with
`lap`) and `boxmot`. Each runs as shipped, or by "our rule": it gets our thresholds (which boxes are
confident, which may begin a track) and our patience of 2 s, as far as it has such settings.
"""

import inspect
import itertools
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np
import pandas as pd

from reidlib.boxes import BOX
from reidlib.collection import video
from reidlib.detection import association, tracker

FAINT = 0.1  # boxes under this confidence are nobody's
# What our rule is called elsewhere: the confidence of a confident box and of a birth (of boxes on
# the scale of `our_scale`), and the patience, in frames.
CONFIDENT = ("track_high_thresh", "high_conf_det_threshold", "track_thresh", "det_thresh")
BIRTH = ("new_track_thresh", "track_activation_threshold")
PATIENCE = ("track_buffer", "max_age", "lost_track_buffer")


class Clip(NamedTuple):
    """What all trackers are given: F frames, their boxes and perhaps vectors, and the truth."""

    name: str
    truth: pd.DataFrame
    size: tuple[int, int]
    fps: float
    times: list[float]  # of the F frames, seconds
    boxes: list[pd.DataFrame]  # x1 y1 x2 y2 confidence
    path: str | None = None  # of the video, for trackers that look at pictures
    appearance: str = "none"
    vectors: list[np.ndarray] | None = None  # (N, D) a frame, a row a box, NaN where it has none


def our_scale(clip: Clip) -> Clip:
    """Return a clip whose boxes are confident from .7 and give birth from .95, by our rule."""
    usual, tables = association.Confidence(), []
    for table in clip.boxes:
        score = table.confidence.to_numpy()
        usual.learn(score[score >= FAINT])
        high, birth = (
            max(0.25, share * usual.usual) for share in (tracker.CONFIDENT, tracker.CERTAIN)
        )
        knots = [0, FAINT, high, birth, max(usual.usual, birth + 1e-6), 1 + 1e-6]
        score = np.interp(score, knots, [0, FAINT, tracker.CONFIDENT, tracker.CERTAIN, 1, 1])
        tables.append(table.assign(confidence=score))
    return clip._replace(boxes=tables)


def settings_of(names, clip: Clip, ticks: float | None = None) -> dict:
    """Return our rule by the names that a rival has for it; it counts `ticks` frames a second."""
    rule = dict.fromkeys(CONFIDENT, tracker.CONFIDENT) | dict.fromkeys(BIRTH, tracker.CERTAIN)
    rule |= dict.fromkeys(PATIENCE, round(2 * (ticks or clip.fps)))
    return {name: value for name, value in rule.items() if name in names}


def run(clip: Clip, step, pictures: bool = False) -> tuple[pd.DataFrame, float]:
    """Let `step(i, image)` return x1 y1 x2 y2 track of every frame; also milliseconds a frame."""
    images = (image for *_, image in video.read(clip.path)) if pictures else itertools.repeat(None)
    parts, seconds = [np.zeros((0, 6))], 0.0
    for i, image in zip(range(len(clip.boxes)), images):
        start = time.perf_counter()
        found = step(i, image)
        seconds += time.perf_counter() - start
        parts.append(np.column_stack([found, np.full(len(found), i)]))
    table = pd.DataFrame(np.concatenate(parts), columns=[*BOX, "track", "frame"])
    return table.astype({"track": int, "frame": int}), seconds / len(clip.boxes) * 1e3


def roboflow(name: str, clip: Clip, our_rule: bool) -> tuple[pd.DataFrame, float]:
    import supervision as sv
    import trackers

    kind = getattr(trackers, name)
    names = inspect.signature(kind).parameters
    settings = settings_of(names, clip, ticks=30) if our_rule else {}
    if "enable_cmc" in names:
        settings["enable_cmc"] = clip.path is not None
    follower = kind(frame_rate=clip.fps, **settings)
    given = [
        sv.Detections(
            xyxy=table[BOX].to_numpy(np.float32).reshape(-1, 4),
            confidence=table.confidence.to_numpy(np.float32),
            class_id=np.zeros(len(table), int),
        )
        for table in clip.boxes
    ]

    def step(i, image):
        found = follower.update(given[i], None if image is None else image[..., ::-1])
        if found.tracker_id is None or not len(found):
            return np.zeros((0, 5))
        return np.column_stack([found.xyxy, found.tracker_id])[found.tracker_id >= 0]

    return run(clip, step, settings.get("enable_cmc", False))


def ultralytics(name: str, clip: Clip, our_rule: bool) -> tuple[pd.DataFrame, float]:
    from ultralytics.engine.results import Boxes
    from ultralytics.trackers.track import TRACKER_MAP
    from ultralytics.utils import YAML, IterableSimpleNamespace
    from ultralytics.utils.checks import check_yaml

    settings = YAML.load(check_yaml(f"{name}.yaml"))
    settings |= settings_of(settings, clip) if our_rule else {}
    if clip.vectors is not None:  # "auto": vectors come with the boxes
        settings |= {"with_reid": True, "model": "auto"}
    pictures = settings.get("gmc_method", "none") != "none" and clip.path is not None
    follower = TRACKER_MAP[name](args=IterableSimpleNamespace(**settings))
    given = [
        Boxes(np.column_stack([table.to_numpy(np.float32), np.zeros(len(table), np.float32)]),
              clip.size[::-1])
        for table in clip.boxes
    ]  # fmt: skip

    def step(i, image):
        vectors = None if clip.vectors is None else np.nan_to_num(clip.vectors[i])
        found = follower.update(given[i], None if image is None else image[..., ::-1], vectors)
        return found[:, :5] if len(found) else np.zeros((0, 5))

    return run(clip, step, pictures)


def boxmot(name: str, clip: Clip, our_rule: bool) -> tuple[pd.DataFrame, float]:
    import boxmot as package
    import torch
    from boxmot.structures import Boxes, Detections
    from boxmot.trackers.config import load_tracker_config

    settings = load_tracker_config(name.lower())
    settings |= settings_of(settings, clip) if our_rule else {}
    if "use_embeddings" in settings:
        settings["use_embeddings"] = clip.vectors is not None
    pictures = clip.vectors is not None and clip.path is not None
    follower, blank = getattr(package, name)(**settings), np.zeros((*clip.size[::-1], 3), np.uint8)
    given = []
    for i, table in enumerate(clip.boxes):
        corners = np.ascontiguousarray(table[BOX], np.float32).reshape(-1, 4)
        score = torch.tensor(table["confidence"].to_numpy(np.float32))
        vectors = clip.vectors and torch.tensor(np.nan_to_num(clip.vectors[i]))
        kinds = torch.zeros(len(table), dtype=torch.int64)
        given.append(
            Detections(Boxes(torch.tensor(corners)), score, kinds, str(i), embeddings=vectors)
        )

    def step(i, image):
        found = follower.update(given[i], blank if image is None else image[..., ::-1])
        return np.column_stack([found.geometry.values, found.track_ids])

    return run(clip, step, pictures)


class Rival(NamedTuple):
    """A tracker beside ours: `follow(clip, our_rule)`; if it works without and with vectors."""

    name: str
    follow: Callable
    takes: tuple[bool, bool]


def rivals() -> list[Rival]:
    """Return the rivals that are installed."""
    import trackers

    motion, either, looks = (True, False), (True, True), (False, True)
    kinds = [name for name in dir(trackers) if name.endswith("Tracker")]
    kinds.remove("McByteTracker")  # BoT-SORT once more, for those who have masks
    found = [(roboflow, kind, motion) for kind in kinds]
    if find_spec("ultralytics") and find_spec("lap"):
        found += [(ultralytics, kind, motion) for kind in ("bytetrack", "ocsort", "fasttrack")]
        found += [(ultralytics, kind, either) for kind in ("botsort", "deepocsort", "tracktrack")]
    if find_spec("boxmot"):
        found += [(boxmot, kind, motion) for kind in ("ByteTrack", "OcSort", "SFSORT")]
        found += [(boxmot, kind, looks) for kind in ("BotSort", "DeepOcSort", "StrongSort")]
    return [
        Rival(f"{kind.removesuffix('Tracker')} ({follow.__name__})", partial(follow, kind), takes)
        for follow, kind, takes in found
    ]
