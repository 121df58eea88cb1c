"""An ordinary script that does what MLflow clients do: the same one on every version.

    python tests/clients/program NAME FOLDER PROMPT

MLFLOW_TRACKING_URI says where; nothing here knows Trainyard.
"""

import sys
from pathlib import Path

import steps_models  # isort: skip  # noqa: F401
import steps_registry  # isort: skip  # noqa: F401
import steps_genai  # isort: skip  # noqa: F401
import steps_commands  # isort: skip  # noqa: F401
import steps_deleting  # isort: skip  # noqa: F401
from stepping import Seen, report

report(Seen(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
