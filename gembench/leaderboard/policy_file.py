"""A policy in a file of its own: `FILE.py[:CLASS[:KEY=VALUE,...]]`. Nothing here runs it."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from gembench.errors import GembenchError, UsageError

LARGEST_FILE = 2**16
"""A policy is some hundred lines; what would be larger is a table of answers."""
_NAMED = re.compile(r"(?P<path>.*?\.py)(?::(?P<policy_class>[^:]*)(?::(?P<settings>.*))?)?", re.DOTALL)


class PolicyFileError(GembenchError):
    """The policy in a file cannot be used."""


@dataclass(frozen=True)
class PolicyFile:
    """What was named, and what is in the file.

    Attributes:
        path: as it was given.
        text: the file's.
        policy_class: which class; None for the only one.
        settings: hyper-parameters, as `key=value,...`.
    """

    path: str
    text: str
    policy_class: str | None
    settings: str

    @property
    def sha256(self) -> str:
        """64 hex digits, of the file."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def is_policy_file(specification: str) -> bool:
    """Whether a text names a file rather than a policy of the catalog, in whose names there are no points."""
    return _NAMED.fullmatch(specification) is not None


def read_policy_file(specification: str) -> PolicyFile:
    """The file of `FILE.py[:CLASS[:KEY=VALUE,...]]`.

    Raises:
        UsageError: no such file, or nothing like Python can be in it.
    """
    named = _NAMED.fullmatch(specification)
    if named is None:
        raise UsageError(
            f"{specification}: a policy's file is named as FILE.py, FILE.py:CLASS or FILE.py:CLASS:KEY=VALUE."
        )
    path, policy_class = Path(named["path"]), named["policy_class"] or None
    if policy_class is not None and not policy_class.isidentifier():
        raise UsageError(f"{specification}: '{policy_class}' is no name of a class.")
    try:
        if path.exists() and not path.is_file():  # To open a pipe would wait for whoever writes to it.
            raise UsageError(f"{path}: is no file; give the Python file of a policy.")
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except (OSError, ValueError) as error:  # The latter of a name that no file can have.
        raise UsageError(f"{path}: cannot be read: {getattr(error, 'strerror', error)}.") from error
    if len(content) > LARGEST_FILE:
        raise UsageError(f"{path}: is larger than {LARGEST_FILE:,} bytes, the most that a policy's file may have.")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: is no text in UTF-8; give the Python file of a policy.") from error
    return PolicyFile(str(path), text, policy_class, named["settings"] or "")
