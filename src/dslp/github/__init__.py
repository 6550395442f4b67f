"""The process on GitHub: labels, forms, branches, the policy on pull requests."""
