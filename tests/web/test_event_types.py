"""Test event types in the dashboard: create, edit with a warning of what breaks, archive, import with a dry run."""

from collections.abc import Callable
from typing import Final

import httpx
import msgspec
import pytest

from packhook.core.event_types import Catalogue
from web.conftest import Browser
from web.html import Document
from web.served import Served

NEW: Final = "/dashboard/new-event-type"
IMPORT: Final = "/dashboard/import-event-types"
STRICT: Final = '{"type": "object", "properties": {"id": {"type": "string", "maxLength": 4}}, "required": ["id"]}'
LOOSE: Final = '{"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]}'


@pytest.fixture
def catalogue(served: Served) -> Callable[[], Catalogue]:
    """Return a function that reads the catalogue as it is stored."""
    return lambda: served.run(served.store.event_types.refresh())


def _create(browser: Browser, code: str, **fields: str) -> httpx.Response:
    return browser.send(browser.read(NEW), NEW, code=code, **fields)


def test_an_event_type_is_made_edited_archived_and_restored(
    browser: Browser, catalogue: Callable[[], Catalogue]
) -> None:
    """Each step leads to its page; what a form does not change stays."""
    fields = {"schema": LOOSE, "example": '{"id": "p"}', "subject_pointer": "/id", "reference_pointers": "/a\r\n/b"}
    page = browser.follow(_create(browser, "made.here", description="It was made.", **fields))
    assert "It was made." in page.text()
    made = catalogue().get("made.here")
    assert (made.schema, made.example) == (msgspec.json.decode(LOOSE), {"id": "p"})
    assert (made.subject_pointer, made.reference_pointers) == ("/id", ("/a", "/b"))
    path = "/dashboard/event-types/made.here"
    browser.follow(browser.send(browser.read(f"{path}/edit"), f"{path}/edit", description="It was changed."))
    after = catalogue().get("made.here")
    assert (after.description, after.schema, after.example) == ("It was changed.", made.schema, made.example)
    archived = browser.follow(browser.send(browser.read(path), f"{path}/archive"))
    assert "are refused" in archived.text()
    assert catalogue().get("made.here").archived_at is not None
    browser.follow(browser.send(archived, f"{path}/archive"))
    assert catalogue().get("made.here").archived_at is None


@pytest.mark.parametrize(
    ("field", "typed", "message"),
    [
        ("code", "Upper.Case", "expected at least two words"),
        ("code", "order.created", "there is an event type 'order.created'"),
        ("schema", '{\n"type": }', "this is no JSON: Expecting value in line 2, column 9"),
        ("schema", "[]", "expected a JSON object"),
        ("schema", '{"type": "object", "type": "object"}', "expected this member once"),
        ("schema", '{"type": "thing"}', "/type"),
        ("schema", '{"$ref": "https://example.com/other.json"}', "$ref"),
        ("schema", "[" * 100_000, "nested too deeply"),
        ("example", '{"id": 1}', "is not of type"),
        ("subject_pointer", "id", "JSON Pointer"),
        ("reference_pointers", "/a\n/b\n/c\n/d", "at most 3"),
    ],
)
def test_what_is_wrong_stands_beside_its_field(browser: Browser, field: str, typed: str, message: str) -> None:
    """Nothing is created, and what was typed stays; a schema that is wrong is no fault of the server."""
    fields = {"code": "wrong.type", "schema": LOOSE, "example": "", field: typed}
    response = browser.send(browser.read(NEW), NEW, **fields)
    assert response.status_code == 422
    page = Document(response.text)
    assert message.lower() in page.text().lower()
    assert (typed or "x") in response.text.replace("&#34;", '"').replace("&#39;", "'") or len(typed) > 99
    assert browser.client.get("/dashboard/event-types/wrong.type").status_code == 404


def test_an_incompatible_change_is_made_only_when_it_is_confirmed(
    browser: Browser, catalogue: Callable[[], Catalogue]
) -> None:
    """Say first what it breaks, and where; the audit trail keeps it."""
    _create(browser, "breaking.type", schema=LOOSE)
    path = "/dashboard/event-types/breaking.type"
    response = browser.send(browser.read(f"{path}/edit"), f"{path}/edit", schema=STRICT)
    assert response.status_code == 422
    page = Document(response.text)
    assert "1 thing breaks for receivers or publishers" in page.text()
    assert "/schema/properties/id" in page.text()
    assert catalogue().get("breaking.type").schema == msgspec.json.decode(LOOSE)
    browser.follow(browser.send(page, f"{path}/edit", force="on"))
    assert catalogue().get("breaking.type").schema == msgspec.json.decode(STRICT)
    assert "forced: it breaks" in browser.read("/dashboard/audit?action=event_type.updated").text().lower()


def test_a_built_in_type_has_no_form(browser: Browser) -> None:
    """Its page offers none, and its address says why."""
    assert not browser.read("/dashboard/event-types/order.created").all(
        "a", href="/dashboard/event-types/order.created/edit"
    )
    assert browser.client.get("/dashboard/event-types/order.created/edit").status_code == 409


YAML: Final = """event_types:
- code: imported.one
  description: From a file
  schema: {type: object}
- code: imported.two
"""


def test_a_file_is_imported_after_a_dry_run(browser: Browser, catalogue: Callable[[], Catalogue]) -> None:
    """As a browser without JavaScript sends it; the first step writes nothing, the second all."""
    token = str(browser.read(IMPORT).form(IMPORT)["token"])
    fields = {"token": token, "text": "", "do": "preview"}
    previewed = browser.client.post(IMPORT, data=fields, files={"file": ("types.yaml", YAML.encode())})
    assert previewed.status_code == 200
    page = Document(previewed.text)
    assert "2 event types change" in page.text()
    assert "imported.one" not in catalogue().types
    browser.follow(browser.send(page, IMPORT, do="import"))
    assert catalogue().get("imported.one").description == "From a file"
    again = browser.client.post(IMPORT, data=fields, files={"file": ("types.json", _as_json())})
    assert "0 event types change , 1 already is" in Document(again.text).text()


def _as_json() -> bytes:
    return msgspec.json.encode([{"code": "imported.two"}])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "choose a file"),
        ("{", "it is no YAML or JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("a: [", "it is no YAML or JSON"),
        ("- &a {code: x.y}\n- *a", "this code came before"),
        ("- &a [*a]", "it has more than 200000 values"),
        ("!!python/object/apply:os.system [id]", "it is no YAML or JSON"),
        ("just text", "expected a list of event types"),
        ("- 1", "/event_types/0"),
        ("- {code: order.created}", "is built in"),
        ("- {code: a.b}\n- {code: a.b}", "this code came before"),
        ("- {code: a.b, example: 2024-01-01}", "/event_types/0/example"),
        ("- {code: '<script>x'}", "expected at least two words"),
    ],
)
def test_a_file_that_is_wrong_changes_nothing(browser: Browser, text: str, message: str) -> None:
    """Say what is wrong, and where."""
    response = browser.send(browser.read(IMPORT), IMPORT, text=text, do="import")
    assert response.status_code == 422
    assert message.lower() in Document(response.text).text().lower()
    assert "<script>x" not in response.text


def test_an_import_that_breaks_a_schema_has_to_be_forced(browser: Browser, catalogue: Callable[[], Catalogue]) -> None:
    """The preview says what breaks; without the confirmation nothing is imported."""
    _create(browser, "import.breaks", schema=LOOSE)
    text = f'{{"event_types": [{{"code": "import.breaks", "schema": {STRICT}}}]}}'
    page = browser.page_of(browser.send(browser.read(IMPORT), IMPORT, text=text, do="preview"))
    assert "1 of them breaks" in page.text()
    assert browser.send(page, IMPORT, do="import").status_code == 422
    assert catalogue().get("import.breaks").schema == msgspec.json.decode(LOOSE)
    browser.follow(browser.send(page, IMPORT, do="import", force="on"))
    assert catalogue().get("import.breaks").schema == msgspec.json.decode(STRICT)


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("multipart/form-data", b"x", 400),
        ("multipart/form-data; boundary=b", b"", 400),
        ("multipart/form-data; boundary=b", b"--b\r\n\r\nno name\r\n--b--", 400),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="text"\r\n\r\n\xff\r\n--b--',
            400,
        ),
        ("multipart/form-data; boundary=b", b'--b\r\nContent-Disposition: form-data; name="text"\r\n\r\ncut', 400),
        ("multipart/form-data; boundary=b", b"--b\r\n" * 100_000, 400),
        ("text/plain", b"token=x", 415),
    ],
)
def test_a_body_that_is_no_form_is_refused(browser: Browser, content_type: str, body: bytes, status: int) -> None:
    """Say so, whatever it is."""
    response = browser.client.post(IMPORT, content=body, headers={"content-type": content_type})
    assert response.status_code == status
