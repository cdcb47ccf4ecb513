"""Record what Helm makes of the chart: ``make chart``. The tests compare it with what they render without Helm."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import yaml

from supply.runtime import DEPLOY

CHART: Final = DEPLOY / "helm" / "packhook"
RECORD: Final = Path(__file__).with_name("helm.json")
INSTALL: Final = "go install helm.sh/helm/v3/cmd/helm@v3.19.5"
VALUES: Final[dict[str, dict[str, Any]]] = {
    "defaults": {},
    "scaled": {"autoscaling": {"enabled": True}, "env": {"PACKHOOK_MAX_IN_FLIGHT": 2048}},
    "bare": {"metricsPort": 0, "image": {"tag": "1.2.3", "repository": "registry.example.com/packhook"}},
    "odd": {
        "replicas": 1,
        "publicUrl": 'https://hooks.example.com/a b"c',
        "env": {"PACKHOOK_PORTAL_NAME": 'Tom\'s: "#1" {shop}', "PACKHOOK_DRAIN_DELAY": "0s"},
    },
}
"""By name, the values that the chart is rendered with."""


def digest() -> str:
    """Return a digest of the chart's files and of the values."""
    found = hashlib.sha256(json.dumps(VALUES, sort_keys=True).encode())
    for file in sorted(path for path in CHART.rglob("*") if path.is_file()):
        found.update(f"{file.relative_to(CHART)}\0".encode() + file.read_bytes() + b"\0")
    return found.hexdigest()


def record(helm: str) -> None:
    """Write what Helm makes of the chart, which it must accept. Raises CalledProcessError."""
    rendered = {name: _rendered(helm, values) for name, values in VALUES.items()}
    version = subprocess.run([helm, "version", "--short"], capture_output=True, text=True, check=True).stdout.strip()
    content = {"helm": version, "chart": digest(), "manifests": rendered}
    RECORD.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")


def _rendered(helm: str, values: dict[str, Any]) -> dict[str, Any]:
    given = ["--values", "-", "--kube-version", "1.32.0"]  # a helm of one's own build knows an old one only
    text = json.dumps(values)
    subprocess.run([helm, "lint", "--strict", str(CHART), *given], input=text, text=True, check=True, stdout=sys.stderr)
    command = [helm, "template", "hooks", str(CHART), *given]
    ran = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    made = [manifest for manifest in yaml.safe_load_all(ran.stdout) if manifest]
    return {f"{manifest['kind']}/{manifest['metadata']['name']}": manifest for manifest in made}


if __name__ == "__main__":
    program = shutil.which("helm")
    if program is None:
        sys.exit(f"there is no helm: {INSTALL}")
    record(program)
