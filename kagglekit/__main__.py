"""`python -m kagglekit`"""

import sys

from kagglekit.cli import main

if __name__ == "__main__":  # the processes of processes.py import this file as well
    sys.exit(main())
