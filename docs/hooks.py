"""What the site does beyond its pages: it shows files of the repository as pages, and loads nothing from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]

# Pages of the site that are files elsewhere in the repository, where readers of the sources look for them.
ELSEWHERE = {
    "embedded_model.md": "src/armature/embedded/weights/README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
}

# Shows a whole file of the repository: <!-- file: examples/attach.py -->, and in the next line a link, which readers of
# the sources see instead.
_FILE = re.compile(r"^<!-- file: (\S+) -->\n\[\1\]\(\.\./\1\)$", re.MULTILINE)

# What a browser fetches by itself; links that a reader follows are free to lead anywhere.
_FETCHED = re.compile(r"""<(?:(?:script|img|iframe|source)\b[^>]*\bsrc|link\b[^>]*\bhref)=["']?(?:https?:)?//""")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that lie elsewhere."""
    for page, path in ELSEWHERE.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turn links between files into links between pages, and put in the files that are to be shown."""
    if page.file.src_uri in ELSEWHERE:
        markdown = markdown.replace("](docs/", "](")
    for target, path in ELSEWHERE.items():
        markdown = re.sub(rf"\]\((?:\.\./)*{re.escape(path)}", f"]({_up(page)}{target}", markdown)
    return _FILE.sub(lambda found: _fenced(found[1]), markdown)


def on_post_build(config: Any) -> None:
    """Fail when a page would fetch something from another host."""
    for path in Path(config["site_dir"]).rglob("*.html"):
        if found := _FETCHED.search(path.read_text(encoding="utf-8")):
            raise PluginError(f"{path} fetches from another host: {found.group()}")


def _fenced(path: str) -> str:
    if not (ROOT / path).is_file():
        raise PluginError(f"There is no file {path} to show")
    text = (ROOT / path).read_text(encoding="utf-8")
    return f"```{path.rpartition('.')[2]}\n{text}```"


def _up(page: Any) -> str:
    return "../" * page.file.src_uri.count("/")
