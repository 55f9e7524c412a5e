"""Four points of the ground: set by sliders, seen on the plan, kept in a site file."""

import tomllib

import numpy as np
import pandas as pd
import pytest

from reidlib.collection import camera_plots, cameras
from reidlib.demonstration import ground_panels, site_file

VIEW = np.array([[60, -20, 100], [0, -10, 190], [0.0, 0.03, 1.0]])  # from metres to pixels
PLAN = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 4.0], [0.0, 4.0]])


def seen(points):
    carried = np.column_stack([points, np.ones(len(points))]) @ VIEW.T
    return carried[:, :2] / carried[:, 2:]


@pytest.fixture
def table():
    """Two people: one walks 1.3 m a second along the plan, one stands at 1, 1."""
    times = np.arange(0, 3, 0.1)
    ways = [np.column_stack([np.full(30, 0.5), 1.3 * times]), np.ones((30, 2))]
    rows = []
    for track, way in enumerate(ways, 1):
        x, y = seen(way).T
        box = {"x1": x - 8, "y1": y - 50, "x2": x + 8, "y2": y}
        rows.append(pd.DataFrame({"frame": np.arange(30), "time": times, "track": track, **box}))
    return pd.concat(rows, ignore_index=True)


@pytest.fixture
def panel(table, tmp_path):
    stills = {frame: np.full((200, 320, 3), 90 + frame, np.uint8) for frame in (0, 10, 20)}
    site = tmp_path / "site.toml"
    site.write_text(SITE)
    return ground_panels.GroundPoints({"door": stills, "the yard": stills},
        {"door": table, "the yard": table}, site)  # fmt: skip


SITE = """# our yard
[cameras.door]  # the old one
video = "door.mp4"
# ground.image = [[120, 340]]

[cameras."the yard"]
video = "yard.mp4"
ground.plan = [[0, 0], [9, 0], [9, 9], [0, 9]]
ground.image = [[10, 190], [310, 190], [200, 100], [100, 100]]
masks = [[[0, 0], [9, 0], [9, 9]]]
[travel]
"door,the yard" = "3s"
"""


def set_points(panel, points, plan=PLAN):
    for number, ((x, y), (east, north)) in enumerate(zip(points, plan)):
        panel.controls["point"].value = number
        for name, value in (("x", x), ("y", y), ("east", east), ("north", north)):
            panel.controls[name].value = int(value) if name in "xy" else float(value)


def test_points_are_set_seen_and_kept(panel, table, tmp_path):
    points = seen(PLAN).round()
    assert "Not set yet: 1, 2, 3, 4." in panel.message.value
    panel.keep()
    assert "a first guess is no measurement" in panel.message.value
    assert panel.site.read_text() == SITE
    before = panel.image.value
    set_points(panel, points)
    assert panel.image.value != before and "at 1.3 m/s" in panel.message.value
    assert "2 people in view" in panel.message.value and "Not set" not in panel.message.value
    panel.keep()
    said = tomllib.loads(panel.site.read_text())["cameras"]
    assert said["door"]["ground"] == {"image": points.tolist(), "plan": PLAN.tolist()}
    assert "ground.image = [[100.0, 190.0]" in panel.lines.value
    ground = cameras.ground_from_points(points, PLAN)
    feet = cameras.on_ground(table[["x1", "y1", "x2", "y2"]].to_numpy(), {"ground": ground})
    assert np.abs(feet[30:] - 1).max() < 0.05
    again = ground_panels.GroundPoints(panel.stills, panel.tables, panel.site)
    assert (again.points["door"] == points).all() and again.touched["door"] == {0, 1, 2, 3}


def test_another_camera_or_point_changes_nothing_by_being_looked_at(panel):
    held = {name: points.copy() for name, points in panel.points.items()}
    assert panel.controls["x"].value == 64  # the guess; a site file's points go before it
    panel.controls["camera"].value = "the yard"
    assert [panel.controls[name].value for name in ("x", "y", "east")] == [10, 190, 0]
    panel.controls["point"].value = 2
    assert [panel.controls[name].value for name in ("x", "north")] == [200, 9]
    panel.controls["moment"].value = 2
    panel.controls["camera"].value = "door"
    assert all((panel.points[name] == points).all() for name, points in held.items())
    assert panel.touched == {"door": set(), "the yard": {0, 1, 2, 3}}


def test_three_points_on_a_line_are_said_in_the_panel(panel):
    set_points(panel, [[10, 190], [100, 190], [200, 190], [100, 100]])
    assert "three of the four image points lie on a line; spread them out" in panel.message.value
    assert "panel-error" in panel.message.value
    panel.keep()
    assert "lie on a line" in panel.message.value and panel.site.read_text() == SITE
    panel.controls["point"].value = 1
    panel.controls["y"].value = 120
    assert "order on the plan" in panel.message.value or "panel-error" not in panel.message.value


def test_without_a_site_file_the_lines_are_shown_and_a_full_disk_is_told(panel, monkeypatch):
    alone = ground_panels.GroundPoints(panel.stills, panel.tables)
    set_points(alone, seen(PLAN).round())
    alone.keep()
    assert "for the site file:<pre>[cameras.door]\nground.image" in alone.lines.value

    def full(*_):
        raise OSError("no space left")

    set_points(panel, seen(PLAN).round())
    monkeypatch.setattr(ground_panels.assets, "atomic", full)
    panel.keep()
    assert "no space left" in panel.message.value


def test_the_static_twin_shows_the_same(table):
    points, image = seen(PLAN), np.full((200, 320, 3), 90, np.uint8)
    ground = cameras.ground_from_points(points, PLAN)
    figure, sentence = camera_plots.on_plan(image, table, 0, points, PLAN, ground)
    film, plan = figure.axes
    assert sentence.startswith("2 people in view. Who walks does so at 1.3 m/s")
    spots = [line.get_xydata() for line in plan.lines if line.get_marker() == "o"]
    assert np.allclose(np.concatenate(spots), [[0.5, 0], [1, 1]], atol=0.01)
    grid = film.lines[0].get_xydata()  # the plan's metres meet the points on the frame
    assert np.nanmin(np.linalg.norm(grid - points[2], axis=1)) < 0.5
    _, alone = camera_plots.on_plan(image, table, 0, points, PLAN)
    assert alone == "2 people in view."


def test_ground_changes_nothing_else_of_a_site_file():
    points = seen(PLAN)
    text = site_file.with_ground(SITE, "door", points, PLAN)
    assert "# ground.image = [[120, 340]]\nground.image = [[100.0, 190.0]" in text
    assert text.count("ground.plan = ") == 2 and "[cameras.door]  # the old one" in text
    assert site_file.ground_points(text, "door")[1] == PLAN.tolist()
    assert site_file.ground_points(SITE, "door") is None
    moved = site_file.with_ground(text, "the yard", points, PLAN)
    assert site_file.ground_points(moved, "the yard") == site_file.ground_points(moved, "door")
    assert moved.count("ground.plan = ") == 2 and '[travel]\n"door,the yard"' in moved
    again = site_file.with_ground(moved, "the yard", points, PLAN)
    assert again == moved
    with pytest.raises(ValueError, match=r"has no table \[cameras.shed\]"):
        site_file.with_ground(SITE, "shed", points, PLAN)
    with pytest.raises(ValueError, match="cameras.door.ground: three of the four plan points"):
        site_file.with_ground(SITE, "door", points, PLAN * [0, 1])
    for odd in ("[cameras.door.ground]\nimage = 1\n", "[cameras.door]\nground = {}\n"):
        with pytest.raises(ValueError, match="no table|in another way"):
            site_file.with_ground(odd, "door", points, PLAN)
    with pytest.raises(ValueError, match="cameras.door.ground.image holds 3 points; expected 4"):
        site_file.with_ground(SITE, "door", points[:3], PLAN)
