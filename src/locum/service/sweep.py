"""What time takes away: expired files, uploads whose hour is over, blobs that no row holds."""

from typing import Final

from locum.errors import NotFound
from locum.service import files, uploads
from locum.service.scope import House, Scope
from locum.store import blobs

# A blob is there before its row is, and a slow client may take long to send one.
ORPHAN_AGE_S: Final = 2 * 3600


async def sweep_expired(house: House) -> int:
    """Remove what has expired; how many there were. Cheap enough for every minute."""
    swept = 0
    for project_id, file_id in await house.store.files.expired(house.clock.now()):
        try:
            await files.remove(Scope(house, project_id), file_id)
        except NotFound:
            continue  # Somebody deleted it since we looked.
        swept += 1
    for project_id, upload_id in await house.store.upload_parts.oldest_uploads():
        if not await uploads.expire(Scope(house, project_id), upload_id):
            break  # They are in the order of their age, more or less: the rest is younger.
        swept += 1
    for key in await house.store.passages.expired_stores(house.clock.now()):
        # The store stays to be seen, as expired; what it held is found no more.
        async with house.store.transaction() as tx:
            await tx.lock(key.vector_store_id)
            await house.store.passages.drop(tx, key)
        swept += 1
    return swept


async def sweep_orphans(house: House) -> int:
    """Remove blobs that no row holds; how many. Lists every blob, so once an hour is enough."""
    before = house.clock.now() - ORPHAN_AGE_S
    return await blobs.sweep(house.blobs, house.store.files.known_blobs, before=before)
