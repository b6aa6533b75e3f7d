"""What is written appears whole or not at all: made in a hidden folder beside its place, and moved there when done."""

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def folder_beside(path: Path) -> Iterator[Path]:
    """A new, empty, hidden folder in the folder of `path`, gone at the end, even when interrupted.

    Raises:
        OSError: it cannot be made.
    """
    start = path.name[:40]  # The longest name that a file can have leaves no room for more.
    workplace = path.absolute().parent / f".{start}.{uuid.uuid4().hex}.partial"
    workplace.mkdir()
    try:
        yield workplace
    finally:
        shutil.rmtree(workplace)


def put_in_place(written: Path, path: Path) -> None:
    """Move what was written in a folder beside to `path`, in the place of what lies there.

    A file replaces another in one step. A folder steps aside first, and comes back if the new one cannot move in.

    Raises:
        OSError: it cannot move; what lay there lies there still.
    """
    if not path.is_dir():
        written.replace(path)
        return
    replaced = written.with_name(f"{written.name}.replaced")
    path.rename(replaced)
    try:
        written.rename(path)
    except BaseException:
        replaced.rename(path)
        raise
