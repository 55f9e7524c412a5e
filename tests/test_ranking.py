"""Ranking against plain loops that follow the protocol word by word."""

from types import SimpleNamespace

import numpy as np
import pytest

from reidlib.model import distances, ranking, verification


def brute_force(scores, query_pids, query_camids, gallery_pids, gallery_camids, trapezoid=False):
    """CMC, AP and INP as the protocol describes them, one image at a time; higher is nearer."""
    firsts, aps, inps = [], [], []
    for i in range(len(query_pids)):
        ranked = sorted(range(len(gallery_pids)), key=lambda j: (-scores[i, j], j))
        found, seen, area, before = 0, 0, [], 1.0
        places = []
        for j in ranked:
            same = gallery_pids[j] == query_pids[i]
            if gallery_pids[j] == -1 or (
                same and gallery_camids[j] == query_camids[i] and query_camids[i] >= 0
            ):
                continue
            seen += 1
            if same and query_pids[i] > 0:
                found += 1
                places.append(seen)
                area.append((found / seen + before) / 2 if trapezoid else found / seen)
            before = found / seen
        firsts.append(places[0] if places else np.nan)
        aps.append(np.mean(area) if places else np.nan)
        inps.append(len(places) / places[-1] if places else np.nan)
    return np.array(firsts), np.array(aps), np.array(inps)


def random_case(seed):
    """A small data set with junk, distractors, unknown cameras and queries without a match."""
    rng = np.random.default_rng(seed)
    queries, images = rng.integers(1, 9), rng.integers(1, 40)
    pids = rng.integers(1, 6, queries), rng.integers(-1, 6, images)
    pids[0][rng.random(queries) < 0.1] = rng.integers(-1, 1)
    camids = rng.integers(1, 4, queries), rng.integers(1, 4, images)
    if seed % 5 == 0:
        camids[1][rng.random(images) < 0.3] = -1
    return rng, (pids[0], camids[0], pids[1], camids[1])


def grid(rng, rows):
    """Vectors of length 2 with exact cosines in quarters: many exact ties."""
    vectors = np.zeros((rows, 8))
    for row in vectors:
        row[rng.choice(8, 4, replace=False)] = rng.choice([-1, 1], 4)
    return vectors


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("ap", ["mean", "trapezoid"])
def test_agrees_with_plain_loops(metric, ap):
    evaluated = 0
    for seed in range(150):
        rng, labels = random_case(seed)
        if seed % 3 == 0:  # ties everywhere
            query, gallery = grid(rng, len(labels[0])), grid(rng, len(labels[2]))
        else:
            query = rng.normal(size=(len(labels[0]), 5))
            gallery = rng.normal(size=(len(labels[2]), 5))
            gallery[rng.random(len(gallery)) < 0.3] = gallery[0]
        if metric == "cosine":
            lengths = np.linalg.norm(query, axis=1)[:, None] * np.linalg.norm(gallery, axis=1)
            scores = np.einsum("qd,gd->qg", query, gallery) / lengths
        else:
            scores = -((query[:, None] - gallery) ** 2).sum(axis=2)
        scores = scores.round(12)  # equal vectors may differ in the last bit
        first, aps, inps = brute_force(scores, *labels, trapezoid=ap == "trapezoid")
        arguments = query, *labels[:2], gallery, *labels[2:]
        if np.isnan(aps).all():
            with pytest.raises(ValueError, match="true match"):
                ranking.evaluate(*arguments)
            continue
        if seed % 3:  # near-equal floats: rank the rounded scores
            result = ranking.evaluate_distances(-scores, *labels, ap=ap)
        else:
            result = ranking.evaluate(*arguments, metric=metric, ap=ap, block=3)
        np.testing.assert_allclose(result.ap, aps, rtol=0, atol=1e-9)
        np.testing.assert_allclose(result.inp, inps, rtol=0, atol=1e-9)
        np.testing.assert_array_equal(result.first, first)
        assert result.mAP == pytest.approx(np.nanmean(aps), abs=1e-9)
        assert result.mINP == pytest.approx(np.nanmean(inps), abs=1e-9)
        counted = first[~np.isnan(first)]
        np.testing.assert_allclose(
            result.cmc[[0, 4, 49]], [(counted <= k).mean() for k in (1, 5, 50)]
        )
        assert (result.valid, result.skipped) == (len(counted), len(first) - len(counted))
        evaluated += 1
    assert evaluated > 100


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_continuous_features_in_float64_and_float32(metric):
    for seed in range(40):
        rng, labels = random_case(1000 + seed)
        query = rng.normal(size=(len(labels[0]), 16)) * 3
        gallery = rng.normal(size=(len(labels[2]), 16)) * 3
        arguments = query, *labels[:2], gallery, *labels[2:]
        _, aps, _ = brute_force(-distances.distances(query, gallery, metric), *labels)
        if np.isnan(aps).all():
            continue
        result = ranking.evaluate(*arguments, metric=metric)
        np.testing.assert_allclose(result.ap, aps, rtol=0, atol=1e-9)
        single = [a.astype(np.float32) if a.dtype == float else a for a in arguments]
        assert ranking.evaluate(*single, metric=metric).mAP == pytest.approx(result.mAP, abs=1e-9)


def test_protocol_by_hand():
    # Ranked: junk (own camera), distractor, match, pid -1, other person, match.
    away = [[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]]
    labels = [5], [1], [5, 0, 5, -1, 7, 5], [1, 2, 2, 2, 2, 3]
    result = ranking.evaluate_distances(away, *labels)
    assert result.first.tolist() == [2]
    assert result.mAP == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert result.mINP == pytest.approx(2 / 4)
    assert result.cmc[:3].tolist() == [0, 1, 1]
    assert len(result.cmc) == 50 and result.notes == ()
    trapezoid = ranking.evaluate_distances(away, *labels, ap="trapezoid")
    assert trapezoid.mAP == pytest.approx(((0 + 1 / 2) / 2 + (1 / 3 + 2 / 4) / 2) / 2)
    assert ranking.junk(*labels).tolist() == [[True, False, False, True, False, False]]


def test_ties_rank_in_gallery_order():
    labels = [1], [1], [2, 1, 1, 3], [2, 2, 2, 2]
    result = ranking.evaluate_distances([[0.5, 0.5, 0.5, 0.5]], *labels)
    assert result.first.tolist() == [2] and result.inp.tolist() == [2 / 3]


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_copies_of_an_image_tie_exactly(metric):
    """The products of equal rows differ in their last digits, depending on where they stand."""
    for seed in range(60):
        rng = np.random.default_rng(seed)
        some = rng.normal(size=(9, 37))
        rows = rng.integers(0, 9, 61)
        query, labels = rng.normal(size=(5, 37)), rng.integers(1, 4, 61)
        who, far = rng.integers(1, 4, 5), distances.distances(query, some, metric)
        got = ranking.evaluate(query, who, [0] * 5, some[rows], labels, [1] * 61, metric=metric)
        _, ap, _ = brute_force(-far[:, rows], who, [0] * 5, labels, [1] * 61)
        np.testing.assert_allclose(got.ap, ap, rtol=0, atol=1e-12)


def test_the_nearest_of_many_equals_come_in_gallery_order():
    rng = np.random.default_rng(0)
    for k in range(1, 10):
        query, gallery = rng.integers(0, 2, (6, 3)), rng.integers(0, 2, (40, 3))
        found, away = distances.top(query, gallery, k, metric="euclidean")
        exact = ((query[:, None] - gallery) ** 2).sum(axis=2)
        np.testing.assert_array_equal(found, np.argsort(exact, axis=1, kind="stable")[:, :k])


def test_missing_cameras_are_explained():
    features = np.eye(3)
    result = ranking.evaluate(features, [1, 2, 3], None, features, [1, 2, 3], None)
    assert result.cmc[0] == 1
    assert "camera ids are missing" in result.notes[0]
    unknown = np.full(3, -1)
    again = ranking.evaluate(features, [1, 2, 3], unknown, features, [1, 2, 3], unknown)
    assert again.notes == result.notes and again.mAP == result.mAP


def test_a_camera_called_0_is_a_known_camera():
    """Its own images are junk, by any way to ask, and nothing is said to be missing."""
    labels = [5, 5], [0, 1], [5, 5, 7], [0, 1, 0]
    nearest_first = [[0.1, 0.3, 0.2], [0.1, 0.2, 0.3]]
    result = ranking.evaluate_distances(nearest_first, *labels)
    assert result.first.tolist() == [2, 1] and result.notes == ()
    assert ranking.junk(*labels).tolist() == [[True, False, False], [False, True, False]]
    found = ranking.true_matches(*labels)
    assert (found.rows.tolist(), found.columns.tolist()) == ([0, 1], [1, 0])
    assert (found.junk_rows.tolist(), found.junk_columns.tolist()) == ([0, 1], [0, 1])
    features = np.eye(3)[[0, 1]], np.eye(3)
    genuine, impostor = verification.verification(
        features[0], *labels[:2], features[1], *labels[2:]
    )
    assert genuine.tolist() == [1, 1] and impostor.tolist() == [1, 1]


def test_queries_without_identity_are_left_out_and_counted():
    features = np.eye(3)
    result = ranking.evaluate(features, [0, -1, 3], [1, 1, 1], features, [0, -1, 3], [2, 2, 2])
    assert (result.valid, result.skipped) == (1, 2)
    assert np.isnan(result.ap).tolist() == [True, True, False]
    assert "count from 0" in result.notes[0]
    assert result.summary()["left out"] == 2 and result.summary()["rank-1"] == 1


def test_bad_input_is_explained():
    x = np.eye(4)
    one, two = [1, 1, 1, 1], [2, 2, 2, 2]
    with pytest.raises(ValueError, match="own camera.*second camera.*None"):
        ranking.evaluate(x, one, one, x, one, one)
    with pytest.raises(ValueError, match="no query identity is in the gallery"):
        ranking.evaluate(x, one, one, x, two, two)
    broken = x.copy()
    broken[2, 0] = np.nan
    with pytest.raises(ValueError, match="1 of 4 feature rows hold NaN.*row 2"):
        ranking.evaluate(x, one, one, broken, one, two)
    with pytest.raises(ValueError, match="without NaN"):
        ranking.evaluate_distances(broken, one, one, one, two)
    with pytest.raises(ValueError, match=r"gallery_pids have shape \(2,\); expected \(4,\)"):
        ranking.evaluate(x, one, one, x, [1, 2], two)
    with pytest.raises(ValueError, match=r"query_camids have shape \(1,\); expected \(4,\)"):
        ranking.evaluate(x, one, [1], x, one, two)
    with pytest.raises(ValueError, match="same extractor"):
        ranking.evaluate(x, one, one, x[:, :3], one, two)
    with pytest.raises(ValueError, match="not empty"):
        ranking.evaluate(x[:0], [], [], x, one, two)
    with pytest.raises(ValueError, match="whole numbers"):
        ranking.evaluate(x, [1.0, np.nan, 1, 1], one, x, one, two)
    with pytest.raises(ValueError, match="'mean' or 'trapezoid'"):
        ranking.evaluate(x, one, one, x, one, two, ap="voc")
    with pytest.raises(ValueError, match="'cosine' or 'euclidean'"):
        ranking.evaluate(x, one, one, x, one, two, metric="dot")


def test_interval_resamples_identities():
    # One person with 90 failing queries and nine with one good query each: resampling queries
    # would give a narrow interval around .09, resampling people has to give a wide one.
    pids = np.array([1] * 90 + list(range(2, 11)))
    match = pids > 1
    away = np.where(match, 0.1, 0.9)[:, None] * np.ones((1, 10))
    away[match] = 0.9
    away[match, pids[match] - 1] = 0.1
    away[~match, 0] = 0.95
    result = ranking.evaluate_distances(away, pids, np.ones(99, int), np.arange(1, 11), [2] * 10)
    assert result.cmc[0] == pytest.approx(9 / 99)
    low, high = result.interval("rank1")
    assert low < 0.05 and high == 1
    assert result.interval("rank1") == result.interval("rank1", seed=0)
    assert result.interval("rank10") == (1, 1)
    low, high = result.interval("mAP", confidence=0.5)
    assert low < result.mAP < high
    with pytest.raises(ValueError, match="'mAP', 'mINP' or 'rank1'"):
        result.interval("rank-one")


def test_a_paired_interval_draws_the_same_people_for_both():
    rng = np.random.default_rng(0)
    pids, gallery_pids = np.repeat(np.arange(1, 41), 3), np.repeat(np.arange(1, 41), 2)
    labels = pids, np.ones(120, int), gallery_pids, np.full(80, 2)
    same = pids[:, None] == gallery_pids
    hard = rng.normal(0, 0.5, 41)[pids][:, None]  # some people are hard for everybody
    noise = rng.normal(0, 0.4, same.shape)
    good = ranking.evaluate_distances(noise - same * (1.25 + hard), *labels)
    bad = ranking.evaluate_distances(noise - same * (1.15 + hard), *labels)
    low, high = good.difference(bad)
    assert 0 < low < good.mAP - bad.mAP < high
    alone = [result.interval("mAP") for result in (good, bad)]
    assert alone[0][0] < alone[1][1]  # the intervals of the two scores overlap
    assert high - low < 0.5 * (alone[0][1] - alone[0][0])
    assert good.difference(good) == good.difference(good, "rank5") == (0, 0)
    mirrored = bad.difference(good)
    np.testing.assert_allclose(mirrored, (-high, -low))
    fewer = ranking.evaluate_distances(noise[:60], pids[:60], labels[1][:60], *labels[2:])
    with pytest.raises(ValueError, match="of 120 and 60 queries"):
        good.difference(fewer)
    with pytest.raises(ValueError, match="'mAP', 'mINP' or 'rank1'"):
        good.difference(bad, "ap")


def test_distances_and_top():
    rng = np.random.default_rng(0)
    query, gallery = rng.normal(size=(7, 4)), rng.normal(size=(30, 4))
    away = distances.distances(query, gallery, "euclidean")
    np.testing.assert_allclose(away, np.linalg.norm(query[:, None] - gallery, axis=2))
    assert distances.distances(query, query * 3)[2, 2] == pytest.approx(0, abs=1e-12)
    labels = rng.integers(1, 4, 7), np.ones(7, int), rng.integers(-1, 4, 30), rng.integers(1, 3, 30)
    junk = ranking.junk(*labels)
    indices, nearest = distances.top(query, gallery, 5, metric="euclidean", junk=junk)
    for i in range(7):
        kept = [j for j in np.argsort(away[i]) if not junk[i, j]]
        assert indices[i].tolist() == kept[:5]
        np.testing.assert_allclose(nearest[i], away[i, kept[:5]])
    indices, nearest = distances.top(
        [[1.0, 0]], [[1.0, 0], [0, 1]], 5, junk=np.array([[True, False]])
    )
    assert indices.tolist() == [[1, -1]] and np.isinf(nearest[0, 1])


def test_centring_takes_off_what_a_camera_adds():
    rng = np.random.default_rng(3)
    people, cameras = np.repeat(np.arange(40), 4), np.tile([1, 1, 2, 2], 40)
    looks = rng.normal(size=(40, 16))[people] + 0.2 * rng.normal(size=(160, 16))
    tint = 4 * np.eye(3, 16)
    seen = distances.unit(looks + tint[cameras])
    split = SimpleNamespace(labels=(people[::2], cameras[::2], people[1::2], cameras[1::2]))
    plain = ranking.score(seen[::2], seen[1::2], split)
    centred = ranking.score(seen[::2], seen[1::2], split, centre=True)
    assert plain.cmc[0] < 0.7 and centred.cmc[0] > 0.9
    rows = distances.centred(seen, cameras, few=0)
    assert np.linalg.norm(rows, axis=1) == pytest.approx(1)
    # With one camera nothing but the mean of all is lost, and few or many is the same.
    alone = distances.centred(seen, np.ones(160))
    assert alone == pytest.approx(distances.centred(seen, np.ones(160), few=0))
    with pytest.raises(ValueError, match="cameras of shape"):
        distances.centred(seen, cameras[:-1])


def test_top_needs_at_least_one():
    with pytest.raises(ValueError, match="k is 0; expected 1 or more"):
        distances.top(np.eye(2), np.eye(2), 0)
    assert distances.top(np.eye(2), np.eye(2), 1)[0].tolist() == [[0], [1]]


def test_verification_thresholds():
    query, gallery = np.eye(2), np.array([[1.0, 0], [0.8, 0.6], [0, 1], [1, 0], [0.6, 0.8]])
    labels = [1, 0], [1, 1], [1, 1, 2, -1, 0], [1, 2, 1, 2, 2]
    genuine, impostor = verification.verification(query, *labels[:2], gallery, *labels[2:])
    np.testing.assert_allclose(genuine, [0.2])
    np.testing.assert_allclose(impostor, [1.0, 0.4])
    curve = verification.roc([0.1, 0.2, 0.2, 0.6], [0.15, 0.5, 0.7, 0.8])
    assert curve.threshold.tolist() == [0.1, 0.2, 0.6]
    assert curve.fmr.tolist() == [0, 0.25, 0.5] and curve.tmr.tolist() == [0.25, 0.75, 1]
    assert verification.equal_error_rate([0.1, 0.2, 0.2, 0.6], [0.15, 0.5, 0.7, 0.8]) == (0.25, 0.2)
    impostor = np.random.default_rng(0).random(1000).round(2)  # with ties
    for fmr in (0, 0.001, 0.01, 0.29, 0.5):
        threshold = verification.threshold_at(fmr, impostor)
        assert (impostor <= threshold).mean() <= fmr
        assert (impostor <= np.nextafter(threshold, 1)).mean() > fmr
    with pytest.raises(ValueError, match="fmr is 1"):
        verification.threshold_at(1, impostor)
    with pytest.raises(ValueError, match="genuine distances are empty"):
        verification.roc([], impostor)


def dense_rerank(query, gallery, k1, k2, weight):
    """Zhong et al. (2017) on full matrices, an image at a time."""
    x = np.concatenate([query, gallery])
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    original = ((x[:, None] - x) ** 2).sum(axis=2)
    original /= original.max(axis=1, keepdims=True)
    rank = np.argsort(original, axis=1)

    def reciprocal(i, k):
        return {j for j in rank[i, : k + 1] if i in rank[j, : k + 1]}

    weights = np.zeros_like(original)
    for i in range(len(x)):
        wide = reciprocal(i, k1)
        members = set(wide)
        for j in wide:
            narrow = reciprocal(j, round(k1 / 2))
            if len(narrow & wide) > 2 / 3 * len(narrow):
                members |= narrow
        members = sorted(members)
        weights[i, members] = np.exp(-original[i, members])
        weights[i] /= weights[i].sum()
    weights = np.stack([weights[rank[i, :k2]].mean(axis=0) for i in range(len(x))])
    common = np.minimum(weights[: len(query), None], weights[None, len(query) :]).sum(axis=2)
    jaccard = 1 - common / (2 - common)
    return jaccard * (1 - weight) + original[: len(query), len(query) :] * weight


@pytest.mark.parametrize("k1, k2, weight", [(20, 6, 0.3), (7, 1, 0.0), (5, 3, 0.8), (3, 6, 0.3)])
def test_rerank_equals_the_dense_algorithm(k1, k2, weight):
    rng = np.random.default_rng(3)
    centres = rng.normal(size=(12, 16))
    query = centres + rng.normal(size=(12, 16)) * 0.8
    gallery = np.repeat(centres, 12, axis=0) + rng.normal(size=(144, 16)) * 0.8
    expected = dense_rerank(query, gallery, k1, k2, weight)
    got = distances.rerank(query, gallery, k1, k2, weight)
    assert got.shape == (12, 144) and got.dtype == np.float32
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)


def test_rerank_helps_and_survives_tiny_galleries():
    rng = np.random.default_rng(0)
    pids = np.repeat(np.arange(1, 31), 10)
    centres = rng.normal(size=(31, 32))
    features = centres[pids] + rng.normal(size=(300, 32)) * 1.5
    camids = np.tile(np.arange(10), 30)
    query, rest = camids == 0, camids > 0
    labels = pids[query], camids[query], pids[rest], camids[rest]
    plain = ranking.evaluate(features[query], *labels[:2], features[rest], *labels[2:])
    better = distances.rerank(features[query], features[rest])
    assert ranking.evaluate_distances(better, *labels).mAP > plain.mAP + 0.02
    assert np.isfinite(distances.rerank([[1.0, 0]], [[1.0, 0], [0, 1]])).all()
    assert np.isfinite(distances.rerank(np.ones((2, 3)), np.ones((4, 3)))).all()
    with pytest.raises(ValueError, match="NaN"):
        distances.rerank([[np.nan, 0]], [[1.0, 0]])
    with pytest.raises(ValueError, match="k2=0.*expected 1 or more"):
        distances.rerank(np.eye(3), np.eye(3), k2=0)


def test_cameras_may_be_counted_from_0():
    """Camera 0 is a camera: only ids below 0 are unknown."""
    _, labels = random_case(7)
    rng = np.random.default_rng(7)
    query, gallery = rng.normal(size=(len(labels[0]), 5)), rng.normal(size=(len(labels[2]), 5))
    from_zero = [labels[0], labels[1] - 1, labels[2], labels[3] - 1]
    assert min(from_zero[1].min(), from_zero[3].min()) == 0
    one = ranking.evaluate(query, *labels[:2], gallery, *labels[2:])
    zero = ranking.evaluate(query, *from_zero[:2], gallery, *from_zero[2:])
    np.testing.assert_array_equal(one.ap, zero.ap)
    assert zero.notes == one.notes
    np.testing.assert_array_equal(ranking.junk(*labels), ranking.junk(*from_zero))
    junk = ranking.evaluate_distances([[0.1, 0.2, 0.3]], [5], [0], [5, 6, 5], [0, 0, 1])
    assert junk.first.tolist() == [2]
    with pytest.raises(ValueError, match="own camera"):
        ranking.true_matches([5], [0], [5], [0])
