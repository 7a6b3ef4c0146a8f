import re
from pathlib import Path

from m3dfel.experiments.literature import PUBLISHED


def formatted(result: tuple[float, float | None] | None) -> str:
    return "–" if result is None else f"{result[0]:.2f} / {result[1] or 0:.2f}"


def test_the_results_in_the_readme_are_those_of_the_package():
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    _, table = readme.split("| WAR / UAR in % | DFEW | FERV39k | read in |\n|---|---|---|---|\n")
    rows = re.findall(r"^\| (.+) \| (.+) \| (.+) \| (.+) \|$", table.split("\n\n")[0], re.MULTILINE)
    assert len(rows) >= 5
    for name, dfew, ferv39k, source in rows:
        same_numbers = [
            published
            for published in PUBLISHED
            if formatted(published.results.get("DFEW")) == dfew
            and formatted(published.results.get("FERV39k")) == ferv39k
        ]
        assert len(same_numbers) == 1, f"{name}: {dfew}, {ferv39k}"
        assert same_numbers[0].method.split()[0] == name.split()[0]
        assert same_numbers[0].source == source


def test_every_result_has_a_source_and_is_in_percent():
    for published in PUBLISHED:
        assert published.source
        assert set(published.protocol) <= set(published.results)
        for war, uar in published.results.values():
            assert 30 < (uar or war) <= war < 100
    assert len({published.method for published in PUBLISHED}) == len(PUBLISHED)
