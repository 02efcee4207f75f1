"""`python -m spatialqa.cli`: the command line."""

from spatialqa.cli.main import main

main()
