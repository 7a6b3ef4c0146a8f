"""How moments and confidences are written, and the round moments for a time axis."""

from __future__ import annotations

_STEPS_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0)


def clock(time_s: float, decimals: int = 0) -> str:
    """Return a moment as `7 s`, or as `7.3 s` with a decimal, and from one minute on as `1:07`."""
    if time_s < 60:
        return f"{time_s:.{decimals}f} s"
    return f"{int(time_s) // 60}:{int(time_s) % 60:02d}"


def ticks(duration_s: float, most: float) -> list[tuple[float, str]]:
    """Return the moments to label on a time axis, at most about that many."""
    step_s = next((step_s for step_s in _STEPS_S if duration_s / step_s <= most), _STEPS_S[-1])
    decimals = 0 if step_s >= 1 else 1
    return [
        (index * step_s, clock(index * step_s, decimals))
        for index in range(int(duration_s / step_s) + 1)
    ]


def confidence(probability: float) -> str:
    """Return a model's confidence in percent, which is never quite 100."""
    percent = round(100 * probability)
    return "> 99 %" if percent >= 100 else f"{percent} %"
