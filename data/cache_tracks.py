"""Write what the bundled detector and the course's tracker find in each clip, as MOT text.

    python data/cache_tracks.py

Detections are kept down to confidence 0.05, so that a lesson can move the threshold; tracks are
those of `tracking.track_recording`, two passes, with its defaults and the bundled embedding.
"""

from __future__ import annotations

import pandas as pd
from tqdm.auto import tqdm

from reidlib import assets
from reidlib.collection import formats, video
from reidlib.detection import detectors, tracking
from reidlib.features import extractors


def main() -> None:
    plaza = assets.data("plaza")
    cautious = detectors.load("plaza")
    eager = detectors.load("plaza", confidence=0.05)
    extractor = extractors.load("plaza")
    for clip in tqdm(sorted((plaza / "clips").glob("*.mp4")), "clips"):
        found = [
            eager([image])[0].assign(frame=index, track=-1)
            for index, _, image in video.read(clip)
        ]
        name = f"{clip.stem}.txt"
        formats.write_mot(pd.concat(found), plaza / "detections" / name)
        tracks = tracking.track_recording(clip, cautious, extractor).table
        formats.write_mot(tracks, plaza / "tracks" / name)


if __name__ == "__main__":
    main()
