"""The guide's commands run as written, and bad input to the template ends in one sentence."""

import re
import shlex
from pathlib import Path

import nbformat
import numpy as np
import pytest

from reidlib import assets
from reidlib.__main__ import main
from reidlib.collection import datasets, encoding, video
from reidlib.demonstration import labelling, site_file
from reidlib.features import vectors

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
PYTHON = ".venv/bin/python "


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)\s*```", guide(), re.S)


def guide():
    return (NOTEBOOKS / "OWN_FOOTAGE.md").read_text("utf-8")


@pytest.fixture
def footage(tmp_path, monkeypatch):
    """A folder in which the guide's command has made its stand-in clips, and labelled crops."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path / "cache"))
    crops = datasets.load("plaza").train
    crops = crops[crops["pid"].isin(crops["pid"].unique()[:6])]
    for path in crops.groupby(["pid", "camid"]).head(2)["path"]:
        target = tmp_path / "footage" / "results" / "crops" / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    return tmp_path


def test_every_command_of_the_guide_runs_as_written(footage, capsys):
    lines = [line for block in blocks("sh") for line in block.strip().splitlines()]
    assert len(lines) == 18 and all(line.startswith(PYTHON) for line in lines)
    for line in lines:
        words = shlex.split(line.removeprefix(PYTHON))
        if words[0] == "-c":
            exec(words[1], {})
            for path in footage.glob("footage/**/*.mp4"):  # two of its ten seconds will do
                start = [image for _, _, image in video.read(path, stop=25)]
                encoding.write(path, start, 12.5)
            continue
        words = ["plaza" if word == "yolo11n" else word for word in words]  # it would be fetched
        words[-1:] = ["2"] if words[-2] == "--epochs" else words[-1:]
        assert words[:2] == ["-m", "reidlib"]
        if words[2] == "threshold":
            label(footage / words[3], footage / words[5])
        assert main(words[2:]) == 0, capsys.readouterr().err
    written = ["door_frames/quality.png", "door_boxes.mp4", "door_tracks.mp4", "report/report.html"]
    written += ["site.toml", "found/search.html", "found/hits.csv"]
    assert all((footage / "footage" / name).is_file() for name in [*written, "own.pt"])
    assert video.probe("footage/report/side_by_side.mp4").duration == pytest.approx(2, abs=0.5)


def label(results, path):
    """Write blind pairs of a demo's results, answered by somebody who goes by the distance."""
    means, tracklets = vectors.read(results / "features.npz")
    pairs = labelling.sample_pairs(tracklets, means, 200).assign(answer="different")
    near = labelling.measured(pairs, tracklets, means)["distance"].nsmallest(12).index
    labelling.write(
        path, pairs.assign(answer=pairs["answer"].where(~pairs.index.isin(near), "same"))
    )


def test_without_a_network_the_detector_says_where_to_put_the_file(footage, capsys, monkeypatch):
    def offline(*_, **__):
        raise ConnectionError("no network")

    monkeypatch.setattr("urllib.request.urlopen", offline)
    command = next(block for block in blocks("sh") if " detect " in block)
    footage.joinpath("footage/door.mp4").write_bytes(clip().read_bytes())
    assert main(shlex.split(command.removeprefix(PYTHON))[2:]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: yolo11n.pt") and error.count("\n") == 1
    assert f"put the file at {footage / 'cache' / 'yolo11n.pt'}" in error


def clip(name="c1_dusk"):
    return assets.data("plaza", "clips", f"{name}.mp4")


def test_the_template_begins_like_a_lesson():
    own, lesson = (
        next(part.source for part in read(name).cells if part.cell_type == "code")
        for name in ("own_footage.ipynb", "01_collection.ipynb")
    )
    assert own == lesson


def read(name):
    return nbformat.read(NOTEBOOKS / name, as_version=4)


def run_template(cell, until, **answers):
    """Run the template's cells, its edit cell followed by `cell`, to the first with `until`.

    `answers` are what a learner would write in the cells that ask for one value.
    """
    names = {"__name__": "template", "display": print}
    for part in read("own_footage.ipynb").cells:
        if part.cell_type != "code" or "import course" in part.source:
            continue
        edit = part.source.startswith("CAMERAS = {")
        exec(re.sub(r"(?m)^%.*$", "", part.source) + (f"\n{cell}" if edit else ""), names)
        names |= answers
        if until in part.source:
            return names
    raise AssertionError(f"no cell has {until!r}")


def test_labelled_people_give_a_threshold_a_report_and_a_tuned_network(capsys):
    names = run_template("SECONDS = 4", "tune.further", TUNE=True)
    assert names["enough"] and 0 < names["threshold"] == names["extractor"].threshold < 1
    assert (names["OUT"] / "report.html").is_file() and (names["OUT"] / "own.pt").is_file()
    assert not set(names["dataset"].train.pid) & set(names["dataset"].query.pid)
    assert "after: rank-1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "error", "sentence"),
    [
        (None, FileNotFoundError, "no such video: .*door.mp4; give a file"),
        (b"", ValueError, "door.mp4 is empty .0 bytes.; copy or record it again"),
        (b"no video", ValueError, "door.mp4 does not open as a video"),
    ],
)
def test_a_bad_file_ends_in_one_sentence(tmp_path, content, error, sentence):
    path = tmp_path / "door.mp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error, match=sentence) as caught:
        run_template(f"CAMERAS = {{'door': ({str(path)!r}, 0.0)}}; TRUTH = {{}}", "pipeline.clips")
    assert "\n" not in str(caught.value)


def test_footage_without_people_ends_in_one_sentence(tmp_path, capsys):
    grey = np.full((240, 320, 3), 128, np.uint8)
    encoding.write(tmp_path / "door.mp4", [grey] * 12, 12)
    cell = f"CAMERAS = {{'door': ({str(tmp_path / 'door.mp4')!r}, 0.0)}}; TRUTH = {{}}"
    with pytest.raises(ValueError, match="nobody was followed for 5 frames in door.mp4; try"):
        run_template(cell, "pipeline.link")
    assert "One camera only: nobody can be found elsewhere" in capsys.readouterr().out


def test_unlabelled_clips_claim_nothing_and_only_what_was_confirmed_is_a_label(capsys):
    cameras = {"a": (str(clip()), 0.0), "b": (str(clip()), 5.0)}
    cell = f"CAMERAS = {cameras!r}; TRUTH = {{}}; SECONDS = 2"
    names = run_template(cell, "labels = ")
    assert not names["enough"] and (names["labels"] < 1).all() and not names["judged"]
    assert names["tracklets"]["start"].max() >= 5
    assert "0 labelled tracks of 0 people" in capsys.readouterr().out
    label = next(
        part.source
        for part in read("own_footage.ipynb").cells
        if part.source.startswith("labels = ")
    )
    names["people"].confirm(0)
    exec(label, names)
    confirmed = len(names["people"].fields)
    assert f"{confirmed} labelled tracks of " in capsys.readouterr().out
    assert (names["OUT"] / "people.csv").is_file()
    for row in range(3):
        names["blind"].say("different", row)
    exec(label, names)
    assert "blind pairs: 0 same, 3 different, 0 cannot tell" in capsys.readouterr().out


def test_blind_pairs_give_the_threshold_where_there_are_enough(capsys):
    """On clips without a truth: an observer who goes by the distance has labels, hence a rate."""
    cameras = {name: (str(clip(f"{name}_day")), 0.0) for name in ("c1", "c2", "c3")}
    names = run_template(f"CAMERAS = {cameras!r}; SECONDS = 6", "labels = ")
    pairs, tracklets, means = (names[name] for name in ("pairs", "tracklets", "means"))
    everything = labelling.measured(pairs.assign(answer="different"), tracklets, means)
    near = everything["distance"].nsmallest(12).index
    for row in range(len(pairs)):
        names["blind"].say("same" if row in near else "different", row)
    cells = [part.source for part in read("own_footage.ipynb").cells if part.cell_type == "code"]
    first = next(i for i, source in enumerate(cells) if source.startswith("labels = "))
    for source in cells[first : first + 2]:
        exec(source, names)
    assert names["judged"] and not names["enough"]
    assert names["rates"].same == 12 and names["rates"].different == len(pairs) - 12
    assert str(names["rates"]) in capsys.readouterr().out


def test_the_whole_way_with_a_site_file_of_ones_own(tmp_path, capsys):
    """Ground, threshold and card go where they belong, and on its day all of it is forgotten."""
    plaza = assets.data("plaza")
    text = (plaza / "site.toml").read_text("utf-8").split("[cameras.c3]")[0]
    for folder in ("clips", "truth", "cameras.json"):
        text = text.replace(f'"{folder}', f'"{plaza.as_posix()}/{folder}')
    text = text.replace('"c2,c3" = "3s"', "").replace('"c1,c3" = "4s"', "")
    site = tmp_path / "site.toml"
    site.write_text(text, "utf-8")
    later = tmp_path / "later.toml"
    later.write_text(text.replace("_day", "_dusk"), "utf-8")
    paths = f"SITE = Path({str(site)!r}); SECOND = Path({str(later)!r})"
    names = run_template(
        f"{paths}; SECONDS = 5; OUT = Path({str(tmp_path)!r}) / 'out'", "due, left"
    )
    assert names["tried"] and names["ground"].site == site
    kept = site_file.read(site)
    assert kept.threshold == pytest.approx(names["threshold"], abs=1e-4)
    assert names["suggested"]["c1", "c2"].seconds in (None, pytest.approx(0, abs=0.3))
    said = capsys.readouterr().out
    assert "the wanted 1 % lies" in said and "people found; by the labels" in said
    assert (tmp_path / "out" / "card.html").is_file()
    assert (tmp_path / "out" / "found" / "search.html").is_file()
    due = {path.relative_to(tmp_path / "out").as_posix() for path in names["due"]}
    assert {"report.html", "card.md", "found/hits.csv", "features.npz"} <= due
    assert not names["left"]
