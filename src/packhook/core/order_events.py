"""Describe the three order events, with the example order of test events and of the OpenAPI document."""

from typing import Any, Final

from packhook.core.model import EventType

_CREATED: Final = "2024-08-02T09:30:00.000Z"
_LATER: Final = "2024-08-03T14:05:00.000Z"


def example_order(event_code: str) -> dict[str, Any]:
    """Return the order resource at the time of this event."""
    order: dict[str, Any] = {
        "id": "ord_example_0001",
        "brand_id": "brd_example",
        "customer_id": "cus_example",
        "integration_id": None,
        "integration_reference": None,
        "quantity_ordered": 2,
        "quantity_allocated": 0,
        "quantity_shipped": 0,
        "quantity_unallocated": 2,
        "reference": "EXAMPLE-0001",
        "status": "created",
        "customs_invoice_number": None,
        "customs_shipment_type": None,
        "canceled_at": None,
        "shipped_at": None,
        "created_at": _CREATED,
        "updated_at": _CREATED,
        "updatable": True,
        "total": {"currency": "EUR", "value": "19.90"},
    }
    if event_code == "order.shipped":
        order |= {"status": "shipped", "quantity_allocated": 2, "quantity_shipped": 2, "quantity_unallocated": 0}
        order |= {"shipped_at": _LATER, "updated_at": _LATER, "updatable": False}
    if event_code == "order.canceled":
        order |= {"status": "canceled", "canceled_at": _LATER, "updated_at": _LATER, "updatable": False}
    return order


ORDER_EVENTS: Final = tuple(
    EventType(code=code, description=description, example=example_order(code))
    for code, description in (
        ("order.canceled", "An order was canceled"),
        ("order.created", "An order was created"),
        ("order.shipped", "An order was shipped"),
    )
)
