"""JSON that models and foreign servers write: what may go wrong where it is read."""

from typing import Final

import msgspec

# Nesting that is too deep is an error of Python's own: a model that degenerates opens brackets
# without end.
UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
