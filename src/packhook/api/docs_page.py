"""HTML pages made on the server: ``/docs`` from the OpenAPI document, ``/errors/CODE`` from the error classes.

No script, no external resource. The content security policy allows this style, by its hash, and nothing else.
"""

import base64
import hashlib
import html
import json
from typing import Any, Final

from packhook.core.errors import PackhookError

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}"
    "code,pre{font:14px/1.4 ui-monospace,monospace}pre{background:#f4f5f7;padding:.8rem;overflow:auto}"
    "h2{margin-top:2.5rem;border-bottom:1px solid #ddd}summary{cursor:pointer;padding:.3rem 0}"
    ".method{display:inline-block;min-width:4.5rem;font-weight:700}table{border-collapse:collapse}"
    "td,th{border:1px solid #ddd;padding:.2rem .6rem;text-align:left;vertical-align:top}"
)
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def page(document: dict[str, Any]) -> str:
    """Render the OpenAPI document."""
    schemas = document["components"]["schemas"]
    sections = [_operations(document["paths"]), _outgoing(document["webhooks"]), _schemas(schemas)]
    title = html.escape(document["info"]["title"])
    return _html(
        f"{title} API",
        f"<h1>{title} {html.escape(document['info']['version'])}</h1>"
        f"<p>{html.escape(document['info']['description'])}</p>"
        f"<p>The same for machines: <a href=/openapi.json>openapi.json</a>. Send the header "
        f"<code>Authorization: Bearer KEY</code>.</p>{''.join(sections)}",
    )


def error_page(kind: type[PackhookError], status: int) -> str:
    """Render the page of a problem type."""
    return _html(
        kind.code,
        f"<h1>{kind.code}</h1><p>Status {status}. {html.escape(kind.title())}</p>"
        "<p>The response's <code>detail</code> says what is wrong; its <code>x-request-id</code> finds the request in "
        "the log. All problem types are in packhook's documentation, under Errors.</p>",
    )


def _html(title: str, body: str) -> str:
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{title}</title><style>{_STYLE}</style>{body}</html>"
    )


def _pretty(value: object) -> str:
    return html.escape(json.dumps(value, indent=2))


def _operations(paths: dict[str, Any]) -> str:
    rows = [
        _operation(method.upper(), path, operation)
        for path, methods in paths.items()
        for method, operation in methods.items()
    ]
    return f"<h2>Requests</h2>{''.join(rows)}"


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    summary = html.escape(operation.get("summary", ""))
    scope = html.escape(operation.get("description", ""))
    parameters = "".join(
        f"<li><code>{html.escape(item['name'])}</code> in {item['in']}</li>" for item in operation.get("parameters", [])
    )
    responses = "".join(
        f"<tr><td>{status}<td>{html.escape(response['description'])}<td>{_schema_links(response)}"
        for status, response in operation["responses"].items()
    )
    body = _schema_links(operation["requestBody"]) if "requestBody" in operation else ""
    return (
        f"<details><summary><span class=method>{method}</span><code>{html.escape(path)}</code> {summary}</summary>"
        f"<p>{scope}</p><ul>{parameters}</ul>{'<p>Body: ' + body + '</p>' if body else ''}"
        f"<table><tr><th>Status<th>When<th>Schema{responses}</table></details>"
    )


def _schema_links(part: dict[str, Any]) -> str:
    names = [
        content["schema"]["$ref"].rpartition("/")[2]
        for content in part.get("content", {}).values()
        if "$ref" in content.get("schema", {})
    ]
    return ", ".join(f"<a href='#{name}'>{name}</a>" for name in names)


def _outgoing(webhooks: dict[str, Any]) -> str:
    parts = []
    for code, methods in webhooks.items():
        content = methods["post"]["requestBody"]["content"]["application/json"]
        example = html.escape(json.dumps(content["example"], indent=2))
        headers = "".join(
            f"<li><code>{header['name']}</code> {html.escape(header['description'])}</li>"
            for header in methods["post"]["parameters"]
        )
        parts.append(f"<details><summary><code>{code}</code></summary><ul>{headers}</ul><pre>{example}</pre></details>")
    return f"<h2>What receivers get</h2>{''.join(parts)}"


def _schemas(schemas: dict[str, Any]) -> str:
    parts = [
        f"<details id='{name}'><summary>{name}</summary><pre>{_pretty(schema)}</pre></details>"
        for name, schema in schemas.items()
    ]
    return f"<h2>Schemas</h2>{''.join(parts)}"
