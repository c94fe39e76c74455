"""`python -m crossaisle` is the command `crossaisle`."""

from crossaisle.cli import main

if __name__ == "__main__":
    main()
