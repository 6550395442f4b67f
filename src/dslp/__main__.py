"""`python -m dslp` does what `dslp` does; it loads so long that somebody may stop it meanwhile."""

import sys


def main() -> None:
    """Run the command line; Ctrl-C ends it in one sentence, whenever it comes."""
    try:
        from dslp.cli import main as run

        run()
    except (KeyboardInterrupt, SystemExit) as end:
        if isinstance(end, SystemExit) and end.code != 130:
            raise
        sys.stderr.write("\nStopped. It is safe to run this again.\n")
        sys.exit(130)


if __name__ == "__main__":
    main()
