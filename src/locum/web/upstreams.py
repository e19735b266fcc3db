"""One upstream of the gateway: what may be asked of it, and what is put into a request to it."""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, unquote_to_bytes

from yarl import URL

from locum.errors import Forbidden, InvalidRequest, MethodNotAllowed
from locum.settings import SettingsError, UpstreamSettings

# What a client may tell an upstream. Credentials, cookies and hops are not among it.
_PASSED_ON: Final = frozenset(
    {
        "accept",
        "accept-language",
        "content-length",
        "content-type",
        "idempotency-key",
        "last-event-id",
        "openai-beta",
        "anthropic-beta",
        "anthropic-version",
    }
)
# What an upstream may tell a browser of ours. Cookies, redirects and policies are not among it.
_PASSED_BACK: Final = frozenset(
    {
        "content-disposition",
        "content-language",
        "content-type",
        "date",
        "openai-poll-after-ms",
        "openai-processing-ms",
        "openai-version",
        "retry-after",
        "retry-after-ms",
        "x-request-id",
    }
)
_PASSED_BACK_PREFIXES: Final = ("x-ratelimit-",)
# What callers may say themselves, and versions: words that are told in texts, too.
_NO_SECRETS: Final = _PASSED_ON | {"api-version", "user-agent"}
_SECRET_QUERIES: Final = frozenset({"api-key", "key", "subscription-key", "access_token"})
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_SIGN: Final = re.compile("%[0-9A-F]{2}")
_SEGMENT: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})+")


class Upstream:
    """Where requests go, with the credentials that only this side knows."""

    def __init__(self, name: str, settings: UpstreamSettings) -> None:
        self.name = name
        self.settings = settings
        self._base = _base(name, settings.url)
        self._methods = frozenset(method.upper() for method in settings.methods)
        self._paths = tuple(_pattern(pattern) for pattern in settings.paths)
        self._credentials = _credentials(settings)
        # Every string that must not come back in an answer.
        self.secrets = _secrets(settings)

    def address(self, method: str, raw_path: str, query: list[tuple[str, str]]) -> URL:
        """Where this request goes, if it may. Only path and query are the caller's."""
        if method not in self._methods:
            raise MethodNotAllowed(
                f"The gateway does not pass {method} on to '{self.name}'.",
                code="method_not_supported",
            )
        segments = _segments(raw_path)
        if not any(_matches(pattern, segments) for pattern in self._paths):
            raise Forbidden(f"The gateway does not pass this path on to '{self.name}'.")
        fixed = self.settings.query
        # Servers differ in whether they tell `a` from `A`, and which of two they read.
        ours = _SECRET_QUERIES | {name.lower() for name in fixed}
        kept = [(name, value) for name, value in query if name.lower() not in ours]
        kept += fixed.items()
        path = self._base.raw_path.rstrip("/") + "/" + "/".join(segments)
        return self._base.join(URL(path, encoded=True)).with_query(kept)

    def headers(self, given: Mapping[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in given.items() if name.lower() in _PASSED_ON}
        # Nothing compressed comes back, so what comes back can be looked through.
        return kept | {"accept-encoding": "identity", "user-agent": "locum"} | self._credentials


def passed_back(headers: Mapping[str, str], secrets: tuple[str, ...]) -> dict[str, str]:
    """Values as the bytes they came as, whatever the letters."""
    return {
        name.lower(): value.encode(errors="surrogateescape").decode("latin-1")
        for name, value in headers.items()
        if (name.lower() in _PASSED_BACK or name.lower().startswith(_PASSED_BACK_PREFIXES))
        and not any(secret in value for secret in secrets)
        and not _CONTROL.search(value)
    }


def _secrets(settings: UpstreamSettings) -> tuple[str, ...]:
    headers, query = (
        {name.lower(): value for name, value in told.items() if name.lower() not in _NO_SECRETS}
        for told in (settings.headers, settings.query)
    )
    told = [settings.key or "", *headers.values(), *query.values()]
    # Whoever repeats a key says it without the scheme that stands before it.
    told += [
        value.partition(" ")[2].strip()
        for name, value in headers.items()
        if name.endswith("authorization")
    ]
    # Short values are no secrets and would turn up everywhere.
    kept = (value for value in told if len(value) >= _SHORTEST_SECRET)
    return tuple({written: None for value in kept for written in _spellings(value)})


_SHORTEST_SECRET: Final = 8
# What servers escape in JSON besides what they must: those of .NET, those of Java.
_ESCAPED: Final = (("04X", "\"&'+<>`"), ("04x", "&'<=>"))


def _spellings(secret: str) -> list[str]:
    """A secret as servers write it that repeat it: in a text, in JSON, in an address."""
    escaped = [
        "".join(f"\\u{ord(one):{form}}" if one in which else one for one in secret)
        for form, which in _ESCAPED
    ]
    # An address is repeated as it was sent, or quoted as others do.
    sent = URL().with_query({"": secret}).raw_query_string[1:]
    quoted = [sent, quote(secret), quote(secret, safe="")]
    quoted += [_SIGN.sub(lambda sign: sign[0].lower(), one) for one in quoted]
    return [secret, secret.replace("/", "\\/"), *escaped, *quoted]


def _base(name: str, url: str) -> URL:
    base = URL(url)
    if base.scheme not in {"http", "https"} or not base.host:
        raise SettingsError(f"The upstream '{name}' needs a url like 'https://host/v1'.")
    if base.user is not None or base.query_string or base.fragment:
        raise SettingsError(
            f"The url of the upstream '{name}' may hold neither credentials nor a query:"
            " use 'key', 'headers' and 'query'."
        )
    return base


def _credentials(settings: UpstreamSettings) -> dict[str, str]:
    told = {name.lower(): value for name, value in settings.headers.items()}
    if settings.key is not None:
        match settings.kind:
            case "openai":
                told["authorization"] = f"Bearer {settings.key}"
            case "azure":
                told["api-key"] = settings.key
            case "anthropic":
                told["x-api-key"] = settings.key
    return told


def _segments(raw_path: str) -> list[str]:
    """The path in pieces, refused if a server could read it in two ways."""
    segments = raw_path.strip("/").split("/")
    for segment in segments:
        plain = unquote_to_bytes(segment)
        if (
            not _SEGMENT.fullmatch(segment)
            # Some servers take what follows a semicolon for a parameter, and `..;` for `..`.
            or plain.partition(b";")[0] in {b".", b".."}
            or any(byte in plain for byte in b"/\\%\0\r\n")
        ):
            raise InvalidRequest("The gateway passes on plain paths only.", code="invalid_path")
    return segments


def _pattern(pattern: str) -> tuple[str, ...]:
    return tuple(pattern.strip("/").split("/"))


def _matches(pattern: tuple[str, ...], segments: list[str]) -> bool:
    """`*` is one segment, a final `**` any number of them, also none."""
    for at, expected in enumerate(pattern):
        if expected == "**":
            return True
        if at >= len(segments) or expected not in {"*", segments[at]}:
            return False
    return len(pattern) == len(segments)
