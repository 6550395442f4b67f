"""Datasets: where they are, how they are built, and what is checked about them."""
