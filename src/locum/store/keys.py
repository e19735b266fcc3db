"""Projects and their API keys. A key is stored as a digest; nobody can read it back."""

from msgspec import Struct

from locum.store.database import Database, Transaction


class ApiKey(Struct, frozen=True, kw_only=True):
    id: str
    project_id: str
    name: str
    hint: str
    read_only: bool
    created_at: int
    expires_at: int | None
    revoked_at: int | None


_COLUMNS = "id, project_id, name, hint, read_only, created_at, expires_at, revoked_at"


class KeyTable:
    def __init__(self, db: Database) -> None:
        self._db = db

    async def by_digest(self, digest: str) -> ApiKey | None:
        rows = await self._db.fetch(f"SELECT {_COLUMNS} FROM api_keys WHERE digest = $1", digest)
        return _key(rows[0]) if rows else None

    async def any(self) -> bool:
        """Whether a key was ever made. One that is revoked does not open the door to all others."""
        return bool(await self._db.fetch("SELECT 1 FROM api_keys LIMIT 1"))

    async def all(self) -> list[ApiKey]:
        rows = await self._db.fetch(f"SELECT {_COLUMNS} FROM api_keys ORDER BY seq")
        return [_key(row) for row in rows]

    async def add(self, tx: Transaction, key: ApiKey, digest: str) -> None:
        await tx.execute(
            f"INSERT INTO api_keys ({_COLUMNS}, digest)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            key.id,
            key.project_id,
            key.name,
            key.hint,
            int(key.read_only),
            key.created_at,
            key.expires_at,
            key.revoked_at,
            digest,
        )

    async def revoke(self, tx: Transaction, key_id: str, *, now: int) -> bool:
        return bool(
            await tx.execute(
                "UPDATE api_keys SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL",
                now,
                key_id,
            )
        )

    async def ensure_project(
        self, tx: Transaction, project_id: str, *, name: str, now: int
    ) -> None:
        await tx.execute(
            "INSERT INTO projects (id, name, created_at) VALUES ($1, $2, $3)"
            " ON CONFLICT (id) DO NOTHING",
            project_id,
            name,
            now,
        )

    async def projects(self) -> list[tuple[str, str]]:
        rows = await self._db.fetch("SELECT id, name FROM projects ORDER BY created_at, id")
        return [(row[0], row[1]) for row in rows]


def _key(row: tuple[object, ...]) -> ApiKey:
    values = dict(zip(_COLUMNS.split(", "), row, strict=True))
    values["read_only"] = bool(values["read_only"])
    return ApiKey(**values)  # type: ignore[arg-type]  # a row has the types of its columns
