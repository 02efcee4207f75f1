"""Hooks of MkDocs: pages made from the code or from files outside of docs/, and links to what is not on the site."""

import posixpath
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))
import reference

REPO = Path(__file__).parents[2]
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
_LINK = re.compile(r"(\]\()([^)#\s]+)((?:#[^)\s]*)?\))")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are not files of docs/."""
    for source, page in PAGES.items():
        text = (REPO / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=links(text, "", page, config["repo_url"])))
    for page, text in reference.pages().items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Turn links to files outside of docs/ into links to their pages, or into the repository."""
    source = page.file.src_uri
    made = source in PAGES.values() or source in reference.pages()
    return (
        markdown
        if made
        else links(markdown, posixpath.join("docs", posixpath.dirname(source)), source, config["repo_url"])
    )


def links(markdown: str, folder: str, page: str, repository: str) -> str:
    """Return a page whose links are those of the site.

    Args:
        markdown: the page, with links relative to `folder`.
        folder: where its source is in the repository.
        page: where it is on the site.
        repository: the address of the repository, for files that are not on the site.
    """

    def replaced(match: re.Match[str]) -> str:
        target = match[2]
        if re.match(r"[a-z]+:", target):
            return match[0]
        path = posixpath.normpath(posixpath.join(folder, target))
        if path in PAGES:
            on_site = PAGES[path]
        elif path.startswith("docs/"):
            on_site = path.removeprefix("docs/")
        else:
            return f"{match[1]}{repository}/blob/main/{path}{match[3]}"
        return f"{match[1]}{posixpath.relpath(on_site, posixpath.dirname(page) or '.')}{match[3]}"

    return _LINK.sub(replaced, markdown)
