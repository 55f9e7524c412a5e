"""Plaza's people: numbers, seeds, and what the scenarios change about them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from . import costumes, identities

TRAIN_PIDS = range(1, 151)
TEST_PIDS = range(201, 301)
CLIP_PIDS = range(201, 221)
DISTRACTORS = 70
PLAZA_SEED, WARDROBE_SEED, TRAINING_SEED, DISTRACTOR_SEED = 20, 21, 22, 36
TRAINEE_SEED = 23
TRAINEES = 10_000  # number of the second training cast's first person
BLOCK = 96  # people of that cast who are rendered together


# What look-alikes have in common; hair, hat, glasses and half of the shoes stay their own.
OUTFIT = (
    "top",
    "top_colour",
    "top_second",
    "top_pattern",
    "pattern_scale",
    "sleeve",
    "tucked",
    "outer",
    "outer_colour",
    "bottom",
    "bottom_colour",
    "bottom_detail",
    "scarf",
)
SHOES = ("shoes", "shoe_colour")


def person(pid: int) -> identities.Identity:
    """The person with that number; everything about it follows from the number.

    Outside the clips people come in sets of four with one skin group, and those of a set who are of
    one gender dress alike: colours alone must not tell people apart.
    """
    own = _drawn(pid)
    if pid in CLIP_PIDS:
        return own
    start = TEST_PIDS.start + len(CLIP_PIDS) if pid in TEST_PIDS else TRAIN_PIDS.start
    block, place = divmod(pid - start, 24)
    for k in range(place % 6, place, 6):
        model = _drawn(start + 24 * block + k)
        if model.gender == own.gender and (model.age < 13) == (own.age < 13):
            shared = OUTFIT + SHOES if pid % 2 else OUTFIT
            return replace(own, **{name: getattr(model, name) for name in shared})
    return own


def _drawn(pid: int) -> identities.Identity:
    return identities.sample(np.random.default_rng((PLAZA_SEED, pid)), pid)


def reclothed(pid: int) -> identities.Identity:
    """The same person on a day of other clothes."""
    return identities.reclothe(person(pid), np.random.default_rng((WARDROBE_SEED, pid)))


def distractor(number: int) -> identities.Identity:
    """Somebody who is in the gallery only; every other one is dressed like a test person."""
    own = identities.sample(np.random.default_rng((DISTRACTOR_SEED, number)), 8000 + number)
    if number % 2:
        return own
    for pid in (*TEST_PIDS[number:], *TEST_PIDS):
        model = person(pid)
        if model.gender == own.gender and (model.age < 13) == (own.age < 13):
            break
    return replace(own, **{name: getattr(model, name) for name in OUTFIT})


def stranger(number: int) -> identities.Identity:
    """Somebody who never appears in plaza, for training the bundled weights."""
    return identities.sample(np.random.default_rng((TRAINING_SEED, number)), number)


def trainee(number: int) -> costumes.Costume:
    """Somebody of the second training cast, whose numbers start at `TRAINEES`.

    Two in five of those with an odd number look like the one before them in all but one garment.
    """
    own = costumes.sample(np.random.default_rng((TRAINEE_SEED, number)), number)
    rng = np.random.default_rng((TRAINEE_SEED, number, 1))
    if number % 2 == 0 or rng.random() > 0.4:
        return own
    model = trainee(number - 1)
    while (own.gender, own.age < 13) != (model.gender, model.age < 13):
        own = costumes.sample(rng, number)
    return costumes.look_alike(model, own, rng)
