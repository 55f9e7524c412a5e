"""People of the rendered footage: identities, dressed bodies and gaits."""

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from data.generator import bodies, cast, costumes, gait, identities, make


def people(count, seed=7):
    rng = np.random.default_rng(seed)
    return [identities.sample(rng, pid) for pid in range(count)]


def test_same_seed_same_people():
    assert people(20) == people(20)
    assert people(20) != people(20, seed=8)


def test_skin_groups_are_even_and_wardrobes_overlap():
    crowd = people(120)
    groups = [p.skin_group for p in crowd]
    assert {groups.count(g) for g in identities.SKIN} == {20}
    outfits = {
        (p.outer != "none", p.outer_colour if p.outer != "none" else p.top_colour, p.bottom_colour)
        for p in crowd
    }
    assert len(outfits) < 105  # a palette alone does not tell everybody apart
    assert len({replace(p, pid=0) for p in crowd}) == 120


def test_reclothe_keeps_the_body_and_changes_the_clothes():
    for person in people(30):
        other = identities.reclothe(person, np.random.default_rng(person.pid))
        for name in ("pid", "seed", "gender", "age", "height", "hair", "skin_group", "beard"):
            assert getattr(other, name) == getattr(person, name)
        assert other.top_colour != person.top_colour
        assert other.bottom != person.bottom


def test_row_is_flat():
    row = identities.to_row(people(1)[0])
    assert {type(v) for v in row.values()} <= {int, float, str, bool}
    assert row["african"] + row["asian"] + row["caucasian"] == pytest.approx(1, abs=0.01)


def test_trainees_repeat_and_are_nobody_elses():
    numbers = range(cast.TRAINEES, cast.TRAINEES + 200)
    crowd = [cast.trainee(number) for number in numbers]
    assert crowd == [cast.trainee(number) for number in numbers]
    assert [person.pid for person in crowd] == list(numbers)
    taken = {*cast.TRAIN_PIDS, *cast.TEST_PIDS, *range(8000, 8000 + cast.DISTRACTORS)}
    assert not taken & set(numbers)


def test_most_of_the_second_casts_clothes_are_quiet():
    """As in the street: dark, grey, white or beige rather than loud."""
    crowd = [cast.trainee(cast.TRAINEES + k) for k in range(400)]
    seen = [p.top_rgb if p.outer == "none" else p.outer_rgb for p in crowd]
    seen = np.sqrt(np.array(seen + [p.bottom_rgb for p in crowd]))
    loud = seen.max(1) - seen.min(1) > 0.3
    assert 0.02 < loud.mean() < 0.15
    assert (seen.max(1) < 0.3).mean() > 0.4  # darker than a middle grey
    assert len({p.top_rgb for p in crowd}) > 300  # colours are drawn, not picked from a list


def test_look_alikes_differ_in_a_garment_that_shows():
    crowd = [cast.trainee(cast.TRAINEES + k) for k in range(400)]
    alike = 0
    for model, other in zip(crowd[::2], crowd[1::2], strict=True):
        if model.weave_scale != other.weave_scale:
            continue  # two who were drawn by themselves
        alike += 1
        outfit = ("top_rgb", "outer_rgb", "bottom_rgb", "shoe_rgb", "hat_rgb")
        same = sum(getattr(model, name) == getattr(other, name) for name in outfit)
        assert model.gender == other.gender and same >= 4
        bag = ("bag", "bag_rgb", "hat")
        steps = [
            costumes.distance(getattr(model, name), getattr(other, name)) for name in outfit[:3]
        ]
        assert max(steps) > 0.1 or any(getattr(model, b) != getattr(other, b) for b in bag)
    assert 60 < alike < 100  # two in five of 200 pairs


def test_training_comes_in_blocks_and_strangers_in_ranges(tmp_path):
    blocks = make.training_jobs(2, 200, tmp_path)
    assert [job[1:] for job in blocks] == [(tmp_path, 0), (tmp_path, 1), (tmp_path, 2)]
    ranges = make.training_jobs(1, 100, tmp_path)
    assert [job[2:] for job in ranges] == [(1001, 1097), (1097, 1101)]


@pytest.fixture(scope="module")
def model():
    pytest.importorskip("anny", reason="no anny: pip install -e '.[generator]'")
    return bodies.BodyModel.load()


@pytest.fixture(scope="module")
def dressed(model):
    return [bodies.dress(model, p) for p in people(6)]


def test_dressed_arrays_fit_together(dressed):
    for d in dressed:
        count = len(d.rest)
        assert d.normals.shape == (count, 3) and d.at.shape == (count, 4)
        assert d.faces.max() == count - 1 and d.faces.min() == 0
        assert np.allclose(d.weights.sum(1), 1, atol=1e-3)
        assert d.stature == pytest.approx(d.identity.height, abs=0.005)
        assert (np.diff(d.part[d.faces[:, 0]]) >= 0).all()
        assert (d.part[d.faces] == d.part[d.faces[:, :1]]).all()
        assert all(np.isfinite(np.asarray(v, float)).all() for v in d.materials.values())


def test_children_are_small_and_every_wardrobe_dresses(model):
    child, adult = people(2)
    child = replace(child, age=7, height=1.2)
    adult = replace(adult, age=30, height=1.8, bottom_detail="plain")
    assert bodies.dress(model, child).stature == pytest.approx(1.2, abs=0.005)
    for kind in ("outer", "bottom", "hat", "bag", "hair", "shoes", "top"):
        options = dict(
            outer=identities.OUTERS,
            bottom=identities.BOTTOMS,
            hat=identities.HATS,
            bag=identities.BAGS,
            hair=identities.HAIRSTYLES,
            shoes=identities.SHOES,
            top=identities.TOPS,
        )[kind]
        for option in options:
            assert np.isfinite(bodies.dress(model, replace(adult, **{kind: option})).rest).all()


def test_costumes_dress_and_name_numbers_the_shaders_know(model):
    for person in (cast.trainee(cast.TRAINEES + k) for k in range(8)):
        dressed = bodies.dress(model, person)
        assert np.isfinite(dressed.rest).all()
        assert 0 <= dressed.materials["top_weave"] < len(costumes.WEAVES)
        assert dressed.materials["bag_colour"] == person.bag_rgb
        if person.outer in ("open jacket", "open coat", "cardigan", "vest"):
            assert dressed.materials["outer_open"] == person.opening


def test_every_action_stands_on_the_ground(dressed):
    for d in dressed[:3]:
        style = gait.sample_gait(np.random.default_rng(1), d.identity)
        for action in gait.ACTIONS:
            points, normals = gait.skin(d, gait.pose(d, style, action, [0.0, 0.3, 0.7]))
            assert points.shape == normals.shape == (3, len(d.rest), 3)
            worn = points[:, (d.part != 7) & (d.part != 10)]
            assert worn[..., 2].min() > -0.06
            # Arms up reach over the head; nobody is longer than that.
            assert (np.ptp(worn[..., 2], axis=1) < 1.4 * d.stature + 0.1).all()


def test_planted_feet_do_not_slide(dressed):
    for d in dressed:
        style = gait.sample_gait(np.random.default_rng(2), d.identity)
        phases = np.linspace(0, 1, 41)
        matrices = gait.pose(d, style, "walk", phases)
        stride = gait.stride_length(d, style)
        assert 0.35 * d.stature < stride < 1.05 * d.stature
        rig = d.skeleton
        ball = matrices[:, rig.contact_bones[1]]  # of the left foot, flat in this part of the cycle
        y = (ball[:, :, :3] @ rig.contacts[1] + ball[:, :, 3])[:, 1] - phases * stride
        flat = (phases >= 0.1) & (phases <= 0.4)
        assert np.ptp(y[flat]) < 0.03


def test_unknown_action_is_refused(dressed):
    style = gait.sample_gait(np.random.default_rng(0), dressed[0].identity)
    with pytest.raises(ValueError, match="unknown action 'fly'"):
        gait.pose(dressed[0], style, "fly", [0.0])


def test_the_extra_and_the_exact_versions_agree():
    root = Path(__file__).parent.parent
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    exact = (root / "data" / "generator" / "requirements.txt").read_text("utf-8").splitlines()
    assert set(project["optional-dependencies"]["generator"]) <= set(exact)
