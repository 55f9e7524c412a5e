"""The plaza's clips: synchronised cameras, MOT ground truth, calibration and identities."""

from __future__ import annotations

import csv
import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from . import bodies, cameras, crowd, identities, itineraries, sensor, truth, views
from .actors import Actor, Shown
from .cast import CLIP_PIDS, TEST_PIDS, TRAIN_PIDS, person
from .renderer import Renderer

FPS = Fraction(25, 2)
CRF = {"day": 25, "dusk": 27, "hall": 25}  # H.264 quality; noise at dusk is dear


class VideoWriter:
    """H.264 that browsers and OpenCV play."""

    def __init__(self, path: Path, width: int, height: int, crf: int):
        self.file = av.open(str(path), "w", options={"movflags": "faststart"})
        self.stream = self.file.add_stream("libx264", rate=FPS)
        self.stream.width, self.stream.height, self.stream.pix_fmt = width, height, "yuv420p"
        self.stream.options = {"crf": str(crf), "preset": "medium", "threads": "1"}

    def write(self, picture: np.ndarray) -> None:
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        self.file.mux(self.stream.encode(frame))

    def close(self) -> None:
        self.file.mux(self.stream.encode())
        self.file.close()


def stage(actors: list[Actor], walkers, walks, frame: int) -> list[Shown]:
    """Everybody, posed and placed, at one frame."""
    shown = []
    for actor, walker, walk in zip(actors, walkers, walks, strict=True):
        pose = actor.walking(
            walk.metres[frame],
            walk.walking[frame],
            frame / float(FPS) + actor.pid * 0.7,
            walker.action,
            walk.actions[frame],
        )
        shown.append(actor.show(*pose, walk.places[frame], walk.headings[frame]))
    return shown


def in_reach(shown: list[Shown], camera: cameras.Camera, metres: float = 24.0) -> list[Shown]:
    """Those who may be in the picture or throw a shadow into it."""
    if not shown:
        return []
    spots = np.array([one.placed.model[:3, 3] for one in shown]) + (0, 0, 0.9)
    x, _, depth = camera.project(spots).T
    wide = (x > -0.4 * camera.width) & (x < 1.4 * camera.width) & (depth > 0.5) & (depth < metres)
    return [one for one, keep in zip(shown, wide, strict=True) if keep]


def film(
    renderer: Renderer,
    seen_by: list[views.View],
    suffix: str,
    actors,
    walkers,
    seconds: float,
    seed: int,
    out: Path,
) -> None:
    """Render one crowd through several synchronised cameras."""
    walks = crowd.simulate(walkers, seen_by[0].scene, seconds, float(FPS), seed)
    writers, lines, noises = {}, {}, {}
    for view in seen_by:
        path = out / "clips" / f"{view.name}_{suffix}.mp4"
        size, crf = (view.camera.width, view.camera.height), CRF[suffix]
        writers[view.name] = VideoWriter(path, *size, crf)
        lines[view.name] = []
        noises[view.name] = np.random.default_rng((seed, int(view.name[1:])))
    for frame in range(len(walks[0].places)):
        everyone = stage(actors, walkers, walks, frame)
        for view in seen_by:
            near = in_reach(everyone, view.camera)
            linear, owner = renderer.render(view.plate, [one.placed for one in near], reach=11.0)
            lines[view.name] += truth.mot_lines(frame + 1, truth.boxes(near, view.camera, owner))
            writers[view.name].write(sensor.develop(linear, view.sensor, noises[view.name]))
        if frame % 25 == 0:
            print(f"{suffix}: frame {frame} of {len(walks[0].places)}", flush=True)
    for view in seen_by:
        writers[view.name].close()
        view.release()
        text = "".join(line + "\n" for line in lines[view.name])
        (out / "truth" / f"{view.name}_{suffix}.txt").write_text(
            text, encoding="utf-8", newline="\n"
        )


def write_cameras(out: Path) -> None:
    document = {
        "convention": "metres, z up, ground z = 0; pixel ~ K (R X + t); no lens distortion",
        "fps": float(FPS),
        "cameras": {
            name: camera.describe() | {"place": "hall" if name in cameras.INDOOR else "plaza"}
            for name, camera in cameras.PLAZA.items()
        },
    }
    (out / "cameras.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def write_identities(out: Path) -> None:
    """One row a person of plaza: split, whether in the clips, and every attribute."""
    rows = []
    for pid in (*TRAIN_PIDS, *TEST_PIDS):
        facts = {
            "pid": pid,
            "split": "train" if pid in TRAIN_PIDS else "test",
            "in_clips": int(pid in CLIP_PIDS),
        }
        rows.append(
            facts
            | {key: value for key, value in identities.to_row(person(pid)).items() if key != "pid"}
        )
    with (out / "identities.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def main(out: Path, seconds: float | None = None) -> None:
    """Render all seven clips; `seconds` shortens every one of them, for a trial."""
    for folder in ("clips", "truth"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    write_cameras(out)
    write_identities(out)
    model = (
        bodies.BodyModel.load()
    )  # before the renderer: two copies of LLVM, loaded the other way round, crash
    renderer = Renderer()
    actors = [Actor(renderer, model, person(pid), pid, seed=pid) for pid in CLIP_PIDS]
    outdoor = ("c1", "c2", "c3")
    film(
        renderer,
        views.plaza(renderer, outdoor, "day"),
        "day",
        actors,
        itineraries.day(),
        seconds or 30,
        7,
        out,
    )
    film(
        renderer,
        views.plaza(renderer, outdoor, "dusk"),
        "dusk",
        actors,
        itineraries.dusk(),
        seconds or 10,
        8,
        out,
    )
    inside = views.plaza(renderer, ("c4",), "day")
    plans = itineraries.wander(inside[0].scene, 12, np.random.default_rng(5), itineraries.HALL_AREA)
    film(renderer, inside, "hall", actors[: len(plans)], plans, seconds or 12, 9, out)
