"""What can be counted is there with 0 before the first of it happens."""

import subprocess
import sys

from trainyard_api.conditions import FinalReason


def test_every_end_of_a_run_has_a_series_from_the_start() -> None:
    # In a process of its own: here other tests have counted already.
    asked = (
        "import trainyard_operator.metrics as m; s = m.FINISHED_RUNS.collect()[0].samples;"
        " print(*(x.labels['reason'] for x in s if x.name.endswith('_total') and x.value == 0))"
    )
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)

    assert set(told.stdout.split()) == set(FinalReason)
