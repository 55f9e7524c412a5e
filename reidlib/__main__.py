"""The commands: ``python -m reidlib COMMAND --help``."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from tqdm import tqdm

import reidlib
from reidlib import assets

HELP = """\
Person re-identification, from raw video to the same person in the other camera.

A VIDEO is a file, a folder of frames, a webcam (0) or an address (rtsp://...); Ctrl-C ends
the recording of the last two.
A DATASET is 'plaza', which comes with the course, or a folder."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors take one line."""

    def error(self, message: str):
        raise ValueError(f"{message}; see {self.prog} --help")


def parser() -> Parser:
    """Return the parser of all commands."""
    from reidlib import commands

    top = Parser(
        prog="python -m reidlib",
        description=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"reidlib {reidlib.__version__}")
    subs = top.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def command(function: Callable, text: str, example: str, kept: str, *names: str):
        name = function.__name__
        sub = subs.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            epilog=f"example: python -m reidlib {name} {example}",
        )
        sub.set_defaults(run=function, kept=kept)
        for name in names:
            sub.add_argument(name.lower(), metavar=name)
        return sub

    untouched = "nothing was written, older files are as they were"
    add = command(
        commands.collect,
        "take frames out of a video and judge its quality",
        "clip.mp4 --out collected --every 1s",
        "the frames in {out} are kept, the same command goes on from there",
        "VIDEO",
    ).add_argument
    add("--out", type=_path, required=True, metavar="FOLDER", help="where the frames go")
    add("--every", default="1s", help="a step in frames (25) or in time (1s, 500ms); default 1s")

    add = command(
        commands.detect,
        "find the people in every frame",
        "clip.mp4 --out detections.txt --video boxes.mp4",
        untouched,
        "VIDEO",
    ).add_argument
    add("--out", type=_path, required=True, metavar="FILE", help="boxes as MOT text")
    add("--video", dest="film", type=_path, metavar="OUT.mp4", help="also a film with the boxes")
    _detector(add)

    add = command(
        commands.track,
        "follow the people through a video",
        "clip.mp4 --out tracks.txt --video tracks.mp4 --truth truth.txt",
        untouched,
        "VIDEO",
    ).add_argument
    add("--out", type=_path, required=True, metavar="FILE", help="tracks as MOT text")
    add("--video", dest="film", type=_path, metavar="OUT.mp4", help="also a film with the tracks")
    add("--truth", type=_path, metavar="GT", help="true tracks as MOT text, to score against")
    _detector(add)
    _features(add)

    add = command(
        commands.extract,
        "turn people into feature vectors",
        "clip.mp4 --tracks tracks.txt --out features.npz",
        untouched,
        "SOURCE",
    ).add_argument
    add("--out", type=_path, required=True, metavar="FEATURES", help="vectors (.npz) and a .csv")
    add("--tracks", type=_path, metavar="FILE", help="tracks as MOT text; else they are found")
    _features(add)

    add = command(
        commands.train,
        "train a network on a data set",
        "plaza --out model.pt --epochs 20",
        "whole epochs are kept in {out}.checkpoint, the same command goes on from there",
        "DATASET",
    ).add_argument
    add("--out", type=_path, required=True, metavar="MODEL", help="the trained model, .pt")
    add("--loss", default="triplet", help="triplet (default), contrastive or margin")
    add("--margin", type=float, help="margin; default 0.3 (triplet), 1 (contrastive), 0.2 (margin)")
    add("--backbone", default="tiny", metavar="NAME", help="tiny (default), resnet18, ...")
    add("--epochs", type=int, default=20, metavar="N", help="passes over the data, default 20")

    add = command(
        commands.evaluate,
        "score a model on a data set: rank-1, mAP, mINP",
        "plaza --model model.pt --rerank",
        untouched,
        "DATASET",
    ).add_argument
    _model(add)
    add("--rerank", action="store_true", help="also with k-reciprocal re-ranking")

    add = command(
        commands.visualize,
        "draw rankings, the embedding map and the confusion matrix",
        "plaza --model model.pt --out figures",
        "the figures finished so far are in {out}",
        "DATASET",
    ).add_argument
    _model(add)
    add("--out", type=_path, required=True, metavar="FOLDER", help="where the figures go")

    add = command(
        commands.demo,
        "run the whole pipeline and write films, figures and a report",
        "--out demo",
        "the files finished so far are in {out}",
    ).add_argument
    add("videos", nargs="*", metavar="VIDEO", help="one a camera; none: the bundled cameras")
    add("--out", type=_path, required=True, metavar="FOLDER", help="where everything goes")
    add("--start", type=float, nargs="+", default=[], metavar="S", help="when each video begins, s")
    add("--truth", type=_path, nargs="+", default=[], metavar="GT", help="MOT text, one a video")
    _detector(add)
    _features(add)
    return top


def _path(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("an empty name")
    return Path(text)


def _detector(add: Callable) -> None:
    add("--detector", default="auto", metavar="NAME", help="auto, yolo11n, ..., or weights")


def _features(add: Callable) -> None:
    add("--features", default="auto", metavar="NAME", help="auto, histogram, ..., or a model file")


def _model(add: Callable) -> None:
    add("--model", default="auto", help="a trained model, or a name as for --features")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0, 2 for bad input, 130 when interrupted.

    A failure that the user can mend is one line on standard error; ``REIDLIB_DEBUG=1`` shows where
    it came from.
    """
    args, noted = argparse.Namespace(kept="nothing was written"), set()

    def note(message, *_) -> None:
        if str(message) not in noted:
            print(f"note: {message}", file=sys.stderr)
        noted.add(str(message))

    try:
        with warnings.catch_warnings():
            warnings.showwarning = note
            args = parser().parse_args(arguments)
            print(args.run(args))
        return 0
    except SystemExit as asked:  # --help and --version
        return asked.code or 0
    except KeyboardInterrupt:
        print(f"\ninterrupted: {args.kept.format(**vars(args))}", file=sys.stderr)
        return 130
    except (ValueError, OSError, ImportError, assets.Unavailable) as error:
        if os.environ.get("REIDLIB_DEBUG"):
            traceback.print_exc()
        while bars := list(getattr(tqdm, "_instances", ())):  # the message has a line of its own
            bars[0].close()
        text = str(error)
        if isinstance(error, OSError) and error.filename and error.strerror:
            text = f"{error.filename}: {error.strerror}; check the name, and your rights there"
        print(f"error: {' '.join(text.split())}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
