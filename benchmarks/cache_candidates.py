"""Keep what a detector from elsewhere considers on the 25 frames of lesson 02, to travel with it.

    python benchmarks/cache_candidates.py yolo11n.pt data/plaza/candidates/yolo11n_c1_day.npz

Weights trained on real people are larger than the course and have licences of their own; their raw
candidates (boxes before any threshold but 0.05) are a few kilobytes. The file holds `boxes` (N, 5),
x1 y1 x2 y2 in pixels and confidence, and `frame` (N,), one row a candidate.
"""

import argparse
from pathlib import Path

import numpy as np

from reidlib import assets
from reidlib.collection import video
from reidlib.detection import detectors

EVERY, FAINT = 15, 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights")
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    detector = detectors.load(arguments.weights)
    clip = assets.data("plaza", "clips", "c1_day.mp4")
    kept, numbers = [], []
    for index, _, image in video.read(clip, every=EVERY):
        (candidates,) = detector.raw([image])
        candidates = candidates[candidates[:, 4] >= FAINT]
        kept.append(candidates)
        numbers.append(np.full(len(candidates), index, np.int16))
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    with assets.atomic(arguments.out) as temporary:
        np.savez_compressed(
            temporary, boxes=np.concatenate(kept).astype(np.float16), frame=np.concatenate(numbers)
        )
    print(f"{arguments.out}: {len(np.concatenate(kept))} candidates in {len(kept)} frames")


if __name__ == "__main__":
    main()
