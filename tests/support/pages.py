"""The documentation, as tests read it: README.md and the pages under docs/."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
_LINK = re.compile(r"\[[^]]*\]\(([^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Page:
    """One page, by its path in the repository."""

    name: str
    text: str

    @property
    def blocks(self) -> list[tuple[str, str]]:
        """Language and text of each block of code."""
        return _BLOCK.findall(self.text)

    @property
    def prose(self) -> str:
        """What stands between the blocks."""
        return _BLOCK.sub("", self.text)

    @property
    def links(self) -> list[str]:
        return _LINK.findall(self.prose)

    @property
    def anchors(self) -> set[str]:
        """What a link into this page can name: its headings as GitHub writes them in addresses."""
        kept = (re.sub(r"[^\w\- ]", "", text.lower()) for _, text in _HEADING.findall(self.prose))
        return {text.replace(" ", "-") for text in kept}

    def examples(self, language: str) -> list[str]:
        return [text for kind, text in self.blocks if kind == language]

    def example(self, words: str, language: str = "sh") -> str:
        """The one example that has these words in it."""
        found = [text for text in self.examples(language) if words in text]
        assert len(found) == 1, f"{words!r} is in {len(found)} examples of {self.name}"
        return found[0]

    def section(self, heading: str) -> str:
        """What stands under a heading, down to the next of its level."""
        level, name = heading.split(" ", 1)
        after = self.text.split(f"\n{level} {name}\n")
        assert len(after) == 2, f"{heading!r} is not one heading of {self.name}"
        return re.split(rf"\n#{{1,{len(level)}}} ", after[1])[0]


def _read(path: Path) -> Page:
    return Page(path.relative_to(ROOT).as_posix(), path.read_text("utf-8"))


PAGES = {
    page.name: page
    for page in map(_read, [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))])
}
