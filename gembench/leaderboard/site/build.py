"""The whole site, written into a folder."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gembench.errors import GembenchError
from gembench.leaderboard.benchmark import Benchmark
from gembench.leaderboard.entry import Published
from gembench.leaderboard.result_file import Result
from gembench.leaderboard.site.board import Board, make_board
from gembench.leaderboard.site.links import atlas_page, policy_page
from gembench.leaderboard.site.policy_page import render_policy
from gembench.leaderboard.site.ranking import render_ranking
from gembench.leaderboard.site.rendering import render

if TYPE_CHECKING:
    from gembench.leaderboard.site.atlas import Atlas

_INDEX = "index.html"
_GENERATED = ("policy-*.html", "atlas-*.html", "atlas.html", "about.html")
_MARK = b'<meta name="generator" content="gembench leaderboard build">'


class SiteError(GembenchError):
    """The site could not be written."""


def build_site(
    folder: Path,
    benchmark: Benchmark,
    published: Sequence[Published],
    *,
    private: Sequence[Result] = (),
    atlases: Sequence[Atlas] = (),
) -> Path:
    """Write the leaderboard's pages into a folder, the same bytes for the same input, and return its `index.html`.

    The folder is made if it is missing; what else lies there stays, but for pages of an earlier site that this one does
    not have. No file is touched before all pages are made and on the disk; the index comes last.

    Args:
        folder: where to.
        benchmark: the public one, on which all of `published` was scored.
        published: the policies, the benchmark's reference among them.
        private: results on hidden tensors, if there are any; the reference's among them.
        atlases: the trees to draw.

    Raises:
        BenchmarkError: the results are not those of one benchmark, or cards and results differ.
        SiteError: the folder cannot be written.
    """
    board = make_board(benchmark, published, private, atlases)
    pages = dict(_pages(board))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".gembench-", dir=folder) as beside:
            for name, page in pages.items():
                (Path(beside) / name).write_text(page, encoding="utf-8", newline="\n")
            for name in pages:
                (Path(beside) / name).replace(folder / name)
        for stale in _stale(folder, pages):
            stale.unlink()
    except OSError as error:
        raise SiteError(
            f"{error.filename or folder}: cannot be written: {error.strerror}; choose another folder."
        ) from error
    return folder / _INDEX


def _pages(board: Board) -> Iterator[tuple[str, str]]:
    """File names and pages; the index, whose links lead to the others, is the last."""
    for published, entry in zip(board.published, board.standing.entries, strict=True):
        yield policy_page(entry.name), render_policy(board, published, entry)
    if board.atlases:
        from gembench.leaderboard.site.atlas_page import render_atlas

        for atlas in board.atlases:
            yield atlas_page(atlas.name), render_atlas(atlas)
        yield "atlas.html", render("trees.html.jinja", section="atlas", has_atlases=True, atlases=board.atlases)
    yield (
        "about.html",
        render("about.html.jinja", section="about", has_atlases=bool(board.atlases), benchmark=board.benchmark),
    )
    yield _INDEX, render_ranking(board)


def _stale(folder: Path, pages: dict[str, str]) -> Iterator[Path]:
    """Pages in the folder that an earlier build made, such as that of a policy that has gone."""
    for pattern in _GENERATED:
        for page in sorted(folder.glob(pattern)):
            if page.name not in pages and page.is_file() and _MARK in page.read_bytes()[:1000]:
                yield page
