"""What every source of CAMs takes."""

import subprocess
import sys
from pathlib import Path


def test_the_contract_needs_no_torch():
    """A CAM source may do without a network, whose import takes seconds."""
    code = "import sys, wsgcn.cam.contract; print('torch' in sys.modules)"
    source = Path(__file__).parents[2] / "workflow_scripts"
    done = subprocess.run([sys.executable, "-c", code], cwd=source, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
