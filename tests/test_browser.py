"""Every lesson works in JupyterLab in a real browser: all cells run, and its panels react.

Needs Playwright and a Chromium or Chrome on this machine ($REIDLIB_BROWSER names another one).
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

ROOT = Path(__file__).resolve().parent.parent
LESSONS = sorted((ROOT / "notebooks").glob("0*.ipynb"))
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
BROWSER = os.environ.get("REIDLIB_BROWSER") or next(filter(None, map(shutil.which, NAMES)), None)
SECONDS = 600  # for one lesson on a busy machine; the budgets are checked elsewhere
SETTINGS = {
    "notebook-extension/tracker": {"windowingMode": "none"},  # else only cells in view are rendered
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    "docmanager-extension/plugin": {"autosave": False},
}
CURRENT = "window.jupyterapp?.shell.currentWidget"
PANEL = ".widget-vbox:has(> .widget-box):has(> .widget-image)"
# A picture's checksum; its address alone changes with every redraw, also of the same picture.
PICTURE = """async panel => {
    const image = panel.querySelector(".widget-image");
    const bytes = new Uint8Array(await (await fetch(image.src)).arrayBuffer());
    return image.naturalWidth + " " + bytes.reduce((sum, b) => (sum * 33 + b) % 4294967296, 5381);
}"""
BROKEN = """() => [
    ...[...document.querySelectorAll(".jp-OutputArea-output, .jupyter-widgets-error-widget")]
        .map(e => e.innerText)
        .filter(text => /Error displaying widget|Loading widget|Error creating widget/.test(text)),
    ...[...document.querySelectorAll(".jp-OutputArea-output img")]
        .filter(image => image.complete && !image.naturalWidth).map(image => image.outerHTML),
]"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A JupyterLab on a copy of the lessons, with settings of its own; yields its address."""
    folder = tmp_path_factory.mktemp("lab")
    ignored = shutil.ignore_patterns("solutions", ".ipynb_checkpoints", "__pycache__")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks", ignore=ignored)
    for name, settings in SETTINGS.items():
        path = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = {
        "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "share", "IPYTHONDIR": "ipython",
        "JUPYTER_RUNTIME_DIR": "runtime", "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
    }  # fmt: skip
    environment = os.environ | {name: str(folder / place) for name, place in places.items()}
    environment["PYTHONPATH"] = str(ROOT)
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}",
        "--ServerApp.port_retries=0", f"--ServerApp.root_dir={folder}", "--IdentityProvider.token=",
        "--LabApp.expose_app_in_browser=True",
    ]  # fmt: skip
    with open(folder / "lab.log", "w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{address}/api/status", timeout=5).close()
                break
            except OSError:
                assert server.poll() is None, (folder / "lab.log").read_text()[-2000:]
                time.sleep(0.5)
        yield address
    finally:
        server.terminate()
        server.wait(30)


@pytest.fixture(scope="module")
def browser():
    if BROWSER is None:
        pytest.skip("no Chromium or Chrome found; install one, or name it in REIDLIB_BROWSER")
    with playwright_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser):
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.complaints = []
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("console", lambda m: page.complaints.append(m.text) if m.type == "error" else None)
    yield page
    page.evaluate(f"() => {CURRENT}?.context?.sessionContext?.shutdown()")  # frees its memory
    page.close()


def run_all(page, address):
    """Open a lesson, run all its cells, and return its notebook as the browser holds it."""
    page.goto(address)
    idle = f"{CURRENT}?.context?.sessionContext?.session?.kernel?.status === 'idle'"
    page.wait_for_function(idle, timeout=90_000)
    page.evaluate(
        "() => { window.done = false; jupyterapp.commands.execute('notebook:run-all-cells')"
        ".finally(() => { window.done = true; }); }"
    )
    page.wait_for_function(f"window.done && {idle}", timeout=SECONDS * 1000)
    return page.evaluate(f"{CURRENT}.context.model.toJSON()")


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_lesson_runs_and_its_panels_react(path, lab, page, tmp_path):
    try:
        notebook = run_all(page, f"{lab}/lab/tree/notebooks/{path.name}?reset")
        code = [c for c in notebook["cells"] if c["cell_type"] == "code" and c["source"].strip()]
        outputs = [output for cell in code for output in cell["outputs"]]
        assert not [o for o in outputs if o["output_type"] == "error"]
        assert not [o["text"] for o in outputs if o.get("name") == "stderr"]
        assert all(cell["execution_count"] for cell in code)
        panels, drawn_here = page.locator(PANEL), page.locator(".reid")
        assert panels.count() + drawn_here.count() >= 2
        for panel in panels.all():
            move(panel)
        for panel in drawn_here.all():  # by the browser: each of its grips is moved, by keys
            turn(panel)
        assert not page.evaluate(BROKEN)
        assert not [text for text in page.complaints if "ERR_NAME_NOT_RESOLVED" not in text]
    except BaseException:
        page.screenshot(path=tmp_path / "failure.png")
        print(f"see {tmp_path / 'failure.png'}; the browser said {page.complaints}")
        raise


def move(panel):
    """Move one control of each kind, as a person does; one of them must change the picture."""
    sliders = panel.locator(".noUi-handle")
    choices = panel.locator("select:has(option:nth-child(2))")
    output = panel.locator("xpath=ancestor::div[contains(@class, 'jp-OutputArea-output')][1]")
    buttons = output.locator("button.widget-button:enabled")  # also those beside the panel
    changed = []
    if sliders.count():
        changed += [changes(panel, lambda: sliders.first.press("PageUp"))]
    if choices.count():
        last = choices.first.locator("option").count() - 1
        changed += [changes(panel, lambda: choices.first.select_option(index=last))]
    if buttons.count():
        changed += [changes(panel, lambda: buttons.first.click())]
    assert any(changed), f"no new picture: {said(panel)}"


def turn(panel):
    """Move every grip of a panel that the browser draws; each says another value at once."""
    panel.scroll_into_view_if_needed()
    for grip in panel.locator("[role=slider]").all():
        before = grip.get_attribute("aria-valuetext")
        for key in ("ArrowRight", "ArrowUp", "ArrowLeft", "ArrowLeft"):
            grip.press(key)
            if grip.get_attribute("aria-valuetext") != before:
                break
        assert grip.get_attribute("aria-valuetext") != before, before


def changes(panel, act) -> bool:
    """Do something to a panel; return whether its picture becomes another one. Errors fail."""
    panel.scroll_into_view_if_needed()
    before, deadline = panel.evaluate(PICTURE), time.monotonic() + 20
    act()
    changed = False
    while not changed and time.monotonic() < deadline:
        time.sleep(0.1)
        changed = panel.evaluate(PICTURE) != before
    assert not panel.locator(".panel-error").count(), said(panel)
    return changed


def said(panel) -> str:
    return " ".join(panel.locator(".widget-html").all_inner_texts())
