"""Objects in a store that answer to what a run folder asks of a path."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import total_ordering
from pathlib import PurePosixPath

from jobs.bucket import ObjectStore
from manifests.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class ObjectStat:
    """What is known of an object without reading it."""

    st_size: int  # bytes


@total_ordering
class ObjectPath:
    """An object or a folder of objects; the part of pathlib.Path that a run folder needs."""

    def __init__(self, store: ObjectStore, key: str) -> None:
        self.store = store
        self.key = key.strip("/")

    @staticmethod
    def from_text(text: str) -> ObjectPath:
        """The path of an address such as s3://bucket/prefix?endpoint_override=http://127.0.0.1:9000."""
        address, _, query = text.partition("?")
        scheme, _, rest = address.partition("://")
        bucket, _, key = rest.partition("/")
        if ":" in bucket.partition("@")[0] and "@" in bucket:
            raise ConfigError(
                f"storage: the address {scheme}://***@{bucket.partition('@')[2]}/{key} holds credentials. "
                "Leave them out and put them in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or in a profile."
            )
        if not bucket:
            raise ConfigError(f'storage: the address "{address}" names no bucket. Write {scheme}://BUCKET/FOLDER.')
        return ObjectPath(ObjectStore(scheme, bucket, query), key)

    def __truediv__(self, name: str | PurePosixPath) -> ObjectPath:
        return ObjectPath(self.store, f"{self.key}/{name}" if self.key else str(name))

    def __str__(self) -> str:
        return self.store.text(self.key)

    def __repr__(self) -> str:
        return f"ObjectPath({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ObjectPath) and str(self) == str(other)

    def __lt__(self, other: ObjectPath) -> bool:
        return self.key < other.key

    def __hash__(self) -> int:
        return hash(str(self))

    def __reduce__(self) -> tuple[Callable[[str], ObjectPath], tuple[str]]:
        return ObjectPath.from_text, (str(self),)

    @property
    def name(self) -> str:
        """Last part of the key."""
        return PurePosixPath(self.key).name

    @property
    def stem(self) -> str:
        """The name without its last ending."""
        return PurePosixPath(self.key).stem

    @property
    def suffix(self) -> str:
        """The name's last ending."""
        return PurePosixPath(self.key).suffix

    @property
    def parent(self) -> ObjectPath:
        """The folder that holds it."""
        return ObjectPath(self.store, self.key.rpartition("/")[0])

    def with_name(self, name: str) -> ObjectPath:
        """Its neighbour of that name."""
        return self.parent / name

    def relative_to(self, other: object) -> PurePosixPath:
        """The key below a folder of the same bucket."""
        if not isinstance(other, ObjectPath) or other.store.bucket != self.store.bucket:
            raise ValueError(f"{self} is not below {other}")
        return PurePosixPath(self.key).relative_to(other.key)

    def as_posix(self) -> str:
        """Its address."""
        return str(self)

    def resolve(self) -> ObjectPath:
        """Itself: an address is absolute."""
        return self

    def exists(self) -> bool:
        """Whether there is an object or a folder of objects."""
        return self.store.info(self.key)[0] != "missing"

    def is_file(self) -> bool:
        """Whether there is an object."""
        return self.store.info(self.key)[0] == "file"

    def is_dir(self) -> bool:
        """Whether there are objects below it."""
        return self.store.info(self.key)[0] == "folder"

    def stat(self) -> ObjectStat:
        """Its length. Raises FileNotFoundError."""
        kind, size = self.store.info(self.key)
        if kind == "missing":
            raise FileNotFoundError(f"{self} does not exist")
        return ObjectStat(st_size=size)

    def iterdir(self) -> Iterator[ObjectPath]:
        """What is in the folder, sorted."""
        return self.glob("*")

    def glob(self, pattern: str) -> Iterator[ObjectPath]:
        """What is in the folder under a name like the pattern, sorted; the pattern is of one folder."""
        assert "/" not in pattern and "**" not in pattern
        return self._matching(pattern, recursive=False)

    def rglob(self, pattern: str) -> Iterator[ObjectPath]:
        """What is anywhere below the folder under a name like the pattern, sorted."""
        assert "/" not in pattern
        return self._matching(pattern, recursive=True)

    def mkdir(self, mode: int = 0o777, parents: bool = False, exist_ok: bool = False) -> None:
        """Nothing: a folder is there as soon as an object is below it."""

    def read_bytes(self) -> bytes:
        """The whole object. Raises FileNotFoundError."""
        return self.store.get(self.key)

    def read_text(self, encoding: str = "utf-8") -> str:
        """The whole object as text. Raises FileNotFoundError."""
        return self.read_bytes().decode(encoding)

    def unlink(self, missing_ok: bool = False) -> None:
        """Deletes the object."""
        if not self.store.delete(self.key) and not missing_ok:
            raise FileNotFoundError(f"{self} does not exist")

    def _matching(self, pattern: str, *, recursive: bool) -> Iterator[ObjectPath]:
        for key, _, _ in self.store.list(self.key, recursive=recursive):
            if fnmatchcase(PurePosixPath(key).name, pattern):
                yield ObjectPath(self.store, key)
