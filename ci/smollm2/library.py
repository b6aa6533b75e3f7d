"""Texts that come with Python and transformers: the standard library's docstrings and code, pydoc, licences.

They depend on the version of Python: another one makes a slightly different tree.
"""

import ast
import functools
import importlib.metadata
import pydoc_data.topics
import random
import sysconfig
import textwrap
from pathlib import Path

_MODULES = """
argparse ast base64 bisect calendar collections configparser contextlib copy csv dataclasses datetime decimal difflib
email.message enum fileinput fnmatch fractions ftplib functools getpass gettext glob gzip hashlib heapq html.parser
http.client http.cookies imaplib inspect io ipaddress json json.decoder linecache locale logging logging.handlers
mailbox mimetypes nntplib numbers operator optparse os pathlib pdb pickle pickletools plistlib poplib posixpath pprint
profile queue random re reprlib sched secrets selectors shelve shlex shutil smtplib socket socketserver ssl statistics
string subprocess tarfile tempfile textwrap threading timeit tokenize trace traceback tracemalloc turtle types typing
unittest.case unittest.mock urllib.parse urllib.request uuid wave weakref xml.dom.minidom xml.etree.ElementTree zipfile
"""
_CHARACTERS = 450


def docstring(rng: random.Random) -> tuple[str, str]:
    """What is this function for? The first paragraph of its docstring."""
    name, paragraph, _ = rng.choice(_functions())
    return f"What does `{name}` do in Python?", paragraph


def code(rng: random.Random) -> tuple[str, str]:
    """A function's first line, and the rest."""
    _, _, source = rng.choice(_functions())
    first, _, rest = source.partition("\n")
    return f"{first}\n", rest


def topic(rng: random.Random) -> tuple[str, str]:
    """A piece of the language reference."""
    return "", _piece(_topics(), rng)


def licence(rng: random.Random) -> tuple[str, str]:
    """A piece of the licences of Python's packages."""
    return "", _piece(_licences(), rng)


def paragraphs() -> list[str]:
    """Prose of the language reference, a paragraph a string."""
    return _prose()


def _piece(text: str, rng: random.Random) -> str:
    start = rng.randrange(len(text) - _CHARACTERS)
    return text[start : start + _CHARACTERS].partition(" ")[2]


@functools.cache
def _functions() -> list[tuple[str, str, str]]:
    """Name, first paragraph and source of the documented functions."""
    folder = Path(sysconfig.get_path("stdlib"))
    found = []
    for module in _MODULES.split():
        stem = folder.joinpath(*module.split("."))
        file = next((path for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.exists()), None)
        # Some modules are gone in later versions of Python.
        if file is None:
            continue
        text = file.read_text(encoding="utf-8")
        lines = text.split("\n")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and (documentation := ast.get_docstring(node)):
                paragraph = " ".join(documentation.partition("\n\n")[0].split())
                source = textwrap.dedent("\n".join(lines[node.lineno - 1 : node.end_lineno]))
                if len(paragraph) > 30 and len(source) > 150:
                    found.append((f"{module}.{node.name}", paragraph, source))
    return found


@functools.cache
def _topics() -> str:
    return "\n".join(text for _, text in sorted(pydoc_data.topics.topics.items()))


@functools.cache
def _prose() -> list[str]:
    blocks = (" ".join(block.split()) for block in _topics().split("\n\n"))
    return [block for block in blocks if 150 < len(block) < 600 and block.endswith(".") and "::=" not in block]


@functools.cache
def _licences() -> str:
    packages = ("numpy", "transformers")
    installed = (file for package in packages for file in importlib.metadata.files(package) or ())
    return "\n".join(file.locate().read_text() for file in installed if file.name.startswith("LICENSE"))
