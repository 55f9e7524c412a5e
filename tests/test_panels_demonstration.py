"""The panels of lesson 05 survive every control and show what the figures and the library say."""

import base64

import ipywidgets
import numpy as np
import pandas as pd
import pytest
from panels import sweep

from reidlib.demonstration import labelling, matching, panels, plots, saliency
from reidlib.model import distances

CAMERA = {"K": [[400, 0, 160], [0, 400, 90], [0, 0, 1]], "t": [0, 0.84, 8.68]} | {
    "R": [[1, 0, 0], [0, -0.34, -0.94], [0, 0.94, -0.34]],
    "width": 320,
    "height": 180,
}


@pytest.fixture(scope="module")
def tracklets():
    """Three people in two cameras, one of them twice in c2, and a box on nobody."""
    rows = [
        ("c1", 1, 0.0, 4.0, 50, 1, 7),
        ("c1", 2, 0.0, 6.0, 70, 2, 8),
        ("c1", 3, 2.0, 3.0, 10, 3, 9),
        ("c2", 1, 5.0, 9.0, 40, 1, 7),
        ("c2", 2, 1.0, 5.0, 30, 2, 8),
        ("c2", 3, 7.0, 8.0, 12, 2, 8),
        ("c2", 4, 2.0, 2.5, 6, 4, -1),
    ]
    columns = ["camera", "track", "start", "end", "frames", "identity", "pid"]
    return pd.DataFrame(rows, columns=columns)


@pytest.fixture(scope="module")
def vectors(tracklets):
    """Ten degrees between cameras, a right angle between people."""
    angle = np.radians(10) * (tracklets.camera == "c2")
    rows = np.zeros((len(tracklets), 5), np.float32)
    rows[range(len(rows)), tracklets.identity - 1] = np.cos(angle)
    rows[:, 4] = np.sin(angle)
    return rows


@pytest.fixture(scope="module")
def faces(tracklets):
    return list(np.random.default_rng(0).integers(0, 255, (len(tracklets), 128, 64, 3), np.uint8))


def flat(images):
    return distances.unit(np.asarray(images, np.float32).mean(axis=(1, 2))[:, [0, 1, 2, 0, 1]])


def test_browser_begins_with_the_longest_track_of_the_first_person(tracklets, vectors, faces):
    browser = panels.Browser(tracklets, vectors, faces, flat)
    assert browser.state["query"] == 0
    later = tracklets.assign(frames=[1, 70, 10, 40, 30, 12, 6])
    assert panels.Browser(later, vectors, faces, flat).state["query"] == 3


def test_browser_explains_the_match_that_it_is_asked_about(tracklets, vectors, faces):
    browser = panels.Browser(tracklets, vectors, faces, flat)
    assert browser.reply == {}
    browser.state = browser.state | {"query": 1, "why": 2}
    assert browser.ranked().tolist()[:2] == [4, 5]  # the same person, twice in the other camera
    assert browser.reply["query"] == 1 and browser.reply["match"] == 5
    assert len(browser.reply["pictures"]) == 2
    browser.state = browser.state | {"why": 9}  # so many are not there
    assert browser.reply["match"] == 5


def test_the_sentence_counts_claims_and_what_was_missed(tracklets, vectors, faces):
    def said(query, claim, **more):
        return plots.search(tracklets, vectors, faces, query, claim, **more)[1]

    assert "claims 2 tracks; 2 of the person's 2 are among them" in said(1, 0.1)
    assert "claims 4 tracks; 2 of the person's 2" in said(1, 1.1)
    assert "claims 0 tracks; 0 of the person's 2" in said(1, 0.001)
    assert "claims 6 tracks; 2 of the person's 2" in said(1, 1.1, elsewhere=False)
    assert "0 of the person's 0" in said(2, 0.1)
    assert "nobody knows" in said(6, 0.1)


def test_marks_follow_the_truth(tracklets, vectors, faces):
    figure, _ = plots.search(tracklets, vectors, faces, 1)
    titles = [ax.get_title() for ax in figure.axes[1:]]
    assert titles[:3] == ["1 ✓", "2 ✓", "3 ✗"]
    assert "4" in titles  # nobody knows who this is: no mark


def test_what_lies_beyond_the_claim_is_marked_as_rejected(tracklets, vectors, faces):
    figure, _ = plots.search(tracklets, vectors, faces, 1, 0.1)
    titles = [ax.get_title() for ax in figure.axes[1:]]
    assert titles[:3] == ["1 ✓", "2 ✓", "3 rejected"]
    figure, _ = plots.search(tracklets, vectors, faces, 1, 0.001)
    assert figure.axes[1].get_title() == "1 missed"


def test_importance_finds_what_the_extractor_looks_at():
    def upper_left(images):  # red against green, in one corner only
        seen = np.asarray(images, np.float32)[:, :32, :24, :2].mean(axis=(1, 2))
        return distances.unit(seen)

    image = np.full((128, 64, 3), 100, np.uint8)
    image[:32, :24] = (250, 10, 0)
    image[40:64] = (0, 250, 0)
    before = image.copy()
    weight = saliency.importance(upper_left, image, np.array([1, 0], np.float32))
    assert (image == before).all() and weight.shape == (128, 64)
    assert np.unravel_index(weight.argmax(), weight.shape) < (32, 24)
    assert weight[:32, :24].mean() > 0.01 and np.abs(weight[64:]).max() < 1e-5
    tinted = plots.heat(image, weight)
    assert tinted.shape == image.shape and tinted.dtype == np.uint8


def test_linking_survives_every_control_and_scores_what_it_shows(tracklets, vectors):
    places = [
        np.column_stack([np.linspace(row.start, row.end, 5), np.full((5, 2), row.identity)])
        for row in tracklets.itertuples()
    ]
    knowledge = {"the clock": {}, "the ground as well": {"positions": places}}
    panel = panels.linking(tracklets, vectors, knowledge, lambda numbers: 1 / max(numbers), 0.1)
    assert panel.state["known"] == "the clock" and panel.state["threshold"] == 0.1
    data = panel.record()["data"]
    ways = data["ways"]
    assert ways[0]["scores"][0] == 1 / 6  # only two tracks look exactly alike
    assert [way["name"] for way in ways] == list(knowledge)
    for way, known in zip(ways, knowledge.values()):
        identities = unpacked(way["identities"])
        for threshold in (0.0, 0.1, 0.98, 1.2):
            result = np.searchsorted(way["begins"], threshold, side="right") - 1
            linked = matching.link(tracklets, vectors, threshold=threshold, **known)
            assert identities[result].tolist() == linked.tolist()
            assert way["scores"][result] == 1 / max(linked)
        pairwise = unpacked(way["pairwise"])
        assert np.isnan(pairwise[0, 1]) and pairwise[0, 3] < 0.02  # two at once; one, twice
        assert 1 / 4 in way["scores"]
    assert np.isfinite(unpacked(data["alike"])).all()


def test_linking_shows_who_has_no_vector(tracklets, vectors):
    lacking = vectors.copy()
    lacking[2] = np.nan
    data = panels.linking(tracklets, lacking, {"the clock": {}}, lambda numbers: 0.5).record()[
        "data"
    ]
    alike = unpacked(data["alike"])
    assert np.isnan(alike[2]).all() and np.isnan(alike).sum() == 13


def unpacked(packed):
    values = np.frombuffer(base64.b64decode(packed["bytes"]), packed["dtype"])
    return values.reshape(packed["shape"])


TIMES = np.arange(11) / 12.5


@pytest.fixture
def player(tracklets):
    frames = [0, 5, 10]
    stills = {c: {f: np.zeros((90, 160, 3), np.uint8) for f in frames} for c in ("c1", "c2")}
    box = {"x1": 100.0, "y1": 60.0, "x2": 120.0, "y2": 110.0}
    seen = [("c1", 0, 1), ("c2", 0, 1), ("c2", 0, -1), ("c1", 5, 2)]
    table = pd.DataFrame(seen, columns=["camera", "frame", "identity"]).assign(**box)
    calibrations = {"c1": CAMERA, "c2": CAMERA}
    return panels.Player(stills, table, tracklets, calibrations, times=TIMES, width=320)


def test_player_survives_its_slider_and_counts_people_once(player):
    assert "0.0 s: 1 person" in player.message.value
    player.controls["time"].value = 1
    assert "0.4 s: 1 person" in player.message.value
    player.controls["time"].value = 2
    assert "0.8 s: 0 people" in player.message.value
    assert sweep(player) > 2
    assert isinstance(player.play, ipywidgets.Play) and player.play.max == 2


def test_moment_writes_each_person_once_on_the_ground(tracklets):
    images = {c: np.zeros((90, 160, 3), np.uint8) for c in ("c1", "c2")}
    box = {"x1": 100.0, "y1": 60.0, "x2": 120.0, "y2": 110.0}
    seen = [("c1", 1), ("c2", 1), ("c2", 2), ("c2", -1)]
    table = pd.DataFrame(seen, columns=["camera", "identity"]).assign(**box)
    cameras = {"c1": CAMERA, "c2": CAMERA}
    figure = plots.moment(images, table, tracklets, 2.0, cameras, width=320)
    film, plan, line = figure.axes
    numbers = [text.get_text() for text in plan.texts if text.get_text().isdigit()]
    assert numbers == ["1", "2"]
    assert film.images[0].get_array().max() > 0  # boxes and banner are drawn
    assert line.lines[0].get_xdata()[0] == 2.0
    assert len(plots.moment(images, table, tracklets, 2.0, width=320).axes) == 2


LETTER = {"same": "s", "different": "d", "cannot tell": "c"}


@pytest.fixture
def blind(tracklets, vectors, tmp_path):
    """Opens the panel on 14 pairs, as often as it is called; the tracks have a crop or two."""
    images = np.random.default_rng(0).integers(0, 255, (7, 128, 64, 3), np.uint8)
    crops = {"c1": {}, "c2": {}}
    for row, image in zip(tracklets.itertuples(), images):
        crops[row.camera][row.track] = [(0, image), (9, image)][: row.Index]
    pairs = labelling.sample_pairs(tracklets, vectors, 14)
    return lambda: panels.BlindPairs(pairs, crops, tmp_path / "pairs.csv", "Ann")


def on_disk(tmp_path):
    return labelling.read(tmp_path / "pairs.csv")["answer"].tolist()


def press(panel, letter):
    """Type a letter after what stands in the field, as a browser sends it."""
    panel.field.value += letter


def click(panel, name):
    next(b for b in panel.controls.children if b.description.startswith(name)).click()


def test_every_answer_is_on_disk_before_the_next_pair(blind, tmp_path):
    panel = blind()
    given = ["same", "different", "cannot tell", "different"]
    for count, said in enumerate(given, 1):
        press(panel, LETTER[said]) if count % 2 else click(panel, said)
        assert on_disk(tmp_path)[:5] == [*given[:count], *[""] * (5 - count)]
        assert f"<b>{count + 1} of {len(panel.answers)}</b>" in panel.text.value
    press(panel, "u")
    assert on_disk(tmp_path)[:4] == [*given[:3], ""]
    click(panel, "undo")
    assert on_disk(tmp_path)[:4] == [*given[:2], "", ""]
    again = blind()  # after the kernel died, say
    assert again.at == 2 and again.field.value == "3: "
    assert [bytes(i.value) for i in again.images] == [bytes(i.value) for i in panel.images]
    assert set(labelling.read(tmp_path / "pairs.csv")["labeller"][:3]) == {"Ann", ""}


def test_a_key_or_click_of_a_pair_that_is_gone_is_ignored(blind, tmp_path):
    panel = blind()
    old = panel.field.value
    same = panel.controls.children[0]
    panel.say("same", 0)
    panel.field.value = old + "ss"  # typed while the first pair was still on the screen
    assert panel.at == 1 and panel.field.value == "2: "
    same._click_handlers(same)  # the second half of a double click
    assert panel.at == 1 and on_disk(tmp_path)[:2] == ["same", ""]
    for odd in ("x", "7", "s2: ", ""):
        panel.field.value = odd
        assert panel.at == 1 and panel.field.value == "2: "
    press(panel, "D")
    assert on_disk(tmp_path)[:2] == ["same", "different"]
    first = blind()
    press(first, "u")
    press(first, "u")
    press(first, "u")  # there is nothing left to take back
    assert first.at == 0


def test_all_pairs_are_answered_and_the_last_can_be_taken_back(blind, tmp_path):
    panel = blind()
    total = len(panel.answers)
    for _ in range(total):
        press(panel, "d")
    assert (
        panel.at == total and "all" in panel.text.value and set(on_disk(tmp_path)) == {"different"}
    )
    press(panel, "s")
    assert panel.at == total
    press(panel, "u")
    assert panel.at == total - 1 and on_disk(tmp_path)[-1] == ""


def test_the_panel_hides_what_the_network_thinks(blind):
    panel = blind()
    shown = panel.text.value + "".join(b.description for b in panel.controls.children)
    assert not set("0123456789") & set(shown.replace(f"1 of {len(panel.answers)}", ""))


def test_a_full_disk_loses_nothing(blind, tmp_path, monkeypatch):
    panel = blind()
    press(panel, "s")

    def full(*_):
        raise OSError("the disk is full, <pairs> was not written")

    monkeypatch.setattr(labelling, "write", full)
    press(panel, "d")
    assert panel.at == 1 and "disk is full, &lt;pairs&gt;" in panel.message.value
    monkeypatch.undo()
    press(panel, "d")
    assert on_disk(tmp_path)[:3] == ["same", "different", ""] and panel.message.value == ""


@pytest.fixture
def album(tracklets, tmp_path):
    """Opens all tracks, three a page."""
    people, crops = labelling.propose(tracklets), {"c1": {}, "c2": {}}
    return lambda: panels.People(people, crops, tmp_path / "people.csv", size=3)


def test_only_what_was_seen_and_confirmed_is_a_label(album, tracklets, tmp_path):
    panel = album()
    assert panel.pages == 3 and not (tmp_path / "people.csv").exists()
    confirm = panel.controls.children[2]
    confirm.click()
    seen = panel.people[panel.people["pid"].notna()]
    assert len(seen) == 3 and (seen["pid"] == seen["proposed"]).all()
    panel.turns[1].click()
    assert panel.page == 1 and panel.people["pid"].notna().sum() == 3
    confirm._click_handlers(confirm)  # pressed twice, and late
    assert panel.people["pid"].notna().sum() == 3
    row, field = list(panel.fields.items())[1]
    field.value = 42
    assert panel.people.loc[row, "pid"] == 42 and panel.people["pid"].notna().sum() == 4
    borders = [card.layout.border_top.split()[-1] for card in panel.cards.children]
    assert borders == ["transparent", "seagreen", "transparent"]
    again = album()
    assert again.page == 1 and again.fields[row].value == 42
    again.turn(2)
    again.turn(3)
    assert again.page == 2 and len(again.fields) == 1
    again.fields[6].value = -1
    again.turn(1)
    again.controls.children[2].click()
    done = labelling.people_of(album().people, tracklets)
    assert sorted(done) == sorted(
        [*panel.people["proposed"][:4], 42, panel.people["proposed"][5], -1]
    )
