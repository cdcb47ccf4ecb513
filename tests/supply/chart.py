"""Render the Helm chart: the few constructs of Go templates that it uses, as Helm renders them; raise for others."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

_TAG: Final = re.compile(r"(?P<left>[ \t\n]*)?\{\{(?P<trim>-)? *(?P<text>.*?) *(?P<after>-)?\}\}", re.DOTALL)
_WORD: Final = re.compile(r'"[^"]*"|\([^()]*\)|[^\s|]+|\|')

Node = str | list[Any]


class UnknownConstruct(ValueError):
    """Signal something in a template that Helm may know and this does not."""


def render(chart: Path, release: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the manifests that the chart makes, with these values over its own."""
    defaults = yaml.safe_load((chart / "values.yaml").read_text("utf-8"))
    root = {
        "Values": merged(defaults, values),
        "Release": {"Name": release, "Service": "Helm"},
        "Chart": {"AppVersion": yaml.safe_load((chart / "Chart.yaml").read_text("utf-8"))["appVersion"]},
    }
    helpers: dict[str, list[Node]] = {}
    Template((chart / "templates" / "_helpers.tpl").read_text("utf-8"), helpers)
    texts = [
        "".join(Template(file.read_text("utf-8"), helpers).render(root))
        for file in sorted((chart / "templates").glob("*.yaml"))
    ]
    return [manifest for text in texts for manifest in yaml.safe_load_all(text) if manifest]


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return values with others over them, mapping by mapping."""
    return {**below, **{
        name: merged(below[name], value) if isinstance(value, dict) and isinstance(below.get(name), dict) else value
        for name, value in above.items()
    }}  # fmt: skip


class Template:
    """Hold one file: texts, and tags as lists of their words; blocks hold what is within them."""

    def __init__(self, text: str, helpers: dict[str, list[Node]]) -> None:
        self._helpers = helpers
        self._tokens = list(_tokens(text))
        self._nodes = self._block()

    def render(self, root: Mapping[str, Any]) -> Iterator[str]:
        """Yield the text, part by part."""
        yield from self._render(self._nodes, root)

    def _block(self) -> list[Node]:
        nodes: list[Node] = []
        while self._tokens:
            token = self._tokens.pop(0)
            if isinstance(token, str):
                nodes.append(token)
            elif token[0] == "end":
                return nodes
            elif token[0] == "define":
                self._helpers[token[1].strip('"')] = self._block()
            elif token[0] in ("if", "range"):
                nodes.append([*token[:1], token[1:], self._block()])
            else:
                nodes.append(["value", token])
        return nodes

    def _render(self, nodes: list[Node], scope: Mapping[str, Any]) -> Iterator[str]:
        for node in nodes:
            if isinstance(node, str):
                yield node
            elif node[0] == "value":
                yield str(self._value(node[1], scope))
            elif node[0] == "if":
                if self._value(node[1], scope):
                    yield from self._render(node[2], scope)
            else:
                key, item = (name.strip(",") for name in node[1][:2])
                for name, value in sorted(self._value(node[1][3:], scope).items()):
                    yield from self._render(node[2], {**scope, key: name, item: value})

    def _value(self, words: list[str], scope: Mapping[str, Any]) -> Any:  # noqa: ANN401 any value
        stages: list[list[str]] = [[]]
        for word in words:
            if word == "|":
                stages.append([])
            else:
                stages[-1].append(word)
        value = self._call(stages[0], scope)
        for name, *arguments in stages[1:]:
            value = _FILTERS[name](value, *[self._call([word], scope) for word in arguments])
        return value

    def _call(self, words: list[str], scope: Mapping[str, Any]) -> Any:  # noqa: ANN401 as above
        name, *rest = words
        if name == "include":
            return "".join(self._render(self._helpers[rest[0].strip('"')], scope))
        if name == "not":
            return not self._call(rest, scope)
        if name == "printf":
            return rest[0].strip('"') % tuple(self._call([word], scope) for word in rest[1:])
        if name == "toYaml":
            return yaml.safe_dump(self._call(rest, scope), sort_keys=True).rstrip("\n")
        if rest:
            raise UnknownConstruct(" ".join(words))
        if name.startswith("("):
            return self._value(_WORD.findall(name[1:-1]), scope)
        if name.startswith('"'):
            return name.strip('"')
        if name.isdigit():
            return int(name)
        if name.startswith("$"):
            return scope[name]
        return _look_up(name, scope)


def _look_up(path: str, scope: Mapping[str, Any]) -> Any:  # noqa: ANN401 as above
    if not path.startswith("."):
        raise UnknownConstruct(path)
    found: Any = scope
    for name in path[1:].split("."):
        found = found[name]
    return found


def _nindent(text: str, width: int) -> str:
    lines = text.strip("\n").split("\n")
    return "\n" + "\n".join(f"{' ' * width}{line}" if line else line for line in lines)


def _quote(value: object) -> str:
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


_FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    "nindent": _nindent,
    "quote": _quote,
    "default": lambda value, other: value or other,
}


def _tokens(text: str) -> Iterator[Any]:
    """Yield texts, and the words of tags; ``-`` at a side of a tag removes the white space there."""
    position, strips = 0, False
    for tag in _TAG.finditer(text):
        before = text[position : tag.start()] + (tag["left"] or "")
        if strips:
            before = before.lstrip()
        if tag["trim"]:
            before = before.rstrip()
        yield before
        yield _WORD.findall(tag["text"])
        position, strips = tag.end(), bool(tag["after"])
    yield text[position:].lstrip() if strips else text[position:]
