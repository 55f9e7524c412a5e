"""What the commands do: functions of parsed arguments that return a one-line result."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from reidlib import assets, drawing
from reidlib.collection import annotation, capture, datasets, encoding, formats, quality, video
from reidlib.detection import detectors, scores, tracking
from reidlib.features import extractors, vectors
from reidlib.model import distances, ranking

ROWS = 6  # queries in the rank grid


def collect(args) -> str:
    """Extract frames, then write the quality report beside them."""
    from reidlib import style
    from reidlib.collection import plots

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
    style.save(plots.quality(report, title=str(args.video)), args.out / "quality.png")
    shown = frames.iloc[:: max(1, len(frames) // 12)][:12]
    images = [encoding.read_image(path) for path in shown["path"]]
    sheet = plots.contact_sheet(images, shown["time"].tolist())
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
        formats.write_mot(table, args.out)
    wrote(args.out, args.film)
    return f"{len(table)} people found in {len(counts)} frames"


def track(args) -> str:
    """Track people, write the tracks and score them if the truth is known."""
    about = video.probe(args.video)
    truth = scores.read_truth(args.truth, about.frames) if args.truth else None
    inputs = [args.video, args.truth, args.detector, args.features]
    check_targets(inputs, [args.out, args.film])
    detector, extractor = detectors.load(args.detector), extractors.load(args.features)
    with _film(args.film, about.fps) as film:

        def draw(index, image, tracks):
            film.write(drawing.draw_tracks(image, tracks))

        frames = _frames(args.video, about)
        table = tracking.track(frames, detector, extractor, on_frame=draw if film else None)
        formats.write_mot(table, args.out)
    wrote(args.out, args.film)
    line = f"{table['track'].nunique()} tracks"
    if truth is not None:
        found = scores.evaluate(truth, table)
        line += ", " + ", ".join(f"{name} {found[name]:.3f}" for name in ("MOTA", "IDF1", "HOTA"))
    return line


def extract(args) -> str:
    """Write the feature vectors of a data set's images or of a video's people."""
    path = args.out.with_suffix(".npz")
    crops = not args.tracks and (args.source == "plaza" or _is_dataset(args.source))
    about = None if crops else video.probe(args.source)
    inputs = [args.source, args.tracks, args.features]
    check_targets(inputs, [path, path.with_suffix(".csv")])
    extractor = extractors.load(args.features)
    if args.tracks:
        table = formats.read_mot(args.tracks)
        if table.empty:
            raise ValueError(f"{args.tracks} holds no boxes; track the video first")
        annotation.check_length(table, about.frames, args.source)
        embeddings = extractors.embed_tracks(args.source, table, extractor, about.frames)
    elif crops:
        data = datasets.load(args.source)
        parts = {"train": data.train, "query": data.query, "gallery": data.gallery}
        table = pd.concat([part.assign(part=name) for name, part in parts.items()])
        embeddings = extractors.embed(table, extractor)
    else:
        frames = _frames(args.source, about)
        table, embeddings = tracking.track(frames, detectors.load(), extractor, embeddings=True)
    vectors.write(path, embeddings, table)
    wrote(path, path.with_suffix(".csv"))
    return f"{len(embeddings)} vectors of {extractor.dim} numbers, by {extractor.name}"


def demo(args) -> str:
    """Run the whole pipeline."""
    from reidlib.demonstration import pipeline

    detector, extractor = detectors.load(args.detector), extractors.load(args.features)
    clips = pipeline.clips(args.videos, args.truth, starts=args.start)
    found = pipeline.run(clips, args.out, detector=detector, extractor=extractor)
    wrote(args.out / "report.html", args.out / "metrics.json")
    cameras, shared = len(found["cameras"]), found["people in several cameras"]
    where = "one camera" if cameras == 1 else f"{cameras} cameras, {shared} of them in several"
    return f"{found['people']} people in {where}; open {args.out / 'report.html'}"


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
        return bool(formats.parse_market_name(images[0]))
    return False


def _film(path: Path | None, fps: float):
    """Return a video writer to use in a with-block, or None in one when no film is wanted."""
    fps = max(fps, encoding.SLOWEST)
    return encoding.Writer(path, fps) if path else contextlib.nullcontext()


def check_targets(sources: Sequence, targets: Sequence[Path | None]) -> None:
    """Refuse, before any work, to write over an input, twice to one file, or where none can be."""
    indices = [Path(source) / video.INDEX for source in sources if source]
    assets.refuse_overwriting([*sources, *indices], targets)
    assets.check_writable(*filter(None, targets))


def wrote(*paths: Path | None) -> None:
    for path in filter(None, paths):
        print(f"wrote {path}")


def train(args) -> str:
    """Train a network, going on from its checkpoint if there is one, and score it."""
    import torch

    from reidlib.model import embedding, networks, training

    table, checkpoint = args.out.with_suffix(".csv"), Path(f"{args.out}.checkpoint")
    if args.out.suffix != ".pt":
        raise ValueError(f"--out {args.out}: the name of a model ends in .pt")
    check_targets([args.dataset], [args.out, table, checkpoint])
    data = datasets.load(args.dataset)
    ranking.true_matches(*data.labels)
    torch.manual_seed(0)
    pids = data.train["pid"]
    people = pids[pids > 0].nunique()  # neither junk nor distractors
    model = networks.SiameseNetwork(args.backbone, classes=people)
    settings = {"loss": args.loss, "margin": args.margin, "epochs": args.epochs}
    history = training.fit(model, data, checkpoint=checkpoint, **settings)
    networks.save(model, args.out, **settings, trained_on=data.name)
    with assets.atomic(table) as temporary:
        history.to_csv(temporary, index=False)
    checkpoint.unlink(missing_ok=True)
    wrote(args.out, table)
    result = embedding.evaluate(model, data)
    seconds = history["seconds"].sum()
    return f"{args.epochs} epochs in {seconds:.0f} s: {_scores(result)}"


def evaluate(args) -> str:
    """Score a model by the Market-1501 protocol, with intervals over identities."""
    data, extractor = datasets.load(args.dataset), extractors.load(args.model)
    ranking.true_matches(*data.labels)
    query, gallery = (extractors.embed(part, extractor) for part in (data.query, data.gallery))
    results = {"as embedded": ranking.score(query, gallery, data)}
    if args.rerank:
        reranked = distances.rerank(query, gallery)
        results["re-ranked"] = ranking.evaluate_distances(reranked, *data.labels)
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
    from reidlib import style
    from reidlib.features.plots import embedding_map
    from reidlib.model import plots

    data, extractor = datasets.load(args.dataset), extractors.load(args.model)
    ranking.true_matches(*data.labels)
    labels = data.labels
    assets.check_writable(args.out / "rank_grid.png")
    query, gallery = (extractors.embed(part, extractor) for part in (data.query, data.gallery))
    result = ranking.score(query, gallery, data)
    order, nearest_distances = distances.top(query, gallery, 10, junk=ranking.junk(*labels))

    # From the best query to the worst, so that the picture is as fair as the score.
    counted = np.flatnonzero(np.isfinite(result.ap))
    by_score = counted[np.argsort(-result.ap[counted], kind="stable")]
    some = by_score[np.linspace(0, len(by_score) - 1, min(ROWS, len(by_score))).astype(int)]
    found = [order[i][order[i] >= 0] for i in some]
    paths = [datasets.read_images(data.gallery["path"].iloc[rows]) for rows in found]
    figures = {
        "rank_grid": plots.rank_grid(
            datasets.read_images(data.query["path"].iloc[some]),
            paths,
            [labels[2][rows] == labels[0][i] for i, rows in zip(some, found)],
            [[f"{value:.2f}" for value in nearest_distances[i]] for i in some],
            [f"{labels[0][i]}: AP {result.ap[i]:.2f}" for i in some],
            f"From the best query to the worst, cosine distances ({extractor.name})",
        ),
        "cmc": plots.cmc({extractor.name: result.cmc}),
    }
    everybody = pd.unique(labels[0][counted])
    known = np.isin(labels[2], everybody[: plots.SHOWN])
    if known.sum() > 3:
        title = f"Gallery images of {plots.people_shown(everybody)}, as a map (t-SNE)"
        cameras = labels[3][known] if (labels[3][known] >= 0).all() else None
        figures["embedding_map"] = embedding_map(
            gallery[known], labels[2][known], cameras, "tsne", title=title
        )
    nearest = labels[2][order[counted, 0]]
    figures["confusion"] = plots.mistaken_people(labels[0][counted], nearest)
    for name, figure in figures.items():
        wrote(style.save(figure, args.out / f"{name}.png"))
    return f"{len(figures)} figures of {extractor.name} on {data.name}: {_scores(result)}"


def _scores(result: ranking.Result) -> str:
    low, high = result.interval()
    return f"rank-1 {result.cmc[0]:.3f} ({low:.3f} to {high:.3f}), mAP {result.mAP:.3f}"
