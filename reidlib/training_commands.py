"""Commands that train and that search for good settings.

They are built as those in commands.py, and belong to the same program.
"""

import functools
from pathlib import Path

from reidlib import assets
from reidlib import command_line as cli
from reidlib.commands import check, in_words, load_dataset, program, wrote


@program.add(
    "plaza --out model.pt --epochs 20",
    "whole epochs are kept in {out}.checkpoint, the same command goes on from there",
)
def train(
    dataset: cli.Dataset,
    out: cli.Weights,
    loss: cli.Loss = "triplet",
    margin: cli.Margin = None,
    backbone: cli.Backbone = "tiny",
    epochs: cli.Epochs = 20,
    mining: cli.Mining = "hard",
    rate: cli.LearningRate = 1e-3,
    same_camera: cli.SameCamera = False,
) -> str:
    """Train a network on a data set, and score it.

    Training that was interrupted goes on from its checkpoint. Several processes train one network:
    accelerate launch -m reidlib train, on GPUs; torchrun --nproc-per-node 2 -m reidlib train.
    """
    import torch

    from reidlib.model import embedding, networks, processes, training

    table, checkpoint = out.with_suffix(".csv"), Path(f"{out}.checkpoint")
    if out.suffix != ".pt":
        raise ValueError(f"--out {out}: the name of a model ends in .pt")
    others = processes.join()
    check(dataset, targets=[out, table, checkpoint])
    data = load_dataset(dataset, same_camera)
    torch.manual_seed(0)
    pids = data.train["pid"]
    people = pids[pids > 0].nunique()  # neither junk nor distractors
    model = networks.SiameseNetwork(backbone, classes=people)
    settings = {"loss": loss, "margin": margin, "mining": mining, "lr": rate, "epochs": epochs}
    history = training.fit(model, data, checkpoint=checkpoint, accelerator=others, **settings)
    processes.part(others)
    if not processes.is_first(others):
        return ""
    networks.save(model, out, **settings, trained_on=data.name)
    with assets.atomic(table) as temporary:
        history.to_csv(temporary, index=False)
    checkpoint.unlink(missing_ok=True)
    wrote(out, table)
    result = embedding.evaluate(model, data)
    return f"{epochs} epochs in {history['seconds'].sum():.0f} s: {in_words(result)}"


@program.add(
    "plaza --trials 20 --storage study.journal --epochs 10",
    "finished trials are kept in {storage}, the same command goes on from there",
)
def tune(
    dataset: cli.Dataset,
    trials: cli.Trials,
    storage: cli.Storage,
    backbone: cli.Backbones = None,
    features: cli.Cached = None,
    epochs: cli.Epochs = 10,
    same_camera: cli.SameCamera = False,
) -> str:
    """Search margin, mining, backbone and learning rate of the triplet loss.

    They are chosen on a fifth of the training people, held out; the test part is not looked at.
    Several processes, each started with the same command, work on one study.
    """
    from reidlib import studies
    from reidlib.features import extractors
    from reidlib.model import training, tuning

    check(dataset, targets=[storage, storage.with_suffix(".csv")])
    split = tuning.hold_out(load_dataset(dataset, same_camera))
    settings = training.Settings(epochs=epochs)
    names = features or backbone or ["tiny"]
    about = {"searched": "heads" if features else "networks", "data": split.name, "epochs": epochs}
    about |= {"people": split.train.pid.nunique(), "backbone": names}
    study = studies.open_study(storage, about, tuning.USUAL | {"backbone": names[0]})
    if features:
        loaded = [(name, extractors.load(name)) for name in features]
        parts = (split.train, split.query, split.gallery)
        vectors = {name: [extractors.embed(p, embed) for p in parts] for name, embed in loaded}
        objective = tuning.heads_objective(vectors, split, epochs=epochs)
    else:
        objective = tuning.networks_objective(split, settings, names)
    studies.search(study, objective, trials)
    people = split.query["pid"].nunique()
    return f"{_best(study, storage)} mAP {study.best_value:.3f} on {people} people held out"


@program.add(
    "door.mp4 yard.mp4 --truth door.txt yard.txt --trials 50 --storage tracker.journal",
    "finished trials are kept in {storage}, the same command goes on from there",
)
def tune_tracker(
    trials: cli.Trials,
    storage: cli.Storage,
    videos: cli.Videos = None,
    site: cli.Site = None,
    truth: cli.Truths = None,
    detector: cli.Detector = "auto",
    features: cli.Features = "auto",
) -> str:
    """Search the tracker's settings on clips with their truth, by the mean IDF1.

    Detections are made once and kept beside the study. Several processes, each started with the
    same command, work on one study. The usual settings are tried first.
    """
    from reidlib import studies
    from reidlib.demonstration import pipeline, place, site_file
    from reidlib.detection import detectors, tuning
    from reidlib.features import extractors

    described = site_file.read(site) if site else None
    clips = pipeline.clips(videos or [], truth or [], site=described)
    unknown = [clip.camera for clip in clips if clip.truth is None]
    if unknown:
        raise ValueError(f"the truth of {', '.join(unknown)} is missing; give --truth for each")
    find, embed = detectors.load(detector), extractors.load(features)
    caches = [storage.with_name(f"{storage.name}.{clip.camera}.npz") for clip in clips]
    inputs = [item for clip in clips for item in (clip.path, clip.truth_file)]
    check(*inputs, detector, features, targets=[storage, storage.with_suffix(".csv"), *caches])
    about = {"searched": "tracker", "clips": [str(clip.path) for clip in clips]}
    about |= {"detector": find.name, "features": embed.name}
    study = studies.open_study(storage, about, tuning.USUAL)
    footage, known = [], [clip.camera for clip in clips]
    for clip, cache in zip(clips, caches):
        size, seen = (clip.about.width, clip.about.height), place.outside(find, clip.masks)
        made = functools.partial(tuning.record, clip.path, seen, embed)
        footage.append(tuning.footage(clip.camera, clip.truth, size, cache, made))
    studies.search(study, tuning.objective(footage), trials)
    return f"{_best(study, storage)} {tuning.in_words(studies.table(study), known)}"


def _best(study, storage: Path) -> str:
    """Write the trials of a study as a table, and return the settings of the best."""
    from reidlib import studies

    table = studies.table(study, pruned=True)
    with assets.atomic(storage.with_suffix(".csv")) as temporary:
        table.to_csv(temporary, index=False)
    wrote(storage, storage.with_suffix(".csv"))
    pruned = (table["state"] == "pruned").sum()
    best = ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in study.best_params.items()
    )
    return f"best of {len(table)} trials, {pruned} of them cut short: {best}:"
