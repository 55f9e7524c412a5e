"""What a result is worth: one page of what was recorded, labelled and measured, and a verdict.

The rules of the verdict stand on the page, so that nobody has to believe it.
"""

import functools
import json
import math
from collections.abc import Sequence
from pathlib import Path

import jinja2
import numpy as np
import pandas as pd

from reidlib import assets
from reidlib.collection import formats
from reidlib.demonstration import counts, labelling, provenance
from reidlib.features import vectors as features
from reidlib.model import verification
from reidlib.words import counted

COUNT_WITHIN = 0.25  # of the number of people, to either side
WRONG_NAMES = 0.05  # in searches for somebody among all tracks
BEGIN_WITH = 120  # pairs to label where nobody has
LEAST = 30  # labelled pairs, or all there are, before anything is called good enough
RULES = (
    f"Good enough to count: the 95 % interval of the number of people reaches at most "
    f"{COUNT_WITHIN:.0%} of it to either side.",
    f"Good enough to say who one is: the upper end of the false match rate, times the other tracks "
    f"among which one is looked for, is at most {WRONG_NAMES:.0%}.",
    f"Without {LEAST} labelled pairs, or all there are, by a person who did not see the distances, "
    "neither is said.",
)


def card(folder: str | Path, answers: Sequence[str | Path] = ()) -> dict:
    """Return what is on the card of a demo's results, for `write`.

    `answers` are files of labels, as from labelling.read: the first gives the rates, a second
    about the same pairs the agreement. Raises ValueError for a folder that holds no results, and
    for labels of other tracks.
    """
    folder = Path(folder)
    found, tracklets, vectors = _read(folder)
    recorded = pd.DataFrame.from_dict(found["cameras"], orient="index").rename_axis("camera")
    given = [labelling.read(path) for path in answers]
    known = provenance.known_place(provenance.read(folder / "features.npz"))
    labels = labelling.measured(given[0], tracklets, vectors, **known) if given else None
    pairs = labelling.possible_pairs(tracklets, vectors, **known)
    people = counts.people(tracklets, pairs, labels)
    rates, no_rates = _rates(labels, found["settings"]["link threshold"])
    answered = int((given[0]["answer"] != "").sum()) if given else 0
    usable, left = 0 if labels is None else len(labels), max(len(pairs) - answered, 0)
    grounds = rates if usable >= LEAST or left == 0 else None
    missing = _missing(people, grounds, usable, len(tracklets), left)
    return {
        "folder": folder.resolve().name,
        "made": found["made"],
        "recorded": recorded.drop(columns=["frames a second"], errors="ignore").reset_index(),
        "settings": found["settings"] | _weights(folder),
        "versions": found["versions"],
        "labelled": [_about(path, table) for path, table in zip(answers, given)],
        "agreement": labelling.agreement(*given[:2]) if len(given) > 1 else None,
        "rates": rates,
        "no_rates": no_rates,
        "people": people,
        "named": found["people in the truth"],
        "visitors": counts.visitors(tracklets),
        "broke": _broke(folder, found, tracklets, vectors),
        "limits": counts.LIMITS,
        "verdict": verdict(people, grounds, len(tracklets)),
        "rules": RULES,
        "missing": missing,
    }


def verdict(people: dict, rates: verification.Rates | None, tracks: int) -> str:
    """Return in words what a result is good enough for, by `RULES`; `tracks` are searched among."""
    if people["low"] is None or rates is None:
        return "not known: too few pairs are labelled to say what these results are good for"
    reach = max(people["estimate"] - people["low"], people["high"] - people["estimate"])
    counted = reach <= COUNT_WITHIN * people["estimate"]
    named = rates.fmr_interval[1] * (tracks - 1) <= WRONG_NAMES
    count = "good enough to count visitors" if counted else "not good enough to count visitors"
    if counted == named:
        return f"{count}, {'and' if named else 'nor'} to say who one is"
    return f"{count}; {'good enough' if named else 'not'} to say who one is"


def _read(folder: Path) -> tuple[dict, pd.DataFrame, np.ndarray]:
    path = folder / "metrics.json"
    if not path.is_file():
        raise ValueError(f"{folder} holds no metrics.json; expected the folder of a demo's results")
    try:
        found = json.loads(path.read_text("utf-8"))
        if not {"cameras", "settings", "made", "versions", "people in the truth"} <= set(found):
            raise ValueError("parts are missing")
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} is not what demo writes ({error}); run demo again") from error
    vectors, tracklets = features.read(folder / "features.npz")
    return found, tracklets, vectors


def _rates(labels: pd.DataFrame | None, threshold) -> tuple[verification.Rates | None, str]:
    """Return the error rates at the threshold of the results, or None and the reason."""
    if labels is None or labels.empty:
        return None, "nobody has labelled pairs of tracks"
    if not isinstance(threshold, int | float):
        return None, "the threshold was taken from the data, another one each time"
    try:
        return verification.try_threshold(labels, threshold), ""
    except ValueError as error:
        return None, f"{error}. {_half(labels, threshold)}"


def _half(labels: pd.DataFrame, threshold: float) -> str:
    """Return in words the one rate that labels tell which are all of one kind."""
    one_person = bool(labels["same"].iloc[0])
    matches = labels["distance"].to_numpy() <= threshold
    rate, (low, high) = verification.error_rate(matches != one_person, labels)
    name, kind = ("non-match", "one person") if one_person else ("match", "different people")
    pairs = f"{counted(len(labels), 'pair')} of {kind}"
    return f"What can be told: false {name} rate {rate:.1%} ({low:.1%} to {high:.1%}, {pairs})"


def _weights(folder: Path) -> dict[str, str]:
    """Return when the clock began and the checksums of the networks, as features.json says."""
    made = provenance.read(folder / "features.npz")
    if not made:
        return {"weights of the features": labelling.weights(folder)}
    parts = {part: made[part]["sha256"] for part in ("detector", "features") if part in made}
    said = {f"weights of the {k}": f"sha256:{v}" if v else "none" for k, v in parts.items()}
    return said | {"the common clock began": made.get("began") or "not known"}


def _about(path: str | Path, answers: pd.DataFrame) -> dict:
    given = answers[answers["answer"] != ""]
    return {
        "file": Path(path).name,
        "by": ", ".join(sorted(set(given["labeller"]) - {""})) or "somebody who left no name",
        **{answer: int((given["answer"] == answer).sum()) for answer in labelling.ANSWERS},
        "left open": len(answers) - len(given),
    }


def _broke(folder: Path, found: dict, tracklets: pd.DataFrame, vectors) -> list[str]:
    """Return what went wrong, or was left out, a sentence each."""
    said = []
    for camera in found["cameras"]:
        tracks = formats.read_mot(folder / "tracks" / f"{camera}.txt")["track"].nunique()
        kept = int((tracklets["camera"] == camera).sum())
        if tracks > kept:
            said.append(f"{camera}: {tracks - kept} of {tracks} tracks were too short to tell who")
    unknown = int((~np.isfinite(vectors).all(axis=1)).sum())
    if unknown:
        said.append(f"{counted(unknown, 'track')} without a vector, linked to nobody")
    return [*found.get("notes", ()), *said]


def _missing(people: dict, rates, labelled: int, tracks: int, left: float = math.inf) -> list[str]:
    """Return how many more pairs each rule asks for; an interval shrinks with their square root.

    Where fewer than that are `left` without a label, only a longer recording has them.
    """

    def beyond(wanted: int) -> str:
        return f", and the recording has {left} more: record for longer" if wanted > left else ""

    if people["low"] is None or rates is None:
        wanted = max(BEGIN_WITH - labelled, 20)
        return [f"label {wanted} pairs more to begin with{beyond(wanted)}"]
    said = []
    reach = max(people["estimate"] - people["low"], people["high"] - people["estimate"])
    wanted = COUNT_WITHIN * people["estimate"]
    if reach > wanted:
        more = math.ceil(labelled * ((reach / wanted) ** 2 - 1))
        said.append(
            f"to count within {COUNT_WITHIN:.0%}, label about {more} pairs more{beyond(more)}"
        )
    bound = WRONG_NAMES / max(tracks - 1, 1)
    if rates.fmr_interval[1] > bound and rates.fmr <= bound:
        # With no error among n pairs, the upper end of Clopper and Pearson's interval is this:
        needed = math.ceil(math.log(0.025) / math.log1p(-bound))
        more = max(needed - rates.different, 1)
        said.append(
            f"to say who one is, label {more} pairs of different people more, without an error "
            f"among them{beyond(more)}"
        )
    elif rates.fmr > bound:
        said.append("to say who one is, no number of labels helps: the errors are too many")
    return said


def write(path: str | Path, content: dict) -> list[Path]:
    """Write the card as HTML to `path` and as Markdown beside it; returns both paths."""
    paths = [Path(path).with_suffix(".html"), Path(path).with_suffix(".md")]
    for target in paths:
        text = _template(target.suffix[1:]).render(**content)
        with assets.atomic(target) as temporary:
            temporary.write_text(text, encoding="utf-8", errors="replace")
    return paths


@functools.cache
def _template(kind: str) -> jinja2.Template:
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    options = {"trim_blocks": True, "lstrip_blocks": True, "undefined": jinja2.StrictUndefined}
    environment = jinja2.Environment(loader=loader, autoescape=kind == "html", **options)
    environment.filters["cell"] = _cell if kind == "html" else _quiet
    return environment.get_template(f"evidence.{kind}.jinja")


def _cell(value) -> str:
    """Return a value of a table as text, on one line and without a bar, which ends a cell."""
    if isinstance(value, float):
        digits = ",.0f" if abs(value) >= 1000 else ".4g"  # 12,345, not 1.234e+04
        return "–" if math.isnan(value) else format(value, digits)
    return " ".join(str(value).replace("|", "¦").split())


def _quiet(value) -> str:
    """Return a value for Markdown, in which "<" would begin HTML."""
    return _cell(value).replace("<", "&lt;")
