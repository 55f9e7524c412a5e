"""What the commands on data sets do: train a network, score one, draw what it makes of people."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from reidlib import assets, datasets, features, ranking
from reidlib.commands import check_targets, embed, wrote

SHOWN = 12  # people in a map, a confusion matrix
ROWS = 6  # queries in the rank grid


def train(args) -> str:
    """Train a network, going on from its checkpoint if there is one, and score it."""
    import torch

    from reidlib import models, training

    table, checkpoint = args.out.with_suffix(".csv"), Path(f"{args.out}.checkpoint")
    if args.out.suffix != ".pt":
        raise ValueError(f"--out {args.out}: the name of a model ends in .pt")
    check_targets([args.dataset], [args.out, table, checkpoint])
    data = datasets.load(args.dataset)
    _check_scorable(data)
    torch.manual_seed(0)
    model = models.SiameseNetwork(args.backbone, classes=data.train["pid"].nunique())
    settings = {"loss": args.loss, "margin": args.margin, "epochs": args.epochs}
    history = training.fit(model, data, checkpoint=checkpoint, **settings)
    models.save(model, args.out, **settings, trained_on=data.name)
    with assets.atomic(table) as temporary:
        history.to_csv(temporary, index=False)
    checkpoint.unlink(missing_ok=True)
    wrote(args.out, table)
    result = training.evaluate(model, data)
    seconds = history["seconds"].sum()
    return f"{args.epochs} epochs in {seconds:.0f} s: {_scores(result)}"


def evaluate(args) -> str:
    """Score a model by the Market-1501 protocol, with intervals over identities."""
    data, extractor = datasets.load(args.dataset), features.load(args.model)
    labels = _check_scorable(data)
    query, gallery = embed(data.query, extractor), embed(data.gallery, extractor)
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
    labels = _check_scorable(data)
    assets.check_writable(args.out / "rank_grid.png")
    query, gallery = embed(data.query, extractor), embed(data.gallery, extractor)
    result = ranking.evaluate(query, *labels[:2], gallery, *labels[2:])
    order, away = ranking.top(query, gallery, 10, junk=ranking.junk(*labels))

    # From the best query to the worst, so that the picture is as fair as the score.
    counted = np.flatnonzero(np.isfinite(result.ap))
    by_score = counted[np.argsort(-result.ap[counted], kind="stable")]
    some = by_score[np.linspace(0, len(by_score) - 1, min(ROWS, len(by_score))).astype(int)]
    found = [order[i][order[i] >= 0] for i in some]
    paths = [datasets.read_images(data.gallery["path"].iloc[rows]) for rows in found]
    figures = {
        "rank_grid": model.rank_grid(
            datasets.read_images(data.query["path"].iloc[some]),
            paths,
            [labels[2][rows] == labels[0][i] for i, rows in zip(some, found)],
            [[f"{value:.2f}" for value in away[i]] for i in some],
            [f"{labels[0][i]}: AP {result.ap[i]:.2f}" for i in some],
            f"From the best query to the worst, cosine distances ({extractor.name})",
        ),
        "cmc": model.cmc({extractor.name: result.cmc}),
    }
    everybody = pd.unique(labels[0][counted])
    known = np.isin(labels[2], everybody[:SHOWN])
    if known.sum() > 3:
        title = f"Gallery images of {_part(everybody)}, as a map (t-SNE)"
        cameras = labels[3][known] if (labels[3][known] >= 0).all() else None
        figures["embedding_map"] = maps.embedding_map(
            gallery[known], labels[2][known], cameras, "tsne", title=title
        )
    nearest = labels[2][order[counted, 0]]
    figures["confusion"] = _confusion(labels[0][counted], nearest)
    for name, figure in figures.items():
        wrote(style.save(figure, args.out / f"{name}.png"))
    return f"{len(figures)} figures of {extractor.name} on {data.name}: {_scores(result)}"


def _confusion(true: np.ndarray, answers: np.ndarray):
    """Return the figure of who was taken for whom: the identity of each query's nearest image.

    Shown are those who were mistaken, and for whom; then others, while there is room.
    """
    from reidlib.plots import model

    wrong = true != answers
    mistaken = np.column_stack([true[wrong], answers[wrong]]).ravel()
    everybody = pd.unique(np.concatenate([mistaken[mistaken > 0], true]))
    people = np.sort(everybody[:SHOWN])
    names = [*people, "other"]
    place = {person: i for i, person in enumerate(people)}
    counts = np.zeros((len(people), len(names)), int)
    for person, answer in zip(true, answers):
        if person in place:
            counts[place[person], place.get(answer, -1)] += 1
    title = f"Who was taken for whom: {1 - wrong.mean():.0%} of all right, {_part(everybody)} shown"
    return model.confusion(counts, people, names, title)


def _part(people: np.ndarray) -> str:
    return f"{min(SHOWN, len(people))} of {len(people)} people"


def _check_scorable(data: datasets.Dataset) -> list[np.ndarray]:
    """Return the labels of queries and gallery; ValueError, before any work, if none can match."""
    query, gallery = (np.zeros((len(part), 1), np.float32) for part in (data.query, data.gallery))
    ranking.evaluate(query, *data.labels[:2], gallery, *data.labels[2:])
    return data.labels


def _scores(result: ranking.Result) -> str:
    low, high = result.interval()
    return f"rank-1 {result.cmc[0]:.3f} ({low:.3f} to {high:.3f}), mAP {result.mAP:.3f}"
