"""Realistic orders: created, allocated, then shipped or canceled. Invented, and the same for the same seed."""

import random
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

Event = tuple[str, dict[str, Any]]

_PEOPLE: Final = ("Amélie Laurent", "Jonas Weber", "Zoë Janssen", "Marek Nowák", "Chiara Rossi", "Søren Holm", "李 娜")
_PLACES: Final = (
    ("Rue des Lilas 12", "75011", "Paris", "FR"),
    ("Hauptstraße 8", "10827", "Berlin", "DE"),
    ("Keizersgracht 201", "1016 DT", "Amsterdam", "NL"),
    ("Via Garibaldi 5", "20121", "Milano", "IT"),
    ("Nørregade 31", "1165", "København", "DK"),
)
_PRODUCTS: Final = (
    ("MUG-BLUE", "Stoneware mug, blue", "14.50"),
    ("TEA-OOL", "Oolong tea, 100 g", "9.95"),
    ("SOCK-42", "Wool socks, size 42", "12.00"),
    ("LAMP-S", "Desk lamp, small", "49.90"),
    ("BOOK-7", "Notebook, dotted", "7.25"),
)
_CANCELED_PER_TEN: Final = 2
_MAX_OPEN: Final = 4


def events(seed: int) -> Iterator[Event]:
    """Yield (event code, order) without end; several orders are open at once."""
    rng = random.Random(seed)  # noqa: S311 invented orders, not security
    open_orders: deque[dict[str, Any]] = deque()
    number = 0
    now = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
    while True:
        now += timedelta(minutes=rng.randint(1, 40))
        if len(open_orders) < _MAX_OPEN:
            number += 1
            order = _create(rng, number, now)
            open_orders.append(order)
            yield "order.created", order
        else:
            yield _finish(rng, open_orders.popleft(), now)


def _create(rng: random.Random, number: int, now: datetime) -> dict[str, Any]:
    lines = [_line(rng, *product) for product in rng.sample(_PRODUCTS, rng.randint(1, 3))]
    quantity = sum(line["quantity"] for line in lines)
    total = sum((Decimal(line["price"]["value"]) * line["quantity"] for line in lines), Decimal(0))
    name = rng.choice(_PEOPLE)
    street, postcode, city, country = rng.choice(_PLACES)
    return {
        "id": f"ord_{rng.getrandbits(64):016x}",
        "brand_id": "brd_northwind",
        "customer_id": f"cus_{rng.getrandbits(32):08x}",
        "integration_id": "int_webshop",
        "integration_reference": f"#{10_000 + number}",
        "quantity_ordered": quantity,
        "quantity_allocated": 0,
        "quantity_shipped": 0,
        "quantity_unallocated": quantity,
        "reference": f"NW-{10_000 + number}",
        "status": "created",
        "customs_invoice_number": None,
        "customs_shipment_type": None,
        "canceled_at": None,
        "shipped_at": None,
        "created_at": _text(now),
        "updated_at": _text(now),
        "updatable": True,
        "address": {"name": name, "street": street, "postcode": postcode, "city": city, "country": country},
        "lines": lines,
        "total": {"currency": "EUR", "value": f"{total:.2f}"},
    }


def _line(rng: random.Random, sku: str, title: str, price: str) -> dict[str, Any]:
    money = {"currency": "EUR", "value": price}
    return {"sku": sku, "title": title, "quantity": rng.randint(1, 3), "price": money}


def _finish(rng: random.Random, order: dict[str, Any], now: datetime) -> Event:
    """Ship the order, or sometimes cancel it."""
    if rng.randint(1, 10) <= _CANCELED_PER_TEN:
        return "order.canceled", order | {
            "status": "canceled", "canceled_at": _text(now), "updated_at": _text(now), "updatable": False,
        }  # fmt: skip
    quantity = order["quantity_ordered"]
    allocated = order | {"status": "allocated", "quantity_allocated": quantity, "quantity_unallocated": 0}
    return "order.shipped", allocated | {
        "status": "shipped", "quantity_shipped": quantity, "shipped_at": _text(now), "updated_at": _text(now),
        "updatable": False, "customs_shipment_type": "sale_goods",
    }  # fmt: skip


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")
