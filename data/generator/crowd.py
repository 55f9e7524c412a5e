"""Who walks where: seeded itineraries, walked without bumping into anyone or anything.

Each walker follows way points and waits where told to. Ten times a second it picks, out of a fan of
headings and speeds, the one that leads to its goal with no collision in sight: the velocity
obstacle idea of Fiorini and Shiller (1998), by sampling.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from .scenes import Scene

BODY = 0.36  # metres: radius of the room a person takes
HORIZON = 2.2  # seconds that a walker looks ahead
TURN = 2.4  # radians a second
PUSH = 1.6  # metres a second squared
RATE = 25  # simulation steps a second
FAN = np.deg2rad([0, 8, -8, 16, -16, 28, -28, 42, -42, 60, -60, 85, -85])
PACES = np.array([1.0, 0.7, 0.4, 0.0])


@dataclass(frozen=True)
class Wait:
    """Stand still for some seconds, doing something, facing a point or straight on."""

    seconds: float
    facing: tuple[float, float] | None = None
    action: str = "stand"


@dataclass
class Walker:
    """A person's plan; `beside` is the position in the crowd of a walker to keep company with."""

    plan: list  # (x, y) points and Waits; the first is where the walker starts
    pace: float = 1.25  # metres a second
    action: str = "walk"
    beside: int | None = None
    side: float = 0.68  # metres to the right of the companion


@dataclass
class Walk:
    """Where a person is at every frame."""

    places: np.ndarray  # (F, 2) metres
    headings: np.ndarray  # (F,) radians, 0 along +x
    metres: np.ndarray  # (F,) walked so far
    walking: np.ndarray  # (F,) 0 standing .. 1 walking
    actions: list[str] = field(default_factory=list)  # what the body does while it stands


class _State:
    def __init__(self, walker: Walker, rng: np.random.Generator):
        self.walker, self.todo = walker, list(walker.plan[1:])
        self.place = np.array(walker.plan[0], float)
        self.waited, self.metres, self.walking = 0.0, 0.0, 0.0
        self.action = "stand"
        first = next((step for step in self.todo if not isinstance(step, Wait)), None)
        starts_waiting = bool(self.todo) and isinstance(self.todo[0], Wait)
        aim = (self.todo[0].facing if starts_waiting and self.todo[0].facing else first) or (
            0.0,
            0.0,
        )
        self.heading = float(np.arctan2(*(np.asarray(aim, float) - self.place)[::-1]))
        self.speed = 0.0 if starts_waiting or not self.todo else walker.pace
        self.walking = float(self.speed > 0)
        if starts_waiting:
            self.action = self.todo[0].action
        self.metres = rng.uniform(0, 2)

    def velocity(self) -> np.ndarray:
        return self.speed * np.array([np.cos(self.heading), np.sin(self.heading)])


def simulate(
    walkers: list[Walker], scene: Scene, seconds: float, fps: float, seed: int
) -> list[Walk]:
    """Walk every plan for some seconds; the same seed gives the same walks."""
    rng = np.random.default_rng(seed)
    states = [_State(walker, rng) for walker in walkers]
    frames = int(round(seconds * fps))
    every = RATE / fps
    logs = [[] for _ in states]
    step = 0
    for frame in range(frames):
        while step < round(frame * every):
            _advance(states, scene, 1 / RATE, replan=step % 2 == 0)
            step += 1
        for log, s in zip(logs, states, strict=True):
            log.append((*s.place, s.heading, s.metres, s.walking, s.action))
    return [_to_walk(log) for log in logs]


def _to_walk(log) -> Walk:
    x, y, heading, metres, walking, actions = zip(*log, strict=True)
    return Walk(
        np.stack([x, y], 1), np.array(heading), np.array(metres), np.array(walking), list(actions)
    )


def _advance(states: list[_State], scene: Scene, dt: float, replan: bool) -> None:
    places = np.array([s.place for s in states])
    velocities = np.array([s.velocity() for s in states])
    for k, s in enumerate(states):
        goal, pace = _goal(s, states, dt)
        if replan:
            company = [
                j for j, o in enumerate(states) if o.walker.beside == k or s.walker.beside == j
            ]
            s.choice = _choose(k, s, goal, pace, places, velocities, scene.obstacles, company)
        heading, speed = s.choice
        turn = (heading - s.heading + np.pi) % (2 * np.pi) - np.pi
        s.heading += np.clip(turn, -TURN * dt, TURN * dt)
        speed *= max(0.25, np.cos(min(abs(turn), np.pi / 2)))  # slow down into sharp turns
        s.speed += np.clip(speed - s.speed, -2 * PUSH * dt, PUSH * dt)
        s.speed = 0.0 if s.speed < 0.02 and speed == 0 else s.speed
        s.place = s.place + s.velocity() * dt
        s.metres += s.speed * dt
        s.walking += np.clip(float(s.speed > 0.12) - s.walking, -dt / 0.35, dt / 0.35)


def _goal(s: _State, states: list[_State], dt: float):
    """The point to head for and the pace; a pace of 0 means: stand, facing the point."""
    w = s.walker
    if w.beside is not None:
        lead = states[w.beside]
        ahead = np.array([np.cos(lead.heading), np.sin(lead.heading)])
        slot = lead.place + w.side * np.array([ahead[1], -ahead[0]])
        lag = float((slot - s.place) @ ahead)
        if lead.speed < 0.1 and np.linalg.norm(slot - s.place) < 0.35:
            s.action = lead.action
            return s.place + ahead, 0.0
        return slot + ahead * 1.5, float(np.clip(lead.speed + 0.9 * lag, 0.0, 1.25 * w.pace))
    while s.todo:
        step = s.todo[0]
        if isinstance(step, Wait):
            s.action = step.action
            s.waited += dt
            if s.waited < step.seconds:
                ahead = s.place + (np.cos(s.heading), np.sin(s.heading))
                return np.asarray(step.facing or ahead, float), 0.0
            s.waited = 0.0
        elif np.linalg.norm(np.asarray(step) - s.place) > (
            0.35 if isinstance(_next(s), Wait | None) else 0.9
        ):
            return np.asarray(step, float), w.pace
        s.todo.pop(0)
    return s.place + (np.cos(s.heading), np.sin(s.heading)), 0.0


def _next(s: _State):
    return s.todo[1] if len(s.todo) > 1 else None


def _choose(
    k: int, s: _State, goal, pace, places, velocities, obstacles, company
) -> tuple[float, float]:
    want = float(np.arctan2(*(goal - s.place)[::-1]))
    if pace < 0.05:
        return want, 0.0
    headings = np.add.outer(want + FAN, 0 * PACES).ravel()
    speeds = np.add.outer(0 * FAN, pace * PACES).ravel()
    options = speeds[:, None] * np.stack([np.cos(headings), np.sin(headings)], 1)
    others = np.arange(len(places)) != k
    room = np.full(len(places), 2 * BODY + 0.08)
    room[company] = 1.65 * BODY
    near = others & (np.linalg.norm(places - s.place, axis=1) < 5)
    meet = _first_contact(s.place, options, places[near], velocities[near], room[near])
    if len(obstacles):
        close = obstacles[np.linalg.norm(obstacles[:, :2] - s.place, axis=1) < 4]
        still = np.zeros((len(close), 2))
        meet = np.minimum(
            meet, _first_contact(s.place, options, close[:, :2], still, close[:, 2] + BODY * 0.8)
        )
    off = np.abs((headings - want + np.pi) % (2 * np.pi) - np.pi)
    swing = np.abs((headings - s.heading + np.pi) % (2 * np.pi) - np.pi)
    delay = 1.3 * (1 - speeds / pace) + 1.0 * (speeds == 0)
    danger = np.maximum(0, 1 / np.maximum(meet, 0.1) - 1 / HORIZON)
    cost = 1.1 * off + 0.35 * swing + delay + 2.2 * danger
    best = int(np.argmin(cost))
    return float(headings[best]), float(speeds[best])


def _first_contact(place, options, spots, velocities, radius) -> np.ndarray:
    """Seconds until each velocity option (K, 2) brings a disc within `radius` of any spot, (K,)."""
    if not len(spots):
        return np.full(len(options), np.inf)
    d = spots - place  # (N, 2)
    v = options[:, None] - velocities[None]  # (K, N, 2)
    a = (v**2).sum(2)
    b = (v * d).sum(2)
    c = (d**2).sum(1) - np.square(radius)
    root = b**2 - a * c
    with np.errstate(divide="ignore", invalid="ignore"):
        time = np.where((root > 0) & (b > 0), (b - np.sqrt(np.maximum(root, 0))) / a, np.inf)
    touching = (c < 0) & (b > 0)  # already too close: only moving apart is free
    return np.where(touching, 0.1, np.where(time < 0, np.inf, time)).min(1)


def closest(walks: list[Walk]) -> float:
    """The smallest distance in metres that any two walkers ever have."""
    places = np.stack([walk.places for walk in walks])
    gap = np.linalg.norm(places[:, None] - places[None], axis=3)
    gap[np.arange(len(walks)), np.arange(len(walks))] = np.inf
    return float(gap.min())
