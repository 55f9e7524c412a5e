"""Blind labels: pairs from near to far, answers that are never lost, rates that hold."""

import json
import os
import subprocess
import sys
import tomllib

import av
import numpy as np
import pandas as pd
import pytest

from reidlib.__main__ import main
from reidlib.demonstration import labelling, site_file
from reidlib.features import vectors as features
from reidlib.model import distances, verification


def place(people=20, seed=0):
    """Tracks of people in three cameras, one after the other, some of whom look alike."""
    rng = np.random.default_rng(seed)
    looks = distances.unit(rng.normal(size=(people, 6)))
    pid = np.repeat(np.arange(1, people + 1), 3)
    camera = np.tile(["c1", "c2", "c3"], people)
    start = np.round(np.arange(3 * people) * 1.7, 3)
    tracklets = pd.DataFrame({"camera": camera, "track": pid, "start": start, "end": start + 2.5})
    spread = rng.choice([0.15, 0.45], size=(3 * people, 1), p=[0.8, 0.2])
    vectors = distances.unit(looks[pid - 1] + spread * rng.normal(size=(3 * people, 6)))
    return tracklets.assign(identity=pid), vectors.astype(np.float32), pid


@pytest.fixture(scope="module")
def tracks():
    return place()


def truthful(pairs):
    """Answers of somebody who always knows: in `place` a track's number is the person."""
    same = pairs["track_a"] == pairs["track_b"]
    return pairs.assign(answer=np.where(same, "same", "different"))


def test_pairs_are_possible_and_span_the_whole_range_in_no_order(tracks):
    tracklets, vectors, _ = tracks
    cameras, numbers = tracklets["camera"].tolist(), tracklets["track"].tolist()
    cameras[1], numbers[1] = "c1", 101  # in the camera of the first, and at the same time
    tracklets = tracklets.assign(camera=cameras, track=numbers)
    pairs = labelling.sample_pairs(tracklets, vectors, 80, seed=3)
    everything = labelling.possible_pairs(tracklets, vectors)
    assert len(everything) == 60 * 59 // 2 - 1
    assert not ((everything["a"] == 0) & (everything["b"] == 1)).any()
    assert len(pairs) == 80 and not pairs[labelling.PAIR].duplicated().any()
    assert (pairs["answer"] == "").all() and "distance" not in pairs
    sizes = pairs.groupby("stratum")["population"].first()
    assert sizes.sum() == len(everything) and list(sizes) == sorted(sizes)
    assert pairs.groupby("stratum").size().tolist() == [10] * 8
    assert sizes[:3].sum() == pytest.approx(9 / 64 * len(everything), abs=2)
    labels = labelling.measured(truthful(pairs), tracklets, vectors)
    assert labels["weight"].sum() == pytest.approx(len(everything))
    assert abs(np.corrcoef(np.arange(80), labels["distance"])[0, 1]) < 0.3
    layers = pairs.assign(distance=labels["distance"]).groupby("stratum")["distance"]
    assert (layers.min()[1:].to_numpy() >= layers.max()[:-1].to_numpy()).all()
    assert pairs.equals(labelling.sample_pairs(tracklets, vectors, 80, seed=3))
    assert not pairs.equals(labelling.sample_pairs(tracklets, vectors, 80, seed=4))


def test_small_layers_are_taken_whole_and_the_others_give_more(tracks):
    tracklets, vectors, _ = tracks
    pairs = labelling.sample_pairs(tracklets[:9], vectors[:9], 30)
    counts = pairs.groupby("stratum").agg(drawn=("answer", "size"), all=("population", "first"))
    assert len(pairs) == 30 and (counts["drawn"] <= counts["all"]).all()
    assert counts["drawn"].iloc[0] == counts["all"].iloc[0] < 3
    assert len(labelling.sample_pairs(tracklets[:9], vectors[:9], 999)) == 36
    with pytest.raises(ValueError, match="n is 3; expected 8 pairs or more"):
        labelling.sample_pairs(tracklets, vectors, 3)
    blind = np.full_like(vectors, np.nan)
    assert len(labelling.sample_pairs(tracklets, blind, 60)) == 0
    assert len(labelling.sample_pairs(tracklets[:1], vectors[:1], 60)) == 0


def test_intervals_hold_the_rates_of_all_pairs(tracks):
    """The rates of a truthful labeller's sample, against those of all pairs, for 60 samples."""
    tracklets, vectors, pids = tracks
    everything = labelling.all_pairs(tracklets, vectors, pids)
    held, rates = [], []
    for seed in range(60):
        pairs = truthful(labelling.sample_pairs(tracklets, vectors, 96, seed))
        labels = labelling.measured(pairs, tracklets, vectors)
        chosen = verification.choose_threshold(labels, 0.05)
        true = verification.try_threshold(everything, chosen.threshold)
        fixed = verification.try_threshold(labels, 0.5)
        rates.append([fixed.fmr, labels.loc[labels["same"], "weight"].sum()])
        held.append(
            [
                chosen.fmr_interval[0] <= true.fmr <= chosen.fmr_interval[1],
                chosen.fnmr_interval[0] <= true.fnmr <= chosen.fnmr_interval[1],
                chosen.fmr <= 0.05,
                chosen.fmr_interval[1] < 0.5,  # not by being as wide as can be
            ]
        )
    assert (np.mean(held, axis=0) >= 0.9).all()
    # On average the samples say what holds for all: 60 pairs are of one person.
    fmr, same = np.mean(rates, axis=0)
    assert fmr == pytest.approx(verification.try_threshold(everything, 0.5).fmr, abs=0.01)
    assert same == pytest.approx(everything["same"].sum(), abs=10)


def test_without_weights_rates_of_the_sample_would_be_wrong(tracks):
    """What the weights are for: near pairs are drawn more often than they occur."""
    tracklets, vectors, pids = tracks
    pairs = truthful(labelling.sample_pairs(tracklets, vectors, 400, 1))
    labels = labelling.measured(pairs, tracklets, vectors)
    true = verification.try_threshold(labelling.all_pairs(tracklets, vectors, pids), 0.5).fmr
    assert verification.try_threshold(labels, 0.5).fmr == pytest.approx(true, rel=0.2)
    assert verification.try_threshold(labels.assign(weight=1.0), 0.5).fmr > 1.4 * true


def test_pairs_that_share_tracks_say_less():
    wrong = [True] * 5 + [False] * 95
    apart = pd.DataFrame({"weight": 1.0, "a": range(100), "b": range(100, 200)})
    rate, (low, high) = verification.error_rate(wrong, apart)
    assert rate == 0.05 and low == pytest.approx(0.0164, abs=1e-3)
    assert high == pytest.approx(0.1128, abs=1e-3)  # Clopper and Pearson's 5 of 100
    shared = apart.assign(a=np.repeat(range(20), 5))  # one track's five pairs are all wrong
    rate, (lower, higher) = verification.error_rate(wrong, shared)
    assert rate == 0.05 and lower < low - 0.01 and higher > high + 0.05
    assert verification.error_rate([False] * 100, apart)[1][1] == pytest.approx(0.0362, abs=1e-3)
    assert verification.error_rate([True] * 100, apart)[1] == pytest.approx((0.964, 1), abs=1e-3)


def test_a_weighted_threshold_is_that_of_repeated_distances():
    rng = np.random.default_rng(0)
    impostor, weights = rng.random(50).round(2), rng.integers(1, 6, 50)
    repeated = np.repeat(impostor, weights)
    for fmr in (0, 0.01, 0.1, 0.29, 0.5, 0.99):
        expected = verification.threshold_at(fmr, repeated)
        assert verification.threshold_at(fmr, impostor, weights) == expected
        assert verification.threshold_at(fmr, impostor, weights / 7) == expected


def test_labels_of_one_kind_give_no_threshold(tracks):
    tracklets, vectors, pids = tracks
    labels = labelling.all_pairs(tracklets, vectors, pids)
    with pytest.raises(ValueError, match="0 labelled pairs of one person and 1710 of different"):
        verification.choose_threshold(labels[~labels["same"]])
    with pytest.raises(ValueError, match="label more pairs, in a longer recording if this one has"):
        verification.choose_threshold(labels[~labels["same"]])
    with pytest.raises(ValueError, match="60 labelled pairs of one person and 0 of different"):
        verification.try_threshold(labels[labels["same"]], 0.5)


def test_answers_go_on_where_they_stopped(tracks, tmp_path):
    tracklets, vectors, _ = tracks
    pairs, path = labelling.sample_pairs(tracklets, vectors, 16), tmp_path / "deep" / "pairs.csv"
    answers = labelling.begin(path, pairs)
    for row, said in enumerate(["same", "cannot tell", "different"]):
        answers = labelling.answered(answers, row, said, "Ann")
        labelling.write(path, answers)
    again = labelling.begin(path, pairs)
    assert again["answer"].tolist() == ["same", "cannot tell", "different"] + [""] * 13
    assert again["labeller"].tolist()[:4] == ["Ann"] * 3 + [""]
    pd.testing.assert_frame_equal(again, answers, check_dtype=False)
    undone = labelling.answered(again, 2, "")
    assert undone.loc[2, labelling.ANSWER].tolist() == ["", "", ""] and len(again["answer"][2]) > 0
    with pytest.raises(ValueError, match="'maybe' is no answer; expected same, different"):
        labelling.answered(again, 0, "maybe")
    later = tracklets.assign(start=tracklets["start"] + 1)  # the same numbers, other tracks
    for other in (
        labelling.sample_pairs(later, vectors, 16),
        labelling.sample_pairs(tracklets, vectors, 16, seed=1),
        labelling.sample_pairs(tracklets, vectors, 24),
    ):
        with pytest.raises(ValueError, match="about other pairs or other tracks"):
            labelling.begin(path, other)
    path.write_text(path.read_text().replace("cannot tell", "perhaps"))
    with pytest.raises(ValueError, match="'perhaps' is no answer"):
        labelling.read(path)
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="pairs.csv lacks camera_a"):
        labelling.begin(path, pairs)


def test_few_answers_and_answers_about_other_tracks_are_refused(tracks):
    tracklets, vectors, _ = tracks
    answers = truthful(labelling.sample_pairs(tracklets, vectors, 80))
    few = answers.assign(answer=np.where(answers["stratum"] > 2, answers["answer"], ""))
    with pytest.raises(ValueError, match="60 of 80 pairs are answered, and none yet of 2 of 8"):
        labelling.measured(few, tracklets, vectors)
    later = tracklets.assign(start=tracklets["start"] + 1)
    with pytest.raises(ValueError, match="the labels are about other tracks than these"):
        labelling.measured(answers, later, vectors)
    with pytest.raises(ValueError, match="the labels are about other tracks than these"):
        labelling.measured(answers, tracklets[:40], vectors[:40])
    fewer = labelling.measured(answers, tracklets[1:], vectors[1:])  # one was a glimpse
    first = (
        answers[["track_a", "track_b"]].eq(1) & (answers[["camera_a", "camera_b"]] == "c1").values
    )
    assert 0 < first.any(axis=1).sum() == 80 - len(fewer)
    # A half that was answered stands for all, and what nobody could tell for nothing.
    half = answers.assign(answer=np.where(np.arange(80) < 40, answers["answer"], ""))
    total = labelling.measured(answers, tracklets, vectors)["weight"].sum()
    assert labelling.measured(half, tracklets, vectors)["weight"].sum() == pytest.approx(total)
    unsure = answers.assign(answer=["cannot tell"] * 8 + answers["answer"].tolist()[8:])
    kept = labelling.measured(unsure, tracklets, vectors)
    assert len(kept) == 72 and kept["weight"].sum() < total


def test_two_people_agree_more_or_less(tracks):
    tracklets, vectors, _ = tracks
    first = truthful(labelling.sample_pairs(tracklets, vectors, 80))
    assert labelling.agreement(first, first) == {"pairs": 80, "share": 1.0, "kappa": 1.0}
    careless = first.assign(answer="different")
    found = labelling.agreement(first, careless)
    assert found["share"] > 0.5 and found["kappa"] == 0  # right most of the time, and worth nothing
    assert np.isnan(labelling.agreement(careless, careless)["kappa"])
    some = first.assign(answer=np.where(np.arange(80) < 30, first["answer"], ""))
    assert labelling.agreement(some, first[::-1])["pairs"] == 30
    with pytest.raises(ValueError, match="no pair was answered by both"):
        labelling.agreement(some, first.assign(answer=""))


def test_confirmed_people_survive_other_proposals_but_not_other_tracks(tracks, tmp_path):
    tracklets, _, _ = tracks
    path = tmp_path / "people.csv"
    people = labelling.propose(tracklets)
    assert labelling.people_of(people, tracklets).tolist() == [-1] * 60
    people.loc[[0, 1, 5], "pid"] = [7, -1, 9]
    labelling.write(path, people)
    shuffled = tracklets.assign(identity=tracklets["identity"] % 7 + 1)
    again = labelling.resume(path, labelling.propose(shuffled))
    pids = labelling.people_of(again, tracklets)
    assert (pids > 0).sum() == 2 and again["pid"].notna().sum() == 3
    expected = people.dropna().set_index(["camera", "track"])["pid"]
    for (camera, track), pid in expected.items():
        row = (tracklets["camera"] == camera) & (tracklets["track"] == track)
        assert pids[row.to_numpy()] == [pid]
    later = tracklets.assign(start=tracklets["start"] + 1)
    with pytest.raises(ValueError, match="3 confirmed tracks, of which some are not among these"):
        labelling.resume(path, labelling.propose(later))
    other = tracklets.assign(track=tracklets["track"] + 100)
    with pytest.raises(ValueError, match="some are not among these"):
        labelling.resume(path, labelling.propose(other))
    people["pid"] = people["proposed"].astype("Int64")
    labelling.write(path, people)
    fewer = labelling.resume(path, labelling.propose(tracklets[1:]))  # one was a glimpse this time
    assert len(fewer) == 60 and (fewer["pid"] == fewer["proposed"]).all()
    assert fewer[["camera", "track"]].iloc[-1].tolist() == ["c1", 1]
    assert (labelling.people_of(fewer, tracklets[1:]) == tracklets["identity"][1:]).all()


def test_moments_are_spread_over_the_life_of_a_track():
    crops = [(frame, np.full((8, 4, 3), frame, np.uint8)) for frame in (30, 0, 10, 20, 40, 50)]
    strip = labelling.moments(crops, 3)
    assert strip.shape == (8, 12, 3) and strip[0, ::4, 0].tolist() == [0, 20, 50]
    assert labelling.moments(crops[:1], 3).shape == (8, 4, 3)
    assert (labelling.moments([]) == 128).all()


SITE = """# our yard
detector = "yolo11n"
threshold = 0.7  # a guess

[cameras.door]  # the old one
video = "door.mp4"
"""


def test_the_section_changes_nothing_else_of_a_site_file():
    rates = verification.Rates(0.5637, 0.0094, (0.001, 0.04), 0.1, (0.0, 0.5), 80, 16)
    section = labelling.threshold_section(rates, 0.01, 'the "first" day', "sha256:abc")
    text = labelling.with_section(SITE, section)
    said = tomllib.loads(text)
    assert said["threshold"]["value"] == 0.5637 and said["threshold"]["pairs"] == 96
    assert said["threshold"]["recorded"] == 'the "first" day'
    assert "# threshold = 0.7  # a guess\n" in text and "[cameras.door]  # the old one" in text
    assert said["detector"] == "yolo11n" and said["cameras"] == {"door": {"video": "door.mp4"}}
    stricter = section.replace("0.5637", "0.4")
    again = labelling.with_section(text + "\n# last\n[travel]\n", stricter)
    assert tomllib.loads(again)["threshold"]["value"] == 0.4 and again.count("[threshold]") == 1
    assert again == text.replace("0.5637", "0.4") + "\n# last\n[travel]\n"
    assert tomllib.loads(labelling.with_section("", section))["threshold"]["fmr"] == 0.0094
    for odd in ("[threshold]\nvalue = 1\n\nfmr = 2\n", "a = \n"):
        with pytest.raises(ValueError, match="is not TOML, or its table .threshold. was changed"):
            labelling.with_section(odd, section)


@pytest.fixture
def results(tracks, tmp_path):
    """A folder as the demo writes it, a file of answers about it, and a site file."""
    tracklets, vectors, _ = tracks
    features.write(tmp_path / "day" / "features.npz", vectors, tracklets)
    (tmp_path / "day" / "metrics.json").write_text('{"settings": {"features": "plaza"}}')
    pairs = truthful(labelling.sample_pairs(tracklets, vectors, 160))
    labelling.write(tmp_path / "pairs.csv", pairs)
    (tmp_path / "site.toml").write_text(SITE)
    return tmp_path


def test_a_threshold_is_chosen_stored_and_tried(results):
    day, pairs, site = results / "day", results / "pairs.csv", results / "site.toml"
    with pytest.raises(ValueError, match=r"site.toml has no table \[threshold\]"):
        labelling.decide(day, pairs, site=site, test=True)
    said = labelling.decide(day, pairs, fmr=0.05)
    assert site.read_text() == SITE and said.startswith("threshold 0.")
    assert labelling.decide(day, pairs, fmr=0.05, site=site) == said
    stored = tomllib.loads(site.read_text())["threshold"]
    assert f"threshold {stored['value']:.3f}" in said and stored["recorded"] == "day"
    assert stored["fmr"] <= stored["wanted"] == 0.05 and stored["pairs"] == 160
    assert stored["weights"].startswith("sha256:") and len(stored["weights"]) == 71
    tried = labelling.decide(day, pairs, site=site, test=True)
    assert tried == f"{said}; the wanted 5.00% lies within the interval"
    described = results / "door.mp4"
    described.write_bytes(b"")
    assert site_file.read(site).threshold == stored["value"]
    (day / "metrics.json").write_text('{"settings": {"features": "own.pt"}}')
    with pytest.raises(ValueError, match="was chosen with other weights"):
        labelling.decide(day, pairs, site=site, test=True)


def test_a_threshold_knows_its_weights_and_its_day(results):
    """By what the demo noted beside its features: checksums of any network, the common clock."""
    day, pairs, site = results / "day", results / "pairs.csv", results / "site.toml"

    def note(sha256, began=None, **videos):
        cameras = {name: {"video": str(path), "start": 0} for name, path in videos.items()}
        features = {"name": "own.pt", "sha256": sha256}
        noted = {"features": features, "began": began, "cameras": cameras}
        (day / "features.json").write_text(json.dumps(noted))

    def stored():
        labelling.decide(day, pairs, fmr=0.05, site=site)
        return tomllib.loads(site.read_text())["threshold"]

    note("ab" * 32, "2026-11-27T14:02:10")
    assert stored()["weights"] == "sha256:" + "ab" * 32
    assert stored()["recorded"] == "2026-11-27T14:02:10"
    note("cd" * 32)  # a network of the same name, trained again
    with pytest.raises(ValueError, match="was chosen with other weights"):
        labelling.decide(day, pairs, site=site, test=True)
    clip = video(results / "door.mp4", "2026-05-04T03:02:01Z")
    note(None, door=clip, yard=results / "gone.mp4")
    assert stored()["recorded"] == "2026-05-04T03:02:01+00:00" and stored()["weights"] == "own.pt"


def video(path, moment):
    """Write a film of three frames that says when it was recorded."""
    with av.open(str(path), "w") as container:
        container.metadata["creation_time"] = moment
        stream = container.add_stream("mpeg4", 10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(3):
            image = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24")
            container.mux(stream.encode(image))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("text", ["threshold = 0.4", "[threshold]\nvalue = 0.4"])
def test_a_guess_and_a_table_are_read_alike(results, text):
    (results / "door.mp4").write_bytes(b"")
    site = results / "site.toml"
    site.write_text(f'{text}\n[cameras.door]\nvideo = "door.mp4"\n')
    assert site_file.read(site).threshold == 0.4
    assert site_file.kept_threshold(tomllib.loads(text)) == {"value": 0.4}
    with pytest.raises(ValueError, match="no table .threshold. that says for which weights"):
        labelling.decide(results / "day", results / "pairs.csv", site=site, test=True)
    labelling.decide(results / "day", results / "pairs.csv", site=site)
    assert site_file.read(site).threshold != 0.4
    assert labelling.decide(results / "day", results / "pairs.csv", site=site, test=True)


def test_the_command_chooses_stores_and_tries(results, capsys):
    words = ["threshold", str(results / "day"), "--labels", str(results / "pairs.csv")]
    site = ["--site", str(results / "site.toml")]
    assert main([*words, "--fmr", "0.05", *site]) == 0
    wrote, said = capsys.readouterr().out.splitlines()
    assert wrote == f"wrote {site[1]}" and "false non-match rate" in said
    assert main([*words, *site, "--test"]) == 0
    assert capsys.readouterr().out == f"{said}; the wanted 5.00% lies within the interval\n"
    for wrong, sentence in (
        (["--test"], "error: nothing to test: name the site file that holds the threshold\n"),
        (["--fmr", "2"], "error: fmr is 2.0; expected a share from 0 to below 1, such as 0.001\n"),
        (["--site", str(results / "no.toml")], "no.toml"),
    ):
        assert main([*words, *wrong]) == 2
        assert sentence in capsys.readouterr().err
    assert main(["threshold", str(results), *words[2:]]) == 2
    assert "features.csv: No such file" in capsys.readouterr().err


def test_what_was_answered_outlives_the_process(tracks, tmp_path):
    """A process that is killed after its third answer leaves three answers."""
    code = f"""
import os, sys
sys.path.insert(0, {os.path.dirname(__file__)!r})
from test_labelling import place
from reidlib.demonstration import labelling
tracklets, vectors, _ = place()
answers = labelling.begin("pairs.csv", labelling.sample_pairs(tracklets, vectors, 16))
for row in range(3):
    answers = labelling.answered(answers, row, "different", "Ann")
    labelling.write("pairs.csv", answers)
os.kill(os.getpid(), 9)
"""
    path = os.pathsep.join([os.getcwd(), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PYTHONPATH": path}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, check=False)
    assert (labelling.read(tmp_path / "pairs.csv")["answer"] == "different").sum() == 3
