"""Test the catalogue over the API: types of one's own are published, checked, changed and archived."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from api.organization import SUBSCRIPTION, Organization, body_of
from packhook.core.clock import to_rfc3339
from packhook.core.event_types import BUILT_IN
from packhook.service import event_types
from packhook.testing import ManualClock
from packhook.testing.clock import START
from support.api_node import application

LOST: Final[dict[str, Any]] = {
    "code": "parcel.lost",
    "description": "A parcel was lost",
    "schema": {
        "type": "object",
        "required": ["id"],
        "properties": {
            "id": {"type": "string", "minLength": 1},
            "weight": {"type": "integer"},
            "lines": {"type": "array", "items": {"type": "object", "required": ["a/b"]}},
        },
        "additionalProperties": False,
    },
    "example": {"id": "prc_1", "weight": 3},
    "subject_pointer": "/id",
    "reference_pointers": ["/weight"],
}
WRONG: Final[dict[str, tuple[dict[str, Any], list[tuple[str, str]]]]] = {
    "code": ({"code": "Parcel"}, [("/code", "invalid")]),
    "code with a line break": ({"code": "parcel.lost\n"}, [("/code", "invalid")]),
    "two of the schema": (
        {"schema": {"type": "text", "properties": {"a/b": {"minLength": -1}}}},
        [("/schema/properties/a~1b/minLength", "invalid"), ("/schema/type", "invalid")],
    ),
    "remote reference": (
        {"schema": {"properties": {"a": {"$ref": "https://example.com/a.json"}, "$ref": {"$ref": "#"}}}},
        [("/schema/properties/a/$ref", "remote_reference")],
    ),
    "reference to nothing": ({"schema": {"$ref": "#/$defs/a"}}, [("/schema", "invalid")]),
    "look-around": ({"schema": {"pattern": "(?=a)b"}}, [("/schema/pattern", "invalid")]),
    "costly": (
        {"schema": {"$ref": "#/$defs/a", "$defs": {"a": {"allOf": [{"items": {"$ref": "#/$defs/a"}}] * 2}}}},
        [("/schema", "too_costly")],
    ),
    "too large": ({"schema": {"description": "x" * 65_536}}, [("/schema", "too_large")]),
    "another dialect": (
        {"schema": {"$schema": "http://json-schema.org/draft-07/schema#"}},
        [("/schema/$schema", "unsupported")],
    ),
    "pointers": (
        {"subject_pointer": "id", "reference_pointers": ["/~2", "/a", "/a"]},
        [("/reference_pointers", "invalid"), ("/reference_pointers/0", "invalid"), ("/subject_pointer", "invalid")],
    ),
    "example": (
        {"example": {"weight": "3", "x": 1}},
        [("/example/id", "missing"), ("/example/weight", "invalid"), ("/example/x", "unknown_field")],
    ),
    "subject": ({"subject_pointer": "/number"}, [("/subject_pointer", "invalid")]),
    "types of fields": (
        {"example": [], "colour": 1, "schema": True},
        [("/colour", "unknown_field"), ("/example", "invalid"), ("/schema", "invalid")],
    ),
}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Yield the operator's client of a node of the test's own: the catalogue is one for the whole instance."""
    async with application(tmp_path, ManualClock()) as (client, _, _):
        yield client


@pytest.fixture
async def organization(api: httpx.AsyncClient) -> Organization:
    """Create an organization, and the event type."""
    body_of(await api.post("/v1/event-types", json=LOST), 201)
    return await Organization.create(api)


async def test_a_type_of_ones_own(organization: Organization, api: httpx.AsyncClient) -> None:
    """It is created, shown and listed beside the built-in ones, to every key; the audit trail says who did what."""
    shown = body_of(await api.get("/v1/event-types/parcel.lost"), 200)
    at = to_rfc3339(START)
    assert shown == {**LOST, "archived_at": None, "created_at": at, "updated_at": at, "built_in": False}
    key = await organization.key("events:read")
    by_key = {"authorization": f"Bearer {key}"}
    page = body_of(await api.get("/v1/event-types", params={"per_page": 4}, headers=by_key), 200)
    found = page["data"]
    while page["next"]:
        page = body_of(await api.get(page["next"], headers=by_key), 200)
        found += page["data"]
    assert [one["code"] for one in found] == sorted([*BUILT_IN.types, "parcel.lost"])
    back = body_of(await api.get(page["prev"]), 200)
    assert back["data"] == found[4:8]
    order = next(one for one in found if one["code"] == "order.created")
    assert order["built_in"] is True
    assert (order["schema"]["required"], order["subject_pointer"]) == (["id"], "/id")
    again = await api.post("/v1/event-types", json=LOST)
    assert body_of(again, 409)["detail"] == "there is an event type 'parcel.lost'"
    (entry,) = body_of(await api.get("/v1/audit", params={"action": "event_type.created"}), 200)["data"]
    changes = {change["field"]: change["after"] for change in entry["changes"]}
    assert (entry["object_id"], entry["actor"]) == ("parcel.lost", "operator")
    assert changes == {"description": "A parcel was lost", "schema": None, "example": None, "subject_pointer": "/id",
                       "reference_pointers": "/weight"}  # fmt: skip


async def test_every_error_of_a_definition_is_named(api: httpx.AsyncClient) -> None:
    """At once, each by its JSON Pointer, in a create and in an update alike."""
    body_of(await api.post("/v1/event-types", json=LOST), 201)
    for name, (changes, expected) in WRONG.items():
        new = await api.post("/v1/event-types", json={**LOST, "code": "parcel.found", **changes})
        assert sorted((error["field"], error["code"]) for error in body_of(new, 422)["errors"]) == expected, name
        if "code" not in changes:
            put = await api.put("/v1/event-types/parcel.lost", json={**changes, "force": True})
            assert sorted((error["field"], error["code"]) for error in body_of(put, 422)["errors"]) == expected, name
    assert (await api.get("/v1/event-types/parcel.found")).status_code == 404


async def test_errors_of_shape_and_of_rules_at_once(api: httpx.AsyncClient) -> None:
    """An unknown field hides no wrong pointer, and a broken example no incompatible schema."""
    wrong = {"code": "Parcel", "colour": 1, "description": 3, "subject_pointer": "id", "schema": {"type": "text"}}
    expected = ["/code", "/colour", "/description", "/schema/type", "/subject_pointer"]
    one = body_of(await api.post("/v1/event-types", json=wrong), 422)
    assert sorted(error["field"] for error in one["errors"]) == expected
    many = body_of(await api.post("/v1/event-types/import", json={"event_types": [wrong]}), 422)
    assert sorted(error["field"] for error in many["errors"]) == [f"/event_types/0{field}" for field in expected]
    body_of(await api.post("/v1/event-types", json={**LOST, "code": "parcel.torn"}), 201)
    narrower = {"schema": {**LOST["schema"], "required": ["id", "weight", "torn_at"]}}
    refused = body_of(await api.put("/v1/event-types/parcel.torn", json=narrower), 422)
    assert sorted((error["field"], error["code"]) for error in refused["errors"]) == [
        ("/example/torn_at", "missing"), ("/schema/required", "incompatible"), ("/schema/required", "incompatible"),
    ]  # fmt: skip


async def test_a_keyword_of_another_type_is_an_error(api: httpx.AsyncClient) -> None:
    """Where the schema before had it right, too: what it breaks is asked of schemas alone."""
    right: dict[str, Any] = {
        "maximum": 1, "minLength": 1, "multipleOf": 2, "required": ["a"], "properties": {"a": {}}, "enum": [1],
        "type": "object", "items": {}, "additionalProperties": False, "allOf": [{}], "pattern": "a", "format": "date",
    }  # fmt: skip
    body_of(await api.post("/v1/event-types", json={"code": "parcel.typed", "schema": right}), 201)
    for keyword in right:
        for wrong in ("1e3", 1.5, None, [3], {"a": 3}):
            answer = await api.put("/v1/event-types/parcel.typed", json={"schema": {**right, keyword: wrong}})
            assert answer.status_code in (200, 422), (keyword, wrong)
            if answer.status_code == 200:
                body_of(await api.put("/v1/event-types/parcel.typed", json={"schema": right, "force": True}), 200)


async def test_what_is_published_is_checked(organization: Organization) -> None:
    """An event has the subject of its type; every violation is named, alone and in a batch, and the nearest code."""
    good = {"event_code": "parcel.lost", "data": {"id": "prc_7", "weight": 1}}
    receipt = body_of(await organization.ask("POST", "/events", json=good), 202)
    event = body_of(await organization.ask("GET", f"/events/{receipt['id']}"), 200)
    assert event["subject"] == "prc_7"
    assert "references" not in event
    bad = {"event_code": "parcel.lost", "data": {"id": "", "weight": 1.5, "lines": [{"a/b": 1}, {}], "x": 1}}
    expected = [
        ("/data/id", "invalid", '"" is shorter than 1 character'),
        ("/data/lines/1/a~1b", "missing", "this field is required"),
        ("/data/weight", "invalid", '1.5 is not of type "integer"'),
        ("/data/x", "unknown_field", "there is no such field"),
    ]
    alone = body_of(await organization.ask("POST", "/events", json=bad), 422)["errors"]
    batch = body_of(await organization.ask("POST", "/events/batch", json={"events": [good, bad]}), 422)["errors"]
    assert sorted((error["field"], error["code"], error["message"]) for error in alone) == expected
    assert sorted(error["field"] for error in batch) == [f"/events/1{field}" for field, _, _ in expected]
    (unknown,) = body_of(await organization.ask("POST", "/events", json={**good, "event_code": "parcel.list"}), 422)[
        "errors"
    ]
    assert unknown["message"] == "'parcel.list' is not an event code; did you mean `parcel.lost`?"
    assert (
        len(body_of(await organization.ask("GET", "/events", params={"event_code": "parcel.lost"}), 200)["data"]) == 1
    )


async def test_errors_of_large_data_are_bounded(organization: Organization) -> None:
    """At most a hundred are named; of very many values only the first."""
    for lines, named in ((150, 100), (5_000, 1)):
        event = {"event_code": "parcel.lost", "data": {"id": "prc_1", "lines": [{}] * lines}}
        errors = body_of(await organization.ask("POST", "/events", json=event), 422)["errors"]
        assert [error["field"] for error in errors] == [f"/data/lines/{number}/a~1b" for number in range(named)]


async def test_a_change_counts_for_the_next_event(organization: Organization, api: httpx.AsyncClient) -> None:
    """An incompatible one needs ``force``, and says what it breaks; published events stay as they are."""
    event = {"event_code": "parcel.lost", "data": {"id": "prc_7"}}
    before = body_of(await organization.ask("POST", "/events", json=event), 202)
    schema = {**LOST["schema"], "required": ["number"], "properties": {"number": {"type": "string"}}}
    change = {"schema": schema, "example": None, "subject_pointer": "/number"}
    problem = body_of(await api.put("/v1/event-types/parcel.lost", json=change), 422)
    assert {(error["field"], error["code"]) for error in problem["errors"]} == {
        ("/schema/required", "incompatible"), ("/schema/additionalProperties", "incompatible")
    }  # fmt: skip
    assert "data.id was required: receivers rely on it" in problem["detail"]
    body_of(await organization.ask("POST", "/events", json=event), 202)
    after = body_of(await api.put("/v1/event-types/parcel.lost", json={**change, "force": True}), 200)
    assert (after["schema"], after["example"], after["description"]) == (schema, None, LOST["description"])
    body_of(await organization.ask("POST", "/events", json=event), 422)
    assert body_of(await organization.ask("GET", f"/events/{before['id']}"), 200)["subject"] == "prc_7"
    optional = {**schema, "properties": {**schema["properties"], "note": {"type": "string"}}}
    body_of(await api.put("/v1/event-types/parcel.lost", json={"schema": optional}), 200)
    trail = body_of(await api.get("/v1/audit", params={"action": "event_type.updated"}), 200)["data"]
    assert [bool(entry["reason"]) for entry in trail] == [False, True]


async def test_an_archived_type(organization: Organization, api: httpx.AsyncClient) -> None:
    """No event of it can be published, no webhook can subscribe to it; its events are found, and it can come back."""
    hook = await organization.webhook(event_code="parcel.lost")
    event = {"event_code": "parcel.lost", "data": {"id": "prc_7"}}
    body_of(await organization.ask("POST", "/events", json=event), 202)
    for _ in range(2):
        assert (await api.delete("/v1/event-types/parcel.lost")).status_code == 204
    for path, body in (("/events", event), ("/webhooks", {**SUBSCRIPTION, "event_code": "parcel.lost"})):
        (error,) = body_of(await organization.ask("POST", path, json=body), 422)["errors"]
        assert (error["field"], error["message"]) == ("/event_code", "the event type `parcel.lost` is archived")
    body_of(await organization.ask("PUT", f"/webhooks/{hook['id']}", json={"description": "still there"}), 200)
    for path in ("/events", "/deliveries", "/webhooks"):
        listed = body_of(await organization.ask("GET", path, params={"event_code": "parcel.lost"}), 200)
        assert len(listed["data"]) == 1, path
    codes = body_of(await api.get("/v1/event-types", params={"archived": "true"}), 200)["data"]
    assert [(one["code"], one["archived_at"]) for one in codes] == [("parcel.lost", to_rfc3339(START))]
    again = body_of(await api.post("/v1/event-types", json=LOST), 409)
    assert again["detail"].endswith("archived: update it with `archived: false`")
    body_of(await api.put("/v1/event-types/parcel.lost", json={"archived": False}), 200)
    body_of(await organization.ask("POST", "/events", json=event), 202)
    actions = [entry["action"] for entry in body_of(await api.get("/v1/audit"), 200)["data"]]
    assert [action for action in actions if action.startswith("event_type.")] == [
        "event_type.updated", "event_type.archived", "event_type.created"
    ]  # fmt: skip


@pytest.mark.parametrize("code", ["order.created", "webhook.failing"])
async def test_built_in_types_stay_as_they_are(api: httpx.AsyncClient, code: str) -> None:
    """They cannot be created, changed, archived or imported."""
    message = f"the event type {code!r} is built in: it cannot be changed or archived"
    assert body_of(await api.put(f"/v1/event-types/{code}", json={"description": "x"}), 409)["detail"] == message
    assert body_of(await api.delete(f"/v1/event-types/{code}"), 409)["detail"] == message
    body_of(await api.post("/v1/event-types", json={"code": code}), 409)
    (error,) = body_of(await api.post("/v1/event-types/import", json={"event_types": [{"code": code}]}), 422)["errors"]
    assert (error["field"], error["code"]) == ("/event_types/0/code", "built_in")


async def test_an_import_is_all_or_nothing(api: httpx.AsyncClient) -> None:
    """With every error of every type; the preview says what changes and breaks; the same again changes nothing."""
    found = {"code": "parcel.found", "archived": True}
    wrong = {"event_types": [LOST, {"code": "parcel"}, {**LOST, "code": "a.b", "example": {}}, found, found]}
    problem = body_of(await api.post("/v1/event-types/import", json=wrong), 422)
    assert [error["field"] for error in problem["errors"]] == ["/event_types/4/code"]
    problem = body_of(await api.post("/v1/event-types/import", json={"event_types": wrong["event_types"][:4]}), 422)
    assert [error["field"] for error in problem["errors"]] == ["/event_types/1/code", "/event_types/2/example/id"]
    whole = {"event_types": [LOST, found]}
    for body, change in (({**whole, "preview": True}, "created"), (whole, "created"), (whole, "unchanged")):
        made = body_of(await api.post("/v1/event-types/import", json=body), 200)["data"]
        assert [(one["code"], one["change"]) for one in made] == [("parcel.lost", change), ("parcel.found", change)]
    assert len(body_of(await api.get("/v1/event-types", params={"archived": "true"}), 200)["data"]) == 1
    changed = {"event_types": [{**LOST, "schema": None}, {"code": "parcel.found"}], "preview": True}
    lost, back = body_of(await api.post("/v1/event-types/import", json=changed), 200)["data"]
    assert (lost["change"], lost["fields"], back["fields"]) == ("updated", ["schema"], ["archived_at"])
    assert [one["field"] for one in lost["breaks"]] == ["/schema"]
    unforced = body_of(await api.post("/v1/event-types/import", json={**changed, "preview": False}), 422)
    assert [error["field"] for error in unforced["errors"]] == ["/event_types/0/schema"]
    body_of(await api.post("/v1/event-types/import", json={**changed, "preview": False, "force": True}), 200)
    assert body_of(await api.get("/v1/event-types/parcel.lost"), 200)["schema"] is None


async def test_the_catalogue_is_bounded(api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """In types, and in the bytes of their schemas and examples."""
    monkeypatch.setattr(event_types, "MAX_EVENT_TYPES", 2)
    several = {"event_types": [{"code": f"a.b{number}"} for number in range(3)]}
    (error,) = body_of(await api.post("/v1/event-types/import", json=several), 422)["errors"]
    assert error["code"] == "too_many"
    monkeypatch.setattr(event_types, "MAX_CATALOGUE_BYTES", 100)
    (error,) = body_of(await api.post("/v1/event-types", json=LOST), 422)["errors"]
    assert error["code"] == "too_large"


async def test_the_document_is_that_of_the_instance(api: httpx.AsyncClient) -> None:
    """Its types are in the ``webhooks`` section and among the codes, with schemas of their own, also after a change."""
    body_of(await api.post("/v1/event-types", json=LOST), 201)
    before = (await api.get("/openapi.json")).json()
    assert before["webhooks"]["parcel.lost"]["post"]["summary"] == "A parcel was lost"
    recursive = {"$ref": "#/$defs/a", "$defs": {"a": {"type": "object", "properties": {"$ref": {"$ref": "#/$defs/a"}}}}}
    body_of(await api.post("/v1/event-types", json={"code": "parcel.found", "schema": recursive}), 201)
    document = (await api.get("/openapi.json")).json()
    schemas = document["components"]["schemas"]
    here = "#/components/schemas/parcel.found-a"
    assert schemas["parcel.found"] == {"$ref": here}
    assert schemas["parcel.found-a"] == {
        "type": "object", "properties": {"$ref": {"$ref": here}}, "title": "parcel.found-a"
    }  # fmt: skip
    branches = schemas["EventPublish"]["oneOf"]
    codes = [branch["properties"]["event_code"]["enum"] for branch in branches]
    assert codes == [["order.canceled", "order.created", "order.shipped"], ["parcel.found"], ["parcel.lost"]]
    assert "parcel.found" in schemas["WebhookCreate"]["properties"]["event_code"]["enum"]
    assert "parcel.lost" in (await api.get("/docs")).text


async def test_a_test_event_of_a_chosen_code(organization: Organization, api: httpx.AsyncClient) -> None:
    """It has the example of that type; ``{}`` without one. An unknown code is refused; no body is the webhook's own."""
    body_of(await api.post("/v1/event-types", json={"code": "parcel.found"}), 201)
    hook = await organization.webhook("https://127.0.0.1:9/", event_code="order.shipped")
    sent = {
        code: body_of(await organization.ask("POST", f"/webhooks/{hook['id']}/test", json={"event_code": code}), 200)
        for code in ("parcel.lost", "parcel.found")
    }
    assert {code: exchange["event"]["data"] for code, exchange in sent.items()} == {
        "parcel.lost": LOST["example"], "parcel.found": {}
    }  # fmt: skip
    assert all(exchange["event"]["event_code"] == code for code, exchange in sent.items())
    body_of(await organization.ask("POST", f"/webhooks/{hook['id']}/test", json={"event_code": "parcel.list"}), 422)
    own = body_of(await organization.ask("POST", f"/webhooks/{hook['id']}/test"), 200)
    assert own["event"]["event_code"] == "order.shipped"


async def test_two_editors_cannot_overwrite_each_other(api: httpx.AsyncClient) -> None:
    """A tag of before the change is 412; a change of another type does not count. A reader gets 304."""
    path = "/v1/event-types/parcel.tagged"
    made = await api.post("/v1/event-types", json={"code": "parcel.tagged"})
    await api.post("/v1/event-types", json={"code": "parcel.other"})
    shown = await api.get(path)
    tag = {"if-match": shown.headers["etag"]}
    assert tag["if-match"] == made.headers["etag"]
    assert (await api.get(path, headers={"if-none-match": tag["if-match"]})).status_code == 304
    first = await api.put(path, json={"description": "first"}, headers=tag)
    same = await api.put(path, json={"description": "first"}, headers={"if-match": first.headers["etag"]})
    assert (body_of(first, 200)["description"], same.headers["etag"]) == ("first", first.headers["etag"])
    for refused in (
        await api.put(path, json={"description": "second"}, headers=tag),
        await api.delete(path, headers=tag),
    ):
        assert body_of(refused, 412)["detail"] == "it was changed since: read it again, and decide again"
    assert body_of(await api.delete(path, headers={"if-match": "7"}), 422)["errors"][0]["field"] == "If-Match"
    assert (await api.get(path)).headers["etag"] == first.headers["etag"]
    assert (await api.delete(path, headers={"if-match": first.headers["etag"]})).status_code == 204
    built_in = await api.get("/v1/event-types/order.created")
    assert (await api.get(built_in.url.path, headers={"if-none-match": built_in.headers["etag"]})).status_code == 304
