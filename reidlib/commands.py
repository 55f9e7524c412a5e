"""What the commands on videos do: functions of parsed arguments that return a one-line result."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from reidlib import (
    annotation,
    assets,
    boxes,
    capture,
    datasets,
    detectors,
    drawing,
    features,
    mot,
    quality,
    tracking,
    video,
)
from reidlib.boxes import BOX


def collect(args) -> str:
    """Extract frames, then write the quality report beside them."""
    from reidlib.plots import collection, style

    live = video.probe(args.video).frames is None
    frames = video.extract(args.video, args.out, args.every)
    # A live source has moved on: what was kept of it is judged. Frames taken out of a video,
    # now or before, tell nothing of its rate and gaps.
    sampled = live or (Path(args.video) / video.INDEX).is_file()
    limits = quality.Thresholds(fps=0, gap=math.inf) if sampled else None
    source, every = (args.out, 1) if live else (args.video, args.every)
    report = quality.report(source, every, thresholds=limits)
    with assets.atomic(args.out / "quality.csv") as temporary:
        report.table.to_csv(temporary, index=False)
    style.save(collection.quality(report, title=str(args.video)), args.out / "quality.png")
    shown = frames.iloc[:: max(1, len(frames) // 12)][:12]
    images = [video.read_image(path) for path in shown["path"]]
    sheet = collection.contact_sheet(images, shown["time"].tolist())
    style.save(sheet, args.out / "contact_sheet.png")
    wrote(args.out / "frames.csv", args.out / "quality.csv", args.out / "quality.png")
    why = "" if report.verdict == "accept" else f": {'; '.join(report.reasons)}"
    return f"{len(frames)} frames, quality: {report.verdict}{why}"


def detect(args) -> str:
    """Detect people frame by frame and write the boxes."""
    about, counts, found = video.probe(args.video), {}, []
    check_targets([args.video, args.detector], [args.out, args.film])
    detector = detectors.load(args.detector)
    with _film(args.film, about.fps) as film:
        frames = tqdm(_frames(args.video, about), "detect", about.frames, leave=False)
        for index, _, image in frames:
            people = detector([image])[0]
            counts[index] = len(people)
            found.append(people[detectors.COLUMNS].to_numpy(np.float32))
            if film:
                film.write(drawing.draw_tracks(image, people))
        table = pd.DataFrame(np.concatenate(found), columns=detectors.COLUMNS)
        table["frame"] = np.repeat(list(counts), list(counts.values()))
        annotation.write_mot(table, args.out)
    wrote(args.out, args.film)
    return f"{len(table)} people found in {len(counts)} frames"


def track(args) -> str:
    """Track people, write the tracks and score them if the truth is known."""
    about = video.probe(args.video)
    truth = mot.read_truth(args.truth, about.frames) if args.truth else None
    inputs = [args.video, args.truth, args.detector, args.features]
    check_targets(inputs, [args.out, args.film])
    detector, extractor = detectors.load(args.detector), features.load(args.features)
    with _film(args.film, about.fps) as film:

        def draw(index, image, tracks):
            film.write(drawing.draw_tracks(image, tracks))

        frames = _frames(args.video, about)
        table = tracking.track(frames, detector, extractor, on_frame=draw if film else None)
        annotation.write_mot(table, args.out)
    wrote(args.out, args.film)
    line = f"{table['track'].nunique()} tracks"
    if truth is not None:
        scores = mot.evaluate(truth, table)
        line += ", " + ", ".join(f"{name} {scores[name]:.3f}" for name in ("MOTA", "IDF1", "HOTA"))
    return line


def extract(args) -> str:
    """Write the feature vectors of a data set's images or of a video's people."""
    path = args.out.with_suffix(".npz")
    crops = not args.tracks and (args.source == "plaza" or _is_dataset(args.source))
    about = None if crops else video.probe(args.source)
    inputs = [args.source, args.tracks, args.features]
    check_targets(inputs, [path, path.with_suffix(".csv")])
    extractor = features.load(args.features)
    if args.tracks:
        table = annotation.read_mot(args.tracks)
        if table.empty:
            raise ValueError(f"{args.tracks} holds no boxes; track the video first")
        annotation.check_length(table, about.frames, args.source)
        vectors = _embed_tracks(args.source, table, extractor, about.frames)
    elif crops:
        data = datasets.load(args.source)
        parts = {"train": data.train, "query": data.query, "gallery": data.gallery}
        table = pd.concat([part.assign(part=name) for name, part in parts.items()])
        vectors = embed(table, extractor)
    else:
        frames = _frames(args.source, about)
        table, vectors = tracking.track(frames, detectors.load(), extractor, embeddings=True)
    features.write(path, vectors, table)
    wrote(path, path.with_suffix(".csv"))
    return f"{len(vectors)} vectors of {extractor.dim} numbers, by {extractor.name}"


def demo(args) -> str:
    """Run the whole pipeline."""
    from reidlib import demo as pipeline

    detector, extractor = detectors.load(args.detector), features.load(args.features)
    clips = pipeline.clips(args.videos, args.truth, starts=args.start)
    found = pipeline.run(clips, args.out, detector=detector, extractor=extractor)
    wrote(args.out / "report.html", args.out / "metrics.json")
    cameras, shared = len(found["cameras"]), found["people in several cameras"]
    where = "one camera" if cameras == 1 else f"{cameras} cameras, {shared} of them in several"
    return f"{found['people']} people in {where}; open {args.out / 'report.html'}"


def embed(table: pd.DataFrame, extractor: Callable) -> np.ndarray:
    """Return the vectors of a table's images, read a part at a time."""
    parts = [table["path"].iloc[i : i + 256] for i in range(0, len(table), 256)]
    bar = tqdm(parts, "embed", leave=False, delay=2)
    return np.concatenate([extractor(datasets.read_images(paths)) for paths in bar])


def _embed_tracks(source: str, table: pd.DataFrame, extractor, length: int | None) -> np.ndarray:
    """Return a vector for each box of a video, NaN where a box covers no pixel."""
    vectors = np.full((len(table), extractor.dim), np.nan, np.float32)
    rows = table.groupby("frame").indices
    for index, _, image in tqdm(video.read(source), "embed", length, leave=False):
        here = rows.get(index, np.empty(0, int))
        corners = table[BOX].to_numpy()[here]
        inside = boxes.visible(corners, *image.shape[1::-1])
        if inside.any():
            vectors[here[inside]] = extractor(boxes.crop(image, corners[inside]))
    return vectors


def _frames(source: str, about: video.Probe) -> Iterable:
    """Return a video's frames; Ctrl-C ends a live one, which may have no other end."""
    frames = video.read(source)
    return frames if about.frames else capture.until_interrupted(frames)


def _is_dataset(source: str) -> bool:
    """Whether this is a data set: folders inside, or crops named as in Market-1501.

    A folder of other images is a video, frame by frame.
    """
    if not Path(source).is_dir():
        return False
    images = datasets.image_files(Path(source))
    folders = [path for path in Path(source).iterdir() if path.is_dir()]
    if not images or any(datasets.image_files(folder) for folder in folders):
        return bool(folders)
    with contextlib.suppress(ValueError):
        return bool(annotation.parse_market_name(images[0]))
    return False


def _film(path: Path | None, fps: float):
    """Return a video writer to use in a with-block, or None in one when no film is wanted."""
    fps = max(fps, video.SLOWEST)
    return video.Writer(path, fps) if path else contextlib.nullcontext()


def check_targets(sources: Sequence, targets: Sequence[Path | None]) -> None:
    """Refuse, before any work, to write over an input, twice to one file, or where none can be."""
    given = [Path(source).resolve() for source in sources if source and Path(source).exists()]
    taken = {*given, *(path / video.INDEX for path in given)}
    for target in filter(None, targets):
        if target.resolve() in taken:
            raise ValueError(f"{target} is the input, or written twice; give another file to write")
        if target.is_dir():
            raise ValueError(f"{target} is a folder; give the name of a file")
        taken.add(target.resolve())
    assets.check_writable(*filter(None, targets))


def wrote(*paths: Path | None) -> None:
    for path in filter(None, paths):
        print(f"wrote {path}")
