"""Run the steps of the Dockerfile in a fresh Debian, and its command as an engine would: ``make image-check``.

Each stage begins with a root made by debootstrap in place of its base image. The command runs as the image's user, on a
root that is mounted read-only, until its health check succeeds; then SIGTERM must stop it. Needs root,
debootstrap and the network.
"""

import json
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from supply.audit import ROOT
from supply.dockerfile import Instruction, stages
from supply.runtime import DEPLOY

SUITE: Final = "bookworm"
PACKAGES: Final = "python3,python3-venv,ca-certificates"
PATIENCE: Final = 60
"""Seconds to become healthy, and to stop."""
SETTINGS: Final = {
    "PACKHOOK_OPERATOR_KEY": f"pho_{secrets.token_hex(32)}",
    "PACKHOOK_ALLOW_INSECURE": "master_keys,public_url",
    "PACKHOOK_PORT": "18997",
}
_FROM_NETWORK: Final = ("/etc/resolv.conf", "/etc/ssl/certs/ca-certificates.crt", "/etc/pip.conf")
_RUN_READ_ONLY: Final = """
set -e
mount --bind {root} {root}
mount --bind {state} {root}/var/lib/packhook
mount -o remount,bind,ro {root}
mount -t tmpfs tmpfs {root}/tmp
mount -t proc proc {root}/proc
exec chroot --userspec={user} {root} {command}
"""


class Stage:
    """Hold the root of a stage, and what its instructions have set."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = "/"
        self.user = "0:0"
        self.entry: list[str] = []
        self.check: list[str] = []
        self.environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}

    def execute(self, instruction: Instruction, others: dict[str, Path]) -> None:
        """Do what one instruction says. Raises CalledProcessError where a command fails."""
        name, arguments = instruction
        print(f"   {name} {arguments[:100]}", flush=True)  # noqa: T201 this is a command
        match name:
            case "RUN":
                self._run(["sh", "-c", f"cd {self.folder} && {arguments}"])
            case "COPY":
                self._copy(arguments.split(), others)
            case "WORKDIR":
                self.folder = arguments
                (self.root / arguments.lstrip("/")).mkdir(parents=True, exist_ok=True)
            case "ENV":
                pairs = dict(pair.split("=", 1) for pair in shlex.split(arguments))
                self.environment |= {
                    key: value.replace("$PATH", self.environment["PATH"]) for key, value in pairs.items()
                }
            case "USER":
                self.user = arguments
            case "ENTRYPOINT" | "CMD":
                self.entry += json.loads(arguments)
            case "HEALTHCHECK":
                self.check = json.loads(arguments.partition(" CMD ")[2])
            case "FROM" | "LABEL" | "EXPOSE" | "VOLUME" | "STOPSIGNAL":
                pass
            case _:
                raise ValueError(f"an instruction that this does not know: {name}")

    def inside(self, command: Sequence[str]) -> list[str]:
        """Return the words that run a command with the stage's environment, within its root."""
        variables = [f"{name}={value}" for name, value in {**self.environment, **SETTINGS}.items()]
        return ["env", "-i", *variables, "sh", "-c", f'cd {self.folder} && exec "$@"', "sh", *command]

    def _run(self, command: Sequence[str]) -> None:
        pip = [f"{name}={value}" for name, value in os.environ.items() if name.startswith("PIP_CERT")]
        variables = [f"{name}={value}" for name, value in self.environment.items()]
        subprocess.run(["chroot", self.root, "env", "-i", *variables, *pip, *command], check=True)

    def _copy(self, words: list[str], others: dict[str, Path]) -> None:
        source = ROOT
        if words[0].startswith("--from="):
            source = others[words.pop(0).partition("=")[2]]
        *names, target = words
        for name in names:
            found = source / name.lstrip("/")
            into = self.root / (target if target.startswith("/") else f"{self.folder}/{target}").lstrip("/")
            if found.is_dir():
                shutil.copytree(
                    found, into, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
                )
            else:
                shutil.copy2(found, into / found.name if target.endswith("/") else into)


def build(folder: Path, base: Path | None) -> Stage:
    """Execute all stages, each on a copy of a base that debootstrap made; return the last one."""
    if base is None:
        base = folder / "base"
        subprocess.run(["debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, base], check=True)
    for name in _FROM_NETWORK:
        if Path(name).exists():
            shutil.copy(name, base / name.lstrip("/"))
    others: dict[str, Path] = {}
    for number, instructions in enumerate(stages((DEPLOY / "Dockerfile").read_text("utf-8"))):
        print(f"stage {instructions[0].arguments}", flush=True)  # noqa: T201 as above
        stage = Stage(folder / f"stage{number}")
        subprocess.run(["cp", "-a", base, stage.root], check=True)
        for instruction in instructions:
            stage.execute(instruction, others)
        others[instructions[0].arguments.partition(" AS ")[2]] = stage.root
    return stage


def try_it(stage: Stage, folder: Path) -> None:
    """Run the image's command until it is healthy, then stop it. Raises where it does not start, or does not stop."""
    state = folder / "state"
    state.mkdir(mode=0o700)
    user = stage.user
    subprocess.run(["chown", user, state], check=True)
    command = shlex.join(stage.inside(stage.entry))
    script = _RUN_READ_ONLY.format(root=stage.root, state=state, user=user, command=command)
    node = subprocess.Popen(["unshare", "--mount", "sh", "-c", script])
    try:
        for _ in range(PATIENCE):
            if _is_healthy(stage):
                break
            with suppress(subprocess.TimeoutExpired):
                raise SystemExit(f"the image's command ended with exit code {node.wait(1)}")
        else:
            raise SystemExit("the image's command did not become healthy")
        written = sorted(file.name for file in state.iterdir())
        print(f"healthy as {user} on a read-only root; it wrote {', '.join(written)}", flush=True)  # noqa: T201 as above
    finally:
        node.send_signal(signal.SIGTERM)
        code = node.wait(PATIENCE)
    print(f"stopped with exit code {code}", flush=True)  # noqa: T201 as above
    if code:
        raise SystemExit(code)


def _is_healthy(stage: Stage) -> bool:
    check = ["chroot", f"--userspec={stage.user}", str(stage.root), *stage.inside(stage.check)]
    return subprocess.run(check, capture_output=True, check=False).returncode == 0


def main(base: Path | None) -> None:
    """Build and try the image in a folder that is deleted at the end; ``base`` is a root of before, None: a new one."""
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        sys.exit("image-check needs root and debootstrap: apt-get install debootstrap")
    with tempfile.TemporaryDirectory(prefix="packhook-image-") as name:
        try_it(build(Path(name), base), Path(name))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else None)
