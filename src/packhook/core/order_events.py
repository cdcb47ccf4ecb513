"""Define the three order events: the order resource as its vendor documents it, and an example of it for each event.

``Order`` is the one definition of an order: publishing decodes with it, and the documented schema is made from it. Only
``id`` is required when an event is published. Known members must have their documented type; other members pass
through.
"""

from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from packhook.core.model import EventType
from packhook.core.struct_schema import schema_of

_CREATED: Final = "2024-08-02T09:30:00.000Z"
_LATER: Final = "2024-08-03T14:05:00.000Z"

Status = Literal["created", "expected", "unallocated", "allocated", "canceled", "partially_shipped", "shipped"]
ShipmentType = Literal["documents", "gift", "returned_goods", "sale_goods", "sample"]


class Order(Struct, gc=False):
    """Describe an order at the moment of the event."""

    id: Annotated[str, Meta(min_length=1)]
    brand_id: str = ""
    customer_id: str | None = None
    integration_id: str | None = None
    integration_reference: str | None = None
    quantity_ordered: int = 0
    quantity_allocated: int = 0
    quantity_shipped: int = 0
    quantity_unallocated: int = 0
    reference: str = ""
    status: Status = "created"
    customs_invoice_number: str | None = None
    customs_shipment_type: ShipmentType | None = None
    canceled_at: str | None = None
    shipped_at: str | None = None
    created_at: str = ""
    updated_at: str = ""
    updatable: bool = True


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
    EventType(
        code=code,
        description=description,
        schema=schema_of(Order),
        example=example_order(code),
        subject_pointer="/id",
        reference_pointers=("/reference", "/integration_reference"),
    )
    for code, description in (
        ("order.canceled", "An order was canceled"),
        ("order.created", "An order was created"),
        ("order.shipped", "An order was shipped"),
    )
)
