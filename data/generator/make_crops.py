"""Re-identification crops: plaza's sets and scenarios, and a large varied set for training."""

from __future__ import annotations

import argparse
from collections import deque
from pathlib import Path

import numpy as np

from . import bodies, identities, views
from .cast import DISTRACTORS, TEST_PIDS, TRAIN_PIDS, distractor, person, reclothed, stranger
from .renderer import Renderer
from .studio import NORMAL, QUERY, UNUSUAL, Photographer, Shot, save
from .views import View


def make_plaza(out: Path, part: int = 0, parts: int = 1) -> None:
    """Training, query and gallery crops of plaza; every `parts`-th person, from `part` on."""
    model = bodies.BodyModel.load()  # before the renderer, see make_clips.main
    renderer = Renderer()
    crops = {name: out / "crops" / name for name in ("train", "query", "gallery")}
    for folder in crops.values():
        folder.mkdir(parents=True, exist_ok=True)
    names = ("c1", "c2", "c3", "c4", "c5", "c6")
    light = {
        1: views.plaza(renderer, names, "day", (960, 540)),
        2: views.plaza(renderer, names[:3], "overcast", (960, 540)),
    }
    light[2] += light[1][3:]
    work = Photographer(renderer, model, np.random.default_rng(32))
    _bring_extras(work)
    for pid in [*TEST_PIDS, *TRAIN_PIDS][part::parts]:
        work.start_over((31, pid))
        actor = work.actor(person(pid), pid)
        if pid in TRAIN_PIDS:
            for sequence in (1, 2):
                work.series(actor, light[sequence], 2, crops["train"], sequence)
        else:
            work.series(actor, light[1], 1, crops["query"], 1, shot=QUERY)
            work.series(actor, light[1], 1, crops["gallery"], 1)
            work.series(actor, light[2][:3], 1, crops["gallery"], 2)  # light changes outdoors only
        actor.release()
    if part == 0:
        _distractors(renderer, model, light[1], crops["gallery"])


def _bring_extras(work: Photographer, count: int = 16) -> None:
    """Passers-by who are nobody's identity, the same for everybody."""
    work.studio.extras = deque(maxlen=count)
    for k in range(count):
        work.studio.retire(
            work.actor(identities.sample(np.random.default_rng((33, k)), 9000 + k), 9000 + k)
        )


def _distractors(renderer, model, seen_by: list[View], folder: Path) -> None:
    """Other people as identity 0000; background and badly cut people as identity -1."""
    rng = np.random.default_rng(35)
    work = Photographer(renderer, model, rng)
    work.number = 1000
    for k in range(DISTRACTORS):
        actor = work.actor(distractor(k), 0)
        pick = [seen_by[i] for i in rng.permutation(len(seen_by))[:3]]
        work.series(actor, pick, 1, folder, 1)
        for view in pick[:2]:
            points, normals = actor.poses("walk", rng.random(1))
            junk = (
                work.studio.partial(view, actor, (points[0], normals[0]))
                if rng.random() < 0.6
                else work.studio.background(view)
            )
            if junk is not None:
                work.number += 1
                save(folder, -1, view.name, 1, work.number, junk)
        work.studio.retire(actor)


SCENARIOS = {
    "clothes": dict(light="day"),
    "dusk": dict(light="dusk"),
    "pose": dict(light="day", actions=UNUSUAL),
    "occlusion": dict(light="day", shot=Shot(visibility=(0.35, 0.7), occluder=1.0)),
    "lowres": dict(light="day", shot=Shot(heights=(60, 110), shrink=0.5)),
}
SCENARIO_CAMERAS = {"dusk": ("c1", "c2", "c3")}


def make_scenarios(out: Path, part: int = 0, parts: int = 1) -> None:
    """Hard queries: test people as `SCENARIOS` changes them, to be found in the normal gallery."""
    model = bodies.BodyModel.load()
    renderer = Renderer()
    work = Photographer(renderer, model, np.random.default_rng(40))
    _bring_extras(work)
    for number, (name, what) in enumerate(SCENARIOS.items()):
        folder = out / "scenarios" / name
        folder.mkdir(parents=True, exist_ok=True)
        cameras_used = SCENARIO_CAMERAS.get(name, ("c1", "c2", "c3", "c4", "c5", "c6"))
        seen_by = views.plaza(renderer, cameras_used, what["light"], (960, 540))
        for pid in list(TEST_PIDS)[part::parts]:
            work.start_over((41 + number, pid))
            actor = work.actor(reclothed(pid) if name == "clothes" else person(pid), pid)
            pick = [seen_by[i] for i in sorted(work.rng.permutation(len(seen_by))[:3])]
            work.series(
                actor,
                pick,
                1,
                folder,
                3 + number,
                what.get("actions", NORMAL),
                what.get("shot", Shot()),
            )
            actor.release()
        for view in seen_by:
            view.release()


def make_training(
    out: Path, first: int, last: int, per_view: int = 3, views_each: int = 6, pool: int = 18
) -> None:
    """Strangers `first`..`last` in random views that come and go, for the bundled embedding."""
    out.mkdir(parents=True, exist_ok=True)
    model = bodies.BodyModel.load()
    renderer = Renderer()
    rng = np.random.default_rng((51, first))
    work = Photographer(renderer, model, rng)
    serial = first * 2
    around: deque[View] = deque()
    for number in range(first, last):
        while len(around) < pool:
            around.append(views.sample(renderer, rng, f"c{serial}"))
            serial += 1
        actor = work.actor(stranger(number), number)
        pick = [around[i] for i in rng.permutation(pool)[:views_each]]
        usual = Shot(heights=(45, 300), visibility=(0.4, 1.0), occluder=0.18, jitter=1.3)
        taken = work.series(
            actor, pick, per_view, out, 1, NORMAL * 2 + UNUSUAL, usual, int(rng.integers(60, 96))
        )
        work.studio.retire(actor)
        around.popleft().release()
        if number % 10 == 0:
            print(f"stranger {number}: {taken} crops", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument(
        "--training",
        nargs=2,
        type=int,
        metavar=("FIRST", "LAST"),
        help="strangers for training the bundled weights, instead of plaza",
    )
    options = parser.parse_args()
    if options.training:
        make_training(options.out, *options.training)
    else:
        make_plaza(options.out)
        make_scenarios(options.out)
