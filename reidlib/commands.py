"""The commands: a function each, whose arguments are those of the command line.

A function returns the line that sums up its result. Each imports what it needs when it runs: --help
answers at once, and so does the Tab key, at which a shell starts the program to ask for words.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from reidlib import assets
from reidlib import command_line as cli
from reidlib.words import counted

if TYPE_CHECKING:
    from reidlib.collection import datasets, video
    from reidlib.model import ranking

program = cli.Program()


@program.add(
    "clip.mp4 --out collected --every 1s",
    "the frames in {out} are kept, the same command goes on from there",
    people=True,
)
def collect(
    videos: cli.OneOrMore,
    out: cli.Folder,
    every: cli.Step = "1s",
    fps: cli.Rate = None,
    workers: cli.Workers = None,
    scheduler: cli.Scheduler = None,
) -> str:
    """Take frames out of a video and judge its quality."""
    if cli.several(videos, workers, scheduler):
        return _share(collect, videos, out, "", workers, scheduler, every=every, fps=fps)
    from reidlib import style
    from reidlib.collection import encoding, plots, quality, sequences, video

    source = videos[0]
    clip = video.open(source, fps)
    video.probe(clip)
    video.parse_every(every)
    names = ("frames.csv", "quality.csv", "quality.png", "contact_sheet.png")
    written = [out / name for name in names]
    check(source, targets=written)
    frames = video.extract(clip, out, every)
    # A live source has moved on: what was kept of it is judged. Frames taken out of a video,
    # now or before, tell nothing of its rate and gaps.
    sampled = clip.live or (Path(source) / sequences.INDEX).is_file()
    limits = quality.Thresholds(fps=0, gap=math.inf) if sampled else None
    judged, step = (out, 1) if clip.live else (clip, every)
    report = quality.report(judged, step, thresholds=limits)
    with assets.atomic(out / "quality.csv") as temporary:
        report.table.to_csv(temporary, index=False)
    title = style.plain_text(clip.name)
    style.save(plots.quality(report, title=title), out / "quality.png")
    shown = frames.iloc[:: max(1, len(frames) // 12)][:12]
    images = [encoding.read_image(path) for path in shown["path"]]
    sheet = plots.contact_sheet(images, shown["time"].tolist())
    style.save(sheet, out / "contact_sheet.png")
    wrote(*written)
    why = "" if report.verdict == "accept" else f": {'; '.join(report.reasons)}"
    return f"{counted(len(frames), 'frame')}, quality: {report.verdict}{why}"


@program.add("clip.mp4 --out detections.txt --video boxes.mp4", people=True)
def detect(
    source: cli.Video,
    out: cli.Boxes,
    film: cli.Film = None,
    detector: cli.Detector = "auto",
    classes: cli.Classes = None,
    fps: cli.Rate = None,
) -> str:
    """Find the people in every frame."""
    import numpy as np
    import pandas as pd
    from tqdm.auto import tqdm

    from reidlib import drawing
    from reidlib.collection import formats, video
    from reidlib.detection import detectors

    clip, found = video.open(source, fps), {}
    about = video.probe(clip)
    check(source, detector, targets=[out, film])
    find = detectors.load(detector, classes=classes)
    with clip.film(film) as writer:
        frames = tqdm(_frames(clip), "detect", about.frames, leave=False)
        for index, _, image in frames:
            people = find([image])[0]
            found[index] = people[detectors.COLUMNS].to_numpy(np.float32)
            if writer:
                writer.write(drawing.draw_tracks(image, people))
        table = pd.DataFrame(np.concatenate(list(found.values())), columns=detectors.COLUMNS)
        table["frame"] = np.repeat(list(found), [len(boxes) for boxes in found.values()])
        formats.write_mot(table, out)
    wrote(out, film)
    what = ", ".join(classes) if classes else counted(len(table), "person", "people").split()[1]
    return f"{len(table)} {what} found in {counted(len(found), 'frame')}"


@program.add("clip.mp4 --out tracks.txt --video tracks.mp4 --truth truth.txt", people=True)
def track(
    out: cli.Tracks,
    videos: cli.AnyVideos = None,
    film: cli.Film = None,
    site: cli.Site = None,
    camera: cli.Camera = None,
    truth: cli.Truth = None,
    detector: cli.Detector = None,
    classes: cli.Classes = None,
    features: cli.Features = None,
    blur: cli.Blur = False,
    gate: cli.Gate = False,
    detect_every: cli.DetectEvery = 1,
    fps: cli.Rate = None,
    workers: cli.Workers = None,
    scheduler: cli.Scheduler = None,
) -> str:
    """Follow the people through a video.

    With the truth the tracks are scored: MOTA, IDF1, HOTA.
    """
    if cli.several(videos, workers, scheduler):
        if film or site or truth:
            raise ValueError(f"--video, --site or --truth with {len(videos)} videos; give one")
        tools = {"detector": detector, "classes": classes, "features": features}
        options = {"gate": gate, "detect_every": detect_every, "fps": fps}
        return _share(track, videos, out, ".txt", workers, scheduler, tools, **options)
    from reidlib import boxes, drawing
    from reidlib.collection import formats, privacy, video
    from reidlib.demonstration import place, site_file
    from reidlib.detection import detectors, looks, scores, tracking
    from reidlib.features import extractors

    out, source = cli.new_file(str(out)), videos[0] if videos else None
    known_place = site_file.read(site) if site else place.Site()
    if (source is None) == (site is None) or (camera and not site):
        raise ValueError("track needs a VIDEO, or --site with --camera, and not both")
    looks.check_blur(blur and film, gate, detect_every)
    described = site_file.camera(known_place, camera) if site else place.Camera(source)
    source, truth = str(described.video), truth or described.truth
    detector, features = detector or known_place.detector, features or known_place.features
    clip = video.open(source, fps)
    about = video.probe(clip)
    size = about.width, about.height
    known = scores.read_truth(truth, about.frames, size) if truth else None
    check(source, site, truth, detector, features, targets=[out, film])
    find = detectors.load(detector, classes=classes or known_place.classes)
    embed = extractors.load(features)
    heads = privacy.Heads(privacy.HEAD if blur and film else 0)
    find = place.outside(heads.watch(find), described.masks)
    with clip.film(film) as writer:

        def draw(index, image, tracks):
            writer.write(drawing.draw_tracks(heads.blur(index, image, tracks), tracks))

        options = {"on_frame": draw if writer else None, "gate": gate, "detect_every": detect_every}
        table = tracking.track(_frames(clip), find, embed, **options)
        formats.write_mot(table, out)
    wrote(out, film)
    line = counted(table["track"].nunique(), "track")
    if known is None:
        return line
    known = known[~place.in_masks(known[boxes.BOX].to_numpy(), described.masks)]
    score = scores.evaluate(known, table)
    return ", ".join([line, *(f"{name} {score[name]:.3f}" for name in ("MOTA", "IDF1", "HOTA"))])


@program.add("clip.mp4 --tracks tracks.txt --out features.npz", people=True)
def extract(
    videos: cli.Sources,
    out: cli.Vectors,
    tracks: cli.Known = None,
    detector: cli.Detector = "auto",
    classes: cli.Classes = None,
    features: cli.Features = "auto",
    fps: cli.Rate = None,
    workers: cli.Workers = None,
    scheduler: cli.Scheduler = None,
) -> str:
    """Turn people into feature vectors."""
    if cli.several(videos, workers, scheduler):
        if tracks:
            raise ValueError(f"--tracks are those of one video, and there are {len(videos)}")
        tools = {"detector": detector, "classes": classes, "features": features}
        return _share(extract, videos, out, ".npz", workers, scheduler, tools, fps=fps)
    import pandas as pd

    from reidlib.collection import annotation, datasets, formats, video
    from reidlib.demonstration import place, provenance
    from reidlib.detection import detectors, tracking
    from reidlib.features import extractors, real_people, vectors

    out, source = cli.new_file(str(out)).with_suffix(".npz"), videos[0]
    crops = not tracks and (source == "plaza" or datasets.is_dataset(source))
    clip = None if crops else video.open(source, fps)
    length = video.probe(clip).frames if clip else None
    written = [out, out.with_suffix(".csv"), out.with_suffix(".json")]
    check(source, tracks, detector, features, targets=written)
    extractor, find = extractors.load(features), None
    real_people.advise(extractor.name, [source] if clip else [])
    if tracks:
        table = formats.read_mot(tracks)
        if table.empty:
            raise ValueError(f"{tracks} holds no boxes; track the video first")
        annotation.check_length(table, length, clip)
        embeddings = extractors.embed_tracks(clip, table, extractor, length)
        if not clip.live:
            table = table.assign(time=clip.times[table["frame"]])
    elif crops:
        data = datasets.load(source)
        parts = {"train": data.train, "query": data.query, "gallery": data.gallery}
        table = pd.concat([part.assign(part=name) for name, part in parts.items()])
        embeddings = extractors.embed(table, extractor)
    else:
        find = detectors.load(detector, classes=classes)
        table, embeddings = tracking.track(_frames(clip), find, extractor, embeddings="file")
    vectors.write(out, embeddings, table)
    cameras = {Path(source).stem: place.Camera(source)} if clip else {}
    provenance.write(out, find, extractor, cameras)
    wrote(out, out.with_suffix(".csv"))
    return f"{len(embeddings)} vectors of {extractor.dim} numbers, by {extractor.name}"


@program.add("plaza --model model.pt --rerank")
def evaluate(
    dataset: cli.Dataset,
    model: cli.Model = "auto",
    rerank: cli.Rerank = False,
    centre: cli.Centre = False,
    same_camera: cli.SameCamera = False,
) -> str:
    """Score a model on a data set: rank-1, mAP, mINP.

    The intervals hold for other people of the same kind: identities are drawn anew.
    """
    import pandas as pd

    from reidlib.features import extractors
    from reidlib.model import distances, ranking

    data, extractor = load_dataset(dataset, same_camera), extractors.load(model)
    query, gallery = (extractors.embed(part, extractor) for part in (data.query, data.gallery))
    results = {"as embedded": ranking.score(query, gallery, data)}
    if centre:
        results["cameras centred"] = ranking.score(query, gallery, data, centre=True)
    if rerank:
        results["re-ranked"] = ranking.evaluate_distances(
            distances.rerank(query, gallery), *data.labels
        )
    table = pd.DataFrame({name: result.summary() for name, result in results.items()}).T
    for column, metric in (("rank-1", "rank1"), ("mAP", "mAP")):
        ends = [result.interval(metric) for result in results.values()]
        table[f"{column}, 95 %"] = [f"{low:.3f} to {high:.3f}" for low, high in ends]
    print(table.T.to_string(float_format="{:.4f}".format))
    for note in results["as embedded"].notes:
        print(f"note: {note}")
    return f"{extractor.name} on {data.name}: {in_words(list(results.values())[-1])}"


@program.add(
    "plaza --model model.pt --out figures", "the figures finished so far are in {out}", people=True
)
def visualize(
    dataset: cli.Dataset,
    out: cli.Folder,
    model: cli.Model = "auto",
    same_camera: cli.SameCamera = False,
) -> str:
    """Draw rankings, the embedding map and the confusion matrix."""
    import numpy as np
    import pandas as pd

    from reidlib import style
    from reidlib.features import extractors
    from reidlib.features.plots import embedding_map
    from reidlib.model import distances, plots, ranking

    data, extractor = load_dataset(dataset, same_camera), extractors.load(model)
    names = ("rank_grid", "cmc", "embedding_map", "confusion")
    check(dataset, model, targets=[out / f"{name}.png" for name in names])
    query, gallery = (extractors.embed(part, extractor) for part in (data.query, data.gallery))
    result = ranking.score(query, gallery, data)
    query_pids, _, gallery_pids, gallery_camids = data.labels
    order, nearest = distances.top(query, gallery, 10, junk=ranking.junk(*data.labels))
    title = style.plain_text(extractor.name)

    counted = np.flatnonzero(np.isfinite(result.ap))
    figures = {
        "rank_grid": plots.best_to_worst(data, result, order, nearest, title),
        "cmc": plots.cmc({title: result.cmc}),
    }
    everybody = pd.unique(query_pids[counted])
    known = np.isin(gallery_pids, everybody[: plots.SHOWN])
    if known.sum() > 3:
        cameras = gallery_camids[known] if (gallery_camids[known] >= 0).all() else None
        figures["embedding_map"] = embedding_map(
            gallery[known],
            gallery_pids[known],
            cameras,
            "tsne",
            title=f"Gallery images of {plots.people_shown(everybody)}, as a map (t-SNE)",
        )
    first = gallery_pids[order[counted, 0]]
    figures["confusion"] = plots.mistaken_people(query_pids[counted], first)
    for name, figure in figures.items():
        wrote(style.save(figure, out / f"{name}.png"))
    return f"{len(figures)} figures of {extractor.name} on {data.name}: {in_words(result)}"


def _share(command, videos, out, ending: str, workers, scheduler, tools=None, **options) -> str:
    """Do a command for each of several videos, here or on workers, into a folder."""
    from reidlib.demonstration import clips

    out, settings = cli.path(str(out)), clips.networks(**tools) if tools else {}
    tasks = clips.jobs(command, videos, out, ending, settings, **(tools or {}), **options)
    clips.run(tasks, workers, scheduler)
    wrote(*(out / f"{task.name}{ending}" for task in tasks))
    return f"{len(tasks)} clips in {out}"


def _frames(clip: "video.Video") -> Iterable:
    """Return a video's frames; Ctrl-C ends a live one, which may have no other end."""
    from reidlib.collection import capture

    return capture.until_interrupted(clip.read()) if clip.live else clip.read()


def load_dataset(name: str, same_camera: bool) -> "datasets.Dataset":
    """Return a data set that can be scored; with `same_camera` nobody asks who took an image."""
    from reidlib.collection import datasets
    from reidlib.model import ranking

    data = datasets.load(name)
    if same_camera:
        unknown = {part: getattr(data, part).assign(camid=-1) for part in ("query", "gallery")}
        data = replace(data, **unknown)
    ranking.true_matches(*data.labels)
    return data


def check(*inputs, targets: Sequence[Path | None]) -> None:
    """Refuse, before any work, to write over an input, twice to one file, or where none can be."""
    from reidlib.collection import sequences

    indices = [Path(source) / sequences.INDEX for source in inputs if source]
    assets.refuse_overwriting([*inputs, *indices], targets)
    assets.check_writable(*filter(None, targets))


def wrote(*paths: Path | None) -> None:
    """Say which files were written."""
    for written in filter(None, paths):
        print(f"wrote {written}")


def in_words(result: "ranking.Result") -> str:
    """Return rank-1 with its interval of 95 %, and mAP."""
    low, high = result.interval()
    return f"rank-1 {result.cmc[0]:.3f} ({low:.3f} to {high:.3f}), mAP {result.mAP:.3f}"
