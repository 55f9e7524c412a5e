"""Many clips: each is a job of its own whose result is a file, so that nothing is done twice.

A job is a function and its values, on one clip. Its result is written in one step, and beside it a
note of what it was made with; a job whose note still holds is not done again. So it does not matter
who does the jobs: this process one after another, or workers of Dask (https://distributed.dask.org)
on this machine or many, any of which may die. What is finished is on disk, not in their memory.
"""

import contextlib
import functools
import io
import json
import os
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd
from tqdm.auto import tqdm

import reidlib
from reidlib import assets
from reidlib.collection import privacy, video
from reidlib.demonstration import provenance
from reidlib.detection import detectors
from reidlib.features import extractors

if TYPE_CHECKING:  # it brings all figures, for which a worker that only tracks has no use
    from reidlib.demonstration import pipeline

MENDED = (ValueError, OSError, ImportError, assets.Unavailable)  # what a user can mend
PATIENCE = 10  # seconds in which a scheduler answers
QUIET = {"TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1"}  # workers' bars would overwrite each other
_ALONE = threading.Lock()  # a process does one job at a time, whatever number of threads it has


@dataclass(frozen=True)
class Job:
    """What to do with one clip: ``work(**values)``, whose files lie in the folder of `note`.

    `settings` are what decides the result; they are plain, as JSON holds them. `work` has to be a
    function of a module, so that another process finds it.
    """

    name: str
    work: Callable
    values: Mapping
    settings: Mapping
    note: Path


def jobs(
    work: Callable, videos: Sequence[str], out: Path, ending: str, settings: Mapping, **values
) -> list[Job]:
    """Return a job for each video: ``work([video], out / (its name + ending), **values)``.

    `settings` say what else decides the result, such as the checksums of networks. Raises
    FileNotFoundError or ValueError for what is no recording, and for two videos of one name.
    """
    found: dict[str, Job] = {}
    values = {name: _far(value) for name, value in values.items() if value is not None}
    for source in map(str, videos):
        if video.open(source).live or not os.path.exists(source):
            raise ValueError(f"{source} is live, or far away; several at once have to be files")
        stem = Path(source).stem
        if stem in found:
            raise ValueError(
                f"two videos are called {stem}, {source} and one before it; their results would "
                "have one name, so rename one, or give them in two commands"
            )
        # Whole paths: a worker may run in another folder.
        target = Path(os.path.abspath(out)) / f"{stem}{ending}"
        given = {"videos": [os.path.abspath(source)], "out": target, **values}
        made_with = _made_with(work.__name__, source, {**values, **settings})
        found[stem] = Job(stem, work, given, made_with, out / f"{stem}.note.json")
    return list(found.values())


def networks(detector: str | None, classes: Sequence | None, features: str | None) -> dict:
    """Load both networks, so that what is wrong with them is said once; return what they are."""
    find = detectors.load(detector or "auto", classes=classes)
    return provenance.both(find, extractors.load(features or "auto"))


def _far(value):
    """Return a value that may name a file of weights as one that holds from any folder."""
    here = isinstance(value, str) and provenance.is_file(value.removesuffix(extractors.FLIP))
    return os.path.abspath(value) if here else value


def _made_with(command: str, source: str | Path, settings: Mapping) -> dict:
    """Return what decides a result, plain as JSON gives it back."""
    about = os.stat(source)
    made_with = {
        "command": command,
        "reidlib": reidlib.__version__,
        "video": [Path(source).name, about.st_size, about.st_mtime_ns],
        **settings,
    }
    return json.loads(json.dumps(made_with))


def run(tasks: Sequence[Job], workers: int | None = None, scheduler: str | None = None) -> None:
    """Do the jobs that are not done yet, here or on Dask's workers, and show how far they are.

    `workers` is how many processes of this machine share them, `scheduler` the address of a
    cluster that sees the same files; with neither they are done one after another. Raises
    ValueError when some or all of them failed, which does not keep the others from being done, and
    assets.Unavailable without Dask, or without an answer from the scheduler.
    """
    if workers is not None and scheduler is not None:
        raise ValueError("--workers and --scheduler; give one of the two")
    if workers is not None and workers < 1:
        raise ValueError(f"--workers {workers}; expected 1 or more")
    waiting = [task for task in tasks if not is_done(task)]
    shared = (workers or scheduler) and waiting
    outcomes = _shared(waiting, workers, scheduler) if shared else map(_outcome, waiting)
    failed = {}
    bar = tqdm(total=len(tasks), initial=len(tasks) - len(waiting), desc="clips", unit="clip")
    with bar:
        for task, error in outcomes:
            if error is not None:
                failed[task.name] = error
            bar.update()
    for task in tasks:
        if task.name not in failed:
            _count_as_written(task)
    if failed:
        reasons = "; ".join(f"{name}: {error}" for name, error in list(failed.items())[:3])
        more = f"; and {len(failed) - 3} more" if len(failed) > 3 else ""
        done = len(tasks) - len(failed)
        kept = f"the other {done} are in {tasks[0].note.parent}" if done else "nothing was made"
        raise ValueError(f"{len(failed)} of {len(tasks)} clips failed, {kept}: {reasons}{more}")


def do(task: Job) -> Path:
    """Do a job unless it is done; return the path of the note that says so.

    The note comes last, and has the checksums of what was written. Whoever is killed before, leaves
    files that no note knows, and the job is done again.
    """
    with _ALONE:
        if not is_done(task):
            with assets.noting_writes() as written, contextlib.redirect_stdout(io.StringIO()):
                task.work(**task.values)
            folder = Path(os.path.realpath(task.note.parent))
            ours = sorted({path for path in written if path.is_relative_to(folder)})
            sums = {path.relative_to(folder).as_posix(): assets.sha256(path) for path in ours}
            with assets.atomic(task.note) as temporary:
                content = json.dumps({"made with": task.settings, "files": sums}, indent=1)
                temporary.write_text(content, encoding="utf-8")
    return task.note


def is_done(task: Job) -> bool:
    """Say whether a job was done with these settings, and its files are as they were written."""
    try:
        note = json.loads(task.note.read_text("utf-8"))
        files = note["files"].items()
        return note["made with"] == task.settings and all(
            assets.sha256(task.note.parent / name) == checksum for name, checksum in files
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False  # there is none, or it is no note of ours


def _count_as_written(task: Job) -> None:
    """Note a job's files for `forget`, unless they were noted when they were made."""
    folder = Path(os.path.realpath(task.note.parent))
    names = {*json.loads(task.note.read_text("utf-8"))["files"], task.note.name}
    if (folder / privacy.RETENTION).is_file():
        record = privacy.read_retention(folder)
        known = dict(zip(record["file"], record["sha256"]))
        names = {name for name in names if known.get(name) != assets.sha256(folder / name)}
    for name in sorted(names):
        assets.note_write(folder / name)


def _outcome(task: Job) -> tuple[Job, Exception | None]:
    """Do a job here; return it with what went wrong, if that is something a user can mend."""
    try:
        do(task)
    except MENDED as error:
        return task, error
    return task, None


# On Dask


def on_worker(task: Job) -> Path:
    """Do a job in a worker, with one thread: as many workers as cores do not fight for them."""
    _keep_to_one_thread()
    return do(task)


@functools.cache
def _keep_to_one_thread() -> None:
    os.environ |= QUIET  # for libraries that are not loaded yet
    cv2.setNumThreads(1)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    if assets.has("openvino"):
        # OpenVINO binds threads to cores, and each process would bind its one to the first.
        settings = {"INFERENCE_NUM_THREADS": 1, "ENABLE_CPU_PINNING": False}
        assets.openvino_core().set_property("CPU", settings)


def _shared(waiting: Sequence[Job], workers: int | None, scheduler: str | None) -> Iterator[tuple]:
    """Yield jobs as workers finish them, each with what went wrong or None."""
    with _cluster(workers, scheduler) as client:
        from distributed import KilledWorker, as_completed

        # A name of its own: another's result of the same name would be taken for ours.
        futures = {
            client.submit(on_worker, task, key=f"{task.name}-{uuid.uuid4().hex}", pure=False): task
            for task in waiting
        }
        for future in as_completed(futures):
            error = future.exception()
            if isinstance(error, KilledWorker):
                error = OSError(
                    "its worker died several times, of too little memory as a rule; take fewer "
                    "workers, or shorter clips"
                )
            if error is not None and not isinstance(error, MENDED):
                raise error
            yield futures[future], error


@contextlib.contextmanager
def local_cluster(workers: int) -> Iterator:
    """Yield a cluster of Dask: processes of this machine, of one thread each."""
    import dask
    from distributed import LocalCluster

    options = {"threads_per_worker": 1, "env": QUIET, "silence_logs": "CRITICAL"}
    options["dashboard_address"] = "127.0.0.1:8787"  # seen from this machine only
    # A worker that was killed comes back. After 15 seconds, Dask's own measure, it would be given
    # up, and on a busy machine starting takes longer.
    patient = {"distributed.deploy.lost-worker-timeout": "1 hour"}
    with dask.config.set(patient), LocalCluster(n_workers=workers, **options) as cluster:
        yield cluster


@contextlib.contextmanager
def _cluster(workers: int | None, scheduler: str | None) -> Iterator:
    """Yield a client of Dask: of workers started here, or of the scheduler at an address."""
    try:
        from distributed import Client
    except ImportError as error:
        raise assets.Unavailable(
            "--workers and --scheduler need Dask: pip install -e '.[scale]', or leave them out to "
            "do the clips one after another"
        ) from error
    with contextlib.ExitStack() as stack:
        if scheduler is None:
            client = stack.enter_context(Client(stack.enter_context(local_cluster(workers))))
        else:
            client = stack.enter_context(_connect(Client, scheduler))
        print(f"Dask's dashboard: {client.dashboard_link}", flush=True)
        yield client


def _connect(client_of: Callable, scheduler: str):
    """Return a client of the scheduler at an address that has workers, or say what is missing."""
    try:
        client = client_of(scheduler, timeout=PATIENCE)
    except (OSError, ValueError, TypeError) as error:
        raise assets.Unavailable(
            f"no Dask scheduler answers at {scheduler}; expected an address such as "
            "tcp://10.0.0.5:8786, where `dask scheduler` runs"
        ) from error
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except (TimeoutError, OSError) as error:
        client.close()
        raise assets.Unavailable(
            f"the scheduler at {scheduler} has no workers; start some that see the same files: "
            f"dask worker {scheduler} --nthreads 1"
        ) from error
    return client


# The first half of `demo`, clip by clip


def follow(
    found: Sequence["pipeline.Clip"],
    out: Path,
    detector,
    extractor,
    workers: int | None = None,
    scheduler: str | None = None,
    *,
    blur: bool = False,
    **options,
) -> None:
    """Follow the people of each clip as a job of its own, and fill the clips with what was found.

    `detector` and `extractor` are as from detectors.load and extractors.load, and loaded again by
    each worker; the rest is as for `run` and `pipeline.follow`. The results stay in `out`.
    """
    from reidlib.demonstration import pipeline

    tasks = []
    classes = getattr(detector, "classes", None)
    names = {"detector": _far(detector.name), "features": _far(extractor.name), "classes": classes}
    for clip in found:
        clip.blur = privacy.HEAD if blur else 0.0
        # Without what only the end of the pipeline needs: truth, calibration, the site.
        bare = pipeline.Clip(clip.camera, clip.path, clip.about, start=clip.start, blur=clip.blur)
        bare.masks = clip.masks
        masks = [np.asarray(mask).tolist() for mask in clip.masks]
        decides = {"frames": clip.about.frames, "start": clip.start, "masks": masks, "blur": blur}
        decides |= options | provenance.both(detector, extractor)
        made_with = _made_with("demo", clip.path, decides)
        given = {
            "clip": bare,
            "out": Path(os.path.abspath(out)) / f"{clip.camera}.npz",
            **names,
            **options,
        }
        note = out / f"{clip.camera}.note.json"
        tasks.append(Job(clip.camera, follow_one, given, made_with, note))
    run(tasks, workers, scheduler)
    for clip, task in zip(found, tasks):
        read_followed(task.values["out"], clip)


def follow_one(
    clip: "pipeline.Clip", out: Path, detector: str, classes, features: str, **options
) -> None:
    """Follow the people of one clip, see `pipeline.follow`, and write what was found to `out`."""
    from reidlib.demonstration import pipeline

    find, embed = detectors.load(detector, classes=classes), extractors.load(features)
    pipeline.follow(clip, find, embed, **options)
    write_followed(out, clip)


TABLES = ("table", "samples", "heads")  # of a clip that was followed


def write_followed(path: Path, clip: "pipeline.Clip") -> None:
    """Write what was found in a clip to one .npz of plain arrays."""
    arrays = {"vectors": clip.vectors, "seconds": np.float64(clip.seconds)}
    arrays["notes"] = np.array(clip.notes, str)
    for kind in TABLES:
        table = getattr(clip, kind).drop(columns="camera", errors="ignore")
        arrays |= {f"{kind}.{name}": table[name].to_numpy() for name in table}
    crops = [(track, *crop) for track, kept in clip.crops.items() for crop in kept]
    arrays["crops"] = np.array([image for *_, image in crops], np.uint8)
    arrays["crops of"] = np.array([crop[:2] for crop in crops], np.int64).reshape(-1, 2)
    with assets.atomic(path) as temporary:
        np.savez_compressed(temporary, **arrays)


def read_followed(path: Path, clip: "pipeline.Clip") -> None:
    """Fill a clip with what `write_followed` wrote."""
    with np.load(path, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive}
    for kind in TABLES:
        names = [name for name in arrays if name.startswith(f"{kind}.")]
        table = pd.DataFrame({name.removeprefix(f"{kind}."): arrays[name] for name in names})
        if kind != "heads":
            table.insert(0, "camera", clip.camera)
        setattr(clip, kind, table)
    clip.vectors, clip.seconds = arrays["vectors"], float(arrays["seconds"])
    clip.notes = arrays["notes"].tolist() if "notes" in arrays else []
    clip.crops = {}
    for (track, frame), image in zip(arrays["crops of"].tolist(), arrays["crops"]):
        clip.crops.setdefault(track, []).append((frame, image))
