"""What each setting does, for its page: where the comment in the source does not say it."""

from collections.abc import Mapping
from typing import Final

WHAT_IT_DOES: Final[Mapping[str, str]] = {
    "host": "The address to listen on. Anything but loopback needs an API key first.",
    "port": "The port to listen on; 0 takes a free one.",
    "data": "Where the database, files, models and sandboxes are kept.",
    "database_url": "`postgresql://…`; without it, SQLite in `data`.",
    "operator_host": "A second address, for operators: `/health`, `/ready` and `/metrics` without"
    " a key.",
    "operator_port": "Its port; without one there is no such address.",
    "organization": "What `openai-organization` answers, and what clients may send.",
    "project": "The project of local mode, and of keys made without `--project`.",
    "cors_origins": "Web pages that may call the API from a browser; none by default.",
    "log_format": "`text` for people, `json` for machines.",
    "max_body_bytes": "The largest JSON body.",
    "max_file_bytes": "The largest file.",
    "max_runs": "Runs that are executed at a time; others wait in `queued`.",
    "run_life_s": "A run that is not done after this time has `expired`.",
    "journal_life_s": "How long the events of an ended run can be replayed.",
    "keep_alive_s": "A silent stream carries a comment this often; 0: never. Some clients for Java"
    " break at a comment.",
    "model": "`auto`: the server that is configured, else the embedded model if its weights are"
    " here, else the scripted one. Or `embedded`, or `scripted`.",
    "backend_url": "A server that speaks Chat Completions, as in `http://127.0.0.1:11434/v1`.",
    "backend_key": "Its key.",
    "backends": "Several servers by name, each with `url`, `key`, `headers`, and `api`: `chat` or"
    " `responses`.",
    "models": "Which server answers for which model; see below.",
    "model_path": "A GGUF file of your own for the embedded model.",
    "script": "Rules of the scripted model, see [its page](scripted-model.md).",
    "connect_timeout_s": "How long connecting to a model's server may take.",
    "first_token_timeout_s": "How long the first token may take.",
    "idle_timeout_s": "How long a model may pause while it speaks.",
    "turn_timeout_s": "How long one answer of a model may take.",
    "embeddings_url": "A server with `/embeddings`; without it, the embedded embedder.",
    "embeddings_key": "Its key.",
    "embeddings_model": "Its model.",
    "embeddings_dimensions": "How many numbers its vectors have.",
    "rerank_url": "A server with `/rerank`, as in `http://127.0.0.1:8012/v1`; without it, passages"
    " keep the order that words and meaning give them.",
    "rerank_key": "Its key.",
    "rerank_model": "Its model, where it has several.",
    "mcp_timeout_s": "How long one call of an MCP server may take.",
    "currency": "What the prices are counted in.",
    "sandbox": "`auto`: the strongest walls that hold here, or no code interpreter."
    " `unsafe-subprocess`: no walls, for a container of your own.",
    "sandbox_packages": "What `locum sandbox install` adds to numpy and friends.",
    "sandbox_wall_s": "How long one call of the code interpreter may take.",
    "sandbox_memory_bytes": "The memory of all processes of a session.",
    "sandbox_disk_bytes": "The files of a session.",
    "sandbox_idle_s": "A session that is not used for so long ends; its files stay.",
    "sandbox_sessions": "Sessions at a time; the one idle for longest makes room.",
    "sandbox_warm": "Interpreters kept ready for new sessions.",
}
