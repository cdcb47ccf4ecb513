"""Serve the dashboard of a shop with a day behind it, and sign in to it."""

from collections.abc import Iterator

import httpx
import pytest

from support.api_node import OPERATOR_KEY
from web.html import Document
from web.served import Served, serving


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve the shop's dashboard in a thread, for all tests of a worker."""
    with serving(tmp_path_factory.mktemp("dashboard")) as found:
        yield found


class Browser:
    """Read pages and send their forms, as a browser without JavaScript does."""

    def __init__(self, served: Served) -> None:
        self.client = httpx.Client(base_url=served.url, timeout=30)

    def sign_in(self, key: str = OPERATOR_KEY) -> httpx.Response:
        """Sign in through the form."""
        page = self.read("/dashboard/sign-in")
        return self.send(page, "/dashboard/sign-in", key=key)

    def read(self, path: str, status: int = 200) -> Document:
        """Return a page that has this status."""
        response = self.client.get(path)
        assert response.status_code == status, f"{path}: {response.status_code}\n{response.text[:2000]}"
        return Document(response.text)

    def send(self, page: Document, action: str, **fields: str | list[str]) -> httpx.Response:
        """Send the form of a page that leads to ``action``, with these fields changed; follow no redirect."""
        return self.client.post(action, data={**page.form(action), **fields})

    def page_of(self, response: httpx.Response) -> Document:
        """Return the page that a form was answered with."""
        return Document(response.text)

    def follow(self, response: httpx.Response) -> Document:
        """Return the page that a form led to."""
        assert response.status_code == 303, f"{response.status_code}\n{response.text[:2000]}"
        return self.read(response.headers["location"])


@pytest.fixture
def stranger(served: Served) -> Iterator[Browser]:
    """Yield a browser that has not signed in."""
    browser = Browser(served)
    with browser.client:
        yield browser


@pytest.fixture
def browser(served: Served) -> Iterator[Browser]:
    """Yield the operator's browser."""
    browser = Browser(served)
    with browser.client:
        assert browser.sign_in().status_code == 303
        yield browser
