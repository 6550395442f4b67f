"""The logbook: every question from idea to value, and how fast the process is (C1, C2)."""
