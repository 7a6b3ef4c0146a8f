import subprocess
import sys


def test_an_opencv_that_cannot_be_imported_is_an_input_error():
    program = (
        "import sys; sys.modules['cv2'] = None\n"
        "from m3dfel.errors import InputError\n"
        "try: import m3dfel.video.faces\n"
        "except InputError as error: print(error)\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "OpenCV cannot be loaded" in result.stdout
    assert "install" in result.stdout
    assert result.stderr == ""
