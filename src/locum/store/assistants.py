"""The assistants table: the assistant as it is served, and beside it the secrets of its tools."""

import msgspec

from locum.store.database import Reader
from locum.store.documents import Documents
from locum.wire.assistants import Assistant

_headers = msgspec.json.Decoder(dict[str, dict[str, str]])


class AssistantTable(Documents[Assistant]):
    def __init__(self, reader: Reader) -> None:
        super().__init__(reader, table="assistants", noun="assistant", type=Assistant)

    async def headers(
        self, project_id: str, assistant_id: str, *, reader: Reader
    ) -> dict[str, dict[str, str]]:
        """What its MCP servers are sent, by label. Nothing that is served holds these values."""
        rows = await reader.fetch(
            "SELECT headers FROM assistants WHERE project_id = $1 AND id = $2",
            project_id,
            assistant_id,
        )
        return _headers.decode(rows[0][0]) if rows else {}
