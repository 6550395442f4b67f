"""What this project knows: its datasets, features and models, as plain functions."""
