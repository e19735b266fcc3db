"""`/admin/…`: keys, projects and processes over HTTP, for whoever has the admin key."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from locum import limits
from locum.api import validation
from locum.api.auth import new_key
from locum.api.http import Incoming, Reply, segment
from locum.api.tree import Tree
from locum.errors import MethodNotAllowed, NotFound
from locum.service import fleet, keys
from locum.service.scope import House
from locum.store.keys import ApiKey

_BODY_BYTES: Final = 64 * 1024


class CreateKey(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    project_id: str | None = None
    name: Annotated[str, Meta(max_length=256)] = ""
    read_only: bool = False
    expires_days: Annotated[int, Meta(ge=1, le=limits.KEY_DAYS_MAX)] | None = None


async def answer(house: House, incoming: Incoming, path: str) -> Reply:
    """Whoever comes here has shown the admin key."""
    handler, parameters, methods = _TREE.find(incoming.method, path)
    if handler is None and methods:
        raise MethodNotAllowed(
            f"Not allowed to {incoming.method} on {incoming.raw_path}.", allowed=methods
        )
    if handler is None:
        raise NotFound(f"Invalid URL ({incoming.method} {incoming.raw_path})")
    told = await handler(house, incoming, **{n: segment(text) for n, text in parameters.items()})
    return Reply(msgspec.json.encode(told))


async def _list_keys(house: House, _: Incoming) -> Any:
    return {"object": "list", "data": [_shown(key) for key in await house.store.keys.all()]}


async def _create_key(house: House, incoming: Incoming) -> Any:
    incoming.require_json()
    body = await incoming.body(limit=_BODY_BYTES)
    asked: CreateKey = validation.decode_body(CreateKey, body or b"{}", lenient=False)
    project_id = asked.project_id
    if project_id is not None:
        await keys.require_project(house.store, project_id)
    secret, digest, hint = new_key()
    wish = keys.Wish(
        project_id=house.settings.project if project_id is None else project_id,
        name=asked.name,
        read_only=asked.read_only,
        expires_days=asked.expires_days,
    )
    key = await keys.create_key(
        house.store, wish, keys.Fresh(digest, hint), clock=house.clock, ids=house.ids
    )
    return _shown(key) | {"value": secret}


async def _revoke_key(house: House, _: Incoming, key_id: str) -> Any:
    if not await keys.revoke_key(house.store, key_id, clock=house.clock):
        raise NotFound(f"No valid key found with id '{key_id}'.")
    return {"id": key_id, "object": "admin.key.deleted", "deleted": True}


async def _list_workers(house: House, _: Incoming) -> Any:
    return fleet.shown(await fleet.look(house.store, now=house.clock.now()))


async def _list_projects(house: House, _: Incoming) -> Any:
    """Projects with what they have in hand: runs by state, from those that have not ended."""
    alive = await house.store.runs.alive_by_project()
    told = dict(await house.store.keys.projects())
    return {
        "object": "list",
        "data": [
            {
                "id": project_id,
                "object": "admin.project",
                "name": told.get(project_id, project_id),
                "runs": alive.get(project_id, {}),
            }
            for project_id in [*told, *sorted(set(alive) - set(told))]
        ],
    }


def _shown(key: ApiKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "object": "admin.key",
        "project_id": key.project_id,
        "name": key.name,
        "redacted_value": key.hint,
        "read_only": key.read_only,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
    }


_Handler = Callable[..., Awaitable[Any]]


def _tree() -> Tree[_Handler]:
    tree: Tree[_Handler] = Tree()
    tree.add("GET", "keys", _list_keys)
    tree.add("POST", "keys", _create_key)
    tree.add("DELETE", "keys/{key_id}", _revoke_key)
    tree.add("GET", "projects", _list_projects)
    tree.add("GET", "workers", _list_workers)
    return tree


_TREE: Final = _tree()
