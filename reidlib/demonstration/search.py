"""Where was the person of this picture? All tracks of a result, ranked by their cosine distance."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

import reidlib
from reidlib import assets, boxes, drawing
from reidlib.boxes import BOX
from reidlib.collection import encoding, formats, video
from reidlib.demonstration import galleries, matching, place, provenance, report
from reidlib.detection import detectors
from reidlib.features import extractors, vectors
from reidlib.model import distances

SHOWN = 12  # hits on the page; the table has all
SECONDS = 4.0  # of film around a hit
WIDEST = 640  # pixels of such a film
ENOUGH = 20  # pairs of strangers, to say how near strangers get
NEAREST = 1000  # tracks of a gallery that are ranked
SAMPLE = 2000  # tracks of a gallery that say how near strangers get
ON_THE_CLOCK = 1e8  # seconds; more are a time since 1970, as no recording lasts three years


@dataclass(frozen=True)
class Results:
    """Tracks that demo or extract wrote: a row each, a unit vector each, and what made them.

    `tracks` has camera, track, start and end (seconds of the common clock); `made` is as from
    provenance.read, `path` the file of features.
    """

    path: Path
    tracks: pd.DataFrame
    vectors: np.ndarray
    made: Mapping
    boxed: pd.DataFrame | None = None  # a row a box, where the features are of boxes
    gallery: matching.Gallery | None = None  # of which `tracks` and `vectors` are the first

    def __len__(self) -> int:
        return len(self.tracks if self.gallery is None else self.gallery)

    def film(self, camera: str) -> Path | None:
        """Return the video of a camera, or the film with boxes that demo made of it, if any."""
        original = self.made.get("cameras", {}).get(camera, {}).get("video")
        films = [original, self.path.parent / f"{camera}.mp4"]
        return next((path for path in films if path and path.exists()), None)

    def boxes(self, camera: str) -> pd.DataFrame:
        """Return the boxes of a camera's tracks: frame, track, x1 y1 x2 y2."""
        if self.boxed is not None:
            return self.boxed
        path = self.path.parent / "tracks" / f"{camera}.txt"
        return formats.read_mot(path) if path.is_file() else pd.DataFrame(columns=["track"])


def remember(folder: str | Path, store, delete_after: date) -> tuple[int, int]:
    """Add the tracks that demo wrote to a folder to a gallery's store.

    Those that it had from an earlier run to the same folder, which is gone, are taken out. Returns
    how many were added and taken out. A row notes the folder, and the day to forget it. Where the
    site file says when the recording began, start and end become seconds since 1970, so that days
    follow each other.
    """
    results = read(folder)
    began = results.made.get("began")
    zero = 0.0
    if began:
        moment = datetime.fromisoformat(began).replace(tzinfo=None)
        zero = (moment - datetime(1970, 1, 1)).total_seconds()
    table = results.tracks[["camera", "track", "start", "end", "identity"]].astype({"camera": str})
    table = table.assign(start=table["start"] + zero, end=table["end"] + zero)
    place = str(Path(folder).absolute())
    table = table.assign(results=place, delete_after=delete_after.isoformat())
    gallery = matching.Gallery()
    gallery.store = store
    struck = store.strike(place)
    gallery.add(results.vectors, table)
    return len(table), struck


def _in_gallery(place: str | Path) -> Results:
    """Return a gallery as results: of its tracks, only the first are read."""
    gallery = matching.Gallery.load(place)
    if not len(gallery):
        raise ValueError(f"the gallery at {place} is empty; add tracks with demo --gallery")
    embeddings, table = gallery.store.first(SAMPLE)
    boxes.require(table, ["camera", "track", "start", "end"], f"the table of {place}")
    known = gallery.store.features
    made = {"features": known, "cameras": {}, "began": None} if known else {}
    return Results(Path(place), table, embeddings, made, gallery=gallery)


def read(folder: str | Path) -> Results:
    """Return the tracks that demo wrote to a folder, or extract to a file, or those of a gallery.

    Raises FileNotFoundError where there is none of them, ValueError for what holds no tracks.
    """
    if galleries.is_large(folder):
        return _in_gallery(folder)
    path = Path(folder)
    if path.is_dir():
        found = sorted(path.glob("*.npz"))
        if len(found) != 1:
            names = ", ".join(file.name for file in found) or "no .npz"
            raise ValueError(f"{path} holds {names}; expected features.npz, as demo writes it")
        path = found[0]
    if not path.is_file():
        raise FileNotFoundError(
            f"no results at {path}; give the folder that demo wrote, or features of extract"
        )
    embeddings, table = vectors.read(path)
    made, boxed = provenance.read(path), None
    if set(BOX) <= set(table) and "track" in table:  # of extract: a row is a box
        boxed, camera = table, next(iter(made.get("cameras", {})), path.stem)
        boxes.require(table, ["time", "frame"], f"{path.with_suffix('.csv')}")
        table, embeddings = matching.tracklets(table.assign(camera=camera), embeddings)
    boxes.require(table, ["camera", "track", "start", "end"], f"{path.with_suffix('.csv')}")
    known = np.isfinite(embeddings).all(axis=1)
    if not known.any():
        raise ValueError(f"{path} holds no tracks; nobody was followed there")
    return Results(path, table[known].reset_index(drop=True), embeddings[known], made, boxed)


def person(image: np.ndarray, detector: Callable, box: Sequence[float] | None = None) -> np.ndarray:
    """Return the person in an RGB image (H, W, 3), cut out.

    `box` says where, x1 y1 x2 y2 in pixels; without it `detector` finds the one person there. A
    picture filled by a person is looked at with a margin, as detectors expect one. Raises
    ValueError where there is nobody, or several.
    """
    height, width = image.shape[:2]
    if box is not None:
        corners = boxes.clip([box], width, height)
        if boxes.area(corners)[0] < 1:
            raise ValueError(
                f"--box {box} covers nothing of the picture, {width} x {height} pixels"
            )
        return boxes.crop(image, corners)[0]
    found = detector([image])[0][BOX].to_numpy()
    if not len(found):
        margin = max(height, width) // 4
        wider = cv2.copyMakeBorder(image, *[margin] * 4, cv2.BORDER_REPLICATE)
        found = boxes.clip(detector([wider])[0][BOX].to_numpy() - margin, width, height)
        found = found[boxes.area(found) >= 1]
    if not len(found):
        raise ValueError(
            f"no person was found in the picture; if there is one, give --box 0,0,{width},{height}"
        )
    if len(found) > 1:
        listed = "; ".join(",".join(f"{side:.0f}" for side in corners) for corners in found[:6])
        raise ValueError(f"the picture shows {len(found)} people; say which by --box: {listed}")
    return boxes.crop(image, found)[0]


def rank(vector: np.ndarray, results: Results, threshold: float | None) -> pd.DataFrame:
    """Return all tracks, nearest first: rank, distance, hit, strangers, and what is known of each.

    `vector` is (D,). A track whose cosine distance is at most `threshold` is a hit; without one
    nobody can say, and `hit` is empty. `strangers` is the share of pairs of certain strangers that
    are as near, NaN where there are too few such pairs to say.
    """
    gallery = results.gallery
    if gallery is None:
        gallery = matching.Gallery().add(results.vectors, results.tracks)
    found = gallery.search([vector], len(results) if results.gallery is None else NEAREST)
    found = found.drop(columns=["query", "score"])
    found.insert(2, "hit", None if threshold is None else found["distance"] <= threshold)
    found.insert(3, "strangers", as_near(found["distance"], stranger_distances(results)))
    return found


def stranger_distances(results: Results) -> np.ndarray:
    """Return the cosine distances of tracks that one camera saw at once: of two people for certain.

    They tell without any labels how alike strangers look in this place, to these features.
    """
    apart = np.triu(place.apart_in_time(results.tracks, None, None), 1)
    return np.sort(distances.distances(results.vectors, results.vectors)[apart])


def as_near(distance, strangers: np.ndarray) -> np.ndarray:
    """Return for each distance which share of the sorted distances of strangers is at most it."""
    if len(strangers) < ENOUGH:
        return np.full(np.shape(distance), np.nan)
    return np.searchsorted(strangers, distance, side="right") / len(strangers)


def verdict(
    ranked: pd.DataFrame, threshold: float | None, share: float = np.nan, among: int | None = None
) -> str:
    """Return the answer as a sentence; that there is no hit is one.

    `share` of the strangers are nearer than the threshold, so that among many tracks some will be
    hits whoever is looked for. `among` is how many there are, where not all were ranked.
    """
    nearest, count = ranked["distance"].iloc[0], among or len(ranked)
    tracks = f"{count} tracks" if count > 1 else "one track"
    if threshold is None:
        return (
            f"No threshold is known for these features, so no hit is claimed: the nearest of "
            f"{tracks} is at {nearest:.2f}."
        )
    hits, limit = int(ranked["hit"].sum()), f"below the threshold {threshold:.2f}"
    if not hits:
        return (
            f"No hit {limit}: the nearest of {tracks} is at {nearest:.2f}. By this threshold it is "
            "a new individual, who is in none of them."
        )
    answer = f"{hits} of {tracks} {limit}, the nearest at {nearest:.2f}."
    if np.isnan(share):
        return f"{answer} How many strangers would be, too few tracks tell."
    return f"{answer} Of as many tracks of strangers, about {share * count:.1f} would be."


def moment(seconds: float, began: str | None) -> str:
    """Return a time of the common clock as people read it: a time of day if that is known."""
    if seconds >= ON_THE_CLOCK:
        return str(datetime(1970, 1, 1) + timedelta(seconds=round(seconds)))
    if began is None:
        return f"{seconds:.1f} s"
    return str((datetime.fromisoformat(began) + timedelta(seconds=seconds)).time())[:8]


def clearest(tracks: pd.DataFrame, track: int, looked_at: int = 50) -> int:
    """Return the frame in which others cover a track least; of several, that nearest its middle.

    `tracks` are the boxes of one camera; of a long track `looked_at` frames are compared.
    """
    frames = tracks.loc[tracks["track"] == track, "frame"].to_numpy()
    spread = np.unique(np.linspace(0, len(frames) - 1, looked_at).round().astype(int))
    covered = []
    for frame in frames[spread]:
        present = tracks[tracks["frame"] == frame]
        others = present["track"] != track
        overlap = boxes.iou(
            present.loc[~others, BOX].to_numpy(), present.loc[others, BOX].to_numpy()
        )
        covered.append(overlap.max(initial=0).round(2))
    middle = np.abs(spread - len(frames) / 2)
    return int(frames[spread[np.lexsort((middle, covered))[0]]])


def footage(source: Path, tracks: pd.DataFrame, names: Mapping[int, Path]) -> dict[int, np.ndarray]:
    """Write some seconds of film around where tracks are seen best; return a crop of each track.

    `tracks` are the boxes of one camera, frame track x1 y1 x2 y2, `names` track to film. The video
    is read once, whatever their number.
    """
    fps = max(video.probe(source).fps, encoding.SLOWEST)
    half, crops = max(1, round(SECONDS / 2 * fps)), {}
    rows = {track: tracks[tracks["track"] == track] for track in names}
    best = {track: clearest(tracks, track) for track in names}
    first, last = max(0, min(best.values()) - half), max(best.values()) + half
    with contextlib.ExitStack() as stack:
        films = {t: stack.enter_context(encoding.Writer(names[t], fps, crf=27)) for t in names}
        for index, _, image in video.read(source, start=first, stop=last + 1):
            for track in [track for track in names if abs(best[track] - index) <= half]:
                now = rows[track][rows[track]["frame"] == index]
                if index == best[track]:
                    crops[track] = boxes.crop(image, now[BOX].to_numpy())[0]
                films[track].write(_narrow(drawing.draw_tracks(image, now)))
    return crops


def _narrow(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    if width <= WIDEST:
        return image
    return cv2.resize(image, (WIDEST, round(height * WIDEST / width)), interpolation=cv2.INTER_AREA)


def run(
    picture: str | Path,
    folder: str | Path,
    out: str | Path,
    *,
    box: Sequence[float] | None = None,
    detector: str | None = None,
    features: str | None = None,
    threshold: float | None = None,
) -> tuple[pd.DataFrame, str]:
    """Search results for the person of a picture; return all tracks, nearest first, and the answer.

    Writes to `out` search.html, hits.csv with all tracks and, where the videos are found, films of
    the nearest. Detector, features and threshold are those that made the results, unless given;
    other features raise ValueError, as their vectors cannot be compared.
    """
    results, out = read(folder), Path(out)
    image, made = encoding.read_image(picture), results.made
    if not made and features is None:
        raise ValueError(
            f"{results.path} does not say which features made it; give them with --features"
        )
    extractor = extractors.load(features or made["features"]["name"])
    if made:
        provenance.check_same(made, extractor, results.path)
    if extractor.dim != results.vectors.shape[1]:
        raise ValueError(
            f"{results.path} holds vectors of {results.vectors.shape[1]} numbers, {extractor.name} "
            f"gives {extractor.dim}; give the features that made them"
        )
    if threshold is None:
        threshold = made["features"]["threshold"] if made else extractor.threshold
    page, table = out / "search.html", out / "hits.csv"
    films = [out / f"hit_{number:02d}.mp4" for number in range(1, SHOWN + 1)]
    cameras = results.tracks["camera"].unique()
    given = [picture, *map(results.film, cameras), results.path, results.path.with_suffix(".csv")]
    assets.refuse_overwriting(given, [page, table, *films])
    assets.check_writable(page)
    found_by, find = made.get("detector", {}), None
    if not box:
        name = detector or found_by.get("name", "auto")
        find = detectors.load(name, classes=found_by.get("classes"))
    crop = person(image, find, box)
    ranked = rank(extractor([crop])[0], results, threshold)
    shown = _cards(ranked.head(SHOWN), results, films, threshold)
    with assets.atomic(table) as temporary:
        ranked.to_csv(temporary, index=False)
    share = np.nan if threshold is None else as_near(threshold, stranger_distances(results))
    answer = verdict(ranked, threshold, float(share), len(results))
    _write_page(page, picture, crop, results, ranked, shown, answer, extractor, threshold)
    return ranked, answer


def _cards(nearest, results: Results, films: Sequence[Path], threshold) -> list[dict]:
    """Return what the page shows of the nearest tracks, and write their films."""
    cards, began = [], results.made.get("began")
    widest = max(1.0, nearest["distance"].max(), threshold or 0)
    for row, film in zip(nearest.itertuples(), films):
        card = {"rank": row.rank, "distance": row.distance, "hit": row.hit, "camera": row.camera}
        card |= {"track": row.track, "person": getattr(row, "identity", None), "film": film}
        card["strangers"] = None if np.isnan(row.strangers) else row.strangers
        card["when"] = f"{moment(row.start, began)} to {moment(row.end, began)}"
        card["at"] = 100 * row.distance / widest
        card["limit"] = None if threshold is None else 100 * threshold / widest
        card["results"] = getattr(row, "results", "")
        cards.append(card)
    for folder, camera in sorted({(card["results"], card["camera"]) for card in cards}):
        mine = [card for card in cards if (card["results"], card["camera"]) == (folder, camera)]
        seen = _results_of(folder) if results.gallery is not None else results
        source, tracks = seen.film(camera), seen.boxes(camera)
        there = [card for card in mine if (tracks["track"] == card["track"]).any()]
        names = {card["track"]: card["film"] for card in there}
        crops = footage(source, tracks, names) if source and names else {}
        for card in mine:
            card["image"] = crops.get(card["track"])
            card["film"] = card["film"] if card["track"] in crops else None
    return cards


def _results_of(folder: str) -> Results:
    """Return where the films of a gallery's track are, without its tracks; it may be gone."""
    path = Path(folder) / "features.npz"
    return Results(path, pd.DataFrame(), np.empty((0, 0)), provenance.read(path))


def _write_page(page, picture, crop, results, ranked, shown, answer, extractor, threshold) -> None:
    made = results.made.get("features", {})
    setup = {
        "picture": Path(picture).name,
        "results": results.path.parent.absolute().name,
        "features": Path(extractor.name).name,
        "their weights (SHA-256)": (made.get("sha256") or "none")[:16],
        "threshold": "unknown" if threshold is None else f"{threshold:.3f}",
    }
    hits = ranked["hit"].sum() if threshold is not None else "unknown"
    text = report.render(
        "search.html.jinja",
        title="Who looks like this?",
        lead=answer,
        crop=crop,
        facts={"tracks": len(results), "hits": hits, "cameras": ranked["camera"].nunique()},
        hits=shown,
        setup=report.table(pd.DataFrame({"value": setup})),
        footer=f"Made by reidlib {reidlib.__version__}.",
    )
    with assets.atomic(page) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="replace")
