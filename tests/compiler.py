"""Whether a C compiler and Python's headers are here: ``python -m compiler`` says what is missing, and fails."""

import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path


def complaint() -> str | None:
    """What keeps this machine from compiling a module for this Python; None where nothing does."""
    compiler = (sysconfig.get_config_var("CC") or "cc").split()
    include = sysconfig.get_path("include")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "try.c")
        source.write_text("#include <Python.h>\n")
        try:
            ran = subprocess.run(
                [*compiler, f"-I{include}", "-fsyntax-only", source], capture_output=True, text=True, check=False
            )
        except OSError as error:
            return f"no C compiler: {error}"
    return None if ran.returncode == 0 else f"{compiler[0]} finds no Python.h in {include}: {ran.stderr.strip()}"


if __name__ == "__main__":
    sys.exit(complaint())
