import os
import re
import tracemalloc
import warnings

import numpy as np
import pandas as pd
import pytest

from reidlib.collection import annotation, encoding, formats

BOX = ["x1", "y1", "x2", "y2"]


@pytest.fixture
def table():
    """Tracks 1 (frames 0-4 and 7) and 2 (3-5) of two people, and 3 (8-9) of the first again."""
    frames = {1: [0, 1, 2, 3, 4, 7], 2: [3, 4, 5], 3: [8, 9]}
    rows = [
        (frame, track, 10.0 * track, 5.25, 10.0 * track + 8, 25.75, 0.9, 1.0)
        for track, some in frames.items()
        for frame in some
    ]
    columns = ["frame", "track", *BOX, "confidence", "visibility"]
    return pd.DataFrame(rows, columns=columns).sort_values("frame", kind="stable")


def mot(tmp_path, text):
    (tmp_path / "tracks.txt").write_text(text)
    return formats.read_mot(tmp_path / "tracks.txt")


def test_mot_ground_truth(tmp_path):
    read = mot(tmp_path, "2,7,10,20,30,40.5,1,1,0.25\n1,7,9,20,30,40,0,1,1\n")
    assert read.to_dict("list") == {
        "frame": [0, 1],  # from 0 here, from 1 on disk; sorted
        "track": [7, 7],
        "x1": [9, 10],
        "y1": [20, 20],
        "x2": [39, 40],
        "y2": [60, 60.5],
        "confidence": [0, 1],
        "visibility": [1, 0.25],
    }


@pytest.mark.parametrize(
    "text",
    [
        "1,7,10,20,30,40\n",
        "\n1,7,10,20,30,40,1\n\n\n",
        "1,7,10,20,30,40,1,-1,-1,-1\r\n",
        "1 7 10 20 30 40 1",
        "1, 7, 10, 20, 30, 40, 1,\n",
        "\ufeff1,7,10,20,30,40,1,5.5,-3.25,0",  # world coordinates are no visibility
        "1.0,7.0,1e1,20,30,40,1,nan,nan,nan",
        "1\t7\t10\t20\t30\t40\t1\t\r\n",
        " 1 ,7\t10 , 20 30,40  1 \n \t \n",
    ],
)
def test_mot_flavours(tmp_path, text):
    (tmp_path / "tracks.txt").write_text(text, "utf-8")
    read = formats.read_mot(tmp_path / "tracks.txt")
    assert read.iloc[0].tolist() == [0, 7, 10, 20, 40, 60, 1, 1]
    assert read.frame.dtype == read.track.dtype == int


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1,7,10,20,30", "expected 6 to 10 numbers"),
        ("1,7,10,20,30,40,1,1,1,1,1", "expected 6 to 10 numbers"),
        ("1,7,10,20,wide,40,1", "expected 6 to 10 numbers"),
        ("1,7,nan,20,30,40,1", "expected 6 to 10 numbers"),
        ("1,7,10,20,inf,40,1", "expected 6 to 10 numbers"),
        ("1,,10,20,30,40,1", "expected 6 to 10 numbers"),
        ("0,7,10,20,30,40,1", "frames are whole and count from 1"),
        ("1.5,7,10,20,30,40,1", "frames are whole"),
        ("1e300,7,10,20,30,40,1", "expected 6 to 10 numbers"),
        ("1,7,10,20,30,1e300,1", "expected 6 to 10 numbers"),
        ("1,7,10,20,30,40,1,1,nan", "expected 6 to 10 numbers"),
        ("1,7.5,10,20,30,40,1", "ids are whole"),
        ("1,7,10,20,-30,40,1", "size -30x40"),
        ("1,7,10,20,30,-40,1", "size 30x-40"),
        (f"{'1' * 30},7,10,20,30,40,1", "expected 6 to 10 numbers"),
        (f"1,-{'9' * 20},10,20,30,40,1", "expected 6 to 10 numbers"),
        ("1,7,10,20,30,4\x000,1", "expected 6 to 10 numbers"),
        ('1,7,"10,20,30,40,1', "expected 6 to 10 numbers"),
        (",1,7,10,20,30,40,1", "expected 6 to 10 numbers"),
        ("1,7,10,20,30,40," + "1," * 30 + "1", "expected 6 to 10 numbers"),
    ],
)
def test_mot_names_the_bad_line(tmp_path, line, message):
    with pytest.raises(ValueError, match=rf"tracks\.txt, line 3: .*{message}"):
        mot(tmp_path, f"1,7,10,20,30,40,1\n\n{line}\n1,8,10,20,30,40,1\n")


@pytest.mark.parametrize("digits", [30, 310, 5000])
def test_mot_with_a_number_that_no_float_holds(tmp_path, digits):
    with pytest.raises(ValueError, match="tracks.txt, line 2: .*expected 6 to 10 numbers"):
        mot(tmp_path, f"1,1,10,20,30,40\n2,1,{'9' * digits},20,30,40\n3,1,x,20,30,40\n")


def test_mot_takes_no_memory_for_a_long_line(tmp_path):
    """A table of strings of one length would take 400 GB."""
    with pytest.raises(ValueError, match="line 1: 'xxx"):
        mot(tmp_path, "x" * 1_000_000 + "\n1,7,10,20,30,40,1" * 100_000)


def test_mot_ignores_what_is_no_person(tmp_path):
    lines = "1,7,10,20,30,40,1,1,0.5\n1,8,10,20,30,40,1,3,1\n1,9,10,20,30,40,1,-1,1\n"
    assert mot(tmp_path, lines).set_index("track").confidence.to_dict() == {7: 1, 8: 0, 9: 1}


def test_mot_says_when_it_marks_nobody(tmp_path):
    rows = "1,7,10,20,30,40,1,0,0.5\n2,7,10,20,30,40,1,2,0.5\n"
    with pytest.warns(UserWarning, match=r"tracks\.txt marks nobody: .* of class 0, 2, .*class 1"):
        assert mot(tmp_path, rows).confidence.tolist() == [0, 0]
    with warnings.catch_warnings(action="error"):  # one person is enough, and so is none to be
        mot(tmp_path, rows + "3,7,10,20,30,40,1,1,0.5\n")
        mot(tmp_path, "1,7,10,20,30,40,0,1,0.5\n")


def test_what_is_no_file_is_not_read(tmp_path):
    """A pipe may never end."""
    names = ["."]
    if hasattr(os, "mkfifo"):  # not on Windows
        os.mkfifo(tmp_path / "pipe")
        names.append("pipe")
    for read in (formats.read_mot, formats.read_cvat):
        for name in names:
            with pytest.raises(ValueError, match="expected a file"):
                read(tmp_path / name)
        with pytest.raises(FileNotFoundError, match="missing"):
            read(tmp_path / "missing")


def test_mot_names_a_file_that_is_no_text(tmp_path):
    (tmp_path / "film.txt").write_bytes(bytes(range(128, 256)) * 9)
    with pytest.raises(ValueError, match=r"film\.txt, line 1"):
        formats.read_mot(tmp_path / "film.txt")


@pytest.mark.parametrize(
    "change",
    [{"x1": np.nan}, {"confidence": np.nan}, {"visibility": np.nan}, {"x2": 0.0}, {"y2": 0.0}]
    + [{"y2": np.inf}],
)
@pytest.mark.parametrize("write", [formats.write_mot, formats.write_cvat])
def test_mot_writes_nothing_that_cannot_be_read(tmp_path, table, change, write):
    table = table.reset_index(drop=True)
    table.loc[1, list(change)] = list(change.values())
    with pytest.raises(ValueError, match="row 1 cannot be written"):
        write(table, tmp_path / "tracks.txt")
    assert not list(tmp_path.iterdir())


def test_mot_of_nothing(tmp_path):
    read = mot(tmp_path, "\n")
    assert read.empty and list(read) == ["frame", "track", *BOX, "confidence", "visibility"]
    formats.write_mot(read, tmp_path / "out.txt")
    assert (tmp_path / "out.txt").read_text() == ""


def test_mot_there_and_back(tmp_path, table):
    path = tmp_path / "tracks.txt"
    formats.write_mot(table, path)
    assert path.read_text().splitlines()[0] == "1,1,10.0,5.25,8.0,20.5,0.9,1,1.0"
    pd.testing.assert_frame_equal(
        formats.read_mot(path), table.reset_index(drop=True), check_dtype=False
    )
    results = table.drop(columns=["visibility", "confidence"])
    formats.write_mot(results, path)
    assert path.read_text().splitlines()[0] == "1,1,10.0,5.25,8.0,20.5,1,-1,-1,-1"
    formats.write_mot(results.drop(columns="track"), path)  # detections have no identity
    assert set(formats.read_mot(path).track) == {-1}
    exact = table[:1].assign(x1=1.23456, x2=7.0, confidence=0.123456, visibility=0.98765)
    formats.write_mot(exact, path)
    assert path.read_text() == "1,1,1.23,5.25,5.77,20.5,0.1235,1,0.988\n"
    formats.write_mot(table.assign(pid=42), path, identity="pid")
    assert set(formats.read_mot(path).track) == {42}
    with pytest.raises(ValueError, match="the table lacks x2; .*it has frame track"):
        formats.write_mot(table.drop(columns="x2"), path)


def test_a_long_table_is_written_in_blocks_as_in_one(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"frame": np.arange(50), "track": rng.integers(1, 9, 50)})
    corners = rng.random((50, 2)) * 100
    table[["x1", "y1", "x2", "y2"]] = np.hstack([corners, corners + 10])
    formats.write_mot(table, tmp_path / "once.txt")
    monkeypatch.setattr(formats, "BLOCK", 7)
    formats.write_mot(table, tmp_path / "blocks.txt")
    assert (tmp_path / "blocks.txt").read_bytes() == (tmp_path / "once.txt").read_bytes()
    assert len(formats.read_mot(tmp_path / "blocks.txt")) == 50


def test_market_names():
    parse = formats.parse_market_name
    assert parse("0002_c3s2_000451_03.jpg") == (2, 3, 2, 451, 3)
    assert parse("a/b/-1_c6s1_012345_00.jpg.jpg") == (-1, 6, 1, 12345, 0)
    assert parse("0005_c2_f0046985.jpg") == (5, 2, 1, 46985, 0)  # DukeMTMC-reID
    for pid, camid, frame, sequence in [(1, 1, 0, 1), (-1, 12, 99, 3), (12345, 6, 1234567, 2)]:
        assert parse(formats.market_name(pid, camid, frame, index=7)) == (pid, camid, 1, frame, 7)
        name = formats.market_name(pid, camid, frame, sequence)
        assert parse(name) == (pid, camid, sequence, frame, 0)


@pytest.mark.parametrize(
    "name",
    ["person.jpg", "0001_000123.jpg", "x0001_c1s1_000123_00.jpg", f"{'9' * 20}_c1s1_000123_00.jpg"]
    + [""],
)
def test_names_that_are_not_market(name):
    with pytest.raises(ValueError, match="expected a name such as 0001_c1s1_000123_00.jpg"):
        formats.parse_market_name(name)


def test_naming_tracks(table):
    named = annotation.name_tracks(table, {1: 11, 3: 11})
    assert dict(zip(named.track, named.pid)) == {1: 11, 2: -1, 3: 11}
    assert "pid" not in table
    with pytest.raises(ValueError, match="pid 11 would be in two places at once in frame 3, 4;"):
        annotation.name_tracks(table, {1: 11, 2: 11})
    with pytest.raises(ValueError, match=r"no such track: \[9\]; the table has \[1, 2, 3\]"):
        annotation.name_tracks(table, {9: 1})


def test_naming_tracks_of_several_cameras(table):
    both = pd.concat([table.assign(camera="c1"), table.assign(camera="c2")])
    named = annotation.name_tracks(both, {("c1", 1): 5, ("c2", 2): 5})  # may be seen by two
    assert set(zip(named.camera[named.pid == 5], named.track[named.pid == 5])) == {
        ("c1", 1),
        ("c2", 2),
    }
    with pytest.raises(ValueError, match="two places at once"):
        annotation.name_tracks(both, {("c1", 1): 5, ("c1", 2): 5})


def test_merging_tracks(table):
    merged = annotation.merge_tracks(table, [3, 1])
    assert merged.track.value_counts().to_dict() == {1: 8, 2: 3}
    with pytest.raises(ValueError, match="track 1 would be in two places at once in frame 3, 4;"):
        annotation.merge_tracks(table, [1, 2])
    with pytest.raises(ValueError, match=r"no such track: \[8\]"):
        annotation.merge_tracks(table, [1, 8])


def test_splitting_tracks(table):
    split = annotation.split_track(table, 1, 3)
    assert split.frame[split.track == 1].tolist() == [0, 1, 2]
    assert split.frame[split.track == 4].tolist() == [3, 4, 7]
    pd.testing.assert_frame_equal(
        annotation.merge_tracks(split, [1, 4]), table
    )  # merging undoes it
    for frame in (0, 8):
        with pytest.raises(ValueError, match=f"at frame {frame}: it spans frames 0 to 7"):
            annotation.split_track(table, 1, frame)
    with pytest.raises(ValueError, match="no such track"):
        annotation.split_track(table, 77, 3)


def test_many_conflicts_are_cut_short():
    twice = pd.DataFrame({"frame": [*range(30)] * 2, "track": [1] * 30 + [2] * 30})
    with pytest.raises(ValueError, match=r"frame 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, \.\.\.;"):
        annotation.merge_tracks(twice, [1, 2])


def test_market_crops_of_a_video(tmp_path, table):
    frames = np.zeros((10, 64, 96, 3), np.uint8)
    for row in table.itertuples():
        frames[row.frame, 5:26, int(row.x1) : int(row.x2)] = 80 * row.track
    encoding.write(tmp_path / "clip.mp4", frames, fps=10, crf=10)
    named = annotation.name_tracks(table, {1: 11, 2: 12})  # track 3 stays unnamed
    outside = named.iloc[:1].assign(x1=200.0, x2=220.0, pid=13)
    named = pd.concat([named, outside])
    crops = annotation.export_market(tmp_path / "clip.mp4", named, tmp_path / "crops", camid=2)
    assert list(crops) == ["path", "pid", "camid", "frame"] and len(crops) == 9
    assert sorted(p.name for p in (tmp_path / "crops").iterdir())[::8] == [
        "0011_c2s1_000000_00.jpg",
        "0012_c2s1_000005_00.jpg",
    ]
    for row in crops.itertuples():
        parsed = formats.parse_market_name(row.path)
        assert (parsed.pid, parsed.camid, parsed.frame) == (row.pid, row.camid, row.frame)
        image = encoding.read_image(row.path)
        assert image.shape == (21, 8, 3)
        assert abs(image[5:-5, 2:-2].mean() - 80 * (row.pid - 10)) < 20
    again = tmp_path / "clip.mp4", named, tmp_path / "crops", 2  # a second clip of this camera
    assert not set(annotation.export_market(*again, sequence=2).path) & set(crops.path)
    every = annotation.export_market(tmp_path / "clip.mp4", named, tmp_path / "few", 2, every=3)
    assert sorted(set(every.frame)) == [0, 3]
    with pytest.raises(ValueError, match=r"has frame 10, but .*clip\.mp4 has 10 frames"):
        late = named.assign(frame=named.frame + 3)
        annotation.export_market(tmp_path / "clip.mp4", late, tmp_path / "crops", camid=2)
    with pytest.raises(ValueError, match="the table lacks pid"):
        annotation.export_market(tmp_path / "clip.mp4", table, tmp_path / "crops", camid=2)


def test_cvat_there_and_back(tmp_path, table):
    path = tmp_path / "annotations.xml"
    table = table.drop(columns="confidence").assign(visibility=1.0)
    table.loc[table.frame == 4, "visibility"] = 0.3
    named = annotation.name_tracks(table, {1: 11})
    formats.write_cvat(named, path)
    read = formats.read_cvat(path)
    expected = named.sort_values(["frame", "track"], ignore_index=True)
    expected.loc[expected.frame == 4, "visibility"] = 0.5  # all that CVAT keeps: occluded or not
    pd.testing.assert_frame_equal(read[list(expected)], expected, check_dtype=False)
    text = path.read_text("utf-8")
    # Where the tracks end, and the gap in the first: a frame after the last that shows them.
    hidden = re.findall(r'frame="(\d+)" outside="1"', text)
    assert hidden == ["5", "8", "6", "10"]
    formats.write_cvat(table, path)
    assert "pid" not in formats.read_cvat(path)


def test_cvat_as_the_tool_writes_it(tmp_path):
    path = tmp_path / "annotations.xml"
    path.write_text(
        """<?xml version="1.0" encoding="utf-8"?>
        <annotations><version>1.1</version><meta><task><name>plaza</name></task></meta>
          <track id="0" label="car"><box frame="1" outside="0" occluded="0" keyframe="1"
            xtl="1" ytl="2" xbr="3" ybr="4" z_order="0"/></track>
          <track id="4" label="person" source="manual">
            <box frame="0" outside="0" occluded="1" keyframe="1"
              xtl="10.50" ytl="20.00" xbr="30.00" ybr="60.00" z_order="0">
              <attribute name="hat">yes</attribute><attribute name="pid">7</attribute></box>
            <box frame="1" outside="1" occluded="0" keyframe="1"
              xtl="10.50" ytl="20.00" xbr="30.00" ybr="60.00" z_order="0"></box>
          </track></annotations>"""
    )
    read = formats.read_cvat(path)
    assert read.to_dict("records") == [
        dict(frame=0, track=4, x1=10.5, y1=20, x2=30, y2=60, visibility=0.5, pid=7)
    ]


def one_box(track="1", frame="0", left="1", pid="7"):
    return (
        f"<annotations><track id='{track}' label='person'><box frame='{frame}' xtl='{left}' "
        f"ytl='2' xbr='5' ybr='4'><attribute name='pid'>{pid}</attribute></box></track>"
        "</annotations>"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no xml", "syntax error"),
        ("<html></html>", "its root is <html>"),
        ("<annotations><track label='person'><box/></track></annotations>", "int"),
        (
            "<annotations><track id='1' label='person'><box frame='0'/></track></annotations>",
            "float",
        ),
        (
            '<!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;">]><annotations>&c;</annotations>',
            "document type",
        ),
        ("<annotations><image id='0'/></annotations>", "export the task as CVAT for video"),
        ("<annotations><track id='1' label='Person'/></annotations>", "it marks Person; give one"),
        (
            "<annotations><track id='1' label='person'><box frame='0' xtl='nan' ytl='1' xbr='2' "
            "ybr='3'/></track></annotations>",
            "track 1 has a box",
        ),
        ("<?xml version='1.0' encoding='klingon'?><annotations/>", "klingon"),
        ("<?xml version='1.0' encoding='rot13'?><annotations/>", "rot13"),
        (one_box(track="9" * 30), "track's id is '9+'; expected an integer"),
        (one_box(frame="9" * 30), "a frame of track 1 is '9+'; expected an integer"),
        (one_box(frame="9" * 5000), "expected an integer"),
        (one_box(frame="1.5"), "a frame of track 1 is '1.5'"),
        (one_box(frame="-1"), "track 1 has a box .* in frame -1"),
        (one_box(pid="9" * 30), "the pid of track 1 is '9+'"),
        (one_box(pid="Ann"), "the pid of track 1 is 'Ann'"),
        (one_box(left="6"), r"track 1 has a box \[6"),
        (one_box(left="-1e300"), r"track 1 has a box \[-1e"),
    ],
)
def test_what_is_not_cvat(tmp_path, text, message):
    (tmp_path / "bad.xml").write_text(text)
    with pytest.raises(ValueError, match=rf"bad\.xml is not CVAT for video 1\.1: .*{message}"):
        formats.read_cvat(tmp_path / "bad.xml")


def test_cvat_tracks_without_boxes(tmp_path):
    path = tmp_path / "empty.xml"
    path.write_text("<annotations><track id='1' label='person'/></annotations>")
    assert formats.read_cvat(path).empty


def test_a_long_text_takes_little_memory(tmp_path):
    """An hour of ten people at 12.5 frames a second has 450,000 boxes."""
    rows = np.arange(60_000)
    table = pd.DataFrame({"frame": rows // 10, "track": rows % 10, "x1": 10.5, "y1": 20.25})
    table = table.assign(x2=30.0, y2=80.0, confidence=0.5)
    peaks = {}
    for count in (20_000, 60_000):
        path = tmp_path / f"{count}.txt"
        tracemalloc.start()
        formats.write_mot(table[:count], path)
        wrote = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        read = formats.read_mot(path)
        peaks[count] = wrote, tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert read.drop(columns="visibility").equals(table)
    written, taken = (np.subtract(*pair) for pair in zip(peaks[60_000], peaks[20_000]))
    assert written / 40_000 * 450_000 < 20e6 and taken / 40_000 * 450_000 < 120e6


def test_a_bad_line_far_below_is_named_and_order_is_restored(tmp_path):
    path = tmp_path / "mot.txt"
    lines = [f"{30_000 - i},1,10,10,20,50,1" for i in range(25_000)]
    path.write_text("\n".join(lines))
    table = formats.read_mot(path)
    assert table["frame"].tolist() == list(range(5_000, 30_000))
    path.write_text("\n".join([*lines, "oops"]))
    with pytest.raises(ValueError, match="line 25001: 'oops'"):
        formats.read_mot(path)
