"""Panels that the browser draws, as the web book runs them: by mouse, by keys, exact as Python.

Needs Playwright and a browser, as test_browser does. Exact times: benchmarks/latency.py.
"""

import re
import statistics
from functools import partial

import numpy as np
import pandas as pd
import pytest
import test_browser

from benchmarks import latency
from reidlib.collection import camera_plots, datasets
from reidlib.collection import panels as collection_panels
from reidlib.demonstration import matching, plots
from reidlib.demonstration import panels as demonstration_panels
from reidlib.model import distances, losses, toy, verification
from reidlib.model import panels as model_panels

browser, lab, page = test_browser.browser, test_browser.lab, test_browser.page
RNG = np.random.default_rng(0)
BEGIN = {"loss": "triplet", "margin": 0.3, "dim": 128, "optimiser": "adam"}
PAIRS = {
    "good": (RNG.beta(2, 8, 300).astype(np.float32), RNG.beta(6, 5, 20_000).astype(np.float32)),
    "bad": (RNG.uniform(0, 0.9, 300), RNG.uniform(0.1, 1, 20_000)),
}
# Fourteen people, one after the other, and one more track that lives through all.
TRACKS = pd.DataFrame(
    [(frame, 1 + frame // 10) for frame in range(140)] + [(frame, 15) for frame in range(140)],
    columns=["frame", "track"],
)
CROPS = {row: np.full((64, 32, 3), row % 255, np.uint8) for row in range(0, 280, 7)}


def sought():
    """Twelve people, each in two of three cameras, and a box on nobody; vectors and pictures."""
    rng, rows = np.random.default_rng(1), []
    for pid in range(1, 13):
        for seen in (0, 1):
            start = float(rng.uniform(0, 50))
            rows.append((f"c{1 + (pid + seen) % 3}", start, start + 5, 20 + seen, pid, pid))
    rows.append(("c1", 1.0, 2.0, 5, 13, -1))
    columns = ["camera", "start", "end", "frames", "identity", "pid"]
    people = rng.normal(size=(14, 16))
    vectors = people[[row[4] for row in rows]] + rng.normal(0, 0.7, (len(rows), 16))
    pictures = list(rng.integers(0, 255, (len(rows), 128, 64, 3), np.uint8))
    return pd.DataFrame(rows, columns=columns), distances.unit(vectors), pictures


SOUGHT = sought()
CITY = {"overlap": [("c1", "c2")], "travel": {("c2", "c3"): 20.0}}
KNOWLEDGE = {"clock": {}, "clock, cameras": CITY}


def found(identities):
    """The share of tracks whose number nobody else has: changes with every link."""
    return len(set(identities.tolist())) / len(identities)


def playground():
    """The playground with six runs, all three losses among them, as the book has it."""
    pid, camid, _ = np.meshgrid(range(1, 25), range(1, 4), range(3), indexing="ij")
    table = pd.DataFrame({"path": "", "pid": pid.ravel(), "camid": camid.ravel()})
    split = datasets.split(table, train=0.75)
    rng = np.random.default_rng(0)
    people, cameras = rng.normal(size=(25, 4)), rng.normal(size=(4, 16))

    def vectors(part):
        known = np.hstack([people[part.pid], 2 * cameras[part.camid]])
        return (known + rng.normal(0, 0.3, known.shape)).astype(np.float32)

    features = {"made up": [vectors(part) for part in (split.train, split.query, split.gallery)]}
    panel = model_panels.Playground(features, split, steps=60)
    for change in ({"loss": "margin"}, {"loss": "contrastive"}, {"loss": "triplet", "dim": 2},
                   {"dim": 128, "margin": 1.5}, {"margin": 0.3, "optimiser": "adamw"}):  # fmt: skip
        panel.state = panel.state | {"run": -1} | change
    panel.state = panel.state | panel.begin | {"run": 0, "moment": 5}
    return panel


@pytest.fixture(scope="module")
def made():
    """The panels that the tests look at, name to panel."""
    return {
        "thresholds": model_panels.thresholds(PAIRS),
        "toys": model_panels.toys(),
        "planner": collection_panels.planner(),
        "labeller": collection_panels.Labeller(TRACKS, CROPS),
        "browser": demonstration_panels.Browser(*SOUGHT, None, claim=0.6),
        "linking": demonstration_panels.linking(*SOUGHT[:2], KNOWLEDGE, found, 0.5),
        "playground": playground(),
    }


@pytest.fixture(scope="module")
def site(made, tmp_path_factory):
    """Pages on a static server, one a panel; yields the address."""
    folder = tmp_path_factory.mktemp("site")
    for name, panel in made.items():
        latency.write_page(panel, folder / name)
    with latency.served(folder) as address:
        yield address


def opened(page, site, name):
    page.goto(f"{site}/{name}/")
    panel = page.locator(".reid")
    panel.wait_for()
    return panel


def said(panel):
    return panel.locator(".said").inner_text()


def put(panel, name, value):
    """Put a control of the panel to a value, as a hand does."""
    field = panel.locator(f"[data-name={name}]").locator("select, input")
    if field.evaluate("field => field.tagName") == "SELECT":
        field.select_option(value)
    else:
        field.fill(str(value))


PANELS = ["thresholds", "toys", "planner", "labeller", "browser", "linking", "playground"]


@pytest.fixture(params=PANELS)
def every(request, page, site):
    """Every panel, one after the other."""
    return opened(page, site, request.param)


def test_every_panel_answers_mouse_and_keys_within_a_frame_or_so(every, page):
    page.evaluate(latency.PROBE)
    grips = every.locator("[role=slider]").all()
    for grip in [grips[0], grips[-1]]:
        for act in (partial(latency.press, steps=10), partial(latency.drag, steps=12, reach=30)):
            before = said(every), grip.get_attribute("aria-valuetext")
            took = latency.times(page, partial(act, page, grip))
            assert (said(every), grip.get_attribute("aria-valuetext")) != before
            assert len(took) >= 10 and statistics.median(took) < 250  # on a busy machine, too
    assert not page.complaints


def test_every_control_has_a_name_and_a_tooltip(every):
    for field in every.locator("input, select, button").all():
        assert field.get_attribute("title")
        assert field.evaluate("field => field.labels?.length || field.textContent.trim()")
    for grip in every.locator("[role=slider]").all():
        assert grip.get_attribute("aria-label") and grip.get_attribute("aria-valuetext")
    test_browser.playwright_api.expect(every.locator("[aria-live]")).to_have_text(said(every))


def test_keys_stay_in_the_panel(every, page):
    page.evaluate("window.heard = []; document.addEventListener('keydown', e => heard.push(e.key))")
    for field in every.locator("input, select, [role=slider]").all():
        field.focus()
        page.keyboard.press("m")
        page.keyboard.press("ArrowRight")
    assert page.evaluate("heard") == []


@pytest.mark.parametrize("method", PAIRS)
@pytest.mark.parametrize("threshold", [0.05, 0.218, 0.6])
def test_thresholds_counts_as_numpy_does(method, threshold, page, site):
    panel = opened(page, site, "thresholds")
    put(panel, "method", method)
    put(panel, "threshold", threshold)
    put(panel, "gallery", "10,000 strangers")
    same, different = PAIRS[method]
    found, wrong = 100 * np.mean(same <= threshold), 100 * np.mean(different <= threshold)
    assert f"Threshold {threshold:.3f}" in said(panel)
    numbers = [float(n.replace(",", "")) for n in re.findall(r"\d[\d,]*\.?\d*", said(panel))]
    assert numbers[2] == pytest.approx(found, abs=0.051)
    assert numbers[3] == pytest.approx(wrong, abs=0.0051)
    assert numbers[5] == pytest.approx(100 * wrong, abs=0.51)


@pytest.mark.parametrize("rate", [0.1, 0.01, 0.001])
def test_thresholds_keep_the_chosen_rate(rate, page, site):
    panel = opened(page, site, "thresholds")
    put(panel, "rate", f"1 in {round(1 / rate):,}")
    limit = float(re.search(r"Threshold ([\d.]+),", said(panel))[1])
    exact = verification.threshold_at(rate, PAIRS["good"][1])
    assert exact - 0.001 <= limit <= exact  # the highest step of the panel that keeps the rate
    panel.locator("[role=slider]").first.press("ArrowRight")
    assert panel.locator("[data-name=rate] select").evaluate("s => s.value") == "as dragged"


@pytest.mark.parametrize("seed, margin", [(0, 0.3), (3, 0.75)])
@pytest.mark.parametrize(
    "loss, mining",
    [("triplet", "hard"), ("triplet", "semi-hard"), ("triplet", "all"), ("contrastive", "hard"),
     ("margin", "hard")],
)  # fmt: skip
def test_toys_move_as_torch_moves_them(loss, mining, seed, margin, page, site):
    panel = opened(page, site, "toys")
    for name, value in {"mining": mining, "loss": loss, "margin": margin}.items():
        put(panel, name, value)
    put(panel, "seed", f"number {seed}")
    points = toy.start(seed).round(4)
    measure = losses.make(loss, margin, mining, beta=1.0)
    measure.normalize = False
    assert f"loss {toy.gradient(measure, points)[0]:.3f}" in said(panel)
    for _ in range(6):
        panel.get_by_role("button", name="step").click()
    end = toy.move(measure, points, 6)[-1]
    shown = [grip.get_attribute("aria-valuetext") for grip in panel.locator("[role=slider]").all()]
    found = [list(map(float, text.removeprefix("at ").split(", "))) for text in shown[:12]]
    assert np.abs(np.array(found) - end).max() < 0.0051
    assert f"After 6 steps: loss {toy.gradient(measure, end)[0]:.3f}" in said(panel)
    assert panel.locator("[data-name=mining] select").is_disabled() == (loss != "triplet")


def test_toys_play_pause_and_go_back(page, site):
    panel = opened(page, site, "toys")
    put(panel, "margin", 2)  # so much that the loss never gets to 0 and stops by itself
    first = said(panel)
    # In the page itself: on a busy machine the way there and back could outlast the playing.
    panel.evaluate("""panel => new Promise(resolve => {
        const play = [...panel.querySelectorAll("button")].find(b => b.textContent === "play");
        const watch = setInterval(() => {
            if (Number(panel.querySelector(".said").textContent.split(" ")[1]) < 5) return;
            clearInterval(watch);
            play.click();
            resolve();
        }, 20);
        play.click();
    })""")
    stopped = said(panel)
    page.wait_for_timeout(300)
    assert said(panel) == stopped != first
    panel.get_by_role("button", name="start again").click()
    assert said(panel) == first
    panel.get_by_role("button", name="step").click()
    panel.get_by_role("button", name="back").click()
    assert said(panel) == first


@pytest.mark.parametrize(
    "settings",
    [
        {"width": 1920, "focal": 4.0, "height": 3.0, "tilt": 15, "distance": 10.0},
        {"width": 640, "focal": 2.8, "height": 10.0, "tilt": 60, "distance": 50.0},
        {"width": 1920, "focal": 4.0, "height": 1.5, "tilt": 0, "distance": 10.0},
        {"width": 3840, "focal": 25.0, "height": 3.0, "tilt": 15, "distance": 11.0},
        {"width": 640, "focal": 2.8, "height": 10.0, "tilt": 60, "distance": 3.0},
    ],
)
def test_the_planner_says_what_its_figure_says(settings, page, site):
    panel = opened(page, site, "planner")
    for name, value in settings.items():
        put(panel, name, str(value) if name == "width" else value)
    assert said(panel) == camera_plots.planner(**settings)[1]


def heights(panel):
    return [bar.get_attribute("aria-label") for bar in panel.locator("[role=option]").all()]


def test_labels_typed_fast_are_those_on_the_screen(page, site):
    """Faster than any hand: every number goes to the track that was chosen when it was typed."""
    panel = opened(page, site, "labeller")
    panel.locator("[data-name=pid] input").focus()
    order = [bar.split()[1].rstrip(",") for bar in heights(panel)]  # as they stand on the screen
    page.keyboard.type("".join(f"{100 + number}\n" for number in range(14)))
    wanted = {f"track {track}, pid {100 + i}" for i, track in enumerate(order[:14])}
    assert wanted < set(heights(panel)) and len(heights(panel)) == 15
    assert "Track " + order[14] in said(panel)


def test_labelling_by_keys_and_its_refusals_and_undo(page, site):
    panel = opened(page, site, "labeller")
    bars = panel.locator("[role=listbox]")
    bars.focus()
    page.keyboard.press("ArrowDown")  # track 15, which lives all the time
    for _ in range(3):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("s")
    assert "track 16, no name" in heights(panel) and "split 15 30" in said(panel)
    put(panel, "pid", 7)
    page.keyboard.press("Enter")
    before = heights(panel)
    panel.locator("[data-name=other] select").select_option("3")
    panel.locator("[data-name=other] select").evaluate("field => field.blur()")
    panel.locator("[role=option]").nth(0).click()
    panel.get_by_role("button", name="undo").click()
    assert "pid 7" not in " ".join(heights(panel)) and "pid 7" in " ".join(before)
    panel.get_by_role("button", name="undo").click()
    assert len(heights(panel)) == 15 and "nothing yet" in said(panel)


def test_a_bar_dragged_on_another_merges_or_says_why_not(page, site):
    panel = opened(page, site, "labeller")

    def dragged(one, other):
        found = [panel.locator(f"[data-track='{track}'] rect").bounding_box()
                 for track in (one, other)]  # fmt: skip
        (x, y), (_, y_other) = ((b["x"] + b["width"] / 2, b["y"] + 5) for b in found)
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x, y_other, steps=3)
        page.mouse.up()

    dragged(1, 3)
    assert "merge 1 3" in said(panel) and len(heights(panel)) == 14
    dragged(15, 2)
    assert "two places at once in frame 10, 11" in said(panel) and len(heights(panel)) == 14


@pytest.mark.parametrize(
    "query, claim, elsewhere", [(0, 0.6, True), (7, 0.9, False), (24, 1.0, True)]
)
def test_the_query_browser_ranks_as_the_library_does(query, claim, elsewhere, page, site):
    panel = opened(page, site, "browser")
    table = SOUGHT[0]
    panel.locator("[data-name=query] select").select_option(
        f"person {table.identity[query]}: {table.camera[query]}, {table.start[query]:.0f} to "
        f"{table.end[query]:.0f} s"
    )
    put(panel, "claim", claim)
    panel.locator("[data-name=elsewhere] input").set_checked(elsewhere)
    figure, sentence = plots.search(*SOUGHT, query, claim, elsewhere)
    assert said(panel) == sentence
    cards = panel.locator(".ranking button span").all_inner_texts()[1:]
    titles = [ax.get_title() for ax in figure.axes[1:] if ax.get_title()]
    # Beyond the claim the panel fades what the figure marks in words.
    expected = [title.replace("rejected", "✗").replace("missed", "✓") for title in titles]
    assert [card.split("\n")[0] for card in cards] == expected
    faded = panel.locator(".ranking .faded").count()
    claimed = int(re.search(r"claims (\d+)", sentence)[1])
    assert faded == max(0, len(cards) - claimed)


def test_the_query_browser_by_faces_ranking_and_matrix(page, site):
    panel = opened(page, site, "browser")
    chosen = panel.locator("[data-name=query] select")
    panel.locator(".faces button").nth(4).click()
    assert chosen.input_value().startswith("person 5:")
    first = panel.locator(".ranking button span").nth(1).inner_text().split("\n")[1]
    panel.locator(".ranking button").nth(1).click()
    assert panel.locator(".ranking .asked span").inner_text().split("\n")[1] == first
    panel.locator("canvas").click(position={"x": 40, "y": 100})
    label = panel.locator("canvas").get_attribute("aria-label")
    assert re.search(r"c1, \d+ s and c1, \d+ s: distance \d\.\d\d", label)
    page.keyboard.press("ArrowRight")
    assert panel.locator("canvas").get_attribute("aria-label") != label


@pytest.mark.parametrize("known", KNOWLEDGE)
@pytest.mark.parametrize("threshold", [0.0, 0.31, 0.62, 0.875, 1.2])
def test_linking_shows_the_people_that_link_finds(threshold, known, page, site):
    panel = opened(page, site, "linking")
    put(panel, "known", known)
    put(panel, "threshold", threshold)
    identities = matching.link(*SOUGHT[:2], threshold=threshold, **KNOWLEDGE[known])
    people = identities.max()
    assert f"{people} people; IDF1 over all cameras {people / 25:.3f}." in said(panel)
    bars = panel.locator("[role=option]").evaluate_all(
        "bars => bars.map(bar => [bar.dataset.row, bar.ariaLabel, bar.getAttribute('y')])"
    )
    bars.sort(key=lambda bar: int(bar[0]))
    assert [int(label.split("person ")[1]) for _, label, _ in bars] == identities.tolist()
    lanes = np.array([float(y) for _, _, y in bars])
    for person in range(1, people + 1):
        mine = lanes[identities == person]
        assert np.ptp(mine) < 10  # of one lane, apart from the cameras' own heights in it
        others = lanes[identities != person]
        assert not len(others) or np.abs(others[:, None] - mine).min() > 10


def test_linking_by_its_curve_bars_matches_and_matrix(page, site):
    panel = opened(page, site, "linking")
    first = said(panel)
    latency.drag(page, panel.locator("[role=slider]").first, steps=4, reach=60)
    assert said(panel) != first
    story = panel.locator("canvas + p")
    told = [story.inner_text()]
    panel.locator("[role=option]").nth(3).click()
    told.append(story.inner_text())
    page.keyboard.press("ArrowDown")  # the bars have the focus
    told.append(story.inner_text())
    panel.get_by_role("group", name="nearest tracklets").locator("button").nth(2).click()
    told.append(story.inner_text())
    panel.locator("canvas").click(position={"x": 40, "y": 100})
    told.append(story.inner_text())
    page.keyboard.press("ArrowRight")
    told.append(story.inner_text())
    assert len(set(told)) == len(told)
    put(panel, "threshold", 0)
    row = ["ArrowLeft"] * 30 + ["ArrowRight"] * 30 + ["ArrowDown"]
    for key in 5 * row:
        assert re.search(r"distance|itself", story.inner_text())
        if "cannot be one person" in story.inner_text():
            break
        panel.locator("canvas").press(key)
    else:
        raise AssertionError("five rows of pairs, and none of them is at once in one camera")


def test_the_playground_plays_its_runs_without_a_kernel(made, page, site):
    page.emulate_media(reduced_motion="reduce")  # so each run is at its end at once
    panel = opened(page, site, "playground")
    runs = made["playground"].data["runs"]
    names = list(made["playground"].begin)
    for run in runs:
        values = {name: value for name, value in run["settings"].items() if value != "none"}
        for name in sorted(names, key=lambda name: values.get(name) != BEGIN.get(name)):
            field = panel.locator(f"[data-name={name}] select")
            if name == "margin":
                put(panel, name, values[name])
            elif name in values and field.count() and field.is_enabled():
                field.select_option(str(values[name]))
        end = run["frames"][-1]
        assert f": rank-1 {end['cmc'][0]:.3f}, mAP {end['mAP']:.3f}." in said(panel)
        mining = panel.locator("[data-name=mining] select")
        assert mining.is_disabled() == (run["settings"]["loss"] != "triplet")
    assert panel.locator("tbody tr").count() == len(runs)
    assert panel.locator("[data-name=lr] option:disabled").count() == 4  # not recorded
    assert "than run" in said(panel) or "No change against run" in said(panel)
    panel.get_by_role("button", name="run 2", exact=True).click()
    assert said(panel).startswith("Run 2 was made before")


def test_the_playground_keeps_the_colours_of_pinned_runs(page, site):
    page.emulate_media(reduced_motion="reduce")
    panel = opened(page, site, "playground")
    put(panel, "loss", "margin")
    key = "tr:has(button[title='show run {} again']) td:last-child svg path"
    look = "path => path.getAttribute('stroke') + path.getAttribute('stroke-dasharray')"

    def looks(run):
        return panel.locator(key.format(run)).first.evaluate(look)

    first, second = looks(1), looks(2)
    assert first != second
    panel.get_by_title("keep the curves of run 2").click()
    assert page.evaluate("document.activeElement.textContent") == "unpin"
    put(panel, "loss", "contrastive")
    assert (looks(1), looks(2)) == (first, second) and looks(3) not in (first, second)
    panel.get_by_title("keep the curves of run 1").click()
    assert panel.locator(key.format(1)).count() == 0 and looks(2) == second


def test_in_jupyterlab_the_kernel_learns_what_the_hand_did(page, lab):
    page.goto(f"{lab}/lab?reset")
    page.wait_for_function("window.jupyterapp?.serviceManager")
    source = """import numpy as np
from reidlib.model import panels
panel = panels.thresholds({"one": (np.linspace(0, .5, 50), np.linspace(.3, 1, 500))})
panel"""
    common = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    cells = [common | {"source": text, "id": f"c{i}"} for i, text in enumerate([source, "1"])]
    kernel = {"name": "python3", "display_name": "Python 3"}
    content = {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4}
    content["nbformat_minor"] = 5
    saved = {"type": "notebook", "format": "json", "content": content}
    page.evaluate("m => jupyterapp.serviceManager.contents.save('live.ipynb', m)", saved)
    test_browser.run_all(page, f"{lab}/lab/tree/live.ipynb?reset")
    panel = page.locator(".reid")
    panel.wait_for()
    grip = panel.locator("[role=slider]").first
    latency.press(page, grip, 3)
    page.keyboard.press("m")  # would turn the cell into text
    page.keyboard.press("b")  # would add a cell
    page.wait_for_timeout(400)
    shown = float(re.search(r"Threshold ([\d.]+),", said(panel))[1])
    page.evaluate(
        "() => { const cells = jupyterapp.shell.currentWidget.content.widgets;"
        "cells[1].model.sharedModel.setSource('panel.state[\"threshold\"]'); }"
    )
    notebook = run_last(page)
    assert [cell["cell_type"] for cell in notebook["cells"]] == ["code", "code"]
    assert float(notebook["cells"][1]["outputs"][0]["data"]["text/plain"]) == shown
    assert not page.complaints


def run_last(page):
    """Run the last cell alone; the panel of the first stays as the hand left it."""
    page.evaluate(
        "async () => { const content = jupyterapp.shell.currentWidget.content;"
        "content.activeCellIndex = content.widgets.length - 1;"
        "await jupyterapp.commands.execute('notebook:run-cell'); }"
    )
    return page.evaluate(f"{test_browser.CURRENT}.context.model.toJSON()")
