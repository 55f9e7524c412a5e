"""Render everything in data/plaza again: `python -m data.generator.make --out data/plaza`.

`python -m data.generator.make training --identities 6000 --out CROPS` renders people for training
an embedding instead, ten crops each, and goes on where it was interrupted.

People, paths, cameras and ground truth follow from fixed seeds; pictures agree up to the rounding
of the graphics driver. On two cores it takes about a quarter of an hour.
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

STEPS = ("clips", "crops", "scenarios")
STRANGERS = 1001  # number of the first training cast's first person


def run(step: str, out: Path, part: int, parts: int) -> str:
    """One share of one step, in a process of its own: an OpenGL context does not like company."""
    if step == "clips":
        from . import make_clips

        make_clips.main(out)
    else:
        from . import make_crops

        (make_crops.make_plaza if step == "crops" else make_crops.make_scenarios)(out, part, parts)
    return f"{step} {part + 1}/{parts}"


def run_block(out: Path, block: int) -> str:
    """One block of the second training cast, in a process of its own."""
    from . import make_training

    crops = make_training.make(out, block)
    return f"block {block}: {crops or 'was there'}{' crops' if crops else ''}"


def run_strangers(out: Path, first: int, last: int) -> str:
    """Some people of the first training cast."""
    from . import make_crops

    make_crops.make_training(out, first, last)
    return f"strangers {first} to {last - 1}"


def training_jobs(cast: int, identities: int, out: Path) -> list[tuple]:
    """Functions and arguments that render so many people; the second cast comes in whole blocks."""
    from .cast import BLOCK

    if cast == 2:
        return [(run_block, out, block) for block in range(-(-identities // BLOCK))]
    ends = range(STRANGERS, STRANGERS + identities, BLOCK)
    last = STRANGERS + identities
    return [(run_strangers, out, first, min(first + BLOCK, last)) for first in ends]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="?", choices=("plaza", "training"), default="plaza")
    parser.add_argument("--out", type=Path, help="folder; data/plaza for plaza")
    parser.add_argument("--only", choices=STEPS, help="one step instead of all")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--identities", type=int, default=6000, help="people for training")
    parser.add_argument(
        "--cast", type=int, choices=(1, 2), default=2, help="2: the wider wardrobe; 1: plaza's"
    )
    options = parser.parse_args()
    if options.what == "training" and options.out is None:
        parser.error("training needs --out, a folder outside of the repository")
    out = options.out or Path(__file__).parents[1] / "plaza"
    # One thread a process: the drivers' own threads only wait for each other.
    os.environ.update(OMP_NUM_THREADS="1", LP_NUM_THREADS="0")
    jobs: list[tuple] = []
    if options.what == "training":
        jobs = training_jobs(options.cast, options.identities, out)
    else:
        for step in [options.only] if options.only else STEPS:
            parts = 1 if step == "clips" else options.workers
            jobs += [(run, step, out, part, parts) for part in range(parts)]
    with ProcessPoolExecutor(options.workers, get_context("spawn"), max_tasks_per_child=1) as pool:
        for done in [pool.submit(*job) for job in jobs]:
            print(done.result(), flush=True)


if __name__ == "__main__":
    main()
