"""Experiments: approaches compared on the Ask's metric, each run tracked with its origins."""
