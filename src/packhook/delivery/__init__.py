"""Send what is due, at least once, and record the result. Begin at ``scheduler.py``."""
