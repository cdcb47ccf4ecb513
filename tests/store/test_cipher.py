"""Test the cipher: a text is decrypted only with its master key and in its own place, and shows nothing otherwise."""

import base64
import re
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhook.core.errors import InvalidSettings, Unavailable
from packhook.core.signatures.standard import secret_problem
from packhook.service import rules
from packhook.settings import MasterKey, Settings, parse_master_keys
from packhook.settings_sources import load_settings
from packhook.store.encryption.cipher import PREFIX, Cipher, encrypted_under

OLD: Final[MasterKey] = ("k1", bytes(range(32)))
NEW: Final[MasterKey] = ("k2", bytes(range(32, 64)))
SECRET: Final = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
RECORD: Final = "webhook acme/wh_1"
PLACE: Final = (RECORD, "secret")
VISIBLE: Final = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E))


def text_of(key: MasterKey) -> str:
    """Return a key in the form of the setting."""
    return f"{key[0]}:{base64.b64encode(key[1]).decode()}"


def raw(sealed: str) -> bytes:
    """Return the decoded bytes: nonce, ciphertext and tag."""
    return base64.b64decode(sealed.rpartition(".")[2])


def with_raw(sealed: str, changed: bytes) -> str:
    """Return the encrypted text with other bytes."""
    return f"{sealed.rpartition('.')[0]}.{base64.b64encode(changed).decode()}"


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_text_is_decrypted_as_it_was(text: str) -> None:
    """This holds for any text, also for the empty one."""
    cipher = Cipher([OLD])
    assert cipher.decrypt(cipher.encrypt(text, *PLACE), *PLACE) == text


def test_an_encrypted_text_shows_its_key_id_and_nothing_else() -> None:
    """It is the prefix, the key's id, and 12 bytes of nonce and 16 of tag more than the text."""
    sealed = Cipher([OLD]).encrypt(SECRET, *PLACE)
    assert re.fullmatch(r"§v1\.k1\.[A-Za-z0-9+/]+=*", sealed)
    assert len(raw(sealed)) == 12 + len(SECRET) + 16
    assert encrypted_under(sealed) == "k1"


def test_no_two_encryptions_are_equal() -> None:
    """Nonce and ciphertext differ, so the database does not show which secrets are equal."""
    cipher = Cipher([OLD])
    sealed = [raw(cipher.encrypt(SECRET, *PLACE)) for _ in range(100)]
    assert len({item[:12] for item in sealed}) == len({item[12:] for item in sealed}) == 100


def test_the_newest_key_encrypts_and_each_decrypts() -> None:
    """The newest key is the first; texts under older ones stay readable."""
    before = Cipher([OLD]).encrypt(SECRET, *PLACE)
    cipher = Cipher([NEW, OLD])
    after = cipher.encrypt(SECRET, *PLACE)
    assert [cipher.newest, encrypted_under(before), encrypted_under(after)] == ["k2", "k1", "k2"]
    assert [cipher.decrypt(item, *PLACE) for item in (before, after)] == [SECRET, SECRET]
    assert cipher.missing({"k3", "k1", "k0"}) == ["k0", "k3"]


def test_a_missing_key_is_named() -> None:
    """The error also names the field that is encrypted under it."""
    sealed = Cipher([OLD]).encrypt(SECRET, *PLACE)
    with pytest.raises(Unavailable) as refused:
        Cipher([NEW]).decrypt(sealed, *PLACE)
    assert (
        refused.value.detail == "secret of webhook acme/wh_1 is encrypted under the master key 'k1', which is not here"
    )


NOT_OPENED: Final = (
    "secret of webhook acme/wh_1 does not decrypt under the master key 'k1': it was changed or moved in the database, "
    "or another key has this id"
)


@pytest.mark.parametrize(
    "change",
    [
        lambda sealed: sealed[:-5],
        lambda sealed: sealed + "A",
        lambda sealed: sealed.replace(".", ". ", 2),
        lambda _: f"{PREFIX}k1.",
        lambda _: f"{PREFIX}k1",
        lambda _: f"{PREFIX}k1.AAAA",
        lambda _: f"{PREFIX}k1.not base64 at all",
        lambda sealed: with_raw(sealed, raw(sealed)[:12]),
        lambda sealed: with_raw(sealed, raw(sealed)[:-1]),
        lambda sealed: with_raw(sealed, raw(sealed) + b"\0"),
    ],
)
def test_a_changed_text_is_not_decrypted(change: Callable[[str], str]) -> None:
    """It is shorter, longer, or no longer base64."""
    cipher = Cipher([OLD])
    with pytest.raises(Unavailable):
        cipher.decrypt(change(cipher.encrypt(SECRET, *PLACE)), *PLACE)


def test_no_flipped_bit_is_accepted() -> None:
    """This holds for nonce, text and tag. The error names place and key id, and shows neither secret nor key."""
    cipher = Cipher([OLD])
    sealed = cipher.encrypt(SECRET, *PLACE)
    for bit in range(8 * len(raw(sealed))):
        changed = bytearray(raw(sealed))
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Unavailable) as refused:
            cipher.decrypt(with_raw(sealed, bytes(changed)), *PLACE)
        assert refused.value.detail == NOT_OPENED


@pytest.mark.parametrize(
    "place",
    [
        ("webhook acme/wh_2", "secret"),
        ("webhook other/wh_1", "secret"),
        (RECORD, "header secret"),
        (RECORD, ""),
        ("", "secret"),
        (f"{RECORD}\0secret", ""),
    ],
)
def test_a_text_is_decrypted_only_in_its_own_place(place: tuple[str, str]) -> None:
    """It is refused in another row, another organization or another field."""
    cipher = Cipher([OLD])
    sealed = cipher.encrypt(SECRET, *PLACE)
    with pytest.raises(Unavailable, match="changed or moved"):
        cipher.decrypt(sealed, *place)


def test_another_key_with_the_same_id_decrypts_nothing() -> None:
    """The error names that cause."""
    sealed = Cipher([OLD]).encrypt(SECRET, *PLACE)
    with pytest.raises(Unavailable) as refused:
        Cipher([("k1", NEW[1])]).decrypt(sealed, *PLACE)
    assert refused.value.detail == NOT_OPENED


@given(VISIBLE)
def test_a_value_that_the_api_accepts_never_looks_encrypted(text: str) -> None:
    """So a secret stored before encryption comes back unchanged."""
    for imitated in (text, f"v1.k1.{text}", Cipher([OLD]).encrypt(text, *PLACE).removeprefix("§")):
        assert encrypted_under(imitated) is None
        assert Cipher([NEW]).decrypt(imitated, *PLACE) == imitated


def test_the_api_refuses_a_value_that_looks_encrypted() -> None:
    """The prefix is not ASCII, so neither a secret nor a header value may begin with it."""
    sealed = Cipher([OLD]).encrypt(SECRET, *PLACE)
    assert secret_problem(sealed) == "expected printable ASCII characters without spaces"
    with pytest.raises(ValueError, match="visible ASCII"):
        rules.headers({"x-key": sealed})


def test_the_cipher_and_the_settings_do_not_show_their_keys() -> None:
    """Neither ``str`` nor ``repr`` shows them."""
    settings = Settings(master_keys=f"{text_of(NEW)},{text_of(OLD)}")
    cipher = Cipher(settings.master_keys)
    shown = " ".join((repr(settings), str(settings), repr(cipher), str(cipher)))
    for key_id, key in (OLD, NEW):
        for form in (repr(key), repr(key)[2:-1], base64.b64encode(key).decode(), key.hex()):
            assert form not in shown, key_id


@pytest.mark.parametrize(
    ("setting", "keys"),
    [
        ("", ()),
        (text_of(OLD), (OLD,)),
        (f"{text_of(NEW)},{text_of(OLD)}", (NEW, OLD)),
        (f" {text_of(NEW)} ,\n{text_of(OLD)},", (NEW, OLD)),
        ([text_of(NEW), text_of(OLD)], (NEW, OLD)),
        (f"Key_2026-08:{'+' * 43}=", (("Key_2026-08", base64.b64decode("+" * 43 + "=")),)),
    ],
)
def test_valid_settings(setting: Any, keys: tuple[MasterKey, ...]) -> None:  # noqa: ANN401 what a file may hold
    """Keys have ids, and the newest comes first."""
    assert Settings(master_keys=setting).master_keys == keys


WRONG: Final = {
    "no id": text_of(OLD).partition(":")[2],
    "an empty id": text_of(OLD).removeprefix("k1"),
    "an id with a dot": f"k.{text_of(OLD)}",
    "an id that is too long": "k" * 64 + text_of(OLD),
    "31 bytes": f"k1:{base64.b64encode(bytes(31)).decode()}",
    "33 bytes": f"k1:{base64.b64encode(bytes(33)).decode()}",
    "hex": f"k1:{OLD[1].hex()}",
    "not base64": "k1:" + "*" * 43 + "=",
    "the alphabet of URLs": "k1:" + "_" * 43 + "=",
    "one wrong of two": f"{text_of(NEW)},k1:abc",
    "one id twice": f"{text_of(OLD)},k1:{'A' * 43}=",
    "a number": 1,
    "bytes": [b"k1:" + b"A" * 43 + b"="],
}


@pytest.mark.parametrize("setting", WRONG.values(), ids=WRONG)
def test_invalid_settings(setting: Any) -> None:  # noqa: ANN401 as above
    """They are refused with an error that shows nothing of a key."""
    with pytest.raises(ValueError, match="expected") as refused:
        Settings(master_keys=setting)
    for part in re.findall(r"[A-Za-z0-9+/=_*]{20,}", str(setting)):
        assert part not in str(refused.value)


def test_an_invalid_environment_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error at start names the setting and which of its keys is wrong."""
    monkeypatch.setenv("PACKHOOK_MASTER_KEYS", f"{text_of(NEW)},{text_of(OLD)[:-1]}")
    with pytest.raises(InvalidSettings) as refused:
        load_settings()
    setting = "expected ID:BASE64 of 32 bytes, an id of the characters A-Z a-z 0-9 _ -"
    assert refused.value.detail == f"master_keys: master key 2: {setting}"


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=5))
def test_keys_are_read_as_they_are_written(keys: list[bytes]) -> None:
    """A key may be any 32 bytes."""
    named = tuple((f"k{number}", key) for number, key in enumerate(keys))
    assert parse_master_keys([text_of(key) for key in named]) == named
