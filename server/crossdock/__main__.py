"""`python -m crossdock`."""

from crossdock.cli import main

if __name__ == "__main__":
    main()
