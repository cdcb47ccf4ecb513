"""Test what makes the image and the compose file, without an engine: read them, and compare them with the code."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from packhook.settings import Settings
from supply.audit import ROOT
from supply.dockerfile import Instruction, stages
from supply.runtime import DEPLOY, locks, needed, sbom

LOCK: Final = (ROOT / "requirements.lock").read_text("utf-8")
STAGES: Final = stages((DEPLOY / "Dockerfile").read_text("utf-8"))
FINAL: Final = STAGES[-1]
COMPOSE: Final[dict[str, Any]] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))


def of(stage: list[Instruction], name: str) -> list[str]:
    """Return the arguments of the instructions of a kind."""
    return [instruction.arguments for instruction in stage if instruction.name == name]


def unknown_settings(names: list[str]) -> list[str]:
    """Return environment variables of packhook that are no settings."""
    known = {f"PACKHOOK_{name.upper()}" for name in Settings.model_fields}
    return [name for name in names if name.startswith("PACKHOOK_") and name not in known]


def test_hadolint_finds_nothing() -> None:
    """Follow the rules for Dockerfiles, and for the shell within them."""
    program = Path(sys.executable).with_name("hadolint")
    ran = subprocess.run([program, DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "")


def test_the_image_runs_as_a_user_of_its_own() -> None:
    """A number, so that Kubernetes can see that it is not root; its folder is its own."""
    assert of(FINAL, "USER") == ["10001:10001"]
    assert of(FINAL, "WORKDIR") == of(FINAL, "VOLUME") == ["/var/lib/packhook"]


def test_the_image_asks_for_its_health() -> None:
    """At the route that needs no database, and at the port that it serves."""
    (check,) = of(FINAL, "HEALTHCHECK")
    assert "+ '/health'" in check
    assert of(FINAL, "EXPOSE") == ["8080"]
    assert json.loads(of(FINAL, "ENTRYPOINT")[0]) + json.loads(of(FINAL, "CMD")[0]) == ["packhook", "serve"]


def test_what_the_image_sets_are_settings() -> None:
    """In the image, and in the compose file."""
    in_image = re.findall(r"(\w+)=", " ".join(of(FINAL, "ENV")))
    assert "PACKHOOK_HOST" in in_image
    assert unknown_settings([*in_image, *COMPOSE["services"]["packhook"]["environment"]]) == []


def test_every_file_that_is_copied_exists_and_is_sent() -> None:
    """The files of the checkout that the build needs are not ignored."""
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {name for text in of(STAGES[0], "COPY") for name in text.split()[:-1]}
    assert copied == sent
    assert [name for name in copied if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("name", ["requirements.lock", "build.lock"])
def test_the_image_installs_what_the_lock_has(name: str) -> None:
    """Exactly what packhook needs, with the hashes of requirements.lock; `make lock` writes it."""
    assert (DEPLOY / name).read_text("utf-8") == locks(LOCK)[name]


def test_no_tool_of_a_checkout_is_in_the_image() -> None:
    """Not what only tests use."""
    assert {"apsw", "asyncpg", "uvicorn", "pydantic-core"} <= set(needed())
    assert {"pytest", "mypy", "ruff", "playwright", "opentelemetry-sdk"}.isdisjoint(needed())


def test_the_bill_of_materials_names_everything_once() -> None:
    """With version, license and hashes; each reference leads to something."""
    bill = sbom(LOCK)
    components = bill["components"]
    refs = {item["bom-ref"] for item in components} | {bill["metadata"]["component"]["bom-ref"]}
    assert len(refs) == len(components) + 1
    assert {item["ref"] for item in bill["dependencies"]} | {
        below for item in bill["dependencies"] for below in item["dependsOn"]
    } <= refs
    packages = [item for item in components if item["purl"].startswith("pkg:pypi/")]
    assert {item["name"] for item in packages} == set(needed()) - {"packhook"}
    assert [item["name"] for item in packages if not item["licenses"]] == []
    assert [item["name"] for item in packages if not item["externalReferences"][0]["hashes"]] == []
    assert {item["name"] for item in components} - {item["name"] for item in packages} == {"sqlite", "openssl"}


def test_the_compose_file_holds_together() -> None:
    """Each volume is declared, the build exists, packhook waits for a database that is healthy."""
    services = COMPOSE["services"]
    node = services["packhook"]
    assert (DEPLOY / node["build"]["context"] / node["build"]["dockerfile"]).resolve() == DEPLOY / "Dockerfile"
    used = {volume.partition(":")[0] for service in services.values() for volume in service["volumes"]}
    assert used == set(COMPOSE["volumes"])
    assert node["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    assert "healthcheck" in services["postgres"]
    assert node["environment"]["PACKHOOK_DATABASE"].endswith("@postgres/packhook")


def test_only_this_machine_reaches_the_compose_file() -> None:
    """It has no TLS; and it writes nothing but its volumes."""
    node = COMPOSE["services"]["packhook"]
    assert [port for service in COMPOSE["services"].values() for port in service.get("ports", ())] == [
        "127.0.0.1:8080:8080"
    ]
    assert (node["read_only"], node["cap_drop"]) == (True, ["ALL"])
    assert "privileged" not in node
