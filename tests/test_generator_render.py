"""The footage generator renders a frame and a crop whose truth fits what one sees."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

for package in ("anny", "moderngl"):
    pytest.importorskip(package, reason=f"no {package}: pip install -e '.[generator]'")

from data.generator import (  # noqa: E402 (these need moderngl)
    actors,
    bodies,
    cameras,
    cast,
    crowd,
    itineraries,
    make_training,
    renderer,
    scenes,
    sensor,
    studio,
    truth,
    views,
)
from reidlib.collection import formats  # noqa: E402


@pytest.fixture(scope="module")
def stage():
    """A body model and a renderer; torch must load before the graphics driver."""
    model = bodies.BodyModel.load()
    try:
        context = renderer.Renderer()
    except Exception as problem:
        pytest.skip(f"no OpenGL without a display ({problem}): data/generator/README.md")
    return model, context


@pytest.fixture(scope="module")
def frame(stage):
    """One small picture of two people on the plaza, one of them right behind the other."""
    model, context = stage
    view = views.plaza(context, ("c1",), "day")[0]
    people = [actors.Actor(context, model, cast.person(pid), pid, seed=pid) for pid in (201, 202)]
    towards = np.array(cameras.PLAZA["c1"].target[:2]) - cameras.PLAZA["c1"].eye[:2]
    near = np.array(cameras.PLAZA["c1"].eye[:2]) + 0.95 * towards
    spots = (near, near + 0.09 * towards)
    shown = [
        person.show(*person.cycle("walk", 0.2), spot, 0.5)
        for person, spot in zip(people, spots, strict=True)
    ]
    light, owner = context.render(view.plate, [one.placed for one in shown])
    empty, nobody = context.render(view.plate, [])
    picture = sensor.develop(light, view.sensor, np.random.default_rng(0))
    return picture, light, empty, owner, nobody, truth.boxes(shown, view.camera, owner)


def test_frame_shows_people_in_their_boxes(frame):
    picture, light, empty, owner, nobody, boxes = frame
    assert picture.shape == (360, 640, 3) and picture.dtype == np.uint8
    assert not nobody.any()
    rows, columns = np.nonzero(owner == 1)
    front = next(box for box in boxes if box.pid == 201)
    seen = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    drawn = np.array([front.x1, front.y1, front.x2, front.y2])
    assert np.abs(seen - drawn).max() < 0.06 * front.height  # a tight box
    changed = np.abs(light - empty).max(2) > 0.02
    assert changed[owner == 1].mean() > 0.9


def test_visibility_tells_front_from_back(frame):
    boxes = {box.pid: box for box in frame[-1]}
    assert boxes[201].visibility > 0.9
    assert boxes[202].visibility < 0.75 * boxes[201].visibility


def test_crop_has_market_shape(stage):
    model, context = stage
    view = views.plaza(context, ("c4",), "day")[0]
    person = actors.Actor(context, model, cast.person(203), 203, seed=203)
    photographer = studio.Studio(context, np.random.default_rng(1))
    crop = photographer.take(view, person, person.cycle("walk", 0.1), studio.Shot(), 1.0)
    assert crop.shape == (128, 64, 3) and crop.dtype == np.uint8
    assert crop.std() > 10


def test_crowd_repeats_and_never_collides(stage):
    first, second = (
        crowd.simulate(itineraries.day(), scenes.plaza(), 5, 12.5, seed=7) for _ in range(2)
    )
    assert all((a.places == b.places).all() for a, b in zip(first, second, strict=True))
    assert crowd.closest(first) > 0.45
    steps = np.array([np.linalg.norm(np.diff(walk.places, axis=0), axis=1) for walk in first])
    walked = np.array([np.diff(walk.metres) for walk in first])
    assert np.abs(steps - walked).max() < 0.02  # gait and path agree, so feet do not slide


def test_a_block_is_rendered_once_and_the_same_again(tmp_path, monkeypatch):
    pytest.importorskip("anny", reason="no anny: pip install -e '.[generator]'")
    try:
        renderer.Renderer().ctx.release()
    except Exception as problem:
        pytest.skip(f"no OpenGL without a display ({problem}): data/generator/README.md")
    monkeypatch.setattr(make_training, "POOL", 2)
    monkeypatch.setattr(make_training, "VIEWS_EACH", 1)
    first = make_training.first_of(3)
    once, again = tmp_path / "once", tmp_path / "again"
    (once / f".{first}.part").mkdir(parents=True)  # left by an interruption
    count = make_training.make(once, 3, people=2)
    names = sorted(path.name for path in once.glob("*.jpg"))
    assert len(names) == count > 0
    assert {formats.parse_market_name(name).pid for name in names} <= {first, first + 1}
    assert cv2.imread(str(once / names[0])).shape == (192, 96, 3)
    assert make_training.make(once, 3, people=2) == 0  # it is there
    make_training.make(again, 3, people=2)
    assert [(again / name).read_bytes() for name in names] == [
        (once / name).read_bytes() for name in names
    ]
    assert not list(once.glob(".*.part"))


def test_a_weave_shows_and_plaza_draws_without_the_wardrobe(stage):
    model, context = stage
    assert context.program(1).get("top_weave", None) is None
    wide = renderer.Renderer(wardrobe=True)
    view = views.sample_rough(wide, np.random.default_rng(4), "c1")
    plain = replace(cast.trainee(10_000), outer="none", bag="none", print_front="none")
    spot = views.find_spot(view, np.random.default_rng(0), 60, 400)
    pictures = []
    for weave in ("plain", "broad stripes"):
        person = actors.Actor(wide, model, replace(plain, top_weave=weave), 1, seed=1)
        shown = person.show(*person.cycle("walk", 0.2), spot, 0.5)
        pictures.append(wide.render(view.plate, [shown.placed]))
    (first, owner), (second, other) = pictures
    changed = np.abs(first - second).max(2) > 0.01
    assert (owner == other).all() and changed.any()
    assert owner[changed].mean() > 0.95  # the cloth changed, and nothing but its edge


def test_a_box_that_leaves_the_picture_ends_at_its_edge(stage):
    model, context = stage
    view = views.plaza(context, ("c1",), "day")[0]
    person = actors.Actor(context, model, cast.person(203), 203, seed=203)
    work = studio.Studio(context, np.random.default_rng(3))
    edge = np.array([[view.camera.width, 0.7 * view.camera.height]])
    shown = person.show(*person.cycle("walk", 0.1), view.camera.ground(edge)[0], 0.5)
    assert work._jittered(shown, view, studio.Shot(jitter=0)) is None
    box = work._jittered(shown, view, studio.Shot(jitter=0, outside=0.9))
    assert box[0] < box[2] == view.camera.width
