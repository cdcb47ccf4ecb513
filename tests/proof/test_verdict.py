"""The verdict of the proof: what is held against it, and what is not."""

from packhook.cli.prove.ledger import Ledger, Verdict

PATHS = ("/a", "/b")


def _ledger(*owed: str) -> Ledger:
    """These orders are owed, and have arrived once at each path."""
    ledger = Ledger(PATHS)
    for order in owed:
        ledger.owed.add(order)
        for path in PATHS:
            ledger.arrived(path, order, f"evt_{order}", accepted=True, well_signed=True)
    return ledger


def test_everything_arrived_is_proven() -> None:
    """Two orders at two webhooks are four deliveries."""
    verdict = _ledger("1", "2").verdict()
    assert verdict == Verdict(owed=4, arrived=4, lost=[], twice=0, intruders=[], split=[], badly_signed=0)
    assert verdict.is_proven


def test_an_order_that_one_webhook_lacks_is_lost() -> None:
    """At one of two paths is not enough."""
    ledger = _ledger("1")
    ledger.owed.add("2")
    ledger.arrived("/a", "2", "evt_2", accepted=True, well_signed=True)
    assert ledger.missing() == ["2"]
    assert not ledger.verdict().is_proven


def test_an_answer_that_was_not_2xx_is_no_arrival() -> None:
    """A receiver that failed does not have the order."""
    ledger = _ledger()
    ledger.owed.add("1")
    for path in PATHS:
        ledger.arrived(path, "1", "evt_1", accepted=False, well_signed=True)
    assert ledger.missing() == ["1"]


def test_twice_is_said_and_not_held_against_us() -> None:
    """At least once is the promise."""
    ledger = _ledger("1")
    ledger.arrived("/a", "1", "evt_1", accepted=True, well_signed=True)
    assert ledger.verdict().twice == 1
    assert ledger.verdict().is_proven


def test_what_was_refused_may_not_arrive() -> None:
    """Not even at one path."""
    ledger = _ledger("1")
    ledger.refused.add("wrong")
    ledger.arrived("/b", "wrong", "evt_9", accepted=True, well_signed=True)
    assert ledger.verdict().intruders == ["wrong"]
    assert not ledger.verdict().is_proven


def test_one_order_has_one_event_id() -> None:
    """A publish that was repeated with its idempotency key made no second event."""
    ledger = _ledger("1")
    ledger.arrived("/a", "1", "evt_other", accepted=True, well_signed=True)
    assert ledger.verdict().split == ["1"]
    assert not ledger.verdict().is_proven


def test_a_bad_signature_is_no_arrival_and_is_held_against_us() -> None:
    """The receiver would have refused it."""
    ledger = _ledger()
    ledger.owed.add("1")
    for path in PATHS:
        ledger.arrived(path, "1", "evt_1", accepted=True, well_signed=False)
    verdict = ledger.verdict()
    assert (verdict.lost, verdict.badly_signed, verdict.is_proven) == (["1"], 2, False)
