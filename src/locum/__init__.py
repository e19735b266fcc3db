"""Locum stands in for the Assistants API: change the base URL, keep the code."""

__version__ = "0.1.0"
