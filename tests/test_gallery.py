"""Galleries that last: an index in little memory, a table that others use, rows that are gone."""

import datetime
import subprocess
import sys
import threading
import zipfile

import numpy as np
import pandas as pd
import pytest

from reidlib import assets
from reidlib.demonstration import galleries, inverted, lance, matching, stores
from reidlib.features import vectors as files
from reidlib.model import distances

ONE = {"name": "plaza", "sha256": "1" * 64, "threshold": 0.3}
OTHER = {"name": "plaza", "sha256": "2" * 64, "threshold": 0.3}


def crowd(people=40, copies=30, dim=32, noise=0.3, seed=0):
    """Return unit vectors of people, seen several times, and a table of who, where and when."""
    rng = np.random.default_rng(seed)
    who = np.tile(np.arange(people), copies)
    vectors = rng.normal(size=(people, dim))[who] + noise * rng.normal(size=(len(who), dim))
    table = pd.DataFrame(
        {"camera": np.where(who % 2, "yard", "d'oor"), "track": np.arange(len(who))}
    )
    table["start"] = np.arange(len(who)) * 1.0
    table["end"], table["name"] = table["start"] + 5, [f"person{i:04d}" for i in who]
    table["delete_after"] = np.where(who == 7, "2026-01-01", "2027-01-01")
    return distances.unit(vectors).astype(np.float32), table


@pytest.fixture
def small(monkeypatch):
    """Indices that a test can afford: more vectors than 200 get one."""
    monkeypatch.setattr(stores, "SMALL", 200)
    monkeypatch.setattr(stores, "LISTS", 8)


@pytest.fixture(params=["exact", "faiss", "lance"])
def kind(request):
    if request.param != "exact":
        pytest.importorskip({"faiss": "faiss", "lance": "lancedb"}[request.param])
    return request.param


def made(kind, tmp_path, features=None):
    return matching.Gallery(kind, tmp_path / "known" if kind == "lance" else None, features)


def place_of(kind, gallery, tmp_path):
    """Return where a gallery lies, which only LanceDB knows without saving it."""
    if kind == "lance":
        return tmp_path / "known"
    gallery.save(tmp_path / "known.npz")
    return tmp_path / "known.npz"


def content(folder, wanted):
    """Return the files in a folder that hold some bytes."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in found if wanted in path.read_bytes()]


def test_each_kind_finds_what_the_exact_search_finds(kind, small, tmp_path):
    vectors, table = crowd()
    gallery, exact = made(kind, tmp_path), matching.Gallery().add(vectors, table)
    for start in range(0, len(vectors), 250):
        gallery.add(vectors[start : start + 250] * 3, table[start : start + 250])
    assert len(gallery) == len(vectors) and gallery.table.equals(table)
    np.testing.assert_allclose(gallery.vectors, vectors, atol=1e-6)
    found, expected = gallery.search(vectors[:50], 5), exact.search(vectors[:50], 5)
    assert found.columns.tolist() == expected.columns.tolist()
    assert (found["track"] == expected["track"]).mean() > 0.99
    np.testing.assert_allclose(found["distance"], expected["distance"], atol=1e-4)
    assert found["track"][::5].tolist() == list(range(50))


def test_each_kind_looks_only_at_some_cameras_and_times(kind, small, tmp_path):
    vectors, table = crowd()
    gallery = made(kind, tmp_path).add(vectors, table)
    yard = gallery.search(vectors[:9], 4, cameras=["yard"])
    assert set(yard["camera"]) == {"yard"} and len(yard) == 36
    assert set(gallery.search(vectors[:2], 4, cameras=["d'oor"])["camera"]) == {"d'oor"}
    hits = gallery.search(vectors[:9], 3, cameras=["yard", "d'oor"], between=(100, 300.5))
    assert hits["start"].between(95, 300).all()
    exact = matching.Gallery().add(vectors, table).search(vectors[:9], 3, between=(100, 300.5))
    assert hits["track"].tolist() == exact["track"].tolist()
    few = gallery.search(vectors[:2], 9, between=(-9, 1.5))  # two tracks had begun by then
    assert few["rank"].tolist() == [1, 2, 1, 2] and few["query"].tolist() == [0, 0, 1, 1]
    for nobody in (
        gallery.search(vectors[:2], 3, cameras=["hall"]),
        gallery.search(vectors[:1], between=(1e6, 2e6)),
    ):
        assert nobody.empty and "track" in nobody and "distance" in nobody
    with pytest.raises(ValueError, match="table lacks camera"):
        made("exact", tmp_path).add(vectors, table.drop(columns="camera")).search(
            vectors, cameras=["a"]
        )


def test_each_kind_is_opened_as_it_was(kind, small, tmp_path, monkeypatch):
    """In a new process too: nothing is trained again, and the same is found."""
    vectors, table = crowd()
    gallery = made(kind, tmp_path, ONE).add(vectors, table)
    place, hits = place_of(kind, gallery, tmp_path), gallery.search(vectors[:20], 5)
    monkeypatch.setattr(inverted.Inverted, "_build", None)
    monkeypatch.setattr(lance.Lance, "_build", None)
    again = matching.Gallery.load(place)
    pd.testing.assert_frame_equal(again.search(vectors[:20], 5), hits, rtol=1e-5, atol=1e-6)
    assert again.store.features["sha256"] == ONE["sha256"]
    if kind != "lance":
        return
    code = (
        "import sys, numpy as np; from reidlib.demonstration import matching, stores;"
        "gallery = matching.Gallery.load(sys.argv[1]);"
        "hits = gallery.search(np.load(sys.argv[2])[:20], 5);"
        "print(type(gallery.store).__name__, *hits['track'])"
    )
    np.save(tmp_path / "query.npy", vectors)
    command = [sys.executable, "-c", code, str(place), str(tmp_path / "query.npy")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["Lance", *hits["track"].astype(str)]


def test_each_kind_goes_on_where_it_was_opened(kind, small, tmp_path):
    vectors, table = crowd()
    gallery = made(kind, tmp_path).add(vectors[:900], table[:900])
    again = matching.Gallery.load(place_of(kind, gallery, tmp_path))
    again.add(vectors[900:], table[900:])
    assert len(again) == 1200 and again.table.equals(table)
    assert again.search(vectors[890:910], 1)["track"].tolist() == list(range(890, 910))
    place = place_of(kind, again, tmp_path)
    assert len(matching.Gallery.load(place)) == 1200


def test_vectors_of_two_networks_are_not_mixed(kind, tmp_path):
    vectors, table = crowd(5, 2)
    place = place_of(kind, made(kind, tmp_path, ONE).add(vectors, table), tmp_path)
    gallery = matching.Gallery.load(place)
    assert len(gallery.add(vectors, table, ONE)) == 20
    with pytest.raises(ValueError, match="vectors of two networks cannot be compared"):
        gallery.add(vectors, table, OTHER)
    assert len(gallery) == 20
    if kind == "lance":
        with pytest.raises(ValueError, match=r"known was made with .* \(111111111111\)"):
            matching.Gallery("lance", place, OTHER)


def test_each_kind_refuses_what_cannot_be_kept_or_asked(kind, tmp_path):
    vectors, table = crowd(5, 2)
    gallery = made(kind, tmp_path)
    with pytest.raises(ValueError, match="the gallery is empty; add vectors"):
        gallery.search(vectors)
    assert len(gallery) == 0 and gallery.table.empty and gallery.vectors.size == 0
    gallery.add(vectors, table)
    with pytest.raises(ValueError, match="32 numbers in a vector"):
        gallery.add(vectors[:, :8], table)
    with pytest.raises(ValueError, match="vectors hold NaN"):
        gallery.add(vectors * np.nan, table)
    with pytest.raises(ValueError, match="1 of 10 feature rows hold NaN"):
        gallery.search(np.where(np.arange(10)[:, None] == 3, np.nan, vectors))
    with pytest.raises(ValueError, match="same extractor"):
        gallery.search(vectors[:, :8])
    assert len(gallery) == 10
    assert len(gallery.search(vectors[:2], 50)) == 20  # all it has


def test_rows_whose_day_is_over_are_gone(kind, small, tmp_path):
    """Their bytes too: vectors and names, from files, old versions and the index."""
    vectors, table = crowd()
    place = place_of(kind, made(kind, tmp_path, ONE).add(vectors, table), tmp_path)
    seen = vectors[7].tobytes()
    if kind != "exact":  # whose file is packed
        assert content(tmp_path, seen)
    before = [path for path in tmp_path.rglob("*.idx")]
    assert galleries.forget(place, "2026-06-01", dry_run=True) == 30
    assert len(matching.Gallery.load(place)) == 1200
    assert galleries.forget(place, datetime.date(2026, 6, 1)) == 30
    assert not content(tmp_path, seen) and not content(tmp_path, b"person0007")
    assert not [path for path in before if path.exists()]
    left = matching.Gallery.load(place)
    assert len(left) == 1170 and "person0007" not in set(left.table["name"])
    assert left.store.features["sha256"] == ONE["sha256"]
    hits = left.search(vectors[:20], 3)
    assert (hits["track"][::3] == [i if i != 7 else hits["track"][21] for i in range(20)]).all()
    assert galleries.forget(place, "2026-06-01") == 0


def test_a_gallery_of_lance_is_added_to_while_it_is_searched(small, tmp_path):
    pytest.importorskip("lancedb")
    vectors, table = crowd()
    gallery = matching.Gallery("lance", tmp_path / "known").add(vectors[:40], table[:40])
    other, seen, errors = matching.Gallery.load(tmp_path / "known"), [], []

    def look():
        try:
            while not seen or seen[-1] < 240:
                seen.append(len(other))
                assert other.search(vectors[3:4], 1)["track"].tolist() == [3]
        except BaseException as error:
            errors.append(error)

    looking = threading.Thread(target=look)
    looking.start()
    for start in range(40, 240, 20):
        gallery.add(vectors[start : start + 20], table[start : start + 20])
    looking.join(timeout=60)
    assert not errors and not looking.is_alive()
    assert seen[-1] == 240 and all(count % 20 == 0 for count in seen)  # an addition whole, or not


def test_a_table_of_lance_keeps_its_columns(tmp_path):
    pytest.importorskip("lancedb")
    vectors, table = crowd(5, 2)
    gallery = matching.Gallery("lance", tmp_path / "known").add(vectors, table)
    gallery.add(vectors, table.drop(columns="name"))  # not known of these
    assert gallery.table["name"].isna().tolist() == [False] * 10 + [True] * 10
    with pytest.raises(ValueError, match="columns that cannot be kept: colour; the gallery's"):
        gallery.add(vectors, table.assign(colour="red"))
    with pytest.raises(ValueError, match="of another kind than the gallery's"):
        gallery.add(vectors, table.assign(start="noon"))
    with pytest.raises(ValueError, match="columns that cannot be kept: distance"):
        matching.Gallery("lance", tmp_path / "new").add(vectors, table.assign(distance=0))
    assert len(gallery) == 20
    gallery.save(tmp_path / "copy.npz")
    copied = matching.Gallery.load(tmp_path / "copy.npz")
    np.testing.assert_array_equal(copied.vectors, gallery.vectors)


def test_places_that_hold_no_gallery_are_one_clear_error(tmp_path, monkeypatch):
    pytest.importorskip("lancedb")
    with pytest.raises(FileNotFoundError, match="no gallery at .*none; give its folder"):
        matching.Gallery.load(tmp_path / "none")
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(ValueError, match="is there, but is no gallery; give a folder of its own"):
        matching.Gallery("lance", tmp_path)
    with pytest.raises(ValueError, match="'lance' needs a place"):
        matching.Gallery("lance")
    with pytest.raises(ValueError, match="written to a file by save"):
        matching.Gallery("exact", tmp_path / "x")
    vectors, table = crowd(5, 2)
    matching.Gallery("lance", tmp_path / "known").add(vectors, table)
    for path in (tmp_path / "known").rglob("*.manifest"):
        path.write_bytes(b"broken")
    with pytest.raises(OSError, match=r"known cannot be used \(.*make it anew"):
        matching.Gallery.load(tmp_path / "known")
    monkeypatch.setitem(sys.modules, "lancedb", None)
    with pytest.raises(assets.Unavailable, match=r"pip install 'reidlib\[gallery\]'"):
        matching.Gallery("lance", tmp_path / "new")


def test_object_storage_that_is_not_there_is_one_clear_error(monkeypatch):
    pytest.importorskip("lancedb")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "none")
    monkeypatch.setenv("AWS_REGION", "nowhere")
    monkeypatch.setenv("AWS_ENDPOINT", "http://127.0.0.1:9")  # where nobody answers
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("OBJECT_STORE_CLIENT_MAX_RETRIES", "0")
    with pytest.raises(OSError, match="s3://bucket/known cannot be used"):
        matching.Gallery("lance", "s3://bucket/known")


def test_a_damaged_file_of_an_index_is_one_clear_error(small, tmp_path):
    pytest.importorskip("faiss")
    vectors, table = crowd()
    path = tmp_path / "known.npz"
    matching.Gallery("faiss").add(vectors, table).save(path)
    whole = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        index = archive.getinfo(inverted.MEMBER).header_offset
    for broken in (whole[:-5000], whole[: index + 90] + b"x" * 40 + whole[index + 130 :], b"PK"):
        path.write_bytes(broken)
        with pytest.raises(ValueError, match=r"known.npz is no gallery that can be read"):
            matching.Gallery.load(path)
    path.write_bytes(whole)
    rows = path.with_suffix(".csv").read_text().splitlines()
    path.with_suffix(".csv").write_text("\n".join(rows[:-1]))
    with pytest.raises(ValueError, match="1200 vectors, .* its .csv 1199 rows"):
        matching.Gallery.load(path)


def test_a_file_of_one_index_opens_as_another(small, tmp_path):
    pytest.importorskip("faiss")
    vectors, table = crowd()
    path = tmp_path / "known.npz"
    matching.Gallery("faiss").add(vectors, table).save(path)
    exact = matching.Gallery.load(path, "exact")
    assert type(exact.store) is stores.Exact and len(exact) == 1200
    read, rows = files.read(path)
    np.testing.assert_allclose(read, vectors, atol=1e-6)
    assert rows.equals(table)
    exact.save(path)
    assert matching.Gallery.load(path, "faiss").store._index is not None  # built, as none was there


def test_an_index_holds_one_copy_of_the_vectors_in_a_file(small, tmp_path):
    """Memory has a byte a number; what is saved while it is open stays readable."""
    pytest.importorskip("faiss")
    vectors, table = crowd(dim=64)
    path = tmp_path / "known.npz"
    matching.Gallery("faiss").add(vectors, table).save(path)
    gallery = matching.Gallery.load(path)
    assert gallery.store._blocks == [] and gallery.store._index.code_size == 64
    other = matching.Gallery.load(path)
    other.store.keep(np.arange(1200) < 300)
    other.save(path)  # the first still reads what it opened
    assert gallery.search(vectors[[900]], 1)["track"].tolist() == [900]
