"""Upgrades: an older node beside a newer schema, an older file beneath a newer packhook."""
