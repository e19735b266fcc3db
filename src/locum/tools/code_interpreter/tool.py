"""The code interpreter as a run sees it: files in, code and its outputs, files out."""

import asyncio
import hashlib
import re
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from pathlib import PurePosixPath
from typing import Any, ClassVar

from locum.clock import Clock
from locum.ids import Ids
from locum.store.blobs import BlobMissing, Blobs
from locum.store.tables import Store
from locum.tools.arguments import StringArgument
from locum.tools.code_interpreter.sandbox import (
    Logs,
    Owner,
    Picture,
    Sandbox,
    SandboxUnavailable,
    Session,
    Written,
)
from locum.tools.tool import Function, Kind, Memory, Setting, ToolFailed
from locum.wire.files import File
from locum.wire.steps import (
    Code,
    CodeInterpreterCall,
    ImageOutput,
    ImageRef,
    LogOutput,
    ToolCall,
)
from locum.wire.tools import CodeInterpreterTool

_DATA = "/mnt/data"
_NAME = "python"
_DESCRIPTION = (
    "Run Python code in a stateful, sandboxed session without network access. Variables stay"
    f" between calls. Files are in {_DATA}; write files there to give them to the user."
)
_PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {"code": {"type": "string", "description": "Python source"}},
    "required": ["code"],
}
_LINKS = (
    f"Refer to a file that you have written as [its name](sandbox:{_DATA}/its-name),"
    " so that the user can download it."
)
# What a model reads of the logs of one call; the step keeps them all.
_TOLD_CHARS = 20_000
_MOST_FILES = 50
# File systems count bytes, 255 for a name.
_NAME_BYTES = 200
_ENDING_CHARS = 20


class CodeInterpreter:
    kind: ClassVar[Kind] = "code_interpreter"

    def __init__(
        self, sandbox: Sandbox, *, store: Store, blobs: Blobs, clock: Clock, ids: Ids
    ) -> None:
        self._sandbox = sandbox
        self._desk = _Desk(store, blobs, clock, ids)

    async def functions(self, setting: Setting) -> Sequence[Function]:
        if not any(isinstance(tool, CodeInterpreterTool) for tool in setting.run.tools):
            return ()
        files = await self._desk.files(setting)
        notes = [_LINKS]
        if files:
            notes.append("\n".join(("Files of this conversation:", *_places(files))))
        return (Function(_NAME, _DESCRIPTION, _PARAMETERS, "\n".join(notes)),)

    async def open(self, setting: Setting, *, call_id: str, name: str, **_: object) -> "_CodeCall":
        return _CodeCall(self._sandbox, self._desk, setting, call_id=call_id, name=name)

    async def forget(self, project_id: str, thread_id: str) -> None:
        await self._sandbox.forget(_session_key(Owner(project_id, thread_id)))


class _CodeCall:
    def __init__(
        self,
        sandbox: Sandbox,
        desk: "_Desk",
        setting: Setting,
        *,
        call_id: str,
        name: str,
    ) -> None:
        self._sandbox = sandbox
        self._desk = desk
        self._setting = setting
        self._call_id = call_id
        self._name = name
        self._code = StringArgument("code")
        self._input: list[str] = []
        self._outputs: list[list[str] | str] = []
        self._paths: dict[str, str] = {}
        self._images: list[str] = []

    def begin(self) -> dict[str, Any]:
        return {"input": "", "outputs": []}

    def write(self, arguments: str) -> dict[str, Any] | None:
        return self._type(self._code.write(arguments))

    async def run(self) -> AsyncGenerator[dict[str, Any], None]:
        if rest := self._type(self._code.rest()):
            yield rest
        try:
            owner = Owner(self._setting.project_id, self._setting.run.thread_id)
            session = await self._sandbox.session(_session_key(owner), owner)
            await self._desk.lay_out(session, self._setting)
            before = await session.files()
            async with aclosing(session.run("".join(self._input))) as outputs:
                async for output in outputs:
                    yield await self._tell(output)
            await self._collect(session, before)
        except SandboxUnavailable as refusal:
            raise ToolFailed(str(refusal)) from refusal

    def done(self) -> ToolCall:
        outputs = tuple(
            ImageOutput(ImageRef(output)) if isinstance(output, str) else LogOutput("".join(output))
            for output in self._outputs
        )
        return CodeInterpreterCall(
            id=self._call_id, code_interpreter=Code("".join(self._input), outputs)
        )

    def memory(self) -> Memory:
        logs = "".join("".join(o) for o in self._outputs if not isinstance(o, str))
        told = [logs[:_TOLD_CHARS] + ("\n[cut]" if len(logs) > _TOLD_CHARS else "")]
        if self._images:
            told.append(f"[{len(self._images)} picture(s) shown to the user]")
        told += [f"[file written: {path}]" for path in self._paths]
        return Memory(
            call_id=self._call_id,
            name=self._name,
            arguments=self._code.arguments,
            result="\n".join(line for line in told if line) or "[no output]",
            paths=self._paths,
            images=tuple(self._images),
        )

    def _type(self, code: str) -> dict[str, Any] | None:
        if not code:
            return None
        self._input.append(code)
        return {"input": code}

    async def _tell(self, output: Logs | Picture) -> dict[str, Any]:
        """An output as a delta; what is printed in one go stays one output."""
        if isinstance(output, Logs):
            if not self._outputs or isinstance(self._outputs[-1], str):
                self._outputs.append([])
            logs = self._outputs[-1]
            assert isinstance(logs, list)
            logs.append(output.text)
            shown: dict[str, Any] = {"type": "logs", "logs": output.text}
        else:
            file_id = await self._desk.keep_picture(self._setting, output.data)
            self._outputs.append(file_id)
            self._images.append(file_id)
            shown = {"type": "image", "image": {"file_id": file_id}}
        return {"outputs": [{"index": len(self._outputs) - 1, **shown}]}

    async def _collect(self, session: Session, before: dict[str, Written]) -> None:
        """Make files of what the code has written or changed."""
        after = await session.files()
        written = [name for name, state in after.items() if before.get(name) != state]
        for name in written[:_MOST_FILES]:
            try:
                file_id = await self._desk.keep_file(self._setting, session, name)
            except FileNotFoundError:
                continue  # Its code has removed it since, or locked it against us.
            self._paths[f"{_DATA}/{name}"] = file_id


class _Desk:
    """Carries files between the store and a session."""

    def __init__(self, store: Store, blobs: Blobs, clock: Clock, ids: Ids) -> None:
        self._store = store
        self._blobs = blobs
        self._clock = clock
        self._ids = ids

    async def files(self, setting: Setting) -> dict[str, str]:
        """The names of those that have not been deleted and have not expired, by id."""
        names = await self._store.files.names(
            setting.project_id, setting.file_ids, now=self._clock.now(), reader=self._store.db
        )
        return {file_id: names[file_id] for file_id in setting.file_ids if file_id in names}

    async def lay_out(self, session: Session, setting: Setting) -> None:
        """Show each file under its id and under its name, once a session, and no others."""
        files = await self.files(setting)
        freed = await session.keep_only(files.keys())
        shown = await session.files()
        for file_id, filename in files.items():
            if file_id in shown and _safe(filename) not in freed:
                continue
            blob = await self._store.files.blob(setting.project_id, file_id)
            if blob is None:
                continue  # Deleted since we looked.
            try:
                async with self._blobs.local(blob) as path:
                    await session.put(file_id, path, of=file_id)
                    await session.put(_safe(filename), path, of=file_id)
            except BlobMissing as missing:
                raise ToolFailed(f"The bytes of {file_id} are gone.") from missing

    async def keep_picture(self, setting: Setting, data: bytes) -> str:
        file_id = self._ids.new("file")

        async def pieces() -> AsyncGenerator[bytes, None]:
            yield data

        return await self._keep(setting, file_id, f"{file_id}.png", pieces())

    async def keep_file(self, setting: Setting, session: Session, name: str) -> str:
        async def pieces() -> AsyncGenerator[bytes, None]:
            async for piece in await session.read(name):
                yield piece

        return await self._keep(setting, self._ids.new("file"), name, pieces())

    async def _keep(
        self,
        setting: Setting,
        file_id: str,
        filename: str,
        pieces: AsyncGenerator[bytes, None],
    ) -> str:
        writer = await self._blobs.create()
        size = 0
        try:
            async with aclosing(pieces) as data:
                async for piece in data:
                    size += len(piece)
                    await writer.write(piece)
            blob = await writer.commit()
        finally:
            await asyncio.shield(writer.abort())
        file = File(
            id=file_id,
            purpose="assistants_output",
            filename=filename,
            bytes=size,
            created_at=self._clock.now(),
            expires_at=None,
            status="processed",
            status_details=None,
        )
        async with self._store.transaction() as tx:
            await self._store.files.insert(
                tx, setting.project_id, file_id, file, purpose=file.purpose, blob=blob
            )
        return file_id


def _session_key(owner: Owner) -> str:
    """One session a thread. Ids may be imported, so two projects may know the same thread id."""
    return hashlib.sha256(f"{owner.project_id}/{owner.thread_id}".encode()).hexdigest()


def _places(files: Mapping[str, str]) -> Iterator[str]:
    """Of files of one name the last has it; those before it are there under their ids only."""
    having = {_safe(filename): file_id for file_id, filename in files.items()}
    for file_id, filename in files.items():
        name = _safe(filename)
        yield f"- {_DATA}/{name}" if having[name] == file_id else f"- {_DATA}/{file_id} ({name})"


def _safe(filename: str) -> str:
    """A file's name as one segment of a path."""
    name = re.sub(r"[/\\\x00-\x1f]", "_", filename).strip() or "file"
    if name in {".", ".."}:
        return f"_{name}"
    if len(name.encode(errors="replace")) <= _NAME_BYTES:
        return name
    ending = PurePosixPath(name).suffix[-_ENDING_CHARS:]
    room = _NAME_BYTES - len(ending.encode(errors="replace"))
    stem = name.removesuffix(ending).encode(errors="replace")[:room]
    return stem.decode(errors="ignore") + ending
