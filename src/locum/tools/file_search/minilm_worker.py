"""The process that embeds, started by `minilm`: low priority, one text at a time.

A batch would have to be padded, and a quantised model gives a padded text other numbers; alone,
a text has the same vector for ever. A JSON list of texts comes; the vectors go back one after
another as 32-bit floats.
"""

import sys
from pathlib import Path

import numpy as np
import onnxruntime
from msgspec import json
from numpy.typing import NDArray

from locum.tools.file_search import pipe_end
from locum.tools.file_search.wordpiece import WordPiece

MOST_PIECES = 256


def main(model: str, tokenizer: str, threads: str) -> None:
    pipe_end.step_back()
    embedding = _Model(model, tokenizer, int(threads))

    def vectors(texts: bytes) -> bytes:
        each = json.decode(texts, type=list[str])
        return b"".join(embedding.vector(text).tobytes() for text in each)

    pipe_end.serve(vectors)


class _Model:
    def __init__(self, model: str, tokenizer: str, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # A thread that spins between two texts takes a core from the server.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )
        document = json.decode(Path(tokenizer).read_bytes())
        self._pieces = WordPiece(document["model"]["vocab"])

    def vector(self, text: str) -> NDArray[np.float32]:
        """The mean of the last layer over all pieces, of length one."""
        ids = np.array([self._pieces.encode(text, most=MOST_PIECES)], dtype=np.int64)
        feed = {
            "input_ids": ids,
            "attention_mask": np.ones_like(ids),
            "token_type_ids": np.zeros_like(ids),
        }
        (hidden,) = self._session.run(None, feed)
        mean = np.asarray(hidden[0], dtype=np.float32).mean(axis=0)
        length = max(float(np.linalg.norm(mean)), 1e-12)
        return np.asarray(mean / length, dtype=np.float32)


if __name__ == "__main__":
    main(*sys.argv[1:])
