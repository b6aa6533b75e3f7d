"""Result files that are whole or not there: checked before the work starts, written beside and renamed."""

import sys
from pathlib import Path

from gembench.errors import GembenchError, UsageError
from gembench.replacing import folder_beside

STDOUT = "-"


class OutputError(GembenchError):
    """A result could not be written."""


def check_output(path: Path) -> None:
    """Make sure, before any work, that a file can be written there.

    Raises:
        UsageError: the folder is missing or cannot be written, or the path is a folder.
    """
    if str(path) == STDOUT:
        return
    if path.is_dir():
        raise UsageError(f"{path} is a folder; give the name of a file.")
    if path.exists() and not path.is_file():
        return  # a device or pipe
    if not path.parent.is_dir():
        raise UsageError(f"cannot write {path}: there is no folder {path.parent}; make it first.")
    try:
        with folder_beside(path.resolve()):
            pass
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}; choose another folder.") from error


def write_output(path: Path, content: bytes | str) -> None:
    """Write a result: to stdout for `-`, straight into a device or pipe, else beside the file and renamed.

    Raises:
        OutputError: the file could not be written; what was there before is untouched.
    """
    encoded = content.encode() if isinstance(content, str) else content
    if str(path) == STDOUT:
        sys.stdout.write(encoded.decode())
        return
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(encoded)
            return
        target = path.resolve()  # a link stays a link
        with folder_beside(target) as workplace:
            part = workplace / target.name
            part.write_bytes(encoded)
            part.replace(target)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}.") from error
