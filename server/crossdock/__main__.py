"""`crossdock` and `python -m crossdock`: Ctrl-C shows no traceback, whatever is being imported."""

import sys


def main() -> None:
    """Run the command line."""
    try:
        from crossdock.cli import main as command

        command()
    except KeyboardInterrupt:
        print("crossdock: interrupted", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
