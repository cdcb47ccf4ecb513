"""Test ``packhook event-types`` against a running node: single types, and files of many."""

import json

import pytest
import yaml

from cli.terminal import Terminal
from packhook.cli.exits import Exit

pytestmark = pytest.mark.asyncio(loop_scope="module")

SCHEMA = {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}, "since": {"type": "string"}}}


async def test_one_event_type(terminal: Terminal) -> None:
    """Create it from files, show, update, archive and bring it back."""
    folder = terminal.node.folder
    (folder / "schema.yaml").write_text(yaml.safe_dump(SCHEMA))
    (folder / "example.yaml").write_text("id: prc_1\nsince: 2026-11-24\n")
    words = (
        "--description",
        "Lost",
        "--schema",
        "schema.yaml",
        "--example",
        "example.yaml",
        "--subject-pointer",
        "/id",
    )
    made = await terminal.json("event-types", "create", "parcel.lost", *words, "--reference-pointer", "/since")
    assert (made["schema"], made["example"]) == (SCHEMA, {"id": "prc_1", "since": "2026-11-24"})
    assert (made["reference_pointers"], made["subject_pointer"], made["description"]) == (["/since"], "/id", "Lost")
    assert await terminal.json("event-types", "show", "parcel.lost") == made
    assert "parcel.lost" in await terminal.output("event-types", "list", "--archived", "false")
    code, out, err = await terminal.run("event-types", "update", "parcel.lost", "--schema", "")
    assert (code, out) == (Exit.USAGE, "")
    assert "/schema: data were checked before" in err
    after = await terminal.json("event-types", "update", "parcel.lost", "--schema", "", "--force")
    assert (after["schema"], after["example"]) == (None, made["example"])
    stale = (await terminal.output("event-types", "show", "parcel.lost", "--etag")).strip()
    await terminal.json("event-types", "update", "parcel.lost", "--description", "Gone", "--if-match", stale)
    for words_ in (("update", "parcel.lost", "--description", "Lost"), ("archive", "parcel.lost", "--yes")):
        code, out, err = await terminal.run("event-types", *words_, "--if-match", stale)
        assert (code, out, "changed since" in err) == (Exit.MISSING, "", True)
    assert await terminal.output("event-types", "archive", "parcel.lost", "--yes") == ""
    assert (await terminal.json("event-types", "update", "parcel.lost", "--unarchive"))["archived_at"] is None


async def test_a_file_of_many(terminal: Terminal) -> None:
    """What was exported can be imported and changes nothing; what breaks is said before it is done."""
    folder = terminal.node.folder
    types = [{"code": "stock.low", "schema": SCHEMA}, {"code": "stock.out", "archived": True}]
    given = json.dumps({"event_types": types})
    dry = await terminal.run("event-types", "import", "-", "--dry-run", given=given)
    assert dry.out == "created   stock.low  schema\ncreated   stock.out\n2 of 2 event types would change.\n"
    assert (await terminal.output("event-types", "import", "-", given=given)).endswith("2 of 2 event types changed.\n")
    (folder / "all.yaml").write_text(await terminal.output("event-types", "export"))
    exported = yaml.safe_load((folder / "all.yaml").read_text())["event_types"]
    assert [one for one in exported if one["code"].startswith("stock.")] == types
    assert json.loads(await terminal.output("event-types", "export", "--json"))["event_types"] == exported
    again = await terminal.output("event-types", "import", "all.yaml")
    assert again == f"0 of {len(exported)} event types changed.\n"
    changed = yaml.safe_dump([{"code": "stock.low", "schema": {**SCHEMA, "required": ["id", "since"]}}])
    dry = await terminal.run("event-types", "import", "-", "--dry-run", given=changed)
    assert "          breaks /schema/required: data.since is required now: data without it would be refused" in dry.out


async def test_an_export_controls_no_terminal_and_means_the_same(terminal: Terminal) -> None:
    """Escape ESC, C1, bidirectional and invisible characters in YAML and JSON; imported again, nothing changes."""
    description = "\x1b[31m \x9b2J \u202egnp.exe \u2028 \ufeff \U000e0041"
    given = json.dumps([{"code": "stock.odd", "description": description, "example": {description: [description]}}])
    await terminal.output("event-types", "import", "-", given=given)
    in_yaml, in_json = [await terminal.output("event-types", "export", *option) for option in ((), ("--json",))]
    for text, found in ((in_yaml, yaml.safe_load(in_yaml)), (in_json, json.loads(in_json))):
        assert text.replace("\n", "").isprintable()
        assert json.loads(given)[0] in found["event_types"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("{", "is no YAML or JSON"),
        ("a: 1", "expected a list of event types"),
        ("[]", "expected a list of event types"),
        ("- code: a.b\n  code: a.c", "'code' is there twice"),
        ("- code: a.b\n  example: {x: .nan}", "values that JSON does not have"),
        ("- code: a.b\n  example: !!python/object:os.system {}", "is no YAML or JSON"),
        ("- code: a\n- code: order.created\n- colour: 1", "/event_types/2/colour: there is no such field"),
        (b"\xff", "is not UTF-8"),
        ("- {code: a.b, example: {NO: !!binary aGk=}}", "values that JSON does not have"),
    ],
)
async def test_a_wrong_file_is_refused(terminal: Terminal, given: str | bytes, words: str) -> None:
    """With the reason, and exit code 2; nothing in it is executed."""
    code, out, err = await terminal.run("event-types", "import", "-", given=given)
    assert (code, out) == (Exit.USAGE, "")
    assert words in err
