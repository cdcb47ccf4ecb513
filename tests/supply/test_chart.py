"""Test the Helm chart: rendered without Helm, compared with the code, and with what Helm made of it."""

import json
from typing import Any, Final

import pytest
import yaml

from packhook.core.clock import SECOND
from packhook.core.durations import parse_duration
from packhook.settings import Settings
from packhook.telemetry.metrics import METRICS
from supply.chart import Template, UnknownConstruct, render
from supply.helm import CHART, RECORD, VALUES, digest

SCALED: Final = VALUES["scaled"]
BARE: Final = VALUES["bare"]


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


@pytest.mark.parametrize("name", VALUES)
def test_helm_renders_the_same(name: str) -> None:
    """What Helm made of this very chart, with plain and with odd values, is what the tests render."""
    recorded = json.loads(RECORD.read_text("utf-8"))
    assert recorded["chart"] == digest(), "the chart has changed since Helm rendered it: make chart"
    ours = {f"{item['kind']}/{item['metadata']['name']}": item for item in render(CHART, "hooks", VALUES[name])}
    assert ours == recorded["manifests"][name]
