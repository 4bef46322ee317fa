"""What the pages show works: code runs, commands parse, links lead somewhere."""

import re
from urllib.parse import unquote

import pytest
from page_blocks import ROOT, blocks, check, run, run_example

PAGES = sorted([*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"])
BLOCKS = {page: blocks(page) for page in PAGES}
NAMES = {str(page.relative_to(ROOT)): page for page in PAGES}
# `make demo` runs in CI by itself.
EXAMPLES = sorted(path.name for path in (ROOT / "examples").glob("*.py") if path.name != "demo.py")


@pytest.mark.parametrize("name", [name for name, page in NAMES.items() if any(not b.reason for b in BLOCKS[page])])
def test_code_of_a_page_runs_in_its_order(name, reader):
    names = {"__name__": "__main__"}
    for block in BLOCKS[NAMES[name]]:
        if not block.reason:
            run(block, names)


@pytest.mark.parametrize(
    "block", [block for page in PAGES for block in BLOCKS[page] if block.reason], ids=lambda block: block.where
)
def test_code_that_does_not_run_is_sound(block):
    check(block)


# diffusers' own adapter pipeline says so of itself.
@pytest.mark.filterwarnings("ignore:The decode_latents method is deprecated:FutureWarning")
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs(name, reader, capsys):
    run_example(f"examples/{name}", *ARGUMENTS.get(name, ()))
    assert capsys.readouterr().out


# What makes the longer ones short.
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "add_kind.py": ("2",),
    "add_network.py": ("2",),
    "add_source.py": ("2",),
    "condition_sheet.py": ("--rows", "1"),
    "evaluate.py": ("2",),
    "train.py": ("2",),
}


@pytest.mark.parametrize("name", NAMES)
def test_links_to_files_lead_somewhere(name):
    page = NAMES[name]
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)
    # Pages that the site makes of other files have no file of their own here.
    made = {"embedded_model.md", "contributing.md", "changelog.md"}
    missing = [
        target
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text)
        if "://" not in target and target not in made and not (page.parent / unquote(target)).exists()
    ]
    assert missing == []


def test_every_example_is_shown_in_a_page():
    shown = {path for page in PAGES for path in re.findall(r"<!-- file: examples/(\S+) -->", page.read_text())}
    assert shown == set(EXAMPLES) | {"formats/circles.py"}


def test_every_shell_command_of_the_pages_is_in_a_block_that_is_checked():
    # An indented line is code to Markdown, and would escape.
    stray = [
        f"{name}: {line}"
        for name, page in NAMES.items()
        for line in page.read_text().splitlines()
        if re.match(r" {4,}armature (?!\\)", line)
    ]
    assert stray == []
