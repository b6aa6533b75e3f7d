"""A Hub on loopback, as far as models need one: what `huggingface_hub` asks of the real one, it may ask of this.

Large files lie on "another host" (localhost instead of 127.0.0.1), as on the real Hub, and faults can be planted.
"""

import hashlib
import json
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "hf_let_me_in"
LARGE_FILES = (".safetensors", ".bin", ".gguf")
PAGE_SIZE = 3


@dataclass
class FakeRepo:
    """A repository: its files at each commit, and what its page says."""

    repo_id: str
    commits: dict[str, dict[str, bytes]]
    revisions: dict[str, str]
    tags: list[str] = field(default_factory=list)
    downloads: int = 0
    likes: int = 0
    created: str = "2025-01-01T00:00:00.000Z"
    num_parameters: int | None = None
    gated: bool = False
    private: bool = False


@dataclass
class Fault:
    """What happens to the next `times` requests of a method whose path contains `part`."""

    part: str
    times: int
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body_bytes: int | None = None
    silence_seconds: float = 0
    method: str = "GET"


@dataclass(frozen=True)
class Seen:
    """A request as it came."""

    method: str
    path: str
    host: str
    token: str
    range: str


class FakeHub:
    """The server. A context manager; `endpoint` is what `HF_ENDPOINT` should say."""

    def __init__(self) -> None:
        self.repos: dict[str, FakeRepo] = {}
        self.seen: list[Seen] = []
        self._faults: list[Fault] = []
        self._lock = threading.Lock()
        self.closing = threading.Event()
        self.ignores_ranges = False
        hub = self

        class Handler(_Handler):
            fake_hub = hub

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.endpoint = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "FakeHub":
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def add(self, repo_id: str, files: Mapping[str, bytes] = {}, **about) -> str:
        """Put a repository up; returns the commit that `main` is."""
        repo = FakeRepo(repo_id, {}, {}, **about)
        self.repos[repo_id] = repo
        return self.commit(repo_id, files)

    def commit(self, repo_id: str, files: Mapping[str, bytes], revision: str = "main") -> str:
        repo = self.repos[repo_id]
        sha = hashlib.sha1(f"{repo_id} {len(repo.commits)}".encode()).hexdigest()
        repo.commits[sha] = dict(files)
        repo.revisions.update({revision: sha, sha: sha})
        return sha

    def plant(self, part: str, times: int = 1, **how) -> None:
        self._faults.append(Fault(part, times, **how))

    def count(self, part: str, method: str | None = None) -> int:
        return sum(part in seen.path and method in (None, seen.method) for seen in self.seen)

    def next_fault(self, method: str, path: str) -> Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.times > 0 and fault.part in path and method == fault.method:
                    fault.times -= 1
                    return fault
        return None


def is_large(name: str) -> bool:
    return name.endswith(LARGE_FILES)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake_hub: FakeHub

    def log_message(self, *_: object) -> None:
        """Silence."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        url = urlsplit(self.path)
        path = url.path
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        host = self.headers.get("Host", "").partition(":")[0]
        self.fake_hub.seen.append(Seen(self.command, path, host, token, self.headers.get("Range", "")))
        fault = self.fake_hub.next_fault(self.command, path)
        if fault and fault.status:
            return self._send(fault.status, b"planted", fault.headers)
        if path == "/api/models":
            return self._list(parse_qs(url.query))
        if match := re.fullmatch(r"/cdn/([^/]+/[^/]+)/([0-9a-f]{40})/(.+)", path):
            return self._file(self.fake_hub.repos[match[1]].commits[match[2]][match[3]], {}, fault)
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+?)(?:/(revision|tree)/([^/]+))?", path):
            return self._about(match[1], match[2], unquote(match[3] or "main"), token)
        if match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return self._resolve(match[1], unquote(match[2]), unquote(match[3]), token, fault)
        return self._send(404, b"")

    def _found(self, repo_id: str, revision: str, token: str) -> tuple[FakeRepo, str] | None:
        repo = self.fake_hub.repos.get(repo_id)
        if repo is None or (repo.private and token != TOKEN):
            # To those who did not say who they are, the Hub does not say whether a repository exists.
            self._send(404 if token else 401, b"", {"X-Error-Code": "RepoNotFound"})
            return None
        if revision not in repo.revisions:
            self._send(404, b"", {"X-Error-Code": "RevisionNotFound"})
            return None
        return repo, repo.revisions[revision]

    def _about(self, repo_id: str, kind: str | None, revision: str, token: str) -> None:
        found = self._found(repo_id, revision, token)
        if found is None:
            return None
        repo, sha = found
        files = repo.commits[sha]
        if kind == "tree":
            return self._json([_tree_entry(name, content) for name, content in files.items()])
        siblings = [_sibling(name, content) for name, content in files.items()]
        return self._json({**_listed(repo, sha), "siblings": siblings})

    def _list(self, query: Mapping[str, Sequence[str]]) -> None:
        wanted = set(query.get("filter", ()))
        repos = [repo for repo in self.fake_hub.repos.values() if wanted <= set(repo.tags)]
        start = int(query.get("cursor", ["0"])[0])
        headers = {}
        if start + PAGE_SIZE < len(repos):
            filters = "&".join(f"filter={value}" for value in wanted)
            next_page = f"{self.fake_hub.endpoint}/api/models?{filters}&cursor={start + PAGE_SIZE}"
            headers["Link"] = f'<{next_page}>; rel="next"'
        page = [_listed(repo, repo.revisions["main"]) for repo in repos[start : start + PAGE_SIZE]]
        self._json(page, headers)

    def _resolve(self, repo_id: str, revision: str, name: str, token: str, fault: Fault | None) -> None:
        found = self._found(repo_id, revision, token)
        if found is None:
            return None
        repo, sha = found
        if repo.gated and token != TOKEN:
            return self._send(403 if token else 401, b"", {"X-Error-Code": "GatedRepo"})
        content = repo.commits[sha].get(name)
        if content is None:
            return self._send(404, b"", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": sha})
        digest = hashlib.sha256(content).hexdigest()
        headers = {"X-Repo-Commit": sha, "ETag": f'"{digest}"'}
        if is_large(name):
            headers |= {
                "X-Linked-Etag": f'"{digest}"',
                "X-Linked-Size": str(len(content)),
                "Location": f"http://localhost:{self.fake_hub.port}/cdn/{repo_id}/{sha}/{name}",
            }
            return self._send(302, b"", headers)
        return self._file(content, headers, fault)

    def _file(self, content: bytes, headers: Mapping[str, str], fault: Fault | None) -> None:
        status, part, headers = 200, content, dict(headers)
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if match and not self.fake_hub.ignores_ranges:
            start, stop = int(match[1]), min(int(match[2] or len(content)) + 1, len(content))
            status, part = 206, content[start:stop]
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
        self._send(status, part, headers, fault)

    def _json(self, value: object, headers: Mapping[str, str] = {}) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json", **headers})

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] = {}, fault: Fault | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault and fault.body_bytes is not None:
            self.wfile.write(body[: fault.body_bytes])
            self.wfile.flush()
            self.fake_hub.closing.wait(fault.silence_seconds)
            self.close_connection = True
            return
        self.wfile.write(body)


def _listed(repo: FakeRepo, sha: str) -> dict:
    about = {
        "id": repo.repo_id,
        "sha": sha,
        "tags": repo.tags,
        "downloads": repo.downloads,
        "likes": repo.likes,
        "createdAt": repo.created,
        "gated": "manual" if repo.gated else False,
        "private": repo.private,
    }
    if repo.num_parameters is not None:
        about["safetensors"] = {"parameters": {"BF16": repo.num_parameters}, "total": repo.num_parameters}
    return about


def _sibling(name: str, content: bytes) -> dict:
    sibling = {"rfilename": name, "size": len(content), "blobId": hashlib.sha1(content).hexdigest()}
    if is_large(name):
        sibling["lfs"] = {
            "sha256": hashlib.sha256(content).hexdigest(),
            "size": len(content),
            "pointerSize": 134,
        }
    return sibling


def _tree_entry(name: str, content: bytes) -> dict:
    entry = {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
    if is_large(name):
        entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
    return entry
