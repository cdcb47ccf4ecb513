"""Test search over all organizations: ids at once, the rest slice by slice, and nothing of what was deleted."""

import pytest

from packhook.core.search import Found, FoundKind
from packhook.store import search
from packhook.store.base import Store
from packhook.store.postgres import dashboard as postgres
from packhook.store.sqlite import dashboard as sqlite
from packhook.testing.clock import START
from store.values import ACME, OTHER, event, new_entry, organization, publication, webhook
from support.values import replaced


async def test_an_id_leads_to_its_organization(store: Store) -> None:
    """Each kind of id; not one of a deleted webhook or organization, and not one that never was."""
    made = webhook(OTHER)
    await store.create_webhook(made, new_entry())
    (receipt,) = await store.publish(publication(event(OTHER)))
    (delivery,) = (await store.get_event(OTHER, receipt.id))[1]
    names = {FoundKind.WEBHOOK: made.id, FoundKind.EVENT: receipt.id, FoundKind.DELIVERY: delivery.id}
    for kind, name in names.items():
        assert await store.dashboard.owner_of(kind, name) == OTHER
    for name in ("rpl_1", "\0", ""):
        assert await store.dashboard.owner_of(FoundKind.REPLAY, name) is None
    await store.delete_webhook(OTHER, made.id, START, new_entry())
    assert await store.dashboard.owner_of(FoundKind.WEBHOOK, made.id) is None
    await store.delete_organization(OTHER, START, new_entry())
    assert await store.dashboard.owner_of(FoundKind.EVENT, receipt.id) is None


async def test_names_endpoints_and_orders_are_found_slice_by_slice(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Say where the next slice begins, also where one has nothing; take % and _ as they are."""
    for module in (search, sqlite, postgres):
        for name in ("SLICE", "ORDER_SLICE"):
            monkeypatch.setattr(module, name, 2)
    for number in range(3):
        await store.create_organization(
            replaced(organization(f"org-{number}"), name=f"The 50%_Shop {number}"), new_entry()
        )
    asked = store.dashboard
    names = list[str]()
    for after in ("", "org-0", "org-2"):
        part = await asked.search_organizations("50%_SHOP", after)
        names += [f"{found.name}: {found.text}" for found in part.found]
        assert part.after == {"": "org-0", "org-0": "org-2", "org-2": None}[after]
    assert names == [f"org-{number}: The 50%_Shop {number}" for number in range(3)]
    assert (await asked.search_organizations("50_%", "org")).found == ()

    made = [webhook(name, endpoint=f"https://Shop.example/{number}") for number, name in enumerate((ACME, OTHER, ACME))]
    for hook in made:
        await store.create_webhook(hook, new_entry())
    ids = [hook.id for hook in made]
    begun = await asked.search_webhooks("shop.EXAMPLE/", "", None)
    assert ([found.name for found in begun.found], begun.after) == (ids[:2], ids[1])
    assert [found.organization_id for found in begun.found] == [ACME, OTHER]
    assert [found.name for found in (await asked.search_webhooks("example/", ids[1], None)).found] == ids[2:]
    own = await asked.search_webhooks("example/", "", ACME)
    assert [(found.name, found.text) for found in own.found] == [(hook.id, hook.endpoint) for hook in made[::2]]

    for name, fields in ((ACME, {"subject": "ord_1", "reference_2": "A-1"}), ("org-1", {"subject": "A-1"})):
        await store.publish(publication(replaced(event(name), **fields)))
    found, after = list[Found](), ""
    while True:
        part = await asked.search_orders("A-1", after)
        found += part.found
        if part.after is None:
            break
        after = part.after
    assert [(one.kind, one.organization_id) for one in found] == [
        (FoundKind.REFERENCE, ACME),
        (FoundKind.SUBJECT, "org-1"),
    ]
