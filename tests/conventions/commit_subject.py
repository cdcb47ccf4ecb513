"""Check the subject of a commit message: ``python tests/conventions/commit_subject.py FILE``, a commit-msg hook.

The subject has at most 72 characters, begins with a capitalized verb in the imperative ("Add replay preview"), and ends
without a full stop. The line after it is empty. Exit 1 and print what is wrong otherwise.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

MAX_LENGTH: Final = 72
_VERBS: Final = Path(__file__).with_name("verbs.txt")
_GENERATED: Final = re.compile(r"(?:Merge|Revert|fixup!|squash!|amend!) ")


def problems(message: str) -> Iterator[str]:
    """Yield what is wrong with a commit message; nothing for messages that git generates."""
    lines = [line for line in message.splitlines() if not line.startswith("#")]
    subject = lines[0] if lines else ""
    if _GENERATED.match(subject):
        return
    if len(subject) > MAX_LENGTH:
        yield f"the subject has {len(subject)} characters, expected at most {MAX_LENGTH}"
    first = subject.partition(" ")[0]
    if not first[:1].isupper() or first.lower() not in _VERBS.read_text("utf-8").split():
        yield f'the subject begins with "{first}", expected a capitalized verb such as "Add" or "Fix" (verbs.txt)'
    if subject.endswith("."):
        yield "the subject ends with a full stop"
    if len(lines) > 1 and lines[1]:
        yield "the second line is not empty"


def main(file: str) -> int:
    """Print the problems of the message in a file; return the exit code."""
    found = list(problems(Path(file).read_text("utf-8")))
    for problem in found:
        print(problem, file=sys.stderr)  # noqa: T201 read by the committer
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
