from m3dfel.video.marks import majority_mark


def test_a_clip_is_marked_if_most_of_its_frames_are():
    assert majority_mark(["blurred", "blurred", "too small", ""]) == "blurred"
    assert majority_mark(["blurred", "", "", ""]) == ""
    assert majority_mark(["blurred", "", "blurred", ""]) == ""
