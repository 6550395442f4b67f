"""Models: trained on one dataset version, registered, promoted past their gates."""
