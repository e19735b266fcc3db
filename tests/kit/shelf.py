"""Vector stores whose files have been read, for whoever searches them through the client."""

from openai import OpenAI

POLL_MS = 20
FIGS = "Ann likes figs most of all."
PLUMS = "Bob likes plums, and the drink ERR-2041."


def filled_store(client: OpenAI, **files: str) -> str:
    """A store with text files of these names, all read."""
    store = client.vector_stores.create()
    for name, text in files.items():
        file = client.vector_stores.files.upload_and_poll(
            vector_store_id=store.id,
            file=(f"{name}.txt", text.encode()),
            poll_interval_ms=POLL_MS,
        )
        assert file.status == "completed", file.last_error
    return store.id
