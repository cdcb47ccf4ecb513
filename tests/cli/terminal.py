"""What the tests of the command line share: a terminal in which packhook is typed, and what it answers is read."""

import json
from typing import Any
from uuid import uuid4

from node import OPERATOR_KEY, Node, Ran, packhook

Json = Any


class Terminal:
    """Somebody's shell: the server, a key and an organization are in its environment."""

    def __init__(self, node: Node, organization: str = "", key: str = OPERATOR_KEY) -> None:
        self.node = node
        self.organization = organization
        self.key = key

    async def type(self, *words: str, given: str | bytes = "") -> Ran:
        """Run ``packhook WORDS``."""
        settings = {"server": self.node.url, "key": self.key, "organization": self.organization}
        return await packhook(*words, folder=self.node.folder, given=given, settings=settings)

    async def done(self, *words: str, given: str | bytes = "") -> str:
        """What ``packhook WORDS`` prints; it succeeds and has nothing to complain about."""
        code, out, err = await self.type(*words, given=given)
        assert (code, err) == (0, ""), (words, out, err)
        return out

    async def asked(self, *words: str, given: str | bytes = "") -> Json:
        """What ``packhook WORDS --json`` prints: one line, one JSON value."""
        out = await self.done(*words, "--json", given=given)
        assert out.count("\n") == 1
        return json.loads(out)

    async def get(self, path: str, **query: str) -> Json:
        """What the API answers below the organization's path, to see what a command has done."""
        async with self.node.client() as operator:
            answer = await operator.get(f"/v1/organizations/{self.organization}{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()


async def with_organization(node: Node) -> Terminal:
    """A terminal with an organization of its own, made over HTTP."""
    name = f"cli_{uuid4().hex[:12]}"
    async with node.client() as operator:
        answer = await operator.post("/v1/organizations", json={"id": name})
        assert answer.status_code == 201, answer.text
    return Terminal(node, name)
