"""What a page says after a form was sent: short sentences by the code that stands in the address."""

from typing import Final

NOTICES: Final = {
    "api-key-revoked": "The key is revoked: it is refused from now on.",
    "delivery-retried": "The delivery is sent now. This page shows what comes of it.",
    "organization-created": "The organization was created.",
    "organization-deleted": "The organization was deleted. Its keys and webhooks stopped at once.",
    "signed-out": "You are signed out.",
}
