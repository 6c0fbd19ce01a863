"""What is wrong with this DPO run? Ask its code, its curves or its data.

`check` takes the functions of any trainer, `check_run` a run's curves (`diagnose` says what they
can't tell too), `check_data` a file. Each
answers with findings: what was seen, how sure that is, what to do, and which chapter shows it.
"""

from .curves import Diagnosis, check_run, diagnose, read_curves
from .files import check_data, check_file, findings_of
from .findings import CAUSES, Finding
from .inside import scored_tokens
from .ours import check_ours
from .probe import check
from .trl import check_trl
