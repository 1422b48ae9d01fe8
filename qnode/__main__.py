"""`python -m qnode`: the same as `qnode`."""

import sys

from qnode.cli import main

if __name__ == "__main__":
    sys.exit(main())
