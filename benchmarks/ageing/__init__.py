"""Measure what a database becomes under a steady load with retention, its days compressed."""
