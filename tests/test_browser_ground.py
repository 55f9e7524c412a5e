"""Four points of the ground are set in JupyterLab in a real browser, by keyboard alone, and kept.

Needs Playwright and a browser, as test_browser does.
"""

import tomllib

import test_browser
from test_browser_labels import opened, until

# Fixtures of another file are known by the names that they have here.
browser, lab, page = test_browser.browser, test_browser.lab, test_browser.page

GROUND = """
from reidlib import assets
from reidlib.collection import formats, video
from reidlib.demonstration import ground_panels
table = formats.read_mot(assets.data("plaza", "tracks", "c1_day.txt"))
table = table.assign(time=table["frame"] / 12.5)
clip = assets.data("plaza", "clips", "c1_day.mp4")
stills = {frame: image for frame, _, image in video.read(clip, every=60)}
site = FOLDER / "site.toml"
site.write_text("[cameras.c1]\\nvideo = 'c1.mp4'\\n")
ground_panels.GroundPoints({"c1": stills}, {"c1": table}, site)
"""


def test_points_are_set_and_kept_by_keyboard_alone(page, lab, tmp_path):
    panel, _ = opened(page, lab, GROUND, tmp_path)
    site = tmp_path / "site.toml"
    points = panel.locator(".widget-toggle-buttons").nth(1).locator("button")
    shown = panel.locator(".widget-readout").first
    for number, x in enumerate((128, 512, 416, 224), 1):  # the guesses
        points.nth(number - 1).focus()  # where Tab gets to
        page.keyboard.press("Space")
        assert until(lambda x=x: shown.inner_text() == str(x)), (number, shown.inner_text())
        for _ in range(5 - number):
            page.keyboard.press("Tab")  # the slider of x
        page.keyboard.press("ArrowLeft")
        left = ", ".join("1234"[number:])
        assert until(
            lambda n=number, text=left: n == 4 or f"set yet: {text}." in panel.inner_text()
        )
    assert until(lambda: "Not set yet" not in panel.inner_text())
    before = panel.locator("img").get_attribute("src")
    panel.locator("input[type=number]").first.focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("0.5")
    page.keyboard.press("Tab")
    assert until(lambda: panel.locator("img").get_attribute("src") != before)
    page.screenshot(path=tmp_path / "ground.png")
    panel.locator("button", has_text="keep").focus()
    page.keyboard.press("Space")
    assert until(lambda: "ground.image" in site.read_text())
    page.screenshot(path=tmp_path / "kept.png")
    ground = tomllib.loads(site.read_text())["cameras"]["c1"]["ground"]
    assert [x for x, _ in ground["image"]] == [127, 511, 415, 223]  # a pixel left of the guess
    assert ground["plan"][3] == [0.5, 8]
    assert "written to" in panel.inner_text() and not page.complaints
