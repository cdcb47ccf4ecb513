"""Test the walk of retention: which range is next, and that what is kept for longer is not read again and again."""

from packhook.store.retention import Sweep

NEW = Sweep(start=0, after=0, first=0)


def test_all_events_by_age_until_nothing_is_old_enough() -> None:
    """Range by range; then a new sweep begins at the start."""
    second = NEW.next([(1, "a"), (2, "b")], 2)
    assert (second.after, second.is_new) == (2, False)
    assert second.next([(3, "a")], None) == NEW


def test_then_organizations_with_a_retention_of_their_own() -> None:
    """Each from its first event on; their events are skipped before."""
    own = NEW.with_own({"x": 10, "y": 20})
    assert own.is_skipped("x")
    assert not own.is_skipped("a")
    of_x = own.next([(1, "a")], None)
    assert (of_x.organization, of_x.after, of_x.is_new, of_x.is_skipped("x")) == ("x", 0, False, False)
    assert (of_x.before(100, 7), own.before(100, 7)) == (90, 7)
    more_of_x = of_x.next([(5, "x")], 5)
    assert (more_of_x.organization, more_of_x.after) == ("x", 5)
    of_y = more_of_x.next([], None)
    assert of_y.organization == "y"
    assert of_y.next([], None) == own


def test_a_sweep_begins_behind_what_only_such_organizations_have() -> None:
    """However much that is; an event of another organization, even one that stays, is where it begins."""
    own = NEW.with_own({"x": 10})
    ended = own.next([(1, "x"), (2, "x")], 2).next([(3, "x"), (4, "a"), (5, "x")], None).next([], None)
    assert (ended.after, ended.is_new) == (3, True)
    assert ended.next([(4, "a"), (5, "x")], None).next([], None).after == 3
    assert ended.next([(5, "x")], None).next([], None).after == 5


def test_a_changed_retention_begins_at_the_start() -> None:
    """Events that were passed by may be past retention now."""
    own = NEW.with_own({"x": 10})
    ended = own.next([(1, "x")], None).next([], None)
    assert ended.after == 1
    assert ended.with_own({"x": 10}) is ended
    assert ended.with_own({"x": 5}) == NEW.with_own({"x": 5})
    assert ended.with_own({}) == NEW
