"""Galleries that last: what is due is forgotten, row by row."""

import datetime
from pathlib import Path

from reidlib import boxes
from reidlib.collection import privacy
from reidlib.features import vectors


def forget(path: str | Path, today: datetime.date | str, dry_run: bool = False) -> int:
    """Delete the rows of a saved gallery whose day, the column delete_after, is over.

    `path` is a file of `matching.Gallery.save`, or of `vectors.write`. Returns how many rows were
    deleted (with `dry_run`, would be). Raises ValueError without that column.
    """
    embeddings, table = vectors.read(path)
    boxes.require(table, ["delete_after"], f"the table of {path}")
    due = table.index.isin(privacy.due_for_deletion(table, today).index)
    if due.any() and not dry_run:
        vectors.write(path, embeddings[~due], table[~due])
    return int(due.sum())
