"""`python -m inkontext`: the same as the command `inkontext`."""

from inkontext.cli.main import main

if __name__ == "__main__":
    main()
