"""Test the command line as users run it: as processes."""
