"""Render everything in data/plaza again: `python -m data.generator.make --out data/plaza`.

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


def run(step: str, out: Path, part: int, parts: int) -> str:
    """One share of one step, in a process of its own: an OpenGL context does not like company."""
    if step == "clips":
        from . import make_clips

        make_clips.main(out)
    else:
        from . import make_crops

        (make_crops.make_plaza if step == "crops" else make_crops.make_scenarios)(out, part, parts)
    return f"{step} {part + 1}/{parts}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "plaza")
    parser.add_argument("--only", choices=STEPS, help="one step instead of all")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    # One thread a process: the drivers' own threads only wait for each other.
    os.environ.update(OMP_NUM_THREADS="1", LP_NUM_THREADS="0")
    jobs = []
    for step in [options.only] if options.only else STEPS:
        parts = 1 if step == "clips" else options.workers
        jobs += [(step, options.out, part, parts) for part in range(parts)]
    with ProcessPoolExecutor(options.workers, get_context("spawn"), max_tasks_per_child=1) as pool:
        for done in [pool.submit(run, *job) for job in jobs]:
            print(done.result(), flush=True)


if __name__ == "__main__":
    main()
