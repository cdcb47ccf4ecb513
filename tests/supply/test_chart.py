"""Test the Helm chart: rendered without Helm and compared with the code; with Helm too, where it is installed."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from packhook.core.clock import SECOND
from packhook.core.durations import parse_duration
from packhook.settings import Settings
from packhook.telemetry.metrics import METRICS
from supply.chart import Template, UnknownConstruct, render
from supply.runtime import DEPLOY

CHART: Final = DEPLOY / "helm" / "packhook"
SCALED: Final[dict[str, Any]] = {"autoscaling": {"enabled": True}, "env": {"PACKHOOK_MAX_IN_FLIGHT": 2048}}
BARE: Final[dict[str, Any]] = {
    "metricsPort": 0,
    "image": {"tag": "1.2.3", "repository": "registry.example.com/packhook"},
}


def manifests(values: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return what the chart makes, by kind."""
    return {manifest["kind"]: manifest for manifest in render(CHART, "hooks", values or {})}


def container(made: dict[str, Any]) -> dict[str, Any]:
    """Return the only container of the Deployment."""
    (found,) = made["Deployment"]["spec"]["template"]["spec"]["containers"]
    return dict(found)


def test_what_the_chart_makes() -> None:
    """A Deployment, a Service and a PodDisruptionBudget; with autoscaling nothing fixes the number of nodes."""
    made = manifests()
    assert set(made) == {"Deployment", "Service", "PodDisruptionBudget"}
    assert made["Deployment"]["spec"]["replicas"] == 2
    scaled = manifests(SCALED)
    assert set(scaled) == {*made, "HorizontalPodAutoscaler"}
    assert "replicas" not in scaled["Deployment"]["spec"]
    assert scaled["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] == "hooks"


def test_everything_selects_the_nodes() -> None:
    """By labels that the pods have, and that no upgrade changes."""
    made = manifests()
    labels = made["Deployment"]["spec"]["template"]["metadata"]["labels"]
    selectors = [
        made["Deployment"]["spec"]["selector"]["matchLabels"],
        made["Service"]["spec"]["selector"],
        made["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
    ]
    for selector in selectors:
        assert selector == selectors[0]
        assert selector.items() <= labels.items()
    assert "app.kubernetes.io/version" not in selectors[0]


def test_probes_ask_what_a_node_serves() -> None:
    """Alive: no database is needed. Ready: it is. A port by a name that the container has."""
    node = container(manifests())
    paths = {kind: node[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")}
    assert paths == {"startup": "/health", "liveness": "/health", "readiness": "/ready"}
    ports = {port["name"]: port["containerPort"] for port in node["ports"]}
    assert ports == {"http": 8080, "metrics": 9464}
    assert manifests()["Service"]["spec"]["ports"][0]["targetPort"] in ports
    assert {node[f"{kind}Probe"]["httpGet"]["port"] for kind in paths} == {"http"}


@pytest.mark.parametrize("values", [{}, SCALED, BARE])
def test_each_variable_is_a_setting(values: dict[str, Any]) -> None:
    """Secrets come from a Secret; every value is a text."""
    found = {item["name"]: item for item in container(manifests(values))["env"]}
    known = {f"PACKHOOK_{name.upper()}": field for name, field in Settings.model_fields.items()}
    assert set(found) <= set(known)
    for name, item in found.items():
        if not known[name].repr or name == "PACKHOOK_DATABASE":
            assert set(item["valueFrom"]["secretKeyRef"]) == {"name", "key"}
        else:
            assert isinstance(item["value"], str)


def test_nothing_runs_as_root_or_writes_to_the_image() -> None:
    """The container has no right that it does not need."""
    pod = manifests()["Deployment"]["spec"]["template"]["spec"]
    assert (pod["securityContext"]["runAsNonRoot"], pod["automountServiceAccountToken"]) == (True, False)
    assert container(manifests())["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_a_node_has_time_to_stop() -> None:
    """Longer than it drains, and its running requests and attempts take."""
    made = manifests()
    (drain,) = [item["value"] for item in container(made)["env"] if item["name"] == "PACKHOOK_DRAIN_DELAY"]
    seconds = made["Deployment"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert parse_duration(drain) > 0
    assert seconds * SECOND > parse_duration(drain) + Settings().shutdown_grace + 10 * SECOND


def test_the_autoscaler_follows_a_metric_that_exists() -> None:
    """A gauge of what is due, of webhooks that are being sent to."""
    metric = manifests(SCALED)["HorizontalPodAutoscaler"]["spec"]["metrics"][0]["external"]["metric"]["name"]
    assert metric in {known.name for known in METRICS}


def test_the_image_is_the_chart_s_version_or_the_one_that_is_given() -> None:
    """By repository and tag."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert container(manifests())["image"] == f"packhook:{chart['appVersion']}"
    assert container(manifests(BARE))["image"] == "registry.example.com/packhook:1.2.3"


def test_the_renderer_refuses_what_it_does_not_know() -> None:
    """Rather than rendering something that Helm would not."""
    for text in ("{{ lookup .Values.a }}", "{{ upper }}"):
        with pytest.raises((UnknownConstruct, KeyError)):
            "".join(Template(text, {}).render({"Values": {"a": 1}}))


@pytest.mark.parametrize("values", [{}, SCALED, BARE], ids=["defaults", "scaled", "bare"])
def test_helm_renders_the_same(values: dict[str, Any]) -> None:
    """Where helm is installed: it accepts the chart, and its manifests are ours."""
    helm = shutil.which("helm")
    if helm is None:
        pytest.skip(
            "SKIPPED: no helm, so the tests alone rendered the chart: go install helm.sh/helm/v3/cmd/helm@v3.19.5"
        )
    given = ["--values", "-", "--kube-version", "1.32.0"]  # a helm of one's own build knows an old one only
    text = json.dumps(values)
    lint: list[str | Path] = [helm, "lint", "--strict", CHART, *given]
    linted = subprocess.run(lint, input=text, capture_output=True, text=True, check=False)
    assert linted.returncode == 0, linted.stdout
    ran = subprocess.run(
        [helm, "template", "hooks", CHART, *given], input=text, capture_output=True, text=True, check=True
    )
    made = [manifest for manifest in yaml.safe_load_all(ran.stdout) if manifest]
    order = [f"{manifest['kind']}/{manifest['metadata']['name']}" for manifest in made]
    ours = render(CHART, "hooks", values)
    assert dict(zip(order, made, strict=True)) == {f"{item['kind']}/{item['metadata']['name']}": item for item in ours}
