"""What each command does: a function of its parsed arguments that returns a one-line result."""

from __future__ import annotations

import contextlib
import math
import tempfile
from collections.abc import Callable, Iterable
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
    ranking,
    tracking,
    video,
)
from reidlib.boxes import BOX

LABELS = ["pid", "camid"]
SHOWN = 12  # people in a map, a confusion matrix


def collect(args) -> str:
    """Extract frames, then write the quality report beside them."""
    from reidlib.plots import collection, style

    video.parse_every(args.every)
    frames = video.extract(args.video, args.out, args.every)
    if video.probe(args.video).frames is None:
        # A live source has moved on: what was kept of it is judged, but for its rate and gaps.
        limits = quality.Thresholds(fps=0, gap=math.inf)
        report = quality.report(args.out, 1, thresholds=limits)
    else:
        report = quality.report(args.video, args.every)
    with assets.atomic(args.out / "quality.csv") as temporary:
        report.table.to_csv(temporary, index=False)
    style.save(collection.quality(report, title=str(args.video)), args.out / "quality.png")
    shown = frames.iloc[:: max(1, len(frames) // 12)][:12]
    images = [video.read_image(path) for path in shown["path"]]
    sheet = collection.contact_sheet(images, shown["time"].tolist())
    style.save(sheet, args.out / "contact_sheet.png")
    _wrote(args.out / "frames.csv", args.out / "quality.csv", args.out / "quality.png")
    why = "" if report.verdict == "accept" else f": {'; '.join(report.reasons)}"
    return f"{len(frames)} frames, quality: {report.verdict}{why}"


def detect(args) -> str:
    """Detect people frame by frame and write the boxes."""
    _targets(args.video, args.out, args.film)
    about, found = video.probe(args.video), []
    detector = detectors.load(args.detector)
    with _film(args.film, about.fps) as film:
        frames = tqdm(_frames(args.video, about), "detect", about.frames, leave=False)
        for index, seconds, image in frames:
            people = detector([image])[0]
            found.append(people.assign(frame=index, time=seconds))
            if film:
                film.write(drawing.draw_tracks(image, people))
        table = pd.concat(found, ignore_index=True)
        annotation.write_mot(table, args.out)
    _wrote(args.out, args.film)
    return f"{len(table)} people found in {len(found)} frames"


def track(args) -> str:
    """Track people, write the tracks and score them if the truth is known."""
    _targets(args.video, args.out, args.film)
    truth = annotation.read_mot(args.truth) if args.truth else None
    about = video.probe(args.video)
    detector, extractor = detectors.load(args.detector), features.load(args.features)
    with _film(args.film, about.fps) as film:

        def draw(index, image, tracks):
            film.write(drawing.draw_tracks(image, tracks))

        frames = _frames(args.video, about)
        table = tracking.track(frames, detector, extractor, on_frame=draw if film else None)
        annotation.write_mot(table, args.out)
    _wrote(args.out, args.film)
    line = f"{table['track'].nunique()} tracks"
    if truth is not None:
        scores = mot.evaluate(truth, table)
        line += ", " + ", ".join(f"{name} {scores[name]:.3f}" for name in ("MOTA", "IDF1", "HOTA"))
    return line


def extract(args) -> str:
    """Write the feature vectors of a data set's images or of a video's people."""
    _targets(args.source, args.out)
    extractor = features.load(args.features)
    if args.tracks:
        table = annotation.read_mot(args.tracks)
        vectors = _embed_tracks(args.source, table, extractor)
    elif args.source == "plaza" or _has_folders(args.source):
        data = datasets.load(args.source)
        parts = {"train": data.train, "query": data.query, "gallery": data.gallery}
        table = pd.concat([part.assign(part=name) for name, part in parts.items()])
        vectors = _embed(table, extractor)
    else:
        frames = _frames(args.source, video.probe(args.source))
        table, vectors = tracking.track(frames, detectors.load(), extractor, embeddings=True)
    features.write(args.out, vectors, table)
    path = args.out.with_suffix(".npz")
    _wrote(path, path.with_suffix(".csv"))
    return f"{len(vectors)} vectors of {extractor.dim} numbers, by {extractor.name}"


def train(args) -> str:
    """Train a network, going on from its checkpoint if there is one, and score it."""
    from reidlib import models, training

    _targets(args.dataset, args.out)
    data = datasets.load(args.dataset)
    checkpoint = Path(f"{args.out}.checkpoint")
    model = models.SiameseNetwork(args.backbone, classes=data.train["pid"].nunique())
    settings = {"loss": args.loss, "margin": args.margin, "epochs": args.epochs}
    history = training.fit(model, data, checkpoint=checkpoint, **settings)
    models.save(model, args.out, **settings, trained_on=data.name)
    with assets.atomic(args.out.with_suffix(".csv")) as temporary:
        history.to_csv(temporary, index=False)
    checkpoint.unlink(missing_ok=True)
    _wrote(args.out, args.out.with_suffix(".csv"))
    result = training.evaluate(model, data)
    seconds = history["seconds"].sum()
    return f"{args.epochs} epochs in {seconds:.0f} s: {_scores(result)}"


def evaluate(args) -> str:
    """Score a model by the Market-1501 protocol, with intervals over identities."""
    data, extractor = datasets.load(args.dataset), features.load(args.model)
    query, gallery = _embed(data.query, extractor), _embed(data.gallery, extractor)
    labels = [part[name].to_numpy() for part in (data.query, data.gallery) for name in LABELS]
    results = {"as embedded": ranking.evaluate(query, *labels[:2], gallery, *labels[2:])}
    if args.rerank:
        distances = ranking.rerank(query, gallery)
        results["re-ranked"] = ranking.evaluate_distances(distances, *labels)
    table = pd.DataFrame({name: result.summary() for name, result in results.items()}).T
    for column, metric in (("rank-1", "rank1"), ("mAP", "mAP")):
        ends = [result.interval(metric) for result in results.values()]
        table[f"{column}, 95 %"] = [f"{low:.3f} to {high:.3f}" for low, high in ends]
    print(table.T.to_string(float_format="{:.4f}".format))
    for note in results["as embedded"].notes:
        print(f"note: {note}")
    return f"{extractor.name} on {data.name}: {_scores(list(results.values())[-1])}"


def visualize(args) -> str:
    """Draw what a model makes of a data set."""
    from reidlib.plots import features as maps
    from reidlib.plots import model, style

    data, extractor = datasets.load(args.dataset), features.load(args.model)
    query, gallery = _embed(data.query, extractor), _embed(data.gallery, extractor)
    labels = [part[name].to_numpy() for part in (data.query, data.gallery) for name in LABELS]
    result = ranking.evaluate(query, *labels[:2], gallery, *labels[2:])
    junk = ranking.junk(*labels)
    order, away = ranking.top(query, gallery, 10, junk=junk)
    args.out.mkdir(parents=True, exist_ok=True)

    # From the best query to the worst, so that the picture is as fair as the score.
    counted = np.flatnonzero(np.isfinite(result.ap))
    by_score = counted[np.argsort(-result.ap[counted], kind="stable")]
    some = by_score[np.linspace(0, len(by_score) - 1, min(8, len(by_score))).astype(int)]
    found = [order[i][order[i] >= 0] for i in some]
    paths = [datasets.read_images(data.gallery["path"].iloc[rows]) for rows in found]
    figures = {
        "rank_grid": model.rank_grid(
            datasets.read_images(data.query["path"].iloc[some]),
            paths,
            [labels[2][rows] == labels[0][i] for i, rows in zip(some, found)],
            [[f"{value:.2f}" for value in away[i]] for i in some],
            [f"AP {result.ap[i]:.2f}" for i in some],
            f"From the best query to the worst, cosine distances ({extractor.name})",
        ),
        "cmc": model.cmc({extractor.name: result.cmc}),
    }
    known = data.gallery["pid"].isin(pd.unique(data.query["pid"])[:SHOWN]).to_numpy()
    if known.sum() > 3:
        figures["embedding_map"] = maps.embedding_map(
            gallery[known], labels[2][known], labels[3][known], "tsne"
        )
    figures["confusion"] = _confusion(labels, order)
    for name, figure in figures.items():
        _wrote(style.save(figure, args.out / f"{name}.png"))
    return f"{len(figures)} figures of {extractor.name} on {data.name}: {_scores(result)}"


def demo(args) -> str:
    """Run the whole pipeline."""
    from reidlib import demo as pipeline

    detector, extractor = detectors.load(args.detector), features.load(args.features)
    clips = pipeline.clips(args.videos, args.truth, starts=args.start)
    found = pipeline.run(clips, args.out, detector=detector, extractor=extractor)
    _wrote(args.out / "report.html", args.out / "metrics.json")
    cameras, shared = len(found["cameras"]), found["people in several cameras"]
    where = "one camera" if cameras == 1 else f"{cameras} cameras, {shared} of them in several"
    return f"{found['people']} people in {where}; open {args.out / 'report.html'}"


def _confusion(labels: list[np.ndarray], order: np.ndarray):
    """Return the figure of who was taken for whom: the identity of each query's nearest image."""
    from reidlib.plots import model

    people = pd.unique(labels[0])[:SHOWN]
    answers = np.where(order[:, 0] >= 0, labels[2][order[:, 0]], -1)
    names = [*people, "other"]
    counts = np.zeros((len(names), len(names)), int)
    place = {person: i for i, person in enumerate(people)}
    for true, answer in zip(labels[0], answers):
        if true in place:
            counts[place[true], place.get(answer, -1)] += 1
    return model.confusion(counts[:-1], names[:-1], names)


def _embed(table: pd.DataFrame, extractor: Callable) -> np.ndarray:
    """Return the vectors of a table's images, read a part at a time."""
    parts = [table["path"].iloc[i : i + 256] for i in range(0, len(table), 256)]
    bar = tqdm(parts, "embed", leave=False, delay=2)
    return np.concatenate([extractor(datasets.read_images(paths)) for paths in bar])


def _embed_tracks(source: str, table: pd.DataFrame, extractor) -> np.ndarray:
    """Return a vector for each box of a video, NaN where a box covers no pixel."""
    vectors = np.full((len(table), extractor.dim), np.nan, np.float32)
    rows = table.groupby("frame").indices
    for index, _, image in tqdm(
        video.read(source), "embed", video.probe(source).frames, leave=False
    ):
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


def _has_folders(source: str) -> bool:
    """Whether this is a data set: a folder of frames, which is a video, has no folders inside."""
    return Path(source).is_dir() and any(path.is_dir() for path in Path(source).iterdir())


def _scores(result: ranking.Result) -> str:
    low, high = result.interval()
    return f"rank-1 {result.cmc[0]:.3f} ({low:.3f} to {high:.3f}), mAP {result.mAP:.3f}"


def _film(path: Path | None, fps: float):
    """Return a video writer to use in a with-block, or None in one when no film is wanted."""
    return video.Writer(path, fps) if path else contextlib.nullcontext()


def _targets(source: str, *targets: Path | None) -> None:
    """Refuse, before any work, to write where the source is or where nothing can be written."""
    for target in filter(None, targets):
        if Path(source).exists() and target.resolve() == Path(source).resolve():
            raise ValueError(f"{target} is the input; give another file to write to")
        if target.is_dir():
            raise ValueError(f"{target} is a folder; give the name of a file")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=target.parent).close()
        except OSError as error:
            raise type(error)(
                f"cannot write {target}: {error.strerror}; choose another folder"
            ) from error


def _wrote(*paths: Path | None) -> None:
    for path in filter(None, paths):
        print(f"wrote {path}")
