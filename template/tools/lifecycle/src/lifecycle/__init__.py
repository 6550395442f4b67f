"""The Data Science Life Cycle Process, as commands for the repository around it.

What a data scientist edits is in `src/`; what the process does is here. The package moves with
`copier update`, so nothing in it is meant to be edited by hand.
"""
