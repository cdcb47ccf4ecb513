"""Test that the decoder of orders accepts exactly what their documented schema accepts.

Three exceptions: of repeated members the decoder checks each and the schema only the last; to the schema 1.0 is an
integer; and the reference parser limits depth and digits of members that are only passed through.
"""

import asyncio
import json
from typing import Final

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic_core import from_json

from packhook.api.publish.app import decode_batch, decode_event
from packhook.api.responses import SLICE
from packhook.core.errors import InvalidInput, MalformedBody
from packhook.core.event_schema import compile_schema
from packhook.core.event_types import BUILT_IN
from packhook.core.order_events import ORDER_EVENTS, Order, example_order
from packhook.core.subject import INVALID

MEMBERS: Final = list(Order.__struct_fields__)
_schema: Final = compile_schema(ORDER_EVENTS[0].schema or {})

# JSON texts that one of the two might read differently.
ODD: Final = [
    "null",
    "true",
    "false",
    '""',
    '"x"',
    '"created"',
    '"shipped"',
    '"gift"',
    '"1"',
    "0",
    "-0",
    "1",
    "-1",
    "1.0",
    "1e0",
    "1E2",
    "1.5",
    "-0.0",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    "123456789012345678901234567890",
    "1e400",
    "[]",
    "{}",
    '["x"]',
    r'"\u0000"',
    r'"\ud83d\ude00"',
    r'"\ud800"',
    r'"\udc00"',
    r'"\ud800x"',
    r'"\u005a"',
    '"ž👩🏽‍🚀"',
    '"\x7f"',
]  # fmt: skip
BROKEN: Final = [
    "01",
    "+1",
    ".5",
    "1.",
    "1e",
    "0x1",
    "'x'",
    '"x',
    '"\t"',
    '"\x00"',
    r'"\x"',
    r'"\u12"',
    "[1,]",
    "[,]",
    '{"a":1,}',
    '{"a"}',
    "{1:1}",
    "nul",
    "True",
    "undefined",
    "/**/1",
    "",
]  # fmt: skip
LITERALS: Final = ["NaN", "Infinity", "-Infinity"]


def decoder_accepts(data: bytes) -> bool:
    """Return whether the decoder accepts this data."""
    reader = BUILT_IN.reader("order.created")
    assert reader is not None
    try:
        reader.read(data)
    except INVALID:
        return False
    return True


def schema_accepts(data: bytes) -> bool:
    """Return whether the documented schema accepts it, as long as every count is written as an integer."""
    try:
        value = from_json(data, allow_inf_nan=False)
    except ValueError:
        return False
    counts = (value.get(name) for name in value if name.startswith("quantity_")) if isinstance(value, dict) else ()
    return _schema.is_valid(value) and not any(isinstance(count, float) for count in counts)


SPELLINGS: Final = (
    b'{"event_code":"order.created","data":%b}',
    b'{"event_code": "order.created", "data": %b}',
    b'{"event_code":"order.created","data":%b }',
    b'{"event_code" :"order.created" ,"data":%b}\n',
    b'{"data":%b,"event_code":"order.created"}',
)


def event(data: bytes) -> bytes:
    """Return a body that publishes this data."""
    return SPELLINGS[0] % data


def published(data: bytes) -> bool:
    """Return whether bodies with this data are accepted, however they are encoded, with the data as it was sent."""
    decoded = [decoded_event(spelling % data) for spelling in SPELLINGS]
    expected = ("order.created", data.strip(b" \t\r\n"))
    assert decoded in ([None] * len(SPELLINGS), [expected] * len(SPELLINGS))
    return decoded[0] is not None


def decoded_event(body: bytes) -> tuple[str, bytes] | None:
    """Return code and data of the event in a body; None if it is refused with a reason."""
    try:
        decoded = decode_event(body)
    except (InvalidInput, MalformedBody):
        return None
    return decoded.event_code, decoded.data


def order(members: list[tuple[str, str]]) -> bytes:
    """Return a JSON object with these members, in this order, repeated or not."""
    return ("{" + ",".join(f"{json.dumps(name)}:{text}" for name, text in members) + "}").encode()


def agree(data: bytes, *, repeated: bool = False) -> bool:
    """Return whether both agree, and publishing with them; with repeated members the decoder may be stricter."""
    decoder, schema = decoder_accepts(data), schema_accepts(data)
    return published(data) == decoder and (decoder == schema or (repeated and schema))


def repeats(members: list[tuple[str, str]]) -> bool:
    """Return whether a name is repeated."""
    return len({name for name, _ in members}) < len(members)


json_texts = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
).map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode())
texts = st.sampled_from(ODD) | json_texts
names = st.sampled_from(MEMBERS) | st.text(max_size=8).filter(lambda name: name.isprintable())
members = st.lists(st.tuples(names, texts), max_size=8)
thorough = settings(
    derandomize=True, database=None, deadline=None, max_examples=400, suppress_health_check=list(HealthCheck)
)


@thorough
@given(drawn=members, with_id=st.booleans())
def test_any_object(*, drawn: list[tuple[str, str]], with_id: bool) -> None:
    """Members of any value, in any order, repeated or not."""
    whole = [*([("id", '"ord_1"')] if with_id else []), *drawn]
    assert agree(order(whole), repeated=repeats(whole))


@thorough
@given(
    code=st.sampled_from(["order.created", "order.shipped"]),
    changed=members.filter(lambda drawn: not repeats(drawn)),
    left_out=st.sets(st.sampled_from(MEMBERS)),
)
def test_changed_orders(code: str, changed: list[tuple[str, str]], left_out: set[str]) -> None:
    """An order as documented, with members left out or changed."""
    kept = {name: json.dumps(value) for name, value in example_order(code).items() if name not in left_out}
    assert agree(order(list({**kept, **dict(changed)}.items())))


@thorough
@given(data=st.data())
def test_damaged_text(data: st.DataObject) -> None:
    """An order with characters dropped, changed or inserted."""
    text = json.dumps(example_order("order.created"))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text) - 1))
        put = data.draw(st.sampled_from(["", '"', ",", "\\", "0", " ", "}", "\n", "é"]))
        text = text[:at] + put + text[at + data.draw(st.integers(0, 2)) :]
    assert agree(text.encode(), repeated=True)


@pytest.mark.parametrize("text", ODD)
def test_odd_values(text: str) -> None:
    """Each odd value in each member, alone and repeated."""
    for member in [*MEMBERS, "note"]:
        rest = [] if member == "id" else [("id", '"ord_1"')]
        assert agree(order([*rest, (member, text)])), member
        for twice in ([(member, text), (member, '"x"')], [(member, "1"), (member, text)]):
            assert agree(order([*rest, *twice]), repeated=True), member


@pytest.mark.parametrize("member", ["id", "quantity_ordered", "note"])
@pytest.mark.parametrize("text", [*BROKEN, *LITERALS])
def test_invalid_json_is_refused(member: str, text: str) -> None:
    """In a known member and in one that is skipped; alone and in a batch."""
    data = order([("id", '"ord_1"'), (member, text)])
    assert not decoder_accepts(data)
    assert not published(data)
    with pytest.raises((InvalidInput, MalformedBody)):
        asyncio.run(decode_batch(b'{"events":[' + event(b'{"id":"1"}') + b"," + event(data) + b"]}"))


@pytest.mark.parametrize("name", [r'"i\u0064"', r'"\u0069d"'])
def test_escaped_names_are_names(name: str) -> None:
    """A name that is written with escapes is the same name."""
    for text, accepted in (('"ord_1"', True), ("1", False)):
        data = f"{{{name}:{text}}}".encode()
        assert (decoder_accepts(data), schema_accepts(data), published(data)) == (accepted,) * 3


@pytest.mark.parametrize("depth", [50, 190, 250, 900, 1_500, 100_000])
@pytest.mark.parametrize(("opening", "inner", "closing"), [("[", "", "]"), ('{"a":', "1", "}")])
def test_depth(opening: str, inner: str, closing: str, depth: int) -> None:
    """A member nested however deeply is accepted unchanged or refused with a reason; to 190 levels it is accepted."""
    data = order([("id", '"ord_1"'), ("note", opening * depth + inner + closing * depth)])
    accepted = published(data)
    assert depth > 190 or (accepted and schema_accepts(data))


@pytest.mark.parametrize("digits", [19, 20, 40, 4_299, 4_302, 10_000])
def test_long_numbers(digits: int) -> None:
    """Both agree on integers of any length; in a member that is passed through any number is accepted."""
    for text in ("9" * digits, "-" + "9" * digits):
        assert agree(order([("id", '"ord_1"'), ("quantity_ordered", text)]))
        assert published(order([("id", '"ord_1"'), ("note", text)]))


@pytest.mark.parametrize(
    "data",
    [b'{"id":"\xff"}', b'{"id":"1","note":"\xed\xa0\x80"}', b'{"id":"1","\xc3":1}', b'{"id":"1","note":"\xc0\x80"}'],
)
def test_invalid_utf_8_is_refused(data: bytes) -> None:
    """Also in members that the decoder skips."""
    assert not published(data)
    assert not schema_accepts(data)


def test_only_the_id_is_required() -> None:
    """Whatever is absent has no value; the example has every member."""
    assert [field.name for field in msgspec.structs.fields(Order) if field.required] == ["id"]
    assert set(MEMBERS) <= set(example_order("order.created"))


@pytest.mark.parametrize("last", [b'{"id":"1"}', b'{"id":1}'], ids=["valid", "invalid"])
async def test_a_batch_is_decoded_in_slices(last: bytes) -> None:
    """Let others run between the events of a large batch, whether it is published or refused."""
    good = event(b'{"id":"1","note":"' + b"x" * SLICE + b'"}')
    decoding = asyncio.ensure_future(decode_batch(b'{"events":[' + b",".join([*[good] * 4, event(last)]) + b"]}"))
    turns: list[None] = []

    def others_run() -> None:
        turns.append(None)
        if not decoding.done():
            asyncio.get_running_loop().call_soon(others_run)

    others_run()
    await asyncio.wait([decoding])
    assert isinstance(decoding.exception(), InvalidInput) == (last == b'{"id":1}')
    assert len(turns) > 4
