"""Training: batches, schedules, learning, checkpoints, and interruptions."""

import os
import signal
import subprocess
import sys
import time
import warnings
from functools import partial

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from reidlib import assets
from reidlib.collection import datasets
from reidlib.model import checkpoints, embedding, losses, networks, training
from reidlib.model.sampler import CameraSampler, IdentitySampler

SCORES = ["epoch", "lr", "metric_loss", "id_loss", "accuracy"]


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def crops():
    """Eight people in two colours each, 6 noisy crops a person."""
    rng = np.random.default_rng(0)
    pids = np.repeat(np.arange(8) * 10 + 5, 6)
    colours = rng.integers(40, 216, (8, 2, 3))[np.repeat(np.arange(8), 6)]
    images = np.repeat(colours, 16, axis=1)[:, :, None] + rng.normal(0, 12, (48, 32, 16, 3))
    return np.clip(images, 0, 255).astype(np.uint8), pids


def network(classes=8):
    torch.manual_seed(1)
    return networks.SiameseNetwork("tiny", 16, classes)


train = partial(training.fit, identities=4, images=3, epochs=4, progress=False)


def test_strangers_share_a_camera_and_partners_do_not():
    rng = np.random.default_rng(0)
    pids = np.repeat(np.arange(40), 10)
    street = pids // 10  # four streets of five cameras; each of their ten people meets all of them
    camids = 5 * street + np.tile(np.repeat(np.arange(5), 2), 40)
    order = rng.permutation(len(pids))
    pids, camids = pids[order], camids[order]
    sampler = CameraSampler(pids, 8, 4, 1, camids, together=4)
    for rows in sampler:
        people, cameras = pids[rows].reshape(8, 4), camids[rows].reshape(8, 4)
        assert (people == people[:, :1]).all() and len(set(people[:, 0])) == 8
        assert all(len(set(row)) == 4 for row in cameras)
        assert len(set(cameras[:4, 0])) == 1 and len(set(cameras[:, 0])) <= 5
    half = list(CameraSampler(pids, 8, 4, 1, camids, share=0.5))
    plain = list(IdentitySampler(pids, 8, 4, 1))
    alike = [np.array_equal(a, b) for a, b in zip(half, plain)]
    assert len(half) == len(plain) and 0 < sum(alike) < len(plain)


def test_cameras_that_saw_too_few_people():
    pids, camids = np.repeat(np.arange(6), 3), np.arange(18)
    with pytest.raises(ValueError, match="no camera saw two people"):
        CameraSampler(pids, 4, 2, 0, camids)
    with pytest.raises(ValueError, match="give a data set with cameras"):
        CameraSampler(pids, 4, 2)
    camids[:4] = 0  # two people share a camera; the batch is filled up with others
    for rows in CameraSampler(pids, 4, 2, 0, camids):
        people = pids[rows].reshape(4, 2)
        assert (people[:, :1] == people).all() and len(set(people[:, 0])) == 4


def test_training_by_camera_needs_a_data_set_with_cameras(crops):
    with pytest.raises(ValueError, match="give a data set with cameras"):
        train(network(), crops, by_camera=0.5)
    with pytest.raises(ValueError, match="by_camera is 2"):
        train(network(), crops, by_camera=2.0)


def test_a_data_set_is_trained_on_by_camera():
    plaza = datasets.load("plaza")
    few = plaza.train[plaza.train.pid.isin(plaza.train.pid.unique()[:4])]
    small = datasets.Dataset("few", plaza.root, few, plaza.query, plaza.gallery)
    history = train(network(few.pid.nunique()), small, by_camera=1.0, epochs=1)
    assert np.isfinite(history.metric_loss).all()


def test_sampler_balances_identities():
    pids = np.repeat([3, 5, 9, 11, 12], [4, 9, 4, 7, 1])
    batches = list(IdentitySampler(pids, identities=3, images=4, seed=1))
    assert len(batches) == len(IdentitySampler(pids, 3, 4)) == 3
    for rows in batches:
        people, counts = np.unique(pids[rows], return_counts=True)
        assert len(people) == 3 and (counts == 4).all()
    assert len({pid for rows in batches for pid in pids[rows]}) == 5
    single = [rows[pids[rows] == 12] for rows in batches if 12 in pids[rows]]
    assert all(len(rows) == 4 and len(set(rows)) == 1 for rows in single)
    full = [rows[pids[rows] == 5] for rows in batches if 5 in pids[rows]]
    assert all(len(set(rows)) == 4 for rows in full)


def test_sampler_repeats_itself_for_one_seed_and_epoch_only():
    def epoch(seed, number):
        sampler = IdentitySampler(np.repeat(np.arange(9), 5), 4, 2, seed)
        sampler.epoch = number
        return np.concatenate(list(sampler)).tolist()

    assert epoch(0, 2) == epoch(0, 2)
    assert epoch(0, 2) != epoch(0, 3) != epoch(1, 3)


def test_sampler_needs_two_people():
    with pytest.raises(ValueError, match="1 people in the data.*at least 2 people"):
        IdentitySampler([7, 7, 7])
    assert len(next(iter(IdentitySampler([1, 2], identities=16, images=4)))) == 8


def test_learning_rate_rises_then_falls():
    rate = partial(training.learning_rate, lr=1.0, warmup=0.1)
    assert rate(0) == pytest.approx(0.01) and rate(0.05) == pytest.approx(0.505)
    assert rate(0.1) == pytest.approx(1) and rate(0.55) == pytest.approx(0.5)
    assert rate(1) == pytest.approx(0)
    steps = [rate(p, schedule="step") for p in (0.3, 0.7, 0.9)]
    assert steps == pytest.approx([1, 0.1, 0.01])
    assert training.learning_rate(0, 1.0, warmup=0) == 1


@pytest.mark.parametrize("schedule", training.SCHEDULES)
@pytest.mark.parametrize("kind", [np.float64, np.float32, np.array, torch.tensor])
def test_learning_rate_is_the_same_for_every_kind_of_number(schedule, kind):
    """Two comparisons of NumPy's add up to a logical or: the second drop would get lost."""
    for progress in (0.0, 0.05, 0.1, 0.3, 0.59, 0.61, 0.84, 0.86, 0.875, 1.0):
        expected = training.learning_rate(progress, 1.0, schedule)
        assert training.learning_rate(kind(progress), 1.0, schedule) == pytest.approx(expected)
    progress = np.linspace(0, 1, 12).reshape(3, 4)
    rates = training.learning_rate(progress, 2e-3, schedule)
    assert rates.shape == (3, 4)
    single = [training.learning_rate(share, 2e-3, schedule) for share in progress.ravel().tolist()]
    assert rates.ravel().tolist() == single


def test_input_is_normalised_and_channels_last(crops):
    tensor = embedding.to_input(crops[0][:4])
    assert tensor.shape == (4, 3, 32, 16)
    assert tensor.is_contiguous(memory_format=torch.channels_last)
    expected = (crops[0][0, 5, 7] / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    assert tensor[0, :, 5, 7].tolist() == pytest.approx(expected.tolist(), abs=1e-5)


@pytest.mark.parametrize("loss", ["triplet", "contrastive", "margin"])
@pytest.mark.parametrize("optimiser", ["adam", "adamw", "sgd"])
def test_a_head_learns_on_vectors(loss, optimiser):
    rng = np.random.default_rng(0)
    pids = np.repeat(np.arange(10), 8)
    vectors = rng.normal(size=(10, 12))[pids] + rng.normal(size=(80, 12))
    torch.manual_seed(0)
    history = training.fit(
        networks.SiameseHead(12, 8), (vectors, pids), loss=loss, margin=0.2, optimiser=optimiser,
        lr=0.05 if optimiser == "sgd" else 3e-3, epochs=15, progress=False,
    )  # fmt: skip
    assert list(history.epoch) == list(range(1, 16))
    assert history.metric_loss.iloc[-3:].mean() < 0.9 * history.metric_loss.iloc[:2].mean()


def test_a_network_learns_on_images_and_is_validated(crops):
    rows = []
    model = network()
    history = train(
        model, crops, epochs=6, lr=3e-3, schedule="step", every=4, on_epoch=rows.append,
        validate=lambda m: {"training": m.training},
    )  # fmt: skip
    assert history.accuracy.iloc[-1] > history.accuracy.iloc[0]
    assert history.accuracy.iloc[-1] > 0.6 and not model.training
    assert history.training.tolist()[3::2] == [0.0, 0.0] and history.training.isna().sum() == 4
    assert pd.DataFrame(rows).equals(history)
    vectors = embedding.embed(model, crops[0], batch=13)
    similar = vectors @ vectors.T - 2 * np.eye(48)
    assert (crops[1][similar.argmax(1)] == crops[1]).mean() > 0.9


def test_evaluation_ranks_query_and_gallery(crops, tmp_path):
    images, pids = crops
    for i, (image, pid) in enumerate(zip(images, pids)):
        path = tmp_path / f"{pid}" / f"{i}_c{i % 2 + 1}_0.png"
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), image)
    dataset = datasets.load(tmp_path)
    model = networks.SiameseNetwork("tiny", 16, classes=4)
    before = embedding.evaluate(model, dataset)
    train(model, dataset, size=(32, 16), lr=3e-3)
    result = embedding.evaluate(model, dataset, size=(32, 16))
    assert 0 <= before.mAP <= 1 and result.mAP > 0.5 and len(result.ap) == len(dataset.query)


def test_settings_as_one_object_by_name_or_both(crops):
    settings = training.Settings(identities=4, images=3, epochs=2, lr=3e-3)
    one, two, three = network(), network(), network()
    a = training.fit(one, crops, settings, progress=False)
    b = train(two, crops, epochs=2, lr=3e-3)
    c = training.fit(three, crops, training.Settings(epochs=2, images=3), identities=4, lr=3e-3)
    pd.testing.assert_frame_equal(a[SCORES], b[SCORES])
    pd.testing.assert_frame_equal(a[SCORES], c[SCORES])
    assert equal(one, two) and equal(one, three)
    with pytest.raises(TypeError, match="no setting learning_rate; choose from loss, margin"):
        train(network(), crops, learning_rate=0.1)


def test_junk_and_distractors_are_not_trained_on(crops, tmp_path):
    images, pids = crops
    paths = [tmp_path / f"{i}.png" for i in range(48)]
    for path, image in zip(paths, images):
        cv2.imwrite(str(path), image[..., ::-1])
    table = pd.DataFrame({"path": paths, "pid": pids, "camid": np.arange(48) % 2})
    marked = pids.copy()
    marked[::7], marked[3::7] = -1, 0
    kept = marked > 0
    dataset = datasets.Dataset("marked", tmp_path, table.assign(pid=marked), table, table)
    expected, ours, theirs = network(), network(), network()
    train(expected, (images[kept], pids[kept]), epochs=1)
    with pytest.warns(UserWarning, match="14 training images are junk.*or distractors"):
        train(ours, dataset, epochs=1, size=(32, 16))
    assert equal(ours, expected)
    with pytest.warns(UserWarning, match="7 training images are junk"):
        train(theirs, (images, np.where(marked == -1, -1, pids)), epochs=1)
    assert not equal(theirs, expected)
    # A class label may count from 0.
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        train(network(), (images, np.unique(pids, return_inverse=True)[1]), epochs=1)
    vectors = [images.reshape(48, -1)[:, :40] / 255] * 3
    with pytest.warns(UserWarning, match="left out"):
        head, _ = training.train_head(vectors, dataset, dim=4, steps=5, identities=4)
    same, _ = training.train_head(
        [vectors[0][kept], *vectors[1:]],
        datasets.Dataset("kept", tmp_path, table[kept], table, table),
        dim=4, steps=5, identities=4,
    )  # fmt: skip
    assert equal(head, same)


def test_same_seed_same_result(crops):
    one, two, other = network(), network(), network()
    a, b = train(one, crops, seed=3)[SCORES], train(two, crops, seed=3)[SCORES]
    pd.testing.assert_frame_equal(a, b)
    assert not a.equals(train(other, crops, seed=4)[SCORES])


def equal(a, b) -> bool:
    return all(torch.equal(t, b.state_dict()[name]) for name, t in a.state_dict().items())


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_resuming_gives_the_uninterrupted_result(crops, tmp_path, optimiser):
    whole, first, second = network(), network(), network()
    expected = train(whole, crops, optimiser=optimiser)

    def interrupt(row):
        if row["epoch"] == 2:
            raise KeyboardInterrupt

    path = tmp_path / "run.pt"
    with pytest.raises(KeyboardInterrupt):
        train(first, crops, optimiser=optimiser, checkpoint=path, on_epoch=interrupt)
    assert not equal(first, whole)
    history = train(second, crops, optimiser=optimiser, checkpoint=path)
    pd.testing.assert_frame_equal(history[SCORES], expected[SCORES])
    assert equal(second, whole)
    # A finished run is not trained further.
    third = network()
    assert train(third, crops, optimiser=optimiser, checkpoint=path).equals(history)
    assert equal(third, whole)


def test_interrupted_inside_an_epoch(crops, tmp_path):
    whole, resumed = network(), network()
    train(whole, crops, augment=lambda images, rng: images)
    calls = []

    def augment(images, rng):
        calls.append(1)
        if len(calls) == 10:  # in the third epoch
            raise KeyboardInterrupt
        return images

    with pytest.raises(KeyboardInterrupt):
        train(network(), crops, augment=augment, checkpoint=tmp_path / "run.pt")
    history = train(resumed, crops, augment=augment, checkpoint=tmp_path / "run.pt")
    assert len(history) == 4 and equal(resumed, whole)


def test_other_data_or_another_loss_is_not_resumed(crops, tmp_path):
    path = tmp_path / "run.pt"
    train(network(), crops, epochs=1, lr=np.float64(1e-3), checkpoint=path)
    images, pids = crops
    for data, other in (
        ((255 - images, pids), {}),
        ((images, pids[::-1]), {}),
        (crops, {"loss": losses.TripletLoss(0.9)}),
        (crops, {"augment": None}),
    ):
        with pytest.raises(ValueError, match="was made with"):
            train(network(), data, epochs=1, checkpoint=path, **other)
    assert len(train(network(), crops, epochs=1, checkpoint=path)) == 1


def test_a_loss_that_is_not_finite_ends_the_training(tmp_path):
    vectors, pids = np.ones((12, 4), np.float32), np.arange(12) // 3
    vectors[5] = np.nan
    with pytest.raises(ValueError, match="the loss became nan; try a lower learning rate"):
        training.fit(networks.SiameseHead(4, 2), (vectors, pids), checkpoint=tmp_path / "c.pt")
    assert not list(tmp_path.iterdir())
    for wrong in ({"epochs": 0}, {"every": 0}):
        with pytest.raises(ValueError, match="expected 1 or more"):
            training.fit(networks.SiameseHead(4, 2), (np.ones((12, 4)), pids), **wrong)
    with pytest.raises(ValueError, match="float64 data of shape"):
        training.fit(networks.SiameseHead(4, 2), (np.ones((12, 8, 4, 3)), pids))


SCRIPT = """
import sys, time, numpy as np, torch
from reidlib.model import networks, training
torch.set_num_threads(1)
crops = np.load(sys.argv[1])
torch.manual_seed(1)
model = networks.SiameseNetwork("tiny", 16, 8)
training.fit(model, (crops["images"], crops["pids"]), identities=4, images=3, epochs=500,
             checkpoint=sys.argv[2], progress=False)
"""


def test_killed_in_the_middle_the_checkpoint_is_whole(crops, tmp_path):
    np.savez(tmp_path / "crops.npz", images=crops[0], pids=crops[1])
    path = tmp_path / "run.pt"
    root = assets.PACKAGE.parent
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "crops.npz"), str(path)],
        env=os.environ | {"PYTHONPATH": root},
    )
    deadline = time.monotonic() + 60
    while not path.exists() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    time.sleep(0.2)
    process.kill()
    process.wait()
    done = len(networks.read_weights(path, checkpoints.FORMAT)["history"])
    assert done >= 1

    def stop(row):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):  # it goes on with the next epoch
        train(network(), crops, epochs=500, checkpoint=path, on_epoch=stop)
    assert len(networks.read_weights(path, checkpoints.FORMAT)["history"]) == done + 1


def test_checkpoints_that_do_not_fit_are_refused(crops, tmp_path):
    path = tmp_path / "run.pt"
    train(network(), crops, epochs=1, checkpoint=path)
    with pytest.raises(ValueError, match="was made with {'lr': 0.001}.*same settings"):
        train(network(), crops, epochs=1, lr=0.002, checkpoint=path)
    networks.save(network(), tmp_path / "model.pt")
    with pytest.raises(ValueError, match="is not a 'reidlib-checkpoint-1' file"):
        train(network(), crops, checkpoint=tmp_path / "model.pt")
    path.write_bytes(b"cut")
    with pytest.raises(ValueError, match="holds no weights"):
        train(network(), crops, checkpoint=path)


def test_numbers_of_numpy_leave_a_checkpoint_that_can_be_read(crops, tmp_path):
    options = {"epochs": np.int64(1), "lr": np.float32(0.001), "seed": np.int8(2)}
    options |= {"size": [np.int64(32), np.int64(16)], "margin": np.float64(0.4)}
    path = tmp_path / "run.pt"
    history = train(network(), crops, checkpoint=path, **options)
    assert train(network(), crops, checkpoint=path, **options).equals(history)


def forget(content, key):
    del content[key]


DAMAGE = {
    "no model": lambda c: forget(c, "model"),
    "no history": lambda c: forget(c, "history"),
    "no settings": lambda c: forget(c, "settings"),
    "settings no table": lambda c: c.update(settings=[1]),
    "a setting is a tensor": lambda c: c["settings"].update(epochs=torch.ones(3)),
    "another network": lambda c: c.update(model=networks.SiameseHead(3, 2).state_dict()),
    "a wider layer": lambda c: c["model"].update({"classifier.weight": torch.zeros(9, 16)}),
    "whole numbers": lambda c: c["model"].update({"neck.weight": torch.ones(16, dtype=int)}),
    "a weight too many": lambda c: c["model"].update(more=torch.zeros(1)),
    "a weight is a number": lambda c: c["model"].update({"neck.weight": 5}),
    "the model is a number": lambda c: c.update(model=5),
    "the optimiser is a number": lambda c: c.update(optimiser=5),
    "the optimiser forgot": lambda c: c["optimiser"].update(state={}),
    "the optimiser forgot a part": lambda c: forget(c["optimiser"]["state"][0], "exp_avg"),
    "another optimiser": lambda c: c["optimiser"]["state"][1].update(momentum_buffer=None),
    "memory of another shape": lambda c: c["optimiser"]["state"][0].update(exp_avg=torch.ones(2)),
    "memory of another weight": lambda c: c["optimiser"]["state"].update({99: {}}),
    "memory is text": lambda c: c["optimiser"]["state"][2].update(step="three"),
    "the history is a number": lambda c: c.update(history=1.5),
    "the history is no table": lambda c: c.update(history=["a", "b"]),
    "the history is empty": lambda c: c.update(history=[]),
    "the history is too long": lambda c: c.update(history=[{"epoch": i} for i in range(1, 9)]),
    "the history has a gap": lambda c: c["history"][0].update(epoch=2),
    "the history holds text": lambda c: c["history"][0].update(lr="fast"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_one_clear_error_and_changes_nothing(crops, tmp_path, damage):
    path, model = tmp_path / "run.pt", network()

    def stop(row):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(network(), crops, checkpoint=path, on_epoch=stop)
    content = torch.load(path, weights_only=True)
    DAMAGE[damage](content)
    torch.save(content, path)
    with pytest.raises(ValueError, match="run.pt does not hold the model.*delete it"):
        train(model, crops, checkpoint=path)
    assert equal(model, network())


def test_interrupted_while_a_checkpoint_is_written(crops, tmp_path, monkeypatch):
    """Ctrl-C stays Ctrl-C, and the file is written to its end."""
    whole, resumed, write = network(), network(), networks.write_weights
    path = tmp_path / "run.pt"

    def interrupted(content, target):
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.3)
        write(content, target)

    monkeypatch.setattr(networks, "write_weights", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(network(), crops, checkpoint=path)
    monkeypatch.undo()
    assert [file.name for file in tmp_path.iterdir()] == ["run.pt"]
    assert len(networks.read_weights(path, checkpoints.FORMAT)["history"]) == 1
    train(whole, crops)
    train(resumed, crops, checkpoint=path)
    assert equal(resumed, whole)


def test_a_folder_that_cannot_be_written(crops, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cannot write"):
        train(network(), crops, epochs=1, checkpoint=tmp_path / "file" / "run.pt")


@pytest.mark.parametrize(
    "options, message",
    [
        ({"loss": "quadruplet"}, "unknown loss 'quadruplet'"),
        ({"mining": "hardest"}, "unknown mining 'hardest'"),
        ({"margin": -1.0}, "margin is -1.0"),
        ({"optimiser": "lion"}, "optimiser 'lion'.*adam, adamw, sgd"),
        ({"schedule": "linear"}, "cosine, step"),
        ({"epochs": "20"}, "epochs is '20'; expected 1 or more"),
        ({"epochs": 2.5}, "epochs is 2.5"),
        ({"identities": 1}, "identities is 1; expected 2 or more"),
        ({"images": True}, "images is True"),
        ({"seed": -1}, "seed is -1"),
        ({"lr": "fast"}, "lr is 'fast'; expected 0 or more, a number"),
        ({"lr": float("nan")}, "lr is nan"),
        ({"weight_decay": float("inf")}, "weight_decay is inf"),
        ({"label_smoothing": 2}, "label_smoothing is 2; expected 0 to 1, a number"),
        ({"margin": "0.3"}, "margin is '0.3'"),
        ({"size": 64}, "size is 64; expected height and width"),
        ({"size": (0, 64)}, "a side of size is 0; expected 1 or more"),
        ({"augment": "flip"}, "augment is 'flip'; expected a function or None"),
        ({"bfloat16": "yes"}, "bfloat16 is 'yes'"),
        ({"optimiser": ["adam"]}, "optimiser .'adam'"),
        ({"loss": 7}, "unknown loss 7; choose from .*or give a module"),
    ],
)
def test_bad_settings(crops, options, message):
    with pytest.raises(ValueError, match=message):
        train(network(), crops, **options)


def test_data_that_does_not_fit(crops):
    with pytest.raises(ValueError, match="classifies 7 identities, the data hold 8"):
        train(network(classes=7), crops)
    with pytest.raises(ValueError, match=r"shape \(48, 32, 16, 3\) and 5 identities"):
        train(network(), (crops[0], crops[1][:5]))


def test_accelerate_takes_over_device_and_gradients(crops):
    accelerate = pytest.importorskip("accelerate")
    ours, theirs = network(), network()
    expected = train(ours, crops, epochs=2)
    history = train(theirs, crops, epochs=2, accelerator=accelerate.Accelerator(cpu=True))
    pd.testing.assert_frame_equal(history[SCORES], expected[SCORES])
    assert equal(ours, theirs)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu(crops):
    model = network()
    history = train(model, crops, epochs=2)
    assert next(model.parameters()).is_cuda and np.isfinite(history.metric_loss).all()
