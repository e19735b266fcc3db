"""The files of the page: read once, served with what keeps a page safe, cached by content."""

import hashlib
import mimetypes
from pathlib import Path
from typing import Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from locum.errors import MethodNotAllowed, NotFound

STATIC: Final = Path(__file__).parent / "static"

# Scripts, styles and connections of our own origin only. Pictures may come from memory, where the
# page puts what it has fetched with its key. Trusted types forbid to make markup from text.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:;"
    " connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script';"
    " trusted-types 'none'"
)
_SAFETY: Final = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_ASK_AGAIN: Final = "no-cache"
_KINDS: Final = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
# How the sources name the folder whose name is, when served, the hash of all that is in it.
_BUILD: Final = "/page/build/"


class _File(NamedTuple):
    body: bytes
    media: str
    tag: str


class Page:
    """The static part of the page, held in memory: they are small."""

    def __init__(self, directory: Path = STATIC) -> None:
        files = {
            path.relative_to(directory).as_posix(): path.read_bytes()
            for path in sorted(directory.rglob("*"))
            if path.is_file()
        }
        self.build = _digest(b"".join(name.encode() + b"\0" + files[name] for name in files))
        index = files.pop("index.html").replace(_BUILD.encode(), f"/page/{self.build}/".encode())
        self._index = _File(index, "text/html; charset=utf-8", f'"{_digest(index)}"')
        self._files = {name: _file(name, body) for name, body in files.items()}

    async def answer(self, request: Request) -> Response:
        if request.method not in {"GET", "HEAD"}:
            raise MethodNotAllowed(
                f"Not allowed to {request.method} on {request.url.path}.",
                code="method_not_supported",
            )
        path = request.url.path
        if path == "/":
            return _served(request, self._index, caching=_ASK_AGAIN)
        build, _, name = path.removeprefix("/page/").partition("/")
        # Looked up, never opened: there is no path on the disk that a request could name.
        file = self._files.get(name)
        if file is None:
            raise NotFound(f"Invalid URL ({request.method} {path})")
        return _served(request, file, caching=_FOR_EVER if build == self.build else _ASK_AGAIN)


def _served(request: Request, file: _File, *, caching: str) -> Response:
    headers = {**_SAFETY, "cache-control": caching, "etag": file.tag}
    if request.headers.get("if-none-match") == file.tag:
        return Response(status_code=304, headers=headers)
    body = b"" if request.method == "HEAD" else file.body
    if request.method == "HEAD":
        headers["content-length"] = str(len(file.body))
    return Response(body, media_type=file.media, headers=headers)


def _file(name: str, body: bytes) -> _File:
    kind = _KINDS.get(Path(name).suffix) or mimetypes.guess_type(name)[0]
    media = kind or "application/octet-stream"
    if media.startswith(("text/", "image/svg")):
        media += "; charset=utf-8"
    return _File(body, media, f'"{_digest(body)}"')


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
