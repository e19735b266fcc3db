"""The beta header: which version of the API a client speaks."""

from enum import Enum

from locum.api.http import Incoming
from locum.api.operation import Route
from locum.errors import InvalidRequest

_MISSING = (
    "You must provide the 'OpenAI-Beta' header to access the Assistants API. Please try again by"
    " setting the header 'OpenAI-Beta: assistants=v2'."
)


class Version(Enum):
    V1 = "assistants=v1"
    V2 = "assistants=v2"


def read_version(incoming: Incoming, route: Route, *, strict: bool) -> Version:
    """A missing header means the second version, unless the operator wants it refused."""
    if not route.needs_beta:
        return Version.V2
    given = incoming.headers.get("openai-beta", "")
    values = {value.strip() for value in given.split(",")} - {""}
    for version in (Version.V2, Version.V1):
        if version.value in values:
            return version
    if values or strict:
        raise InvalidRequest(_MISSING, code="invalid_beta")
    return Version.V2
