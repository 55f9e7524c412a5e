"""A search by a picture: ranks all tracks, shows them, and says aloud when nobody is near."""

import datetime
import json
import re
import shutil

import cv2
import numpy as np
import pandas as pd
import pytest
from stand_ins import by_colour

from reidlib import __main__, assets
from reidlib.boxes import BOX
from reidlib.collection import encoding, video
from reidlib.demonstration import galleries, matching, pipeline, provenance, search
from reidlib.detection import detectors
from reidlib.features import extractors, vectors

RED, GREEN, BLUE = (220, 40, 40), (40, 200, 40), (40, 40, 220)


@pytest.fixture
def detector(monkeypatch):
    """Stand in for a network, whatever it is called."""
    asked = []
    monkeypatch.setattr(detectors, "load", lambda name="auto", **_: asked.append(name) or by_colour)
    return asked


def film(path, people):
    with encoding.Writer(path, 10, crf=18) as writer:
        for frame in range(30):
            image = np.full((120, 160, 3), 120, np.uint8)
            for number, (colour, x) in enumerate(people):
                left, top = x + 2 * frame, 6 + 36 * number
                image[top : top + 32, left : left + 14] = colour
            writer.write(image)
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What demo makes of two cameras: red and green in the first, green in the second."""
    folder = tmp_path_factory.mktemp("made")
    door = film(folder / "door.mp4", [(RED, 5), (GREEN, 60)])
    yard = film(folder / "yard.mp4", [(GREEN, 10)])
    clips = pipeline.clips([door, yard], starts=[0.0, 7.5])
    extractor = extractors.load("histogram")
    extractor.threshold = 0.1
    pipeline.run(clips, folder / "demo", detector=by_colour, extractor=extractor)
    return folder


@pytest.fixture
def results(made, tmp_path):
    return shutil.copytree(made, tmp_path / "there") / "demo"


def picture(path, *colours, size=(120, 160)):
    image = np.full((*size, 3), 120, np.uint8)
    for number, colour in enumerate(colours):
        image[20:52, 30 + 40 * number : 44 + 40 * number] = colour
    cv2.imwrite(str(path), image[..., ::-1])
    return path


def call(capsys, *words):
    status = __main__.main(["search", *(str(word) for word in words)])
    text = capsys.readouterr()
    return status, text.out, text.err


def test_the_person_is_found_in_both_cameras(results, detector, tmp_path, capsys):
    shown = picture(tmp_path / "green.png", GREEN)
    status, text, err = call(capsys, shown, results, "--out", tmp_path / "found")
    assert status == 0, err
    assert text.splitlines()[-1].startswith("2 of 3 tracks below the threshold 0.10, the nearest")
    ranked = pd.read_csv(tmp_path / "found" / "hits.csv")
    assert ranked["rank"].tolist() == [1, 2, 3] and ranked["distance"].is_monotonic_increasing
    assert ranked["hit"].tolist() == [True, True, False]
    assert set(ranked["camera"][:2]) == {"door", "yard"} and ranked["camera"][2] == "door"
    assert ranked["identity"][0] == ranked["identity"][1] != ranked["identity"][2]
    page = (tmp_path / "found" / "search.html").read_text("utf-8")
    assert page.count("<video") == 3 and page.count(" hit\n") == 2
    assert page.count("beyond the threshold") == 1 and "7.5 s to 10.4 s" in page
    assert len(re.findall(r'(?:src|href)="(?!data:)[^"]*"', page)) == 1  # the table
    assert not list((tmp_path / "found").glob(".*"))
    noted = set(pd.read_csv(tmp_path / "found" / "retention.csv")["file"])
    assert noted == {"search.html", "hits.csv", "hit_01.mp4", "hit_02.mp4", "hit_03.mp4"}


def test_the_detector_looks_for_the_classes_that_made_the_results(results, tmp_path, monkeypatch):
    asked = []

    def load(*name, **told):
        asked.append((name, told))
        return by_colour

    monkeypatch.setattr(detectors, "load", load)
    made = json.loads((results / "features.json").read_text())
    cats = detectors.Detector("yolo11n", by_colour, classes=["cat"])
    made["detector"] = provenance.describe(cats, "detector")
    (results / "features.json").write_text(json.dumps(made))
    search.run(picture(tmp_path / "red.png", RED), results, tmp_path / "found")
    assert asked == [(("yolo11n",), {"classes": ["cat"]})]


def test_films_and_crops_are_of_the_track(results, detector, tmp_path):
    ranked, _ = search.run(picture(tmp_path / "red.png", RED), results, tmp_path / "found")
    assert ranked["camera"][0] == "door"
    about = video.probe(tmp_path / "found" / "hit_01.mp4")
    assert about.frames == 30 and about.fps == 10  # all of a clip shorter than the window
    found = search.read(results)
    track = int(ranked["track"][0])
    crops = search.footage(found.film("door"), found.boxes("door"), {track: tmp_path / "a.mp4"})
    assert np.abs(crops[track].reshape(-1, 3).mean(axis=0) - RED).max() < 30


def test_a_track_is_shown_where_nobody_stands_before_it():
    rows = [(frame, 1, 10.0 * frame, 0, 10.0 * frame + 8, 20) for frame in range(9)]
    rows += [(frame, 2, 10.0 * frame + 2, 0, 10.0 * frame + 10, 20) for frame in range(2, 7)]
    tracks = pd.DataFrame(rows, columns=["frame", "track", *BOX])
    assert search.clearest(tracks, 1) == 7  # of 0, 1, 7 and 8, the nearest to the middle
    assert search.clearest(tracks[tracks["track"] == 1], 1) == 4


def test_no_hit_is_a_result(results, detector, tmp_path, capsys):
    shown = picture(tmp_path / "blue.png", BLUE)
    status, text, _ = call(capsys, shown, results, "--out", tmp_path / "found")
    assert status == 0
    assert "No hit below the threshold 0.10: the nearest of 3 tracks is at" in text
    assert "a new individual, who is in none of them" in text
    page = (tmp_path / "found" / "search.html").read_text("utf-8")
    assert "No hit below the threshold 0.10" in page and " hit\n" not in page
    assert not pd.read_csv(tmp_path / "found" / "hits.csv")["hit"].any()
    options = ("--out", tmp_path / "loose", "--threshold", "2")
    assert "3 of 3 tracks below the threshold 2.00" in call(capsys, shown, results, *options)[1]


def test_without_a_threshold_nothing_is_claimed(results, detector, tmp_path, capsys):
    record = results / "features.json"
    said = json.loads(record.read_text("utf-8"))
    said["features"]["threshold"] = None
    record.write_text(json.dumps(said), "utf-8")
    status, text, _ = call(
        capsys, picture(tmp_path / "g.png", GREEN), results, "--out", tmp_path / "found"
    )
    assert status == 0 and "No threshold is known" in text and "no hit is claimed" in text
    assert pd.read_csv(tmp_path / "found" / "hits.csv")["hit"].isna().all()
    assert "no threshold" in (tmp_path / "found" / "search.html").read_text("utf-8")


def test_times_of_day_are_shown_where_the_clock_is_known(results, detector, tmp_path):
    record = results / "features.json"
    said = json.loads(record.read_text("utf-8")) | {"began": "2026-11-27T23:59:55"}
    record.write_text(json.dumps(said), "utf-8")
    search.run(picture(tmp_path / "g.png", GREEN), results, tmp_path / "found")
    page = (tmp_path / "found" / "search.html").read_text("utf-8")
    assert "23:59:55 to 23:59:57" in page and "00:00:02 to 00:00:05" in page


def test_without_the_videos_the_films_of_the_demo_are_shown_or_nothing(results, detector, tmp_path):
    shown = picture(tmp_path / "g.png", GREEN)
    (results.parent / "yard.mp4").unlink()
    found = search.read(results)
    assert found.film("yard") == results / "yard.mp4" and found.film("door").parent != results
    for path in [*results.glob("*.mp4"), results.parent / "door.mp4"]:
        path.unlink()
    ranked, _ = search.run(shown, results, tmp_path / "found")
    page = (tmp_path / "found" / "search.html").read_text("utf-8")
    assert len(ranked) == 3 and page.count("no video") == 3 and "<video" not in page


def test_what_extract_wrote_is_searched_too(made, detector, tmp_path, capsys):
    out = tmp_path / "door.npz"
    words = ("extract", made / "door.mp4", "--out", out, "--features", "histogram")
    assert __main__.main([str(word) for word in words]) == 0
    shown, found = picture(tmp_path / "g.png", GREEN), tmp_path / "found"
    status, text, err = call(capsys, shown, out, "--out", found, "--threshold", "0.1")
    assert status == 0 and "1 of 2 tracks below" in text, err
    ranked = pd.read_csv(found / "hits.csv")
    assert ranked["camera"].tolist() == ["door", "door"] and ranked["end"].max() > 2
    assert (found / "hit_01.mp4").is_file()
    tracks = made / "demo" / "tracks" / "door.txt"
    words = ("extract", made / "door.mp4", "--tracks", tracks, "--out", tmp_path / "b" / "t.npz")
    assert __main__.main([*map(str, words), "--features", "histogram"]) == 0
    status, text, err = call(capsys, shown, tmp_path / "b", "--out", found, "--threshold", "0.1")
    assert status == 0 and "1 of 2 tracks below" in text, err


def test_who_is_looked_for_is_one_person(results, detector, tmp_path, capsys):
    out = tmp_path / "found"
    status, _, err = call(capsys, picture(tmp_path / "two.png", GREEN, RED), results, "--out", out)
    assert status == 2 and "shows 2 people; say which by --box: " in err
    boxed = err.strip().rpartition("--box: ")[2].split("; ")
    assert boxed == ["70,20,84,52", "30,20,44,52"]  # the red one first, as the detector has it
    words = (tmp_path / "two.png", results, "--out", out, "--box")
    status, text, _ = call(capsys, *words, boxed[0])
    assert status == 0 and pd.read_csv(out / "hits.csv")["camera"][0] == "door"
    for box, expected in (
        ("1,2,3", "is no box"),
        ("9,9,2,2", "is no box"),
        ("a,b,c,d", "no number"),
        ("500,500,600,600", "covers nothing of the picture, 160 x 120 pixels"),
    ):
        status, _, err = call(capsys, *words, box)
        assert status == 2 and expected in err and err.count("\n") == 1
    status, _, err = call(capsys, picture(tmp_path / "none.png"), results, "--out", out)
    assert status == 2 and "no person was found in the picture" in err
    assert "--box 0,0,160,120" in err and err.count("\n") == 1


def test_a_picture_that_a_person_fills_is_looked_at_with_a_margin():
    image = np.full((100, 50, 3), (40, 200, 40), np.uint8)
    seen = []

    def picky(images):
        """Find somebody only where there is room around them."""
        seen.append(images[0].shape[:2])
        rows = [(25.0, 25.0, 75.0, 125.0, 0.9)] if images[0].shape[0] > 100 else []
        return [pd.DataFrame(rows, columns=[*BOX, "confidence"])]

    assert search.person(image, picky).shape == (100, 50, 3)
    assert seen == [(100, 50), (150, 100)]


def test_the_bundled_detector_finds_the_person_of_a_crop():
    paths = sorted(assets.data("plaza", "crops").rglob("*.jpg"))[::700]
    find = detectors.load()
    found = 0
    for path in paths:
        try:
            found += search.person(encoding.read_image(path), find).size > 0
        except ValueError as error:
            assert "give --box" in str(error) or "say which" in str(error)
    assert len(paths) >= 5 and found >= 0.6 * len(paths)


def refused(capsys, words, *expected):
    status, _, err = call(capsys, *words)
    assert status == 2 and err.count("\n") == 1 and all(word in err for word in expected), err


def test_bad_input_is_one_line_and_writes_nothing(results, detector, tmp_path, capsys):
    shown, out = picture(tmp_path / "g.png", GREEN), tmp_path / "found"
    there = ("--out", out)
    refused(capsys, (shown, tmp_path / "none", *there), "no results at", "none")
    (tmp_path / "empty").mkdir()
    refused(capsys, (shown, tmp_path / "empty", *there), "holds no .npz", "features.npz")
    refused(capsys, (tmp_path / "no.png", results, *there), "no.png")
    refused(capsys, (results / "metrics.json", results, *there), "metrics.json")
    (tmp_path / "two").mkdir()
    for name in ("a", "b"):
        vectors.write(tmp_path / "two" / name, np.eye(2), pd.DataFrame({"label": ["a", "b"]}))
    refused(capsys, (shown, tmp_path / "two", *there), "a.npz, b.npz")
    refused(capsys, (shown, tmp_path / "two" / "a.npz", *there), "a.csv", "track")
    nobody = pd.DataFrame({"camera": ["a"], "track": [1], "start": [0.0], "end": [1.0]})
    vectors.write(tmp_path / "nobody" / "features", np.full((1, 4), np.nan), nobody)
    refused(capsys, (shown, tmp_path / "nobody", *there), "holds no tracks")
    vectors.write(tmp_path / "old" / "features", np.ones((1, 4)), nobody)
    refused(capsys, (shown, tmp_path / "old", *there), "which features made it", "--features")
    refused(
        capsys, (shown, tmp_path / "old", *there, "--features", "histogram"), "4 numbers", "gives"
    )
    refused(capsys, (results / "people.png", results, "--out", results), "people")
    assert not out.exists()


def test_the_results_are_not_written_over(results, detector, tmp_path, capsys):
    shown = picture(results / "hits.csv.png", GREEN).rename(results / "hit_01.mp4")
    status, _, err = call(capsys, shown, results, "--out", results)
    assert status == 2 and "is the input" in err


def test_other_features_than_the_folders_are_refused(results, detector, tmp_path, capsys):
    shown, out = picture(tmp_path / "g.png", GREEN), tmp_path / "found"
    words = (shown, results, "--out", out, "--features", "plaza")
    refused(capsys, words, "made with the features histogram", "these are plaza", "cannot be")
    model = shutil.copy(assets.data("weights", "plaza_embedding.onnx"), tmp_path / "own.onnx")
    record = results / "features.json"
    said = json.loads(record.read_text("utf-8"))
    said["features"] = {"name": "plaza", "sha256": "0" * 64, "threshold": 0.3}
    record.write_text(json.dumps(said), "utf-8")
    refused(capsys, words, "plaza (000000000000)")
    said["features"]["sha256"] = assets.sha256(model)
    record.write_text(json.dumps(said), "utf-8")
    refused(capsys, (*words[:-1], model), "vectors of 288 numbers")  # the same network, a copy
    assert not out.exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"features": 3}', "\x00", '{"features": {}}'])
def test_a_damaged_record_is_one_line(results, detector, tmp_path, capsys, text):
    (results / "features.json").write_text(text, "utf-8")
    shown = picture(tmp_path / "g.png", GREEN)
    refused(capsys, (shown, results, "--out", tmp_path / "found"), "features.json", "demo")


def test_demo_says_what_made_its_features(made, tmp_path):
    said = json.loads((made / "demo" / "features.json").read_text("utf-8"))
    assert said["features"] == {"name": "histogram", "sha256": None, "threshold": 0.1}
    assert said["cameras"]["yard"] == {"video": "../yard.mp4", "start": 7.5}
    assert said["began"] is None
    read = provenance.read(made / "demo" / "features.npz")
    assert read["cameras"]["door"]["video"].samefile(made / "door.mp4")
    assert provenance.read(tmp_path / "features.npz") == {}


def test_weights_are_known_by_their_content(tmp_path, monkeypatch):
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plaza").mkdir()  # a folder of results that is called as the network is
    bundled = assets.data("weights", "plaza_embedding.onnx")
    assert provenance.weights_of("plaza", "features") == bundled
    assert provenance.weights_of("histogram", "features") is None
    assert provenance.weights_of("yolo11n", "detector") is None
    (tmp_path / "cache" / "yolo11n.pt").write_bytes(b"weights")
    assert provenance.weights_of("yolo11n", "detector").read_bytes() == b"weights"
    folder = assets.data("weights", "plaza_detector_openvino_model")
    assert provenance.weights_of(str(folder), "detector").suffix == ".bin"
    (tmp_path / "net.xml").touch()
    (tmp_path / "net.bin").write_bytes(b"numbers")
    assert provenance.weights_of("net.xml", "features").name == "net.bin"
    extractor = extractors.load("plaza")
    about = provenance.describe(extractor, "features")
    assert about["sha256"] == assets.sha256(bundled) and about["threshold"] == extractor.threshold


def test_how_near_strangers_come_is_told_without_labels(results, tmp_path):
    rows = [("a", track, 0.0, 9.0) for track in range(7)] + [("b", 1, 20.0, 30.0)]
    tracks = pd.DataFrame(rows, columns=["camera", "track", "start", "end"])
    angles = np.radians([0, 10, 20, 30, 40, 50, 60, 0])
    looks = np.column_stack([np.cos(angles), np.sin(angles)]).astype(np.float32)
    crowd = search.Results(tmp_path / "f.npz", tracks, looks, {})
    strangers = search.stranger_distances(crowd)
    assert len(strangers) == 21  # the seven at once in a; nobody else can be told from b
    assert strangers[:6] == pytest.approx(1 - np.cos(np.radians(10)), abs=1e-5)
    limit = 1 - np.cos(np.radians(15))
    ranked = search.rank(looks[7], crowd, limit)
    assert ranked["hit"].sum() == 3 and ranked["strangers"].max() == 1
    assert search.as_near(limit, strangers) == pytest.approx(6 / 21)
    assert ranked["strangers"].is_monotonic_increasing
    said = search.verdict(ranked, limit, 6 / 21)
    assert said.endswith("Of as many tracks of strangers, about 2.3 would be.")
    few = search.rank(np.ones(288), search.read(results), 2.0)
    assert few["strangers"].isna().all()
    assert "too few tracks tell" in search.verdict(few, 2.0)


@pytest.fixture(params=["known", "known.npz"])
def gallery(request, results, tmp_path):
    """A place to which demo has added the tracks of two cameras."""
    if request.param == "known":
        pytest.importorskip("lancedb")
    place, day = tmp_path / request.param, datetime.date(2026, 12, 31)
    store = galleries.at(place, provenance.read(results / "features.npz")["features"])
    assert search.remember(results, store, day) == (3, 0)
    if galleries.is_file(place):
        store.save(place)
    return place


def test_a_gallery_is_searched_as_results_are(gallery, results, detector, tmp_path, capsys):
    shown, out = picture(tmp_path / "green.png", GREEN), tmp_path / "found"
    status, text, err = call(capsys, shown, gallery, "--out", out, "--threshold", "0.1")
    assert status == 0, err
    assert text.splitlines()[-1].startswith("2 of 3 tracks below the threshold 0.10, the nearest")
    ranked = pd.read_csv(out / "hits.csv")
    expected = search.rank(np.ones(288), search.read(results), None)
    assert sorted(ranked["track"]) == sorted(expected["track"])
    assert set(ranked["results"]) == {str(results)} and set(ranked["delete_after"]) == {
        "2026-12-31"
    }
    if gallery.suffix != ".npz":  # which reads as features do, with no films
        assert (out / "hit_01.mp4").is_file() and (out / "hit_02.mp4").is_file()
    shutil.rmtree(results)  # the gallery stays, without films
    assert call(capsys, shown, gallery, "--out", tmp_path / "again")[0] == 0
    assert not (tmp_path / "again" / "hit_01.mp4").exists()


def test_a_gallery_of_another_network_is_refused(gallery, results, detector, tmp_path, capsys):
    shown = picture(tmp_path / "green.png", GREEN)
    words = (shown, gallery, "--out", tmp_path / "found", "--features", "plaza")
    refused(capsys, words, "made with the features histogram", "cannot be compared")
    with pytest.raises(ValueError, match="made with the features histogram"):
        galleries.at(gallery, provenance.describe(extractors.load("plaza"), "features"))


def test_days_follow_each_other_in_a_gallery(results, tmp_path):
    record = results / "features.json"
    made = json.loads(record.read_text()) | {"began": "2026-06-01T08:30:00"}
    record.write_text(json.dumps(made))
    store = galleries.made("exact", None, made["features"])
    search.remember(results, store, datetime.date(2026, 12, 31))
    began = store.table["start"].min()
    assert search.moment(began, None).startswith("2026-06-01 08:30:0")
    assert search.moment(began % 86400, None).endswith(" s")


@pytest.mark.parametrize("index", ["exact", "faiss", "lance"])
def test_results_given_again_take_the_place_of_the_earlier(index, results, tmp_path):
    pytest.importorskip({"faiss": "faiss", "lance": "lancedb"}.get(index, "numpy"))
    features = provenance.read(results / "features.npz")["features"]
    store = galleries.made(index, tmp_path / "known" if index == "lance" else None, features)
    day, other = datetime.date(2026, 12, 31), tmp_path / "other's"
    shutil.copytree(results, other)
    for expected in ((3, 0), (3, 3)):
        assert search.remember(results, store, day) == expected
    assert search.remember(other, store, day) == (3, 0) and search.remember(other, store, day)[1]
    assert sorted(store.table["results"]) == sorted([str(results)] * 3 + [str(other)] * 3)
    assert store.vectors.shape == (6, store.width)


def test_demo_adds_to_a_gallery_and_forget_deletes_from_it(results, detector, tmp_path, capsys):
    pytest.importorskip("lancedb")
    place, clip = tmp_path / "known", results.parent / "door.mp4"
    words = ["demo", clip, "--out", tmp_path / "demo", "--features", "histogram", "--keep", "7d"]
    for instead in ("", " in place of 2 that these results had there"):
        assert __main__.main([str(word) for word in [*words, "--gallery", place]]) == 0
        assert f"added 2 tracks to {place}{instead}\n" in capsys.readouterr().out
        known = matching.Gallery.load(place)
        assert len(known) == 2
    day = datetime.date.today() + datetime.timedelta(8)
    assert __main__.main(["forget", str(place), "--on", str(day - datetime.timedelta(1))]) == 0
    assert "deleted 0 rows of" in capsys.readouterr().out
    assert __main__.main(["forget", str(place), "--on", str(day)]) == 0
    assert f"deleted 2 rows of {place}" in capsys.readouterr().out and len(known) == 0
    refused(capsys, (clip, place, "--out", tmp_path / "found"), "is empty; add tracks with demo")
    words = [*words, "--gallery", results]
    assert __main__.main([str(word) for word in words]) == 2
    assert "is there, but is no gallery" in capsys.readouterr().err
