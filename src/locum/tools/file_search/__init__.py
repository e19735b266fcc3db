"""Passages for runs: files become text, text becomes chunks, chunks are found again."""
