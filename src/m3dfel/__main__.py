"""`python -m m3dfel`, for where the command is not on the path (torchrun -m m3dfel)."""

import sys

from m3dfel.cli import main

sys.exit(main())
