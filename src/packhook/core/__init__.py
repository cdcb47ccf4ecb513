"""Values and decisions, without I/O and without a clock. A decision is a function from values to a value."""
