"""`python -m dpo_from_scratch` is `dpo`."""

import sys

from .cli import main

sys.exit(main())
