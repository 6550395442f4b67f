"""Models: a folder each, with parameters, features, training, evaluation, schema and gates."""
