"""Test upgrades: an older node on a newer schema, an older file with a newer packhook."""
