"""Footage of people: heads blurred, and a record of consent and of when to delete."""

import copy
import datetime
import functools
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from reidlib import assets, boxes
from reidlib.boxes import BOX
from reidlib.collection import capture, encoding, video

CONSENT = ("given", "refused", "withdrawn", "not needed")
HEAD = 0.2  # share of a standing person's box, from the top, that the head is in
FAINT = 0.1  # confidence of boxes at which heads are blurred; a tree more does no harm
HOLD = 2  # frames before and after its own for which a box hides a head
ALIKE = 0.85  # overlap from which two boxes hide the same head
RETENTION = "retention.csv"
KEEP = 30  # days, unless somebody says otherwise


def blur_heads(
    image: np.ndarray, people, share: float = HEAD, pixelate: bool = False
) -> np.ndarray:
    """Return the image with every head blurred, or with `pixelate` shown as a few flat tiles.

    `people` are boxes of whole people, (N, 4). A head is a soft-edged ellipse around the top
    `share` of a box. All detail is averaged over a third of that share, whatever the resolution,
    so that sharpening does not bring a face back. No guarantee: gait and clothes still identify,
    and a person without a box stays as they are.
    """
    height, width = image.shape[:2]
    result = image.copy()
    for box in boxes.as_boxes(people).astype(float):
        centre, radius, tall = _ellipse(box, share)
        corners = [c + sign * r for sign in (-1, 1) for c, r in zip(centre, radius)]
        left, top, right, bottom = np.rint(boxes.clip(corners, width, height)[0]).astype(int)
        if right <= left or bottom <= top:
            continue
        part = result[top:bottom, left:right]
        y, x = np.ogrid[top:bottom, left:right]
        distance = np.hypot((x + 0.5 - centre[0]) / radius[0], (y + 0.5 - centre[1]) / radius[1])
        opacity = np.clip((1 - distance) / 0.15, 0, 1)[..., None]
        hidden = _average(part, tall / 3, pixelate)
        part[:] = np.rint(part * (1 - opacity) + hidden * opacity)
    return result


def _ellipse(box: np.ndarray, share: float) -> tuple[tuple, tuple, float]:
    """Return centre, radii (across, down) and height of the head that a person's box suggests."""
    x1, y1, x2, y2 = box
    tall = (y2 - y1) * share
    return ((x1 + x2) / 2, y1 + tall / 2), (min(x2 - x1, 0.75 * tall), 0.75 * tall), tall


def bare_heads(people, found, share: float = HEAD) -> np.ndarray:
    """Return which people (N, 4) keep their face when only the boxes `found` (M, 4) are blurred.

    A face is bare when the middle of the head lies in none of the ellipses that `blur_heads` draws.
    """
    middles = np.array([_ellipse(box, share)[0] for box in boxes.as_boxes(people)]).reshape(-1, 2)
    bare = np.ones(len(middles), bool)
    for box in boxes.as_boxes(found):
        centre, radius, _ = _ellipse(box, share)
        bare &= np.hypot(*((middles - centre) / radius).T) > 1
    return bare


def _average(part: np.ndarray, tile: float, pixelate: bool) -> np.ndarray:
    """Reduce an image to one colour a tile and bring it back to its size."""
    height, width = part.shape[:2]
    tile = max(tile, 2.0)  # far people too
    size = max(1, round(width / tile)), max(1, round(height / tile))
    tiles = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    # Interpolating between the tiles' colours says no more than the colours themselves, while a
    # Gaussian blur can be undone in part.
    how = cv2.INTER_NEAREST if pixelate else cv2.INTER_CUBIC
    return cv2.resize(tiles, (width, height), interpolation=how)


def head_blur(
    table: pd.DataFrame, share: float = HEAD, pixelate: bool = False, hold: int = HOLD
) -> Callable[[int, np.ndarray], np.ndarray]:
    """Return a function that blurs heads in a frame, given its number and its image (H, W, 3).

    `table` has frame and x1 y1 x2 y2. A box also counts for the `hold` frames before and after its
    own, as detectors miss people now and then; see `blur_heads`.
    """
    corners, rows_of = table[BOX].to_numpy(), table.groupby("frame").indices
    nobody = np.zeros(0, int)

    def blur(index: int, image: np.ndarray) -> np.ndarray:
        near = [rows_of.get(index + i, nobody) for i in range(-hold, hold + 1)]
        return blur_heads(image, _distinct(corners[np.concatenate(near)]), share, pixelate)

    return blur


def _distinct(people: np.ndarray) -> np.ndarray:
    """Return boxes (N, 4) without those that nearly repeat an earlier one: blurring takes time."""
    return people[boxes.nms(people, np.ones(len(people)), ALIKE)]


class Heads:
    """Remembers where a detector saw people, faint boxes too, to blur heads in what is shown.

    Tracks alone are too little, as they leave out who was seen once: on the bundled day clips their
    boxes leave 3 to 5 % of the heads in sight, and these .4 to .6 %. With a `share` of 0 nothing is
    remembered and nothing blurred.
    """

    def __init__(self, share: float = HEAD, hold: int = HOLD):
        self.share, self.hold = share, hold
        self._boxes: list[np.ndarray] = []  # (N, 4), one a frame

    def watch(self, detector: Callable) -> Callable:
        """Return a detector that does the same, and whose boxes are remembered, frame by frame."""
        if not self.share:
            return detector
        if hasattr(detector, "raw"):
            watched = copy.copy(detector)

            def raw(images):
                found = detector.raw(images)
                for candidates in found:
                    seen = candidates[candidates[:, 4] >= FAINT]
                    kept = boxes.nms(seen[:, :4], seen[:, 4], 0.5)
                    self._boxes.append(seen[kept, :4])
                return found

            watched.raw = raw
            return watched

        def find(images):
            tables = detector(images)
            self._boxes += [table[BOX].to_numpy(np.float32) for table in tables]
            return tables

        return functools.update_wrapper(find, detector)

    def blur(self, index: int, image: np.ndarray, tracks: pd.DataFrame) -> np.ndarray:
        """Return frame `index` (H, W, 3) blurred at its tracks and at what is seen around it."""
        if not self.share:
            return image
        near = self._boxes[max(index - self.hold, 0) : index + self.hold + 1]
        people = _distinct(np.concatenate([tracks[BOX].to_numpy(), *near]))
        return blur_heads(image, people, self.share)

    @property
    def table(self) -> pd.DataFrame:
        """All boxes, frame x1 y1 x2 y2: for `head_blur`."""
        found = pd.DataFrame(np.concatenate([np.empty((0, 4)), *self._boxes]), columns=BOX)
        counts = [len(seen) for seen in self._boxes]
        found.insert(0, "frame", np.repeat(np.arange(len(counts)), counts))
        return found


def blur_video(
    source: capture.Source,
    target: str | Path,
    table: pd.DataFrame,
    share: float = HEAD,
    pixelate: bool = False,
    hold: int = HOLD,
) -> int:
    """Write a copy of a video with heads blurred at the boxes of `table` (frame, x1 y1 x2 y2).

    Returns the number of frames; `hold` is as for `head_blur`, the rest as for `blur_heads`.
    """
    source = video.open(source)
    about = source.about
    blur = head_blur(table, share, pixelate, hold)
    with encoding.Writer(target, about.fps) as writer:
        frames = tqdm(source.read(), "blur", about.frames, unit="frame", leave=False, delay=2)
        for index, _, image in frames:
            writer.write(blur(index, image))
    return writer.frames


def consent_record(rows: Iterable[Mapping]) -> pd.DataFrame:
    """Return a record of footage: one row a clip and person, with the day to delete it.

    A row gives ``clip``, ``person``, ``purpose``, ``consent`` (given, refused, withdrawn, not
    needed), ``recorded`` (a date) and ``keep_days``; ``delete_after`` is added. Raises ValueError
    for missing or impossible entries. It follows the idea of storage limitation (GDPR, article
    5(1)(e)) and is no legal advice.

    >>> record = consent_record([dict(clip="a.mp4", person="P1", purpose="course",
    ...     consent="given", recorded="2026-01-10", keep_days=30)])
    >>> str(record.delete_after[0].date())
    '2026-02-09'
    """
    fields = ["clip", "person", "purpose", "consent", "recorded", "keep_days"]
    record = pd.DataFrame(list(rows)).reindex(columns=fields)
    if record.isna().any(axis=None):
        row, column = (int(i[0]) for i in np.nonzero(record.isna().to_numpy()))
        raise ValueError(f"row {row} of the record lacks {fields[column]!r}; fill in every field")
    wrong = record[~record.consent.isin(CONSENT)]
    if len(wrong):
        raise ValueError(f"consent {wrong.consent.iloc[0]!r}; choose from {', '.join(CONSENT)}")
    try:
        record["keep_days"] = pd.to_numeric(record.keep_days)
        record["recorded"] = pd.to_datetime(record.recorded, format="ISO8601")
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{error}; give recorded as 2026-01-31, for 10.01. and 01.10. look alike, and "
            "keep_days as a number"
        ) from error
    if (record.keep_days < 0).any():
        raise ValueError("keep_days below 0; say for how many days the clip may be kept")
    record["delete_after"] = record.recorded + pd.to_timedelta(record.keep_days, unit="D")
    return record


def due_for_deletion(record: pd.DataFrame, today: datetime.date | str) -> pd.DataFrame:
    """Return the rows whose time is over on `today`, or whose consent is refused or withdrawn.

    `record` has the column delete_after, and may have consent.
    """
    due = pd.to_datetime(record["delete_after"]) < pd.Timestamp(today)
    if "consent" in record:
        due |= record["consent"].isin(["refused", "withdrawn"])
    return record[due]


# The record of what was written: one table a folder of results


def keep_days(text: str) -> int:
    """Return the days of a text such as "30d" or "2w"; ValueError for anything else.

    >>> keep_days("2w")
    14
    """
    match = re.fullmatch(r"(\d{1,5})([dw])", text)
    if not match:
        raise ValueError(f"{text!r} is no time to keep files; expected days or weeks: 30d, 2w")
    return int(match[1]) * {"d": 1, "w": 7}[match[2]]


def note_retention(
    written: Iterable[Path], command: str, days: int = KEEP, now: datetime.datetime | None = None
) -> list[Path]:
    """Note in retention.csv which files a command wrote and when to delete them.

    `written` are whole paths, as from assets.noting_writes. Each folder of results has a record,
    which also counts what lies in folders below: columns file, command, written, keep_days,
    delete_after and sha256, the checksum by which `forget` knows the file again. A file that was
    written anew is noted anew. Returns the paths of the records.
    """
    now = now or datetime.datetime.now(datetime.UTC)
    files = {Path(path) for path in written if Path(path).is_file()}
    files = {path for path in files if not path.is_relative_to(assets.cache().resolve())}
    folders = {path.parent for path in files}
    rows: dict[Path, list[dict]] = {}
    for path in sorted(files):
        folder = min(folders.intersection(path.parents), key=lambda parent: len(parent.parts))
        row = {
            "file": path.relative_to(folder).as_posix(),
            "command": command,
            "written": now.isoformat(timespec="seconds"),
            "keep_days": days,
            "delete_after": (now + datetime.timedelta(days=days)).date().isoformat(),
            "sha256": assets.sha256(path),
        }
        rows.setdefault(folder, []).append(row)
    for folder, added in rows.items():
        record = pd.DataFrame(added)
        if (folder / RETENTION).exists():
            try:
                before = read_retention(folder)
                record = pd.concat([before[~before["file"].isin(record["file"])], record])
            except ValueError as error:  # what was just made is not thrown away for it
                warnings.warn(f"{error}; it is begun anew", stacklevel=2)
        _write_retention(folder, record)
    return [folder / RETENTION for folder in rows]


def read_retention(folder: str | Path) -> pd.DataFrame:
    """Return the record in a folder of results, a row a file; ValueError if there is none."""
    path = Path(folder) / RETENTION
    if not path.is_file():
        raise ValueError(
            f"{folder} holds no {RETENTION}; expected a folder of results that a command wrote"
        )
    try:
        record = pd.read_csv(path, dtype=str)
        boxes.require(record, ["file", "delete_after", "sha256"], str(path))
        record["delete_after"] = pd.to_datetime(record["delete_after"], format="ISO8601").dt.date
        if record[["file", "delete_after", "sha256"]].isna().any(axis=None):
            raise ValueError("a file, a day or a checksum is missing")
    except (ValueError, AttributeError) as error:  # pandas' parser errors are ValueErrors
        raise ValueError(
            f"{path} is no record of files that can be read ({assets.reason(error)})"
        ) from error
    return record


def _write_retention(folder: Path, record: pd.DataFrame) -> None:
    with assets.atomic(folder / RETENTION) as temporary:
        record.to_csv(temporary, index=False)


def forget(
    folder: str | Path, today: datetime.date | str, dry_run: bool = False
) -> tuple[list[Path], list[str]]:
    """Delete the files of a folder of results that are due on `today`, and strike them off.

    Only what the record lists, as it was written, is deleted: no file that somebody changed or put
    there since, and nothing outside the folder. Returns what was deleted (with `dry_run`, what
    would be) and a sentence for each file that was due and is still there.
    """
    folder, deleted, kept = Path(folder), [], []
    record = read_retention(folder)
    due, struck = due_for_deletion(record, today), []
    for row in due.itertuples():
        path = folder / row.file
        reason = _why_not_ours(path, folder, row.sha256)
        if not reason and path.exists():
            try:
                if not dry_run:
                    path.unlink()
                deleted.append(path)
            except OSError as error:
                reason = f"cannot be deleted: {error.strerror}"
        if reason:
            kept.append(f"{path} {reason}")
        else:
            struck.append(row.Index)
    if not dry_run and len(struck):
        left = record.drop(index=struck)
        if len(left):
            _write_retention(folder, left)
        else:
            (folder / RETENTION).unlink()
        for parent in {path.parent for path in deleted} - {folder}:
            if not any(parent.iterdir()):
                parent.rmdir()
    return deleted, kept


def _why_not_ours(path: Path, folder: Path, checksum: str) -> str:
    """Return why a file may not be deleted, "" if it may."""
    if not path.resolve().is_relative_to(folder.resolve()) or path.is_symlink():
        return "is a link, or lies outside the folder; it was left alone"
    if path.is_dir() or (path.exists() and assets.sha256(path) != checksum):
        return "is not as it was written; it was left alone, delete it if it shows people"
    return ""
