"""The documentation is true: its examples run, and its metadata can be read.

Python in README.md and in the pages of docs/ runs, beside a video of a real face; commands are
parsed, and the options in the text exist. Blocks in CONTRIBUTING.md that begin with the name of a
file are written to that file; commands that name a plugin run there, on less data. `make test` also
builds the site, which fails for links that lead nowhere.
"""

import ast
import doctest
import inspect
import re
import shlex
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import cv2
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import yaml
from huggingface_hub import ModelCard
from jsonargparse import ArgumentParser

import m3dfel
from m3dfel import cli
from m3dfel.cli.argv import with_recipes
from m3dfel.video.encode import write_video

ROOT = Path(__file__).parents[1]
SOURCE = Path(m3dfel.__file__).parents[1]
PORTRAIT = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"


def code_blocks(file: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (ROOT / file).read_text(), re.M | re.S)


# --- the public API ------------------------------------------------------------------------------


def docstring(name: str) -> str:
    """Return the docstring of a public name; that of a constant is the string after it."""
    value = getattr(m3dfel, name)
    if callable(value):
        return inspect.getdoc(value) or ""
    body = ast.parse(inspect.getsource(import_module(m3dfel._MODULES[name]))).body
    for statement, following in pairwise(body):
        targets = [statement.target] if isinstance(statement, ast.AnnAssign) else []
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return inspect.cleandoc(ast.literal_eval(following.value))
    return ""


def test_the_public_names_are_listed():
    expected = {
        *("M3DFEL", "IntensityAwareLoss", "Recognizer", "Prediction", "TrainConfig", "train"),
        *("evaluate", "photo_table", "read_manifest", "EMOTIONS", "InputError"),
    }
    assert set(m3dfel.__all__) == expected
    assert expected <= set(dir(m3dfel))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'m3dfel' has no attribute 'nothing'"):
        m3dfel.nothing  # noqa: B018


def test_the_examples_of_other_names_run(tmp_path: Path, monkeypatch, own_parts):
    monkeypatch.chdir(tmp_path)
    public = {f"{m3dfel._MODULES[name]}.{name}" for name in m3dfel.__all__}
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    report: list[str] = []
    for file in (SOURCE / "m3dfel").rglob("*.py"):
        if ">>>" in file.read_text():
            parts = file.relative_to(SOURCE).with_suffix("").parts
            module = import_module(".".join(parts).removesuffix(".__init__"))
            for test in doctest.DocTestFinder().find(module):
                if test.name not in public:
                    runner.run(test, out=report.append)
    assert not report, "".join(report)
    assert runner.tries


@pytest.mark.parametrize("name", m3dfel.__all__)
def test_the_example_of_every_public_name_runs(name: str, tmp_path: Path, monkeypatch, own_parts):
    monkeypatch.chdir(tmp_path)
    test = doctest.DocTestParser().get_doctest(docstring(name), {}, name, None, None)
    assert test.examples, f"{name} has no example in its docstring"
    report: list[str] = []
    doctest.DocTestRunner(verbose=False).run(test, out=report.append)
    assert not report, "".join(report)


# --- README and CONTRIBUTING ---------------------------------------------------------------------


def write_portrait_video(path: Path) -> None:
    portrait = cv2.cvtColor(cv2.imread(str(PORTRAIT)), cv2.COLOR_BGR2RGB)
    write_video(path, np.repeat(portrait[None], 25, axis=0), fps=25)


PAGES = sorted(str(page.relative_to(ROOT)) for page in ROOT.glob("docs/*.md"))
DOCUMENTS = ["README.md", "README.zh-CN.md", "CONTRIBUTING.md", *PAGES]


def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch):
    run_blocks("README.md", tmp_path, monkeypatch)
    assert (tmp_path / "timeline.png").is_file()


@pytest.mark.parametrize("page", [page for page in PAGES if code_blocks(page, "python")])
def test_the_python_of_a_page_runs(page: str, tmp_path: Path, monkeypatch, own_parts):
    run_blocks(page, tmp_path, monkeypatch)


def run_blocks(document: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the Python of a document in one session, in a folder with a video of a face."""
    monkeypatch.chdir(folder)
    write_portrait_video(folder / "holiday.mp4")
    blocks = code_blocks(document, "python")
    assert blocks
    session: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, document, "exec"), session)
    plt.close("all")


def test_commands_can_be_parsed():
    parser = cli.parser()
    for command in {command for document in DOCUMENTS for command in commands(document)}:
        words = shlex.split(command)
        if words[:1] == ["--plugin"]:
            del words[:2]
        parser.parse_args(with_recipes(words))  # raises an error that names the word


def commands(document: str) -> list[str]:
    """Return what follows `m3dfel` in the commands of a document's blocks for the shell."""
    text = "\n".join(code_blocks(document, "sh")).replace("\\\n", " ")
    return re.findall(r"(?:^|\bdo |-m )m3dfel ([^#;…\n]+)", text, re.M)


def test_the_way_from_annotations_to_clips_can_be_gone(tmp_path: Path, monkeypatch):
    """The table and the first commands of the page, on a short video of a real face."""
    monkeypatch.chdir(tmp_path)
    write_portrait_video(tmp_path / "holiday.mp4")
    page = (ROOT / "docs/annotations.md").read_text()
    table = re.search(r"^    ```text\n(.*?)^    ```$", page, re.M | re.S)
    assert table
    (tmp_path / "labels.csv").write_text(inspect.cleandoc(table[1]) + "\n")
    commands = code_blocks("docs/annotations.md", "sh")[0].splitlines()
    for command in commands[:2]:
        assert cli.main(shlex.split(command)[1:]) == 0
    clips = m3dfel.read_manifest("clips/clips.csv").clips
    assert {(clip.emotion, clip.identity) for clip in clips} == {
        ("happiness", "grace"),
        ("neutral", "grace"),
    }


def test_options_named_in_the_text_exist():
    known = options_of(cli.parser())
    others = {"--nproc_per_node", "--nnodes", "--max", "--rdzv_backend", "--rdzv_endpoint"}
    others |= {"--rdzv_id", "--head", "--address"}  # of torchrun, and of ray
    others |= {"--moving"}  # of benchmarks/peers.py
    others |= {"--nodes", "--ntasks", "--gpus", "--requeue"}  # of Slurm
    # Of pip and uv, without what follows a hyphen.
    others |= {"--editable", "--find", "--no", "--wheel", "--upgrade"}
    for document in DOCUMENTS:
        for option in re.findall(r"(?<=[` (])--[a-z][\w.]*", (ROOT / document).read_text()):
            part = option.rpartition(".")[0]  # --model.aggregation_options.norm
            assert {option, part} & (known | others), f"{document}: {option}"


def options_of(parser: ArgumentParser) -> set[str]:
    """Return the options of a parser and of all its commands."""
    commands = parser._subcommands_action.choices if parser._subcommands_action else {}
    return set(parser._option_string_actions).union(*map(options_of, commands.values()))


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().split()) <= 1100


@pytest.mark.parametrize("language", ["sh", "python"])
def test_the_chinese_readme_has_the_code_of_the_readme(language: str):
    english, chinese = (
        [re.sub(r" *#.*", "", block) for block in code_blocks(readme, language)]
        for readme in ("README.md", "README.zh-CN.md")
    )
    assert english == chinese


def test_the_extras_in_the_text_exist():
    project = (ROOT / "pyproject.toml").read_text()
    table = project.split("[project.optional-dependencies]")[1].split("\n[")[0]
    extras = set(re.findall(r"^(\w+) = \[", table, re.M))
    text = "".join((ROOT / document).read_text() for document in DOCUMENTS)
    named = ",".join(re.findall(r"""['"](?:\.|m3dfel)\[([\w,]+)\]""", text)).split(",")
    listed = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "install.md").read_text(), re.M)
    assert extras >= set(named)
    assert extras == set(listed)


PLUGINS = {
    block.split()[1]: block
    for block in code_blocks("CONTRIBUTING.md", "python")
    if block.startswith("# ")
}
COMMANDS = [
    words
    for block in code_blocks("CONTRIBUTING.md", "sh")
    for line in block.replace("\\\n", " ").splitlines()
    if (words := shlex.split(line))[:2] == ["m3dfel", "--plugin"]
]
# A small picture for each clip, one epoch without earlier stages.
SMALL = shlex.split("--data.path faces.csv --model.size 16 --optim.epochs 1 --stages '[]'")


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A folder with the files of CONTRIBUTING.md, pictures of two emotions, and interviews."""
    for name, code in PLUGINS.items():
        (tmp_path / name).write_text(code)
    random = np.random.default_rng(0)
    rows, emotions = ["file,emotion,split"], ["happiness", "anger"]
    for index, split in enumerate(["train"] * 8 + ["val"] * 2 + ["test"] * 2):
        picture = random.integers(0, 255, (24, 24, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / f"{index}.png"), picture)
        rows.append(f"{index}.png,{emotions[index % 2]},{split}")
    (tmp_path / "faces.csv").write_text("\n".join(rows))
    person = tmp_path / "Interviews" / "anna"
    person.mkdir(parents=True)
    write_video(person / "1.mp4", np.zeros((5, 32, 32, 3), np.uint8), fps=25)
    (person.parent / "labels.tsv").write_text("anna/1.mp4\tHappy\ttest\n")
    return tmp_path


def test_contributing_lists_the_rooms_as_the_import_linter_does():
    layers = (ROOT / "pyproject.toml").read_text().split("layers = [")[1].split("]")[0]
    rooms = [
        name for name in re.findall(r"m3dfel\.(\w+)", layers) if (SOURCE / "m3dfel" / name).is_dir()
    ]
    listed = re.findall(r"^\| `(\w+)/` \|", (ROOT / "CONTRIBUTING.md").read_text(), re.M)
    assert listed == rooms


def test_contributing_shows_how_to_add_each_kind_of_part():
    registries = ("BACKBONES", "AGGREGATIONS", "LAYOUTS")
    for registry, code in zip(registries, PLUGINS.values(), strict=True):
        assert f"@{registry}.register(" in code
    assert [words[2] for words in COMMANDS] == list(PLUGINS)


@pytest.mark.parametrize("words", COMMANDS, ids=[words[2] for words in COMMANDS])
def test_a_part_of_ones_own_works_without_editing_the_package(
    words: list[str], workplace: Path, monkeypatch, capsys, own_parts
):
    monkeypatch.chdir(workplace)
    if "train" not in words:
        assert cli.main(words[1:]) == 0
        assert "happiness" in capsys.readouterr().out
        return
    plugin, run = words[2], words[words.index("--output") + 1]
    assert cli.main(words[1:] + SMALL) == 0
    then = f"--plugin {plugin} evaluate --model {run} --data faces.csv --output results"
    assert cli.main(then.split()) == 0
    assert (workplace / "results" / "results.json").is_file()


# --- the site ------------------------------------------------------------------------------------


def script(name: str) -> ModuleType:
    """Import a script of docs/."""
    spec = spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    assert spec and spec.loader  # noqa: PT018
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_page_can_show_a_section_of_another_document():
    page = script("blocks").on_page_markdown(
        '# Mine\n\n<!-- section CONTRIBUTING.md "Add a part" -->'
    )
    assert page.startswith("# Mine\n\n\nA part is a class in one file")
    assert "\n## A backbone\n" in page
    assert "# conv3d.py\n" in page  # a comment, not a heading
    assert "Set up" not in page
    assert "\n## Tests" not in page


def test_a_missing_section_is_named():
    with pytest.raises(SystemExit, match=r"README.md has no section 'Old', only m3dfel, "):
        script("blocks").section("README.md", "Old")


def test_links_of_a_section_lead_to_pages_of_the_site():
    text = "[card](docs/MODEL_CARD.md#results) [more](CONTRIBUTING.md) [code](examples/) [x](https://x)"
    linked = script("blocks")._with_links_of_the_site(text)
    assert linked == "[card](MODEL_CARD.md#results) [more](extend.md) code [x](https://x)"


def test_published_results_are_shown_digit_for_digit():
    rows = script("blocks").published().replace("\u00a0", " ").splitlines()
    assert rows[0] == "| WAR / UAR in % | DFEW | FERV39k | what is special | read in |"
    assert any(
        row.startswith("| Former-DFER (2021) | 65.70 / 53.69 | 45.72 / 36.88 |") for row in rows
    )
    assert any("| 76.68 / – | 53.65 / – |" in row for row in rows)


def test_every_figure_is_drawn_for_light_and_dark_pages():
    figures = script("draw_figures").FIGURES
    expected = {f"{name}{theme}.svg" for name in figures for theme in ("", "-dark")}
    assert {file.name for file in (ROOT / "docs" / "figures").iterdir()} == expected


def test_links_between_documents_lead_somewhere():
    for document in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text()):
            if "://" not in target:
                assert (document.parent / target).exists(), f"{document.name}: {target}"


# --- metadata ------------------------------------------------------------------------------------


def test_the_model_card_states_its_results_as_the_hub_reads_them():
    card = ModelCard((SOURCE / "m3dfel" / "bundled" / "README.md").read_text())
    assert card.data.pipeline_tag == "video-classification"
    results = {result.metric_name: result for result in card.data.eval_results}
    assert results["WAR"].metric_value == 0.843
    assert results["UAR"].metric_value == 0.754
    for result in results.values():
        assert (result.task_type, result.dataset_split) == ("video-classification", "val")


def test_the_citation_names_this_version_and_the_paper():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["cff-version"] == "1.2.0"
    assert citation["version"] == m3dfel.__version__
    assert {"message", "title", "authors"} <= set(citation)
    assert citation["preferred-citation"]["authors"][0]["family-names"] == "Wang"


def test_pre_commit_and_ci_run_the_checks_of_make_test():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    assert [hook["id"] for hook in hooks] == ["ruff-check", "ruff-format", "mypy"]
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
    job = workflow["jobs"]["test"]
    assert job["strategy"]["matrix"]["python"] == ["3.10", "3.11", "3.12", "3.13"]
    assert "make test" in [step.get("run") for step in job["steps"]]
