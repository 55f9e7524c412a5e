"""Labelling works in JupyterLab in a real browser, by mouse and by keyboard, and loses nothing.

Needs Playwright and a browser, as test_browser does.
"""

import os
import signal
import time

import pandas as pd
import pytest
import test_browser
from test_browser import run_all

# Fixtures of another file are known by the names that they have here.
browser, lab, page = test_browser.browser, test_browser.lab, test_browser.page

SETUP = """
import os
import numpy as np
from test_labelling import place
from reidlib.demonstration import labelling, panels
tracklets, vectors, pids = place(people=6)
colours = np.random.default_rng(1).integers(0, 255, (7, 3), np.uint8)
crops = {camera: {} for camera in "c1 c2 c3".split()}
for row in tracklets.itertuples():
    crop = np.full((128, 64, 3), colours[row.track])
    crops[row.camera][row.track] = [(0, crop), (5, crop), (9, crop)]
pairs = labelling.sample_pairs(tracklets, vectors, 60, seed=2)
print("PID", os.getpid())
"""
BLIND = "panels.BlindPairs(pairs, crops, FOLDER / 'pairs.csv', 'Ann')"
PEOPLE = "panels.People(labelling.propose(tracklets), crops, FOLDER / 'people.csv', size=6)"


def notebook(last, folder):
    paths = f"import sys, pathlib\nsys.path.insert(0, {os.path.dirname(__file__)!r})\n"
    sources = [paths + f"FOLDER = pathlib.Path({str(folder)!r})" + SETUP, last, "'untouched'"]
    common = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    cells = [common | {"source": source, "id": f"cell-{i}"} for i, source in enumerate(sources)]
    kernel = {"name": "python3", "display_name": "Python 3"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def opened(page, lab, last, folder):
    """Open a notebook with a panel, run it, and return the panel and its kernel's process."""
    page.goto(f"{lab}/lab?reset")
    page.wait_for_function("window.jupyterapp?.serviceManager")
    saved = {"type": "notebook", "format": "json", "content": notebook(last, folder)}
    page.evaluate("m => jupyterapp.serviceManager.contents.save('labels.ipynb', m)", saved)
    cells = run_all(page, f"{lab}/lab/tree/labels.ipynb?reset")["cells"]
    process = int(cells[0]["outputs"][0]["text"].split()[-1])
    panel = page.locator(".widget-vbox:has(.widget-image)").first
    panel.locator("img").first.wait_for()
    return panel, process


def answers(path):
    return pd.read_csv(path, keep_default_na=False)


def truth(table):
    return ["same" if a == b else "different" for a, b in zip(table["track_a"], table["track_b"])]


def until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def untouched(page):
    """Return whether the notebook still has its three cells: no letter was a shortcut."""
    return page.evaluate("jupyterapp.shell.currentWidget.content.widgets.length") == 3


@pytest.mark.parametrize("how", ["mouse", "keyboard"])
def test_fourteen_labels_at_one_a_second_survive_the_kernel(how, page, lab, tmp_path):
    panel, process = opened(page, lab, BLIND, tmp_path)
    right = truth(answers(tmp_path / "pairs.csv"))
    if how == "keyboard":
        panel.locator("input").focus()  # where Tab would get to
    for count, said in enumerate(right[:14], 1):
        started = time.monotonic()
        for _ in range(5):  # a busy machine may not hear the first: nothing moves, so again
            if how == "mouse":
                panel.locator("button", has_text=f"{said} (").click()
            else:
                page.keyboard.press(said[0])
            if until(lambda n=count: f"{n + 1} of 60" in panel.inner_text(), 4):
                break
        time.sleep(max(0, 1 - (time.monotonic() - started)))
    page.screenshot(path=tmp_path / f"{how}.png")
    os.kill(process, signal.SIGKILL)
    kept = answers(tmp_path / "pairs.csv")
    assert kept["answer"].tolist() == right[:14] + [""] * 46
    assert untouched(page)
    assert not page.complaints


def test_after_a_kernel_died_labelling_goes_on_at_the_sixth_pair(page, lab, tmp_path):
    def say(said, shown):
        for _ in range(5):  # a busy machine may not hear the first: nothing moves, so again
            page.keyboard.press(said[0])
            if until(lambda: panel.inner_text().lstrip().startswith(f"{shown} of 60"), 4):
                return

    panel, process = opened(page, lab, BLIND, tmp_path)
    right = truth(answers(tmp_path / "pairs.csv"))
    panel.locator("input").focus()
    for count, said in enumerate(right[:5], 1):
        say(said, count + 1)
    os.kill(process, signal.SIGKILL)
    panel, another = opened(page, lab, BLIND, tmp_path)
    assert another != process
    assert until(lambda: panel.inner_text().lstrip().startswith("6 of 60"))
    panel.locator("input").focus()
    say(right[5], 7)
    assert answers(tmp_path / "pairs.csv")["answer"].tolist() == right[:6] + [""] * 54


def test_what_is_typed_too_fast_never_labels_a_pair_that_was_not_seen(page, lab, tmp_path):
    """A burst of letters: each label is one that was typed while its pair was shown."""
    panel, _ = opened(page, lab, BLIND, tmp_path)
    panel.locator("input").focus()
    page.keyboard.type("ddddd")
    until(lambda: False, 2)
    kept = answers(tmp_path / "pairs.csv")
    labelled = (kept["answer"] != "").sum()
    assert 1 <= labelled <= 5 and f"{labelled + 1} of 60" in panel.inner_text()
    assert panel.locator("input").input_value() == f"{labelled + 1}: "
    panel.locator("button", has_text="same (").dblclick()
    assert until(lambda: f"{labelled + 2} of 60" in panel.inner_text())
    until(lambda: False, 1)
    assert (answers(tmp_path / "pairs.csv")["answer"] != "").sum() == labelled + 1
    page.keyboard.type("u")  # a click leaves the letters in the field
    assert until(lambda: (answers(tmp_path / "pairs.csv")["answer"] != "").sum() == labelled)
    assert untouched(page)


def test_all_tracks_are_paged_through_by_keyboard_alone(page, lab, tmp_path):
    panel, process = opened(page, lab, PEOPLE, tmp_path)
    path = tmp_path / "people.csv"
    panel.locator("button", has_text="next").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Space")  # these are right
    assert until(lambda: path.exists() and answers(path)["pid"].ne("").sum() == 6)
    page.keyboard.press("Tab")  # the first of the page's numbers
    page.keyboard.type("17")
    page.keyboard.press("Tab")
    assert until(lambda: "17" in answers(path)["pid"].astype(str).tolist()[0])
    for _ in range(3):
        page.keyboard.press("Shift+Tab")
    page.keyboard.press("Space")  # next
    assert until(lambda: "Page 2 of 3" in panel.inner_text())
    page.screenshot(path=tmp_path / "people.png")
    os.kill(process, signal.SIGKILL)
    assert answers(path)["pid"].ne("").sum() == 6
    assert untouched(page)
