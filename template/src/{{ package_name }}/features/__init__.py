"""Features that more than one model uses."""
