"""The plaza's cast: what each person in the clips sets out to do.

The plaza (x -9..9) is watched by c1 and c2, the passage (x 15..28) by c3; the way between them,
through GAP and round the corner of the block, is watched by nobody.
"""

from __future__ import annotations

import numpy as np

from .crowd import Wait, Walker
from .scenes import Scene

GAP, CORNER = (10.4, -6.6), (15.4, -6.0)
TO_PASSAGE, TO_PLAZA = [GAP, CORNER], [CORNER, GAP]
HALL_AREA = (-6.0, -4.5, 6.0, 4.5)
GROUP, TALK = (-1.4, 1.9), (21.6, 2.6)


def day() -> list[Walker]:
    """Twenty people, thirty seconds: some stay, some cross, nine change sides."""
    return [
        Walker(
            [(-4.6, -0.8), (0.2, 0.4), (5.4, -2.6), *TO_PASSAGE, (19.6, -1.4), (24.0, 3.4)], 1.34
        ),
        Walker([(-4.2, -1.5)], 1.34, beside=0),
        Walker([(20.4, 0.6), (17.8, -3.2), *TO_PLAZA, (5.2, -2.0), (0.4, 2.6), (-4.6, 1.2)], 1.42),
        Walker(
            [
                (23.6, -0.4),
                (18.9, -2.4),
                *TO_PLAZA,
                (4.2, -1.2),
                (1.6, 2.4),
                Wait(9, (3, -5), "phone"),
            ],
            1.3,
        ),
        Walker(
            [(2.2, -2.6), (4.0, 1.2), (7.1, 3.6), Wait(7, (8.9, 4.6)), (2.4, 0.2), (-3.6, 2.6)], 1.2
        ),
        Walker([(16.2, -4.4), *TO_PLAZA, (4.6, -1.4), (3.6, 2.2), (-1.2, 3.8), (-4.6, 2.0)], 1.3),
        Walker([(GROUP[0] - 0.55, GROUP[1]), Wait(60, GROUP)]),
        Walker([(GROUP[0] + 0.45, GROUP[1] + 0.55), Wait(60, GROUP, "phone")]),
        Walker(
            [
                (GROUP[0] + 0.4, GROUP[1] - 0.6),
                Wait(9, GROUP),
                (2.6, -0.6),
                *TO_PASSAGE,
                (20.6, -0.6),
                (24.4, 2.0),
            ],
            1.4,
        ),
        Walker([(TALK[0] - 0.5, TALK[1]), Wait(60, TALK)]),
        Walker(
            [
                (TALK[0] + 0.5, TALK[1] + 0.3),
                Wait(15, TALK),
                (22.6, -1.0),
                (19.2, 1.6),
                (23.8, 4.6),
            ],
            1.1,
        ),
        Walker(
            [
                (3.0, 4.6),
                Wait(7, (2.0, 0.0), "phone"),
                (-0.6, -1.6),
                (-5.2, 1.0),
                (-1.2, 4.4),
                (4.4, 1.6),
            ],
            1.25,
            "walk_phone",
        ),
        Walker(
            [(-4.4, 2.8), (1.2, -2.6), (6.2, -3.4), *TO_PASSAGE, (18.6, -1.6), (21.2, 5.2)], 1.38
        ),
        Walker([(18.4, -0.6), (23.8, 3.8), (24.6, -0.2), (19.4, 2.6), (22.4, 6.0)], 1.15),
        Walker([(24.6, 5.0), (20.2, 1.2), (17.6, -2.8), *TO_PLAZA, (2.6, -1.6), (-2.8, 3.2)], 1.44),
        Walker([(5.6, 0.6), (-0.8, -1.2), (-4.8, 2.2), (0.2, 3.6), (4.8, 0.0)], 1.12),
        Walker([(5.8, 1.3)], 1.12, beside=15),
        Walker(
            [(-3.8, -0.2), (0.2, -2.8), (-3.4, 3.4), (-5.4, 0.4), (-1.0, -2.2), (-3.0, 2.4)], 1.3
        ),
        Walker(
            [(1.0, 2.8), (4.4, -2.2), Wait(5, (0, 3)), (-1.8, 0.2), (2.8, 3.6), (5.6, -1.6)], 1.22
        ),
        Walker(
            [(22.2, -1.6), (19.2, 3.2), Wait(4, (22, 8), "phone"), (23.6, 1.2), (20.0, -1.6)], 1.2
        ),
    ]


def dusk() -> list[Walker]:
    """The same twenty on another evening."""
    return [
        Walker([(4.4, -1.0), (-0.4, 2.4), (-4.8, 0.4), (-2.0, -1.6)], 1.3),
        Walker([(4.9, -1.5)], 1.3, beside=0),
        Walker([(-3.6, 0.2), (1.4, -1.8), (5.0, 1.4)], 1.38),
        Walker([(19.4, -1.2), (22.6, 3.6), (24.6, 0.8)], 1.25),
        Walker([(23.4, 1.8), (19.0, -0.2), (17.2, -3.2), *TO_PLAZA], 1.3),
        Walker([(0.8, 3.4), (-2.2, -0.4), (2.0, -2.4)], 1.2),
        Walker([(22.0, 4.0), Wait(60, (21.2, 3.4))]),
        Walker([(21.2, 3.4), Wait(60, (22.0, 4.0), "phone")]),
        Walker([(-4.4, 3.2), (0.6, 0.6), (4.4, -2.4)], 1.3),
        Walker([(1.8, 0.4), Wait(60, (2.6, 1.0))]),
        Walker([(2.6, 1.0), Wait(60, (1.8, 0.4))]),
        Walker([(-2.4, 4.2), (-0.6, -2.0), (3.4, -2.0)], 1.25),
        Walker([(5.6, 2.6), (1.0, 4.0), (-4.0, 2.0)], 1.25),
        Walker([(24.8, 3.0), (20.4, 0.8), (22.8, -1.2)], 1.2),
        Walker([(-1.2, -2.2), (-3.8, 2.4), (0.2, 3.0)], 1.3),
        Walker([(18.6, 1.6), (22.4, -0.6), (24.8, 4.4)], 1.15),
        Walker([(18.2, 1.0)], 1.15, beside=15),
        Walker([(3.6, 3.4), (5.4, -0.6), (0.6, -2.6)], 1.3),
        Walker([(-4.6, -0.6), (-0.2, 1.2), (3.8, 4.0)], 1.22, "walk_phone"),
        Walker([(20.6, 5.4), (23.0, 0.6), (19.4, -1.8)], 1.25),
    ]


def wander(
    scene: Scene, people: int, rng: np.random.Generator, area, standing: float = 0.3
) -> list[Walker]:
    """Random plans inside `area` (x0, y0, x1, y1), a share of the people standing."""
    x0, y0, x1, y1 = area

    def spot(taken):
        while True:
            p = rng.uniform((x0, y0), (x1, y1))
            clear = all(np.linalg.norm(p - q) > 1.1 for q in taken)
            if clear and scene.free(p[None], 0.55)[0]:
                return tuple(float(v) for v in p)

    walkers, starts = [], []
    for _ in range(people):
        start = spot(starts)
        starts.append(start)
        if rng.random() < standing:
            look = tuple(np.asarray(start) + rng.normal(size=2))
            plan = [start, Wait(60, look, str(rng.choice(["stand", "phone"])))]
        else:
            plan = [start, *(spot([start]) for _ in range(5))]
        walkers.append(Walker(plan, float(rng.uniform(1.05, 1.4))))
    return walkers
