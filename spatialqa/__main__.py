"""`python -m spatialqa` is the command `spatialqa`."""

from spatialqa.cli.main import main

if __name__ == "__main__":
    main()
