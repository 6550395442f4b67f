"""Datasets: a folder each, with pipeline.py, schema.yml, suite.yml and datasheet.md."""
