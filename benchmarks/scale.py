"""Many clips on several workers: the pace beside one process, and workers that are killed.

    python benchmarks/scale.py pace --workers 2            # plaza's clips, one of them twice
    python benchmarks/scale.py kills --runs 20

- `pace`: `python -m reidlib track` over 8 clips, as one process does it today with all its threads,
  and with `--workers N` of one thread each; whole commands with their start, each `--rounds` times
  in turn. Printed are clips a minute, seconds of processor a clip, the median of the ratios within
  a round, and whether the tracks are the same to the byte.
- `kills`: 8 clips that take half a second each, on two workers; in each run one worker is killed
  with SIGKILL at a random moment. Every result must be complete and the same as undisturbed, and
  nothing may be done again that had been finished before the kill.
"""

import argparse
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd

from reidlib import assets
from reidlib.collection import encoding, video
from reidlib.demonstration import clips

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))  # the workers get it with the rest
from stand_ins import follow_white

PLAZA = ["c1_day", "c2_day", "c3_day", "c1_dusk", "c2_dusk", "c3_dusk", "c4_hall"]


def track(videos: list[Path], out: Path, *options: str) -> tuple[float, float]:
    """Run the command `track` over videos; return its seconds, and those of all processors."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    command = [sys.executable, "-m", "reidlib", "track", *map(str, videos), "--out", str(out)]
    environment = os.environ | {"TQDM_DISABLE": "1"}
    subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL, env=environment)
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return seconds, spent


def pace(workers: int, rounds: int, seconds: float | None) -> None:
    """Print the table of `pace`; clips are cut to `seconds`, if given."""
    rows = []
    with tempfile.TemporaryDirectory() as place:
        folder, videos = assets.data("plaza", "clips"), []
        for name in [*PLAZA, "c1_day"]:
            source, target = folder / f"{name}.mp4", Path(place, f"{len(videos)}_{name}.mp4")
            if seconds is None:
                shutil.copy(source, target)
            else:
                stop = round(12.5 * seconds)
                encoding.write(target, (i for _, _, i in video.read(source, stop=stop)), 12.5)
            videos.append(target)
        frames = sum(video.probe(clip).frames for clip in videos)
        for number in range(rounds):
            for name, options in (("one process", ()), ("workers", ("--workers", str(workers)))):
                out = Path(place, f"{name} {number}")
                taken, spent = track(videos, out, *options)
                rows.append({"who": name, "round": number, "seconds": taken, "processor": spent})
        outs = [[(out / f"{v.stem}.txt").read_bytes() for v in videos] for out in places(place)]
        same = all(content == outs[0] for content in outs)
    table = pd.DataFrame(rows)
    print(f"{len(videos)} clips of {frames} frames, {workers} workers, {os.cpu_count()} cores\n")
    print("| | clips a minute | seconds of processor a clip |\n| --- | --- | --- |")
    for name, part in table.groupby("who"):
        a_minute, each = 60 * len(videos) / part["seconds"], part["processor"] / len(videos)
        print(f"| {name} | {a_minute.median():.2f} | {each.median():.2f} |")
    taken = table.pivot(index="round", columns="who", values="seconds")
    ratios = taken["one process"] / taken["workers"]
    print(f"\nratio {ratios.median():.2f} (of {rounds} rounds: {ratios.round(2).tolist()})")
    print(f"tracks the same to the byte: {'yes' if same else 'NO'}")


def places(folder: str) -> list[Path]:
    """Return the folders in a folder."""
    return sorted(path for path in Path(folder).iterdir() if path.is_dir())


def killed_run(films: list[str], out: Path, address: str, seed: int) -> dict:
    """Run all films on a cluster whose worker is killed once; return what was found."""
    rng, log, finished = random.Random(seed), f"{out}.log", set()
    moment, delay = rng.randint(1, len(films)), rng.uniform(0, 0.7)

    def started() -> list[str]:
        return Path(log).read_text("utf-8").split() if Path(log).exists() else []

    def kill() -> None:
        while len(started()) < 2 * moment:
            time.sleep(0.01)
        time.sleep(delay)
        finished.update(path.name.partition(".")[0] for path in out.glob("*.note.json"))
        os.kill(int(started()[2 * moment - 1]), signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    tasks = clips.jobs(follow_white, films, out, ".txt", {}, log=log, seconds=0.5)
    clips.run(tasks, scheduler=address)
    killer.join()
    names = started()[::2]
    return {
        "run": seed,
        "killed at start": moment,
        "finished before": len(finished),
        "of these done again": sum(names.count(name) > 1 for name in finished),
        "done again": len(names) - len(films),
        "results": len(list(out.glob("*.txt"))),
    }


def kills(runs: int) -> None:
    """Print the table of `kills`."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as place, clips.local_cluster(2) as cluster:
        films = []
        for number in range(8):
            ground = rng.integers(60, 120, (120, 160, 3), dtype=np.uint8)
            films.append(str(Path(place, f"{number}.mp4")))
            with encoding.Writer(films[-1], 10) as writer:
                for frame in range(10):
                    image = ground.copy()
                    image[5 * number : 5 * number + 50, 10 + 5 * frame : 34 + 5 * frame] = 240
                    writer.write(image)
        whole = Path(place, "undisturbed")
        clips.run(clips.jobs(follow_white, films, whole, ".txt", {}))
        expected, rows = [(whole / f"{n}.txt").read_bytes() for n in range(8)], []
        for seed in range(runs):
            out = Path(place, f"run {seed}")
            rows.append(killed_run(films, out, cluster.scheduler_address, seed))
            rows[-1]["the same"] = [(out / f"{n}.txt").read_bytes() for n in range(8)] == expected
            print(rows[-1], flush=True)
    table = pd.DataFrame(rows)
    complete = int(((table["results"] == 8) & table["the same"]).sum())
    print(f"\n{runs} runs, one worker killed in each: {complete} complete and the same, ", end="")
    print(f"{table['finished before'].sum()} clips were finished before a kill, of which ", end="")
    print(f"{table['of these done again'].sum()} were done again; ", end="")
    print(f"{table['done again'].sum()} clips that were not finished were done again")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=["pace", "kills"])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, help="cut clips to this length")
    parser.add_argument("--runs", type=int, default=20)
    arguments = parser.parse_args()
    if arguments.part == "pace":
        pace(arguments.workers, arguments.rounds, arguments.seconds)
    else:
        kills(arguments.runs)


if __name__ == "__main__":
    main()
