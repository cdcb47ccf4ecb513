"""The order resource (documented as the vendor's), which is the data of the three order events.

Only ``id`` must be there when an event is published; what is there must have its documented type; other members pass
through untouched.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct
from pydantic import BaseModel, ConfigDict, Field

from packhook.service.example import example_order

_Count = Annotated[int, Field(strict=True)]

Status = Literal["created", "expected", "unallocated", "allocated", "canceled", "partially_shipped", "shipped"]
ShipmentType = Literal["documents", "gift", "returned_goods", "sale_goods", "sample"]


def _describe(schema: dict[str, Any]) -> None:
    """An absent member has no default on the wire."""
    for member in schema.get("properties", {}).values():
        member.pop("default", None)
    schema["examples"] = [example_order("order.created")]


class Order(BaseModel):
    """An order, at the moment of the event."""

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


class QuickOrder(Struct, gc=False):
    """The same, for the decoder of the hot path; a test holds the two together."""

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


decode_order = msgspec.json.Decoder(QuickOrder).decode
