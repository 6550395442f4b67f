"""`python -m dslp` does what `dslp` does."""

from dslp.cli import main

main()
