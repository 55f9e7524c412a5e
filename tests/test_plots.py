import io
import subprocess
import sys

import cv2
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from reidlib import drawing, style
from reidlib.collection import camera_plots, cameras
from reidlib.collection import plots as collection_plots
from reidlib.demonstration import plots as demonstration_plots
from reidlib.detection import plots as detection_plots
from reidlib.features import plots as feature_plots
from reidlib.features.vectors import project
from reidlib.model import plots as model_plots


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def crops(rng):
    return [rng.integers(0, 255, (128, 64, 3), dtype=np.uint8) for _ in range(6)]


@pytest.fixture
def tracks():
    """Two people crossing an image of 100 x 80 pixels; the second is away for a while."""
    rows = [(f, f / 10, 1, 5 + f, 10, 15 + f, 40, 0.9) for f in range(20)]
    rows += [(f, f / 10, 2, 60 - f, 30, 70 - f, 60, 0.8) for f in range(20) if not 8 < f < 14]
    columns = ["frame", "time", "track", "x1", "y1", "x2", "y2", "confidence"]
    return pd.DataFrame(rows, columns=columns)


@pytest.fixture
def camera():
    """A camera 4 m up, looking along y and down to the point (0, 10, 0)."""
    ahead = np.array([0, 10, -4]) / np.hypot(10, 4)
    right = np.array([1.0, 0, 0])
    R = np.stack([right, np.cross(ahead, right), ahead])
    K = [[400, 0, 320], [0, 400, 180], [0, 0, 1]]
    return {"K": K, "R": R.tolist(), "t": (-R @ [0, 0, 4]).tolist(), "width": 640, "height": 360}


def image_of(figure):
    """Draw a figure, check that it is a picture with something in it, and return its pixels."""
    data = np.frombuffer(style.png(figure, 60), np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert image.std() > 5
    return image


def texts(figure):
    """Return every text that a figure shows."""
    found = [
        text.get_text()
        for ax in figure.axes
        for text in ax.findobj(match=lambda o: hasattr(o, "get_text"))
    ]
    return " | ".join(filter(None, found))


def test_person_colour_is_stable_and_tells_neighbours_apart():
    colours = [drawing.person_colour(i) for i in range(21)]
    assert len(set(colours)) == 21
    assert drawing.person_colour(np.int64(3)) == drawing.person_colour(3.0) == colours[3]
    assert drawing.person_colour("anna") == drawing.person_colour("anna")
    for nobody in (-1, None, float("nan")):
        assert drawing.person_colour(nobody) == drawing.UNKNOWN


def test_draw_tracks_colours_boxes_and_leaves_the_image_alone(tracks):
    image = np.zeros((80, 100, 3), np.uint8)
    drawn = drawing.draw_tracks(image, tracks[tracks.frame == 0], thickness=1)
    assert not image.any() and drawn.shape == image.shape
    assert tuple(drawn[35, 5]) == drawing.person_colour(1)
    assert tuple(drawn[55, 60]) == drawing.person_colour(2)
    unnamed = drawing.draw_tracks(
        image, tracks[tracks.frame == 0].drop(columns="track"), thickness=1
    )
    assert tuple(unnamed[35, 5]) == drawing.person_colour(0)


def test_draw_tracks_survives_boxes_outside_and_empty_tables(tracks):
    image = np.zeros((80, 100, 3), np.uint8)
    outside = tracks[:2].assign(x1=-50, x2=400, y1=-30, y2=-5)
    assert drawing.draw_tracks(image, outside).shape == image.shape
    assert not drawing.draw_tracks(image, tracks[:0]).any()


def test_drawing_needs_neither_matplotlib_nor_torch():
    code = (
        "import sys, reidlib.drawing; "
        "assert not {'matplotlib', 'torch', 'sklearn'} & set(sys.modules), sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_side_by_side_scales_to_one_even_size():
    wide, tall = np.zeros((90, 160, 3), np.uint8), np.full((200, 101, 3), 255, np.uint8)
    joined = drawing.side_by_side([wide, tall], 60)
    assert joined.shape == (60, (107 + 30) // 2 * 2, 3)
    assert joined[:, :100].max() == 0 and joined[:, -20:].min() == 255


def test_banner_writes_on_top_only():
    image = np.full((80, 200, 3), 200, np.uint8)
    marked = drawing.banner(image, "c1  3.5 s")
    assert (marked[:22] != image[:22]).any() and (marked[22:] == image[22:]).all()


def test_figures_stay_out_of_pyplot_and_leave_settings_alone():
    code = (
        "import sys, matplotlib; before = matplotlib.rcParams.copy()\n"
        "from reidlib.collection import plots, camera_plots\n"
        "from reidlib.demonstration import plots as a\n"
        "from reidlib.detection import plots as b\n"
        "from reidlib.model import plots as c\n"
        "from reidlib.features import plots as d\n"
        "c.cmc({'a': [1.0]})\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"  # seaborn brings it, where it is used
        "d.bars({'a': 1.0})\n"
        "assert matplotlib.rcParams.copy() == before\n"
        "assert not sys.modules['matplotlib.pyplot'].get_fignums()\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_figure_shows_itself_once_photographs_as_jpeg(crops):
    chart, photographs = feature_plots.bars({"a": 0.5}), style.grid(crops)
    assert chart._repr_png_().startswith(b"\x89PNG") and chart._repr_jpeg_() is None
    assert photographs._repr_jpeg_().startswith(b"\xff\xd8") and photographs._repr_png_() is None


def test_save_writes_the_whole_file_or_nothing(tmp_path):
    figure = feature_plots.bars({"a": 0.5})
    assert style.save(figure, tmp_path / "new" / "a.png").read_bytes()[:4] == b"\x89PNG"
    assert style.save(figure, tmp_path / "a.jpg").read_bytes()[:2] == b"\xff\xd8"
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="cannot write"):
        style.save(figure, tmp_path / "file" / "a.png")


@pytest.mark.parametrize("name", ["$\\frac$.mp4", "a$b$", "$5", r"a\$b$c", "caf\udce9$1$"])
def test_names_are_not_mathematics(name):
    figure, ax = style.axes(3, 2)
    title = ax.set_title(style.plain_text(name))
    style.png(figure)
    shown, mathematics = title._preprocess_math(title.get_text())
    assert not mathematics and shown == name.replace("\udce9", "?")


def test_grid_names_every_image_and_refuses_nothing(crops):
    figure = style.grid(crops, [f"t{i}" for i in range(6)], columns=4, title="six")
    image_of(figure)
    assert all(f"t{i}" in texts(figure) for i in range(6)) and len(figure.axes) == 8
    with pytest.raises(ValueError, match="no images"):
        style.grid([])


def test_contact_sheet_and_augmentations(crops):
    assert "2.5 s" in texts(collection_plots.contact_sheet(crops, np.arange(6) / 2))
    shown = texts(collection_plots.augmentations(crops[0], {"flip": crops[0][:, ::-1]}))
    assert "original" in shown and "flip" in shown


def test_ground_view_reaches_where_the_pixels_look(camera):
    outline = cameras.ground_view(camera, reach=30)
    assert np.hypot(*outline.T).max() <= 30 + 1e-6
    K, R, t = (np.array(camera[key]) for key in ("K", "R", "t"))
    near = np.column_stack([outline, np.zeros(len(outline))])[np.hypot(*outline.T) < 29.9]
    seen = (near @ R.T + t) @ K.T
    u, v = (seen[:, :2] / seen[:, 2:]).T
    on_edge = (abs(u) < 1) | (abs(u - 640) < 1) | (abs(v) < 1) | (abs(v - 360) < 1)
    assert on_edge.all() and (seen[:, 2] > 0).all()


def test_cameras_from_above_with_paths(camera):
    paths = pd.DataFrame({"track": [1, 1, 2, 2], "x": [0, 1, 2, 3], "y": [8, 9, 10, 11]})
    figure = camera_plots.cameras_from_above({"c1": camera, "c2": camera}, paths)
    image_of(figure)
    assert "c1\n4.0 m up" in texts(figure) and "x, m" in texts(figure)


def test_one_person_is_followed_and_gaps_are_no_walks(camera):
    frames = [0, 1, 50, 51]
    paths = pd.DataFrame({"track": 1, "frame": frames, "x": [0.0, 1, 2, 3], "y": [8.0, 9, 10, 11]})
    paths = pd.concat([paths, paths.assign(track=2, x=paths.x + 1)])
    (ax,) = camera_plots.cameras_from_above({"c1": camera}, paths, follow=1).axes
    dotted = [line for line in ax.lines if line.get_linestyle() == ":"]
    assert [line.get_xdata().tolist() for line in dotted] == [[1, 2]]
    grey = [
        line for line in ax.lines if line.get_color() == style.GREY and len(line.get_xdata()) > 1
    ]
    assert len(grey) == 1 and np.isnan(grey[0].get_xdata()[2])


def test_images_per_camera_are_counted_on_the_bars():
    figure = collection_plots.images_per_camera({"even": {1: 600, 2: 600}, "odd": {1: 1500, 2: 20}})
    image_of(figure)
    shown = texts(figure)
    for text in ("even: 1,200 images", "odd: 1,520 images", "1500", "20"):
        assert text in shown


def test_a_lost_track_has_its_price_and_crops_stand_on_the_axes(crops):
    cost = np.array([[0.62, np.nan], [0.26, 0.62]])
    ways = {"greedy": [(1, 0)], "hungarian": [(0, 0), (1, 1)]}
    names = ["1", "2"]
    figure = detection_plots.cost_matrix(cost, ways, names, names, lost=1)
    shown = texts(figure)
    assert "greedy: 1 pair, cost 0.26\n+ 1 lost × 1 = 1.26" in shown
    assert "hungarian: 2 pairs, cost 1.24\n+ 0 lost × 1 = 1.24" in shown
    best = {"best": ways["hungarian"]}
    figure = detection_plots.cost_matrix(cost, best, names, names, crops=(crops[:2], crops[2:4]))
    image_of(figure)
    assert [type(artist).__name__ for artist in figure.axes[0].artists] == ["AnnotationBbox"] * 4


def test_labels_of_trajectories_keep_clear_of_each_other():
    rows = [(f, t, 10.0 * f, 20, 10.0 * f + 20, 60 + t) for f in range(20) for t in (1, 2)]
    table = pd.DataFrame(rows, columns=["frame", "track", "x1", "y1", "x2", "y2"])
    figure = detection_plots.trajectories(table, np.zeros((100, 200, 3), np.uint8))
    first, second = (np.array(text.get_position()) for text in figure.axes[0].texts)
    assert np.linalg.norm(first - second) >= 26
    assert (first > 14).all() and (first < [186, 86]).all()


def test_a_ladder_has_a_row_a_rung():
    rows = [("c1", "one", 0.5), ("c2", "one", 0.7), ("c1", "two", 0.8), ("c2", "two", 0.9)]
    table = pd.DataFrame(rows, columns=["clip", "rung", "IDF1"]).assign(low=0.5, high=0.9)
    figure = detection_plots.ladder(table)
    image_of(figure)
    assert "0.60" in texts(figure) and "0.85" in texts(figure)
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == ["one", "two"]


def test_pixels_per_metre_has_levels_and_reads_off_a_value():
    distance = np.linspace(2, 40, 50)
    figure = camera_plots.pixels_per_metre(distance, {"c1": 1000 / distance}, at=10)
    assert "100 px/m" in texts(figure) and "recognise" in texts(figure)


def test_normalisations_tell_the_statistics(crops):
    figure = collection_plots.normalisations(crops[0], {"0..1": np.full((4, 4, 3), 0.5)})
    assert "mean 0.50, deviation 0.00" in texts(figure)


def test_dataset_leaves_distractors_out():
    table = pd.DataFrame({"pid": [1, 1, 2, 0, -1], "camid": [1, 2, 1, 1, 1]})
    shown = texts(collection_plots.dataset({"train": table}))
    assert "train: 2 people" in shown and "train: 3 images" in shown


def test_detections_count_and_truth(tracks):
    image, found = np.zeros((80, 100, 3), np.uint8), tracks[tracks.frame == 0]
    figure = detection_plots.detections(image, {"a": found, "b": found[:0]}, truth=found)
    image_of(figure)
    assert "a: 2 boxes" in texts(figure) and "b: 0 boxes" in texts(figure)
    # A true box is drawn twice, pale on dark, so that it is seen on any ground.
    assert len(figure.axes[0].patches) == 2 + 4 and len(figure.axes[1].patches) == 4


def test_precision_recall_reads_off_the_chosen_point():
    recall, precision = np.array([0.25, 0.5, 0.75]), np.array([1.0, 0.9, 0.6])
    curve = recall, precision, np.array([0.9, 0.5, 0.1])
    assert "recall 0.50, precision 0.90" in texts(
        detection_plots.precision_recall({"a": curve}, 0.3)
    )
    assert "precision 0" not in texts(detection_plots.precision_recall({"a": curve}, 0.95))


def test_cost_matrix_outlines_pairs_and_adds_their_cost():
    cost = np.array([[0.1, np.inf], [0.2, 0.7]])
    figure = detection_plots.cost_matrix(
        cost, {"Hungarian": [(0, 0), (1, 1)]}, ["1", "2"], ["a", "b"]
    )
    assert "Hungarian: 2 pairs, cost 0.80" in texts(figure) and "–" in texts(figure)
    assert len(figure.axes[0].patches) == 2


def test_trajectories_end_with_their_number(tracks):
    figure = detection_plots.trajectories(tracks, np.zeros((80, 100, 3), np.uint8))
    (first, _) = figure.axes[0].lines
    assert first.get_color() == style.colour(1)
    assert first.get_xdata()[-1] == 29 and first.get_ydata()[-1] == 40


def test_ground_points_invert_the_projection(camera):
    K, R, t = (np.array(camera[key]) for key in ("K", "R", "t"))
    feet = np.array([[0.0, 10, 0], [2, 7, 0]])
    u, v, depth = ((feet @ R.T + t) @ K.T).T
    table = pd.DataFrame({"frame": 0, "track": [1, 2], "x1": u / depth - 9, "x2": u / depth + 9})
    table = table.assign(y1=0, y2=v / depth)
    points = cameras.ground_points(table, camera)
    np.testing.assert_allclose(points[["x", "y"]], feet[:, :2], atol=1e-6)
    sky = cameras.ground_points(table.assign(y2=-200), camera)
    assert sky["x"].isna().all()


def test_stripes(crops, rng):
    figure = feature_plots.stripe_histograms(crops[:2], rng.random((2, 3, 8)), ["p1", "p2"], "hue")
    assert len(figure.axes) == 2 * 4 and "stripe 3" in texts(figure) and "p2" in texts(figure)
    hues = np.eye(8)[:, :3]
    coloured = feature_plots.stripe_histograms(crops[:1], rng.random((1, 2, 8)), None, "hue", hues)
    assert coloured.axes[1].patches[2].get_facecolor()[:3] == (0, 0, 1)


def test_variants_leave_the_places_of_shorter_rows_empty(crops):
    figure = feature_plots.variants(
        {"as cut": crops[:4], "small": crops[:2]}, {"as cut": list("abcd")}
    )
    image_of(figure)
    assert [len(ax.images) for ax in figure.axes] == [1, 1, 1, 1, 1, 1, 0, 0]
    assert "small" in texts(figure) and "d" in texts(figure)


def test_costs_put_what_is_given_beside_what_is_paid():
    table = pd.DataFrame({"rank-1": [0.9, 0.1], "ms a crop": [2.5, 120.0]}, ["net", "colours"])
    figure = feature_plots.costs(table, "ms a crop", "rank-1")
    image_of(figure)
    assert "0.90" in texts(figure) and "2.5" in texts(figure) and "colours" in texts(figure)


def test_embedding_map_marks_people_and_cameras(rng):
    pids, camids = np.repeat([3, 7, 9], 8), np.tile([1, 2], 12)
    vectors = rng.normal(size=(24, 16)) + 5 * np.eye(16)[pids]
    figure = feature_plots.embedding_map(vectors, pids, camids, how="tsne")
    image_of(figure)
    assert "camera 2" in texts(figure) and "7" in texts(figure)
    by_camera = feature_plots.embedding_map(vectors, pids, camids, by="camera")
    colours = {to_hex(c) for s in by_camera.axes[0].collections for c in s.get_facecolor()}
    assert colours == {style.BLUE.lower(), style.ORANGE.lower()}


def test_project_is_repeatable_and_refuses_what_is_no_map(rng):
    vectors = rng.normal(size=(30, 8))
    assert np.array_equal(project(vectors, "tsne"), project(vectors, "tsne"))
    with pytest.raises(ValueError, match="choose 'pca' or 'tsne'"):
        project(vectors, "umap")
    with pytest.raises(ValueError, match="at least 3 rows"):
        project(vectors[:2])
    with pytest.raises(ValueError, match="'person' or 'camera'"):
        feature_plots.embedding_map(vectors, range(30), by="colour")


def test_bars_write_values_and_intervals():
    figure = feature_plots.bars({"HSV": 0.2, "net": 0.9}, {"net": (0.85, 0.94)}, title="Rank-1")
    assert "0.90" in texts(figure) and "95 % interval" in texts(figure)
    assert "0.9" in texts(feature_plots.bars({"b": 52.0, "c": 0.9}, xlabel="fps", limit=None))


def test_curves_read_off_the_choice():
    assert "0.650" in texts(feature_plots.fusion([0, 0.5, 1], [0.4, 0.65, 0.6], chosen=0.5))
    band = {"a": ([0.1, 0.2], [0.5, 0.6])}
    figure = feature_plots.curve(
        [1, 2], {"a": [0.3, 0.4], "b": [0.2, 0.3]}, "frames", "rank-1", band
    )
    assert len(figure.axes[0].collections) == 1 and "frames" in texts(figure)


def test_forces_point_against_the_gradient(rng):
    points, gradient = rng.normal(size=(4, 2)), rng.normal(size=(4, 2))
    figure = model_plots.forces(points, [0, 0, 1, 1], gradient, {"margin": 0.5}, anchor=0)
    (arrows,) = [c for c in figure.axes[0].collections if hasattr(c, "U")]
    assert (np.sign(arrows.U) == -np.sign(gradient[:, 0])).all()
    image_of(model_plots.forces(points, [0, 0, 1, 1], np.zeros((4, 2))))


def test_training_draws_each_column():
    history = pd.DataFrame({"epoch": [1, 2, 3], "loss": [3.0, 2, 1], "mAP": [np.nan, 0.4, 0.5]})
    figure = model_plots.training(history)
    assert len([ax for ax in figure.axes if ax.lines]) == 2 and "mAP" in texts(figure)


def test_cmc_writes_rank_1():
    curve = np.array([0.5, 0.7, 0.9])
    figure = model_plots.cmc({"net": curve}, {"net": (curve - 0.1, curve + 0.1)}, ranks=20)
    assert "net: rank-1 0.50" in texts(figure)


def test_rank_grid_marks_right_and_wrong_not_by_colour_alone(crops):
    figure = model_plots.rank_grid(
        crops[:2], [crops[:3], crops[:2]], [[True, False, None], [False, True]]
    )
    image_of(figure)
    assert "1 ✓" in texts(figure) and "2 ✗" in texts(figure)
    right, wrong = figure.axes[1].spines["left"], figure.axes[2].spines["left"]
    assert right.get_linestyle() == "-" and wrong.get_linestyle() != "-"
    assert right.get_edgecolor() != wrong.get_edgecolor()


def test_junk_takes_up_no_rank(crops):
    shown = texts(model_plots.rank_grid(crops[:1], [crops[:3]], [[False, "junk", True]]))
    assert "1 ✗" in shown and "junk" in shown and "2 ✓" in shown and "3" not in shown


def test_rejections_are_drawn_as_rejections(crops):
    marks = ["rejected", "missed", True]
    figure = model_plots.rank_grid(crops[:1], [crops[:3]], [marks])
    shown = texts(figure)
    assert "1 rejected" in shown and "2 missed" in shown and "3 ✓" in shown
    edges = [ax.spines["left"].get_linestyle() for ax in figure.axes[1:]]
    assert edges[0] == edges[1] == ":" and edges[2] == "-"


def test_distances_and_roc_count_errors(rng):
    same, different = np.array([0.1, 0.2, 0.3, 0.9]), np.array([0.5, 1.0, 1.1, 1.2])
    shown = texts(model_plots.distances(same, different, threshold=0.6))
    assert "misses 25.0%" in shown and "false matches 25.00%" in shown
    curve = np.array([0.001, 0.01, 0.1, 1.0]), np.array([0.2, 0.5, 0.8, 1.0])
    assert "net: 50% found" in texts(model_plots.roc({"net": curve}, chosen=0.02))


def test_mining_counts_strangers_from_the_farthest_partner():
    shown = texts(model_plots.mining(np.array([0.2, 0.5]), np.array([0.4, 0.6, 0.7, 0.9]), 0.3))
    assert "hard: 1" in shown and "semi-hard: 2" in shown and "easy: 1" in shown
    assert "margin 0.3" in shown


def test_similarities_share_one_axis_and_tell_their_medians(rng):
    collapsed = np.full(50, 0.0002), np.full(900, 0.0004)
    spread = rng.normal(0.25, 0.05, 50), rng.normal(1, 0.1, 900)
    figure = model_plots.similarities({"collapsed": collapsed, "spread": spread})
    assert {ax.get_xlim() for ax in figure.axes} == {(-1, 1.05)}
    shown = texts(figure)
    assert "one person: median 0.9998" in shown and "two people: median 0.9996" in shown
    assert "one person: median 0.7" in shown


def test_matrices_write_their_values_and_outline_the_best():
    assert "75% right" in texts(model_plots.confusion(np.array([[2, 1], [0, 1]]), ["a", "b"]))
    assert "other" in texts(model_plots.confusion(np.ones((2, 3)), ["a", "b"], ["a", "b", "other"]))
    image_of(
        model_plots.distance_matrix(np.random.default_rng(0).random((20, 40)), range(20), range(40))
    )
    search = pd.DataFrame(
        {"margin": [0.1, 0.1, 0.3], "mining": ["a", "b", "a"], "mAP": [0.3, 0.5, 0.4]}
    )
    figure = model_plots.tuning(search, "mining", "margin")
    (outline,) = figure.axes[0].patches
    assert outline.get_xy() == (0, 1)
    assert "0.50" in texts(figure)


def test_visitors_are_bars_of_one_hour_and_lines_over_several():
    rows = [("door", 3, 4), ("yard", 3, 2)]
    table = pd.DataFrame(rows, columns=["camera", "hour", "visitors"])
    bars = demonstration_plots.visitors(table).axes[0]
    assert [bar.get_height() for bar in bars.patches] == [4, 2]
    assert [tick.get_text() for tick in bars.get_xticklabels()] == ["door", "yard"]
    later = pd.concat([table, pd.DataFrame([("door", 6, 5)], columns=table.columns)])
    ax = demonstration_plots.visitors(later).axes[0]
    steps = {step.get_label(): step.get_data() for step in ax.patches}
    assert steps["door"].values.tolist() == [4, 0, 0, 5]  # nobody is a number too
    assert steps["yard"].values.tolist() == [2, 0, 0, 0]
    assert steps["door"].edges.tolist() == [3, 4, 5, 6, 7] and ax.get_ylim()[0] == 0


def test_who_was_where_puts_cameras_in_lanes():
    stays = [("c1", 0, 5, 1), ("c2", 4, 9, 1), ("c2", 1, 2, 2)]
    table = pd.DataFrame(stays, columns=["camera", "start", "end", "identity"])
    figure = demonstration_plots.who_was_where(table)
    image_of(figure)
    bars = [bar for bar in figure.axes[0].patches if bar.get_width() > 0]
    drawn = sorted((bar.get_x(), bar.get_width()) for bar in bars[:3])
    assert drawn == [(0, 5), (1, 1), (4, 5)]
    assert "camera c2" in texts(figure)
    assert "camera" not in texts(demonstration_plots.who_was_where(table[:1]))


def stays(starts, cameras, count=5):
    rows = [
        (c, s + 3 * i, s + 3 * i + 8, i + 1) for c, s in zip(cameras, starts) for i in range(count)
    ]
    return pd.DataFrame(rows, columns=["camera", "start", "end", "identity"])


def test_the_time_line_begins_where_the_data_do_and_leaves_out_empty_hours():
    together = demonstration_plots.who_was_where(stays([32400, 32415], ["door", "yard"]))
    low, high = together.axes[0].get_xlim()
    assert 32398 < low < 32400 and 32435 < high < 32440
    apart = demonstration_plots.who_was_where(stays([0, 3600], ["door", "yard"]))
    low, high = apart.axes[0].get_xlim()
    assert high - low < 60  # twice 20 s and a gap, not an hour
    assert "nobody for 0:59:40" in texts(apart) and "1:00:00" in texts(apart)
    axis = demonstration_plots.TimeAxis([0, 3600], [20, 3620])
    assert np.diff(axis.place([0, 20, 1800, 3600, 3610])).min() > 0
    assert axis.place(3610) - axis.place(3600) == pytest.approx(10)


@pytest.mark.parametrize("count", [8, 23])
def test_as_many_cameras_as_there_are_are_told_apart(count):
    names = [f"cam{i}" for i in range(count)]
    figure = demonstration_plots.who_was_where(stays([6 * i for i in range(count)], names, 2))
    image_of(figure)
    patterns = {bar.get_hatch() for bar in figure.axes[0].patches if bar.get_width() > 0}
    assert len(patterns - {None}) + 1 >= min(count, 10)
    assert count <= 10 or texts(figure).count("cam17") >= 3  # on the bars, and in the legend


def test_people_and_saliency(crops):
    figure = demonstration_plots.people(
        {4: [("c1", crops[0]), ("c2", crops[1])], 9: [("c3", crops[2])]}
    )
    image_of(figure)
    assert "c3" in texts(figure) and "9" in texts(figure)
    image_of(demonstration_plots.saliency(crops[0], np.eye(8)[:, :4], "why"))


def test_reasons_share_one_scale_and_show_the_partners(crops):
    weights = np.eye(8)[:, :4], 3 * np.eye(8)[:, :4] - 1
    partners = {"right match": (crops[1], weights[0]), "stranger": (crops[2], weights[1])}
    figure = demonstration_plots.reasons(crops[0], partners)
    image_of(figure)
    assert "right match" in texts(figure) and "stranger" in texts(figure)
    scales = [figure.axes[i].images[1].get_clim() for i in (1, 3)]
    assert scales == [(-1, 2), (-1, 2)]


def test_crop_matrix_has_crops_at_its_axes_and_outlines_the_truth(crops):
    same = np.array([[False, True, False], [False, False, True]])
    names = [f"c2: {i}" for i in range(3)]
    figure = demonstration_plots.crop_matrix(
        np.array([[0.9, 0.25, 0.8], [1.1, 0.5, 0.75]]), dict(zip(["c1: 0", "c1: 1"], crops)),
        dict(zip(names, crops)), same, "who",
    )  # fmt: skip
    image_of(figure)
    assert {"c1: 1", "c2: 2", "0.25"} <= set(texts(figure).split(" | "))
    outlined = [patch.get_xy() for patch in figure.axes[5].patches]
    assert outlined == [(1, 0), (2, 1)]


def test_png_size_follows_dpi():
    figure = feature_plots.bars({"a": 0.5})
    small, large = (
        cv2.imdecode(np.frombuffer(style.png(figure, d), np.uint8), 1) for d in (50, 100)
    )
    assert large.shape[1] == pytest.approx(2 * small.shape[1], abs=4)
    assert io.BytesIO(style.encode(figure, "jpeg")).read(2) == b"\xff\xd8"


def test_a_time_line_of_a_crowd_numbers_as_many_as_can_be_read():
    start = np.arange(1000.0)
    rows = pd.DataFrame({"camera": "door", "start": start, "end": start + 3})
    ax = demonstration_plots.who_was_where(rows.assign(identity=np.arange(1, 1001))).axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()][:2] == ["1", "11"]
    assert len(ax.get_yticks()) == 100 and len(ax.patches) == 1000
