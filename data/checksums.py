"""Checksums of the bundled data: one line a file, one line a folder of crops.

    python data/checksums.py            # compare with data/SHA256SUMS
    python data/checksums.py --write    # write data/SHA256SUMS anew
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SUMS = HERE / "SHA256SUMS"
MANY = 50  # a folder with more files than this has one line for all of them


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, or of the names and checksums of all files in a folder."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    lines = [f"{digest(file)}  {file.name}\n" for file in sorted(path.iterdir())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def entries(folder: Path) -> list[Path]:
    """Return what gets a line: small folders file by file, folders of many crops as one."""
    children = sorted(folder.iterdir())
    if len(children) > MANY and all(child.is_file() for child in children):
        return [folder]
    nested = [entries(child) if child.is_dir() else [child] for child in children]
    return [path for group in nested for path in group]


def compute() -> dict[str, str]:
    """Return the checksum of everything bundled, by its name relative to this folder."""
    paths = [path for part in ("plaza", "weights") for path in entries(HERE / part)]
    return {
        path.relative_to(HERE).as_posix(): digest(path)
        for path in paths
        if path.suffix in (".pt", ".onnx", ".xml", ".bin", ".yaml") or "plaza/" in path.as_posix()
    }


def read() -> dict[str, str]:
    """Return the checksums on record."""
    lines = SUMS.read_text("utf-8").splitlines()
    return {name: sum for sum, name in (line.split("  ", 1) for line in lines)}


def differences() -> list[str]:
    """Return what differs from the record, a sentence each."""
    recorded, found = read(), compute()
    return [
        f"{name} is {'missing' if name not in found else 'not on record'}"
        if name not in found or name not in recorded
        else f"{name} differs from its checksum"
        for name in sorted(recorded | found)
        if recorded.get(name) != found.get(name)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true")
    if parser.parse_args().write:
        lines = [f"{sum}  {name}\n" for name, sum in sorted(compute().items())]
        SUMS.write_text("".join(lines), "utf-8", newline="\n")
    found = differences()
    print("\n".join(found) or f"{len(read())} entries agree with their checksums")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
