"""Tests of packhook_client: against a real node on loopback, and behind a relay that misbehaves."""
