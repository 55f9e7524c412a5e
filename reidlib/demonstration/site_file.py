"""A site file, site.toml: all that is known of a place and its cameras, read and begun.

It says which video is whose and when it begins, where cameras overlap, how far they are apart, what
ground they see, which regions do not count, and how to look at it. Every mistake in one is told in
a sentence by the key that holds it.
"""

import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import cv2
import jinja2
import numpy as np

from reidlib import assets
from reidlib.collection import cameras, video
from reidlib.demonstration import films, place, provenance
from reidlib.features.extractors import FLIP

KEYS = ["cameras", "overlap", "travel", "calibration", "detector", "classes", "features"]
KEYS += ["threshold"]
CAMERA_KEYS = ["video", "start", "truth", "ground", "masks"]
TEMPLATE = Path(__file__).parent / "site.toml.jinja"
WEIGHTS = (".pt", ".pth", ".onnx", ".xml")


def read(path: str | Path) -> place.Site:
    """Return what a site file (TOML) says; relative paths in it are relative to the file.

    Raises ValueError in one sentence that names the key for what is unknown, missing or cannot be
    right, FileNotFoundError where there is no such file.
    """
    path = Path(path)
    try:
        text = path.read_text("utf-8-sig")
        document = tomllib.loads(text)
    except (UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is not TOML: {error}; expected a site file") from error
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        line = text.splitlines()[int(found[1]) - 1].strip() if found else ""
        raise ValueError(f"{path} is not TOML: {error}{line and f': {line[:60]}'}") from error
    try:
        return _site(document, path.parent)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _site(said: dict, folder: Path) -> place.Site:
    _check_keys(said, KEYS)
    listed = said.get("cameras")
    if not isinstance(listed, dict) or not listed:
        raise ValueError("cameras: there is none; expected a table [cameras.NAME] for each")
    for name in listed:  # films and tracks are called after it
        if not name or set(name) & set("/\\\0") or name in (".", "..", films.TOGETHER):
            raise ValueError(f"cameras.{name}: no file can have this name; give the camera another")
    calibrations = None
    if "calibration" in said:
        calibrations = cameras.read_cameras(_file(said["calibration"], folder, "calibration"))
    found = {
        name: _camera(camera, f"cameras.{name}", folder, calibrations)
        for name, camera in listed.items()
    }
    starts, began = _on_one_clock({name: camera.start for name, camera in found.items()})
    names = list(found)
    overlap, travel = said.get("overlap"), said.get("travel", {})
    if not isinstance(overlap, list | None) or not isinstance(travel, dict):
        raise ValueError('overlap is a list, ["a,b"], and travel a table, "a,b" = "8s"')
    site = place.Site(
        cameras={name: replace(found[name], start=starts[name]) for name in names},
        detector=_weights(said.get("detector", "auto"), folder, "detector"),
        classes=_classes(said.get("classes")),
        features=_weights(said.get("features", "auto"), folder, "features"),
        threshold=kept_threshold(said).get("value"),
        began=began,
    )
    return place.known(names, site, *between(names, overlap, travel.items()))


def between(
    names: Sequence[str], overlap: Iterable | None, travel: Iterable[tuple] | None
) -> tuple[list | None, dict | None]:
    """Return overlap and travel as `matching.link` takes them, None as None.

    `overlap` holds pairs such as "door,yard", `travel` a pair and a time, such as "8s", each.
    """
    if overlap is not None:
        overlap = [_pair(text, names, "overlap") for text in overlap]
    if travel is not None:
        travel = [(_pair(text, names, "travel"), _seconds(time, text)) for text, time in travel]
        if len({frozenset(pair) for pair, _ in travel}) < len(travel):
            raise ValueError("travel: a pair of cameras is given twice; a time holds both ways")
        travel = dict(travel)
    return overlap, travel


def _camera(said, where: str, folder: Path, calibrations: Mapping | None) -> place.Camera:
    if not isinstance(said, dict):
        raise ValueError(f"{where} is {said!r:.60}; expected a table, [{where}]")
    _check_keys(said, CAMERA_KEYS, where)
    if "video" not in said:
        raise ValueError(f"{where}.video is missing; name the camera's recording")
    calibration, name = None, where.partition(".")[2]
    if "ground" in said:
        calibration = {"ground": _ground(said["ground"], f"{where}.ground")}
    elif calibrations is not None:
        if name not in calibrations:
            raise ValueError(f"calibration: no camera {name!r}{near(name, calibrations)}")
        calibration = calibrations[name]
    masks = said.get("masks", [])
    if not isinstance(masks, list):
        raise ValueError(f"{where}.masks is {masks!r:.60}; expected a list of polygons")
    return place.Camera(
        video=_file(said["video"], folder, f"{where}.video", live=True),
        start=_start(said.get("start", 0.0), f"{where}.start"),
        truth=_file(said["truth"], folder, f"{where}.truth") if "truth" in said else None,
        calibration=calibration,
        masks=[_polygon(mask, f"{where}.masks, number {i}") for i, mask in enumerate(masks, 1)],
    )


def _check_keys(said: Mapping, allowed: Sequence[str], where: str = "") -> None:
    for key in said:
        if key not in allowed:
            name = f"{where}.{key}" if where else key
            raise ValueError(f"{name}: there is no such key{near(key, allowed)}")


def near(word: str, words: Iterable[str]) -> str:
    """Return ", did you mean ...?", if a word is like one of `words`, and then what there is."""
    close = difflib.get_close_matches(word, list(words), 1)
    return f"{f', did you mean {close[0]!r}?' if close else ';'} there are {', '.join(words)}"


def _text(said, key: str) -> str:
    if not isinstance(said, str) or not said or "\0" in said:
        raise ValueError(f"{key} is {said!r:.60}; expected a name in quotes")
    return said


def _file(said, folder: Path, key: str, live: bool = False) -> Path | str:
    """Return the path of a file or folder that is there; `live`: or an address, or a webcam."""
    if live and ("://" in _text(said, key) or said.isdigit()):
        return said
    path = folder / _text(said, key)
    if not path.exists():
        raise ValueError(f"{key}: there is no {path}; paths are relative to the site file")
    return path


def _weights(said, folder: Path, key: str) -> str:
    """Return a name as it is, and a path of weights as one that holds from where we are."""
    said = _text(said, key)
    plain = said.removesuffix(FLIP)
    is_path = "/" in plain or plain.endswith(WEIGHTS)
    return str(_file(plain, folder, key)) + said[len(plain) :] if is_path else said


def _is_number(said) -> bool:
    return isinstance(said, int | float) and not isinstance(said, bool) and abs(said) < 1e11


def kept_threshold(document: Mapping) -> dict:
    """Return what a site file says of its threshold, as its table [threshold] does; {}: nothing.

    A line "threshold = 0.4" is that table with nothing but a value: a guess, or what another place
    taught. labelling.decide stores besides what was measured, and for which weights it holds.
    Raises ValueError for what is no cosine distance.
    """
    said = document.get("threshold", {})
    kept = said if isinstance(said, dict) else {"value": said}
    value = kept.get("value")
    if "threshold" in document and not (_is_number(value) and 0 <= value <= 2):
        raise ValueError(f"threshold is {value!r}; expected a cosine distance from 0 to 2")
    return kept


def _classes(said) -> list[str | int] | None:
    names = isinstance(said, list) and all(type(name) in (str, int) for name in said)
    if said is None or (names and said):
        return said
    raise ValueError(f'classes is {said!r:.60}; expected a list of names, such as ["cat", "dog"]')


def _start(said, key: str) -> float | datetime:
    if isinstance(said, str):
        try:
            return datetime.fromisoformat(said)
        except ValueError:
            pass
    if isinstance(said, datetime):
        return said
    if not _is_number(said):
        raise ValueError(
            f"{key} is {str(said)[:60]!r}; expected seconds of one clock, or a date and time such "
            "as 2026-11-27T14:02:10"
        )
    return float(said)


def _on_one_clock(starts: Mapping) -> tuple[Mapping[str, float], datetime | None]:
    """Return when each camera begins, seconds after the first of them, and when that was.

    Where all are seconds already they stay as they are.
    """
    dated = {name: start for name, start in starts.items() if isinstance(start, datetime)}
    if not dated:
        return starts, None
    for name, start in starts.items():
        if name not in dated:
            raise ValueError(
                f"cameras.{name}.start is {start:g} where others have a date; give all cameras "
                "seconds, or all a date and time"
            )
    if len({start.tzinfo is None for start in dated.values()}) > 1:
        raise ValueError("cameras: some starts have a time zone and some have none; give all one")
    began = min(dated.values())
    return {name: (start - began).total_seconds() for name, start in dated.items()}, began


def _pair(said, names: Sequence[str], key: str) -> tuple[str, str]:
    """Return the cameras that "door,yard" names; the comma may also belong to a name."""
    parts = said.split(",") if isinstance(said, str) else []
    halves = [(",".join(parts[:i]), ",".join(parts[i:])) for i in range(1, len(parts))]
    cuts = [(first.strip(), second.strip()) for first, second in halves]
    if not cuts:
        raise ValueError(f'{key}: {said!r:.60} is no pair of cameras; expected such as "a,b"')
    pair = next((cut for cut in cuts if set(cut) <= set(names)), None)
    if pair is None:
        unknown = next(name for name in cuts[0] if name not in names)
        raise ValueError(f"{key}: there is no camera {unknown!r}{near(unknown, names)}")
    if pair[0] == pair[1]:
        raise ValueError(f"{key}: {said!r} names one camera twice; expected two")
    return pair


def _seconds(said, pair: str) -> float:
    """Return a time, 8 or "8s", in seconds."""
    found = re.fullmatch(r"(\d{1,9}(?:\.\d+)?)\s*(ms|s|min|h|)", str(said).strip(), re.ASCII)
    if not found:
        raise ValueError(f"travel, {pair}: {said!r:.60} is no time; expected 0 or more, as in 8s")
    return float(found[1]) * {"ms": 0.001, "s": 1, "": 1, "min": 60, "h": 3600}[found[2]]


def _points(said, key: str, least: int, exact: bool = False) -> np.ndarray:
    """Return points [[x, y], ...] as an array (N, 2)."""
    pairs = isinstance(said, list) and all(isinstance(p, list) and len(p) == 2 for p in said)
    if not pairs or not all(_is_number(value) for point in said for value in point):
        raise ValueError(f"{key} is {said!r:.60}; expected points, [[x, y], [x, y], ...]")
    if len(said) < least or (exact and len(said) > least):
        wanted = f"{least}" if exact else f"{least} or more"
        raise ValueError(f"{key} holds {len(said)} points; expected {wanted}")
    return np.array(said, float)


def _ground(said, where: str) -> np.ndarray:
    if not isinstance(said, dict):
        raise ValueError(f"{where} is {said!r:.60}; expected a table, [{where}]")
    _check_keys(said, ["image", "plan"], where)
    image, plan = (_points(said.get(key), f"{where}.{key}", 4, True) for key in ("image", "plan"))
    try:
        return cameras.ground_from_points(image, plan)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _polygon(said, key: str) -> np.ndarray:
    points = _points(said, key, 3).astype(np.float32)
    if cv2.contourArea(points) < 1:
        raise ValueError(f"{key} has no area; its points lie on a line")
    return points


def camera(site: place.Site, name: str | None) -> place.Camera:
    """Return a camera of a site by its name, which is not needed where there is only one."""
    if name is None and len(site.cameras) == 1:
        name = next(iter(site.cameras))
    if name not in site.cameras:
        said = "which camera" if name is None else f"there is no camera {name!r}"
        raise ValueError(f"--camera: {said}{near(name or '', site.cameras)}")
    return site.cameras[name]


# Four points of a camera's ground, kept in a file that somebody wrote


def ground_points(text: str, name: str) -> tuple[list, list] | None:
    """Return a camera's points in the image and on the plan, as a site file's text has them."""
    said = tomllib.loads(text).get("cameras", {}).get(name, {}).get("ground")
    if said is None:
        return None
    _ground(said, f"cameras.{name}.ground")
    return said["image"], said["plan"]


def with_ground(text: str, name: str, image, plan) -> str:
    """Return a site file's text with four points of a camera's ground in place of those it had.

    `image` (pixels) and `plan` (metres) are as for cameras.ground_from_points, which says in a
    ValueError why points give no ground. All else stays as it is; ValueError where it could not.
    """
    image, plan = (np.round(np.asarray(points, float), 3).tolist() for points in (image, plan))
    _ground({"image": image, "plan": plan}, f"cameras.{name}.ground")
    if re.fullmatch(r"[\w-]+", name, re.ASCII):
        header = rf'\[cameras\.(?:{name}|"{name}")\]'
    else:
        header = rf"\[cameras\.{re.escape(_quoted(name))}\]"
    found = re.search(rf"(?m)^{header}.*\n(?:(?!\[).*\n?)*", text)
    if found is None:
        raise ValueError(f"the site file has no table [cameras.{name}]; begin it with `site` first")
    kept = re.sub(r"(?m)^ground\.(?:image|plan) *=.*\n?", "", found[0])
    lines = f"ground.image = {image}\nground.plan = {plan}\n"
    changed = text[: found.start()] + f"{kept.rstrip()}\n{lines}\n" + text[found.end() :]
    try:
        as_before = _without_ground(changed, name) == _without_ground(text, name)
    except tomllib.TOMLDecodeError:
        as_before = False
    if not as_before:
        raise ValueError(
            f"the site file is not TOML, or writes cameras.{name}.ground in another way than in "
            "two lines, ground.image and ground.plan; delete it there, and try again"
        )
    return changed


def _without_ground(text: str, name: str) -> dict:
    said = tomllib.loads(text)
    said["cameras"][name].pop("ground", None)
    return said


# The first one, for somebody to fill in


def write(path: str | Path, videos: Sequence[str | Path]) -> place.Site:
    """Write a site file for videos, a camera each, with comments on what it may say; return it.

    The cameras are named after their files. When they begin is told by the files' creation_time
    where all of them have one, else it is left at 0. Raises FileExistsError where there is a file
    already, as somebody may have filled it in, and ValueError for what is no recording.
    """
    path = Path(path)
    if path.exists():
        raise FileExistsError(f"{path} is there already; choose another name, or delete it first")
    names = [Path(video).stem for video in videos]
    if len(set(names)) < len(names) or films.TOGETHER in names:
        names = [f"{number}_{name}" for number, name in enumerate(names, 1)]
    abouts = [video.probe(source) for source in videos]
    created = [created_at(source) for source in videos]
    described = [
        {
            "name": name if re.fullmatch(r"[\w-]+", name, re.ASCII) else _quoted(name),
            "video": _quoted(provenance.relative(source, path.parent)),
            "about": about,
            "start": begin.isoformat() if all(created) else "0.0",
        }
        for name, source, about, begin in zip(names, videos, abouts, created)
    ]
    text = jinja2.Template(TEMPLATE.read_text("utf-8"), trim_blocks=True).render(
        cameras=described, dated=all(created), pair=_quoted(",".join((*names, "other")[:2]))
    )
    with assets.atomic(path) as temporary:
        temporary.write_text(text, "utf-8")
    return read(path)


def created_at(source: str | Path) -> datetime | None:
    """Return when a file says that it was recorded (tag creation_time), None if it does not.

    A clock that was never set says 1904 or 1970, which is not believed.
    """
    import av

    if not Path(source).is_file():
        return None
    with av.open(f"file:{Path(source).absolute()}", metadata_errors="replace") as container:
        tags = [container.metadata, *(stream.metadata for stream in container.streams.video)]
    said = next((tag["creation_time"] for tag in tags if "creation_time" in tag), "")
    try:
        moment = datetime.fromisoformat(said)
    except ValueError:
        return None
    return moment if moment.year > 1990 else None


def _quoted(text: str) -> str:
    """Return a text as TOML writes it, which is as JSON does."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
