"""Commands that train and that search for good settings.

They are built as those in commands.py, and belong to the same program.
"""

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
    settings = {"loss": loss, "margin": margin, "epochs": epochs}
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
