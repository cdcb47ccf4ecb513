"""Measure what a claim costs while deliveries come and go, without HTTP: ``python -m benchmarks claims``."""
