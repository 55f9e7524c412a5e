"""Labels for a threshold: pairs of tracks, judged by people who do not see what a network thinks.

Whoever corrects a network's proposal agrees with it too often, and a threshold measured on such
labels looks better than it is. So pairs are drawn at random from near to far, shown in random order
without their distance, and every answer is in a file before the next pair is shown.
"""

import json
import re
import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from reidlib import assets, boxes
from reidlib.demonstration import place, provenance, sampling, site_file
from reidlib.features import vectors as features
from reidlib.model import distances, verification

ANSWERS = ("same", "different", "cannot tell")
STRATA = 8
LEAST_SAME, LEAST_DIFFERENT = 10, 50  # labelled pairs for a threshold that is kept
# What names a pair. Numbers of tracks change when footage is tracked again, so starts are kept too.
PAIR = ["camera_a", "track_a", "start_a", "camera_b", "track_b", "start_b"]
ANSWER = ["answer", "labeller", "time"]
TRACK = ["camera", "track", "start"]


def possible_pairs(tracklets: pd.DataFrame, vectors, overlap=None, travel=None) -> pd.DataFrame:
    """Return all pairs of tracks that could be one person: rows a and b, and their distance.

    `tracklets` and `vectors` (N, D) are as from matching.tracklets. One camera's tracks of the same
    time are two people; `overlap` and `travel` say more, as for matching.link. Tracks with NaN
    vectors have no distance and are in no pair.
    """
    boxes.require(tracklets, [*TRACK, "end"], "the table of tracklets")
    vectors = np.asarray(vectors, float)
    if len(vectors) != len(tracklets):
        raise ValueError(f"{len(tracklets)} tracklets, {len(vectors)} vectors; expected as many")
    possible = ~place.apart_in_time(tracklets, overlap, travel)
    known = np.isfinite(vectors).all(axis=1)
    possible &= known & known[:, None]
    a, b = np.nonzero(np.triu(possible, 1))
    distance = distances.distances(np.nan_to_num(vectors), np.nan_to_num(vectors))[a, b]
    return pd.DataFrame({"a": a, "b": b, "distance": distance})


def sample_pairs(
    tracklets: pd.DataFrame, vectors, n: int = 60, seed: int = 0, overlap=None, travel=None
) -> pd.DataFrame:
    """Return `n` possible pairs to label, near and far ones, in random order; a row each.

    Most pairs are of different people, far apart, and tell little. So the pairs are cut by distance
    into `STRATA` layers that grow with the square of their number, and as many are drawn from each:
    three in eight are of the nearest seventh of all. `stratum` and `population`, the pairs in it,
    undo this in `measured`. No column tells the distance; the answers are empty.
    """
    if n < STRATA:
        raise ValueError(f"n is {n}; expected {STRATA} pairs or more")
    pairs = possible_pairs(tracklets, vectors, overlap, travel)
    rng = np.random.default_rng(seed)
    nearness = pairs["distance"].rank(method="first") - 0.5
    pairs["stratum"] = np.ceil(STRATA * (nearness / len(pairs)) ** 0.5).astype(int)
    pairs["population"] = pairs.groupby("stratum")["a"].transform("size")
    drawn, left = [pairs[:0]], min(n, len(pairs))
    layers = sorted(pairs.groupby("stratum"), key=lambda layer: len(layer[1]))
    for done, (_, layer) in enumerate(layers):  # small ones first: what they lack, others give
        share = min(len(layer), round(left / (len(layers) - done)))
        drawn.append(layer.sample(share, random_state=rng))
        left -= share
    pairs = pd.concat(drawn).sample(frac=1, random_state=rng).reset_index(drop=True)
    swapped = rng.random(len(pairs)) < 0.5  # who is shown first tells nothing either
    a, b = np.where(swapped, [pairs["b"], pairs["a"]], [pairs["a"], pairs["b"]])
    tracks = tracklets[TRACK].assign(start=tracklets["start"].astype(float).round(3))
    sides = [
        tracks.iloc[rows].add_suffix(end).reset_index(drop=True)
        for rows, end in ((a, "_a"), (b, "_b"))
    ]
    empty = pd.DataFrame("", index=pairs.index, columns=ANSWER)
    return pd.concat([*sides, pairs[["stratum", "population"]], empty], axis=1)


# The file of answers


def write(path: str | Path, answers: pd.DataFrame) -> None:
    """Write pairs and their answers as CSV, in one step: the file is whole at any moment."""
    with assets.atomic(path) as temporary:
        answers.to_csv(temporary, index=False)


def read(path: str | Path) -> pd.DataFrame:
    """Return the pairs and answers of a file; ValueError where it holds something else."""
    text = dict.fromkeys(["camera_a", "camera_b", *ANSWER], str)
    try:
        answers = pd.read_csv(path, dtype=text, keep_default_na=False)
    except (ValueError, pd.errors.ParserError) as error:
        raise ValueError(f"{path} is no file of answers: {assets.reason(error)}") from error
    boxes.require(answers, [*PAIR, "stratum", "population", *ANSWER], str(path))
    if odd := set(answers["answer"]) - {*ANSWERS, ""}:
        raise ValueError(
            f"{path}: {sorted(odd)[0]!r} is no answer; expected {', '.join(ANSWERS)} or nothing"
        )
    return answers


def begin(path: str | Path, pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the answers that a file holds, to go on with; a new file is begun with `pairs`.

    Raises ValueError where the file is about other pairs: its answers would go to wrong tracks.
    """
    if not Path(path).exists():
        write(path, pairs)
        return pairs.copy()
    kept = read(path)
    if not kept[PAIR].astype(str).equals(pairs[PAIR].astype(str)):
        raise ValueError(
            f"{path} is about other pairs or other tracks, {len(kept)} of them; begin a new file, "
            "or give the tracks, number and seed that this one was begun with"
        )
    return kept


def answered(answers: pd.DataFrame, row: int, said: str, labeller: str = "") -> pd.DataFrame:
    """Return `answers` with what was said about pair `row`, by whom, and when; "" takes it back."""
    if said not in (*ANSWERS, ""):
        raise ValueError(f"{said!r} is no answer; expected {', '.join(ANSWERS)}")
    moment = datetime.now(UTC).isoformat(timespec="seconds")
    answers = answers.copy()
    answers.loc[row, ANSWER] = [said, labeller, moment] if said else [""] * 3
    return answers


def agreement(first: pd.DataFrame, second: pd.DataFrame) -> dict[str, float]:
    """Return how two people agree on the pairs that both answered: pairs, share, kappa.

    Kappa (Cohen, 1960) is 1 for full agreement and 0 for what chance would bring: two who mostly
    say "different" agree often without looking. NaN where both gave one and the same answer only.
    """
    from sklearn.metrics import cohen_kappa_score

    both = first[first["answer"] != ""].merge(second[second["answer"] != ""], on=PAIR)
    if both.empty:
        raise ValueError("no pair was answered by both; expected two files about the same pairs")
    one, other = both["answer_x"], both["answer_y"]
    undecided = len({*one, *other}) == 1
    kappa = np.nan if undecided else float(cohen_kappa_score(one, other))
    return {"pairs": len(both), "share": float((one == other).mean()), "kappa": kappa}


# From labels to rates


def measured(
    answers: pd.DataFrame, tracklets: pd.DataFrame, vectors, overlap=None, travel=None
) -> pd.DataFrame:
    """Return the answered pairs as verification.choose_threshold takes them.

    A pair stands for the pairs of its stratum, divided by those that were answered. "cannot tell"
    is left out, so rates are those of pairs that a person can tell; so are pairs that `overlap` and
    `travel`, as for matching.link, exclude, as nobody links them; and so are tracks that another
    threshold took for glimpses. Raises ValueError where tracks are not those that were shown, or
    where a stratum has no answer: rates would be of other pairs.
    """
    given = answers[answers["answer"] != ""]
    if missing := set(answers["stratum"]) - set(given["stratum"]):
        raise ValueError(
            f"{len(given)} of {len(answers)} pairs are answered, and none yet of "
            f"{len(missing)} of {answers['stratum'].nunique()} ranges of distance; label more"
        )
    a, b = (_rows(given, tracklets, end) for end in ("_a", "_b"))
    vectors = distances.unit(np.asarray(vectors, float))
    labels = pd.DataFrame({"a": a, "b": b, "same": (given["answer"] == "same").to_numpy()})
    labels["distance"] = 1 - (vectors[a] * vectors[b]).sum(axis=1)
    each = given.groupby("stratum")["answer"].transform("size")
    labels["weight"] = (given["population"] / each).to_numpy()
    told = (given["answer"] != "cannot tell").to_numpy() & (a >= 0) & (b >= 0)
    told &= ~place.apart_in_time(tracklets, overlap, travel)[a, b]
    return labels[told].reset_index(drop=True)


def _rows(answers: pd.DataFrame, tracklets: pd.DataFrame, end: str) -> np.ndarray:
    """Return which row of `tracklets` one side of each pair is, -1 where it is none of them."""
    keys = [tracklets["camera"].astype(str), tracklets["track"].astype(int)]
    known = pd.MultiIndex.from_arrays(keys)
    rows = known.get_indexer(pd.MultiIndex.from_frame(answers[[f"camera{end}", f"track{end}"]]))
    late = np.abs(tracklets["start"].to_numpy()[rows] - answers[f"start{end}"].to_numpy()) > 0.01
    if (late & (rows >= 0)).any() or (rows < 0).mean() > 0.1:
        raise ValueError(
            "the labels are about other tracks than these; expected the results that were "
            "labelled, not those of another run"
        )
    return rows


def all_pairs(tracklets: pd.DataFrame, vectors, pids, overlap=None, travel=None) -> pd.DataFrame:
    """Return every possible pair of tracks whose person is known, as `measured` does for answers.

    `pids` (N,) are the true people, below 1 where nobody knows.
    """
    pairs, pids = possible_pairs(tracklets, vectors, overlap, travel), np.asarray(pids)
    a, b = pids[pairs["a"]], pids[pairs["b"]]
    return pairs.assign(same=a == b, weight=1.0)[(a > 0) & (b > 0)].reset_index(drop=True)


# Every track and its person: what was proposed, and what somebody has seen and confirmed


def propose(tracklets: pd.DataFrame) -> pd.DataFrame:
    """Return a row a track, one identity after the other: camera, track, start, proposed, pid.

    `pid` is the person whom somebody confirmed: none so far. -1 will leave a track out.
    """
    people = tracklets[[*TRACK, "identity"]].rename(columns={"identity": "proposed"})
    people["start"] = people["start"].astype(float).round(3)
    people = people.sort_values(["proposed", "camera", "start"]).reset_index(drop=True)
    return people.assign(pid=pd.array([pd.NA] * len(people), "Int64"))


def resume(path: str | Path, people: pd.DataFrame) -> pd.DataFrame:
    """Return `people`, as of `propose`, with what a file says was confirmed; no file: as they are.

    The proposals may be others by now, the tracks may not: ValueError where numbers are another's.
    Confirmed tracks that another threshold took for glimpses come last, so that no label is lost.
    """
    if not Path(path).exists():
        return people.copy()
    try:
        text = {"keep_default_na": False, "na_values": {"pid": [""]}}  # a camera may be called NA
        kept = pd.read_csv(path, dtype={"camera": str, "pid": "Int64"}, **text)
    except (ValueError, pd.errors.ParserError) as error:
        raise ValueError(f"{path} is no file of people: {assets.reason(error)}") from error
    boxes.require(kept, [*TRACK, "pid"], str(path))
    kept = kept[kept["pid"].notna()]
    found = people.drop(columns="pid").merge(kept[[*TRACK, "pid"]], "left", TRACK)
    names = pd.MultiIndex.from_frame(people[["camera", "track"]].astype({"camera": str}))
    glimpses = kept[~pd.MultiIndex.from_frame(kept[["camera", "track"]]).isin(names)]
    unknown = len(kept) - found["pid"].notna().sum() - len(glimpses)
    if unknown or len(glimpses) > len(kept) / 10:
        raise ValueError(
            f"{path} is about {len(kept)} confirmed tracks, of which some are not among these; "
            "expected the results that were labelled, or a new file"
        )
    return pd.concat([found, glimpses[found.columns]], ignore_index=True)


def people_of(people: pd.DataFrame, tracklets: pd.DataFrame) -> np.ndarray:
    """Return the confirmed person of each tracklet, (N,), -1 where nobody has confirmed one."""
    keys = tracklets[["camera", "track"]].merge(people, "left", ["camera", "track"])
    return keys["pid"].fillna(-1).to_numpy(int)


def moments(kept: Sequence[tuple[int, np.ndarray]], count: int = 4) -> np.ndarray:
    """Return up to `count` crops of a track, evenly spread over its life, side by side.

    `kept` holds (frame, image) pairs, images of one size (H, W, 3); without any it is all grey.
    """
    if not kept:
        return np.full((*sampling.CROP[::-1], 3), 128, np.uint8)
    ordered = sorted(kept, key=lambda item: item[0])
    chosen = np.unique(np.linspace(0, len(ordered) - 1, count).round().astype(int))
    return np.hstack([ordered[i][1] for i in chosen])


# The threshold that is kept, and tried on another recording


def decide(
    folder: str | Path,
    answers: str | Path,
    fmr: float = 0.01,
    site: str | Path | None = None,
    test: bool = False,
) -> str:
    """Choose a threshold on a demo's results and their labels, or try the one of a site file.

    `folder` holds features.npz and metrics.json. With `site` the threshold is stored there; with
    `test` the stored one is tried. Returns a sentence with both rates and their intervals. Raises
    ValueError rather than to store what fewer pairs than `LEAST_SAME` and `LEAST_DIFFERENT` say.
    """
    folder = Path(folder)
    vectors, tracklets = features.read(folder / "features.npz")
    known = provenance.known_place(provenance.read(folder / "features.npz"))
    labels = measured(read(answers), tracklets, vectors, **known)
    if not test:
        rates = verification.choose_threshold(labels, fmr)
        if site:
            _require_enough(rates)
            section = threshold_section(rates, fmr, recorded(folder), weights(folder))
            text = Path(site).read_text("utf-8")
            with assets.atomic(site) as temporary:
                temporary.write_text(with_section(text, section), "utf-8")
        return str(rates)
    if site is None:
        raise ValueError("nothing to test: name the site file that holds the threshold")
    stored = site_file.kept_threshold(tomllib.loads(Path(site).read_text("utf-8")))
    if "weights" not in stored:
        raise ValueError(
            f"{site} has no table [threshold] that says for which weights it holds; choose one "
            "first, without the test"
        )
    if stored["weights"] != weights(folder):
        raise ValueError(
            f"the threshold of {site} was chosen with other weights than {folder} was made with; "
            "distances of two networks do not compare"
        )
    rates = verification.try_threshold(labels, stored["value"])
    low, high = rates.fmr_interval
    wanted = stored.get("wanted", fmr)
    verdict = "within" if low <= wanted <= high else "below" if wanted < low else "above"
    return f"{rates}; the wanted {wanted:.2%} lies {verdict} the interval"


def _require_enough(rates: verification.Rates) -> None:
    if rates.same < LEAST_SAME or rates.different < LEAST_DIFFERENT:
        raise ValueError(
            f"too few labels to keep a threshold by ({rates}); label at least {LEAST_SAME} pairs "
            f"of one person and {LEAST_DIFFERENT} of different people, in a longer recording if "
            "this one has no more"
        )


def weights(folder: Path) -> str:
    """Return which network made a demo's results: its checksum, or a name where it has no weights.

    features.json tells it; results from before there was one tell the name of their features.
    """
    made = provenance.read(folder / "features.npz").get("features")
    if made is None:
        settings = json.loads((folder / "metrics.json").read_text("utf-8"))["settings"]
        made = {"name": settings["features"], "sha256": None}
        if made["name"] == "plaza":
            path = assets.data("weights", provenance.BUNDLED["features"])
            made["sha256"] = assets.sha256(path)
    return f"sha256:{made['sha256']}" if made["sha256"] else made["name"]


def recorded(folder: Path) -> str:
    """Return when a demo's recording was made: by its site file, else by its first dated video.

    Where neither knows, it is the name of the folder, by which somebody may know it again.
    """
    made = provenance.read(folder / "features.npz")
    if made.get("began"):
        return made["began"]
    videos = [camera["video"] for camera in made.get("cameras", {}).values()]
    moments = [site_file.created_at(video) for video in videos]
    dated = next(filter(None, moments), None)
    return dated.isoformat() if dated else folder.resolve().name


def threshold_section(rates: verification.Rates, wanted: float, recorded: str, weights: str) -> str:
    """Return what a site file keeps of a threshold, as a table [threshold] of TOML."""
    values = {
        "value": rates.threshold,
        "wanted": wanted,
        "fmr": round(rates.fmr, 5),
        "fmr_interval": [round(end, 5) for end in rates.fmr_interval],
        "fnmr": round(rates.fnmr, 4),
        "fnmr_interval": [round(end, 4) for end in rates.fnmr_interval],
        "pairs": rates.same + rates.different,
        "recorded": recorded,
        "weights": weights,
    }
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    return "\n".join(["[threshold]", *lines, ""])


def with_section(text: str, section: str) -> str:
    """Return a site file's text with `section` in place of its table [threshold], or at its end.

    A line "threshold = ..." becomes a comment, the rest stays as it is. ValueError where the
    result would say anything else of the place than before.
    """
    top, header, tables = text.partition("\n[")
    top = re.sub(r"(?m)^(?=\s*threshold\s*=)", "# ", top)
    changed = top + header + tables
    table = re.compile(r"(?m)^\[threshold\].*\n?(?:^[a-z_]+ *=.*\n?)*")
    if table.search(changed):
        changed = table.sub(lambda _: section, changed, count=1)
    else:
        changed = f"{changed.rstrip()}\n\n{section}".lstrip()
    try:
        as_before = _all_but_threshold(changed) == _all_but_threshold(text)
    except tomllib.TOMLDecodeError:
        as_before = False
    if not as_before:
        raise ValueError(
            "the site file is not TOML, or its table [threshold] was changed by hand: delete the "
            "table, and try again"
        )
    return changed


def _all_but_threshold(text: str) -> dict:
    return {key: said for key, said in tomllib.loads(text).items() if key != "threshold"}
