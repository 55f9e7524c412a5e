"""Vectors of a track, vectors of two kinds, vectors on a map, and vectors on disk."""

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from reidlib import assets
from reidlib.model.distances import unit


def aggregate(
    vectors: np.ndarray, tracks, how: str = "mean", weights: np.ndarray | None = None
) -> np.ndarray:
    """Return one unit vector a track, (T, D), in the order of ``np.unique(tracks)``.

    `how` is "mean", "median" (of each number) or "weighted", a mean with `weights` (N,) such as
    quality or visibility. Rows of NaN are left out; a track of only such rows comes back as NaN.
    """
    vectors, tracks = np.asarray(vectors, np.float32), np.asarray(tracks)
    if how not in ("mean", "median", "weighted") or (how == "weighted") != (weights is not None):
        raise ValueError(f"how={how!r}; expected mean, median, or weighted together with weights")
    weights = np.ones(len(tracks)) if weights is None else np.asarray(weights, float)
    if not len(vectors) == len(tracks) == len(weights):
        raise ValueError(
            f"{len(vectors)} vectors, {len(tracks)} tracks, {len(weights)} weights; expected as "
            "many of each"
        )
    valid = np.isfinite(vectors).all(axis=1)  # an image that could not be read has a row of NaN
    if not (weights[valid] >= 0).all():
        raise ValueError("a weight is NaN or below 0; expected 0 or more for each vector")
    names, inverse = np.unique(tracks, return_inverse=True)
    result = np.full((len(names), vectors.shape[1]), np.nan, np.float32)
    inverse = pd.Series(inverse)[valid]
    for i, rows in inverse.groupby(inverse).groups.items():
        part, weight = vectors[rows], weights[rows] + 1e-12  # all may be 0
        one = np.median(part, axis=0) if how == "median" else weight @ part / weight.sum()
        result[i] = unit(one)
    return result


def fuse(a: np.ndarray, b: np.ndarray, weight: float = 0.5) -> np.ndarray:
    """Return features whose cosine similarity is `weight` times that of `a` plus the rest of `b`.

    Unit rows (N, D) and (N, E) are scaled by the square roots of their shares and joined: (N, D+E).
    """
    if len(a) != len(b) or not 0 <= weight <= 1:
        raise ValueError(f"{len(a)} and {len(b)} rows, weight {weight}; expected as many, 0 to 1")
    parts = [np.sqrt(weight) * unit(a), np.sqrt(1 - weight) * unit(b)]
    return np.concatenate(parts, axis=1).astype(np.float32)


def project(vectors: np.ndarray, how: str = "pca", seed: int = 0) -> np.ndarray:
    """Return vectors (N, D) as points (N, 2), by ``pca`` or ``tsne`` (van der Maaten, 2008)."""
    vectors = np.asarray(vectors, np.float32)
    if vectors.ndim != 2 or len(vectors) < 3:
        raise ValueError(f"vectors have shape {vectors.shape}; a map needs at least 3 rows (N, D)")
    if how == "pca":
        from sklearn.decomposition import PCA

        return PCA(2, random_state=seed).fit_transform(vectors)
    if how == "tsne":
        from sklearn.manifold import TSNE

        # Perplexity is about the number of neighbours: it has to stay below the number of points.
        perplexity = min(20.0, (len(vectors) - 1) / 3)
        # On so few points threads wait for each other ten times longer than they work.
        with threadpool_limits(1):
            return TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(vectors)
    raise ValueError(f"no map called {how!r}; choose 'pca' or 'tsne'")


BLOCK = 4096  # rows written at a time
NAMES = ("camera", "label", "path", "part")  # columns that hold text, even where it is a number


def write(
    path: str | Path,
    vectors,
    table: pd.DataFrame,
    members: Mapping[str, Callable] | None = None,
) -> None:
    """Write features as `path` (.npz) and, row by row, what they belong to as .csv beside it.

    `vectors` is (N, D), an array or a VectorFile, of which memory never holds the whole. `members`
    are further parts of the archive, by name, each a function that writes to the file it is given;
    with them, even none, nothing is packed, so that vectors can be read where they lie. Raises
    ValueError for other numbers of rows, and for a path that names no file.
    """
    if Path(path).name in ("", "..") or Path(path).is_dir():
        raise ValueError(f"cannot write {path}: it is a folder; give the name of a file")
    path = Path(path).with_suffix(".npz")
    if len(vectors) != len(table):
        raise ValueError(f"{len(vectors)} vectors but {len(table)} table rows; expected as many")
    with assets.atomic(path) as numbers, assets.atomic(path.with_suffix(".csv")) as text:
        # As np.savez_compressed does, which takes whole arrays.
        packed = zipfile.ZIP_DEFLATED if members is None else zipfile.ZIP_STORED
        with zipfile.ZipFile(numbers, "w", packed) as archive:
            with archive.open("vectors.npy", "w", force_zip64=True) as file:
                header = {"descr": "<f4", "fortran_order": False, "shape": vectors.shape}
                np.lib.format.write_array_header_1_0(file, header)
                for start in range(0, len(vectors), BLOCK):
                    file.write(np.asarray(vectors[start : start + BLOCK], "<f4").tobytes())
            for name, writes in (members or {}).items():
                with archive.open(name, "w", force_zip64=True) as file:
                    writes(file)
        table.to_csv(text, index=False)


def read(path: str | Path) -> tuple[np.ndarray, pd.DataFrame]:
    """Return (vectors, table) as `write` wrote them; ValueError if the files do not fit."""
    path = Path(path).with_suffix(".npz")
    try:
        table = read_table(path)
        assets.check_archive(path)
        with np.load(path, allow_pickle=False) as content:
            vectors = content["vectors"]
        if vectors.ndim != 2 or vectors.dtype.kind != "f":
            raise ValueError(f"vectors have shape {vectors.shape} and are {vectors.dtype}")
    except FileNotFoundError:
        raise
    except Exception as error:  # NumPy raises at least ten kinds, depending on the damage
        raise ValueError(
            f"{path} and its .csv are no feature files: {assets.reason(error)}; write them again"
        ) from error
    if len(vectors) != len(table):
        raise ValueError(
            f"{path} holds {len(vectors)} vectors, its .csv {len(table)} rows; write both again"
        )
    return vectors, table


def read_table(path: str | Path) -> pd.DataFrame:
    """Return the table of features that `write` wrote, without the vectors."""
    # Names such as NA, and numbers that begin with 0, stay what they are.
    text = {"keep_default_na": False, "na_values": [""], "dtype": dict.fromkeys(NAMES, str)}
    return pd.read_csv(Path(path).with_suffix(".csv"), **text)
