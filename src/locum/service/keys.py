"""API keys and the projects they open. Only digests are kept; whoever makes a secret shows it."""

from msgspec import Struct

from locum.clock import Clock
from locum.errors import InvalidParameter
from locum.ids import Ids, is_project_id
from locum.store.keys import ApiKey
from locum.store.tables import Store
from locum.store.whole_rows import WholeRows

_DAY_S = 86_400
_SHOWN_CHARS = 128


class Fresh(Struct, frozen=True):
    """A secret that was just made, as far as it is kept."""

    digest: str
    hint: str


class Wish(Struct, frozen=True, kw_only=True):
    """What a key is to open, and for how long."""

    project_id: str
    name: str = ""
    read_only: bool = False
    expires_days: int | None = None


async def require_project(store: Store, project_id: str) -> None:
    """A new project is called by the rule; one that is here may have any name."""
    if is_project_id(project_id):
        return
    known = [*await store.keys.projects(), *await WholeRows(store.db).projects()]
    if project_id not in {one for one, _ in known}:
        raise InvalidParameter(
            f"Invalid 'project_id': '{project_id[:_SHOWN_CHARS]}' is no name of a project. Expected"
            " 1 to 128 letters, digits, '_', '.' or '-', or a project that there is.",
            param="project_id",
        )


async def create_key(store: Store, wish: Wish, fresh: Fresh, *, clock: Clock, ids: Ids) -> ApiKey:
    """Keep a new key; its project is made if need be."""
    now = clock.now()
    key = ApiKey(
        id=ids.new("key"),
        project_id=wish.project_id,
        name=wish.name,
        hint=fresh.hint,
        read_only=wish.read_only,
        created_at=now,
        expires_at=None if wish.expires_days is None else now + wish.expires_days * _DAY_S,
        revoked_at=None,
    )
    async with store.transaction() as tx:
        await store.keys.ensure_project(tx, key.project_id, name=key.project_id, now=now)
        await store.keys.add(tx, key, fresh.digest)
    return key


async def revoke_key(store: Store, key_id: str, *, clock: Clock) -> bool:
    async with store.transaction() as tx:
        return await store.keys.revoke(tx, key_id, now=clock.now())
