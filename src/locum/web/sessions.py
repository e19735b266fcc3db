"""Who may use the gateway: a key of Locum, or the cookie that the page gets for one.

The cookie is a random name for a key that stays in this process. A script cannot read it, other
sites cannot send it, and it opens nothing without a header that a form cannot set.
"""

import hashlib
import secrets
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from locum.clock import Clock
from locum.errors import Forbidden, Unauthenticated

COOKIE: Final = "locum_page"
# Only a script of our own origin can set it without asking first, and we never say yes.
PROOF: Final = "x-locum-page"
_LIFE_S: Final = 12 * 3600
_MOST: Final = 10_000
# Who signs in again and again signs out those of the own project, nobody else.
_MOST_OF_ONE: Final = 200

# The project that a request may enter; raises what a caller is to be told when it opens none.
Admit = Callable[[Scope], Awaitable[str]]


class _Session(NamedTuple):
    project_id: str
    authorization: str
    expires_at: float


class Admission:
    """Lets callers in by key or by cookie. A session is checked anew at every use of it."""

    def __init__(self, *, admit: Admit, clock: Clock) -> None:
        self._admit = admit
        self._clock = clock
        self._sessions: dict[str, _Session] = {}

    async def admit(self, request: Request) -> str:
        """The project of the caller."""
        if "authorization" in request.headers or "api-key" in request.headers:
            return await self._admit(request.scope)
        session = self._session(request)
        if session is None:
            # Says in the words of the API what is missing.
            return await self._admit(request.scope)
        _require_proof(request)
        return await self._admit(_with_authorization(request.scope, session.authorization))

    async def sign_in(self, request: Request) -> Response:
        """A cookie for whoever shows a key."""
        _require_proof(request)
        project_id = await self._admit(_as_reading(request.scope))
        authorization = request.headers.get("authorization", "")
        if not authorization:
            raise Unauthenticated("Sign in with a key in the Authorization header.")
        self._make_room(project_id)
        name = secrets.token_urlsafe(32)
        expires_at = self._clock.monotonic() + _LIFE_S
        self._sessions[_digest(name)] = _Session(project_id, authorization, expires_at)
        response = Response(status_code=204, headers={"cache-control": "no-store"})
        response.set_cookie(
            COOKIE,
            name,
            max_age=_LIFE_S,
            path="/",
            httponly=True,
            samesite="strict",
            secure=_came_encrypted(request),
        )
        return response

    async def sign_out(self, request: Request) -> Response:
        _require_proof(request)
        self._sessions.pop(_digest(_cookie(request)), None)
        response = Response(status_code=204, headers={"cache-control": "no-store"})
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
        return response

    def _session(self, request: Request) -> _Session | None:
        session = self._sessions.get(_digest(_cookie(request)))
        if session is None or session.expires_at <= self._clock.monotonic():
            return None
        return session

    def _make_room(self, project_id: str) -> None:
        now = self._clock.monotonic()
        self._sessions = {
            name: session for name, session in self._sessions.items() if session.expires_at > now
        }
        own = [name for name, one in self._sessions.items() if one.project_id == project_id]
        if len(own) >= _MOST_OF_ONE:
            del self._sessions[own[0]]
        elif len(self._sessions) >= _MOST:
            del self._sessions[next(iter(self._sessions))]


def _cookie(request: Request) -> str:
    """What is in our cookie, as it stands there. It is never in quotes, and of a long one in quotes
    the standard library of some Pythons makes a minute's work for anybody who sends it.
    """
    for pair in ";".join(request.headers.getlist("cookie")).split(";"):
        name, _, value = pair.strip().partition("=")
        if name == COOKIE:
            return value
    return ""


def _require_proof(request: Request) -> None:
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
        raise Forbidden("A request from another site opens nothing here.")
    if PROOF not in request.headers:
        raise Forbidden(f"A request with a cookie needs the header '{PROOF}'.")


def _came_encrypted(request: Request) -> bool:
    """Browsers say where a page came from; a proxy may end the encryption before us."""
    origin = request.headers.get("origin", "")
    return request.url.scheme == "https" or origin.startswith("https://")


def _with_authorization(scope: Scope, authorization: str) -> Scope:
    kept = [(name, value) for name, value in scope["headers"] if name != b"authorization"]
    return {**scope, "headers": [*kept, (b"authorization", authorization.encode("latin-1"))]}


def _as_reading(scope: Scope) -> Scope:
    """A read-only key may sign in, though signing in is a POST."""
    return {**scope, "method": "GET"}


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()
