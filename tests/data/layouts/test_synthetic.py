from m3dfel.data.manifest import read_manifest


def test_the_splits_share_no_identity():
    manifest = read_manifest("synthetic")
    people = {s: {c.identity for c in manifest.split(s)} for s in ("train", "val", "test")}
    assert all(people.values())
    assert not people["train"] & people["val"] | people["test"] & (people["train"] | people["val"])


def test_the_brief_set_has_the_same_people_and_brief_clips():
    usual, brief = read_manifest("synthetic"), read_manifest("synthetic-brief")
    assert [c.identity for c in brief.clips] == [c.identity for c in usual.clips]
    assert all(clip.path.endswith("/brief") for clip in brief.clips)
    assert (brief.dataset, usual.dataset) == ("synthetic-brief", "synthetic")


def test_the_uneven_set_is_uneven_in_training_and_even_in_test():
    table = read_manifest("synthetic-uneven").table()
    assert table["train"].tolist() == [73, 57, 80, 65, 44, 4, 27]
    assert set(table["test"]) == {60}
