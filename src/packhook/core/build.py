"""Whether this packhook is compiled: the way of an event as machine code, or as the same Python as everything else."""

from pathlib import Path

from packhook.core import clock


def is_compiled() -> bool:
    """As ``setup.py`` was asked; figures of one kind say nothing of the other."""
    return Path(clock.__file__).suffix != ".py"
