"""Keys: found by their digest alone, revoked once."""

import pytest
from tests.kit.databases import on_every_database

from locum.store.database import AlreadyExists
from locum.store.keys import ApiKey
from locum.store.tables import Store


def _key(key_id: str, *, read_only: bool = False, revoked_at: int | None = None) -> ApiKey:
    return ApiKey(
        id=key_id,
        project_id="p",
        name="mine",
        hint="sk-…abc",
        read_only=read_only,
        created_at=1,
        expires_at=None,
        revoked_at=revoked_at,
    )


async def _add(store: Store, key: ApiKey, digest: str) -> None:
    async with store.transaction() as tx:
        await store.keys.ensure_project(tx, "p", name="default", now=1)
        await store.keys.add(tx, key, digest)


@on_every_database
async def test_a_key_is_found_by_its_digest(store: Store) -> None:
    assert not await store.keys.any()
    await _add(store, _key("key_1", read_only=True), "digest-1")
    await _add(store, _key("key_2"), "digest-2")
    assert await store.keys.by_digest("digest-1") == _key("key_1", read_only=True)
    assert await store.keys.by_digest("digest-3") is None
    assert await store.keys.all() == [_key("key_1", read_only=True), _key("key_2")]
    assert await store.keys.any()


@on_every_database
async def test_a_digest_belongs_to_one_key(store: Store) -> None:
    await _add(store, _key("key_1"), "digest-1")
    with pytest.raises(AlreadyExists):
        await _add(store, _key("key_2"), "digest-1")


@on_every_database
async def test_a_key_is_revoked_once(store: Store) -> None:
    await _add(store, _key("key_1"), "digest-1")
    async with store.transaction() as tx:
        assert await store.keys.revoke(tx, "key_1", now=5)
        assert not await store.keys.revoke(tx, "key_1", now=6)
        assert not await store.keys.revoke(tx, "key_9", now=6)
    assert await store.keys.by_digest("digest-1") == _key("key_1", revoked_at=5)
    assert await store.keys.any(), "revoking the last key must not open the door to any key"


@on_every_database
async def test_a_project_is_made_once(store: Store) -> None:
    for name in ("first", "second"):
        async with store.transaction() as tx:
            await store.keys.ensure_project(tx, "p", name=name, now=1)
    assert await store.keys.projects() == [("p", "first")]
