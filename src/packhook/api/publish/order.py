"""The order resource, as its vendor documents it: the ``data`` of the three order events.

Only ``id`` is required when an event is published. Known members must have their documented type; other members pass
through unchanged.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from packhook.core.order_events import example_order

_Count = Annotated[int, Field(strict=True)]

Status = Literal["created", "expected", "unallocated", "allocated", "canceled", "partially_shipped", "shipped"]
ShipmentType = Literal["documents", "gift", "returned_goods", "sale_goods", "sample"]


def _describe(schema: dict[str, Any]) -> None:
    """Drop the defaults, which an absent member does not have on the wire, and add an example."""
    for member in schema.get("properties", {}).values():
        member.pop("default", None)
    schema["examples"] = [example_order("order.created")]


class Order(BaseModel):
    """Describe an order at the moment of the event."""

    model_config = ConfigDict(extra="allow", strict=True, json_schema_extra=_describe)

    id: str = Field(min_length=1)
    brand_id: str = ""
    customer_id: str | None = None
    integration_id: str | None = None
    integration_reference: str | None = None
    quantity_ordered: _Count = 0
    quantity_allocated: _Count = 0
    quantity_shipped: _Count = 0
    quantity_unallocated: _Count = 0
    reference: str = ""
    status: Status = "created"
    customs_invoice_number: str | None = None
    customs_shipment_type: ShipmentType | None = None
    canceled_at: str | None = None
    shipped_at: str | None = None
    created_at: str = ""
    updated_at: str = ""
    updatable: bool = True
