#!/usr/bin/env bash
# An assistant, a thread, a streamed run and its steps, with nothing but curl.
set -euo pipefail
url=${OPENAI_BASE_URL:-http://127.0.0.1:8000/v1}

ask() {
  curl --silent --show-error --fail-with-body --no-buffer "$url$1" "${@:2}" \
    -H "Authorization: Bearer $OPENAI_API_KEY" \
    -H "OpenAI-Beta: assistants=v2" \
    -H "Content-Type: application/json"
}

# The first "id" of an object is its own.
id() { sed -E 's/^[^"]*"id": ?"([^"]+)".*/\1/' | head -n 1; }

assistant=$(ask /assistants -d '{"model": "gpt-4o"}' | id)
thread=$(ask /threads -d '{"messages": [{"role": "user", "content": "Tell me a story."}]}' | id)
stream=$(ask "/threads/$thread/runs" -d "{\"assistant_id\": \"$assistant\", \"stream\": true}" | tee /dev/stderr)
run=$(grep -m 1 '^data: {"id": \?"run_' <<< "$stream" | id)
ask "/threads/$thread/runs/$run/steps"
