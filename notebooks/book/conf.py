"""The web book: README, lessons, solutions and the other texts as static pages, by Sphinx.

    python -m sphinx -c notebooks/book . build/book

Nothing is run: the notebooks' saved outputs are shown, formulas become MathML. Panels that the
browser draws move in the book too, by data that `notebooks/run.py` recorded. One thing is fetched,
by npm: what runs the bundled network in a page, so that a visitor can search with a picture of
their own. Without npm or a network the book is whole but for that, and says so.
"""

import base64
import hashlib
import json
import re
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

ROOT = Path(__file__).resolve().parents[2]
PANELS = Path(__file__).resolve().parent / "panels"  # what run.py recorded: name to data
RUNTIME = "onnxruntime-web@1.30.0"  # runs an ONNX file in a page; MIT, by Microsoft
INTEGRITY = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
# Of its 130 MB, one module and one binary, for one thread; by another name, for servers know .js.
RUNTIME_FILES = {
    "package/dist/ort.wasm.bundle.min.mjs": "runtime.js",
    "package/dist/ort-wasm-simd-threaded.wasm": "runtime.wasm",
}
NETWORK = ROOT / "data" / "weights" / "plaza_embedding.onnx"

project, author, language = "Person re-identification", "the authors of the course", "en"
extensions = ["myst_nb"]
root_doc = "README"
include_patterns = [
    "README.md", "notebooks/*.ipynb", "notebooks/*.md", "notebooks/solutions/*.ipynb",
    "notebooks/teaching/*.md",
    "data/README.md", "data/weights/*.md", "data/generator/README.md",
    "CONTRIBUTING.md", "CODE_OF_CONDUCT.md", "CHANGELOG.md",
]  # fmt: skip
exclude_patterns = [".*", "build", "dist", "demo", "runs", "**/.ipynb_checkpoints"]
CONTENTS = {
    "Lessons": ["notebooks/0*"],
    "On your own footage": ["notebooks/OWN_FOOTAGE", "notebooks/own_footage", "notebooks/SCALE"],
    "Solutions": ["notebooks/solutions/*"],
    "To look up": ["notebooks/GLOSSARY", "notebooks/RESULTS"],
    "To teach": ["notebooks/TEACHING", "notebooks/teaching/*"],
    "Footage and weights": ["data/README", "data/weights/*", "data/generator/README"],
    "To take part": ["CONTRIBUTING", "CODE_OF_CONDUCT", "CHANGELOG"],
}

nb_execution_mode = "off"
suppress_warnings = ["myst.header"]  # headings may skip a level where that reads better
nb_merge_streams = True
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4

html_theme = "furo"
html_title = project
html_static_path = ["static"]
html_css_files = ["book.css"]
html_js_files = [(name, {"type": "module"}) for name in ("panels.js", "access.js")]
html_use_index = html_copy_source = html_show_sphinx = html_show_copyright = False
html_math_renderer = "mathml"
html_additional_pages = {"index": "redirect.html"}
templates_path = ["templates"]


def contents() -> str:
    """Return the table of contents, which README cannot hold: GitHub would show it as code."""
    part = "\n```{{toctree}}\n:hidden:\n:glob:\n:caption: {}\n:maxdepth: 1\n\n{}\n```\n"
    return "".join(part.format(title, "\n".join(pages)) for title, pages in CONTENTS.items())


def prepare(app, docname: str, source: list[str]) -> None:
    """Adapt one page: what makes sense in a repository or with a kernel only is put otherwise."""
    text = source[0]
    if app.env.doc2path(docname).suffix == ".ipynb":
        notebook = json.loads(text)
        for cell in notebook["cells"]:
            adapt(cell, Path(docname).parent)
        source[0] = json.dumps(notebook)
    else:
        source[0] = readable(text, Path(docname).parent)
        if docname == root_doc:
            source[0] += contents()


def adapt(cell: dict, folder: Path) -> None:
    """Adapt a cell: folds the setup cell, and points from an interactive panel to its figure."""
    if cell["cell_type"] == "markdown":
        cell["source"] = readable("".join(cell["source"]), folder)
        return
    if "import course" in "".join(cell["source"]):
        cell["metadata"]["tags"] = [*cell["metadata"].get("tags", []), "hide-input"]
    outputs = cell.get("outputs", [])
    twins = [one for one in outputs if one.get("metadata", {}).get("twin")]  # run.py's pictures
    for output in outputs:
        if name := output.get("metadata", {}).get("panel"):
            output["data"] = {"text/html": place(name, folder, [one["data"] for one in twins])}
        elif "An interactive panel" in "".join(output.get("data", {}).get("text/plain", "")):
            note = "An interactive panel: it asks Python, and so moves only in the notebook."
            output["data"] = {"text/html": f'<p class="panel">{note}</p>'}
    cell["outputs"] = [output for output in outputs if output not in twins]


def place(name: str, folder: Path, twins: list[dict]) -> str:
    """Return where a panel draws itself, by the data recorded as `name`; see static/panels.js.

    Where it cannot, a note stays, and pictures of it: `twins` are a notebook's own (base64, text).
    """
    module = json.loads((PANELS / f"{name}.json").read_text("utf-8"))["module"]
    files = "../" * len(folder.parts) + "_static/panels/"
    note = "An interactive panel: it needs JavaScript, and the book from a server."
    shown = "".join(
        f'<img alt="{twin["text/plain"]}" src="data:image/png;base64,{twin["image/png"]}">'
        for twin in twins
    )
    return (
        f'<div class="panel" data-module="{files}{module.replace("/", "-")}" '
        f'data-data="{files}{name}.json"><p class="panel">{note}</p>{shown}</div>'
    )


def write_panels(app, error: Exception | None) -> None:
    """Write the panels' data and modules beside the pages; live.py joins the same two texts."""
    if error or app.builder.format != "html":
        return
    folder = Path(app.outdir, "_static", "panels")
    folder.mkdir(parents=True, exist_ok=True)
    search = write_search(Path(app.outdir, "_static", "search"))
    print(search.get("missing", f"Search by a picture: {search.get('megabytes')} MB, on request."))
    for path in PANELS.glob("*.json"):
        record = json.loads(path.read_text("utf-8"))
        module = record["module"]
        if record["data"].get("network") == "plaza":  # its vectors are those of the bundled network
            record["search"] = search
        (folder / path.name).write_text(json.dumps(record), "utf-8")
        parts = [(ROOT / "reidlib" / part).read_text("utf-8") for part in ("live.js", module)]
        (folder / module.replace("/", "-")).write_text("\n".join(parts), "utf-8")


def write_search(folder: Path) -> dict:
    """Put the bundled network, and what runs it in a page, into a folder.

    Returns what the query browser is told (static/search.js): where they are and what they weigh,
    or a sentence that says why they are not.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        fetch_runtime(folder)
    except (OSError, ValueError, subprocess.SubprocessError, tarfile.TarError) as error:
        return {
            "missing": "Searching with a picture of your own is left out: this book was built "
            f"without {RUNTIME} ({error}). Built again where npm reaches its registry, it has it."
        }
    shutil.copy(NETWORK, folder / "network.onnx")
    weight = sum(path.stat().st_size for path in folder.iterdir())
    return {
        "module": "../search.js",
        "files": f"../{folder.name}/",
        "megabytes": round(weight / 1e6),
    }


def fetch_runtime(folder: Path) -> None:
    """Take `RUNTIME_FILES` from npm, or from what npm kept of last time.

    Raises OSError, ValueError or subprocess.SubprocessError, with a reason for the reader.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise OSError("npm is not installed")
    with tempfile.TemporaryDirectory() as temporary:
        command = [npm, "pack", RUNTIME, "--prefer-offline", "--fetch-retries=1", "--json"]
        done = subprocess.run(command, cwd=temporary, capture_output=True, text=True, timeout=240)
        packed = list(Path(temporary).glob("*.tgz"))
        if done.returncode or len(packed) != 1:
            raise OSError("npm could not fetch it")
        digest = hashlib.sha512(packed[0].read_bytes()).digest()
        if base64.b64encode(digest).decode() != INTEGRITY:
            raise ValueError("what npm fetched differs from its checksum")
        with tarfile.open(packed[0]) as archive:
            for inside, name in RUNTIME_FILES.items():
                (folder / name).write_bytes(archive.extractfile(inside).read())


def readable(text: str, folder: Path) -> str:
    """Return Markdown without badges of a repository that has no address yet, links to pages."""
    text = re.sub(r"(?m)^.*\[!\[.*OWNER/REPOSITORY.*\n?", "", text)
    # A choice of pictures, which Markdown does not know and Sphinx would not copy.
    choice = r'(?s)<picture>.*?<img src="(.*?)".*? alt="(.*?)">\s*</picture>'
    text = re.sub(choice, r"![\2](\1)", text)

    def page(match: re.Match) -> str:  # a folder is no page; its first is
        inside = sorted((ROOT / folder / match[1]).glob("*.ipynb"))
        return f"]({match[1].rstrip('/')}/{inside[0].name})" if inside else match[0]

    return re.sub(r"\]\(([\w./-]+)\)", page, text)


def mathml(self, node: nodes.Element) -> None:
    """Write a formula as MathML, which browsers draw without any script."""
    self.body.append(tex2mathml(node.astext(), as_block=isinstance(node, nodes.math_block)))
    raise nodes.SkipNode


def setup(app) -> dict:
    app.add_html_math_renderer("mathml", (mathml, None), (mathml, None))
    app.connect("source-read", prepare)
    app.connect("build-finished", write_panels)
    return {"parallel_read_safe": True}
