"""`python -m lifecycle` does what `lifecycle` does."""

from lifecycle.cli import main

main()
