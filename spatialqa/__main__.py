"""`python -m spatialqa` is the command `spatialqa`."""

from spatialqa.cli.entry import main

if __name__ == "__main__":
    main()
