"""Optional dependencies: found missing before the work starts, and named with the command that installs them."""

from importlib.util import find_spec

from gembench.errors import GembenchError


class MissingExtraError(GembenchError):
    """A part of gembench that was not installed is asked for."""


def require_extra(extra: str, *modules: str) -> None:
    """Make sure that the modules of an extra can be imported, without importing them.

    Raises:
        MissingExtraError: one cannot.
    """
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise MissingExtraError(f"this needs {' and '.join(missing)}: run pip install 'gembench[{extra}]'.")
