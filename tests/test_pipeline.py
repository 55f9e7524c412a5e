import json
import os
import re
import urllib.parse

import cv2
import numpy as np
import pandas as pd
import pytest
from stand_ins import by_colour as detector

from reidlib import boxes
from reidlib.collection import encoding, formats, quality, video
from reidlib.demonstration import (
    counts,
    evidence,
    films,
    labelling,
    matching,
    pipeline,
    provenance,
    report,
    sampling,
    summary,
)
from reidlib.detection import scores
from reidlib.features import vectors

WIDTH, HEIGHT, FPS = 160, 120, 10
RED, GREEN, BLUE = (220, 40, 40), (40, 200, 40), (40, 40, 220)


def paint(path, people, frames=30):
    """Write a clip of people, (colour, x at the start, speed, first, last), and its truth."""
    rows = []
    with encoding.Writer(path, FPS, crf=18) as writer:
        for frame in range(frames):
            image = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
            for number, (colour, x, speed, first, last) in enumerate(people):
                if first <= frame < last:
                    left, top = round(x + speed * frame), 6 + 36 * number
                    image[top : top + 32, left : left + 14] = colour
                    pid = (RED, GREEN, BLUE).index(colour) + 1
                    rows.append((frame, pid, left, top, left + 14, top + 32))
            writer.write(image)
    truth = pd.DataFrame(rows, columns=["frame", "track", *boxes.BOX])
    formats.write_mot(truth.assign(confidence=1, visibility=1.0), path.with_suffix(".txt"))
    return path


def extractor(images):
    """Return the mean colour of the middle of each crop, less grey, as a unit vector."""
    middles = [image[image.shape[0] // 4 : -image.shape[0] // 4] for image in images]
    means = np.array([middle.mean(axis=(0, 1)) for middle in middles]) - 110
    return (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)


extractor.threshold = 0.3


@pytest.fixture(scope="module")
def plaza(tmp_path_factory):
    """Two cameras; the red and the green person are in both, the blue one in the second only."""
    folder = tmp_path_factory.mktemp("clips")
    a = paint(folder / "a.mp4", [(RED, 5, 2, 0, 30), (GREEN, 130, -2, 0, 25)])
    b = paint(
        folder / "b.mp4", [(GREEN, 5, 2, 5, 30), (RED, 70, 1, 12, 30), (BLUE, 130, -2, 0, 30)]
    )
    return a, b


@pytest.fixture(scope="module")
def result(plaza, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "demo"
    truth = [path.with_suffix(".txt") for path in plaza]
    return out, pipeline.run(plaza, out, truth=truth, detector=detector, extractor=extractor)


def test_everybody_keeps_one_number_in_both_cameras(result):
    out, metrics = result
    assert metrics["people"] == 3 and metrics["people in several cameras"] == 2
    rows = pd.read_csv(out / "identities.csv")
    assert (rows.groupby("pid")["identity"].nunique() == 1).all()
    assert set(rows["pid"]) == {1, 2, 3}
    scores = pd.DataFrame.from_dict(metrics["scores"], orient="index")
    assert list(scores.index) == ["a", "a, linked", "b", "b, linked", "all cameras"]
    assert (scores["IDF1"] > 0.9).all()
    assert metrics["between cameras"]["rank-1"] == 1


def test_everything_promised_is_written_and_whole(result):
    out, metrics = result
    for name in ("a.mp4", "b.mp4", "side_by_side.mp4"):
        assert video.probe(out / name).frames == 30
    assert (video.probe(out / "side_by_side.mp4").width, video.probe(out / "a.mp4").width) == (
        960,
        160,
    )
    for name in ("rank_grid", "embedding_map", "timeline", "people"):
        assert cv2.imread(str(out / f"{name}.png")).std() > 5
    tracks = formats.read_mot(out / "tracks" / "a.txt")
    assert set(tracks.columns) >= {"frame", "track", "x1"} and len(tracks) > 45
    embeddings, table = vectors.read(out / "features.npz")
    assert len(embeddings) == len(table) == len(pd.read_csv(out / "identities.csv"))
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)
    assert not list(out.glob(".*"))


def test_metrics_hold_versions_settings_and_times(result):
    out, metrics = result
    kept = json.loads((out / "metrics.json").read_text("utf-8"))
    assert kept["versions"]["numpy"] == np.__version__
    assert kept["settings"]["link threshold"] == 0.3
    assert kept["people"] == 3 and kept["cameras"]["a"]["frames"] == 30
    assert all(value >= 0 for value in kept["seconds"].values()) and kept["frames a second"] > 0
    assert sum(kept["seconds"].values()) == pytest.approx(
        sum(metrics["seconds"].values()), abs=0.01
    )


def test_the_report_needs_no_other_file(result):
    out, _ = result
    text = (out / "report.html").read_text("utf-8")
    assert text.count("<video") == 1 and "data:video/mp4" in text
    assert len(re.findall(r'(?:src|href)="(?!data:)[^"]*"', text)) == 3  # links to the films
    assert not re.search(r'(?:src|href)="(?:https?:|/)', text) and "<script" not in text
    assert len(re.findall("<img [^>]*alt=", text)) == text.count("<img ")
    assert "Person 3" in text and "all cameras" in text


def test_visitors_are_counted_in_a_table_a_figure_and_on_the_page(result):
    out, metrics = result
    table = pd.read_csv(out / "counts.csv")
    assert table[["camera", "number"]].values.tolist() == [["a", 2], ["b", 3]]
    assert set(table["counted"]) == {"visitors"} and (table["stay"] > 1).all()
    assert cv2.imread(str(out / "visitors.png")).std() > 5
    text = " ".join((out / "report.html").read_text("utf-8").split())
    assert "3 people found; nobody has labelled pairs" in text and counts.LIMITS in text
    assert metrics["people by labels"]["low"] is None
    assert "reidlib count FOLDER --labels PAIRS.csv takes labels from elsewhere" in text


def test_what_is_wrong_with_a_recording_stands_on_the_card(result, plaza, tmp_path):
    out, metrics = result
    small = "a: the image has 120 rows, fewer than 240"
    assert small in metrics["notes"] and small in evidence.card(out)["broke"]
    broken = tmp_path / "broken.mp4"
    content = plaza[0].read_bytes()  # its index is in front
    broken.write_bytes(content[: len(content) * 2 // 3])
    with pytest.warns(UserWarning, match="broken.mp4"):
        (clip,) = pipeline.clips([broken])
        pipeline.follow(clip, detector, extractor)
    assert any("cut short, damaged, or mislabelled" in note for note in clip.notes), clip.notes


def test_dark_pictures_are_noted_while_they_are_followed(tmp_path):
    """As collect says it of the film; one frame a second is looked at."""
    path = tmp_path / "night.mp4"
    images = [np.full((240, 320, 3), 8, np.uint8) for _ in range(60)]
    for frame, image in enumerate(images):
        image[40:160, 2 * frame : 2 * frame + 40] = RED
    encoding.write(path, images, 10)
    (clip,) = pipeline.clips([path])
    pipeline.follow(clip, detector, extractor)
    said = [note for note in clip.notes if "too dark" in note]
    assert said == [r for r in quality.report(path).reasons if "too dark" in r] and len(said) == 1
    assert said[0].startswith("6 of 6 frames")


def test_labels_that_wait_in_the_folder_give_the_count_an_interval(plaza, tmp_path):
    clips = pipeline.clips(plaza)
    first = pipeline.run(clips, tmp_path, detector=detector, extractor=extractor)
    means, rows = vectors.read(tmp_path / "features.npz")
    pairs = labelling.sample_pairs(rows, means, 8)
    person = rows.set_index(["camera", "track"])["identity"]
    one, other = (person[zip(pairs[f"camera_{s}"], pairs[f"track_{s}"])].to_numpy() for s in "ab")
    answers = pairs.assign(answer=np.where(one == other, "same", "different"))
    labelling.write(tmp_path / "pairs_Ann.csv", answers)  # as the template calls them
    found = pipeline.run(clips, tmp_path, detector=detector, extractor=extractor)
    by_labels = found["people by labels"]
    assert first["people"] == 3 and by_labels["low"] <= 3 <= by_labels["high"]
    assert by_labels["estimate"] == pytest.approx(3)
    page = (tmp_path / "report.html").read_text("utf-8")
    assert f"3 people found; by labels 3, between {by_labels['low']:.0f} and" in page
    assert "takes labels from elsewhere" not in page
    labelling.write(tmp_path / "pairs_Ann.csv", answers.assign(start_a=answers["start_a"] + 9))
    stale = pipeline.run(clips, tmp_path, detector=detector, extractor=extractor)
    assert stale["people by labels"]["low"] is None
    assert "no interval: the labels are about other tracks" in stale["people by labels"]["why"]


def test_films_show_the_persons_colour(result):
    out, _ = result
    from reidlib.drawing import person_colour

    rows = pd.read_csv(out / "identities.csv")
    identity = rows.loc[(rows["pid"] == 1) & (rows["camera"] == "a"), "identity"].iloc[0]
    *_, (_, _, image) = video.read(out / "a.mp4", start=20, stop=21)
    left_edge = image[15:30, 5 + 2 * 20 - 1 : 5 + 2 * 20 + 2].reshape(-1, 3).astype(int)
    assert np.abs(left_edge - person_colour(identity)).sum(axis=1).min() < 90


def test_one_clip_alone_compares_early_with_late(plaza, tmp_path):
    metrics = pipeline.run(plaza[1:], tmp_path, detector=detector, extractor=extractor)
    assert metrics["people"] == 3 and metrics["scores"] == {} and metrics["between cameras"] == {}
    assert not (tmp_path / "side_by_side.mp4").exists() and (tmp_path / "rank_grid.png").exists()
    text = (tmp_path / "report.html").read_text("utf-8")
    assert "early half of a track" in text and "nobody wrote down who is who" in text


def test_early_and_late_halves_share_their_track():
    table = pd.DataFrame(
        {"camera": "a", "track": np.repeat([1, 2], 12), "frame": list(range(12)) * 2}
    )
    table = table.assign(time=table["frame"] / 10, confidence=0.9)
    vectors = np.repeat(np.eye(2, dtype=np.float32), 12, axis=0)
    rows, _ = matching.tracklets(table, vectors, shortest=5)
    rows = rows.assign(identity=[1, 2], pid=-1)
    cut, means = summary.early_and_late(rows, table, vectors)
    assert sorted(cut["camera"]) == ["a", "a", "a late", "a late"]
    assert (cut["pid"] == cut["track"]).all() and len(means) == 4


def test_true_people_takes_the_majority_and_knows_nobody():
    corners = [[0, 0, 10, 10]] * 3 + [[50, 50, 60, 60]]
    truth = pd.DataFrame(corners[:3], columns=boxes.BOX).assign(frame=[0, 1, 2], track=[7, 7, 8])
    found = pd.DataFrame(corners, columns=boxes.BOX).assign(frame=[0, 1, 2, 2], track=[1, 1, 1, 2])
    assert scores.true_people(found, truth).to_dict() == {1: 7, 2: -1}
    assert scores.true_people(found, truth[:0]).to_dict() == {1: -1, 2: -1}
    assert scores.true_people(found.assign(track=1), truth[2:]).to_dict() == {1: -1}


def test_samples_stay_few_and_spread_out():
    samples, image = sampling.Samples(limit=4), np.zeros((50, 50, 3), np.uint8)
    box = pd.DataFrame({"track": [1, 2], "x1": 0, "y1": 0, "x2": [9, 0], "y2": [20, 20]})
    for frame in range(200):
        samples(frame, image, box)
    frames = [index for index, _ in samples.crops[1]]
    assert 2 <= len(frames) <= 4 and frames[0] == 0 and frames[-1] >= 96
    assert 2 not in samples.crops  # a box without area gives no picture


def test_crops_of_many_tracks_stay_within_a_bound():
    samples, image = sampling.Samples(limit=4, total=20), np.zeros((50, 50, 3), np.uint8)
    for frame in range(400):  # a new person every ten frames, and one who stays
        tracks = [1, 2 + frame // 10]
        box = pd.DataFrame({"track": tracks, "x1": [0, 30], "y1": 0, "x2": [9, 39], "y2": 20})
        samples(frame, image, box)
        assert sum(len(kept) for kept in samples.crops.values()) <= 20
    assert samples.crops[1] and len(samples.crops) > 10  # who was seen longest, and the last ones


def test_times_come_from_time_stamps(plaza):
    clip = pipeline.clips(plaza[:1], starts=[50.0])[0]
    stamps = [seconds for _, seconds, _ in video.read(plaza[0])]
    assert clip.at(7) == pytest.approx(50 + stamps[7])
    clip.table = pd.DataFrame({"frame": [2, 2, 4, 8], "time": [50.5, 50.5, 51.5, 99.0]})
    assert clip.at(2) == 50.5 and clip.at(3) == 51 and clip.at(4) == 51.5
    assert clip.at(np.array([0, 6, 20])).tolist() == [50.5, 75.25, 99.0]


def test_what_is_known_of_the_place_reaches_the_linking(plaza, tmp_path):
    apart = pipeline.clips(plaza, overlap=[], travel={("a", "b"): 1e4})
    assert apart[0].site.overlap == [] and apart[1].site is apart[0].site
    metrics = pipeline.run(apart, tmp_path, detector=detector, extractor=extractor)
    assert metrics["people in several cameras"] == 0  # nobody can have got from one to the other
    assert metrics["settings"]["least seconds between cameras"] == "a and b: 10000"
    assert metrics["settings"]["cameras that overlap"] == "none"
    with pytest.raises(ValueError, match="name the cameras a, z; expected pairs of a, b"):
        pipeline.clips(plaza, overlap=[("a", "z")])
    with pytest.raises(ValueError, match="expected pairs of a, b"):
        pipeline.run(plaza, tmp_path / "no", overlap=["ab?"], detector=print, extractor=print)
    plan = pipeline.clips()[0].site
    assert plan.overlap == [("c1", "c2")] and set(plan.travel) == {("c2", "c3"), ("c1", "c3")}


def test_the_count_of_people_is_explained(result):
    _, metrics = result
    count = metrics["count"]
    assert (count["found"], count["true"], count["split"], count["merged"]) == (3, 3, 0, 0)
    assert count["found"] == metrics["people"]


def test_samples_prefer_a_person_alone():
    samples, image = sampling.Samples(), np.zeros((50, 50, 3), np.uint8)
    together = pd.DataFrame({"track": [1, 2], "x1": [0, 2], "y1": 0, "x2": [9, 11], "y2": 20})
    samples(0, image, together)
    assert len(samples.crops[1]) == len(samples.crops[2]) == 1
    samples(1, image, together)
    samples(2, image, together[:1])
    samples(3, image, together)
    assert [index for index, _ in samples.crops[1]] == [2]
    assert [index for index, _ in samples.crops[2]] == [0]


def test_side_by_side_follows_the_clock(plaza, tmp_path):
    slow = tmp_path / "slow.mp4"
    encoding.write(slow, (image for _, _, image in video.read(plaza[0], stop=10)), 5)
    clips = pipeline.clips([plaza[0], slow])
    table = pd.DataFrame(columns=["camera", "frame", "identity", *boxes.BOX])
    films.write(clips, table, tmp_path)
    assert video.probe(tmp_path / "slow.mp4").frames == 10
    assert video.probe(tmp_path / "side_by_side.mp4").frames == 30


def frames_at(*seconds):
    return iter([(now, np.full((2, 2, 3), 100 + 10 * i)) for i, now in enumerate(seconds)])


def shown(pictures):
    return [[int(picture[0, 0, 0]) for picture in tick] for tick in pictures]


def test_a_camera_keeps_its_latest_picture_and_then_goes_dark():
    black = np.zeros((2, 2, 3), int)
    fast = films.Screen(frames_at(0.0, 0.5, 1.0, 1.5), black)
    slow = films.Screen(frames_at(0.5, 0.9), black)  # its second frame comes between two ticks
    none = films.Screen(iter([]), black)
    pictures = shown(films.on_one_clock([fast, slow, none], fps=2))
    assert pictures == [[100, 0, 0], [110, 100, 0], [120, 110, 0], [130, 27, 0]]


def test_the_clock_leaps_where_no_camera_runs():
    black = np.zeros((2, 2, 3), int)
    early, late = films.Screen(frames_at(100.0), black), films.Screen(frames_at(107.5), black)
    assert shown(films.on_one_clock([early, late], fps=10)) == [[100, 0], [25, 100]]
    assert shown(films.on_one_clock([films.Screen(iter([]), black)], fps=10)) == []


def test_clocks_names_and_lengths_are_as_given(plaza, tmp_path):
    truth = [plaza[0].with_suffix(".txt"), None]
    options = {"names": ["door", "yard"], "starts": [100.0, 107.5], "seconds": 2}
    clips = pipeline.clips(plaza, truth, **options)
    assert [clip.about.frames for clip in clips] == [20, 20] and clips[0].truth["frame"].max() == 19
    metrics = pipeline.run(clips, tmp_path, detector=detector, extractor=extractor)
    followed = [clip.table for clip in clips]
    assert [table["time"].iloc[0] for table in followed] == [100, 107.5]
    assert list(metrics["cameras"]) == ["door", "yard"] and list(metrics["scores"])[0] == "door"
    assert 40 <= video.probe(tmp_path / "side_by_side.mp4").frames <= 55  # five dark seconds cut
    pipeline.run(clips, tmp_path, detector=print, extractor=extractor)  # not followed again
    assert [clip.table is table for clip, table in zip(clips, followed)] == [True, True]
    with pytest.raises(ValueError, match="2 videos but 1 names"):
        pipeline.clips(plaza, names=["door"])


def test_cameras_of_the_same_name_are_kept_apart(plaza, tmp_path):
    other = tmp_path / "a.mp4"
    other.write_bytes(plaza[0].read_bytes())
    assert [clip.camera for clip in pipeline.clips([plaza[0], other])] == ["1_a", "2_a"]


def test_a_clip_that_is_over_goes_dark(plaza, tmp_path):
    short = tmp_path / "short.mp4"
    encoding.write(short, (image for _, _, image in video.read(plaza[0], stop=10)), FPS)
    table = pd.DataFrame(columns=["camera", "frame", "identity", *boxes.BOX])
    films.write(pipeline.clips([plaza[1], short]), table, tmp_path / "out")
    ends = [
        image for i, _, image in video.read(tmp_path / "out" / "side_by_side.mp4") if i in (5, 25)
    ]
    half = ends[0].shape[1] // 2
    bright, dark = (image[40:, half + 5 :].mean() for image in ends)
    assert (
        dark < 0.4 * bright
        and ends[1][40:, : half - 5].mean() > 0.8 * ends[0][40:, : half - 5].mean()
    )


def test_names_that_are_taken(plaza, tmp_path):
    for name in ("side_by_side.mp4", "cam late.mp4"):
        (tmp_path / name).write_bytes(plaza[1].read_bytes())
    assert pipeline.clips([tmp_path / "side_by_side.mp4"])[0].camera == "1_side_by_side"
    pair = [tmp_path / "cam late.mp4", plaza[0]]
    assert (
        pipeline.run(pair, tmp_path / "out", detector=detector, extractor=extractor)["people"] == 3
    )


def test_odd_clocks(plaza):
    for start in (float("nan"), float("inf"), 1e18):
        with pytest.raises(ValueError, match="expected finite seconds of one clock"):
            pipeline.clips(plaza[:1], starts=[start])
    assert pipeline.clips(plaza[:1], starts=[1_780_000_000])[0].at(12) > 1_780_000_000


def test_nothing_that_was_given_is_written_over(plaza, tmp_path):
    tools = {"detector": detector, "extractor": extractor}
    joined, truth = tmp_path / "side_by_side.mp4", tmp_path / "tracks" / "b.txt"
    joined.write_bytes(plaza[0].read_bytes())
    truth.parent.mkdir()
    truth.write_bytes(plaza[1].with_suffix(".txt").read_bytes())
    for videos, given in (([joined, plaza[1]], ()), (plaza[1:], [truth])):
        with pytest.raises(ValueError, match="would write over .*(side_by_side.mp4|b.txt)"):
            pipeline.run(videos, tmp_path, truth=given, **tools)


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_link_keeps_its_name(plaza, tmp_path):
    (tmp_path / "north.mp4").symlink_to(plaza[0])
    assert pipeline.clips([tmp_path / "north.mp4"])[0].camera == "north"


def test_bad_input_writes_nothing(plaza, tmp_path):
    out = tmp_path / "out"
    tools = {"detector": detector, "extractor": extractor}
    with pytest.raises(FileNotFoundError):
        pipeline.run([tmp_path / "missing.mp4"], out, **tools)
    with pytest.raises(ValueError, match="1 video but 2 truth files"):
        pipeline.run(plaza[:1], out, truth=["a.txt", "b.txt"], **tools)
    (tmp_path / "note.mp4").write_text("not a video")
    with pytest.raises(ValueError, match="note.mp4"):
        pipeline.run([tmp_path / "note.mp4"], out, **tools)
    assert not out.exists()
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        pipeline.run(plaza, tmp_path / "file" / "out", **tools)


def test_footage_without_people_says_so(tmp_path):
    path = paint(tmp_path / "empty.mp4", [])
    with pytest.raises(ValueError, match="nobody was followed.*empty.mp4"):
        pipeline.run([path], tmp_path / "out", detector=detector, extractor=extractor)
    assert not list((tmp_path / "out").glob("*.*"))


def test_a_camera_that_sees_nobody_does_no_harm(plaza, tmp_path):
    empty = paint(tmp_path / "empty.mp4", [])
    metrics = pipeline.run(
        [plaza[0], empty], tmp_path / "out", detector=detector, extractor=extractor
    )
    assert metrics["people"] == 2 and metrics["cameras"]["empty"]["people"] == 0


def test_json_is_plain(tmp_path):
    values = {
        "a": np.float32(0.123456),
        "b": float("nan"),
        3: [np.int64(2), None, True],
        "p": tmp_path,
    }
    provenance.write_json(tmp_path / "a.json", values)
    kept = json.loads((tmp_path / "a.json").read_text("utf-8"))
    assert kept == {"a": 0.1235, "b": None, "3": [2, None, True], "p": str(tmp_path)}


def test_arrays_are_lists_in_json(tmp_path):
    values = {"a": np.arange(3), "b": np.array([[0.5, np.nan]]), "c": np.bool_(True), "d": {4}}
    values["e"] = pd.Series([1.25])
    provenance.write_json(tmp_path / "a.json", values)
    kept = json.loads((tmp_path / "a.json").read_text("utf-8"))
    assert kept == {"a": [0, 1, 2], "b": [[0.5, None]], "c": True, "d": [4], "e": [1.25]}


def test_links_reach_files_with_odd_names(tmp_path):
    names = ["film.mp4", "a #1?.mp4"]
    for name in names:
        (tmp_path / name).write_bytes(b"film")
    text = report.render(films=[tmp_path / name for name in names])
    assert 'href="a%20%231%3F.mp4"' in text and ">a #1?.mp4<" in text


def test_report_escapes_what_it_is_given():
    table = report.table(pd.DataFrame({"value": ["<b>", 1.23456]}, index=["x", "y"]))
    assert "&lt;b&gt;" in table and "<b>" not in table
    page = report.render(title="A <title>", lead="lead & more", facts={"people": "<3"})
    assert "A &lt;title&gt;" in page and "lead &amp; more" in page and "&lt;3" in page
    assert "prefers-color-scheme: dark" in page and "@media print" in page


@pytest.mark.skipif(os.name == "nt", reason="Windows allows fewer names")
def test_names_that_are_html_do_no_harm_in_the_report(plaza, tmp_path):
    name = "<img src=x onerror=alert(1)>\"'&amp;"
    odd = tmp_path / f"{name}.mp4"
    odd.write_bytes(plaza[0].read_bytes())
    out = tmp_path / "out"
    metrics = pipeline.run([odd, plaza[1]], out, detector=detector, extractor=extractor)
    assert list(metrics["cameras"]) == [name, "b"]
    assert len(list(out.glob("*.png"))) == 5
    text = (out / "report.html").read_text("utf-8")
    assert "&lt;img src=x" in text and "<img src=x" not in text and "&amp;amp;" in text
    links = re.findall(r'href="([^"]*)"', text)
    films = {os.fsencode(path.name) for path in out.glob("*.mp4")}
    assert {urllib.parse.unquote_to_bytes(link) for link in links} == films


def test_the_report_has_all_sections_and_its_scores(result):
    out, metrics = result
    text = (out / "report.html").read_text("utf-8")
    assert len(re.findall("<h2>", text)) == 8 and "{{" not in text and "{%" not in text
    rank = metrics["between cameras"]
    sentence = ", ".join(f"{name} {value:.2f}" for name, value in rank.items())
    assert f"Looking for each track in the other cameras: {sentence}.</p>" in text
    assert "cosine distance" in text and "imilar" not in text


def test_rankings_are_by_cosine_distance():
    rows = pd.DataFrame({"camera": list("aabb"), "pid": [1, 2, 1, 2], "identity": [1, 2, 1, 2]})
    embeddings = np.array([[1, 0], [0, 1], [0.8, 0.6], [0, 1]], np.float32)
    ranked = summary.rankings(rows.assign(frames=[40, 30, 20, 10]), embeddings)
    assert [(ranking.query, ranking.gallery) for ranking in ranked] == [(0, [2, 3]), (1, [3, 2])]
    np.testing.assert_allclose([ranking.distances for ranking in ranked], [[0.2, 1], [0, 0.4]])


def test_a_long_film_is_linked_instead_of_embedded(tmp_path, monkeypatch):
    (tmp_path / "film.mp4").write_bytes(b"x" * 100)
    assert "data:video/mp4;base64," in report.render(films=[tmp_path / "film.mp4"])
    monkeypatch.setattr(report, "EMBED_BELOW", 10)
    assert '<video src="film.mp4"' in report.render(films=[tmp_path / "film.mp4"])


def test_heads_are_blurred_in_films_and_crops_and_features_stay_as_they_were(plaza, tmp_path):
    """The head is striped; the stripes are gone from everything that shows people."""
    source = tmp_path / "striped.mp4"
    with encoding.Writer(source, FPS, crf=10) as writer:
        for index, _, image in video.read(plaza[0], stop=20):
            left, image[:] = 5 + 2 * index, 120
            image[60:110, left : left + 24] = RED
            image[62:68, left + 2 : left + 22 : 4] = 40
            writer.write(image)

    def stripes(image, box):
        x1, y1, x2, y2 = box
        return np.abs(np.diff(image[y1:y2, x1:x2].astype(float).mean(axis=2), axis=1)).mean()

    found = {}
    for blur in (False, True):
        out, clip = tmp_path / f"blur {blur}", pipeline.clips([source])[0]
        pipeline.run([clip], out, detector=detector, extractor=extractor, blur=blur)
        kept = next(iter(clip.crops.values()))
        assert clip.heads.empty == (not blur)
        film = next(image for _, _, image in video.read(out / "striped.mp4"))
        people = cv2.imread(str(out / "people.png"))
        found[blur] = [
            stripes(film, (9, 62, 25, 67)),  # within the drawn box
            *(stripes(image, (8, 6, 56, 18)) for _, image in kept),
            people,
        ]
    clear, blurred = found[False], found[True]
    assert len(clear) == len(blurred) > 5
    for before, after in zip(clear[:-1], blurred[:-1]):
        assert after < 0.4 * before
    np.testing.assert_array_equal(
        *(vectors.read(tmp_path / f"blur {blur}" / "features.npz")[0] for blur in (False, True))
    )
    assert (clear[-1] != blurred[-1]).any()
    with pytest.raises(ValueError, match="followed with clear pictures; follow it again"):
        clip = pipeline.clips([source])[0]
        pipeline.follow(clip, detector, extractor)
        pipeline.run([clip], tmp_path / "late", blur=True)


def test_a_clip_knows_its_times_without_looking_through_its_boxes_each_time(monkeypatch, tmp_path):
    clip = pipeline.Clip("a", tmp_path, about=None)
    calls, unique = [], np.unique
    monkeypatch.setattr(np, "unique", lambda *a, **k: calls.append(1) or unique(*a, **k))
    clip.table = pd.DataFrame({"frame": [0, 0, 4], "time": [1.0, 1.0, 3.0]})
    assert [clip.at(frame) for frame in (0, 2, 4)] == [1, 2, 3] and len(calls) == 1
    clip.table = clip.table.assign(time=[5.0, 5.0, 7.0])
    assert clip.at(2) == 6
