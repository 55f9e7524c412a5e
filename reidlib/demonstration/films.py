"""Annotated films: every camera by itself, and all of them side by side."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from reidlib import drawing
from reidlib.collection import encoding, video

TOGETHER = "side_by_side"


def write(clips: Sequence, table: pd.DataFrame, folder: Path) -> list[Path]:
    """Write one annotated film a camera and, of several, one side by side; returns their paths.

    `clips` are as from pipeline.clips, `table` has a row a box with its camera and identity, of
    which -1 is drawn in grey. Side by side, all run by the common clock.
    """
    paths = [folder / f"{clip.camera}.mp4" for clip in clips]
    height = min(360, round(1920 / sum(clip.about.width / clip.about.height for clip in clips)))
    fps = max(clips[0].about.fps, encoding.SLOWEST)
    with contextlib.ExitStack() as stack:
        open_film = stack.enter_context
        writers = [
            open_film(encoding.Writer(path, max(clip.about.fps, encoding.SLOWEST), crf=27))
            for path, clip in zip(paths, clips)
        ]
        joined = None
        if len(clips) > 1:
            paths.insert(0, folder / f"{TOGETHER}.mp4")
            joined = open_film(encoding.Writer(paths[0], fps, crf=27))
        total = sum(clip.about.frames for clip in clips)
        bar = open_film(tqdm(total=total, desc="films", unit="frame", leave=False))
        streams = [_annotated(clip, table) for clip in clips]
        coming = [next(stream, None) for stream in streams]
        latest = [np.zeros((clip.about.height, clip.about.width, 3), np.uint8) for clip in clips]
        tick, over = math.floor(fps * min(clip.start for clip in clips)), set()
        while any(coming):
            for i in set(range(len(clips))) - over:
                if coming[i] is None:  # what has ended goes dark, the others go on
                    over.add(i)
                    latest[i] = latest[i] // 4
            due = min(frame[0] for frame in coming if frame) * fps
            if due > tick + fps:  # no camera was running: nothing to show
                tick = math.floor(due)
            for i, stream in enumerate(streams):
                while coming[i] and coming[i][0] <= tick / fps + 1e-6:
                    latest[i] = coming[i][1]
                    writers[i].write(latest[i])
                    coming[i] = next(stream, None)
                    bar.update()
            if joined:
                joined.write(drawing.side_by_side(latest, height))
            tick += 1
    return paths


def _annotated(clip, table: pd.DataFrame) -> Iterator[tuple[float, np.ndarray]]:
    frames = dict(list(table[table["camera"] == clip.camera].groupby("frame")))
    for index, seconds, image in video.read(clip.path, stop=clip.about.frames):
        seconds += clip.start
        image = drawing.banner(image, f"{clip.camera}   {seconds:.1f} s")
        yield seconds, drawing.draw_tracks(image, frames.get(index, table[:0]), "identity")
