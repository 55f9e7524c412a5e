"""Gallery search, and linking tracklets under the constraints of time and place."""

import importlib.util

import numpy as np
import pandas as pd
import pytest

from reidlib import assets
from reidlib.demonstration import averages, matching, place, stores


def people(count, copies, noise, seed=0, dim=32):
    """Return vectors of `count` people, `copies` of each, and who is who."""
    rng = np.random.default_rng(seed)
    who = np.tile(np.arange(count), copies)
    vectors = rng.normal(size=(count, dim))[who] + noise * rng.normal(size=(len(who), dim))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), who


def rows(*cells):
    return pd.DataFrame(cells, columns=["camera", "track", "start", "end"])


def agree(identities, who):
    """Whether two labellings name the same groups."""
    pairs = set(zip(identities.tolist(), np.asarray(who).tolist()))
    return len(pairs) == len(set(identities.tolist())) == len(set(np.asarray(who).tolist()))


@pytest.mark.parametrize("index", ["exact", "faiss"])
def test_gallery_finds_what_was_added_in_parts(index, tmp_path):
    if index == "faiss" and not importlib.util.find_spec("faiss"):
        pytest.skip("faiss-cpu is not installed")
    vectors, who = people(40, 3, 0.3)
    gallery = matching.Gallery(index)
    table = pd.DataFrame({"camera": "c1", "track": np.arange(120), "person": who})
    for start in range(0, 120, 7):
        gallery.add(vectors[start : start + 7] * 5, table[start : start + 7])
    assert len(gallery) == 120 and gallery.table.equals(table)
    hits = gallery.search(vectors[:10], k=3)
    known = ["query", "rank", "score", "distance"]
    assert hits.columns.tolist() == [*known, "camera", "track", "person"]
    np.testing.assert_allclose(hits["distance"], 1 - hits["score"], atol=1e-6)
    assert hits["track"][::3].tolist() == list(range(10))
    assert (hits["person"] == hits["query"]).all()
    cosine = (vectors[:10, None] * vectors[hits["track"].to_numpy().reshape(10, 3)]).sum(axis=2)
    np.testing.assert_allclose(hits["score"], cosine.ravel(), atol=1e-5)
    assert (hits.groupby("query")["score"].diff().dropna() <= 0).all()
    gallery.save(tmp_path / "known.npz")
    again = matching.Gallery.load(tmp_path / "known.npz", index).search(vectors[:10], k=3)
    pd.testing.assert_frame_equal(again, hits, rtol=1e-5, atol=1e-6)


def test_somebody_whom_nobody_resembles_is_new():
    known = pd.DataFrame({"label": [7, 8, 9], "name": list("abc")})
    gallery = matching.Gallery().add(np.eye(3), known)
    hits = gallery.search([[1, 0, 0.1], [1, 1, 1], [0, 0.1, 1]], k=2)
    assert matching.recognise(hits, 0.1).tolist() == [7, matching.NEW, 9]
    shuffled = hits.sample(frac=1, random_state=0)
    assert matching.recognise(shuffled, 0.5, by="name").tolist()[::2] == ["a", "c"]
    edge = hits["distance"].min()  # as near as the threshold is near enough
    assert matching.recognise(hits, edge).tolist().count(matching.NEW) == 1
    assert set(matching.recognise(hits, 0)) == {matching.NEW}
    with pytest.raises(ValueError, match="threshold is -0.1; expected a cosine distance"):
        matching.recognise(hits, -0.1)
    with pytest.raises(ValueError, match="hits lacks person"):
        matching.recognise(hits, 0.1, by="person")


def test_adding_to_a_gallery_copies_nothing_that_it_holds():
    gallery, first = matching.Gallery(), np.eye(4, dtype=np.float32)
    gallery.add(first, list("abcd"))
    held = gallery.vectors
    for i in range(200):
        gallery.add(np.eye(4)[[i % 4]], [i])
    assert np.shares_memory(gallery.store._blocks[0], held) and len(gallery) == 204
    assert gallery.search([[1.0, 0, 0, 0]], k=500)["label"].tolist()[:3] == ["a", 0, 4]
    assert gallery.vectors is gallery.vectors  # joined once, not by every search
    assert len(gallery.search(np.eye(4), k=500)) == 4 * 204


@pytest.mark.parametrize("index", ["exact", "faiss"])
def test_a_query_that_cannot_be_searched_is_refused(index):
    if index == "faiss" and not importlib.util.find_spec("faiss"):
        pytest.skip("faiss-cpu is not installed")
    gallery = matching.Gallery(index).add(np.eye(3), list("abc"))
    with pytest.raises(ValueError, match=r"\(1, 2\) and \(1, 3\).*same extractor"):
        gallery.search([[1.0, 0]])
    with pytest.raises(ValueError, match="1 of 2 feature rows hold NaN"):
        gallery.search([[1.0, 0, 0], [np.nan, 0, 0]])
    with pytest.raises(ValueError, match="k is 0"):
        gallery.search([[1.0, 0, 0]], k=0)
    assert gallery.search([[1.0, 0, 0]], k=9)["label"].tolist()[0] == "a"


class ShortSighted:
    """An index as FAISS's, of which a search meets two vectors and says -1 for all further hits."""

    def train(self, vectors):
        self.vectors = vectors[:0]

    def add(self, vectors):
        self.vectors = np.concatenate([self.vectors, vectors])

    def search(self, query, k, params):
        similarity = np.full((len(query), k), -3.4e38, np.float32)
        nearest = np.full((len(query), k), -1, np.int64)
        nearest[:, :2] = np.arange(2)[:k]
        similarity[:, :2] = (query @ self.vectors[:2].T)[:, :k]
        return similarity, nearest


def test_hits_that_the_index_does_not_reach_are_looked_for_one_by_one(monkeypatch):
    faiss = pytest.importorskip("faiss")
    monkeypatch.setattr(faiss, "index_factory", lambda *_: ShortSighted())
    monkeypatch.setattr(stores, "SMALL", 30)
    vectors, _ = people(20, 2, 0.3)
    gallery, exact = matching.Gallery("faiss"), matching.Gallery()
    for known in (gallery, exact):
        known.add(vectors, range(40))
    hits = gallery.search(vectors[:5], 3)
    assert (hits["distance"] < 2).all()
    pd.testing.assert_frame_equal(hits, exact.search(vectors[:5], 3))
    reached = gallery.search(vectors[5:7], 2).sort_values(["query", "label"])["label"].tolist()
    assert reached == [0, 1, 0, 1]  # what the graph does reach is taken from it


def test_gallery_explains_bad_input(monkeypatch):
    gallery = matching.Gallery()
    with pytest.raises(ValueError, match="empty; add vectors"):
        gallery.search([[1.0, 0]])
    gallery.add([[1.0, 0]], ["Ann"])
    with pytest.raises(ValueError, match="2 numbers in a vector"):
        gallery.add([[1.0, 0, 0]], ["Bo"])
    with pytest.raises(ValueError, match="as many rows"):
        gallery.add([[1.0, 0]], ["Bo", "Cy"])
    with pytest.raises(ValueError, match="NaN"):
        gallery.add([[np.nan, 0]], ["Bo"])
    with pytest.raises(ValueError, match="same extractor"):
        gallery.search([[1.0, 0, 0]])
    with pytest.raises(ValueError, match="'exact' or 'faiss'"):
        matching.Gallery("annoy")
    assert len(gallery) == 1
    monkeypatch.setitem(__import__("sys").modules, "faiss", None)
    with pytest.raises(assets.Unavailable, match="pip install faiss-cpu"):
        matching.Gallery("faiss").add([[1.0, 0]], ["Ann"])


def test_links_people_across_cameras_by_appearance():
    vectors, who = people(12, 3, 0.5)
    table = rows(*[(f"c{i // 12 + 1}", i, i % 12, i % 12 + 3.5) for i in range(36)])
    identities = matching.link(table, vectors)  # the threshold comes from people seen together
    assert agree(identities, who)
    assert identities.tolist() == (who + 1).tolist()  # numbered by first appearance
    shuffled = np.random.default_rng(1).permutation(36)
    again = matching.link(table.iloc[shuffled], vectors[shuffled])
    assert again.tolist() == identities[shuffled].tolist()


def test_linking_with_each_cameras_mean_taken_off():
    vectors, who = people(12, 3, 0.1)
    tint = np.repeat(np.eye(3, vectors.shape[1]), 12, axis=0)  # a direction for each camera
    table = rows(*[(f"c{i // 12 + 1}", i, i % 12, i % 12 + 3.5) for i in range(36)])
    seen = vectors / np.linalg.norm(vectors, axis=1, keepdims=True) + tint
    assert not agree(matching.link(table, seen, threshold=0.6), who)
    assert agree(matching.link(table, seen, threshold=0.6, centre=True), who)


def test_nobody_is_twice_in_one_camera_at_once():
    twins = np.tile([[1.0, 0]], (3, 1))
    together = rows(("c1", 1, 0, 5), ("c1", 2, 4, 9), ("c2", 1, 20, 30))
    identities = matching.link(together, twins, threshold=0.5)
    assert identities[0] != identities[1]
    apart = rows(("c1", 1, 0, 3), ("c1", 2, 4, 9), ("c2", 1, 20, 30))
    assert matching.link(apart, twins, threshold=0.5).tolist() == [1, 1, 1]


def test_a_constraint_holds_for_whole_groups():
    # a-b and b-c look alike, but a and c were seen side by side.
    angle = np.radians([0, 20, 41])
    vectors = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    table = rows(("c1", 1, 0, 9), ("c2", 1, 20, 29), ("c1", 2, 5, 12))
    assert matching.link(table, vectors, threshold=0.9).tolist() == [1, 1, 2]


def test_cameras_that_overlap_may_see_a_person_together():
    same = np.tile([[1.0, 0]], (2, 1))
    together = rows(("c1", 1, 0, 5), ("c2", 7, 2, 6))
    assert matching.link(together, same, threshold=0.1).tolist() == [1, 1]
    assert matching.link(together, same, threshold=0.1, overlap=[]).tolist() == [1, 2]
    pairs = [("c2", "c1")]
    assert matching.link(together, same, threshold=0.1, overlap=pairs).tolist() == [1, 1]
    later = rows(("c1", 1, 0, 5), ("c2", 7, 8, 12))
    hurry = {("c1", "c2"): 10}
    assert matching.link(later, same, threshold=0.1, overlap=[]).tolist() == [1, 1]
    assert matching.link(later, same, threshold=0.1, travel=hurry).tolist() == [1, 2]


def test_places_on_the_ground_separate_twins_and_join_changed_looks():
    time = np.arange(0, 10, 0.5)
    walk = np.stack([time, time, 0 * time], axis=1)
    aside = walk + [0, 0, 5]
    near = walk[3:] + [0.1, 0.2, -0.1]
    table = rows(("c1", 1, 0, 9.5), ("c1", 2, 0, 9.5), ("c2", 1, 1.5, 9.5))
    alike = np.array([[1.0, 0], [1, 0.1], [1, 0.1]])
    assert matching.link(table, alike, threshold=0.1)[2] == 2
    found = matching.link(table, alike, threshold=0.1, positions=[walk, aside, near])
    assert found.tolist() == [1, 2, 1]
    different = np.array([[1.0, 0], [0, 1], [0.6, 0.8]])  # appearance says 2, place says 1
    found = matching.link(table, different, threshold=0.2, positions=[walk, aside, near])
    assert found.tolist() == [1, 2, 1]
    far = rows(("c1", 1, 0, 9.5), ("c2", 1, 10.5, 12))
    jump = np.array([[10.5, 60, 0], [12, 61, 0]])
    step = np.array([[10.5, 11, 1], [12, 12, 1]])
    same = np.ones((2, 3))
    assert matching.link(far, same, threshold=0.2, positions=[walk, jump]).tolist() == [1, 2]
    assert matching.link(far, same, threshold=0.2, positions=[walk, step]).tolist() == [1, 1]


def test_who_is_seen_while_another_is_out_of_sight_is_placed_between():
    walk = np.array([[t, t, 0.0] for t in (0, 1, 2, 8, 9, 10)])
    between = np.array([[5, 5.0, 0.2], [6, 6.0, 0.2]])
    for paths in ([walk, between], [between, walk]):
        assert np.isfinite(place.on_the_ground(paths, 1.5, 3.0)).all()
        aside = [path + np.array([0, 9, 9]) * (len(path) == 2) for path in paths]
        assert np.isinf(place.on_the_ground(aside, 1.5, 3.0)[0, 1])


def test_walking_together_for_longer_convinces_more():
    def factor(seconds, metres):
        time = np.arange(0, seconds + 0.1, 0.1)
        walk = np.stack([time, time, 0 * time], axis=1)
        return place.on_the_ground([walk, walk + [0, 0, metres]], 1.5, 3.0)[0, 1]

    assert factor(0, 0.1) == 1  # one moment says nothing for it
    assert 1 > factor(1, 0.1) > factor(5, 0.1) > 0
    assert factor(5, 0.1) < factor(5, 1.0) < 1
    assert np.isinf([factor(0, 2), factor(5, 2)]).all()  # but it can say no


def test_hidden_feet_do_not_part_a_pair():
    time = np.arange(0, 8, 0.1)
    walk = np.stack([time, time, 0 * time], axis=1)
    hidden = walk + np.where(time < 5, 4.0, 0.1)[:, None] * [0, 0, 1]  # legs behind a bench
    assert place.on_the_ground([walk, hidden], 1.5, 3.0)[0, 1] < 0.4
    jump = walk[40:] + [0, 0, 6]
    jump[0, 1:] = 40, 40  # one wild box at the beginning of a path
    late = [walk[:30], jump + [3, -3, -6]]
    assert np.isfinite(place.on_the_ground(late, 1.5, 3.0)).all()


def test_a_glimpse_joins_a_group_and_does_not_make_one():
    angle = np.radians([0, 8, 38, 90])
    vectors = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    table = rows(("c1", 1, 0, 9), ("c2", 1, 20, 29), ("c1", 2, 12, 12.4), ("c2", 2, 31, 31.5))
    assert matching.link(table, vectors, threshold=0.25).tolist() == [1, 1, 1, 2]
    twice = rows(("c1", 1, 0, 9), ("c2", 1, 20, 29), ("c1", 2, 5, 5.4), ("c2", 2, 31, 31.5))
    assert matching.link(twice, vectors, threshold=0.25).tolist() == [1, 1, 2, 3]
    # Two glimpses between two people: in equal right they would bridge them.
    angle = np.radians([0, 36, 18, 20])
    vectors = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    found = matching.link(table, vectors, threshold=0.17)
    assert found[0] != found[1] and set(found[2:]) <= set(found[:2])
    assert len(set(matching.link(table, vectors, threshold=0.17, brief=0))) == 1
    only = table.assign(end=table["start"] + 0.3)
    assert len(set(matching.link(only, vectors, threshold=0.17))) == 1  # nobody else to join


def test_who_was_seen_too_briefly_is_not_counted():
    table = rows(("c1", 1, 0, 9), ("c1", 2, 3, 3.4), ("c2", 1, 5, 5.6), ("c2", 2, 7, 7.6))
    table["identity"] = [1, 2, 3, 3]
    kept, vectors = matching.without_glimpses(table, np.arange(8).reshape(4, 2))
    assert kept["track"].tolist() == [1, 1, 2] and kept["identity"].tolist() == [1, 2, 2]
    assert vectors.tolist() == [[0, 1], [4, 5], [6, 7]]
    only, _ = matching.without_glimpses(table[1:2], np.zeros((1, 2)))
    assert len(only) == 1  # glimpses are all there is


def test_rows_that_stand_for_several_boxes_make_the_same_tracklets():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {"camera": "a", "track": np.repeat([1, 2], 20), "frame": list(range(20)) * 2}
    )
    table = table.assign(time=table["frame"] / 10, confidence=rng.random(40))
    vectors = rng.normal(size=(40, 8)).astype(np.float32)
    vectors[3] = np.nan
    single, means = matching.tracklets(table, vectors)
    spans = averages.Averages()
    found = table.to_records(index=False)
    for start in range(0, 20, 5):
        chosen = table["frame"].between(start, start + 4).to_numpy()
        spans.add(found[chosen], vectors[chosen])
    samples, kept = spans.result()
    assert len(samples) == 4 and kept.dtype == np.float16
    together, again = matching.tracklets(samples.assign(camera="a"), kept)
    pd.testing.assert_frame_equal(together, single, check_dtype=False)
    np.testing.assert_allclose((means * again).sum(axis=1), 1, atol=1e-4)


def test_averages_of_a_long_track_stay_few():
    spans, vector = averages.Averages(limit=8), np.eye(3, dtype=np.float32)
    kinds = [("frame", int), ("time", float), ("track", int), ("confidence", float)]
    for frame in range(1000):
        box = np.array([(frame, frame / 10, 5, 0.5)], kinds)
        spans.add(box, vector[[min(frame // 500, 1)]])
        assert len(spans.spans[5]) <= 8
    samples, kept = spans.result()
    assert samples["frames"].sum() == 1000 and samples["last"].max() == 999
    assert (samples["frame"].iloc[1:].to_numpy() == samples["last"].iloc[:-1] + 1).all()
    assert samples["confidence"].sum() == pytest.approx(500)
    assert kept[0].tolist() == [1, 0, 0] and kept[-1].tolist() == [0, 1, 0]


def test_threshold_from_strangers_ignores_doubled_tracks():
    rng = np.random.default_rng(0)
    away = rng.normal(0.7, 0.1, (60, 60))
    strangers = np.ones((60, 60), bool)
    clean = matching._threshold(away, strangers)
    assert (away[np.triu(strangers, 1)] < clean).mean() == pytest.approx(0.01, abs=0.004)
    away[:, :3] = away[:3] = 0.02  # tracks that double another one
    assert matching._threshold(away, strangers) == pytest.approx(clean, abs=0.06)


def test_link_edge_cases():
    table = rows(("c1", 1, 0, 5), ("c2", 1, 6, 9), ("c3", 1, 10, 12))
    vectors = np.array([[1.0, 0], [np.nan, np.nan], [1, 0]])
    assert matching.link(table, vectors, threshold=0.2).tolist() == [1, 2, 1]
    assert matching.link(table[:0], vectors[:0]).tolist() == []
    assert matching.link(table[:1], vectors[:1]).tolist() == [1]
    assert len(matching.link(table, vectors * np.nan)) == 3
    with pytest.raises(ValueError, match="expected camera start end"):
        matching.link(table.drop(columns="start"), vectors)
    with pytest.raises(ValueError, match=r"3 tracklets, vectors of shape \(2, 2\)"):
        matching.link(table, vectors[:2])


def boxes(camera, frame, track, x):
    return {
        "camera": camera,
        "frame": frame,
        "time": frame / 10,
        "track": track,
        **{"x1": x, "y1": 0.0, "x2": x + 10.0, "y2": 30.0},
    }


def test_tracklets_leave_out_short_ones_and_boxes_without_vector():
    table = pd.DataFrame({"camera": "a", "track": [1] * 8 + [2] * 3, "frame": range(11)})
    table = table.assign(time=table["frame"] / 10, confidence=0.5)
    vectors = np.tile(np.float32([0.6, 0.8]), (11, 1))
    vectors[0] = np.nan
    rows, means = matching.tracklets(table, vectors, shortest=5)
    assert rows[["track", "first", "last", "frames"]].to_numpy().tolist() == [[1, 0, 7, 7]]
    np.testing.assert_allclose(means, [[0.6, 0.8]], rtol=1e-6)


def test_identities_are_scored_over_all_cameras():
    truth = pd.DataFrame(
        [boxes(c, f, p, 100.0 * p) for c in "ab" for f in range(20) for p in (1, 2)]
    )
    tracks = truth.assign(track=truth["track"] + 10)
    table, _ = matching.tracklets(tracks.assign(confidence=0.9), np.eye(80, dtype=np.float32))
    assert table["track"].tolist() == [11, 12, 11, 12] and table["frames"].tolist() == [20] * 4
    assert table["end"].tolist() == [1.9] * 4
    linked = matching.identify(tracks, table, [1, 2, 1, 2])
    assert linked.index.equals(tracks.index)
    assert matching.evaluate(truth, linked)["IDF1"] == pytest.approx(1)
    alone = matching.identify(linked, table, [1, 2, 3, 4])  # earlier identities give way
    assert matching.evaluate(truth, alone)["IDF1"] == pytest.approx(0.5)
    assert matching.evaluate(truth, alone)["MOTA"] < 1
    missing = matching.identify(tracks, table[:3], [1, 2, 1])
    assert (missing["identity"] == -1).sum() == 20
    assert matching.evaluate(truth, missing)["recall"] == pytest.approx(0.75)


def count(people, found):
    """Explain the count of rows (camera, person or identity, place, first frame, last frame)."""

    def table(stays, column):
        rows = [
            boxes(camera, frame, number, 100.0 * place) | {column: number}
            for camera, number, place, first, last in stays
            for frame in range(first, last)
        ]
        return pd.DataFrame(rows)

    truth, tracks = table(people, "track"), table(found, "identity")
    tracks["track"] = tracks.groupby(["camera", "identity", "x1"]).ngroup()
    return matching.explain_count(truth, tracks)


REASONS = ["found", "true", "split", "nobody", "merged", "seen too briefly", "missed"]


def test_a_right_count_needs_no_explanation():
    people = [("a", 1, 0, 0, 20), ("a", 2, 1, 0, 20), ("b", 1, 0, 30, 50)]
    explained = count(people, [("a", 5, 0, 0, 20), ("a", 6, 1, 0, 20), ("b", 5, 0, 30, 50)])
    assert [explained[key] for key in REASONS] == [2, 2, 0, 0, 0, 0, 0]


def test_a_wrong_count_is_explained():
    people = [
        ("a", 1, 0, 0, 20), ("b", 1, 0, 0, 20), ("c", 1, 0, 0, 20),  # split into three
        ("a", 2, 1, 0, 20), ("a", 3, 2, 0, 12),  # 3 is merged into 2's number
        ("a", 4, 3, 0, 20),  # seen too briefly: in a track that was not counted
        ("a", 7, 4, 0, 20),  # missed: nothing ever covers this person
    ]  # fmt: skip
    found = [
        ("a", 1, 0, 0, 20), ("b", 2, 0, 0, 20), ("c", 3, 0, 0, 20),
        ("a", 4, 2, 0, 8), ("a", 4, 1, 8, 20), ("a", -1, 3, 4, 20),
        ("a", 9, 8, 0, 20),  # nobody: it follows a lamp post
    ]  # fmt: skip
    explained = count(people, found)
    assert [explained[key] for key in REASONS] == [5, 5, 2, 1, 1, 1, 1]
    assert explained["who"]["split"] == {1: [1, 2, 3]}
    assert explained["who"]["merged"] == {3: 4}
    assert explained["who"]["nobody"] == [9]
    assert explained["who"]["seen too briefly"] == [4] and explained["who"]["missed"] == [7]


def test_the_count_always_adds_up():
    rng = np.random.default_rng(0)
    for _ in range(30):
        stays = [("ab"[rng.integers(2)], i, i % 5, 0, int(rng.integers(3, 30))) for i in range(9)]
        noise = [
            (camera, int(rng.integers(-1, 7)) if rng.random() < 0.6 else pid, place, first, last)
            for camera, pid, place, first, last in stays
            if rng.random() < 0.9
        ]
        noise = pd.DataFrame(noise).drop_duplicates([0, 1]).drop_duplicates([0, 2])
        explained = count(stays, noise.itertuples(index=False))
        more = explained["split"] + explained["nobody"]
        fewer = sum(explained[reason] for reason in ("merged", "seen too briefly", "missed"))
        assert explained["found"] == explained["true"] + more - fewer


def test_cameras_without_a_truth_do_not_count():
    found = [("a", 5, 0, 0, 20), ("b", 6, 0, 0, 20)]
    explained = count([("a", 1, 0, 0, 20)], found)
    assert (explained["found"], explained["true"]) == (1, 1)
    nothing = count([("a", 1, 0, 0, 20)], [("b", 6, 0, 0, 20)])
    assert (nothing["found"], nothing["missed"]) == (0, 1)


@pytest.mark.parametrize("small", [300, 40_000])
@pytest.mark.parametrize("spread", [0.0, 1e-4, 1e-3])
def test_an_index_answers_as_the_exact_search_where_vectors_are_alike(spread, small, monkeypatch):
    """Of a thousand equal vectors the first is the first hit, and they hide nobody else."""
    if not importlib.util.find_spec("faiss"):
        pytest.skip("faiss-cpu is not installed")
    monkeypatch.setattr(stores, "SMALL", small)
    rng = np.random.default_rng(0)
    one, others = rng.normal(size=(1, 64)), rng.normal(size=(1000, 64))
    vectors = np.concatenate([one + spread * rng.normal(size=(1000, 64)), others])
    approximate, exact = (matching.Gallery(index) for index in ("faiss", "exact"))
    for gallery in (approximate, exact):
        for start in range(0, 2000, 300):  # copies come in several parts
            gallery.add(vectors[start : start + 300], range(start, min(start + 300, 2000)))
    query = np.concatenate([np.repeat(one, 50, axis=0), others[:150]])
    query += 0.02 * rng.normal(size=query.shape)
    found, expected = (gallery.search(query, 5) for gallery in (approximate, exact))
    if not spread:
        assert (found["label"] == expected["label"]).all()
    assert (found["label"] == expected["label"]).mean() > 0.97  # others are equal but for rounding
    first = slice(None, None, 5)
    np.testing.assert_allclose(found["distance"][first], expected["distance"][first], atol=1e-6)
    np.testing.assert_allclose(found["distance"], expected["distance"], atol=2e-4)


def test_sparse_truth_is_scored_over_all_cameras_on_the_frames_that_it_labels():
    """Labels on every tenth frame: perfect tracks in all frames are perfect, in every camera."""
    frames = [("a", f, 1) for f in range(95)] + [("b", f, 2) for f in range(63)]
    tracks = pd.DataFrame([boxes(c, f, p, 10.0 * f) | {"identity": p} for c, f, p in frames])
    truth = tracks[(tracks["frame"] % 10 == 4) & (tracks["frame"] != 34)]  # nobody labelled there
    empty = tracks["frame"] == 34
    scored = matching.evaluate(truth, tracks[~empty])
    assert (scored["MOTA"], scored["IDF1"], scored["false_positives"]) == (1, 1, 0)
    assert matching.evaluate(truth, tracks)["false_positives"] == 2  # labelled, and empty
    explained = matching.explain_count(truth, tracks.assign(track=tracks["identity"]))
    assert [explained[key] for key in REASONS] == [2, 2, 0, 0, 0, 0, 0]


def test_more_tracklets_than_memory_holds_are_refused_before_any_work(monkeypatch):
    monkeypatch.setattr(place, "MOST", 3)
    table = pd.DataFrame({"camera": "a", "start": np.arange(4.0), "end": np.arange(4.0) + 0.5})
    assert len(matching.link(table[:3], np.eye(3), threshold=0.1)) == 3
    with pytest.raises(ValueError, match="4 tracklets.* 3 at a time are the most: give fewer hour"):
        matching.link(table, np.eye(4), threshold=0.1)
