"""Measured claims: one script a claim, results as a table in README.md."""
