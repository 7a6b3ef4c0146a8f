from m3dfel.experiments.literature import PUBLISHED


def test_every_result_has_a_source_and_is_in_percent():
    for published in PUBLISHED:
        assert published.source
        assert set(published.protocol) <= set(published.results)
        for war, uar in published.results.values():
            assert 30 < (uar or war) <= war < 100
    assert len({published.method for published in PUBLISHED}) == len(PUBLISHED)
