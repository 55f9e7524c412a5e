"""Files that come with the course, files fetched on demand, and files written safely."""

import contextlib
import errno
import functools
import hashlib
import http.client
import importlib.util
import math
import os
import pickletools
import platform
import re
import secrets
import shutil
import time
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from reidlib import download

PACKAGE = Path(__file__).resolve().parent
# Bytes that a file from elsewhere may take in memory beyond its own size. A small file can claim
# far more; this is a quarter of the 2 GB of the smallest machine that the course runs on.
LIMIT = 1 << 29
DAY = 86_400  # seconds
_NOTING: list[list[Path]] = []  # the lists to which `atomic` adds what it writes
# What the pickle of a checkpoint names for tensors alone.
TENSORS = re.compile(
    r"torch\._utils\._rebuild_(tensor_v2|parameter)|torch\.\w+Storage|torch\.(Size|device)"
    r"|torch\.b?float\d+|torch\.u?int\d+|torch\.bool"
    r"|collections\.OrderedDict|(builtins|__builtin__)\.set"
)


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


def check_device(name: str) -> None:
    """Raise ValueError unless this machine's torch can compute on `name`, such as "cuda"."""
    if name in ("auto", "cpu"):  # no need to import torch
        return
    import torch

    try:
        torch.zeros(1, device=name).cpu()
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"this machine has no device {name!r} to compute on ({reason(error)}); "
            "use 'cpu', or 'auto' to take a GPU where there is one"
        ) from error


# Files from elsewhere: what they claim is checked before memory is taken, and nothing in them runs


def check_archive(path: str | Path) -> None:
    """Raise ValueError for a zip archive (.pt, .npz) whose content is far larger than the file.

    Only the archive's directory is read. zipfile.BadZipFile is raised where there is none.
    """
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > LIMIT + os.path.getsize(path):
        raise ValueError(f"{path} would take {unpacked / 1e6:.0f} MB when unpacked; {_refusal()}")


def pickled_names(path: str | Path) -> set[str]:
    """Return the "module.name" of all that a torch checkpoint would call, without calling it.

    Raises ValueError or zipfile.BadZipFile for a file that torch.save did not write.
    """
    check_archive(path)
    with zipfile.ZipFile(path) as archive:
        pickles = [name for name in archive.namelist() if Path(name).name == "data.pkl"]
        if len(pickles) != 1:
            raise ValueError(f"{path} holds {len(pickles)} pickles; expected one, as torch writes")
        steps = list(pickletools.genops(archive.read(pickles[0])))
    return {argument.replace(" ", ".") for step, argument, _ in steps if step.name == "GLOBAL"}


def read_network(path: Path):
    """Return an ONNX or OpenVINO file as an OpenVINO network; ValueError if it holds none."""
    from openvino.frontend import FrontEndManager

    # Core.read_model would try every format it knows, each reporting to standard error.
    reader = FrontEndManager().load_by_framework("ir" if path.suffix == ".xml" else "onnx")
    try:
        network = reader.convert(reader.load(str(path)))
        if not network.inputs or not network.outputs:
            raise ValueError("nothing goes in or comes out")
    except Exception as error:  # of OpenVINO's own kinds, and what they make of damaged text
        raise ValueError(
            f"{path} is not a network in the format that its name ends in "
            f"({reason(error)}); export it again"
        ) from error
    return network


@functools.cache
def openvino_core():
    """Return OpenVINO's Core, one for the process.

    On processors with wide registers each Core gives the process another stack for signals, and
    takes it away when it is dropped. Two that are dropped in the order of their making leave none
    that exists, and the next Ctrl-C would end the process as a crash.
    """
    import openvino as ov

    return ov.Core()


def check_network(network, path: Path) -> None:
    """Raise ValueError if one step of an OpenVINO network gives more numbers than fit into LIMIT.

    A few bytes can ask for an input, or a constant, of 20,000 x 20,000 pixels.
    """
    for step in network.get_ordered_ops():
        for output in step.outputs():
            shape = output.partial_shape
            needed = 4 * math.prod(shape.to_shape()) if shape.is_static else 0
            if needed > LIMIT:
                raise ValueError(
                    f"{path} works on numbers of shape {[*shape.to_shape()]}, which take "
                    f"{needed / 1e6:.0f} MB; {_refusal()}"
                )


def reason(error: BaseException) -> str:
    """Return the last line of an error's message, where native libraries say what was wrong."""
    return (str(error).strip() or type(error).__name__).splitlines()[-1]


def _refusal() -> str:
    return f"at most {LIMIT / 1e6:.0f} MB beyond a file's own size are taken from it"


# Files written whole or not at all


@contextlib.contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is renamed to `path` in one step.

    If the block fails or is interrupted, the old file stays whole and the temporary one is removed.
    The temporary name keeps the ending, so that writers that look at it still work. Where `path`
    is a symbolic link, the file that it points to is written. OSError if that is no file.
    """
    target = os.path.realpath(path)
    temporary = _temporary(path)
    try:
        _create(temporary, path)
        try:
            yield temporary
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            raise OSError(f"the disk is full, {path} was not written; make room for it") from error
        # It was made private; give it the rights any new file would have.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(target)
        note_write(target)
    finally:
        try:
            temporary.unlink(missing_ok=True)
        except KeyboardInterrupt:
            temporary.unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def noting_writes() -> Iterator[list[Path]]:
    """Yield a list to which `atomic` adds every file that it puts in place inside the block."""
    _NOTING.append([])
    try:
        yield _NOTING[-1]
    finally:
        _NOTING.pop()


def note_write(path: str | Path) -> None:
    """Count a file as written, for `noting_writes`: one that an interrupted run has left to us."""
    for written in _NOTING:
        written.append(Path(os.path.realpath(path)))


def _temporary(path: str | Path) -> Path:
    """Return the name of a new file beside `path`, whose folders are made; OSError if that fails.

    The name comes first, so that an interruption in the making leaves nothing behind.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(f"cannot write {path}: it is a folder; give the name of a file")
    if target.exists() and not target.is_file():
        raise OSError(f"cannot write {path}: it is a device or a pipe; give the name of a file")
    # Path.suffix is empty for names such as .npz, to which writers would then add an ending.
    ending = "".join(target.name.rpartition(".")[1:]) if "." in target.name else ""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        sweep(target.parent)
    except OSError as error:
        raise _no_place(path, error) from error
    name = f"{temporary_prefix(target.stem)}{secrets.token_hex(4)}{ending}"
    return target.parent / name


def _create(temporary: Path, path: str | Path) -> None:
    """Make an empty file of our own; OSError, which names `path`, if that fails."""
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except OSError as error:
        raise _no_place(path, error) from error


def _no_place(path: str | Path, error: OSError) -> OSError:
    reason = error.strerror or error
    return type(error)(f"cannot write {path}: {reason}; choose another output folder")


def temporary_prefix(stem: str = "") -> str:
    """Return how our temporary names begin: with what they are for, and the process that writes."""
    return f".{stem[:40]}-reidlib-{host()}-{os.getpid()}-"


def host() -> str:
    """Return the name of this machine, as it is part of files' names."""
    return re.sub(r"\W", "", platform.node())[:40]


@functools.cache  # a folder of many frames is looked through once
def sweep(folder: Path) -> None:
    """Remove the temporary files that killed runs have left in a folder.

    They are ours by their names, and left by a process of this machine that no longer runs, or
    older than a day.
    """
    for path in folder.glob(".*-reidlib-*"):
        match = re.fullmatch(r"\..*-reidlib-(\w*)-(\d+)-\w+(\..*)?", path.name)
        with contextlib.suppress(OSError):  # another process may be sweeping too
            if match and (
                (match[1] == host() and not runs(int(match[2])))
                or time.time() - path.stat().st_mtime > DAY
            ):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def runs(process: int) -> bool:
    """Say whether a process of this machine may still run; where it cannot be told, it may."""
    if os.name != "posix":
        return True
    try:
        os.kill(process, 0)  # signal 0 asks only
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        pass
    return True


def check_writable(*paths: str | Path) -> None:
    """Raise OSError if one of these files could not be written; makes their folders."""
    for path in paths:
        temporary = _temporary(path)
        try:
            _create(temporary, path)
        finally:
            try:
                # A read-only file system refuses that as well, and would hide our own sentence.
                with contextlib.suppress(OSError):
                    temporary.unlink(missing_ok=True)
            except KeyboardInterrupt:
                temporary.unlink(missing_ok=True)
                raise


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


# Downloads


def fetch(url: str, name: str | Path, checksum: str = "", timeout: float = 20.0) -> Path:
    """Return the cached copy of `url` under `name`, downloading it first if it is not there.

    `name` is one in `cache()`, or a whole path. `checksum` is the expected SHA-256, or its first
    digits. `timeout` is in seconds: that long nothing may arrive, and after it a download must be
    faster than download.SLOWEST. Raises Unavailable when there is no network, and when the file is
    not the expected one (nothing is kept then).
    """
    path = cache() / name
    kept = path.exists() and not _is_page(path)
    if kept and (not checksum or sha256(path).startswith(checksum)):
        return path
    with atomic(path) as temporary:
        with open(temporary, "wb") as file:
            file.writelines(_received(url, path, timeout))
        if _is_page(temporary):
            raise Unavailable(
                f"{url} gave a web page in place of {path.name}, as networks that ask for a login "
                f"do; log in and try again, or put the file at {path}"
            )
        if checksum and not sha256(temporary).startswith(checksum):
            raise Unavailable(
                f"{url} gave a file other than the expected one (checksum differs); "
                f"try again, or put the right file at {path}"
            )
    return path


def _is_page(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(400).lstrip().lower().startswith((b"<!doctype html", b"<html"))


def _received(url: str, path: Path, timeout: float) -> Iterator[bytes]:
    """Yield what a server sends, part by part; Unavailable when that fails or takes too long."""
    try:
        yield from download.received(url, path.name, timeout)
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise Unavailable(
            f"{path.name} has to be downloaded from {url}, but that failed ({reason}); connect to "
            f"the internet, or put the file at {path}. The bundled 'plaza' weights need no network"
        ) from error
