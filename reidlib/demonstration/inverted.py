"""An index of millions of vectors in little memory: inverted lists of coarse copies, by FAISS.

The vectors lie in a file. Memory holds one byte a number, in lists by the nearest of many centres
(an inverted file: Jegou, Douze and Schmid, 2011); a search looks through the lists nearest to the
query, and the candidates from there are compared anew by their vectors from the file.
"""

import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from reidlib import assets
from reidlib.demonstration import stores
from reidlib.detection.streaming import VectorFile
from reidlib.features import vectors as files

MEMBER = "index.faiss"  # of the archive that holds a saved gallery
POINTS = 39  # vectors a list, the fewest of which FAISS learns where the centres are
LEARNT = 64  # vectors a list, of which we let it learn
PROBES = 48  # lists that a search looks through
GROWN = 2  # times as many vectors as it was learnt from, and an index is built anew


class Rows:
    """Unit vectors (N, D) in files: those of a saved gallery, behind them those added since.

    ``rows[i]`` reads those asked for, by a slice or an array of numbers. The file is mapped for
    that moment only: pages that were read count as memory while they are mapped.
    """

    def __init__(self, saved: Path | None = None):
        self._added, self._file, self._saved = VectorFile(), None, 0
        if saved:
            self._file, self._offset, (self._saved, self._width) = _vectors_in(saved)

    def __len__(self) -> int:
        return self._saved + len(self._added)

    @property
    def shape(self) -> tuple[int, int]:
        """How many vectors there are, and of how many numbers."""
        return len(self), self._width if self._file else self._added.shape[1]

    def append(self, vectors: np.ndarray) -> None:
        """Add unit vectors (N, D) behind the others."""
        self._added.append(vectors)

    def __getitem__(self, rows) -> np.ndarray:
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(len(self)))
        result = np.empty((len(rows), self.shape[1]), np.float32)
        old = rows < self._saved
        if old.any():
            shape = self._saved, self._width
            mapped = np.memmap(self._file, np.float32, "r", self._offset, shape)
            result[old] = mapped[rows[old]]
        if not old.all():
            result[~old] = self._added[rows[~old] - self._saved]
        return result


def _vectors_in(path: Path):
    """Return an open file, where in it the vectors begin, and their shape; ValueError if packed."""
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo("vectors.npy")
    if member.compress_type != zipfile.ZIP_STORED:
        raise ValueError("its vectors are packed, and cannot be read where they lie")
    file = open(path, "rb")  # noqa: SIM115 open as long as the vectors are read
    file.seek(member.header_offset + 26)  # two lengths end the member's header in the archive
    file.seek(sum(struct.unpack("<HH", file.read(4))), 1)
    np.lib.format.read_magic(file)
    shape, _, kind = np.lib.format.read_array_header_1_0(file)
    whole = file.tell() + int(np.prod(shape)) * 4 <= path.stat().st_size
    if len(shape) != 2 or kind != np.float32 or not whole:
        raise ValueError(f"its vectors have shape {shape} and are {kind}")
    return file, file.tell(), shape


def is_saved(path: Path) -> bool:
    """Say whether `Inverted.save` wrote a file: its vectors lie there unpacked."""
    with zipfile.ZipFile(path) as archive:
        return archive.getinfo("vectors.npy").compress_type == zipfile.ZIP_STORED


class Inverted(stores.Exact):
    """Vectors in a file, and an index in memory as soon as there are more than `stores.SMALL`."""

    def __init__(self, features: Mapping | None = None):
        super().__init__(features)
        self._faiss = _faiss()
        self._rows, self._index, self._learnt = Rows(), None, 0

    @property
    def width(self) -> int:
        """How many numbers a vector has, 0 while there is none."""
        return self._rows.shape[1]

    @property
    def vectors(self) -> np.ndarray:
        """All vectors, (N, D) float32, read from the file."""
        return self._rows[:]

    def add(self, vectors: np.ndarray, table) -> None:
        """Add unit vectors (N, D) and a table of N rows."""
        self._rows.append(vectors)
        self._tables.append(table.reset_index(drop=True))
        if self._index is not None:
            self._index.add(vectors)
        if len(self) > max(stores.SMALL, GROWN * self._learnt):
            self._build()

    def first(self, count: int):
        """Return the vectors (N, D) and the rows that were added first, at most `count`."""
        return self._rows[:count], self.table[:count]

    def _build(self) -> None:
        count, width = self._rows.shape
        lists = max(1, min(stores.LISTS, count // POINTS))
        random = np.random.default_rng(0)
        sample = np.sort(random.permutation(count)[: LEARNT * lists])
        kind = f"IVF{lists},SQ8"
        index = self._faiss.index_factory(width, kind, self._faiss.METRIC_INNER_PRODUCT)
        index.train(self._rows[sample])
        self._index = None  # never two of them in memory
        for start in range(0, count, stores.BLOCK):
            index.add(self._rows[start : start + stores.BLOCK])
        self._index, self._learnt = index, count

    def _nearest(self, query: np.ndarray, k: int, rows: np.ndarray | None):
        if self._index is None or (rows is not None and len(rows) <= stores.SMALL):
            return stores.nearest(query, self._rows, k, rows)
        wanted = min(stores.MORE * k, len(self) if rows is None else len(rows))
        settings = self._faiss.SearchParametersIVF(nprobe=PROBES)
        if rows is not None:
            bits = np.zeros(len(self), bool)
            bits[rows] = True
            bits = np.packbits(bits, bitorder="little")
            settings.sel = self._faiss.IDSelectorBitmap(bits)
        parts = [
            self._checked(query[i : i + 64], wanted, k, settings, rows)
            for i in range(0, len(query), 64)
        ]
        return tuple(np.concatenate(part) for part in zip(*parts))

    def _checked(self, query: np.ndarray, wanted: int, k: int, settings, rows):
        """Return rows and distances of hits that the index names and their vectors confirm.

        Where too few were met, or where the last candidate is as near as the k-th hit, so that
        there may be more of its like, a query is compared with every vector instead.
        """
        likeness, found = self._index.search(query, wanted, params=settings)
        known, places = np.unique(found, return_inverse=True)
        candidates = self._rows[np.maximum(known, 0)]
        best, closest = np.zeros((len(query), k), int), np.zeros((len(query), k), np.float32)
        unsure = []
        for i, place in enumerate(places.reshape(found.shape)):
            met = np.flatnonzero(found[i] >= 0)  # FAISS says -1 where its lists have ended
            met = met[np.argsort(found[i, met])]  # by row, which a stable sort keeps among equals
            apart = 1 - candidates[place[met]] @ query[i]
            order = np.argsort(apart, kind="stable")[:k]
            hits = met[order]
            # Equal vectors have equal coarse copies: the last candidate's may lie outside as well.
            room = np.inf
            if len(met) == wanted:
                room = min(
                    likeness[i, hits].min() - likeness[i].min(), apart.max() - apart[order[-1]]
                )
            if len(met) < k or room < stores.TIE:
                unsure.append(i)
            else:
                best[i], closest[i] = found[i, hits], apart[order]
        if unsure:
            best[unsure], closest[unsure] = stores.nearest(query[unsure], self._rows, k, rows)
        return best, closest

    def keep(self, which: np.ndarray) -> None:
        """Keep the rows that a mask (N,) marks; the index is built anew from them."""
        old, table, kept = self._rows, self.table[which], np.flatnonzero(which)
        self._rows, self._index, self._learnt = Rows(), None, 0
        self._tables = [table.reset_index(drop=True)]
        for start in range(0, len(kept), stores.BLOCK):
            self._rows.append(old[kept[start : start + stores.BLOCK]])
        if len(self) > stores.SMALL:
            self._build()

    def save(self, path: str | Path) -> None:
        """Write `path` (.npz) with the index in it, from which `load` goes on, and what it holds.

        The archive is not packed, so that its vectors are read where they lie.
        """

        def index(file):
            self._faiss.write_index(self._index, self._faiss.PyCallbackIOWriter(file.write))

        stores.save(self, path, self._rows, {MEMBER: index} if self._index else {})

    @classmethod
    def load(cls, path: Path, features: Mapping | None = None) -> "Inverted":
        """Return the store that was saved, as it was: nothing is built anew."""
        store = cls(features)
        table = files.read_table(path)
        try:
            store._rows, store._tables = Rows(path), [table]
            with zipfile.ZipFile(path) as archive:
                if MEMBER in archive.namelist():
                    store._index, store._learnt = store._read_index(archive), len(table)
            held = len(store._rows), store._index.ntotal if store._index else len(table)
        except Exception as error:  # NumPy, zipfile and FAISS each raise kinds of their own
            raise ValueError(
                f"{path} is no gallery that can be read ({assets.reason(error)}); make it anew"
            ) from error
        if held != (len(table), len(table)):
            raise ValueError(
                f"{path} holds {held[0]} vectors, of which its index knows {held[1]}, its .csv "
                f"{len(table)} rows; write all of them again"
            )
        return store

    def _read_index(self, archive: zipfile.ZipFile):
        with archive.open(MEMBER) as file:
            while file.read(1 << 20):  # to the end, where its checksum is looked at
                pass
        with archive.open(MEMBER) as file:
            return self._faiss.read_index(self._faiss.PyCallbackIOReader(file.read))


def _faiss():
    try:
        import faiss
    except ImportError as error:
        raise assets.Unavailable(
            "index='faiss' needs the package faiss-cpu: pip install faiss-cpu, or use 'exact'"
        ) from error
    return faiss
