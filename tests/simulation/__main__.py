"""`python -m tests.simulation`, see run.py."""

import sys

from tests.simulation.run import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
