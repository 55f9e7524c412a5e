"""Image sets: the layouts, the division by identity, and files that are wrong."""

import shutil
import warnings

import cv2
import numpy as np
import pandas as pd
import pytest

from reidlib.collection import datasets, encoding


def put(path, value=100, size=(20, 10)):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.full((*size, 3), value, np.uint8)
    path.write_bytes(cv2.imencode(path.suffix, image)[1].tobytes())


@pytest.fixture
def market(tmp_path):
    root = tmp_path / "market"
    for name in ("0002_c1s1_000451_03.jpg", "0002_c2s1_000776_01.jpg"):
        put(root / "bounding_box_train" / name)
    put(root / "query" / "0003_c1s1_000001_00.jpg")
    for name in ("-1_c1s1_000001_01", "0000_c2s2_000002_00", "0003_c4s1_000009_00"):
        put(root / "bounding_box_test" / f"{name}.jpg")
    (root / "bounding_box_test" / "Thumbs.db").write_text("")
    return root


@pytest.fixture
def people(tmp_path):
    """Ten folders, two cameras with two images each."""
    root = tmp_path / "people"
    for pid in range(10):
        for camera in (1, 2):
            for k in range(2):
                put(root / f"person {pid}" / f"x_c{camera}_{k}.png")
    return root


def test_market_layout(market):
    dataset = datasets.load(market)
    assert dataset.name == "market"
    assert dataset.train.pid.tolist() == [2, 2] and dataset.train.camid.tolist() == [1, 2]
    assert sorted(dataset.gallery.pid) == [-1, 0, 3]
    assert dataset.gallery.set_index("pid").camid[3] == 4
    assert dataset.summary().loc["gallery"].tolist() == [3, 1, 3]
    assert all(path.is_file() for path in dataset.query.path)


def test_a_summary_counts_camera_0_and_leaves_nobody_out_but_nobodies():
    table = pd.DataFrame(
        {"path": list("abcde"), "pid": [1, 1, 3, 0, -1], "camid": [0, 1, 1, -1, 4]}
    )
    summary = datasets.Dataset("made up", "", table, table[:1], table[3:]).summary()
    assert summary.to_numpy().tolist() == [[5, 2, 3], [1, 1, 1], [2, 0, 1]]
    assert summary.index.tolist() == ["train", "query", "gallery"]


def test_duke_and_cuhk03_names(market):
    put(market / "query" / "0005_c2_f0046985.jpg")
    put(market / "query" / "0007_c1_1.png")
    query = datasets.load(market).query.set_index("pid")
    assert query.camid[5] == 2 and query.camid[7] == 1


def test_msmt17_lists(tmp_path):
    for part, folder in {
        "train": "train",
        "val": "train",
        "query": "test",
        "gallery": "test",
    }.items():
        pid = 0 if part in ("train", "val") else 4
        file = f"{pid:04d}/{pid:04d}_{part}_07_0303morning_0008_0.jpg"
        put(tmp_path / folder / file)
        (tmp_path / f"list_{part}.txt").write_text(f"{file} {pid}\n")
    dataset = datasets.load(tmp_path)
    assert dataset.train.pid.tolist() == [1, 1] and dataset.query.pid.tolist() == [5]
    assert dataset.gallery.camid.tolist() == [7] and dataset.gallery.path[0].is_file()


def test_damaged_msmt17_lists_are_named(tmp_path):
    put(tmp_path / "train" / "0000_000_01_a.jpg")
    (tmp_path / "list_train.txt").write_text("0000_000_01_a.jpg 0\n")
    with pytest.raises(FileNotFoundError, match="no list_query.txt"):
        datasets.load(tmp_path)
    (tmp_path / "list_query.txt").write_text("\n")
    with pytest.raises(ValueError, match="list_query.txt holds no images"):
        datasets.load(tmp_path)
    (tmp_path / "list_train.txt").write_text("0000_000_01_a.jpg 0\n0000/photo.jpg 0\n")
    with pytest.raises(ValueError, match="list_train.txt has the line '0000/photo.jpg 0'"):
        datasets.load(tmp_path)


def test_a_missing_part_is_not_taken_for_people(market):
    shutil.rmtree(market / "query")
    with pytest.raises(FileNotFoundError, match="no folder query; expected all three"):
        datasets.load(market)


def test_files_that_only_look_like_images_are_passed_over(market):
    (market / "query" / "._0003_c1s1_000001_00.jpg").write_bytes(b"left by another system")
    (market / "query" / "folder.jpg").mkdir()
    assert len(datasets.load(market).query) == 1


def test_people_with_one_image_each_have_no_gallery(tmp_path):
    for pid in range(1, 5):
        put(tmp_path / f"{pid:04d}_c1s1_000001_00.jpg")
    with pytest.raises(ValueError, match="2 test people have one image each.*no gallery"):
        datasets.load(tmp_path)


def test_a_folder_for_each_identity_is_divided_by_identity(people):
    dataset = datasets.load(people, train=0.6, seed=1)
    assert dataset.train.pid.nunique() == 6 and dataset.query.pid.nunique() == 4
    assert not set(dataset.train.pid) & set(dataset.query.pid)
    assert set(dataset.query.pid) == set(dataset.gallery.pid)
    assert not dataset.query.duplicated(["pid", "camid"]).any() and len(dataset.query) == 8
    tables = [dataset.train, dataset.query, dataset.gallery]
    assert pd.concat(tables).path.nunique() == 40
    again = datasets.load(people, train=0.6, seed=1)
    assert again.query.equals(dataset.query) and again.train.equals(dataset.train)
    assert not datasets.load(people, train=0.6, seed=2).query.equals(dataset.query)


def test_numbered_folders_keep_their_numbers(tmp_path):
    for pid in (7, 12):
        put(tmp_path / f"{pid:04d}" / "a_c1s2_000001.jpg")
        put(tmp_path / f"{pid:04d}" / "b_c2s1.jpg")
    dataset = datasets.load(tmp_path)
    assert set(dataset.train.pid) | set(dataset.query.pid) == {7, 12}
    assert set(dataset.train.camid) == {1, 2}


def test_a_folder_of_crops_is_divided_by_identity(tmp_path):
    for pid in range(1, 5):
        for camera in (1, 2):
            put(tmp_path / f"{pid:04d}_c{camera}s1_00000{camera}_00.jpg")
    dataset = datasets.load(tmp_path)
    assert dataset.train.pid.nunique() == 2 and dataset.query.pid.nunique() == 2
    assert not set(dataset.train.pid) & set(dataset.query.pid)
    # Each test person has one image a camera: one is the query, the other is there to be found.
    assert len(dataset.query) == 2 and set(dataset.gallery.pid) == set(dataset.query.pid)
    put(tmp_path / "holiday.jpg")
    with pytest.raises(ValueError, match="holiday.jpg does not follow Market-1501"):
        datasets.load(tmp_path)


def test_missing_cameras_are_said_aloud(tmp_path):
    for pid in ("ann", "bob"):
        for k in range(3):
            put(tmp_path / pid / f"{k}.jpg")
    with pytest.warns(UserWarning, match="6 of 6 images do not tell their camera.*look better"):
        dataset = datasets.load(tmp_path)
    assert (dataset.query.camid == -1).all() and (dataset.gallery.camid == -1).all()
    assert len(dataset.query) == 1 and len(dataset.gallery) == 2


def test_distractors_stay_in_the_gallery():
    table = pd.DataFrame({"path": list("abcdefgh"), "pid": [1, 1, 2, 2, 0, 0, -1, -1], "camid": 1})
    dataset = datasets.split(table)
    assert sorted(dataset.gallery.pid[dataset.gallery.pid < 1]) == [-1, -1, 0, 0]
    assert (dataset.query.pid > 0).all() and (dataset.train.pid > 0).all()


@pytest.mark.parametrize(
    "folders",
    [
        ("Bounding_Box_Train", "Query", "BOUNDING_BOX_TEST"),
        ("TRAIN", "query", "Gallery"),
        ("train", "query", "test", "val"),
    ],
)
def test_parts_are_known_by_many_names(tmp_path, folders):
    for folder, pid in zip(folders, (1, 2, 2, 1)):
        for camera in (1, 2):
            put(tmp_path / folder / f"{pid:04d}_c{camera}s1_000001_00.jpg")
    dataset = datasets.load(tmp_path)
    parts = [dataset.train.pid, dataset.query.pid, dataset.gallery.pid]
    assert [part.tolist() for part in parts] == [[1, 1], [2, 2], [2, 2]]


@pytest.mark.parametrize("folders", [("train", "val"), ("Train", "TEST"), ("val",)])
def test_parts_are_not_people(tmp_path, folders):
    for folder in folders:
        for pid in range(1, 5):
            put(tmp_path / folder / f"{pid:04d}_c1s1_000001_00.jpg")
            put(tmp_path / folder / f"{pid:04d}_c2s1_000002_00.jpg")
    with pytest.raises(FileNotFoundError, match=rf"has .*{folders[-1]}.*, but no folder .*query"):
        datasets.load(tmp_path)


def test_a_person_may_be_called_val(tmp_path):
    for person in ("ann", "val"):
        for name in ("a_c1_1.jpg", "b_c2_2.jpg"):
            put(tmp_path / person / name)
    assert len(datasets.load(tmp_path).train) == 2


@pytest.mark.parametrize("name", ["{pid:04d}_c{camera}s1_000001_00.jpg", "c{camera}_{pid}.jpg"])
@pytest.mark.parametrize("folder", ["{pid:04d}", "person {pid}", "{pid}/cam{camera}"])
def test_people_have_folders_in_the_parts(tmp_path, folder, name):
    for part, people in {"train": (4, 5), "query": (7, 9), "gallery": (7, 9), "val": (4,)}.items():
        for pid in people:
            for camera in (1, 2):
                put(tmp_path / part / (folder + "/" + name).format(pid=pid, camera=camera))
    dataset = datasets.load(tmp_path)
    assert len(dataset.train) == len(dataset.query) == len(dataset.gallery) == 4
    assert set(dataset.query.pid) == set(dataset.gallery.pid)
    if folder[0] == "{" or name[0] == "{":  # a number is told
        assert set(dataset.train.pid) == {4, 5} and set(dataset.query.pid) == {7, 9}
    assert not set(dataset.query.pid) & set(dataset.train.pid)
    for table in (dataset.train, dataset.query, dataset.gallery):
        assert list(table) == ["path", "pid", "camid"] and set(table.camid) == {1, 2}


@pytest.mark.parametrize("layout", ["{pid}/cam{camera}/a.jpg", "camera_{camera}/{pid}/a.jpg"])
def test_cameras_have_folders_too(tmp_path, layout):
    for pid in (3, 8):
        for camera in (1, 12):
            put(tmp_path / layout.format(pid=pid, camera=camera))
    dataset = datasets.load(tmp_path)
    assert set(dataset.train.pid) | set(dataset.query.pid) == {3, 8}
    assert set(dataset.train.camid) == {1, 12}


def test_folders_of_cameras_hold_images_that_tell_who_it_is(tmp_path):
    for pid in (1, 2):
        for camera in (1, 2):
            put(tmp_path / f"cam{camera}" / f"{pid:04d}_c{camera}_f000001.jpg")
    assert set(datasets.load(tmp_path).train.camid) == {1, 2}
    put(tmp_path / "cam2" / "ann.jpg")
    with pytest.raises(ValueError, match=r"ann\.jpg lies in no folder of an identity"):
        datasets.load(tmp_path)


@pytest.mark.parametrize("folder", ["0001", "ann"])
def test_folders_that_contradict_the_names_in_them(tmp_path, folder):
    for pid in (1, 2):
        put(tmp_path / folder / f"{pid:04d}_c1s1_000001_00.jpg")
        put(tmp_path / "0002" / f"{2:04d}_c{pid}s1_000001_00.jpg")
    with pytest.raises(ValueError, match=f"the folder {folder} .*named 0001_c1s1_000001_00.jpg to"):
        datasets.load(tmp_path)
    with pytest.raises(ValueError, match="the folder 0003 .*would be one identity"):
        shutil.rmtree(tmp_path / folder)
        put(tmp_path / "0003" / "0001_c1s1_000001_00.jpg")
        datasets.load(tmp_path)


def test_folders_too_deep_to_understand(tmp_path):
    put(tmp_path / "ann" / "monday" / "c1_1.jpg")
    with pytest.raises(ValueError, match="lies in the folders ann and monday; expected one"):
        datasets.load(tmp_path)
    shutil.move(tmp_path / "ann", tmp_path / "query")
    for part in ("train", "gallery"):
        put(tmp_path / part / "ann" / "monday" / "c1_1.jpg")
        put(tmp_path / part / "bob" / "sunday" / "am" / "c1_1.jpg")
    shutil.rmtree(tmp_path / "train" / "ann")
    with pytest.raises(ValueError, match=r"train holds folders \(bob ...\), not images"):
        datasets.load(tmp_path)


def test_the_folder_above_a_data_set(market):
    with pytest.raises(ValueError, match="no images in a known layout.*; give its folder market"):
        datasets.load(market.parent)


def test_person_0_of_a_folder_for_each_identity_is_a_person(tmp_path):
    for pid in range(3):
        for camera in (1, 2):
            put(tmp_path / f"{pid:04d}" / f"{pid:04d}_c{camera}s1_000001_00.jpg")
    dataset = datasets.load(tmp_path)
    assert set(dataset.train.pid) | set(dataset.query.pid) == {1, 2, 3}
    # But a folder of junk tells that Market-1501's rules hold, by which 0 is nobody.
    put(tmp_path / "-1" / "-1_c1s1_000001_00.jpg")
    dataset = datasets.load(tmp_path)
    assert set(dataset.train.pid) | set(dataset.query.pid) == {1, 2}
    assert set(dataset.gallery.pid) >= {-1, 0}


def test_person_0_of_a_flat_folder_is_said_aloud(tmp_path):
    for pid in range(5):
        for camera in (1, 2):
            put(tmp_path / "flat" / f"{pid:04d}_c{camera}s1_000001_00.jpg")
    with pytest.warns(UserWarning, match="2 images are named 0000.*number identities from 1"):
        dataset = datasets.load(tmp_path / "flat")
    assert 0 not in [*dataset.train.pid, *dataset.query.pid] and 0 in dataset.gallery.pid.tolist()
    for path in (tmp_path / "flat").glob("0000*"):
        path.unlink()
    with warnings.catch_warnings(action="error"):
        datasets.load(tmp_path / "flat")


def test_a_query_of_person_0_is_said_aloud(market):
    for pid in ("0000", "0004"):
        put(market / "query" / f"{pid}_c1s1_000001_00.jpg")
    with pytest.warns(UserWarning, match="1 images are named 0000"):
        datasets.load(market)


def test_distractors_of_a_part_stay_distractors(tmp_path):
    for part, people in {"train": (1, 2), "query": (3, 4), "gallery": (0, 3, 4)}.items():
        for pid in people:
            put(tmp_path / part / f"{pid:04d}" / f"{pid:04d}_c1s1_000001_00.jpg")
    assert datasets.load(tmp_path).gallery.pid.tolist() == [0, 3, 4]


def test_junk_and_distractors_are_not_trained_on(market):
    for pid in ("-1", "0000"):
        put(market / "bounding_box_train" / f"{pid}_c1s1_000001_00.jpg")
    with pytest.warns(UserWarning, match=r"2 of 4 training images have pid 0 \(distractor\)"):
        assert datasets.load(market).train.pid.tolist() == [2, 2]
    with pytest.warns(UserWarning, match="1 of 4 training images"):
        assert datasets.load(market, distractors=True).train.pid.tolist() == [0, 2, 2]


def test_one_tested_identity_is_said_aloud(market):
    with pytest.warns(UserWarning, match="only one identity is looked for"):
        datasets.load(market)
    put(market / "query" / "0004_c1s1_000001_00.jpg")
    with warnings.catch_warnings(action="error"):
        datasets.load(market)


def test_the_camera_is_found_in_many_names(tmp_path):
    names = ("x_c3_1", "c3_x", "x_c3s1_0", "x-cam3-1", "Camera3_x", "x_c3", "x_c03.1")
    for person in ("ann", "bob"):
        for name in names:
            put(tmp_path / person / f"{name}.jpg")
    assert set(datasets.load(tmp_path).train.camid) == {3}
    for name in ("xc3_1", "x_c3x_1", "c_3", "abc3_1"):
        put(tmp_path / "ann" / f"{name}.jpg")
    with pytest.warns(UserWarning, match="4 of 18 images do not tell their camera"):
        datasets.load(tmp_path)


@pytest.mark.parametrize("train", [0.0, 1.0])
def test_both_parts_need_people(people, train):
    with pytest.raises(ValueError, match="10 identities cannot be divided"):
        datasets.load(people, train=train)


def test_folders_that_are_not_data_sets(tmp_path, market):
    with pytest.raises(FileNotFoundError, match="no data set at .*nowhere.*'plaza'"):
        datasets.load(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no images in a known layout"):
        datasets.load(tmp_path / "empty")
    put(market / "query" / "portrait.jpg")
    with pytest.raises(ValueError, match="portrait.jpg does not follow Market-1501"):
        datasets.load(market)
    for path in (market / "query").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match="query holds no images"):
        datasets.load(market)
    (market / "bounding_box_train").rename(market / "training")
    with pytest.raises(FileNotFoundError, match="no folder bounding_box_train or train"):
        datasets.load(market)


def test_plaza_and_its_scenarios(tmp_path, monkeypatch):
    monkeypatch.setenv("REIDLIB_DATA", str(tmp_path))
    for part, pid in {"train": 1, "query": 2, "gallery": 2}.items():
        put(tmp_path / "plaza" / "crops" / part / f"{pid:04d}_c1s1_000001_00.jpg")
    for part in ("query", "gallery"):
        put(tmp_path / "plaza" / "scenarios" / "clothes" / part / "0003_c5s1_000001_00.jpg")
    put(tmp_path / "plaza" / "scenarios" / "dusk" / "0002_c6s1_000001_00.jpg")
    assert datasets.load("plaza").name == "plaza"
    clothes = datasets.load("plaza", scenario="clothes")
    assert clothes.name == "plaza clothes" and clothes.train.pid.tolist() == [1]
    assert clothes.query.camid.tolist() == clothes.gallery.camid.tolist() == [5]
    dusk = datasets.load("plaza", scenario="dusk")
    assert dusk.query.camid.tolist() == [6] and dusk.gallery.camid.tolist() == [1]
    with pytest.raises(FileNotFoundError, match="no scenario 'rain'; it has clothes, dusk"):
        datasets.load("plaza", scenario="rain")


def test_images_are_rgb_and_resized(tmp_path):
    image = np.zeros((40, 20, 3), np.uint8)
    image[:, :, 0] = 200
    path = tmp_path / "größe é.png"
    path.write_bytes(cv2.imencode(".png", image[:, :, ::-1])[1].tobytes())
    assert np.array_equal(encoding.read_image(path), image)
    (one,) = datasets.read_images([path])
    assert one.shape == (40, 20, 3)
    many = datasets.read_images([path] * 3, (128, 64))
    assert many.shape == (3, 128, 64, 3) and many.dtype == np.uint8
    assert (many[..., 0] == 200).all() and (many[..., 1:] == 0).all()
    assert datasets.read_images([], (128, 64)).shape == (0, 128, 64, 3)


@pytest.mark.parametrize("size", [None, (128, 64)])
def test_bad_image_files_are_named(tmp_path, size):
    put(tmp_path / "good.jpg", size=(200, 100))
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_text("not an image")
    for name in ("empty.jpg", "text.jpg"):
        with pytest.raises(ValueError, match=f"{name} .*does not decode"):
            datasets.read_images([tmp_path / "good.jpg", tmp_path / name], size)
    with pytest.raises(FileNotFoundError, match="missing.jpg"):
        datasets.read_images([tmp_path / "missing.jpg"], size)
