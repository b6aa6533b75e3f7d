"""Names of the site's files, and what of a stranger's text may be a link."""

import hashlib
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

_SAFE_NAME = re.compile(r"[a-z0-9._-]{1,80}")
_UNSAFE = re.compile(r"[^a-z0-9._-]+")
_URL = r"https?://[A-Za-z0-9!#$%&()*+,./:;=?@\[\]_~-]+"
_ARXIV = r"arxiv[:\s]\s*(?P<arxiv>[0-9]{4}\.[0-9]{4,5}(?:v[0-9]{1,2})?)(?![0-9.])"
_DOI = r"(?<![0-9.])(?P<doi>10\.[0-9]{4,9}/[A-Za-z0-9._;()/:+-]*[A-Za-z0-9])"
_LINK = re.compile(f"(?P<url>{_URL})|{_ARXIV}|{_DOI}", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class LinkedText:
    """A text, a part of which is a link: `before`, `linked`, `after`. With no `url`, all of it is in `before`."""

    before: str
    linked: str = ""
    url: str = ""
    after: str = ""


def policy_page(name: str) -> str:
    """The file of a policy's page: different for different names, whatever they hold, on any file system."""
    return f"policy-{_slug(name)}.html"


def atlas_page(name: str) -> str:
    """The file of an atlas: different for different names, whatever they hold, on any file system."""
    return f"atlas-{_slug(name)}.html"


def linked_text(text: str) -> LinkedText:
    """A text with its first URL, arXiv id or DOI as a link; no URL but an http or https one is ever linked."""
    found = _LINK.search(text)
    if found is None:
        return LinkedText(text)
    linked = found[0].rstrip(".,;:!?)]") if found["url"] else found[0]
    if found["arxiv"]:
        url = f"https://arxiv.org/abs/{found['arxiv']}"
    elif found["doi"]:
        url = f"https://doi.org/{found['doi']}"
    else:
        url = linked
    if not _is_plain(url):
        return LinkedText(text)
    end = found.start() + len(linked)
    return LinkedText(text[: found.start()], linked, url, text[end:])


def _slug(name: str) -> str:
    if _SAFE_NAME.fullmatch(name):
        return name
    # No safe name has a tilde, so that nobody can choose a name that is another's slug.
    digest = hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()
    return f"{_UNSAFE.sub('-', name.lower())[:40].strip('-')}~{digest[:16]}"


def _is_plain(url: str) -> bool:
    """Whether a browser goes where a reader of the URL would think."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        return False
