"""What packhook says of itself: the benchmark and the proof, and that neither can say it wrongly."""
