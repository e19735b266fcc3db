"""The process of the embedded model: llama.cpp's own server on a loopback port.

`embedded.py` runs it. One line of JSON comes in, and one goes out when the model is loaded. The
process ends when its standard input does, so never later than its parent, however that ended.
"""

import importlib
import os
import sys
from typing import Any

import msgspec
from msgspec import Struct

_NICENESS = 10
_QUIET = 1  # Errors only: at higher levels llama.cpp logs what it is asked.
_PROMPT_CACHE_MIB = 256


class Wanted(Struct, frozen=True, kw_only=True):
    gguf: str
    key: str
    threads: int
    context_tokens: int
    parallel: int


class Ready(Struct, frozen=True, kw_only=True):
    """Where the server listens, or why it does not."""

    address: str = ""
    failure: str = ""


def main() -> None:
    wanted = msgspec.json.decode(sys.stdin.buffer.readline(), type=Wanted)
    os.nice(_NICENESS)
    server = None
    try:
        server = _serve(wanted)
        ready = Ready(address=str(server.listening_address))
    except (ImportError, RuntimeError) as error:
        ready = Ready(failure=str(error))
    sys.stdout.buffer.write(msgspec.json.encode(ready) + b"\n")
    sys.stdout.buffer.flush()
    sys.stdin.buffer.read()
    # Not `sys.exit`: nothing here is worth the wait for a model that is still speaking.
    os._exit(0 if server else 1)


def _serve(wanted: Wanted) -> Any:
    # Optional: the extra `embedded`. Its names are compiled, so no checker knows them.
    xllamacpp: Any = importlib.import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = wanted.gguf
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [wanted.key]
    params.n_ctx = wanted.context_tokens
    params.n_parallel = wanted.parallel
    params.kv_unified = True
    # More threads than free cores collapse thirtyfold on a busy machine.
    params.cpuparams.n_threads = wanted.threads
    params.cpuparams_batch.n_threads = wanted.threads
    params.cache_ram_mib = _PROMPT_CACHE_MIB
    params.ui = False
    params.endpoint_slots = False
    params.offline = True
    params.verbosity = _QUIET
    return xllamacpp.Server(params)


if __name__ == "__main__":
    main()
