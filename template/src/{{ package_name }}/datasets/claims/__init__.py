"""The claims dataset: pipeline, schema, suite and datasheet."""
