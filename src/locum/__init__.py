"""Locum stands in for the Assistants API: change the base URL, keep the code."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from locum.app import create_app
    from locum.settings import Settings

__all__ = ["Settings", "__version__", "create_app"]

__version__ = "0.1.0"

_HOMES = {"create_app": "locum.app", "Settings": "locum.settings"}


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for.

    Models, readers and sandboxes run in processes of their own that import a module of this
    package: none of them should load the whole server to do so.
    """
    if name not in _HOMES:
        raise AttributeError(f"module 'locum' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
