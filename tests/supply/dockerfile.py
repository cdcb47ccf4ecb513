"""Read a Dockerfile: its stages, each a list of instructions."""

import re
from typing import NamedTuple


class Instruction(NamedTuple):
    """Hold one instruction, its lines joined."""

    name: str
    arguments: str


def stages(text: str) -> list[list[Instruction]]:
    """Return the instructions of each stage; the first of a stage is its FROM."""
    code = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    found: list[list[Instruction]] = []
    for line in re.sub(r"\s*\\\n\s*", " ", code).splitlines():
        if line.strip():
            name, _, arguments = line.strip().partition(" ")
            if name == "FROM":
                found.append([])
            found[-1].append(Instruction(name, arguments.strip()))
    return found
