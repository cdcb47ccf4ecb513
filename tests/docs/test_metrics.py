"""docs/reference/metrics.md has every metric, and deploy/ names only metrics and labels that exist."""

import json
import re
from collections.abc import Iterator
from itertools import accumulate
from typing import Any, Final, NamedTuple

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from docs.pages import ROOT, one_line, read, rows
from packhook.telemetry.metrics import METRICS, Kind, exposition

_ALERTS: Final = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text("utf-8"))
_RULES: Final[list[dict[str, Any]]] = [rule for group in _ALERTS["groups"] for rule in group["rules"]]
_DASHBOARD: Final = json.loads((ROOT / "deploy/grafana/dashboard.json").read_text("utf-8"))
_PANELS: Final[list[dict[str, Any]]] = _DASHBOARD["panels"]
_EXPRESSIONS: Final[list[str]] = [
    *(rule["expr"] for rule in _RULES),
    *(target["expr"] for panel in _PANELS for target in panel["targets"]),
]

_FUNCTIONS: Final = {"absent", "clamp_min", "count", "deriv", "histogram_quantile", "increase", "max", "rate", "sum"}
_WORDS: Final = {"and", "or", "unless"}
_OF_TARGETS: Final = {"instance", "job", "le"}  # labels that Prometheus adds, and that of a histogram's buckets
_STRING: Final = re.compile(r'"[^"]*"')
_DURATION: Final = re.compile(r"\[(?:\d+(?:ms|[smhdw])|\$__rate_interval)\]")
_LABELS: Final = re.compile(r"\{([^{}]*)\}|\b(?:by|on|without)\s*\(([^()]*)\)")
_NAME: Final = re.compile(r"\b[A-Za-z_:][A-Za-z0-9_:]*")
_CALL: Final = re.compile(r"([A-Za-z_]\w*)\s*\(")
_UNITS: Final = {"s", "m", "h"}


class Used(NamedTuple):
    """Name a series of an expression, or a label that it selects or groups by."""

    kind: str
    name: str


def names_in(expression: str) -> Iterator[Used]:
    """Yield the series and labels of a PromQL expression. ValueError for a bracket or a call that does not belong."""
    text = _DURATION.sub(" ", _STRING.sub(" ", expression))
    for lists in _LABELS.findall(text):
        yield from (Used("label", name) for name in _NAME.findall(" ".join(lists)))
    text = _LABELS.sub(" ", text)
    depths = list(accumulate((char == "(") - (char == ")") for char in text)) or [1]
    if min(depths) < 0 or depths[-1] or set("{}[]") & set(text):
        raise ValueError(f"brackets do not match: {expression}")
    unknown = set(_CALL.findall(text)) - _FUNCTIONS - _WORDS
    if unknown:
        raise ValueError(f"no function is named {sorted(unknown)}: {expression}")
    yield from (Used("series", name) for name in _NAME.findall(text) if name not in _FUNCTIONS | _WORDS)


def _series() -> set[str]:
    """Return the names of all series that a node has, those of its process included."""
    own = {
        sample.name for family in text_string_to_metric_families(exposition(()).decode()) for sample in family.samples
    }
    for metric in METRICS:
        is_histogram = metric.kind is Kind.HISTOGRAM
        own |= {metric.name + part for part in ("_bucket", "_sum", "_count")} if is_histogram else {metric.name}
    return own


def test_every_metric_is_documented_and_no_other() -> None:
    """Compare name, kind, labels and meaning with the declarations."""
    documented = [tuple(cells) for cells in rows(read("reference/metrics.md")) if cells[0].startswith("`packhook_")]
    assert documented == [
        (f"`{one.name}`", one.kind.value, ", ".join(f"`{label}`" for label in one.labels), one_line(one.meaning))
        for one in METRICS
    ]


def test_names_follow_the_conventions_of_prometheus() -> None:
    """End counters in _total, durations in _seconds; no label could name a tenant."""
    for metric in METRICS:
        assert metric.name.endswith("_total") is (metric.kind is Kind.COUNTER)
        assert not re.search(r"_(?:ms|milliseconds|minutes)\b", metric.name)
        assert set(metric.labels) <= {"peer", "result", "state", "status", "urgency", "version"}


@pytest.mark.parametrize("expression", _EXPRESSIONS)
def test_expressions_name_what_exists(expression: str) -> None:
    """Tokenize each expression of alert rules and dashboard; each series and label in it is one of ours."""
    labels = {label for metric in METRICS for label in metric.labels} | _OF_TARGETS
    used = list(names_in(expression))
    assert {name for kind, name in used if kind == "series"} <= _series()
    assert {name for kind, name in used if kind == "label"} <= labels
    assert any(kind == "series" for kind, _ in used)


def test_a_wrong_expression_is_noticed() -> None:
    """See that the tokenizer finds what the test above relies on."""
    assert Used("series", "packhook_nothing") in set(
        names_in('sum by (urgency) (packhook_nothing{state="active"}[5m])')
    )
    assert set(names_in("max by (webhook_id) (up)")) == {Used("label", "webhook_id"), Used("series", "up")}
    for wrong in ("sum(packhook_info", "packhook_info)", "rates(packhook_info)", ""):
        with pytest.raises(ValueError, match=r".+"):
            list(names_in(wrong))


def test_alert_rules_have_the_structure_that_prometheus_loads() -> None:
    """Allow the keys of a rule file only, names that are unique, durations, and text for people."""
    assert set(_ALERTS) == {"groups"}
    assert all(set(group) == {"name", "rules"} for group in _ALERTS["groups"])
    assert len({rule["alert"] for rule in _RULES}) == len(_RULES)
    for rule in _RULES:
        assert set(rule) - {"for"} == {"alert", "expr", "labels", "annotations"}
        assert re.fullmatch(r"Packhook[A-Za-z]+", rule["alert"])
        assert re.fullmatch(rf"\d+[{''.join(_UNITS)}]", rule.get("for", "0s"))
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert set(rule["annotations"]) == {"runbook", "summary", "description"}
        texts = [rule["annotations"][name] for name in ("summary", "description")]
        assert all(isinstance(text, str) and text.endswith(".") for text in texts)


def test_every_metric_is_on_the_dashboard() -> None:
    """Show everything but the version and what only alerts watch; panels have ids of their own and do not overlap."""
    shown = {name for target in _EXPRESSIONS for kind, name in names_in(target) if kind == "series"}
    unseen = {metric.name for metric in METRICS if not any(name.startswith(metric.name) for name in shown)}
    assert unseen == set()
    assert len({panel["id"] for panel in _PANELS}) == len(_PANELS)
    assert len({(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in _PANELS}) == len(_PANELS)


def test_each_alert_says_what_to_do() -> None:
    """By a part of its own in the runbook, which has no other."""
    parts = re.findall(r"^## (\w+)$", read("how-to/answer-an-alert.md"), re.MULTILINE)
    assert parts == [rule["alert"] for rule in _RULES]
    assert [rule["annotations"]["runbook"] for rule in _RULES] == [
        f"docs/how-to/answer-an-alert.md#{name.lower()}" for name in parts
    ]
