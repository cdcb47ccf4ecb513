"""Nouns and decisions: no I/O, no clock of their own. What decides is a function from values to a value."""
