"""Re-identification image sets: who is on which image, from which camera, for training or testing.

A table has a row an image and the columns path, pid, camid. pid -1 is junk (a bad box), pid 0 a
distractor, as in Market-1501; camid -1 means that nobody knows the camera.
"""

import contextlib
import re
import warnings
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from reidlib import assets
from reidlib.collection import formats, transforms
from reidlib.collection.encoding import read_image

IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
TRAIN = ("bounding_box_train", "train")
QUERY = ("query",)
GALLERY = ("bounding_box_test", "gallery", "test")
PARTS = (*TRAIN, *QUERY, *GALLERY, "val", "valid", "validation", "train_all")  # never a person
CAMERA_FOLDER = re.compile(r"(?i)c(?:am(?:era)?)?[-_ ]?([0-9]{1,6})")
CAMERA_IN_NAME = re.compile(r"(?i)(?:^|[-_])c(?:am(?:era)?)?([0-9]{1,6})(?=s[0-9]|[-_.])")
MARKET_NAME = re.compile(r"-?[0-9]+_c[0-9]+s[0-9]+_[0-9]+_[0-9]+\.")  # nobody writes it by chance
MSMT17 = (("train", "test"), ("mask_train_v2", "mask_test_v2"))


@dataclass
class Dataset:
    """Three tables with columns path, pid, camid: people to learn from, queries, a gallery."""

    name: str
    root: Path
    train: pd.DataFrame
    query: pd.DataFrame
    gallery: pd.DataFrame

    @property
    def labels(self) -> list[np.ndarray]:
        """pid and camid of the queries, then of the gallery: in the order that `ranking` takes."""
        parts = (self.query, self.gallery)
        return [part[name].to_numpy() for part in parts for name in ("pid", "camid")]

    def summary(self) -> pd.DataFrame:
        """Return the number of images, identities and cameras of each part."""
        tables = self.train, self.query, self.gallery
        counts = {
            "images": [len(table) for table in tables],
            "identities": [table.pid[table.pid > 0].nunique() for table in tables],
            "cameras": [table.camid[table.camid >= 0].nunique() for table in tables],
        }
        return pd.DataFrame(counts, index=["train", "query", "gallery"])


def load(
    source: str | Path = "plaza",
    *,
    scenario: str | None = None,
    train: float = 0.5,
    seed: int = 0,
    distractors: bool = False,
) -> Dataset:
    """Return the data set called "plaza" or kept in a folder, whichever layout the folder has.

    Known are Market-1501 (also DukeMTMC-reID and CUHK03-NP: folders bounding_box_train, query and
    bounding_box_test, or train, query and gallery, with images or a folder for each identity in
    them), MSMT17 (list_train.txt and so on), and, divided with `split` (`train`, `seed`), a folder
    for each identity or one of all crops, named as in Market-1501. Folders named as cameras may lie
    above or below those of identities. `scenario` names one of plaza's special test sets, such as
    "clothes"; training images stay the same. Junk is never trained on, pid 0 only when
    `distractors` are asked for.

    Warns of images without a camera, of those that are not trained on, of a person 0 whom nobody
    looks for, and when only one identity is looked for. Raises FileNotFoundError for a folder or
    scenario that is not there, ValueError for one without images, and where the names of folders
    and of images contradict each other.
    """
    root = assets.data("plaza", "crops") if str(source) == "plaza" else Path(source)
    if not str(source) or not root.is_dir():
        raise FileNotFoundError(f"no data set at {root}; expected 'plaza' or an existing folder")
    divided = False
    if (root / "list_train.txt").is_file():
        dataset = _load_msmt17(root)
    elif _has_parts(root):
        dataset = _load_market(root)  # which says what is missing
    else:
        divided = True
        dataset = split(_read_identities(root), train=train, seed=seed, name=root.name, root=root)
    if str(source) == "plaza":
        dataset.name = "plaza"
    if scenario is not None:
        dataset = _with_scenario(dataset, scenario)
    trained = dataset.train.pid >= (0 if distractors else 1)
    for note in _notes(dataset, trained, divided):
        warnings.warn(f"{dataset.name}: {note}", stacklevel=2)
    dataset.train = dataset.train[trained].reset_index(drop=True)
    return dataset


def _notes(dataset: Dataset, trained: pd.Series, divided: bool) -> list[str]:
    """Return what a reader of the scores should know of a data set, as sentences.

    `trained` says which training images will be used, `divided` that it had no parts of its own.
    """
    found = []
    images = pd.concat([dataset.train[trained], dataset.query, dataset.gallery])
    unknown = (images.camid < 0).sum()
    if unknown:
        found.append(
            f"{unknown} of {len(images)} images do not tell their camera (expected a name with "
            "_c2_ in it); their camid is -1. Ranking cannot leave out matches from the query's own "
            "camera then, and near-identical neighbouring frames make scores look better than they "
            "are"
        )
    if not trained.all():
        found.append(
            f"{(~trained).sum()} of {len(trained)} training images have pid 0 (distractor) or "
            "below (junk) and are left out; if they are people, number identities from 1"
        )
    asked = int((dataset.query.pid == 0).sum())
    nobody = asked + (int((dataset.gallery.pid == 0).sum()) if divided else 0)
    if nobody:
        found.append(
            f"{nobody} images are named 0000, which in Market-1501 is nobody in particular: a "
            "distractor, to be passed over and not to be found; if it is a person, number "
            "identities from 1"
        )
    if dataset.query.pid[dataset.query.pid > 0].nunique() == 1:
        found.append(
            "only one identity is looked for, which tells nothing about the others; add queries of "
            "more people"
        )
    return found


def split(
    table: pd.DataFrame,
    *,
    train: float = 0.5,
    seed: int = 0,
    name: str = "images",
    root: str | Path = ".",
) -> Dataset:
    """Divide images by identity: the share `train` of the people to learn from, the others to test.

    No person is in both, since a model could otherwise pass by remembering. Of each test person one
    image a camera is the query, the others are gallery; junk and distractors (pid < 1) are gallery.
    Who has one image in each camera is looked for from one camera only. Raises ValueError unless
    both parts get at least one identity, and there is a gallery.
    """
    rng = np.random.default_rng(seed)
    people = np.unique(table.pid[table.pid > 0])
    count = round(train * len(people))
    if not 0 < count < len(people):
        raise ValueError(
            f"{len(people)} identities cannot be divided with train={train}; training and testing "
            "need one each"
        )
    chosen = rng.permutation(people)[:count]
    test = table[~table.pid.isin(chosen)]
    shuffled = test[test.pid > 0].sample(frac=1, random_state=seed)
    queries = shuffled.drop_duplicates(["pid", "camid"])
    alone = ~queries.pid.isin(test.drop(queries.index).pid)
    queries = queries[~(alone & queries.duplicated("pid"))]
    picked = test.index.isin(queries.index)
    if picked.all():
        raise ValueError(
            f"the {picked.sum()} test people have one image each, which leaves no gallery to find "
            "them in; add images of them, best from a second camera"
        )
    parts = table[table.pid.isin(chosen)], test[picked], test[~picked]
    return Dataset(name, Path(root), *(part.reset_index(drop=True) for part in parts))


def read_images(
    paths: Iterable[str | Path], size: tuple[int, int] | None = None
) -> list[np.ndarray] | np.ndarray:
    """Read image files as uint8 RGB: a list, or with `size` (height, width) one (N, H, W, 3) array.

    Raises FileNotFoundError, or ValueError for a file that does not decode.
    """
    paths = list(paths)
    if size is None:
        return [read_image(path) for path in paths]
    images = np.empty((len(paths), *size, 3), np.uint8)

    def read(i: int) -> None:
        images[i] = transforms.resize(read_image(paths[i]), size)

    with ThreadPoolExecutor() as pool:  # decoding lets go of the interpreter
        done = pool.map(read, range(len(paths)))
        list(tqdm(done, "reading", len(paths), disable=len(paths) < 5000))
    return images


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.glob("[!.]*") if path.is_dir())


def _folder(root: Path, names: tuple[str, ...]) -> Path | None:
    """Return the folder with the first of these names that is there, in any case."""
    by_name = {path.name.lower(): path for path in _folders(root)}
    return next((by_name[name] for name in names if name in by_name), None)


def is_dataset(source: str | Path) -> bool:
    """Return whether this is a data set: folders inside, or crops named as in Market-1501.

    A folder of other images is a video, frame by frame.
    """
    if not Path(source).is_dir():
        return False
    images, folders = image_files(Path(source)), _folders(Path(source))
    if not images or any(map(image_files, folders)):
        return bool(folders)
    with contextlib.suppress(ValueError):
        return bool(formats.parse_market_name(images[0]))
    return False


def image_files(folder: Path) -> list[Path]:
    """Return the images in a folder, by name; hidden files are passed over."""
    found = (path for path in folder.glob("[!.]*") if path.suffix.lower() in IMAGES)
    return sorted(path for path in found if path.is_file())


def _has_parts(root: Path) -> bool:
    """Return whether the folders are parts of a data set: by two names, or one and its images'."""
    parts = [path for path in _folders(root) if path.name.lower() in PARTS]
    if len(parts) == 1:
        return any(MARKET_NAME.match(path.name) for path in image_files(parts[0]))
    return len(parts) > 1


def _table(rows: list[tuple], folder: Path) -> pd.DataFrame:
    if not rows:
        inside = [path.name for path in _folders(folder)[:3]]
        what = f"folders ({', '.join(inside)} ...), not images" if inside else "no images"
        raise ValueError(f"{folder} holds {what}; expected files ending {', '.join(IMAGES)}")
    return pd.DataFrame(rows, columns=["path", "pid", "camid"])


def _read_market(folder: Path) -> pd.DataFrame:
    names = [(path, formats.parse_market_name(path)) for path in image_files(folder)]
    return _table([(path, name.pid, name.camid) for path, name in names], folder)


def _load_market(root: Path) -> Dataset:
    folders = {names: _folder(root, names) for names in (TRAIN, QUERY, GALLERY)}
    missing = [" or ".join(names) for names, folder in folders.items() if folder is None]
    if missing:
        found = [path.name for path in _folders(root) if path.name.lower() in PARTS]
        raise FileNotFoundError(
            f"{root} has {', '.join(found)}, but no folder {', nor '.join(missing)}; expected all "
            "three as in Market-1501, or a folder for each identity"
        )
    if any(image_files(folder) for folder in folders.values()):
        tables = [_read_market(folder) for folder in folders.values()]
    else:
        both = pd.concat([_read_tree(folder) for folder in folders.values()], keys=range(3))
        both["pid"] = _identities(both, root, by_name=True)
        tables = [both.loc[part, ["path", "pid", "camid"]] for part in range(3)]
    return Dataset(root.name, root, *tables)


def _read_tree(root: Path) -> pd.DataFrame:
    """Return the images in folders, and in folders of these: path, person, named, camid.

    `person` is the folder that is not named as a camera, "" where there is none; `named` the
    identity that the image's own name gives, as in Market-1501, or NaN.
    """
    rows = []
    for folder in _folders(root):
        for inside in (folder, *_folders(folder)):
            names = inside.relative_to(root).parts
            people = [name for name in names if not CAMERA_FOLDER.fullmatch(name)]
            cameras = [CAMERA_FOLDER.fullmatch(name) for name in names if name not in people]
            for path in image_files(inside):
                if len(people) > 1:
                    raise ValueError(
                        f"{path} lies in the folders {' and '.join(people)}; expected one for each "
                        "identity, and beside it only folders for cameras, such as cam1"
                    )
                camera = CAMERA_IN_NAME.search(path.name) or next(iter(cameras), None)
                named = np.nan
                if MARKET_NAME.match(path.name) or not people:
                    with contextlib.suppress(ValueError):
                        named = formats.parse_market_name(path).pid
                rows.append((path, *(people or [""]), named, int(camera[1]) if camera else -1))
    if not rows:
        return _table(rows, root)  # which says what is there instead
    return pd.DataFrame(rows, columns=["path", "person", "named", "camid"])


def _identities(images: pd.DataFrame, root: Path, by_name: bool = False) -> np.ndarray:
    """Return the identity of each image of `_read_tree`, by its folder or else by its name.

    Names come first if they are asked for, and where one is junk: Market-1501's rules hold then,
    among them that 0 is nobody. Raises ValueError where folder and name contradict each other, or
    neither tells who it is.
    """
    numbers = pd.to_numeric(images.person, errors="coerce")
    several = images[images.person != ""].groupby("person").named.nunique() > 1
    other = images.named.notna() & numbers.notna() & (images.named != numbers)
    if several.any() or other.any():
        folder = several.idxmax() if several.any() else images.person[other].iloc[0]
        names = images.path[images.person == folder].map(lambda path: path.name)
        raise ValueError(
            f"the folder {folder} in {root} would be one identity, but its images are named "
            f"{names.iloc[0]} to {names.iloc[-1]}; expected a folder for each identity, or all "
            "images in one folder"
        )
    untold = images.person == ""
    if images.named.notna().all() and (by_name or untold.any() or (images.named < 0).any()):
        return images.named.to_numpy(int)
    if untold.any():
        path = images.path[untold].iloc[images.named[untold].isna().argmax()]
        raise ValueError(
            f"{path} lies in no folder of an identity, only in one of a camera, and its name does "
            "not follow Market-1501; expected one of the two"
        )
    people = sorted(set(images.person))
    if not all(re.fullmatch(r"-?[0-9]{1,15}", name) for name in people):
        return images.person.map({name: i for i, name in enumerate(people, 1)}).to_numpy(int)
    # Numbers are kept, but 0 would make a person a distractor.
    return numbers.to_numpy(int) + int(numbers.min() == 0)


def _load_msmt17(root: Path) -> Dataset:
    train, test = next((pair for pair in MSMT17 if (root / pair[0]).is_dir()), MSMT17[0])
    tables = {}
    for part, folder in {"train": train, "val": train, "query": test, "gallery": test}.items():
        path, rows = root / f"list_{part}.txt", []
        if not path.is_file():
            if part == "val":
                continue
            raise FileNotFoundError(f"{root} has list_train.txt but no {path.name}; see MSMT17")
        lines = filter(None, map(str.strip, path.read_text("utf-8", "replace").splitlines()))
        for line in lines:
            match = re.fullmatch(r"((?:\S*/)?[^\s/_]+_[^\s/_]+_(\d+)_\S+)\s+(\d+)", line)
            if not match:
                raise ValueError(
                    f"{path} has the line {line[:80]!r}; expected a name and a number such as "
                    "'0000/0000_000_01_0303morning_0008_0.jpg 0'"
                )
            # MSMT17 counts identities from 0, which is a distractor in Market-1501.
            rows.append((root / folder / match[1], int(match[3]) + 1, int(match[2])))
        tables[part] = _table(rows, path)
    both = [tables[part] for part in ("train", "val") if part in tables]
    merged = pd.concat(both, ignore_index=True)
    return Dataset(root.name, root, merged, tables["query"], tables["gallery"])


def _read_identities(root: Path) -> pd.DataFrame:
    folders = _folders(root)
    hint = next((f"; give its folder {path.name}" for path in folders if _has_parts(path)), "")
    below = (path for folder in folders for path in (folder, *_folders(folder)))
    if not hint and any(map(image_files, below)):
        images = _read_tree(root)
        return images.assign(pid=_identities(images, root))[["path", "pid", "camid"]]
    if not hint and image_files(root):
        return _read_market(root)
    raise ValueError(
        f"{root} holds no images in a known layout; expected folders query and gallery as in "
        "Market-1501, list_train.txt as in MSMT17, a folder of images for each identity, or "
        f"images named as in Market-1501{hint}"
    )


def _with_scenario(dataset: Dataset, scenario: str) -> Dataset:
    folder = dataset.root.parent / "scenarios"
    known = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    if scenario not in known:
        raise FileNotFoundError(
            f"{dataset.name} has no scenario {scenario!r}; it has {', '.join(known) or 'none'}"
        )
    root, name = folder / scenario, f"{dataset.name} {scenario}"
    query, gallery = _folder(root, QUERY), _folder(root, GALLERY)
    if query and gallery:
        parts = _read_market(query), _read_market(gallery)
    else:  # queries of people who are in the usual gallery
        parts = _read_market(root), dataset.gallery
    return Dataset(name, root, dataset.train, *parts)
