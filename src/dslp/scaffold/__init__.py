"""Beginnings: a dataset, a model or an exploration that works before anything in it is changed."""
