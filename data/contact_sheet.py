"""Draw `data/contact_sheet.jpg`: frames of the clips, and people as the six cameras see them."""

from __future__ import annotations

import cv2
import numpy as np

from reidlib import assets
from reidlib.collection import encoding, formats, video

HERE = assets.data()
CLIPS = ("c1_day", "c2_day", "c3_day", "c2_dusk", "c3_dusk", "c4_hall")
PEOPLE, EACH = 16, 6


def frames() -> np.ndarray:
    """Return six frames, two rows of three, each the fullest of its clip."""
    tiles = []
    for clip in CLIPS:
        truth = formats.read_mot(HERE / "plaza" / "truth" / f"{clip}.txt")
        fullest = truth[truth.visibility > 0.5].groupby("frame").size().idxmax()
        path = HERE / "plaza" / "clips" / f"{clip}.mp4"
        tiles.append(next(video.read(path, start=int(fullest)))[2])
    rows = [np.hstack(tiles[i : i + 3]) for i in (0, 3)]
    return np.vstack(rows)


def crops(width: int) -> np.ndarray:
    """Return people in two columns, each by all six cameras."""
    paths = sorted((HERE / "plaza" / "crops" / "query").glob("*.jpg"))
    names = [formats.parse_market_name(path) for path in paths]
    people = sorted({name.pid for name in names if name.pid > 0})
    chosen = people[:: len(people) // PEOPLE][:PEOPLE]
    strips = []
    for pid in chosen:
        mine = [path for path, name in zip(paths, names) if name.pid == pid][:EACH]
        strips.append(np.hstack([encoding.read_image(path) for path in mine]))
    full = max(strip.shape[1] for strip in strips)
    strips = [np.pad(s, ((0, 6), (0, full - s.shape[1] + 12), (0, 0))) for s in strips]
    side = np.vstack([np.hstack(strips[i : i + 4]) for i in range(0, len(strips), 4)])
    return cv2.resize(side, (width, round(side.shape[0] * width / side.shape[1])))


def main() -> None:
    top = frames()
    sheet = np.vstack([top, crops(top.shape[1])])
    small = cv2.resize(sheet, None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA)
    encoding.write_image(HERE / "contact_sheet.jpg", small, quality=82)


if __name__ == "__main__":
    main()
