"""Set the repository's address in every badge and setup cell at once, and again for another one.

    python notebooks/address.py OWNER REPOSITORY             # github.com/OWNER/REPOSITORY, branch main
    python notebooks/address.py OWNER REPOSITORY --tag v1.0  # what Binder and Colab open

Binder opens the lessons in JupyterLab. With the words OWNER and REPOSITORY themselves everything
goes back to having no address.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
UNKNOWN = ("OWNER", "REPOSITORY")
NAME = r"[A-Za-z0-9_.-]+"  # of an owner, a repository, a tag
PLACES = {  # what an address looks like: what takes its place
    rf"(mybinder\.org/v2/gh/){NAME}/{NAME}/{NAME}\?": r"\g<1>{owner}/{repository}/{tag}?",
    rf"(colab\.research\.google\.com/github/){NAME}/{NAME}/blob/{NAME}/": (
        r"\g<1>{owner}/{repository}/blob/{tag}/"
    ),
    # the setup cell's list, in which a notebook file puts a backslash before each quotation mark
    rf'(--branch=){NAME}(\\?", \\?"https://github\.com/){NAME}/{NAME}(\\?")': (
        r"\g<1>{tag}\g<2>{owner}/{repository}\g<3>"
    ),
}
BLOCK = r"(?s)(<!-- address -->\n).*?(<!-- end of address -->)"
LIVE = """\
- **Binder**, nothing to install: [![Binder](https://mybinder.org/badge_logo.svg)]\
(https://mybinder.org/v2/gh/{owner}/{repository}/{tag}?labpath=notebooks%2F01_collection.ipynb)
  It takes a while to start, and forgets your work when you leave.
- **Colab**, with a Google account: [![Colab](https://colab.research.google.com/assets/colab-badge.svg)]\
(https://colab.research.google.com/github/{owner}/{repository}/blob/{tag}/notebooks/01_collection.ipynb)
  The first cell fetches the course and what Colab lacks.
"""
NOT_YET = """\
- **Binder** and **Colab**, nothing to install: not yet. This copy does not know its public address;
  `python notebooks/address.py OWNER REPOSITORY` writes it here and into every lesson's badges.
"""


def files(root: Path) -> list[Path]:
    """Return the files that hold the address."""
    lessons = root / "notebooks"
    return [
        root / "README.md",
        *sorted(lessons.glob("*.ipynb")),
        *lessons.glob("solutions/*.ipynb"),
    ]


def readdress(text: str, owner: str, repository: str, tag: str) -> str:
    """Return `text`, a notebook file or Markdown, with the address in place of the one it had."""
    for pattern, new in PLACES.items():
        text = re.sub(pattern, new.format(owner=owner, repository=repository, tag=tag), text)
    block = NOT_YET if (owner, repository) == UNKNOWN else LIVE
    block = block.format(owner=owner, repository=repository, tag=tag)
    return re.sub(BLOCK, lambda found: found[1] + block + found[2], text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("owner")
    parser.add_argument("repository")
    parser.add_argument("--tag", default="main", help="a tag or branch; main by default")
    arguments = parser.parse_args()
    for name, value in vars(arguments).items():
        if not re.fullmatch(NAME, value):
            parser.error(f"{name} {value!r} is not a plain name: write letters, digits, - _ and .")
    for path in files(ROOT):
        old = path.read_bytes().decode()  # as bytes, so that line ends stay as they are
        new = readdress(old, **vars(arguments))
        if new != old:
            path.write_bytes(new.encode())
            print(path.relative_to(ROOT).as_posix())
    return 0


if __name__ == "__main__":
    sys.exit(main())
