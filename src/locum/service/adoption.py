"""Threads that nobody exported: an id is all that is left, and a program goes on using it.

Where the operator allows it, such an id becomes an empty thread when it is first used. Ids belong
to projects, so another project's thread of that id is neither touched nor betrayed: to refuse its
id would tell the caller that it is there.
"""

import re
from typing import Final

from locum.service.scope import Scope
from locum.store.database import AlreadyExists
from locum.wire.threads import Thread
from locum.wire.tools import ToolResources

# As the original made them, and as we do.
_WELL_FORMED: Final = re.compile(r"thread_[A-Za-z0-9]{24}\Z")


async def adopt(scope: Scope, thread_id: str) -> bool:
    """Make an empty thread of an id that was never used here; whether one was made."""
    threads = scope.store.threads
    if not _WELL_FORMED.match(thread_id) or await threads.find(scope.project_id, thread_id):
        return False
    thread = Thread(
        id=thread_id, created_at=scope.now(), metadata={}, tool_resources=ToolResources()
    )
    try:
        async with scope.store.transaction() as tx:
            if await threads.was_deleted(scope.project_id, thread_id, reader=tx):
                return False
            await threads.add(tx, scope.project_id, thread)
    except AlreadyExists:
        return False  # Somebody else used it in the same moment.
    return True
