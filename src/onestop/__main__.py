"""`python -m onestop` is the same as `onestop`."""

import sys

from onestop.cli import main

sys.exit(main())
