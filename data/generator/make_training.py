"""Crops for training an embedding: thousands of people of the second cast, a block at a time.

A block is a set of people and of views that nobody else shares, rendered from seeds of its own, so
blocks can be rendered in any order, by several processes, and after an interruption. Crops lie in
one folder under Market-1501 names, as `data/weights/train_embedding.py` reads them.
"""

from __future__ import annotations

import shutil
from collections import deque
from dataclasses import replace
from pathlib import Path

import numpy as np

from . import bodies, views
from .cast import BLOCK, TRAINEES, trainee
from .renderer import Renderer
from .studio import Photographer, Shot

POOL = 16  # views at a time; the oldest makes room for a new one every three people
VIEWS_EACH, PER_VIEW = 5, 2
SIZE = (96, 192)  # of a stored crop: a training may want more than 64 by 128
SEED = 52
ACTIONS = ("walk",) * 15 + ("stand", "stand", "phone", "walk_phone", "walk_carry", "bend")

USUAL = Shot(
    heights=(60, 330), visibility=(0.45, 1.0), occluder=0.22, company=0.55, jitter=1.6,
    size=SIZE, slim=0.36, finer=2, smear=0.12,
)  # fmt: skip
FAR = replace(USUAL, heights=(46, 90))
LOOSE = replace(USUAL, jitter=4.5)
CUT = replace(USUAL, outside=0.4, legless=0.35, visibility=(0.3, 1.0))
BEHIND = replace(USUAL, occluder=1.0, visibility=(0.3, 0.8))
SHOTS, CHANCES = (USUAL, FAR, LOOSE, CUT, BEHIND), (0.5, 0.14, 0.14, 0.12, 0.1)


def first_of(block: int) -> int:
    """Number of the first person of a block."""
    return TRAINEES + block * BLOCK


def finished(out: Path, block: int) -> Path:
    """The file that says a block is complete."""
    return out / ".finished" / f"{first_of(block)}"


def make(out: Path, block: int, people: int = BLOCK) -> int:
    """Render a block unless it is there; returns the number of crops it has written."""
    if finished(out, block).exists():
        return 0
    part = out / f".{first_of(block)}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    _photograph(part, block, people)
    crops = sorted(part.iterdir())
    for crop in crops:
        crop.replace(out / crop.name)
    part.rmdir()
    finished(out, block).parent.mkdir(exist_ok=True)
    finished(out, block).touch()
    return len(crops)


def _photograph(folder: Path, block: int, people: int) -> None:
    model = bodies.BodyModel.load()  # before the renderer, see make_clips.main
    renderer = Renderer(wardrobe=True)
    rng = np.random.default_rng((SEED, block))
    work = Photographer(renderer, model, rng)
    around: deque[views.View] = deque()
    cameras = 0
    _bring_extras(work, block)
    for number in range(first_of(block), first_of(block) + people):
        while len(around) < POOL:
            around.append(views.sample_rough(renderer, rng, f"c{first_of(block) * 10 + cameras}"))
            cameras += 1
        actor = work.actor(trainee(number), number)
        seen = 0
        for k in rng.permutation(POOL):
            shot = SHOTS[rng.choice(len(SHOTS), p=CHANCES)]
            quality = int(rng.integers(70, 96))
            taken = work.series(actor, [around[k]], PER_VIEW, folder, 1, ACTIONS, shot, quality)
            seen += taken > 0
            if seen == VIEWS_EACH:
                break
        work.studio.retire(actor)
        if number % 3 == 0:
            around.popleft().release()


def _bring_extras(work: Photographer, block: int, count: int = 6) -> None:
    """Passers-by of the block before, so that the first people are not alone."""
    for number in range(first_of(block) - count, first_of(block)):
        work.studio.retire(work.actor(trainee(number), number))
