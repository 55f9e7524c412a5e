"""The grammar of the command line: how a function becomes a command, and what options mean."""

import contextlib
import datetime
import functools
import inspect
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer
import typer.core

import reidlib
from reidlib import assets

UNTOUCHED = "nothing was written, older files are as they were"
UNWRAPPED = "\b\n"  # before lines of help that stay as they are


class Interrupted(Exception):
    """Somebody pressed Ctrl-C in a command; the message says what is kept."""


class Command(typer.core.TyperCommand):
    """A command of which options that may be repeated also take several values: --start 0 15."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:
        options = [option for option in self.params if isinstance(option, typer.core.TyperOption)]
        repeatable = {name for option in options if option.multiple for name in option.opts}
        try:
            return super().parse_args(ctx, one_value_each(args, repeatable))
        except typer.TyperException as error:
            error.ctx = getattr(error, "ctx", None) or ctx  # whose --help says more
            raise

    def collect_usage_pieces(self, ctx: typer.Context) -> list[str]:
        """Return what follows the command's name in its usage: first what has to be given."""
        arguments = [part.metavar for part in self.params if not part.opts[0].startswith("-")]
        options = [part for part in self.params if part.opts[0].startswith("-") and part.required]
        return [*arguments, *(f"{part.opts[0]} {part.metavar}" for part in options), "[OPTIONS]"]


def one_value_each(words: Sequence[str], options: set[str]) -> list[str]:
    """Return the words of a command line, the option's name repeated before each further value.

    >>> one_value_each(["--start", "0", "-5", "--out", "demo"], {"--start"})
    ['--start', '0', '--start', '-5', '--out', 'demo']
    """
    repeated, option = [], None
    for word in words:
        if is_option(word):
            option = word if word in options else None
        elif option and repeated[-1] != option:
            repeated.append(option)
        repeated.append(word)
    return repeated


def is_option(word: str) -> bool:
    """Return whether a word of a command line names an option; a negative number does not."""
    with contextlib.suppress(ValueError):
        float(word)
        return False
    return word.startswith("-")


class Program(typer.Typer):
    """All commands: functions with annotated arguments, each of which returns a line to print."""

    def __init__(self):
        super().__init__(
            rich_markup_mode=None,  # plain text reads the same in a log, a pipe and a terminal
            pretty_exceptions_enable=False,
            context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        )
        self.callback()(_about)

    def add(self, example: str, kept: str = UNTOUCHED, people: bool = False) -> Callable:
        """Make a function a command: `example` closes its help, `kept` is said after Ctrl-C.

        `kept` may name the command's own values, such as {out}. A command whose results show
        `people` has the option --keep, and what it writes is noted for `forget`.
        """

        def register(function: Callable[..., str]) -> Callable[..., str]:
            name = function.__name__.replace("_", "-")

            @self.command(
                name, cls=Command, epilog=f"{UNWRAPPED}example: python -m reidlib {name} {example}"
            )
            @_with_signature(function, people)
            def run(keep: int | None = None, **values) -> None:
                if "keep" in inspect.signature(function).parameters:
                    values["keep"] = keep
                try:
                    with noted_for_deletion(name, keep) if people else contextlib.nullcontext():
                        said = function(**values)
                except KeyboardInterrupt:
                    raise Interrupted(kept.format(**values)) from None
                if said:
                    print(said)

            return function

        return register


def _with_signature(function: Callable, people: bool) -> Callable:
    """Give a wrapper the name, help and arguments of a function, and --keep."""

    def dress(run: Callable) -> Callable:
        run = functools.wraps(function)(run)
        if people:
            told = inspect.signature(function)
            keep = inspect.Parameter(
                "keep", inspect.Parameter.KEYWORD_ONLY, default="30d", annotation=Keep
            )
            others = [value for name, value in told.parameters.items() if name != "keep"]
            run.__signature__ = told.replace(parameters=[*others, keep])
            run.__annotations__ = {**function.__annotations__, "keep": Keep}
        return run

    return dress


@contextlib.contextmanager
def noted_for_deletion(command: str, days: int) -> Iterator[None]:
    """Note every file written inside, with the day to delete it, even if the end is an error."""
    with assets.noting_writes() as written:
        try:
            yield
        finally:
            if written:
                from reidlib.collection import privacy

                privacy.note_retention(written, command, days)


def _version(asked: bool) -> None:
    if asked:
        print(f"reidlib {reidlib.__version__}")
        raise typer.Exit


def _about(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Person re-identification, from raw video to the same person in the other camera.

    A VIDEO is a file, a folder of frames, a webcam (0) or an address (rtsp://...); Ctrl-C ends
    the recording of the last two.

    A DATASET is 'plaza', which comes with the course, or a folder.
    """


def sentence(error: typer.TyperException) -> str:
    """Return what is wrong with a command line, and where to read on, as one sentence."""
    context = getattr(error, "ctx", None)
    text = error.format_message().rstrip(".").replace("Value error, ", "")
    if context is None:
        return text
    if text.startswith("Missing"):
        text += f"; expected {' '.join(context.command.collect_usage_pieces(context))}"
    if context.parent is None:
        text += f"; COMMAND is one of {', '.join(context.command.commands)}"
    elif text.startswith("No such option"):
        options = [part.opts[0] for part in context.command.params if part.opts[0][0] == "-"]
        text = f"{text.partition(' (')[0]}; there are {', '.join(options)}"
    return f"{text}; see {context.command_path} --help"


def argument(metavar: str, text: str):
    """Return what a command is told without an option's name."""
    return typer.Argument(metavar=metavar, help=text)


def option(metavar: str, text: str, *names: str, parser: Callable | None = None):
    """Return an option: its names (none: that of the parameter), and who reads its value."""
    return typer.Option(*names, metavar=metavar, help=text, parser=parser)


def path(text: str) -> Path:
    """Return a path; without a name it would be the folder that we are in."""
    if not text:
        raise typer.BadParameter("an empty name")
    return Path(text)


def new_file(text: str) -> Path:
    """Return the path of a file to write."""
    ends = text.replace(os.sep, "/").rpartition("/")[2]
    if ends in ("", ".", "..") or path(text).is_dir():
        raise typer.BadParameter(f"{text} is a folder; give the name of a file")
    return path(text)


def several(videos: Sequence[str] | None, workers: int | None, scheduler: str | None) -> bool:
    """Return whether a command has several videos; only then can they be shared out."""
    many = len(videos or ()) > 1
    if not many and (workers is not None or scheduler is not None):
        raise ValueError("--workers and --scheduler share several videos out; give more than one")
    return many


def number(text: str) -> float:
    """Return a number; an error repeats what was given."""
    with contextlib.suppress(ValueError):
        return float(text)
    raise typer.BadParameter(f"{text!r} is no number")


def days(text: str) -> int:
    """Return a number of days, such as 30d or 2w."""
    from reidlib.collection import privacy

    with contextlib.suppress(ValueError):
        return privacy.keep_days(text)
    raise typer.BadParameter(f"{text!r} is no time to keep files; expected 30d, or 2w for weeks")


def day(text: str) -> datetime.date:
    """Return a day, such as 2026-12-31."""
    with contextlib.suppress(ValueError):
        return datetime.date.fromisoformat(text)
    raise typer.BadParameter(f"{text!r} is no day; expected one such as 2026-12-31")


def whole_number(text: str) -> int:
    """Return a whole number; an error repeats what was given."""
    with contextlib.suppress(ValueError):
        return int(text)
    raise typer.BadParameter(f"{text!r} is no whole number")


def distance(text: str) -> float:
    """Return a cosine distance."""
    if not 0 <= number(text) <= 2:
        raise typer.BadParameter(f"{text} is no cosine distance; expected 0 to 2")
    return float(text)


def corners(text: str) -> list[float]:
    """Return the four sides of a box."""
    sides = [number(part) for part in text.split(",")]
    if len(sides) != 4 or not (sides[0] < sides[2] and sides[1] < sides[3]):
        raise typer.BadParameter(f"{text!r} is no box; expected x1,y1,x2,y2 with x1 < x2, y1 < y2")
    return sides


SOURCE = "A file, a folder of frames, a webcam or an address"
Video = Annotated[str, argument("VIDEO", f"{SOURCE}.")]
OneOrMore = Annotated[list[str], argument("VIDEO ...", f"{SOURCE}; or several recordings.")]
AnyVideos = Annotated[
    list[str] | None, argument("[VIDEO ...]", f"{SOURCE}; or several recordings; or --site.")
]
Videos = Annotated[
    list[str] | None, argument("[VIDEO ...]", "One a camera; none: the bundled cameras.")
]
SomeVideos = Annotated[list[str], argument("VIDEO ...", "One a camera, named after it.")]
Picture = Annotated[Path, argument("PICTURE", "An image that shows the person looked for.")]
Results = Annotated[Path, argument("RESULTS", "The folder of demo, or features of extract.")]
Tracked = Annotated[
    str, argument("RESULTS", "The folder of demo, features of extract, or a gallery.")
]
Gallery = Annotated[
    str | None,
    option("PLACE", "Add the tracks to a gallery: a folder, s3://..., or a file, .npz."),
]
Dataset = Annotated[str, argument("DATASET", "'plaza', or a folder.")]
Sources = Annotated[
    list[str], argument("SOURCE ...", "VIDEOs, whose people are found, or a DATASET.")
]

Boxes = Annotated[Path, option("FILE", "Boxes as MOT text.", "--out", parser=new_file)]
# Of several videos a folder; which it is, the command knows.
Tracks = Annotated[str, option("FILE", "Tracks as MOT text; of several, a folder.", "--out")]
Vectors = Annotated[
    str, option("FEATURES", "Vectors (.npz), and a .csv, a row each; or a folder.", "--out")
]
SiteFile = Annotated[Path, option("SITE.toml", "The site file.", "--out", parser=new_file)]
Weights = Annotated[Path, option("MODEL", "The trained model, .pt.", "--out", parser=new_file)]
Folder = Annotated[Path, option("FOLDER", "Where the results go.", "--out", parser=path)]
Film = Annotated[Path | None, option("OUT.mp4", "Also a film.", "--video", parser=new_file)]

Keep = Annotated[
    int, option("TIME", "Until `forget` deletes what was written: 30d, 2w.", parser=days)
]
Blur = Annotated[bool, typer.Option("--blur", help="Blur heads wherever people are shown.")]
Due = Annotated[list[str], argument("FOLDER ...", "Folders of results; galleries.")]
LabelFiles = Annotated[
    list[Path] | None,
    option("CSV ...", "Labelled pairs; a second person's, to compare.", parser=path),
]
Lines = Annotated[
    list[str] | None,
    option("CAMERA=x1,y1,x2,y2 ...", "Lines to count at, in pixels.", "--line"),
]
Table = Annotated[Path, option("COUNTS.csv", "The table.", "--out", parser=new_file)]
Card = Annotated[Path, option("CARD.html", "The page; a .md beside it.", "--out", parser=new_file)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="List what would be deleted, only.")]
Day = Annotated[
    datetime.datetime | None,
    option("DAY", "As if it were that day, 2026-12-31.", "--on", parser=day),
]
Step = Annotated[str, option("STEP", "In frames (25) or in time (1s, 500ms).")]
Rate = Annotated[
    float | None,
    option(
        "N", "Frames a second, where the source does not say: frames, raw streams.", parser=number
    ),
]
Gate = Annotated[bool, typer.Option("--gate", help="Look only when something moves.")]
DetectEvery = Annotated[
    int, option("N", "Look at every N-th frame; tracks go on between.", parser=whole_number)
]
Workers = Annotated[
    int | None, option("N", "Share several videos among N processes.", parser=whole_number)
]
Scheduler = Annotated[
    str | None, option("tcp://...", "Share them among the workers of a Dask scheduler.")
]
Known = Annotated[Path | None, option("FILE", "MOT text; else people are followed.", parser=path)]
Truth = Annotated[Path | None, option("GT", "MOT text, to score against.", parser=path)]
Truths = Annotated[list[Path] | None, option("GT ...", "MOT text, one file a video.", parser=path)]
Starts = Annotated[
    list[float] | None, option("S ...", "When each begins, seconds of one clock.", parser=number)
]
Site = Annotated[
    Path | None, option("SITE.toml", "What is known of the place and its cameras.", parser=path)
]
Camera = Annotated[str | None, option("NAME", "Which camera of the site.")]
Overlap = Annotated[
    list[str] | None, option("A,B ...", "Cameras that see a person at once; none: no two do.")
]
Travel = Annotated[list[str] | None, option("A,B=8s ...", "The least time from one to another.")]
Threshold = Annotated[
    float | None, option("D", "Cosine distance up to which two are one.", parser=distance)
]
Box = Annotated[
    list | None, option("X1,Y1,X2,Y2", "Where the person is, in pixels.", parser=corners)
]
Detector = Annotated[str | None, option("NAME", "auto, yolo11n, ..., or weights.")]
Classes = Annotated[
    list[str] | None, option("NAME ...", "What the detector looks for, if not people: cat dog.")
]
Features = Annotated[str | None, option("NAME", "auto, plaza+flip, ..., or a model file.")]
Model = Annotated[str, option("MODEL", "A trained model, or a name as for --features.")]
Loss = Annotated[
    Literal["triplet", "contrastive", "margin"], option("NAME", "triplet, contrastive or margin.")
]
Margin = Annotated[
    float | None, option("M", "Default .3 (triplet), 1 (contrastive), .2 (margin).", parser=number)
]
Backbone = Annotated[str, option("NAME", "tiny, resnet18, ...")]
Mining = Annotated[
    Literal["hard", "semi-hard", "all"], option("NAME", "Which triplets: hard, semi-hard or all.")
]
LearningRate = Annotated[float, option("R", "The learning rate.", "--rate", parser=number)]
Backbones = Annotated[
    list[str] | None, option("NAME ...", "To choose from; default tiny.", "--backbone")
]
Cached = Annotated[
    list[str] | None,
    option("NAME ...", "Heads on these features, not networks: seconds a trial.", "--features"),
]
Trials = Annotated[int, option("N", "In the end, all processes together.", parser=whole_number)]
Storage = Annotated[
    Path, option("FILE", "The study; the table is the .csv beside it.", parser=new_file)
]
Epochs = Annotated[int, option("N", "Passes over the data.", parser=whole_number)]
Labels = Annotated[Path, option("PAIRS.csv", "Blind labels of these results.", parser=path)]
Wanted = Annotated[float, option("R", "The wanted false match rate.", "--fmr", parser=number)]
Test = Annotated[bool, typer.Option("--test", help="Try the threshold that the site file has.")]
Centre = Annotated[bool, typer.Option("--centre", help="Also with each camera's mean taken off.")]
Rerank = Annotated[bool, typer.Option("--rerank", help="Also with k-reciprocal re-ranking.")]
SameCamera = Annotated[
    bool, typer.Option("--same-camera", help="Let matches from the query's own camera count.")
]
