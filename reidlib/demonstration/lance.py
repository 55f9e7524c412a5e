"""A gallery in a folder or in object storage, which several processes add to, search and forget in.

The table and its index are LanceDB's. Every change is a new version of the table, so a search sees
all rows of an addition or none; versions that hold what was deleted are removed from the disk.
"""

import json
import os
import textwrap
import time
import warnings
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from reidlib import assets, boxes
from reidlib.demonstration import stores

NAME = "tracks"  # of the table
PROBES = 64  # lists that a search looks through
PARTS = 100  # small additions, after which the table is put in order
PASSED = timedelta(minutes=1)  # that long a search may still read the version that it began with
MARK = b"reidlib"  # under which the table's schema notes the network
ORDER = "_added"  # the column that says when a row was added, in ns; no two of a writer are equal
OURS = {"query", "rank", "score", "distance", "vector", ORDER, "_distance"}


def is_gallery(place: str | Path) -> bool:
    """Say whether a place is one of object storage, or a folder that holds such a gallery."""
    return "://" in str(place) or (Path(place) / f"{NAME}.lance").is_dir()


class Lance:
    """Vectors on a disk or in object storage, as a table of LanceDB."""

    def __init__(self, place: str | Path, features: Mapping | None = None):
        """Open the gallery at a place: a folder, which need not exist yet, or s3://bucket/path."""
        self.place, self.features = str(place), features
        self._lancedb = _lancedb()
        folder = Path(self.place)
        if not is_gallery(place) and folder.exists() and not _is_empty(folder):
            raise ValueError(
                f"{place} is there, but is no gallery; give a folder of its own, or a new name"
            )
        with self._explained():
            # Each search looks for what others have added since.
            base = self._lancedb.connect(self.place, read_consistency_interval=timedelta(0))
            self._base = base
            self._rows = base.open_table(NAME) if NAME in _names(base) else None
        if self._rows is not None:
            noted = json.loads((self._rows.schema.metadata or {}).get(MARK, b"null"))
            self.features = noted or features

    def __len__(self) -> int:
        with self._explained():
            return self._rows.count_rows() if self._rows is not None else 0

    @property
    def width(self) -> int:
        """How many numbers a vector has, 0 while there is none."""
        return self._rows.schema.field("vector").type.list_size if self._rows is not None else 0

    @property
    def vectors(self) -> np.ndarray:
        """All vectors, (N, D) float32, read into memory."""
        if self._rows is None:
            return np.empty((0, 0), np.float32)
        with self._explained():
            return _matrix(self._everything(["vector"]))

    @property
    def table(self) -> pd.DataFrame:
        """What is known about each vector, a row each, read into memory."""
        if self._rows is None:
            return pd.DataFrame()
        with self._explained():
            return self._everything(self._columns).select(self._columns).to_pandas()

    def first(self, count: int) -> tuple[np.ndarray, pd.DataFrame]:
        """Return the vectors (N, D) and the rows of some that were added early, at most `count`."""
        with self._explained():
            found = self._rows.search().limit(count).to_arrow()
        return _matrix(found), found.select(self._columns).to_pandas()

    def _everything(self, columns: list[str]):
        """Return columns of all rows as an Arrow table, in the order in which they were added."""
        return self._rows.search().select([*columns, ORDER]).to_arrow().sort_by(ORDER)

    @property
    def _columns(self) -> list[str]:
        return [name for name in self._rows.schema.names if name not in ("vector", ORDER)]

    def add(self, vectors: np.ndarray, table: pd.DataFrame) -> None:
        """Add unit vectors (N, D) and a table of N rows; columns are those of the first addition.

        Raises ValueError for other columns, or for values of another kind.
        """
        import pyarrow as pa

        known = None if self._rows is None else self._columns
        taken = set(table) & OURS or (set(table) - set(known) if known else set())
        if taken:
            names = ", ".join(sorted(map(str, taken)))
            there = f"; the gallery's table has {', '.join(known)}" if known else ""
            raise ValueError(f"the table has columns that cannot be kept: {names}{there}")
        schema = None
        if known:
            schema = pa.schema([self._rows.schema.field(name) for name in known])
            table = table.reindex(columns=known)
        try:
            rows = pa.Table.from_pandas(table, schema, preserve_index=False)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise ValueError(
                f"the table holds values of another kind than the gallery's ({error})"
            ) from error
        moments = time.time_ns() + np.arange(len(table))
        rows = rows.append_column(ORDER, pa.array(moments))
        numbers = pa.array(np.ascontiguousarray(vectors, np.float32).ravel())
        rows = rows.append_column(
            "vector", pa.FixedSizeListArray.from_arrays(numbers, vectors.shape[1])
        )
        with self._explained():
            if self._rows is None:
                noted = {MARK: json.dumps(self.features).encode()}
                self._rows = self._base.create_table(NAME, rows.replace_schema_metadata(noted))
            else:
                self._rows.add(rows)
            self._tidy()

    def _tidy(self) -> None:
        """Join small additions, and build or bring up to date the index of a large gallery."""
        about, index = self._rows.stats(), self._indexed()
        if index:
            waiting = self._rows.index_stats(index).num_unindexed_rows
            late = waiting > max(stores.SMALL, about["num_rows"] / 16)
        else:
            late = False
            if about["num_rows"] > stores.SMALL:
                self._build()
        if late or about["fragment_stats"]["num_small_fragments"] > PARTS:
            self._rows.optimize(cleanup_older_than=PASSED)

    def _indexed(self) -> str | None:
        return next((index.name for index in self._rows.list_indices()), None)

    def _build(self) -> None:
        lists = max(1, min(stores.LISTS, self._rows.count_rows() // 39))
        config = self._lancedb.index.IvfSq(distance_type="dot", num_partitions=lists)
        self._rows.create_index("vector", config=config)

    def search(self, query: np.ndarray, k: int, cameras, between) -> pd.DataFrame:
        """Return the hits of each unit query (Q, D): query, distance, and what the table knows."""
        if cameras is not None:
            boxes.require(pd.DataFrame(columns=self._columns), ["camera"], "the gallery's table")
        if between is not None:
            known = pd.DataFrame(columns=self._columns)
            boxes.require(known, ["start", "end"], "the gallery's table")
        with self._explained():
            count = self._rows.count_rows(_where(cameras, between))
            parts = [
                self._hits(vector, min(k, count), count, _where(cameras, between))
                for vector in query
            ]
        hits = pd.concat(parts, ignore_index=True)
        hits.insert(0, "query", np.repeat(np.arange(len(parts)), [len(part) for part in parts]))
        return hits

    def _hits(self, query: np.ndarray, k: int, count: int, where: str | None) -> pd.DataFrame:
        """Return the `k` nearest of `count` rows, their distances computed anew."""
        wanted = min(stores.MORE * k, count)
        while k:
            search = self._rows.search(query, vector_column_name="vector").metric("dot")
            search = search.nprobes(PROBES).refine_factor(1).limit(wanted)
            found = (search.where(where, prefilter=True) if where else search).to_arrow()
            found = found.sort_by(ORDER)  # which a stable sort by distance keeps among equals
            apart = 1 - _matrix(found) @ query
            order = np.argsort(apart, kind="stable")
            # Where the last candidate is as near as the k-th hit, there may be more of its like.
            sure = len(order) >= k and apart[order[-1]] - apart[order[k - 1]] >= stores.TIE
            if sure or wanted == count:
                break
            wanted = min(4 * wanted, count)
        else:
            return pd.DataFrame(columns=["distance", *self._columns])
        hits = found.select(self._columns).take(order[:k]).to_pandas()
        hits.insert(0, "distance", apart[order[:k]])
        return hits

    def save(self, path: str | Path) -> None:
        """Write all that is there as features, a copy; the gallery itself needs no saving."""
        stores.save(self, path)

    def forget(self, today: date | str, dry_run: bool = False) -> int:
        """Delete the rows whose day is over for good, and return how many they are."""
        if self._rows is None:
            return 0
        boxes.require(
            pd.DataFrame(columns=self._columns), ["delete_after"], f"the table of {self.place}"
        )
        due = f"CAST(delete_after AS DATE) < DATE '{pd.Timestamp(today).date()}'"
        if "consent" in self._columns:
            due += " OR consent IN ('refused', 'withdrawn')"
        return self._delete(due, dry_run)

    def strike(self, results: str) -> int:
        """Take out the tracks of a folder of results, and return how many there were."""
        if self._rows is None or "results" not in self._columns:
            return 0
        return self._delete(f"results = {_quoted(results)}")

    def _delete(self, where: str, dry_run: bool = False) -> int:
        """Delete the rows of a filter for good, and return how many they are."""
        with self._explained():
            count = self._rows.count_rows(where)
            if count and not dry_run:
                self._rows.delete(where)
                self._purge()
        return count

    def _purge(self) -> None:
        """Remove from the disk what was deleted: old versions, and what files hold beside others.

        Deleted rows stay in a file that holds other rows too, and their coarse copies in the index.
        So all rows are written anew, which others may add to meanwhile, and so is the index.
        """
        first = self._columns[0]
        self._rows.update(values_sql={first: f"`{first}`"})
        if self._indexed():
            self._build()
        with warnings.catch_warnings():
            # Whoever is searching right now gets an error in place of what was deleted.
            warnings.filterwarnings("ignore", ".*removes every version", UserWarning)
            self._rows.optimize(cleanup_older_than=timedelta(0))
            self._rows.optimize(cleanup_older_than=timedelta(0))  # of what the first has replaced

    def _explained(self):
        return _Explained(self.place)


class _Explained:
    """Turns what LanceDB raises about a place into one sentence with a remedy."""

    def __init__(self, place: str):
        self.place = place

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if isinstance(error, RuntimeError | OSError | ValueError):  # LanceDB raises all of them
            said = textwrap.shorten(assets.reason(error), 300)
            raise OSError(
                f"the gallery at {self.place} cannot be used ({said}); check the place and your "
                "rights there, or make it anew"
            ) from error


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())


def _names(base) -> Sequence[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return base.table_names()


def _matrix(found) -> np.ndarray:
    """Return the vectors (N, D) of an Arrow table."""
    column = found["vector"].combine_chunks()
    return column.flatten().to_numpy().reshape(len(found), column.type.list_size)


def _quoted(text: str) -> str:
    """Return a text as SQL writes it."""
    return "'{}'".format(str(text).replace("'", "''"))


def _where(cameras: Sequence[str] | None, between) -> str | None:
    """Return a filter as SQL; None for all rows."""
    parts = []
    if cameras is not None:
        quoted = ", ".join(map(_quoted, cameras))
        parts.append(f"camera IN ({quoted})" if quoted else "false")
    if between is not None:
        parts.append(f"`start` <= {float(between[1])} AND `end` >= {float(between[0])}")
    return " AND ".join(parts) or None


def _lancedb():
    os.environ.setdefault("LANCEDB_LOG", "error")  # it warns of what it mends by itself
    try:
        import lancedb
        import lancedb.index
    except ImportError as error:
        raise assets.Unavailable(
            "a gallery in a folder or in object storage needs the package lancedb: "
            "pip install 'reidlib[gallery]', or give the name of a file that ends in .npz"
        ) from error
    return lancedb
