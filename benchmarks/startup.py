"""How soon the command line answers and a recognizer is ready, beside importing torch alone.

    python benchmarks/startup.py

Seconds from starting Python, the best of several.
"""

from __future__ import annotations

import subprocess
import sys
import time

from rows import Row, table

WAYS = {
    "torch": ["-c", "import torch"],
    "help": ["-m", "m3dfel", "--help"],
    "recognizer": ["-c", "from m3dfel import Recognizer; Recognizer()"],
}


def seconds(arguments: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def rows(short: bool = False) -> list[Row]:
    best = dict.fromkeys(WAYS, float("inf"))
    for _ in range(1 if short else 5):
        for name, arguments in WAYS.items():
            best[name] = min(best[name], seconds(arguments))
    return [
        Row("`m3dfel --help`", best["help"], "s", "`import torch`", best["torch"]),
        Row("`Recognizer()` ready", best["recognizer"], "s", "`import torch`", best["torch"]),
    ]


if __name__ == "__main__":
    print(table(rows()))
