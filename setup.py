"""The one thing about the build that pyproject.toml cannot say: which modules are compiled, where that is asked for.

``PACKHOOK_COMPILE=1`` makes a wheel with these as machine code (mypyc), for the Python that builds it; it needs a C
compiler, and packhook's dependencies installed beside it, for their types: ``make wheel``. Everything else is the same
pure Python as ever. See docs/decisions/0024-the-way-of-an-event-is-compiled.md.
"""

import os

from setuptools import Extension, setup

COMPILED = (
    "api/bearer.py",
    "api/bodies.py",
    "api/door.py",
    "api/exchange.py",
    "api/held.py",
    "api/lean.py",
    "api/protocol.py",
    "api/publish.py",
    "api/quick.py",
    "core/clock.py",
    "core/ids.py",
    "core/judge.py",
    "core/signature.py",
    "delivery/answer.py",
    "delivery/attempt.py",
    "delivery/causes.py",
    "delivery/connection.py",
    "delivery/curl.py",
    "delivery/dispatch.py",
    "delivery/engine.py",
    "delivery/holds.py",
    "delivery/lane.py",
    "delivery/libcurl.py",
    "delivery/plain.py",
    "delivery/record.py",
    "delivery/send.py",
    "delivery/traffic.py",
    "delivery/turns.py",
    "service/access.py",
    "service/limits.py",
    "service/publish.py",
    "store/ending.py",
    "store/leasing.py",
    "store/rows.py",
    "store/sqlite/publish.py",
    "store/sqlite/asking.py",
    "store/sqlite/record.py",
    "store/sqlite/store.py",
    "store/sqlite/writer.py",
)
"""The way of one event, from its request to its record; relative to ``src/packhook``."""


def extensions() -> list[Extension]:
    """Nothing, unless it is asked for."""
    if os.environ.get("PACKHOOK_COMPILE", "") in {"", "0"}:
        return []
    from mypyc.build import mypycify  # noqa: PLC0415 only who compiles has it

    made: list[Extension] = mypycify([f"src/packhook/{module}" for module in COMPILED], opt_level="3")
    return made


setup(ext_modules=extensions())
