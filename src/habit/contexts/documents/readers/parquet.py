"""Parquet files: one table, its rows by column name."""

from __future__ import annotations

import pyarrow
from pyarrow import parquet

from habit.contexts.documents.converted import Converted, Row
from habit.contexts.documents.readers.cells import plain


def read(data: bytes) -> Converted:
    """The rows of the file."""
    # No threads: the converting process was forked.
    file = parquet.ParquetFile(pyarrow.BufferReader(data), pre_buffer=False)
    rows: list[Row] = []
    for batch in file.iter_batches(batch_size=10_000, use_threads=False):
        rows += [{name: plain(cell) for name, cell in row.items()} for row in batch.to_pylist()]
    return Converted("tables", {"rows": rows}, "Table")
