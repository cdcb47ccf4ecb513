"""Run packhook's commands and read their output."""

import json
import os
from typing import Any
from uuid import uuid4

from support.processes import OPERATOR_KEY, Node, Ran, packhook

Json = Any


class Terminal:
    """Hold the environment of a shell: the server, a key and an organization."""

    def __init__(self, node: Node, organization: str = "", key: str = OPERATOR_KEY) -> None:
        self.node = node
        self.organization = organization
        self.key = key

    async def run(self, *words: str, given: str | bytes = "") -> Ran:
        """Run ``packhook WORDS``."""
        settings = {"server": self.node.url, "key": self.key, "organization": self.organization}
        return await packhook(*words, folder=self.node.folder, given=given, settings=settings)

    async def output(self, *words: str, given: str | bytes = "") -> str:
        """Run ``packhook WORDS`` and return its output. It must succeed without a message on standard error."""
        code, out, err = await self.run(*words, given=given)
        assert (code, err) == (0, ""), (words, out, err)
        return out

    async def json(self, *words: str, given: str | bytes = "") -> Json:
        """Run ``packhook WORDS --output json`` and return the JSON value, which must be on one line."""
        out = await self.output(*words, "--output", "json", given=given)
        assert out.count("\n") == 1
        return json.loads(out)

    async def get(self, path: str, **query: str) -> Json:
        """Return the API's response below the organization's path, to check what a command has done."""
        async with self.node.client() as operator:
            answer = await operator.get(f"/v1/organizations/{self.organization}{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()


async def with_organization(node: Node) -> Terminal:
    """Create an organization over HTTP and return a terminal for it."""
    name = f"cli_{uuid4().hex[:12]}"
    async with node.client() as operator:
        answer = await operator.post("/v1/organizations", json={"id": name})
        assert answer.status_code == 201, answer.text
    return Terminal(node, name)


def read_to_end(descriptor: int) -> bytes:
    """Return what a terminal gets until its other end is closed."""
    read = b""
    while True:
        try:
            part = os.read(descriptor, 65_536)
        except OSError:  # the other end is closed
            return read
        if not part:
            return read
        read += part
