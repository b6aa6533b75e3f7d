"""Check a built sdist and wheel: whole, real files and no links, wherever the checkout has a symlink.

Run as `python ci/check_dist.py DIST` after `python -m build --outdir DIST`.
"""

import sys
import tarfile
import zipfile
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent
LINKED = ("data", "policies", "evaluate")


def expected_modules() -> set[str]:
    """Every module of the checkout by its name in the wheel."""
    folders = {"gembench": CHECKOUT / "gembench", **{f"gembench/{name}": CHECKOUT / name for name in LINKED}}
    return {
        f"{prefix}/{path.relative_to(folder).as_posix()}"
        for prefix, folder in folders.items()
        for path in folder.rglob("*.py")
        if not (prefix == "gembench" and path.relative_to(folder).parts[0] in LINKED)
    }


def expected_data() -> set[str]:
    """What else a wheel needs: suites, recorded tensors, templates, the benchmark and its results, submissions."""
    package = CHECKOUT / "gembench"
    linked = [
        *(CHECKOUT / "evaluate").rglob("*.yaml"),
        *(CHECKOUT / "data" / "recorded").iterdir(),
        *(CHECKOUT / "policies" / "submissions").glob("*/*.*"),
    ]
    pages = [*(package / "gem_card").iterdir(), *(package / "leaderboard" / "site").iterdir()]
    own = [
        package / "py.typed",
        package / "leaderboard" / "benchmark.toml",
        *(package / "leaderboard" / "catalog").iterdir(),
        *(file for file in pages if file.suffix in {".jinja", ".css", ".js"}),
    ]
    return {
        *(f"gembench/{path.relative_to(CHECKOUT).as_posix()}" for path in linked),
        *(path.relative_to(CHECKOUT).as_posix() for path in own),
    }


def wheel_problems(path: Path) -> list[str]:
    """What is wrong with the wheel, a line each."""
    with zipfile.ZipFile(path) as archive:
        files = {member.filename: member for member in archive.infolist()}
        links = [name for name, member in files.items() if member.external_attr >> 16 & 0o170000 == 0o120000]
        empty = [name for name in files if name.endswith(".py") and not archive.read(name).strip()]
    modules = {name for name in files if name.endswith(".py")}
    return [
        *(f"{path.name}: {name} is a link" for name in links),
        *(f"{path.name}: {name} is empty" for name in empty),
        *(f"{path.name}: {name} is missing" for name in sorted(expected_modules() - modules)),
        *(f"{path.name}: {name} does not belong there" for name in sorted(modules - expected_modules())),
        *(f"{path.name}: {name} is missing" for name in sorted(expected_data() - set(files))),
    ]


def sdist_problems(path: Path) -> list[str]:
    """What is wrong with the sdist, a line each."""
    with tarfile.open(path) as archive:
        members = {member.name.partition("/")[2]: member for member in archive.getmembers()}
    wanted = expected_modules() | expected_data() | {"LICENSE", "README.md", "pyproject.toml"}
    return [
        *(f"{path.name}: {name} is a link" for name, member in members.items() if member.issym() or member.islnk()),
        *(f"{path.name}: {name} is missing" for name in sorted(wanted - set(members))),
    ]


def main() -> None:
    """Print the problems; exit with 1 if there are any."""
    dist = Path(sys.argv[1])
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    problems = wheel_problems(wheel) + sdist_problems(sdist)
    sys.exit("\n".join(problems) if problems else 0)


if __name__ == "__main__":
    main()
