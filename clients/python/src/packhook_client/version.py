"""The version, which is that of the node of the same commit."""

from typing import Final

__version__: Final = "0.1.0"
