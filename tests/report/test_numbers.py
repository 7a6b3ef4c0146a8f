from m3dfel.report.numbers import clock, confidence, ticks


def test_a_moment_is_written_in_seconds_and_from_a_minute_on_with_minutes():
    assert [clock(time_s) for time_s in (0.0, 59.0, 61.0, 3600.0)] == [
        "0 s",
        "59 s",
        "1:01",
        "60:00",
    ]
    assert clock(7.26, decimals=1) == "7.3 s"


def test_ticks_are_round_and_few():
    assert [word for _, word in ticks(19.7, 6)] == ["0 s", "5 s", "10 s", "15 s"]
    assert [time_s for time_s, _ in ticks(600, 6)] == [0, 120, 240, 360, 480, 600]
    assert [word for _, word in ticks(0.7, 6)] == ["0.0 s", "0.2 s", "0.4 s", "0.6 s"]


def test_no_model_is_certain():
    written = [confidence(p) for p in (0.581, 0.994, 0.996, 1.0)]
    assert written == ["58 %", "99 %", "> 99 %", "> 99 %"]
