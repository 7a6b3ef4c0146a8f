from m3dfel.experiments.literature import published


def test_every_result_has_a_source_and_is_in_percent():
    for row in published():
        assert row["source"]
        assert set(row) <= {"method", "results", "source", "idea", "protocol"}
        assert set(row.get("protocol", {})) <= set(row["results"])
        for war, uar in row["results"].values():
            assert 30 < (uar or war) <= war < 100
    assert len({row["method"] for row in published()}) == len(published())
