import subprocess
import sys


def test_the_settings_do_not_import_torch():
    program = "import sys, m3dfel.recognition.settings; print('torch' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.stdout.strip() == "False", result.stderr
