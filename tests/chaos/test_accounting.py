"""Test the verdict of the chaos proof: what is a violation, and what is not."""

from chaos.accounting import Ledger, Verdict

PATHS = ("/a", "/b")


def _ledger(*owed: str) -> Ledger:
    """Return a ledger with these orders owed, each arrived once at each path."""
    ledger = Ledger(PATHS)
    for order in owed:
        ledger.owe(order)
        for path in PATHS:
            ledger.record_arrival(path, order, f"evt_{order}", accepted=True, well_signed=True)
    return ledger


def test_everything_arrived_is_proven() -> None:
    """Count two orders at two webhooks as four deliveries."""
    verdict = _ledger("1", "2").verdict()
    assert verdict == Verdict(owed=4, arrived=4, lost=[], duplicates=0, unexpected=[], split=[], badly_signed=0)
    assert verdict.is_proven


def test_an_order_that_one_webhook_lacks_is_lost() -> None:
    """Require the arrival at every path, not at one of two."""
    ledger = _ledger("1")
    ledger.owe("2")
    ledger.record_arrival("/a", "2", "evt_2", accepted=True, well_signed=True)
    assert ledger.missing() == ["2"]
    assert not ledger.verdict().is_proven


def test_a_failed_attempt_is_no_arrival() -> None:
    """Count only attempts that the receiver answered 2xx."""
    ledger = _ledger()
    ledger.owe("1")
    for path in PATHS:
        ledger.record_arrival(path, "1", "evt_1", accepted=False, well_signed=True)
    assert ledger.missing() == ["1"]


def test_duplicates_are_counted_and_are_no_violation() -> None:
    """Allow duplicates, because the promise is at least once."""
    ledger = _ledger("1")
    ledger.record_arrival("/a", "1", "evt_1", accepted=True, well_signed=True)
    assert ledger.verdict().duplicates == 1
    assert ledger.verdict().is_proven


def test_a_refused_order_must_not_arrive() -> None:
    """Report a refused order that arrives at one path."""
    ledger = _ledger("1")
    ledger.refused.add("invalid")
    ledger.record_arrival("/b", "invalid", "evt_9", accepted=True, well_signed=True)
    assert ledger.verdict().unexpected == ["invalid"]
    assert not ledger.verdict().is_proven


def test_one_order_has_one_event_id() -> None:
    """Report an order that arrives under two event ids: a repeated publish made a second event."""
    ledger = _ledger("1")
    ledger.record_arrival("/a", "1", "evt_other", accepted=True, well_signed=True)
    assert ledger.verdict().split == ["1"]
    assert not ledger.verdict().is_proven


def test_a_bad_signature_is_no_arrival_and_a_violation() -> None:
    """Report badly signed requests, and do not count them as arrivals."""
    ledger = _ledger()
    ledger.owe("1")
    for path in PATHS:
        ledger.record_arrival(path, "1", "evt_1", accepted=True, well_signed=False)
    verdict = ledger.verdict()
    assert (verdict.lost, verdict.badly_signed, verdict.is_proven) == (["1"], 2, False)


def test_an_order_of_a_quiet_webhook_is_owed_there_only() -> None:
    """Require the arrival at the paths that the order names."""
    ledger = _ledger()
    ledger.owe("1", "/quiet")
    assert (ledger.verdict().owed, ledger.verdict().lost) == (1, ["1"])
    ledger.record_arrival("/quiet", "1", "evt_1", accepted=True, well_signed=True)
    assert ledger.verdict().is_proven
