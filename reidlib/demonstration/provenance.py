"""What made a result: networks by their checksums, the threshold, the recordings; kept beside it.

A vector means something only to the network that made it, and a distance only beside the threshold
that was chosen for it. So features.npz has a features.json, for whoever goes on with them.
"""

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from reidlib import assets
from reidlib.demonstration.place import Camera
from reidlib.features.extractors import FLIP

# The bundled networks exist in two forms each, of which one is looked at.
BUNDLED = {"features": "plaza_embedding.onnx", "detector": "plaza_detector.pt"}


def is_file(name: str, folder: Path | None = None) -> bool:
    """Say whether a name is that of weights in a file, or in a folder as OpenVINO exports them.

    A folder of results that happens to be called "plaza" is none.
    """
    path = (folder or Path()) / name
    return (bool(path.suffix) and path.is_file()) or any(path.glob("*.bin"))


def weights_of(name: str, kind: str) -> Path | None:
    """Return the file with the weights of "features" or a "detector", None if it has no such file.

    Histograms have none, and the weights of torchvision's networks are known by their names.
    """
    path = Path(name)
    if not is_file(name):
        downloaded = assets.cache() / f"{path.stem}.pt"
        bundled = name == "plaza"
        path = assets.data("weights", BUNDLED[kind]) if bundled else downloaded
    elif path.is_dir():
        path = next(path.glob("*.bin"))
    elif path.suffix == ".xml":  # the layers; the numbers lie beside it
        path = path.with_suffix(".bin")
    return path if path.is_file() else None


def describe(tool, kind: str) -> dict:
    """Return the name of a detector or an extractor, and the SHA-256 of its weights or None."""
    name = getattr(tool, "name", "custom")
    plain = name.removesuffix(FLIP)
    weights = weights_of(plain, kind)
    # Vectors of mirrored crops are another network's: no threshold holds for both.
    checksum = weights and assets.sha256(weights) + name[len(plain) :]
    about = {"name": name, "sha256": checksum}
    if kind == "features":
        about["threshold"] = getattr(tool, "threshold", None)
    else:
        about["classes"] = getattr(tool, "classes", None)
    return about


def both(detector, extractor) -> dict:
    """Return `describe` of a detector and of an extractor, by kind."""
    return {
        "detector": describe(detector, "detector"), "features": describe(extractor, "features")
    }  # fmt: skip


def relative(path: str | Path, folder: Path) -> str:
    """Return a path as seen from a folder, or, on Windows from another drive, the whole path."""
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:
        return Path(path).absolute().as_posix()


def write(
    features: Path,
    detector,
    extractor,
    cameras: Mapping[str, Camera],
    began=None,
    overlap: Sequence[tuple[str, str]] | None = None,
    travel: Mapping[tuple[str, str], float] | None = None,
) -> None:
    """Write what made a file of features, .npz, to the .json beside it.

    `detector` is None where boxes were given; of `cameras` the video and the start are kept, and
    `began` is when their common clock shows 0, if anybody knows. `overlap` and `travel` are as for
    matching.link: labels of pairs mean something only beside who could be whom. Paths are relative
    to the folder.
    """
    folder, made = features.parent, {"features": describe(extractor, "features")}
    if detector is not None:
        made["detector"] = describe(detector, "detector")
    for tool in made.values():
        if is_file(tool["name"]):
            tool["name"] = relative(tool["name"], folder)
    made["began"] = began and began.isoformat()
    made["overlap"] = overlap if overlap is None else [list(pair) for pair in overlap]
    made["travel"] = [[*pair, seconds] for pair, seconds in (travel or {}).items()]
    made["cameras"] = {
        name: {"video": relative(camera.video, folder), "start": camera.start}
        for name, camera in cameras.items()
        if os.path.exists(camera.video)  # not an address, which may hold a password
    }
    write_json(features.with_suffix(".json"), made)


def read(features: Path) -> dict:
    """Return what `write` wrote beside a file of features; {} where there is nothing.

    The names of weights and videos that are files hold from where we are. Raises ValueError for
    what is no such record.
    """
    path, folder = features.with_suffix(".json"), features.parent
    if not path.is_file():
        return {}
    try:
        made = json.loads(path.read_text("utf-8"))
        for tool in [made["features"], *([made["detector"]] if "detector" in made else [])]:
            if is_file(tool["name"], folder):
                tool["name"] = str(folder / tool["name"])
        for camera in made["cameras"].values():
            camera |= {"video": folder / camera["video"], "start": float(camera["start"])}
        _ = known_place(made)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{path} does not say what made the features beside it ({type(error).__name__}); "
            "run demo or extract again"
        ) from error
    return made


def known_place(made: Mapping) -> dict:
    """Return the overlap and travel that a result was made with, as keywords of matching.link.

    `made` is as from `read`; results from before these were written down know neither.
    """
    overlap = made.get("overlap")
    travel = {(a, b): float(seconds) for a, b, seconds in made.get("travel", ())}
    return {"overlap": overlap and [(a, b) for a, b in overlap], "travel": travel}


def check_same(made: Mapping, extractor, path: Path) -> None:
    """Raise ValueError unless an extractor is the one that made the features of `path`."""
    check_alike(made["features"], describe(extractor, "features"), path)


def check_alike(before: Mapping, now: Mapping, path: str | Path) -> None:
    """Raise ValueError unless two networks, as `describe` gives them, are one and the same."""
    if before["sha256"] != now["sha256"] or (
        now["sha256"] is None and before["name"] != now["name"]
    ):
        marks = [
            f"{Path(a['name']).name} ({(a['sha256'] or 'no weights')[:12]})" for a in (before, now)
        ]
        raise ValueError(
            f"{path} was made with the features {marks[0]}, these are {marks[1]}; vectors of two "
            "networks cannot be compared, so give the first or run demo again"
        )


def write_json(path: str | Path, values: Mapping) -> None:
    """Write numbers as JSON, NumPy's as Python's and NaN as null."""

    def plain(value):
        if isinstance(value, Mapping):
            return {str(key): plain(item) for key, item in value.items()}
        if isinstance(value, np.generic | np.ndarray | pd.Series):
            value = value.tolist()
        if isinstance(value, list | tuple | set | frozenset):
            return [plain(item) for item in value]
        if isinstance(value, float):
            return round(value, 4) if math.isfinite(value) else None
        return value if isinstance(value, int | bool | type(None)) else str(value)

    with assets.atomic(path) as temporary:
        temporary.write_text(json.dumps(plain(values), indent=1), encoding="utf-8")
