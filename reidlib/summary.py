"""What the demo found, as figures, as numbers and as a page to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

import reidlib
from reidlib import ranking, report

LATE = " late"
SCORES = ["MOTA", "IDF1", "HOTA", "precision", "recall", "switches", "people", "tracks"]


TEXTS = {  # figure: its heading, what to see in it, its caption
    "timeline": (
        "Who was where, and when",
        "A row a person, a bar a stay, its pattern the camera.",
        "Time line of all cameras",
    ),
    "rank_grid": (
        "The ranking",
        " Blue with ✓ is the same person, dashed orange with ✗ is not; grey: nobody knows.",
        "Ranked matches with their similarity",
    ),
    "embedding_map": (
        "How the network sees them",
        "Each point is one picture of a person, placed so that similar vectors are neighbours. "
        "Good vectors make one island a person, whatever the camera.",
        "Map of the embeddings (t-SNE)",
    ),
}
RANKED = {  # several cameras: what is ranked
    True: "On the left a person as one camera saw them, then the most similar tracks of others.",
    False: "With one camera, the early half of a track is looked for among the late halves of "
    "all: a first test of whether the vectors tell these people apart. Where the truth counts a "
    "person who comes back as somebody new, ✗ marks the same person too.",
}


def rankings(
    rows: pd.DataFrame, vectors: np.ndarray, queries: int = 6, length: int = 8, early: bool = False
) -> list:
    """Return (query row, gallery rows best first) for the longest tracklets of different people.

    The gallery of a query is every tracklet of the other cameras. Where the truth is known, only
    people whom several cameras saw are looked for: the others cannot be found. With `early`, late
    halves are not looked for.
    """
    shared = rows[rows["pid"] >= 0].groupby("pid")["camera"].transform("nunique") > 1
    some = rows.loc[shared.index[shared]] if shared.any() else rows
    if early:
        some = some[~some["camera"].str.endswith(LATE)]
    chosen = some.sort_values("frames", ascending=False).drop_duplicates("identity").index
    camera, pairs = rows["camera"].to_numpy(), []
    for query in chosen:
        others = np.flatnonzero(camera != camera[query])
        best = np.argsort(-(vectors[others] @ vectors[query]), kind="stable")[:length]
        if len(others):
            pairs.append((int(query), others[best].tolist()))
    return pairs[:queries]


def picture(crops: Mapping, row) -> np.ndarray:
    """Return the crop nearest to the middle of a tracklet; `crops` is camera to track to crops."""
    camera = row.camera if row.camera in crops else row.camera.removesuffix(LATE)
    kept = crops[camera].get(row.track, [])
    middle = (row.first + row.last) / 2
    blank = (0, np.full((128, 64, 3), 128, np.uint8))
    return min(kept, key=lambda item: abs(item[0] - middle), default=blank)[1]


def portraits(
    clips: Sequence, rows: pd.DataFrame, limit: int
) -> dict[int, list[tuple[str, np.ndarray]]]:
    """Return up to `limit` crops of each person with camera and time, spread over their stays."""
    found: dict[int, list[tuple[str, np.ndarray]]] = {}
    clip_of = {clip.camera: clip for clip in clips}
    for person, stays in rows.sort_values(["camera", "start"]).groupby("identity"):
        kept = [
            (f"{stay.camera[-12:]}, {clip_of[stay.camera].at(index):.0f} s", image)
            for stay in stays.itertuples()
            for index, image in clip_of[stay.camera].crops.get(stay.track, [])
        ]
        chosen = np.unique(np.linspace(0, len(kept) - 1, min(limit, len(kept))).round().astype(int))
        found[person] = [kept[i] for i in chosen]
    return {person: images for person, images in found.items() if images}


def figures(
    clips: Sequence,
    rows: pd.DataFrame,
    ranked: tuple[pd.DataFrame, np.ndarray],
    table: pd.DataFrame,
    vectors: np.ndarray,
    folder: Path,
) -> dict[str, Path]:
    """Write the demo's figures to `folder` and return their paths by name.

    `clips` are the cameras with their sampled crops, `rows` the identified tracklets, `ranked` the
    tracklets to compare in the rank grid and their vectors, `table` and `vectors` every box with
    its identity and its vector.
    """
    from reidlib.plots import demonstration, features, model, style

    crops = {clip.camera: clip.crops for clip in clips}
    drawn = {"timeline": demonstration.who_was_where(rows)}
    drawn["people"] = demonstration.people(dict(list(portraits(clips, rows, 6).items())[:12]))
    compared, means = ranked
    pairs = rankings(compared, means, early=len(clips) == 1)
    if pairs:
        images = [picture(crops, row) for row in compared.itertuples()]
        pids, cameras = compared["pid"].tolist(), compared["camera"].str[-12:].tolist()
        if len(clips) == 1:
            cameras = ["late" if name.endswith(LATE) else "early" for name in compared["camera"]]
        drawn["rank_grid"] = model.rank_grid(
            [images[query] for query, _ in pairs],
            [[images[i] for i in best] for _, best in pairs],
            [
                [pids[i] == pids[q] if min(pids[i], pids[q]) >= 0 else None for i in best]
                for q, best in pairs
            ],
            [[f"{cameras[i]}\n{means[i] @ means[q]:.2f}" for i in best] for q, best in pairs],
            [cameras[query] for query, _ in pairs],
            "The most similar tracks, and how similar they are (cosine)",
        )
    people = table["identity"].to_numpy()
    seen = np.flatnonzero(np.isfinite(vectors).all(axis=1) & (people > 0))
    seen = seen[:: max(1, len(seen) // 400)]
    if len(seen) > 3:
        drawn["embedding_map"] = features.embedding_map(
            vectors[seen], people[seen], table["camera"].iloc[seen].tolist(), "tsne"
        )
    return {name: style.save(figure, folder / f"{name}.png") for name, figure in drawn.items()}


def between_cameras(rows: pd.DataFrame, vectors: np.ndarray) -> dict[str, float]:
    """Return rank-1, mAP and mINP of finding a true person's tracklet in the other cameras.

    Empty where the truth is unknown or nobody was seen by two cameras.
    """
    seen = rows[rows["pid"] >= 0].groupby("pid")["camera"].nunique()
    if not (seen > 1).any():
        return {}
    pids = np.where(rows["pid"] >= 0, rows["pid"] + 1, -1)  # a truth may count from 0
    cameras = pd.factorize(rows["camera"])[0] + 1
    query = np.flatnonzero(pids > 0)
    result = ranking.evaluate(vectors[query], pids[query], cameras[query], vectors, pids, cameras)
    return {"rank-1": result.cmc[0], "mAP": result.mAP, "mINP": result.mINP}


def metrics(clips: Sequence, rows: pd.DataFrame, means: np.ndarray, quality: pd.DataFrame) -> dict:
    """Return what was found as a nested dictionary of plain values, for `report.write_json`."""
    frames = sum(clip.about.frames for clip in clips)
    seconds = sum(clip.seconds for clip in clips)  # 0 where tracks were not made but read
    return {
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": report.versions(),
        "people": int(rows["identity"].nunique()),
        "people in the truth": len(
            {pid for clip in clips if clip.truth is not None for pid in clip.truth["track"]}
        )
        or None,
        "people in several cameras": int((rows.groupby("identity")["camera"].nunique() > 1).sum()),
        "frames a second": frames / seconds if seconds else None,
        "cameras": {
            clip.camera: {
                "file": clip.path.name,
                "width": clip.about.width,
                "height": clip.about.height,
                "frames": clip.about.frames,
                "seconds": clip.about.duration,
                "tracks": int(clip.table["track"].nunique()),
                "people": int(rows.loc[rows["camera"] == clip.camera, "identity"].nunique()),
                "frames a second": clip.about.frames / clip.seconds if clip.seconds else None,
            }
            for clip in clips
        },
        "scores": quality.to_dict("index"),
        "between cameras": between_cameras(rows, means),
    }


def write_report(
    path: Path,
    clips: Sequence,
    rows: pd.DataFrame,
    found: Mapping,
    films: Sequence[Path],
    pictures: Mapping[str, Path],
) -> Path:
    """Write the page that shows films, people, figures and, where the truth is known, scores.

    `found` is the result of `metrics`, `films` and `pictures` the files to show.
    """
    where = f"{len(clips)} cameras" if len(clips) > 1 else "one camera"
    lead = (
        f"{found['people']} people in {where}, found without anybody naming them: "
        "a detector drew the boxes, a tracker joined them, and a network decided who is who."
    )
    parts = [
        _facts(clips, found),
        _film_section(films),
        _people_section(clips, rows),
        _picture_section(pictures, "timeline"),
        _picture_section(pictures, "rank_grid", RANKED[len(clips) > 1]),
        _picture_section(pictures, "embedding_map"),
        _quality_section(found),
        _making_section(found),
    ]
    footer = f"Made by reidlib {reidlib.__version__} on {found['made'][:10]}."
    return report.write(path, report.page("Who was where", lead, parts, footer))


def _facts(clips: Sequence, found: Mapping) -> str:
    seconds = sum(clip.about.duration for clip in clips)
    facts = {"people": found["people"], "of footage": f"{seconds:.0f} s"}
    if found["people in the truth"]:
        facts["people in the truth"] = found["people in the truth"]
    if len(clips) > 1:
        facts["cameras"] = len(clips)
        facts["people seen by several cameras"] = found["people in several cameras"]
    if found["frames a second"]:
        facts["frames a second"] = f"{found['frames a second']:.0f}"
    if found["between cameras"]:
        facts["rank-1 between cameras"] = f"{found['between cameras']['rank-1']:.0%}"
    return report.facts(facts)


def _film_section(films: Sequence[Path]) -> str:
    text = (
        "One number is one person, whatever the camera; of the colours there are only 21. Grey "
        "boxes are people seen too briefly to tell."
    )
    caption = films[0].stem.replace("_", " ")
    parts = [report.film(films[0], caption), report.links(films[1:])]
    return report.section("See for yourself", text, *parts)


def _people_section(clips: Sequence, rows: pd.DataFrame) -> str:
    cards, known = {}, [clip.camera for clip in clips if clip.truth is not None]
    for person, images in portraits(clips, rows, 4).items():
        stays = rows[rows["identity"] == person].sort_values("start")
        spans = (f"{row.camera} {row.start:.0f}–{row.end:.0f} s" for row in stays.itertuples())
        seen = ", ".join(spans)
        if (stays["pid"] < 0).all() and stays["camera"].isin(known).all():
            seen += "; the truth has nobody there"
        cards[person] = seen, [image for _, image in images]
    return report.section("Who is who", "In order of appearance.", report.people(cards))


def _picture_section(pictures: Mapping[str, Path], name: str, before: str = "") -> str:
    if name not in pictures:
        return ""
    title, text, caption = TEXTS[name]
    return report.section(title, before + text, report.picture(pictures[name], caption))


def _quality_section(found: Mapping) -> str:
    if not found["scores"]:
        text = (
            "For this footage nobody wrote down who is who, so there is nothing to score against. "
            "Give MOT ground truth with --truth to have MOTA, IDF1 and HOTA here."
        )
        return report.section("How good is it?", text)
    text = (
        "Compared with the truth. MOTA counts missed and false boxes, IDF1 how long each person "
        "keeps one identity, HOTA balances both; 1 is perfect. The linked rows use the identities "
        "shown here; all cameras asks for one identity everywhere. Wrong links lower IDF1, and "
        "right ones do too where a truth counts a person who comes back as somebody new."
    )
    table = pd.DataFrame.from_dict(found["scores"], orient="index")[SCORES]
    counts = {name: "{:.0f}".format for name in ("switches", "people", "tracks")}
    parts = [report.table(table, counts)]
    if found["between cameras"]:
        values = ", ".join(
            f"{name} {value:.2f}" for name, value in found["between cameras"].items()
        )
        parts.append(f"<p>Looking for each track in the other cameras: {values}.</p>")
    return report.section("How good is it?", text, *parts)


def _making_section(found: Mapping) -> str:
    text = (
        "An identity here is the network's best guess, not evidence. It fails after a change of "
        "clothes, in other light, when somebody is hidden, and for people unlike those it learnt "
        "from; look at the films before you believe a number."
    )
    cameras = pd.DataFrame.from_dict(found["cameras"], orient="index")
    whole = {name: "{:.0f}".format for name in ("width", "height", "frames", "tracks", "people")}
    seconds = pd.DataFrame({"seconds": found["seconds"]})
    setup = pd.DataFrame({"value": {**found["settings"], **found["versions"]}})
    tables = (report.table(cameras, whole, 1), report.table(seconds, {}, 1), report.table(setup))
    return report.section("How it was made, and what to make of it", text, *tables)
