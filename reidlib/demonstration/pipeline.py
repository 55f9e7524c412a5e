"""The whole pipeline: clips in; films, figures and a report with one number a person out."""

import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from reidlib import assets
from reidlib.boxes import BOX
from reidlib.collection import cameras, formats, privacy, quality, video
from reidlib.demonstration import (
    averages,
    counts,
    films,
    labelling,
    matching,
    place,
    provenance,
    report,
    sampling,
    site_file,
    summary,
)
from reidlib.detection import detectors, looks, scores, tracking
from reidlib.detection.pieces import blocks
from reidlib.features import extractors, real_people, vectors
from reidlib.words import counted

COUNTS, PAIRS = "counts.csv", "pairs*.csv"  # visitors a camera and hour; labels, if there are any


@dataclass
class Clip:
    """One camera's video, and what was found in it."""

    camera: str
    path: Path
    about: video.Probe
    truth: pd.DataFrame | None = None
    calibration: dict | None = None
    start: float = 0.0  # seconds on the clock that all cameras share
    table: pd.DataFrame | None = None  # a row a box: camera frame time track x1..y2 confidence
    samples: pd.DataFrame | None = None  # what `vectors` belong to; None: the boxes in `table`
    vectors: np.ndarray | None = None  # (M, D), a row a sample, NaN where there is none
    crops: dict[int, list[tuple[int, np.ndarray]]] = field(default_factory=dict)
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)  # what is wrong with the recording
    truth_file: Path | None = None
    site: place.Site = place.Site()
    masks: Sequence[np.ndarray] = ()  # where nobody counts, as for place.outside
    blur: float = 0.0  # share of a box, from the top, that is blurred in all that is shown
    heads: pd.DataFrame | None = None  # where, besides at `table`
    clock: tuple = (None, None, None)  # a table, its frames and their times, for `at`

    def at(self, frame) -> np.ndarray | float:
        """Return when frames, one or many, were taken, in seconds of the common clock.

        By the time stamps of the recording: those in `table`, or, before the clip was followed,
        those of the file. Between two frames that are known, the time is between theirs.
        """
        if self.table is None or self.table.empty:
            stamps = [(i, at) for i, at, _ in video.read(self.path, stop=self.about.frames)]
            frames, times = np.array(stamps, float).T
            return np.interp(frame, frames, times + self.start)
        if self.clock[0] is not self.table:  # hours have millions of boxes, and are asked often
            frames, first = np.unique(self.table["frame"].to_numpy(), return_index=True)
            self.clock = self.table, frames, self.table["time"].to_numpy()[first]
        return np.interp(frame, *self.clock[1:])


def clips(
    videos: Sequence[str | Path] = (),
    truth: Sequence[str | Path | None] = (),
    names: Sequence[str] = (),
    starts: Sequence[float] = (),
    seconds: float | None = None,
    overlap: Sequence[tuple[str, str]] | None = None,
    travel: Mapping[tuple[str, str], float] | None = None,
    site: place.Site | None = None,
) -> list[Clip]:
    """Return the clips to work on, one a camera, by default named after their files.

    Without `videos` these are the cameras of `site`, as from site_file.read, or the bundled three.
    `truth` holds a MOT text file a video (or None), `names` the cameras and `starts` the second of
    the common clock at which each clip begins; of each, only the first `seconds` count. `overlap`
    and `travel` are as for matching.link, by the names of cameras. What is given goes before what
    the site says. Raises FileNotFoundError or ValueError for what is no video, and ValueError when
    the counts differ or a camera is unknown.
    """
    if videos and site is not None:
        raise ValueError("videos and a site file, which has its own; give one of the two")
    if not videos and site is None:
        if truth or starts:
            raise ValueError("truth or starts without a video; name the videos first, then --truth")
        site = site_file.read(assets.data("plaza", "site.toml"))
    site = site or place.Site()
    if not videos:
        described = site.cameras.values()
        videos, names = [camera.video for camera in described], names or list(site.cameras)
        truth = truth or [camera.truth for camera in described]
        starts = starts or [camera.start for camera in described]
    for what, given in (("truth files", truth), ("names", names), ("starts", starts)):
        if given and len(given) != len(videos):
            raise ValueError(
                f"{counted(len(videos), 'video')} but {len(given)} {what}; give one for each, in "
                "their order"
            )
    opened = [video.open(source) for source in videos]
    abouts = [clip.about for clip in opened]
    if any(about.frames is None for about in abouts):
        raise ValueError(
            "the demo goes through a video more than once, which a live one or an address does "
            "not allow; record or download it first"
        )
    for clip in opened:
        clip.require_one_size()  # films are made of all
    if not all(abs(start) < 1e11 for start in starts):
        raise ValueError(f"starts are {list(starts)}; expected finite seconds of one clock")
    paths = [Path(os.path.abspath(path)) for path in videos]
    names = list(names) or [path.stem.removesuffix("_day") for path in paths]
    if len(set(names)) < len(names) or films.TOGETHER in names:
        names = [f"{number}_{name}" for number, name in enumerate(names, 1)]
    site = place.known(names, site, overlap, travel)
    found = []
    for number, (name, path, whole) in enumerate(zip(names, paths, abouts)):
        about = whole
        if seconds is not None:
            frames = min(about.frames, math.ceil(seconds * about.fps))
            about = replace(about, frames=frames, duration=frames / about.fps)
        given = truth[number] if truth else None
        described = site.cameras.get(name) or place.Camera(path)
        known = None
        if given is not None:
            size = about.width, about.height
            known = scores.read_truth(given, whole.frames, size, stop=about.frames)
            known = known[~place.in_masks(known[BOX].to_numpy(), described.masks)]
        start = starts[number] if starts else 0.0
        clip = Clip(name, path, about, known, described.calibration, start, site=site)
        clip.masks = described.masks
        clip.truth_file = None if given is None else Path(given)
        found.append(clip)
    return found


def follow(
    clip: Clip, detector: Callable, extractor: Callable, gate: bool = False, detect_every: int = 1
) -> None:
    """Detect, track in two passes and embed the people of one clip; fills table, samples, crops.

    `gate` and `detect_every` are as for `looks.Looks`; with them heads cannot be blurred.
    To keep memory small over hours, boxes take 36 bytes each, vectors wait in a file and are then
    averaged over spans of time, and the number of crops is bounded.
    """
    looks.check_blur(clip.blur, gate, detect_every)
    started, crops, means = time.perf_counter(), sampling.Samples(), averages.Averages()
    heads, source, meter = privacy.Heads(clip.blur), video.open(clip.path), quality.Meter()
    measured = max(1, round(clip.about.fps))  # every so many frames: a second

    def look(index, image, tracks):  # vectors are made of clear pictures, what is shown is not
        if index % measured == 0:
            tall = float((tracks["y2"] - tracks["y1"]).median())
            meter(index, index / clip.about.fps, image, person_height=tall)
        crops(index, heads.blur(index, image, tracks), tracks)

    seeing = place.outside(heads.watch(detector), clip.masks)
    options = {"stop": clip.about.frames, "gate": gate, "detect_every": detect_every}
    found = tracking.track_recording(source, seeing, extractor, on_frame=look, **options)
    clip.notes = source.notes + (meter.report(source).reasons if meter.rows else [])
    table, rows = found.table, found.table["row"].to_numpy()
    clip.heads = heads.table
    table["time"] += clip.start
    for members in table.groupby("track").indices.values():
        for part in blocks(members[rows[members] >= 0]):  # what was filled in has no picture
            means.add(table.iloc[part].to_records(index=False), found.vectors[rows[part]])
    clip.crops = averages.renumbered(crops.crops, found)
    clip.table = table.drop(columns="row")
    clip.table.insert(0, "camera", clip.camera)
    clip.samples, clip.vectors = means.result()
    clip.samples.insert(0, "camera", clip.camera)
    clip.seconds = time.perf_counter() - started


def paths_on_ground(found: Sequence[Clip], rows: pd.DataFrame) -> list[np.ndarray] | None:
    """Return time, x, y (metres) of each tracklet's feet, or None unless all cameras are known."""
    if any(clip.calibration is None for clip in found):
        return None
    paths = {}
    for clip in found:
        places = cameras.on_ground(clip.table[BOX].to_numpy(), clip.calibration)
        path = np.column_stack([clip.table["time"], places])
        for track, members in clip.table.groupby("track").indices.items():
            known = np.isfinite(path[members]).all(axis=1)
            paths[clip.camera, track] = path[members[known]]
    keys = zip(rows["camera"], rows["track"])
    return [paths.get(key, np.empty((0, 3))) for key in keys]


def evaluate(found: Sequence[Clip], table: pd.DataFrame) -> pd.DataFrame:
    """Return MOTA, IDF1, HOTA for each camera that has a truth, and for all cameras together.

    A row "c1" scores the tracks of a camera by themselves; "c1, linked" the same boxes by the
    column identity of `table`; "all cameras" asks that a person keep one identity everywhere.
    """
    rows, truths = {}, []
    for clip in found:
        if clip.truth is not None:
            mine = table[table["camera"] == clip.camera]
            truth = clip.truth.assign(camera=clip.camera)
            rows[clip.camera] = scores.evaluate(truth, mine)
            rows[f"{clip.camera}, linked"] = matching.evaluate(truth, mine)
            truths.append(truth)
    if len(truths) > 1:
        scored = table[table["camera"].isin([truth["camera"].iloc[0] for truth in truths])]
        rows["all cameras"] = matching.evaluate(pd.concat(truths), scored)
    return pd.DataFrame.from_dict(rows, orient="index")


def sampled(found: Sequence[Clip]) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the samples of clips that were followed, a row each, and their vectors (M, D)."""
    samples = [clip.table if clip.samples is None else clip.samples for clip in found]
    dim = max(clip.vectors.shape[1] for clip in found)  # 0 where a camera saw nobody
    vectors = [clip.vectors.reshape(len(rows), dim) for clip, rows in zip(found, samples)]
    return pd.concat(samples, ignore_index=True), np.concatenate(vectors).astype(np.float32)


def link(
    found: Sequence[Clip], threshold: float | None = None
) -> tuple[pd.DataFrame, np.ndarray, pd.DataFrame, np.ndarray]:
    """Return who is who in clips that were followed: boxes, samples' vectors, tracklets, theirs.

    Boxes and tracklets get a column identity, tracklets also pid, the true person or -1;
    `threshold` is as for matching.link, the clips' `site` and calibrations say what is known of the
    place. The vectors are those of `sampled`: of every box where a clip has no samples. Who was
    seen for less than `matching.BRIEF` seconds in all, or in too few frames, is nobody's tracklet,
    and -1 among the boxes. Raises ValueError when nobody was followed.
    """
    samples, vectors = sampled(found)
    rows, means = matching.tracklets(samples, vectors, matching.SHORTEST)
    if rows.empty:
        raise ValueError(
            f"nobody was followed for {matching.SHORTEST} frames in "
            f"{', '.join(clip.path.name for clip in found)}; try another detector, or footage "
            "that is longer or in which people are taller"
        )
    site = found[0].site
    rows["identity"] = matching.link(
        rows,
        means,
        threshold=threshold,
        positions=paths_on_ground(found, rows),
        overlap=site.overlap,
        travel=site.travel,
    )
    rows, means = matching.without_glimpses(rows, means)
    rows["pid"] = -1
    for clip in found:
        if clip.truth is not None:
            people, mine = scores.true_people(clip.table, clip.truth), rows["camera"] == clip.camera
            rows.loc[mine, "pid"] = rows.loc[mine, "track"].map(people)
    table = pd.concat([clip.table for clip in found], ignore_index=True)
    return matching.identify(table, rows, rows["identity"]), vectors, rows, means


def _outputs(found: Sequence[Clip], out: Path) -> list[Path]:
    """Return the folder and the files in it that could have the name of a video or a truth."""
    films_made = [out / f"{name}.mp4" for name in (films.TOGETHER, *(c.camera for c in found))]
    tracks = [out / "tracks" / f"{clip.camera}.txt" for clip in found]
    return [out, *films_made, *tracks, out / "identities.csv", out / "features.csv", out / COUNTS]


def run(
    videos: Sequence[str | Path | Clip] = (),
    out: str | Path = "demo",
    *,
    truth: Sequence[str | Path] = (),
    detector: Callable | None = None,
    extractor: Callable | None = None,
    overlap: Sequence[tuple[str, str]] | None = None,
    travel: Mapping[tuple[str, str], float] | None = None,
    blur: bool = False,
    gate: bool = False,
    detect_every: int = 1,
) -> dict:
    """Follow every person through the clips, write films, figures and a report; return the metrics.

    `videos` is one file a camera (none: the bundled cameras), or clips, of which those that were
    followed already are not followed again; `detector` and `extractor` are callables as from
    detectors.load and extractors.load, the bundled ones by default. `overlap` and `travel` are what
    is known of the place, as for matching.link. With `blur` heads are blurred wherever people are
    shown; `gate` and `detect_every` are as for `follow`. Written to `out`: an annotated film a
    camera and side by side, tracks/<camera>.txt (MOT text), identities.csv, counts.csv,
    features.npz, five figures, metrics.json and report.html. Blind labels that wait there in
    pairs*.csv, as the template has them, give the number of people an interval. Raises ValueError
    for what is no video or shows no people, OSError when `out` cannot be written.
    """
    ready = len(videos) > 0 and all(isinstance(video, Clip) for video in videos)
    found, out = list(videos) if ready else clips(videos, truth), Path(out)
    site = place.known([clip.camera for clip in found], found[0].site, overlap, travel)
    if not ready:
        found = [replace(clip, site=site) for clip in found]
    for clip in found:
        if blur and clip.table is not None and not clip.blur:
            raise ValueError(f"{clip.camera} was followed with clear pictures; follow it again")
        clip.blur = clip.blur or (privacy.HEAD if blur else 0.0)
    given = [path for clip in found for path in (clip.path, clip.truth_file)]
    assets.refuse_overwriting(given, _outputs(found, out))
    assets.check_writable(out / "report.html")
    detector, extractor = detector or detectors.load(), extractor or extractors.load()
    real_people.advise(getattr(extractor, "name", "custom"), [clip.path for clip in found])
    threshold = getattr(extractor, "threshold", None)
    seconds: dict[str, float] = {}
    with summary.lap(seconds, "detecting, tracking, embedding"):
        for clip in found:
            clip.site = site
            if clip.table is None:
                follow(clip, detector, extractor, gate, detect_every)
    with summary.lap(seconds, "linking and scoring"):
        table, _, rows, means = link(found, threshold)
        scored = evaluate(found, table)
    with summary.lap(seconds, "films"):
        _write_tables(found, rows, means, out)
        described = {clip.camera: place.Camera(clip.path, clip.start) for clip in found}
        known = {"overlap": site.overlap, "travel": site.travel}
        made_by = detector, extractor, described, site.began
        provenance.write(out / "features.npz", *made_by, **known)
        made = films.write(found, table, out)
    with summary.lap(seconds, "figures"):
        pictures = _draw(found, rows, means, out)
    metrics = summary.metrics(found, rows, means, scored) | {
        **summary.counts(found, table),
        "people by labels": people_by_labels(out, rows, means, site),
        "settings": {
            "detector": Path(getattr(detector, "name", "custom")).name,
            "features": Path(getattr(extractor, "name", "custom")).name,
            "link threshold": "from the data" if threshold is None else threshold,
            "calibrated cameras": all(clip.calibration is not None for clip in found),
            "shortest track, frames": matching.SHORTEST,
            "shortest stay, seconds": matching.BRIEF,
            "cameras that overlap": place.named(site.overlap),
            "least seconds between cameras": place.named(site.travel),
        },
        "seconds": seconds,
    }
    provenance.write_json(out / "metrics.json", metrics)
    report.write_report(out / "report.html", found, rows, metrics, made, pictures)
    return metrics


def people_by_labels(out: Path, rows: pd.DataFrame, means: np.ndarray, site: place.Site) -> dict:
    """Return `counts.people` of tracklets and their vectors (N, D), by blind labels in a folder.

    Of several files the first by name is taken. Without one, or with labels of other tracks, there
    is no interval, and `why` says so.
    """
    known = {"overlap": site.overlap, "travel": site.travel}
    pairs, files = labelling.possible_pairs(rows, means, **known), sorted(out.glob(PAIRS))
    if not files:
        return counts.people(rows, pairs)
    try:
        labels = labelling.measured(labelling.read(files[0]), rows, means, **known)
    except ValueError as error:
        return counts.people(rows, pairs) | {"why": f"no interval: {error}"}
    return counts.people(rows, pairs, labels)


def _write_tables(found: Sequence[Clip], rows: pd.DataFrame, means: np.ndarray, out: Path) -> None:
    for clip in found:
        formats.write_mot(clip.table, out / "tracks" / f"{clip.camera}.txt")
    with assets.atomic(out / "identities.csv") as temporary:
        rows.to_csv(temporary, index=False)
    with assets.atomic(out / COUNTS) as temporary:
        counts.table(rows, counts.at_lines(out, [])).to_csv(temporary, index=False)
    vectors.write(out / "features.npz", means, rows)


def _draw(found: Sequence[Clip], rows: pd.DataFrame, means: np.ndarray, out: Path) -> dict:
    """Draw the figures; of one camera, early halves of tracks are compared with late ones."""
    samples, embeddings = sampled(found)
    ranked = rows, means
    if len(found) == 1:
        ranked = summary.early_and_late(rows, samples, embeddings)
    samples = matching.identify(samples, rows, rows["identity"])
    return summary.figures(found, rows, ranked, samples, embeddings, out)
