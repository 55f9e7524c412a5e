"""Studies: settings searched by trying them, in a file that outlives its processes (Optuna).

A trial is one choice of settings and what it scored. Any number of processes may work on one study
at a time, each with the same call; what a trial draws follows from the seed and its number, so that
an interrupted search goes on as it would have. A process that is killed costs its own trial, which
the next process does again.
"""

import datetime
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd
from tqdm.auto import tqdm

from reidlib import assets

NAME = "reidlib"
DAY = 86_400.0  # seconds after which nobody waits for a trial of another machine
AGAIN = 0.5  # seconds between looks at what the other processes do


def open_study(path: str | Path, about: Mapping, first: Mapping | None = None):
    """Return the `optuna.Study` in the journal file `path`, which is begun if there is none.

    `about` says what is searched: plain values, the same whenever the study is opened. `first` are
    the settings that are tried first, best the usual ones: a search then never ends below them.
    Raises ImportError without Optuna, and ValueError for a file that holds another study, or none.
    """
    if not assets.has("optuna"):
        raise ImportError('a search takes Optuna; pip install "reidlib[tune]"')
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    assets.check_writable(path)
    try:
        lock = JournalFileOpenLock(str(path))
        storage = JournalStorage(JournalFileBackend(str(path), lock))
        names = set(optuna.get_all_study_names(storage))
    except Exception as error:  # whatever a line that is not Optuna's leads to
        raise ValueError(
            f"{path} holds no study that can be read ({assets.reason(error)}); give the name of a "
            "new file"
        ) from error
    if names - {NAME}:
        raise ValueError(
            f"{path} holds the study {', '.join(sorted(names - {NAME}))}, which is not ours; give "
            "the name of a new file"
        )
    study = optuna.create_study(
        storage=storage,
        study_name=NAME,
        direction="maximize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5),
        load_if_exists=True,
    )
    begun = study.user_attrs.get("about")
    if begun is None:
        study.set_user_attr("about", dict(about))
    elif begun != dict(about):
        keys = [key for key in {**begun, **about} if begun.get(key) != about.get(key)]
        other = ", ".join(f"{key} {begun.get(key)!r} and not {about.get(key)!r}" for key in keys)
        raise ValueError(
            f"{path} holds a study with {other}; search with the same to go on, or give the name "
            "of a new file"
        )
    if first:
        study.enqueue_trial(dict(first), skip_if_exists=True)
    return study


def search(study, objective: Callable, trials: int, seed: int = 0, progress: bool = True) -> None:
    """Try settings until the study has so many trials, those of other processes included.

    `objective(trial)` asks the trial for its settings and returns a score, higher being better; it
    may report scores on the way and raise `optuna.TrialPruned` when they promise little. Several
    processes may end with a trial more. Raises ValueError for less than one trial, and whatever the
    objective raises.
    """
    import optuna
    from optuna.trial import TrialState

    if trials < 1:
        raise ValueError(f"{trials} trials; a search takes at least 1")
    with tqdm(total=trials, desc="trials", leave=False, disable=not progress) as bar:
        while True:
            revive(study)
            done, others = _progress(study)
            bar.update(done - bar.n)
            if done >= trials:
                return
            if done + len(others) >= trials:
                if all(host != _here()[0] for host, _ in others):
                    return  # another machine does the rest
                time.sleep(AGAIN)  # one of them may die
                continue
            trial = study.ask()
            study.sampler = optuna.samplers.TPESampler(seed=1000 * seed + trial.number)
            trial.set_user_attr("process", _here())
            try:
                value = objective(trial)
            except optuna.TrialPruned:
                study.tell(trial, state=TrialState.PRUNED)
            except Exception:
                study.tell(trial, state=TrialState.FAIL)
                raise
            except BaseException:  # Ctrl-C says nothing about the settings
                _again(study, trial.number, trial.params)
                raise
            else:
                study.tell(trial, value)


def revive(study) -> int:
    """Give the trials of processes that died to those that live; return how many there were."""
    states = study.get_trials(deepcopy=False)
    dead = [trial for trial in states if trial.state.name == "RUNNING" and not _lives(trial)]
    return sum(_again(study, trial.number, trial.params) for trial in dead)


def table(study, pruned: bool = False) -> pd.DataFrame:
    """Return a row a trial that was finished: its settings, what it scored, its number and state.

    With `pruned` also those that were given up, and what they had scored by then.
    """
    wanted = ("COMPLETE", "PRUNED") if pruned else ("COMPLETE",)
    rows = [
        trial.params
        | trial.user_attrs.get("scores", {})
        | {"trial": trial.number, "state": trial.state.name.lower()}
        for trial in study.get_trials(deepcopy=False)
        if trial.state.name in wanted
    ]
    return pd.DataFrame(rows)


def cells(table: pd.DataFrame, row: str, column: str, score: str = "mAP") -> pd.DataFrame:
    """Return of each pair of two settings the best trial: what `model.plots.tuning` draws.

    A search tries the other settings unevenly, and a mean over its trials would tell of these.
    """
    return table.sort_values(score).drop_duplicates([row, column], keep="last").sort_index()


def _here() -> list:
    """Return the names of this machine and of this process on it."""
    return [assets.host(), os.getpid()]


def _lives(trial) -> bool:
    """Say whether somebody still works on a trial; who begins one puts a name to it at once."""
    seconds = (datetime.datetime.now() - trial.datetime_start).total_seconds()
    host, process = trial.user_attrs.get("process", (None, 0))
    if host == assets.host():
        return assets.runs(process)
    return seconds < (DAY if host else 10)


def _progress(study) -> tuple[int, list]:
    """Return how many trials are finished, and which processes are at work on others."""
    trials = study.get_trials(deepcopy=False)
    done = [trial for trial in trials if trial.state.name in ("COMPLETE", "PRUNED")]
    running = [trial for trial in trials if trial.state.name == "RUNNING"]
    return len(done), [trial.user_attrs.get("process", _here()) for trial in running]


def _again(study, number: int, settings: dict) -> bool:
    """Mark a trial as failed and put its settings first in the queue, unless another has."""
    from optuna.trial import TrialState

    try:
        study.tell(number, state=TrialState.FAIL)
    except (ValueError, RuntimeError):  # another process was faster
        return False
    study.enqueue_trial(settings)
    return True
