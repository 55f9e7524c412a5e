"""The web book's search with a picture of one's own: in the page, as exact as Python's, unsent.

Needs Playwright and a browser, as test_browser does, and npm, which has fetched or can fetch what
runs the network.
"""

import base64
import importlib.util
import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import test_browser

from benchmarks import latency
from reidlib.collection import datasets, encoding, transforms
from reidlib.demonstration import panels
from reidlib.features import extractors
from reidlib.model import distances

pytest.importorskip("myst_nb", reason="the book needs: pip install -e '.[book]'")
browser, page = test_browser.browser, test_browser.page
expect = test_browser.playwright_api.expect
ROOT = Path(__file__).parent.parent
VECTOR = """async (picture) => {
    const { network, decoded, resized } = await import("/_static/search.js");
    const file = await (await fetch(picture)).blob(), canvas = await decoded(file);
    const image = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const bytes = resized(image), run = await network(new URL("/_static/search/", location));
    return { bytes: [...bytes], vector: [...await run(bytes)] };
}"""


@pytest.fixture(scope="module")
def conf():
    spec = importlib.util.spec_from_file_location("conf", ROOT / "notebooks" / "book" / "conf.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def sought():
    """Crops of plaza's people, two of each, and their vectors by the bundled network."""
    query = datasets.load("plaza").query.groupby("pid").head(2)[:24]
    images = datasets.read_images(query["path"])
    table = pd.DataFrame({"camera": [f"c{camid}" for camid in query["camid"]]})
    table["start"] = table["end"] = np.arange(len(query), dtype=float)
    table = table.assign(frames=1, identity=query["pid"].to_numpy(), pid=query["pid"].to_numpy())
    extractor = extractors.load("plaza")
    return table, extractor(images), images, extractor, query["path"].tolist()


@pytest.fixture(scope="module")
def site(conf, sought, tmp_path_factory):
    """The book's parts for one panel on a static server; yields the address."""
    folder = tmp_path_factory.mktemp("book")
    search = conf.write_search(folder / "_static" / "search")
    if "missing" in search:
        pytest.skip(search["missing"])
    table, vectors, images, extractor, _ = sought
    panel = panels.Browser(table, vectors, images, extractor, claim=0.6)
    latency.write_page(panel, folder / "_static" / "panels")
    shutil.copy(ROOT / "notebooks" / "book" / "static" / "search.js", folder / "_static")
    record = folder / "_static" / "panels" / "data.json"
    record.write_text(json.dumps(panel.record() | {"search": search}))
    with latency.served(folder) as address:
        yield address


def as_address(path):
    return f"data:image/{path.suffix[1:]};base64,{base64.b64encode(path.read_bytes()).decode()}"


def opened(page, site):
    page.goto(f"{site}/_static/panels/")
    page.locator(".reid .own").wait_for()
    return page.locator(".reid")


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_the_vector_of_a_crop_is_the_one_that_python_gives(suffix, site, page, sought, tmp_path):
    opened(page, site)
    for image in sought[2][:3]:
        path = tmp_path / f"crop{suffix}"
        encoding.write_image(path, image)
        expected = sought[3](datasets.read_images([path]))[0]
        found = page.evaluate(VECTOR, as_address(path))
        assert np.abs(np.array(found["vector"]) - expected).max() < 1e-3
        assert np.ptp(expected) > 0.1  # so that 1e-3 says something


SIZES = [(40, 17), (128, 63), (129, 64), (200, 90), (255, 128), (600, 301), (999, 1333)]


@pytest.mark.parametrize("height, width", SIZES)
def test_other_sizes_are_resized_as_the_library_does(height, width, site, page, tmp_path):
    """Below and above the size from which areas are averaged; a grey level is rounding."""
    opened(page, site)
    noise = np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)
    image = cv2.GaussianBlur(noise, (0, 0), 1.0)
    path = tmp_path / "picture.png"
    encoding.write_image(path, image)
    expected = transforms.resize(image, (128, 64)).astype(int)
    found = np.array(page.evaluate(VECTOR, as_address(path))["bytes"]).reshape(expected.shape)
    assert np.abs(found - expected).max() <= 1


def test_a_picture_searches_and_never_leaves_the_machine(site, page, sought):
    panel = opened(page, site)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    chooser = panel.locator("input[type=file]")
    chooser.set_input_files(sought[4][5])
    expect(panel.locator("[role=status]")).to_contain_text("Searched", timeout=60_000)
    assert sorted(url.rpartition("/")[2] for url in asked if url.startswith("http")) == [
        "network.onnx", "runtime.js", "runtime.wasm"
    ]  # fmt: skip
    cards = panel.locator(".ranking button span").all_inner_texts()
    assert "your picture" in cards[0] and cards[1].endswith("0.00")
    away = np.sort(distances.distances(sought[1][[5]], sought[1])[0])
    shown = [float(card.split("\n")[-1]) for card in cards[1:]]
    assert np.abs(shown - away[: len(shown)]).max() < 0.011
    asked.clear()
    chooser.set_input_files(sought[4][9])
    first = cards[2]
    expect(panel.locator(".ranking button span").nth(2)).not_to_have_text(first)
    assert not [url for url in asked if url.startswith("http")] and not page.complaints


def test_a_scene_is_searched_by_a_frame_of_mouse_and_keys(site, page, tmp_path):
    panel = opened(page, site)
    scene = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    encoding.write_image(tmp_path / "scene.png", scene)
    panel.locator("input[type=file]").set_input_files(tmp_path / "scene.png")
    view, status = panel.locator(".own canvas"), panel.locator("[role=status]")
    expect(status).to_contain_text("Searched", timeout=60_000)
    assert "240 x 480 at 200, 0" in view.get_attribute("aria-label")  # a person's shape, midway
    view.press("ArrowRight")
    view.press("Shift+ArrowUp")
    assert "240 x 470 at 210, 0" in view.get_attribute("aria-label")
    box = view.bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 90, box["y"] + 130, steps=4)
    page.mouse.up()
    x, y, width, height = (value * 640 / box["width"] for value in (20, 30, 70, 100))
    label = view.get_attribute("aria-label")
    found = re.search(r"frame of (\d+) x (\d+) at (\d+), (\d+)", label).groups()
    assert np.abs(np.array(found, int) - [width, height, x, y]).max() <= 3
    panel.locator("input[type=file]").set_input_files(
        {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no picture"}
    )
    expect(status).to_contain_text("notes.txt is no picture")


def test_pictures_are_dropped_and_pasted_too(site, page, sought):
    panel = opened(page, site)
    give = """async ([place, kind, picture]) => {
        const blob = await (await fetch(picture)).blob(), held = new DataTransfer();
        held.items.add(new File([blob], "one.jpg", { type: "image/jpeg" }));
        const event = kind === "drop"
            ? new DragEvent(kind, { dataTransfer: held, bubbles: true, cancelable: true })
            : new ClipboardEvent(kind, { clipboardData: held, bubbles: true, cancelable: true });
        document.querySelector(place).dispatchEvent(event);
    }"""
    ranked = panel.locator(".ranking button span").nth(2)
    for row, place, kind in ((3, ".own", "drop"), (8, "body", "paste")):
        before = ranked.inner_text()
        page.evaluate(give, [place, kind, as_address(Path(sought[4][row]))])
        expect(ranked).not_to_have_text(before, timeout=60_000)
        assert "your picture" in panel.locator(".asked span").inner_text()


@pytest.mark.parametrize("name", ["05_demonstration-browser", "own_footage-browser"])
def test_what_the_book_recorded_is_of_the_bundled_network(name):
    """Else a picture would be compared with vectors that mean something else."""
    data = json.loads((ROOT / "notebooks/book/panels" / f"{name}.json").read_text())["data"]
    assert data["network"] == "plaza"
    vectors = np.frombuffer(base64.b64decode(data["vectors"]["bytes"]), np.float16)
    vectors = vectors.reshape(data["vectors"]["shape"]).astype(np.float32)
    packed = [np.frombuffer(base64.b64decode(one["bytes"]), np.uint8) for one in data["pictures"]]
    pictures = [cv2.imdecode(one, cv2.IMREAD_COLOR)[..., ::-1] for one in packed]
    nearest = distances.distances(extractors.load("plaza")(pictures), vectors).argmin(1)
    assert (nearest == np.arange(len(vectors))).mean() > 0.5


def test_without_a_network_the_book_says_what_is_left_out(conf, tmp_path, monkeypatch):
    monkeypatch.setenv("npm_config_offline", "true")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "empty"))
    search = conf.write_search(tmp_path / "search")
    assert set(search) == {"missing"} and conf.RUNTIME in search["missing"]
    assert not list((tmp_path / "search").iterdir())


def test_the_sentence_stands_in_the_panel(sought, page, tmp_path):
    table, vectors, images, extractor, _ = sought
    panel = panels.Browser(table, vectors, images, extractor)
    latency.write_page(panel, tmp_path / "panel")
    record = panel.record() | {"search": {"missing": "It is left out."}}
    (tmp_path / "panel" / "data.json").write_text(json.dumps(record))
    with latency.served(tmp_path) as address:
        page.goto(f"{address}/panel/")
        page.get_by_text("It is left out.").wait_for()


def test_another_package_under_that_name_is_refused(conf, tmp_path, monkeypatch):
    monkeypatch.setattr(conf, "INTEGRITY", "of something else")
    search = conf.write_search(tmp_path / "search")
    assert set(search) == {"missing"} and not list((tmp_path / "search").iterdir())
    if shutil.which("npm") and "could not fetch" not in search["missing"]:
        assert "differs from its checksum" in search["missing"]


def test_a_range_holds_the_value_that_it_begins_with(sought, page, tmp_path):
    """A claim of 1.4 was used, and 1.2 was shown: the range ended there."""
    table, vectors, images, _, _ = sought
    panel = panels.Browser(table, vectors, images, None, claim=1.4)
    latency.write_page(panel, tmp_path / "panel")
    with latency.served(tmp_path) as address:
        page.goto(f"{address}/panel/")
        field = page.locator("[data-name=claim] input")
        field.wait_for()
        assert float(field.input_value()) == 1.4
        grip = page.locator("[role=slider]").first
        assert grip.get_attribute("aria-valuetext") == "distance 1.40"
        field.press("ArrowLeft")
        expect(page.locator("[data-name=claim] output")).to_have_text("1.39")
