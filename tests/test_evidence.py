import json
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from reidlib import __main__
from reidlib.boxes import BOX
from reidlib.collection import formats
from reidlib.demonstration import evidence, labelling, provenance
from reidlib.features import vectors
from reidlib.model import verification


@pytest.fixture
def results(tmp_path):
    """A folder as demo leaves it: eight people, four tracks each, in two cameras."""
    folder, rng = tmp_path / "results", np.random.default_rng(0)
    person = np.repeat(np.arange(8), 4)
    means = np.eye(8)[person] + rng.normal(0, 0.05, (32, 8))
    start = np.arange(32) * 10.0
    tracklets = pd.DataFrame({"camera": np.tile(["door", "y|<b>"], 16), "track": np.arange(32)})
    tracklets = tracklets.assign(start=start, end=start + 5, frames=50, identity=person + 1)
    vectors.write(folder / "features.npz", means, tracklets)
    for camera, mine in tracklets.groupby("camera"):
        numbers = [*mine["track"], 99]  # the last was too short
        table = pd.DataFrame({"frame": range(17), "track": numbers, "confidence": 1.0})
        formats.write_mot(
            table.assign(**dict(zip(BOX, (0, 0, 5, 9)))), folder / f"tracks/{camera}.txt"
        )
    about = {"file": "a.mp4", "frames": 100, "seconds": 10.0, "tracks": 17, "people": 8}
    metrics = {
        "cameras": {"door": about, "y|<b>": about},
        "settings": {"link threshold": 0.3, "features": "histogram"},
        "versions": {"reidlib": "0"},
        "made": "2026-01-31",
        "people in the truth": None,
    }
    (folder / "metrics.json").write_text(json.dumps(metrics))
    return folder


def label(folder, path, n=400, labeller="Ann", wrong=()):
    """Answer pairs by the true person; those in `wrong` otherwise."""
    means, tracklets = vectors.read(folder / "features.npz")
    pairs = labelling.sample_pairs(tracklets, means, n)
    same = pairs["track_a"] // 4 == pairs["track_b"] // 4
    pairs["answer"] = np.where(same, "same", "different")
    pairs.loc[list(wrong), "answer"] = "cannot tell"
    labelling.write(path, pairs.assign(labeller=labeller))
    return path


def test_the_card_says_who_labelled_what_and_how_often_it_errs(results, tmp_path):
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    label(results, first)
    label(results, second, labeller="Bo", wrong=[0, 1, 2, 3])
    content = evidence.card(results, [first, second])
    assert content["verdict"].startswith("good enough to count visitors; not to say who one is")
    assert content["labelled"][0]["by"] == "Ann" and content["labelled"][1]["cannot tell"] == 4
    assert content["agreement"]["share"] == pytest.approx(0.99)
    rates, people = content["rates"], content["people"]
    assert rates.fmr == rates.fnmr == 0 and 0 < rates.fmr_interval[1] < 0.05
    assert people["low"] <= 8 <= people["high"] and people["found"] == 8
    assert "door: 1 of 17 tracks were too short to tell who" in content["broke"]
    wanted = [line for line in content["missing"] if "of different people more" in line]
    assert len(wanted) == 1 and "to count" not in " ".join(content["missing"])


def test_without_labels_nothing_is_claimed(results, tmp_path):
    content = evidence.card(results)
    assert content["verdict"].startswith("not known") and content["rates"] is None
    assert content["missing"] == ["label 120 pairs more to begin with"]
    few = label(results, tmp_path / "few.csv", n=40)
    assert "not good enough" in evidence.card(results, [few])["verdict"]


def test_a_handful_of_pairs_is_no_ground_for_a_verdict(results, tmp_path):
    content = evidence.card(results, [label(results, tmp_path / "few.csv", n=20)])
    assert content["rates"] is not None and content["verdict"].startswith("not known")
    assert content["missing"] == ["label 100 pairs more to begin with"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [("same", "false non-match rate"), ("different", "false match rate")],
)
def test_labels_of_one_kind_tell_one_rate(results, tmp_path, answer, said):
    pairs = labelling.read(label(results, tmp_path / "all.csv"))
    labelling.write(tmp_path / "half.csv", pairs.assign(answer=answer))
    content = evidence.card(results, [tmp_path / "half.csv"])
    assert content["rates"] is None
    rate = re.search(said + r" ([\d.]+)% \(([\d.]+)% to ([\d.]+)%", content["no_rates"])
    assert float(rate[2]) <= float(rate[1]) <= float(rate[3])


def rates(fmr, interval):
    return verification.Rates(0.5, fmr, interval, 0.1, (0.0, 0.2), 300, 60)


@pytest.mark.parametrize(
    ("low", "high", "worst", "words"),
    [
        (8, 12, 0.0004, "good enough to count visitors, and to say who one is"),
        (8, 12, 0.01, "good enough to count visitors; not to say who one is"),
        (4, 12, 0.0004, "not good enough to count visitors; good enough to say who one is"),
        (8, 13, 0.01, "not good enough to count visitors, nor to say who one is"),
    ],
)
def test_verdicts_by_their_rules(low, high, worst, words):
    people = {"low": low, "high": high, "estimate": 10}
    assert evidence.verdict(people, rates(0.0, (0.0, worst)), 101) == words


def test_what_is_missing_is_worth_labelling():
    """As many pairs as are asked for, without an error, would do."""
    people, none = {"low": 5, "high": 12, "estimate": 10}, rates(0.0, (0.0, 0.01))
    count, name = evidence._missing(people, none, 100, 51)
    assert count == "to count within 25%, label about 300 pairs more"
    more = int(name.split("label ")[1].split()[0])
    pairs = pd.DataFrame({"weight": 1.0, "a": range(0, 2 * (300 + more), 2)}).assign(
        b=lambda t: t.a + 1
    )
    assert verification.error_rate([False] * len(pairs), pairs)[1][1] * 50 == pytest.approx(
        0.05, rel=0.01
    )
    assert (
        "no number of labels helps" in evidence._missing(people, rates(0.1, (0, 0.2)), 100, 51)[1]
    )


@pytest.mark.parametrize("knows", [{"overlap": []}, {"travel": {("door", "y|<b>"): 12}}, {}])
def test_pairs_that_the_place_excludes_are_nobodys_errors(knows, results, tmp_path, capsys):
    """Both cameras see somebody at once; labels drawn before the site file said who can be whom."""
    means, tracklets = vectors.read(results / "features.npz")
    start = np.arange(32) // 2 * 10.0
    vectors.write(results / "features.npz", means, tracklets.assign(start=start, end=start + 5))
    pairs = label(results, tmp_path / "a.csv", n=1000)
    colours = SimpleNamespace(name="histogram", threshold=0.3)
    provenance.write(results / "features.npz", None, colours, {}, **knows)
    away = np.subtract.outer(np.arange(32) // 2, np.arange(32) // 2)  # in steps of 10 s
    other = np.add.outer(np.arange(32), np.arange(32)) % 2 == 1
    excluded = other & (away == 0 if "overlap" in knows else np.abs(away) * 10 - 5 < 12)
    possible = 32 * 31 // 2 - (np.triu(excluded).sum() if knows else 0)
    card = evidence.card(results, [pairs])
    assert f"of {possible} labelled pairs" in card["people"]["why"]
    assert card["rates"].same + card["rates"].different == possible
    words = ["count", str(results), "--labels", str(pairs), "--out", str(tmp_path / "counts.csv")]
    assert __main__.main(words) == 0
    assert f"of {possible} labelled pairs" in capsys.readouterr().out
    site = tmp_path / "site.toml"
    site.write_text("")
    said = labelling.decide(results, pairs, 0.1, site)
    assert sum(int(number) for number in re.findall(r"(\d+) pairs of", said)) == possible


def test_what_a_recording_does_not_hold_is_not_asked_for(results, tmp_path):
    """All pairs there are have a label: only a longer recording has more."""
    content = evidence.card(results, [label(results, tmp_path / "a.csv", n=1000)])
    assert "and the recording has 0 more: record for longer" in content["missing"][0]
    assert evidence.card(results)["missing"] == ["label 120 pairs more to begin with"]
    people = {"low": 5, "high": 12, "estimate": 10}
    few = evidence._missing(people, rates(0.0, (0.0, 0.01)), 100, 51, 299)
    assert few[0].endswith(
        "label about 300 pairs more, and the recording has 299 more: record for longer"
    )
    evidence.write(tmp_path / "card.html", content)
    for kind in ("html", "md"):
        assert "(95 %). Of 496 labelled pairs" in (tmp_path / f"card.{kind}").read_text("utf-8")


def test_a_threshold_is_not_kept_by_a_handful_of_labels(results, tmp_path, capsys):
    pairs, site = label(results, tmp_path / "a.csv", n=40), tmp_path / "site.toml"
    site.write_text("# mine\n")
    words = ["threshold", str(results), "--labels", str(pairs), "--fmr", "0.1"]
    assert __main__.main(words) == 0  # to see it is another thing
    assert __main__.main([*words, "--site", str(site)]) == 2
    said = capsys.readouterr().err
    assert (
        "too few labels to keep a threshold by (threshold" in said and len(said.splitlines()) == 1
    )
    assert "label at least 10 pairs of one person and 50 of different people" in said
    assert site.read_text() == "# mine\n"
    label(results, pairs, n=400)
    assert __main__.main([*words, "--site", str(site)]) == 0 and "value" in site.read_text()
    note = f"note: {results} is linked as before until demo --site {site} runs again; labels hold"
    assert note in capsys.readouterr().err.splitlines()
    assert __main__.main([*words, "--site", str(site), "--test"]) == 0
    assert "note:" not in capsys.readouterr().err  # nothing was kept


def test_the_command_writes_both_pages_and_names_do_nothing(results, tmp_path, capsys):
    pairs = label(results, tmp_path / "a.csv", labeller="<script>x|y")
    out = tmp_path / "card.html"
    assert __main__.main(["evidence", str(results), "--labels", str(pairs), "--out", str(out)]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[:2] == [f"wrote {out}", f"wrote {out.with_suffix('.md')}"]
    page, text = out.read_text("utf-8"), out.with_suffix(".md").read_text("utf-8")
    assert said[2] in page and f"**{said[2]}**" in text
    assert "<script>" not in page and "<b>" not in text and "<script>" not in text
    header = next(line for line in text.splitlines() if line.startswith("| camera | file"))
    row = next(line for line in text.splitlines() if line.startswith("| y¦"))
    assert header.count("|") == row.count("|")


def test_evidence_refuses_in_one_line(results, tmp_path, capsys):
    out, pairs = tmp_path / "card.html", label(results, tmp_path / "a.csv")
    labels = pd.read_csv(pairs)
    labels.assign(start_a=labels["start_a"] + 9).to_csv(tmp_path / "other.csv", index=False)
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "metrics.json").write_text("[]")
    for words, message in (
        ([tmp_path, "--out", out], "holds no metrics.json"),
        ([tmp_path / "odd", "--out", out], "is not what demo writes"),
        (
            [results, "--labels", tmp_path / "other.csv", "--out", out],
            "about other tracks than these",
        ),
        ([results, "--out", results / "report.html"], ""),
    ):
        if not message:
            (results / "report.html").write_text("the report")
            message = "would write over"
        assert __main__.main(["evidence", *map(str, words)]) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1 and message in lines[0]
    assert not out.exists()


def test_counts_as_a_table(results, tmp_path, capsys):
    """Two walk over the line at the door, one each way."""
    x = np.array([[0, 20, 40], [40, 20, 0]]).ravel() - 2.0
    walks = pd.DataFrame({"frame": [0, 1, 2] * 2, "track": [0] * 3 + [2] * 3, "confidence": 1.0})
    walks = walks.assign(x1=x, y1=0, x2=x + 4, y2=50)
    formats.write_mot(walks, results / "tracks" / "door.txt")
    out, pairs = tmp_path / "counts.csv", label(results, tmp_path / "a.csv")
    words = [results, "--labels", pairs, "--line", "door=15,90,15,0", "--out", out]
    assert __main__.main(["count", *map(str, words)]) == 0
    said = capsys.readouterr().out
    assert "8 people found; by labels 8, between " in said and "say nothing of people whom" in said
    table = pd.read_csv(out).set_index(["counted", "camera"])["number"]
    assert table["visitors", "door"] == 8
    assert table["crossings to the right", "door"] == table["crossings to the left", "door"] == 1
    for line, message in (
        ("gate=0,0,1,1", "no tracks of camera 'gate'; there are door, y|<b>"),
        ("door=0,0,1", "expected x1, y1, x2, y2 of two points"),
        ("door=0,0,1,a", "could not convert"),
        ("0,0,1,1", "no tracks of camera ''"),
    ):
        assert __main__.main(["count", str(results), "--line", line, "--out", str(out)]) == 2
        assert message in capsys.readouterr().err
    assert __main__.main(["count", str(results), "--out", str(out)]) == 0
    assert "so no interval can be given" in capsys.readouterr().out
