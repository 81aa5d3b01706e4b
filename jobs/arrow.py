"""pyarrow without pandas, which it otherwise imports with its first array: as long as all the rest of a command's start."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType


class _NoPandas(MetaPathFinder):
    """Says that there is no pandas."""

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError(fullname)


def postpone_pandas() -> None:
    """Lets pyarrow look for pandas when something is to become a data frame, and not before.

    subtle: pyarrow looks once at its first array, and again whenever a data frame is asked for, if it found none. So it is made to look where there
    is none. Only for processes of our own: until a data frame was asked for, pa.array doesn't know a pandas Series when it sees one.
    """
    if "pandas" in sys.modules:
        return
    import pyarrow as pa

    nowhere = _NoPandas()
    sys.meta_path.insert(0, nowhere)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(nowhere)
