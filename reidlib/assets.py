"""Files that come with the course, files fetched on demand, and files written safely."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import importlib.util
import os
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path

from tqdm.auto import tqdm

PACKAGE = Path(__file__).resolve().parent


class Unavailable(RuntimeError):
    """Something optional is missing (a network, a package); the message says what to do."""


def data(*parts: str) -> Path:
    """Return the path of a bundled file or folder, such as ``data("plaza", "cameras.json")``.

    Looks in ``$REIDLIB_DATA``, then beside the package (a clone), then inside it (an installed
    package). Raises FileNotFoundError with a remedy when it is nowhere.
    """
    roots = [PACKAGE.parent / "data", PACKAGE / "data"]
    if os.environ.get("REIDLIB_DATA"):
        roots.insert(0, Path(os.environ["REIDLIB_DATA"]))
    for root in roots:
        path = root.joinpath(*parts)
        if path.exists():
            return path
    raise FileNotFoundError(
        f"bundled file {'/'.join(parts)!r} not found in {' or '.join(map(str, roots))}; "
        "clone the whole repository, or set REIDLIB_DATA to its data folder"
    )


def cache() -> Path:
    """Return the folder for downloads, made if needed: `$REIDLIB_CACHE` or `~/.cache/reidlib`."""
    folder = Path(os.environ.get("REIDLIB_CACHE") or Path.home() / ".cache" / "reidlib")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def has(package: str) -> bool:
    """Return whether an optional package is installed, without importing it."""
    return importlib.util.find_spec(package) is not None


def has_gpu() -> bool:
    """Return whether torch can compute on an NVIDIA GPU."""
    if shutil.which("nvidia-smi") is None:  # importing torch costs 500 MB: only with good reason
        return False
    import torch

    return torch.cuda.is_available()


def sha256(path: str | Path) -> str:
    """Return the SHA-256 checksum of a file as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_network(path: Path) -> None:
    """Raise ValueError unless a file begins like an ONNX or OpenVINO network.

    OpenVINO tries every format it knows on other files, and reports each to standard error.
    """
    with open(path, "rb") as file:
        start = file.read(400)
    if not (b"<net" in start if path.suffix == ".xml" else start[:1] == b"\x08"):
        raise ValueError(f"{path} is not a network in the format that its name ends in")


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is renamed to `path` in one step.

    If the block fails or is interrupted, the old file stays whole and the temporary one is removed.
    The temporary name keeps the ending, so that writers that look at it still work.
    """
    path = Path(path)
    temporary = _temporary(path)
    try:
        try:
            yield temporary
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise OSError(f"the disk is full, {path} was not written; make room for it") from error
        # mkstemp makes the file private; give it the rights any new file would have.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _temporary(path: Path) -> Path:
    """Return a new empty file beside `path`, whose folders are made; OSError if that fails."""
    if path.is_dir():
        raise IsADirectoryError(f"cannot write {path}: it is a folder; give the name of a file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.stem}-", suffix="".join(path.suffixes[-1:])
        )
    except OSError as error:
        raise type(error)(
            f"cannot write {path}: {error.strerror or error}; choose another output folder"
        ) from error
    os.close(handle)
    return Path(name)


def check_writable(*paths: str | Path) -> None:
    """Raise OSError if one of these files could not be written; makes their folders."""
    for path in paths:
        _temporary(Path(path)).unlink()


def refuse_overwriting(
    inputs: Iterable[str | Path | None], targets: Iterable[str | Path | None]
) -> None:
    """Raise ValueError if a file to write is one of the inputs, or would be written twice.

    Links are followed. None is passed over, and so is an input under whose name no file lies: the
    number of a webcam, an address, the name of a network.
    """
    given = {Path(source).resolve() for source in inputs if source and os.path.exists(source)}
    taken: set[Path] = set()
    for target in filter(None, targets):
        place = Path(target).resolve()
        if place in given:
            raise ValueError(
                f"the result would write over {target}, which is the input; choose another output"
            )
        if place in taken:
            raise ValueError(f"{target} would be written twice; give each output a name of its own")
        taken.add(place)


def fetch(url: str, name: str, checksum: str = "", timeout: float = 20.0) -> Path:
    """Return the cached copy of `url` under `name`, downloading it first if it is not there.

    `checksum` is the expected SHA-256, or its first digits. Raises Unavailable when there is no
    network, and when the downloaded file is not the expected one (nothing is kept then).
    """
    path = cache() / name
    if path.exists() and (not checksum or sha256(path).startswith(checksum)):
        return path
    try:
        with atomic(path) as temporary:
            _download(url, temporary, name, timeout)
            if checksum and not sha256(temporary).startswith(checksum):
                raise Unavailable(
                    f"{url} gave a file other than the expected one (checksum differs); "
                    f"try again, or put the right file at {path}"
                )
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise Unavailable(
            f"{name} has to be downloaded from {url}, but that failed ({reason}); connect to the "
            f"internet, or put the file at {path}. The bundled 'plaza' weights need no network"
        ) from error
    return path


def _download(url: str, target: Path, name: str, timeout: float) -> None:
    with urllib.request.urlopen(url, timeout=timeout) as reply, open(target, "wb") as file:
        total = int(reply.headers.get("Content-Length") or 0) or None
        received = 0
        with tqdm(total=total, unit="B", unit_scale=True, desc=name, leave=False) as bar:
            while chunk := reply.read(1 << 16):
                file.write(chunk)
                bar.update(len(chunk))
                received += len(chunk)
    if total and received < total:  # a cut connection is no error to urllib
        raise urllib.error.URLError(f"the connection was cut after {received} of {total} bytes")
