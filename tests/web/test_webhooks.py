"""Test what an operator does with a webhook, page by page, as a browser without JavaScript does it."""

from collections.abc import Iterator

import pytest

from packhook.testing import Receiver
from packhook.web import formats
from support.api_node import eventually
from support.certificates import pair
from web.conftest import Browser
from web.sample import BY, EMPTY, SECRET, raw_event
from web.served import Served

ACME = f"/dashboard/organizations/{EMPTY}"


@pytest.fixture
def receiver(served: Served) -> Iterator[Receiver]:
    """Yield a receiver on the server's event loop."""
    found = Receiver()
    served.run(found.__aenter__())
    yield found
    served.run(found.__aexit__(None, None, None))


def _created(browser: Browser, endpoint: str, **fields: str) -> str:
    """Create a webhook through the form, and return the address of its page."""
    page = browser.read(f"{ACME}/new-webhook")
    response = browser.send(page, f"{ACME}/new-webhook", endpoint=endpoint, secret="q9NhjkjV9o", **fields)
    assert response.status_code == 303, response.text
    return str(response.headers["location"]).partition("?")[0]


def test_a_webhook_is_created_with_a_secret_of_its_own(browser: Browser) -> None:
    """Show the secret that packhook made once, and not on the webhook's page."""
    page = browser.read(f"{ACME}/new-webhook")
    response = browser.send(page, f"{ACME}/new-webhook", endpoint="https://made.example/in")
    assert (response.status_code, "whsec_" in response.text) == (200, True)
    listed = browser.read(f"{ACME}").all("a", class_="mono")
    path = next(link.attributes["href"] for link in listed if link.text.strip() == "made.example/in")
    shown = browser.read(path)
    secret = "whsec_" + response.text.split("whsec_")[1][:43]
    assert secret not in shown.html
    assert secret in browser.send(shown, f"{path}/secret").text
    assert "Webhook secret shown" in browser.read(path).text()


def test_a_wrong_form_says_everything_that_is_wrong(browser: Browser) -> None:
    """Keep what was typed, and mark each field."""
    page = browser.read(f"{ACME}/new-webhook")
    fields = {"endpoint": "ftp://x", "rate_limit": "many", "retry_schedule": "5 apples", "secret": "short"}
    response = browser.send(page, f"{ACME}/new-webhook", **fields)
    assert response.status_code == 422
    again = browser.page_of(response)
    wrong = {field.attributes["name"] for field in again.elements if field.attributes.get("aria-invalid")}
    assert wrong == set(fields)
    assert again.form(f"{ACME}/new-webhook")["retry_schedule"] == "5 apples"


def test_a_webhook_is_edited_paused_disabled_and_deleted(browser: Browser) -> None:
    """Change what was changed alone: the headers' values, which are not shown, stay."""
    path = _created(browser, "https://edit.example/in", headers="x-one: first", rate_limit="5", description="before")
    page = browser.read(f"{path}/edit")
    assert "first" not in page.html
    browser.follow(browser.send(page, f"{path}/edit", description="after", rate_limit=""))
    text = browser.read(path).text()
    assert "after" in text
    assert "x-one: ***" in text
    assert "Rate limit none" in text
    for change, state in (("pause", "Paused"), ("resume", "Healthy"), ("disable", "Disabled"), ("enable", "Healthy")):
        page = browser.read(path)
        fields = [field for form in page.all("form", action=f"{path}/change") for field in form.inner]
        values = [field.attributes["value"] for field in fields if field.attributes.get("name") == "to"]
        assert change in values
        token = page.form(f"{path}/secret")["token"]
        browser.follow(browser.client.post(f"{path}/change", data={"token": token, "to": change}))
        assert browser.read(path).all("span", class_="chip")[0].text == state
    page = browser.read(f"{path}/delete")
    assert "edit.example" in page.text()
    browser.follow(browser.send(page, f"{path}/delete"))
    assert browser.client.get(path).status_code == 404


def test_a_filter_and_a_thin_payload_are_set_kept_and_removed(browser: Browser, served: Served) -> None:
    """Take a filter of several lines as a browser sends it, and show it again as it was typed."""
    both = "data.brand_id == 'brd_1'\n&& event.type == 'order.created'"
    path = _created(browser, "https://thin.example/in", filter=both.replace("\n", "\r\n"), payload="thin")
    found = served.run(served.store.get_webhook(EMPTY, path.rpartition("/")[2]))
    assert (found.filter, found.payload) == (both, "thin")
    text = browser.read(path).text()
    assert "Filter data.brand_id == 'brd_1'" in text
    assert "Payload thin" in text
    page = browser.read(f"{path}/edit")
    kept = page.form(f"{path}/edit")
    assert (str(kept["filter"]).strip(), kept["payload"]) == (both, "thin")
    browser.follow(browser.send(page, f"{path}/edit"))
    assert served.run(served.store.get_webhook(EMPTY, found.id)).version == found.version
    text = browser.follow(browser.send(page, f"{path}/edit", filter="", payload="full")).text()
    assert "Filter none Payload full" in text


def test_a_filter_that_fails_says_so(browser: Browser, served: Served) -> None:
    """Count the events that it had no value for, name the last one, and lead to the form."""
    path = _created(browser, "https://typo.example/in", filter="data.no_such_member == 1", event_codes="order.*")
    assert "order.*" in browser.read(ACME).text()
    (receipt,) = served.run(served.service.publisher.publish(EMPTY, [raw_event("order.created", b'{"id": "ord_1"}')]))
    stored = served.store.filter_errors  # they are written after the receipt
    served.run(eventually(lambda: stored.of_webhook(EMPTY, path.rpartition("/")[2]), bool))
    page = browser.read(path)
    assert "The last of 1 event was" in page.text()
    assert page.all("a", href=f"{ACME}/events/{receipt.id}")
    assert "Edit the filter" in [link.text for link in page.all("a", href=f"{path}/edit")]
    browser.follow(browser.send(browser.read(f"{path}/edit"), f"{path}/edit", event_codes=""))
    assert "order.*" not in browser.read(ACME).text()
    assert browser.read(f"{path}/edit").form(f"{path}/edit")["event_codes"] == "\n"


def test_a_client_certificate_is_set_kept_replaced_and_removed(browser: Browser, served: Served) -> None:
    """Show whose it is and until when, and never the key; what is wrong stands beside its field."""
    first, second = pair(name="first.invalid"), pair(name="second.invalid")
    path = _created(browser, "https://mtls.example/in", **first)

    def stored() -> tuple[str, str]:
        found = served.run(served.store.get_webhook(EMPTY, path.rpartition("/")[2]))
        return found.client_certificate, found.client_key

    begun = stored()
    assert "CN=first.invalid" in browser.read(path).text()
    for page in (path, f"{path}/edit"):
        assert first["key"].splitlines()[1] not in browser.read(page).html
    browser.follow(browser.send(browser.read(f"{path}/edit"), f"{path}/edit", description="kept"))
    assert stored() == begun
    mixed = {**first, "key": second["key"]}
    swapped = {"certificate": first["key"], "key": first["certificate"]}
    for wrong in (mixed, swapped, {"certificate": first["certificate"]}, {"key": first["key"]}):
        refused = browser.send(browser.read(f"{path}/edit"), f"{path}/edit", **wrong)
        assert refused.status_code == 422
        labels = browser.page_of(refused).all("label", class_="has-wrong")
        assert {field.attributes["name"] for label in labels for field in label.inner if "name" in field.attributes}
        assert not [
            line for given in (first, second) for line in given["key"].splitlines()[1:-1] if line in refused.text
        ]
    assert stored() == begun
    browser.follow(browser.send(browser.read(f"{path}/edit"), f"{path}/edit", **second))
    assert "CN=second.invalid" in browser.read(path).text()
    browser.follow(browser.send(browser.read(f"{path}/edit"), f"{path}/edit", remove_certificate="on"))
    assert stored() == ("", "")
    assert "Certificate none" in browser.read(path).text()


@pytest.mark.parametrize(
    ("field", "typed", "message"),
    [
        ("filter", "data.brand_id ==\r\n  dat.id", "Line 2, column 3: "),
        ("filter", "data.id && data.id", "with the example of `order.created`"),
        ("payload", "half", "Expected `full` or `thin`."),
        ("event_codes", "order.*\nno spaces", "Expected"),
        ("event_codes", "order.shipped", "Expected a code or pattern that matches event_code"),
    ],
)
def test_what_is_wrong_with_a_subscription_stands_beside_its_field(
    browser: Browser, field: str, typed: str, message: str
) -> None:
    """Mark the field alone, with the place in a filter, and keep what was typed."""
    action = f"{ACME}/new-webhook"
    fields = {"event_code": "order.created", "endpoint": "https://x.example/in", field: typed}
    response = browser.send(browser.read(action), action, **fields)
    assert response.status_code == 422
    page = browser.page_of(response)
    (label,) = page.all("label", class_="has-wrong")
    (wrong,) = [found for found in label.inner if found.attributes.get("aria-invalid") or found.name == "select"]
    assert wrong.attributes["name"] == field
    assert message in next(found.text for found in label.inner if "wrong" in found.attributes.get("class", ""))


def test_a_webhook_says_whether_it_would_get_an_event(browser: Browser, served: Served) -> None:
    """Say yes or no in words for an event that was published, and mark an id that is none of this organization's."""
    service, own = served.service, "matching"
    served.run(service.organizations.create(own, "Matching", BY))
    event = raw_event("order.created", b'{"id": "ord_match", "n": 1}')
    (receipt,) = served.run(service.publisher.publish(own, [event]))
    fields = {"event_code": "order.created", "endpoint": "https://match.example/in", "secret": SECRET}
    made = served.run(service.webhooks.create(own, fields, BY))

    def asked(event_id: str = receipt.id, status: int = 200, /, **changed: object) -> str:
        if changed:
            served.run(service.webhooks.update(own, made.id, changed, BY))
        page = browser.read(f"/dashboard/organizations/{own}/webhooks/{made.id}?event_id={event_id}", status)
        (field,) = [found for found in page.all("input") if found.attributes.get("name") == "event_id"]
        assert field.attributes["value"] == event_id
        return page.text().partition("Would it get this event?")[2]

    assert "Yes. As the webhook is set now, it gets this event" in asked()
    assert "Its filter is false for this event." in asked(filter="data.n > 1")
    text = asked(filter="data.absent > 1", paused=True)
    assert "Its filter has no value for this event, which counts as a match:" in text
    assert "The webhook is paused: its deliveries wait until it is resumed." in text
    text = asked(event_code="order.shipped", enabled=False)
    assert "it does not get this event : The webhook is disabled: events create no deliveries." in text
    assert "It subscribes to order.shipped, not to order.created." in text
    for absent in ("evt_none", served.shop.event):
        assert "has no event with this id" in asked(absent, 422)
    assert "64 characters" in asked("e" * 65, 422)


def test_a_test_event_and_the_doctor_show_the_exchange(browser: Browser, receiver: Receiver) -> None:
    """Show request, body as it was sent, and response, and the doctor's findings."""
    path = _created(browser, receiver.url + "/hook", payload="thin")
    page = browser.read(path)
    tested = browser.send(page, f"{path}/test")
    assert (tested.status_code, "webhook-signature: v1," in tested.text) == (200, True)
    assert "accepted the signed test event with 200" in browser.page_of(tested).text()
    assert formats.pretty_json(receiver.received[0].body) in [text.text for text in browser.page_of(tested).all("pre")]
    examined = browser.send(page, f"{path}/diagnose")
    assert examined.status_code == 200
    assert "In order" in browser.page_of(examined).text()


def test_a_secret_is_rotated_with_an_overlap(browser: Browser) -> None:
    """Show the new secret once; the page says until when the one before signs, too."""
    path = _created(browser, "https://rotate.example/in")
    page = browser.read(f"{path}/rotate")
    assert browser.send(page, f"{path}/rotate", overlap="9 moons").status_code == 422
    response = browser.send(page, f"{path}/rotate", overlap="2h")
    assert (response.status_code, "whsec_" in response.text) == (200, True)
    assert "Secret before also signs until in 2 hours" in browser.read(path).text()


def test_a_replay_is_previewed_run_paused_and_canceled(browser: Browser, served: Served) -> None:
    """Send what the preview counted, and nothing else; a form that is sent twice makes one replay."""
    path = f"/dashboard/organizations/northwind/webhooks/{served.shop.failing.id}"
    page = browser.read(f"{path}/replay")
    chosen = {"select": "delivered", "since": "2026-11-29T00:00"}
    preview = browser.page_of(browser.send(page, f"{path}/replay", do="preview", **chosen))
    (button,) = [found for found in preview.all("button") if found.attributes.get("value") == "create"]
    assert button.text.startswith("Send ")
    first = browser.send(preview, f"{path}/replay", do="create")
    assert browser.send(preview, f"{path}/replay", do="create").headers["location"] == first.headers["location"]
    other = browser.send(preview, f"{path}/replay", do="create", subject="ord_none")
    assert other.status_code == 422
    assert "changed after the preview" in other.text
    assert "No event matches." in browser.page_of(other).text()
    replay = browser.follow(first)
    assert "Running." in replay.text()
    address = first.headers["location"].partition("?")[0]
    token = preview.form(f"{path}/replay")["token"]
    for change, word in (("pause", "Paused."), ("resume", "Running."), ("cancel", "Canceled.")):
        changed = browser.follow(browser.client.post(f"{address}/change", data={"token": token, "to": change}))
        assert word in changed.text()
    assert browser.client.post(f"{address}/change", data={"token": token, "to": "pause"}).status_code == 409
    assert browser.send(page, f"{path}/replay", since="whenever").status_code == 422


def test_another_organization_and_an_unknown_id_are_not_found(browser: Browser, served: Served) -> None:
    """Respond 404 with a page, as the API does."""
    webhook_id = served.shop.failing.id
    for path in (
        f"{ACME}/webhooks/{webhook_id}",
        f"{ACME}/webhooks/{webhook_id}/edit",
        "/dashboard/organizations/none",
    ):
        assert "There is nothing here" in browser.read(path, 404).text()
    token = browser.read(f"{ACME}/new-webhook").form(f"{ACME}/new-webhook")["token"]
    for action in ("change", "delete", "test", "diagnose", "secret", "rotate"):
        data = {"token": token, "to": "pause"}
        assert browser.client.post(f"{ACME}/webhooks/{webhook_id}/{action}", data=data).status_code == 404, action


def test_an_organization_is_created_and_deleted(browser: Browser) -> None:
    """Ask for its id before it is deleted."""
    page = browser.read("/dashboard/organizations")
    assert browser.send(page, "/dashboard/organizations", id="a b").status_code == 422
    assert browser.send(page, "/dashboard/organizations", id="acme").status_code == 422
    browser.follow(browser.send(page, "/dashboard/organizations", id="short_lived", name="<b>Bold</b>"))
    path = "/dashboard/organizations/short_lived/delete"
    page = browser.read(path)
    assert "<b>Bold" not in page.html
    assert browser.send(page, path, typed="wrong").status_code == 409
    browser.follow(browser.send(page, path, typed="short_lived"))
    assert browser.client.get("/dashboard/organizations/short_lived").status_code == 404
