"""Who may come in: keys, the projects they belong to, and what they may do."""

import base64
import binascii
import hashlib
import ipaddress
import secrets
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from locum.api.http import Incoming
from locum.clock import Clock
from locum.errors import Forbidden, Unauthenticated
from locum.settings import Settings
from locum.store.keys import ApiKey
from locum.store.tables import Store

# How long a revoked key, or the first key of a server, may take to be noticed.
_MEMORY_S = 1.0
_MOST_REMEMBERED = 4_096

_NO_KEY = (
    "You didn't provide an API key. You need to provide your API key in an Authorization header"
    " using Bearer auth (i.e. Authorization: Bearer YOUR_KEY), or as the password field (with"
    " blank username) if you're accessing the API from your browser and are prompted for a"
    " username and password. You can obtain an API key from"
    " https://platform.openai.com/account/api-keys."
)

_LOCAL_ONLY: Final = (
    "While there is no API key, this server answers under 'localhost' or an address only, not"
    " {said}. Make a key with `locum keys create`."
)
# No web page can have a name that ends so: they lead nowhere but within a machine or a house.
_PRIVATE_NAMES: Final = (".localhost", ".internal", ".test")


class Caller(Struct, frozen=True):
    project_id: str
    read_only: bool = False


class Doorkeeper:
    """Tells callers by their keys. Without any key configured, everybody is the one local user."""

    def __init__(self, store: Store, settings: Settings, clock: Clock) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._known: dict[str, tuple[float, ApiKey | None]] = {}
        self._open_until = -1.0
        # The host that was last found to be ours: nearly every request bears the same.
        self._own_host = ""
        # Whoever has the admin key can make others, so nobody needs to come in without.
        self._has_keys = settings.admin_key is not None

    async def admit(self, incoming: Incoming) -> Caller:
        key = presented(incoming)
        if key is None:
            raise Unauthenticated(_NO_KEY)
        if await self._is_open():
            self._refuse_strangers_pages(incoming)
            caller = Caller(self._settings.project)
        else:
            caller = await self._caller(key, incoming)
        if caller.read_only and incoming.method not in {"GET", "HEAD"}:
            raise Forbidden(
                "You have insufficient permissions for this operation: the key is read-only."
            )
        return caller

    async def _caller(self, key: str, incoming: Incoming) -> Caller:
        known = await self._lookup(key)
        if known is None or not _valid(known, self._clock.now()):
            raise Unauthenticated(
                f"Incorrect API key provided: {masked(key)}. You can find your API key at"
                " https://platform.openai.com/account/api-keys.",
                code="invalid_api_key",
            )
        # An empty selector selects nothing: clients send what an empty variable says.
        if (incoming.headers.get("openai-project") or known.project_id) != known.project_id:
            raise Unauthenticated(
                "OpenAI-Project header should match project for API key",
                code="mismatched_project",
            )
        organization = self._settings.organization
        if (incoming.headers.get("openai-organization") or organization) != organization:
            raise Unauthenticated(
                "OpenAI-Organization header should match organization for API key",
                code="mismatched_organization",
            )
        return Caller(known.project_id, known.read_only)

    async def _is_open(self) -> bool:
        """Local mode: no key was ever made, so any key is as good as another."""
        if self._has_keys:
            return False
        now = self._clock.monotonic()
        if now < self._open_until:
            return True
        if await self._store.keys.any():
            # For good: a key that is revoked does not open the door to all others.
            self._has_keys = True
            return False
        self._open_until = now + _MEMORY_S
        return True

    def _refuse_strangers_pages(self, incoming: Incoming) -> None:
        """While any key will do, names are what tells our clients from a web page of others.

        A site can make its own name lead to this machine, and then its scripts are of one origin
        with us: they may send any header and read any answer. It cannot make it `localhost`.
        """
        host = incoming.headers.get("host")
        if host != self._own_host:
            if not (_is_own(f"//{host}") or _name_of(f"//{host}") == self._settings.host.lower()):
                raise Forbidden(_LOCAL_ONLY.format(said=f"under the name '{host}'"))
            self._own_host = host
        origin = incoming.headers.get("origin")
        if origin.startswith(("http://", "https://")) and not (
            _is_own(origin)
            or origin.partition("://")[2] == host
            or {origin, "*"} & {*self._settings.cors_origins}
        ):
            raise Forbidden(_LOCAL_ONLY.format(said=f"to pages of '{origin}'"))

    async def _lookup(self, key: str) -> ApiKey | None:
        digest = digest_of(key)
        now = self._clock.monotonic()
        remembered = self._known.get(digest)
        if remembered is not None and now < remembered[0]:
            return remembered[1]
        found = await self._store.keys.by_digest(digest)
        if len(self._known) >= _MOST_REMEMBERED:
            self._known.clear()
        self._known[digest] = (now + _MEMORY_S, found)
        return found


def new_key() -> tuple[str, str, str]:
    """A fresh secret, its digest, and the hint by which people tell it from others."""
    secret = f"sk-locum-{secrets.token_urlsafe(32)}"
    return secret, digest_of(secret), f"{secret[:13]}…{secret[-4:]}"


def digest_of(key: str) -> str:
    """Keys are long and random: a plain digest cannot be turned back by guessing."""
    return hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()


def masked(key: str) -> str:
    """A key as errors show it: the first eight characters, stars, the last four; none as `''`."""
    if not key:
        return "''"
    hidden = len(key) - 12
    return f"{key[:8]}{'*' * hidden}{key[-4:]}" if hidden > 0 else "*" * len(key)


def presented(incoming: Incoming) -> str | None:
    """The key that comes with a request, whichever way it is sent."""
    if key := incoming.headers.get("api-key"):
        return key
    scheme, _, value = incoming.headers.get("authorization").partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer":
        return value
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            pass  # Not a key in any case: it is answered as a missing one.
    return "" if "api-key" in incoming.headers else None


def _valid(key: ApiKey, now: int) -> bool:
    return key.revoked_at is None and (key.expires_at is None or now < key.expires_at)


def _is_own(url: str) -> bool:
    """Whether a site of others could not be reached under this name: addresses, names of a house.

    Without any name it is no browser that asks.
    """
    name = _name_of(url)
    if "." not in name or name.endswith(_PRIVATE_NAMES):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _name_of(url: str) -> str:
    """The host without its port, in lower case; what cannot be read is nobody's name."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return "not.readable"
