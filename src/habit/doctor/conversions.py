"""The kept conversions of documents: how much they take, and whether they can be kept at all."""

from __future__ import annotations

import os
from pathlib import Path

from habit.contexts.documents.cache import MAX_BYTES, default_folder
from habit.doctor.findings import Finding


def conversions(folder: Path | None = None) -> Finding:
    """What is in the folder of conversions. Blocking."""
    folder = folder or default_folder()
    details = {"path": str(folder), "files": 0, "bytes": 0}
    if not folder.exists():
        return Finding("conversions", "ok", "No document has been converted yet.", details=details)
    status = folder.stat()
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        said = f"{folder} could be written by others, so no conversion is kept there."
        return Finding("conversions", "warning", said, f"Delete it with: rm -r {folder}", details)
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    details.update(files=len(sizes), bytes=sum(sizes))
    said = f"{len(sizes):,} kept, {sum(sizes) / 1e6:,.1f} of at most {MAX_BYTES / 1e6:,.0f} MB, in {folder}."
    return Finding("conversions", "ok", said, details=details)
