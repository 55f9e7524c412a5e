"""Galleries that last: where each kind lies, how it is opened, and how what is due is forgotten."""

import datetime
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from reidlib import assets, boxes
from reidlib.collection import privacy
from reidlib.demonstration import inverted, lance, provenance, stores
from reidlib.features import vectors
from reidlib.model import distances

MEMORY = {"exact": stores.Exact, "faiss": inverted.Inverted}


def made(index: str, place: str | Path | None, features: Mapping | None):
    """Return a new store of a kind, or the one that lies at a place; see matching.Gallery."""
    if index not in (*MEMORY, "lance"):
        raise ValueError(f"index is {index!r}; expected 'exact' or 'faiss', or 'lance'")
    if (index == "lance") != (place is not None):
        raise ValueError(
            f"index is {index!r} and place {place}; 'lance' needs a place, the others are written "
            "to a file by save"
        )
    return lance.Lance(place, features) if place is not None else MEMORY[index](features)


def is_file(place: str | Path) -> bool:
    """Say whether a place is that of a gallery in a file; all others are for LanceDB."""
    return Path(place).suffix == ".npz"


def is_gallery(place: str | Path) -> bool:
    """Say whether a gallery lies at a place, or a file has the name of one."""
    return is_file(place) or lance.is_gallery(place)


def is_large(place: str | Path) -> bool:
    """Say whether a gallery lies at a place that is too large to be read as a whole."""
    if is_file(place):
        return Path(place).is_file() and zipfile.is_zipfile(place) and _is_indexed(Path(place))
    return lance.is_gallery(place)


def at(place: str | Path, features: Mapping):
    """Return the store of a place to add vectors of a network to; made where there is none.

    Raises ValueError for one that another network made, or that does not say which did.
    """
    if is_file(place):
        assets.check_writable(place)
        store = opened(place) if Path(place).exists() else made("exact", None, features)
    else:
        store = made("lance", place, features)
    if not store.features:
        raise ValueError(
            f"{place} does not say which features made it, so nothing is added to it; begin another"
        )
    provenance.check_alike(store.features, features, place)
    return store


def opened(place: str | Path, index: str | None = None):
    """Return the store that lies in a file, or at a place of LanceDB.

    Without `index` it is of the kind that was written. Raises FileNotFoundError where none is.
    """
    if index == "lance" or not is_file(place):
        if not lance.is_gallery(place):
            raise FileNotFoundError(
                f"no gallery at {place}; give its folder, or the file (.npz) that it is saved in"
            )
        return lance.Lance(place)
    place, noted = Path(place), provenance.read(Path(place)).get("features")
    if index in (None, "faiss") and _is_indexed(place):
        return inverted.Inverted.load(place, noted)
    store, (numbers, table) = made(index or "exact", None, noted), vectors.read(place)
    if not np.isfinite(numbers).all():
        raise ValueError(f"the vectors of {place} hold NaN; leave out tracks without features")
    if len(numbers):
        store.add(distances.unit(numbers), table)
    return store


def _is_indexed(path: Path) -> bool:
    """Say whether a file was saved by the index "faiss"; ValueError for what is no archive."""
    try:
        return inverted.is_saved(path)
    except (zipfile.BadZipFile, KeyError) as error:
        raise ValueError(
            f"{path} is no gallery that can be read ({assets.reason(error)}); make it anew"
        ) from error


def forget(place: str | Path, today: datetime.date | str, dry_run: bool = False) -> int:
    """Delete the rows of a gallery whose day, the column delete_after, is over.

    `place` is a file of `matching.Gallery.save`, or of `vectors.write`, or one of LanceDB. Returns
    how many rows were deleted (with `dry_run`, would be). Raises ValueError without that column.
    """
    if not is_file(place):
        return opened(place).forget(today, dry_run)
    indexed = inverted.Inverted.load(Path(place)) if _is_indexed(Path(place)) else None
    embeddings, table = (None, indexed.table) if indexed else vectors.read(place)
    boxes.require(table, ["delete_after"], f"the table of {place}")
    due = table.index.isin(privacy.due_for_deletion(table, today).index)
    if due.any() and not dry_run:
        if indexed:
            indexed.keep(~due)
            indexed.save(place)
        else:
            vectors.write(place, embeddings[~due], table[~due])
    return int(due.sum())
