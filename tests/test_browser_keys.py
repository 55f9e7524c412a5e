"""Panels work in JupyterLab by keyboard alone: keys go to what has the focus, not to the notebook.

Needs Playwright and a browser, as test_browser does.
"""

import pytest
import test_browser
from test_browser_labels import BLIND, PEOPLE, opened, until, untouched

# Fixtures of another file are known by the names that they have here.
browser, lab, page = test_browser.browser, test_browser.lab, test_browser.page

PANEL = """
import ipywidgets
from reidlib import style
from reidlib.panel import Panel
Panel(
    lambda letter, size, kind: (style.axes()[0], f"now {letter}, {size}, {kind}"),
    letter=ipywidgets.Dropdown(options=list("abc")),
    size=ipywidgets.IntSlider(3, 1, 9),
    kind=ipywidgets.ToggleButtons(options=["x", "y"]),
)
"""
CELL = "jupyterapp.shell.currentWidget.content.activeCellIndex"
TYPES = "jupyterapp.shell.currentWidget.content.widgets.map(cell => cell.model.type)"


def test_lists_sliders_and_buttons_keep_their_keys(page, lab, tmp_path):
    panel, _ = opened(page, lab, PANEL, tmp_path)

    def says(text):
        return until(lambda: f"now {text}" in panel.inner_text())

    panel.locator("select").focus()  # where Tab gets to
    page.keyboard.press("ArrowDown")
    assert says("b, 3, x")
    page.keyboard.press("End")
    assert says("c, 3, x")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("a")  # JupyterLab would put a cell above this one
    assert says("a, 3, x")
    page.keyboard.press("Tab")  # to the slider
    for key in ("ArrowUp", "ArrowRight", "ArrowDown", "ArrowRight"):
        page.keyboard.press(key)
    assert says("a, 5, x")
    for _ in range(2):
        for key in ("m", "r", "1", "d", "d", "x", "b", "Shift+M", "z"):
            page.keyboard.press(key)
        panel.locator("button", has_text="y").focus()
    page.keyboard.press("Space")
    assert says("a, 5, y")
    assert untouched(page) and page.evaluate(CELL) == 1
    assert set(page.evaluate(TYPES)) == {"code"}
    page.keyboard.press("Shift+Enter")  # this stays JupyterLab's: the cell runs again
    assert says("a, 3, x")
    assert not page.complaints


@pytest.mark.parametrize("cell", [BLIND, PEOPLE], ids=["pairs", "people"])
def test_letters_on_the_buttons_of_labels_leave_the_notebook_alone(cell, page, lab, tmp_path):
    panel, _ = opened(page, lab, cell, tmp_path)
    for _ in range(2):
        panel.locator("button:enabled").first.focus()
        for key in ("d", "d", "m", "x"):
            page.keyboard.press(key)
    until(lambda: False, 1)
    assert untouched(page) and set(page.evaluate(TYPES)) == {"code"}
