"""Make the pictures of the README's first screen, in `data/front_page`, from plaza's own data.

    python data/front_page.py

`cameras.webp` is the film of the three cameras above their time line, `cameras.jpg` its last
picture for readers who want no motion, `matches.jpg` one query and its matches, before and after a
change of clothes, `lessons.svg` the five lessons. Tracks are the stored ones; vectors and links are
made with the bundled embedding and `plaza/site.toml`: run this again when one of them has changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

from reidlib import assets, boxes, drawing, style
from reidlib.boxes import BOX
from reidlib.collection import datasets, encoding, formats, video
from reidlib.demonstration import films, matching, pipeline
from reidlib.features import extractors
from reidlib.model import distances, plots, ranking

HERE = assets.data() / "front_page"
WIDTH, HEIGHT = 320, 180  # of one camera, pixels
TOP, ROW, AXIS = 24, 13, 42  # heights in pixels: names, one person, seconds and what was found
LEFT, RIGHT = 24, 18  # of a camera's time line, pixels: numbers, margin
GAP = 4  # pixels between two cameras
GROUND, STRIPE, FAINT, TEXT = (22, 27, 34), (33, 39, 48), (110, 118, 129), (240, 243, 246)
EVERY, PLAYED = 4, 8  # of four frames one is shown, at eight a second: 2.6 times as fast as life
LAST = 4000  # milliseconds for which the last picture stays
QUALITY = 46  # of the film, 0 to 100; it must stay below 3 MB
RANKS = 8  # matches shown for a query
LESSONS = (
    ("Collection", "video of several cameras", "frames and labels"),
    ("Detection and tracking", "every frame", "one track a person and camera"),
    ("Features", "pictures of a person", "one vector a track"),
    ("Model", "pairs: the same, or not?", "a distance to trust"),
    ("Demonstration", "all cameras together", "who was where, and when"),
)


def follow(clip: pipeline.Clip, extractor, every: int = 3) -> None:
    """Fill a clip with its stored tracks, and with vectors of every third frame."""
    table = formats.read_mot(assets.data("plaza", "tracks", f"{clip.path.stem}.txt"))
    table = table[table["frame"] < clip.about.frames].reset_index(drop=True)
    clip.table = table.assign(camera=clip.camera, time=clip.at(table["frame"]))
    clip.vectors = np.full((len(table), extractor.dim), np.nan, np.float32)
    rows_of_frame = table.groupby("frame").indices
    for frame, _, image in video.read(clip.path, stop=clip.about.frames):
        rows = rows_of_frame.get(frame, [])
        if frame % every == 0 and len(rows):
            clip.vectors[rows] = extractor(boxes.crop(image, table[BOX].to_numpy()[rows]))


def scene(clip: pipeline.Clip, table: pd.DataFrame) -> Iterator[tuple[float, np.ndarray]]:
    """Yield a clip's frames, small, with boxes and numbers, at seconds of the common clock."""
    mine = table[table["camera"] == clip.camera]
    scale = np.tile([WIDTH / clip.about.width, HEIGHT / clip.about.height], 2)
    mine = mine.assign(**dict(zip(BOX, (mine[BOX].to_numpy() * scale).T)))
    rows_of_frame = mine.groupby("frame").indices
    for index, seconds, image in video.read(clip.path, stop=clip.about.frames):
        small = cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        here = mine.iloc[rows_of_frame.get(index, [])]
        small = drawing.draw_tracks(small, here, "identity")
        small[:, -GAP:] = GROUND
        yield clip.start + seconds, small


def font(size: int, weight: str = "regular") -> ImageFont.FreeTypeFont:
    """Return DejaVu Sans, which Matplotlib brings along, in a size in pixels."""
    found = font_manager.FontProperties(family="DejaVu Sans", weight=weight)
    return ImageFont.truetype(font_manager.findfont(found), size)


def time_line(rows: pd.DataFrame, camera: str, now: float, end: float) -> np.ndarray:
    """Return one camera's time line up to `now`, an RGB image; both times in seconds.

    `rows` are tracklets with camera, start, end and identity. A row of the picture is a person, the
    same in every camera's, in the order in which people were first seen; a bar is a stay.
    """
    order = rows.groupby("identity")["start"].min().sort_values(kind="stable").index
    picture = Image.new("RGB", (WIDTH, len(order) * ROW + AXIS), GROUND)
    draw = ImageDraw.Draw(picture)
    per_second = (WIDTH - LEFT - RIGHT) / end
    for i in range(1, len(order), 2):
        draw.rectangle((0, i * ROW, WIDTH - RIGHT // 2, i * ROW + ROW - 1), STRIPE)
    for second in range(0, int(end) + 1, 10):
        x, below = LEFT + second * per_second, len(order) * ROW
        draw.line((x, 0, x, below), FAINT)
        draw.text((x, below + 10), f"{second} s", TEXT, font(11), anchor="mm")
    begun = rows[(rows["camera"] == camera) & (rows["start"] <= now)]
    for stay in begun.itertuples():
        y = order.get_loc(stay.identity) * ROW
        x1, x2 = (LEFT + time * per_second for time in (stay.start, min(stay.end, now)))
        fill = drawing.person_colour(stay.identity)
        draw.rectangle((x1, y + 2, max(x2, x1 + 2), y + ROW - 3), fill, outline=TEXT)
        draw.text((LEFT - 4, y + ROW / 2), str(stay.identity), TEXT, font(10, "bold"), "rm")
    x = LEFT + min(now, end) * per_second
    draw.line((x, 0, x, len(order) * ROW), TEXT)
    return np.asarray(picture)


def pictures(found: Sequence[pipeline.Clip], table: pd.DataFrame, rows: pd.DataFrame) -> Iterator:
    """Yield RGB pictures: all cameras side by side, each above its time line.

    `table` has a row a box, `rows` a row a tracklet, both with identities as from pipeline.link.
    """
    rate = found[0].about.fps / EVERY
    end = max(clip.start + clip.about.duration for clip in found)
    screens = [films.Screen(scene(c, table), np.zeros((HEIGHT, WIDTH, 3), np.uint8)) for c in found]
    for tick, images in enumerate(films.on_one_clock(screens, rate)):
        now = tick / rate
        columns = [
            np.vstack([heading(f"camera {clip.camera.lstrip('c')}   {now:.1f} s"), image,
                       np.full((6, WIDTH, 3), GROUND, np.uint8),
                       time_line(rows, clip.camera, now, end)])
            for clip, image in zip(found, images)
        ]  # fmt: skip
        yield np.hstack(columns)


def heading(text: str) -> np.ndarray:
    """Return a line of text as wide as a camera, an RGB image."""
    picture = Image.new("RGB", (WIDTH, TOP), GROUND)
    ImageDraw.Draw(picture).text((LEFT, TOP / 2), text, TEXT, font(13), anchor="lm")
    return np.asarray(picture)


def closing(picture: np.ndarray, count: dict) -> np.ndarray:
    """Return a picture with what came out below: how many were found, and how many there are.

    `count` is as from matching.explain_count.
    """
    reasons = ("split", "nobody", "merged", "missed", "seen too briefly")
    why = ", ".join(f"{count[reason]} {reason}" for reason in reasons if count[reason])
    text = f"{count['found']} numbers for {count['true']} people"
    canvas = Image.fromarray(picture)
    at = canvas.width / 2, canvas.height - 12
    text = f"{text}: {why}" if why else text
    ImageDraw.Draw(canvas).text(at, text, TEXT, font(14, "bold"), anchor="mm")
    return np.asarray(canvas)


def write_film(shown: Sequence[np.ndarray], path: str | Path) -> None:
    """Write RGB pictures as an animated WebP file that repeats, the last picture longer."""
    first, *others = map(Image.fromarray, shown)
    durations = [1000 // PLAYED] * (len(shown) - 1) + [LAST]
    with assets.atomic(path) as temporary:
        first.save(temporary, save_all=True, append_images=others, duration=durations, loop=0,
                   quality=QUALITY, method=4)  # fmt: skip


def average_query(result: ranking.Result, marks: Sequence[np.ndarray]) -> int:
    """Return the query whose average precision is nearest to the mean: neither best nor worst.

    `marks` says for each query which of its first matches are right. Only queries with right and
    wrong ones among them are asked, so that both can be seen.
    """
    mixed = np.array([0 < mark.sum() < len(mark) for mark in marks])
    return int(np.argmin(np.where(mixed, np.abs(result.ap - result.mAP), np.inf)))


def ranked(extractor, query: pd.DataFrame, gallery: pd.DataFrame, known: np.ndarray):
    """Return the score of all queries, and of each the first gallery rows and their distances."""
    vectors = extractor(datasets.read_images(query["path"]))
    labels = [table[name] for table in (query, gallery) for name in ("pid", "camid")]
    result = ranking.evaluate(vectors, *labels[:2], known, *labels[2:])
    order, nearest = distances.top(vectors, known, RANKS, junk=ranking.junk(*labels))
    return result, order, nearest


def matches(extractor) -> style.Figure:
    """Draw one average query of plaza and its matches, and the same person in other clothes."""
    normal = datasets.load("plaza")
    gallery, known = normal.gallery, extractor(datasets.read_images(normal.gallery["path"]))
    pids = gallery["pid"].to_numpy()
    searches = [normal.query, datasets.load("plaza", scenario="clothes").query]
    found = [ranked(extractor, query, gallery, known) for query in searches]
    marks = [pids[order] == query["pid"].to_numpy()[:, None]
             for query, (_, order, _) in zip(searches, found)]  # fmt: skip
    chosen = average_query(found[0][0], marks[0])
    changed = int(np.flatnonzero(searches[1]["pid"] == searches[0]["pid"].iloc[chosen])[0])
    shown = list(zip(searches, found, marks, (chosen, changed)))
    return plots.rank_grid(
        datasets.read_images([query["path"].iloc[i] for query, _, _, i in shown]),
        [datasets.read_images(gallery["path"].iloc[order[i]]) for _, (_, order, _), _, i in shown],
        [mark[i] for _, _, mark, i in shown],
        [[f"{value:.2f}" for value in nearest[i]] for _, (_, _, nearest), _, i in shown],
        names=["query", "other clothes"],
    )


def diagram() -> str:
    """Return the five lessons as SVG: a box a lesson, with what goes in and what comes out."""
    step, high = 78, 62
    parts, said = [], []
    for i, (name, taken, given) in enumerate(LESSONS):
        y = i * step + 4
        if i:
            middle = f"M270 {y - step + high} v{step - high - 6}"
            parts.append(f'<path d="{middle}" class="arrow" marker-end="url(#head)"/>')
        parts.append(
            f'<rect x="4" y="{y}" width="532" height="{high}" rx="10"/>'
            f'<circle cx="38" cy="{y + high / 2:g}" r="19"/>'
            f'<text x="38" y="{y + high / 2 + 7:g}" class="number">{i + 1}</text>'
            f'<text x="72" y="{y + 26}" class="name">{escape(name)}</text>'
            f'<text x="72" y="{y + 49}">{escape(taken)} → {escape(given)}</text>'
        )
        said.append(f"{i + 1} {name}: {taken}, to {given}")
    body = "\n".join(parts)
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 540 {5 * step - step + high + 8}" width="540"
 role="img" aria-labelledby="title told">
<title id="title">The five lessons</title>
<desc id="told">{escape("; ".join(said))}.</desc>
<style>
rect {{ fill: #eef4fb; stroke: #0072b2; stroke-width: 2 }}
circle {{ fill: #0072b2 }}
text {{ font: 17px system-ui, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2328 }}
.name {{ font-weight: 700; font-size: 19px }}
.number {{ font-weight: 700; font-size: 20px; fill: #ffffff; text-anchor: middle }}
.arrow {{ stroke: #7d8590; stroke-width: 3; fill: none }}
.head {{ fill: #7d8590 }}
</style>
<defs><marker id="head" viewBox="0 0 6 6" refX="3" refY="3" markerWidth="4" markerHeight="4"
 orient="auto"><path d="M0 0 L6 3 L0 6 z" class="head"/></marker></defs>
{body}
</svg>
"""


def main() -> None:
    HERE.mkdir(exist_ok=True)
    with assets.atomic(HERE / "lessons.svg") as temporary:
        temporary.write_text(diagram(), "utf-8")
    extractor, found = extractors.load("plaza"), pipeline.clips()
    style.save(matches(extractor), HERE / "matches.jpg")
    for clip in found:
        follow(clip, extractor)
    table, _, rows, _ = pipeline.link(found, extractor.threshold)
    truth = pd.concat([clip.truth.assign(camera=clip.camera) for clip in found])
    shown = list(pictures(found, table, rows))
    shown.append(closing(shown[-1], matching.explain_count(truth, table)))
    encoding.write_image(HERE / "cameras.jpg", shown[-1], quality=82)
    write_film(shown, HERE / "cameras.webp")
    for path in sorted(HERE.iterdir()):
        print(f"{path.name}: {path.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
