"""A few crops of everybody: what figures and pages show of a track, whatever its length."""

import cv2
import numpy as np
import pandas as pd

from reidlib import boxes
from reidlib.boxes import BOX

CROP = (64, 128)  # width and height of the crops, pixels


class Samples:
    """Keeps a few clear crops of each track, evenly spread over its life, in constant memory.

    At most `limit` crops a track and `total` of all tracks (24 kB each): beyond, every track keeps
    half as many, and in the end only those seen longest keep one.
    """

    def __init__(self, limit: int = 8, total: int = 1000):
        self.limit, self.total = limit, total
        self.seen, self.step, self.crowded = {}, {}, set()
        self.crops: dict[int, list[tuple[int, np.ndarray]]] = {}

    def __call__(self, index: int, image: np.ndarray, tracks: pd.DataFrame) -> None:
        """Look at one frame (H, W, 3) and its tracks, columns track and x1 y1 x2 y2 (pixels)."""
        height, width = image.shape[:2]
        corners = boxes.clip(tracks[BOX].to_numpy(), width, height)
        others = boxes.iou(corners, corners)
        np.fill_diagonal(others, 0)
        crowds = others.max(axis=1, initial=0) > 0.1
        for track, box, crowd in zip(tracks["track"].tolist(), corners, crowds):
            self._look(track, index, image, box, crowd)
        while sum(len(kept) for kept in self.crops.values()) > self.total:
            self._thin_all()

    def _look(self, track: int, index: int, image: np.ndarray, box, crowd: bool) -> None:
        if boxes.area(box)[0] < 1 or (crowd and track in self.crops):
            return  # a picture of two people is only better than none
        if crowd:
            self.crowded.add(track)
        elif track in self.crowded:
            self.crowded.remove(track)
            self.crops[track].clear()
        seen = self.seen.get(track, -1) + 1
        self.seen[track] = seen
        kept = self.crops.setdefault(track, [])
        if kept and seen % self.step.get(track, 1):
            return
        kept.append((index, cv2.resize(boxes.crop(image, box)[0], CROP)))
        if len(kept) > self.limit:
            self._thin(track)

    def _thin(self, track: int) -> None:
        del self.crops[track][1::2]
        self.step[track] = 2 * self.step.get(track, 1)

    def _thin_all(self) -> None:
        if self.limit > 1:
            self.limit //= 2
            for track, kept in self.crops.items():
                while len(kept) > self.limit:
                    self._thin(track)
        else:
            held = [track for track, kept in self.crops.items() if kept]
            for track in sorted(held, key=self.seen.get)[: len(held) // 4 + 1]:
                del self.crops[track]  # comes back if it is seen on, and then for longer
