"""The commands: ``python -m reidlib COMMAND --help``."""

import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0, 2 for bad input, 130 when interrupted.

    A failure that the user can mend is one line on standard error; ``REIDLIB_DEBUG=1`` shows where
    it came from.
    """
    try:
        return _run(arguments)
    except SystemExit as asked:  # answers to --install-completion and to the Tab key
        return asked.code or 0
    except KeyboardInterrupt:
        return _interrupted("nothing was written")


def _run(arguments: Sequence[str] | None) -> int:
    import warnings

    import typer

    from reidlib import assets, command_line, commands_after

    if hasattr(sys.stdout, "reconfigure"):  # the bytes of a file's name need not be text
        sys.stdout.reconfigure(errors="backslashreplace")
    mended = (ValueError, OSError, ImportError, assets.Unavailable, typer.TyperException)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _Notes()
            status = commands_after.program(
                arguments, prog_name=_program(arguments), standalone_mode=False
            )
    except command_line.Interrupted as stopped:
        return _interrupted(str(stopped))
    except mended as error:
        if os.environ.get("REIDLIB_DEBUG"):
            traceback.print_exc()
        _close_bars()
        print(f"error: {_one_line(_sentence(error))}", file=sys.stderr)
        return 2
    return _interrupted("nothing was written") if status == 130 else status or 0


def _program(arguments: Sequence[str] | None) -> str:
    """Return how the program was called; a shell completes the words of ``reidlib`` alone."""
    words = sys.argv[1:] if arguments is None else arguments
    completion = {"--install-completion", "--show-completion"}.intersection(words)
    installed = Path(sys.argv[0]).stem == "reidlib"
    return "reidlib" if installed or completion else "python -m reidlib"


class _Notes:
    """Shows each warning once, as a line that begins with ``note:``."""

    def __init__(self):
        self.shown = set()

    def __call__(self, message, *_) -> None:
        if str(message) not in self.shown:
            print(f"note: {_one_line(str(message))}", file=sys.stderr)
        self.shown.add(str(message))


def _one_line(text: str) -> str:
    """Return a text in one line and without the password of an address."""
    if "://" in text:
        from reidlib.collection import capture

        text = capture.display_name(text)
    return " ".join(text.split())


def _sentence(error: Exception) -> str:
    """Return what went wrong, and what to do about it."""
    from reidlib import command_line

    if isinstance(error, command_line.typer.TyperException):
        return command_line.sentence(error)
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}; check the name, and your rights there"
    return str(error)


def _close_bars() -> None:
    """End all progress bars, so that a message has a line of its own."""
    from tqdm import tqdm

    for bar in list(getattr(tqdm, "_instances", ())):
        bar.close()


def _interrupted(kept: str) -> int:
    print(f"\ninterrupted: {kept}", file=sys.stderr)
    return 130


if __name__ == "__main__":
    sys.exit(main())
