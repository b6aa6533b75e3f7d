"""Options that several commands of the leaderboard share, and what they lead to."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gembench.errors import UsageError

if TYPE_CHECKING:
    from gembench.leaderboard.entry import Published

_PACKAGE = Path(__file__).parents[1]

Command = TypeVar("Command", bound=Callable[..., Any])


def submissions_option(command: Command) -> Command:
    """`--submissions FOLDER`: where submissions lie."""
    return click.option(
        "--submissions",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="FOLDER",
        help="Where submissions lie. [default: policies/submissions of a checkout, else those that came with gembench]",
    )(command)


def time_limit_option(command: Command) -> Command:
    """`--time-limit SECONDS`: how long a file's replay may take."""
    return click.option(
        "--time-limit",
        type=click.FloatRange(min=0, min_open=True),
        default=1800.0,
        show_default=True,
        metavar="SECONDS",
        help="The longest that the replay of a policy's file may take.",
    )(command)


def submissions_folder(given: Path | None, *, to_write: bool = False) -> Path:
    """Where submissions lie: as given, else in the checkout that this folder is, else where gembench was installed.

    Raises:
        UsageError: one is to be written, and no checkout is at hand.
    """
    if given is not None:
        return given
    if Path("policies", "catalog.py").is_file():
        return Path("policies", "submissions")
    if to_write and not (_PACKAGE.parent / "pyproject.toml").is_file():
        raise UsageError(
            "this folder is no checkout of gembench, where entries go; change to one, or give --submissions."
        )
    return _PACKAGE / "policies" / "submissions"


def read_published(folder: Path | None, but_for: Collection[str] = ()) -> tuple["Published", ...]:
    """The catalog, but for some, and the submissions, each with a result on the benchmark as it is now.

    Raises:
        BenchmarkError: one is damaged, or its result is of another benchmark.
    """
    from gembench.leaderboard.benchmark import load_benchmark
    from gembench.leaderboard.catalog import read_catalog
    from gembench.leaderboard.entries import read_submissions
    from gembench.leaderboard.result_file import check_benchmark

    if folder is not None and not folder.is_dir():
        raise UsageError(f"there is no folder {folder}; give one that holds submissions.")
    published = (*read_catalog(but_for), *read_submissions(submissions_folder(folder)))
    benchmark = load_benchmark()
    for each in published:
        check_benchmark(each.result, benchmark, f"the published result of {each.card.name}")
    return published
