"""The Markdown pages of the repository taken apart: links, anchors, pictures, blocks of shell; runs nothing."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

__all__ = ["ROOT", "Block", "Page", "commands", "pages"]

ROOT = Path(__file__).resolve().parents[1]
SHELLS = ("sh", "bash")
MARK = re.compile(r"<!-- (?P<kind>not run|run-command|test-command)(: (?P<why>.+?))? -->\s*")
HEREDOC = re.compile(r"<<-?\s*(['\"]?)(\w+)\1(?P<rest>[^\n]*)\n.*?\n\2(?=\n|$)", re.DOTALL)
#: Words after which a shell expects a command.
BEFORE = {";", "&&", "||", "|", "&", "(", "then", "do", "else", "!", "until", "while", "if", "time", "exec"}
ASSIGNMENT = re.compile(r"[A-Z_]+=")


@dataclass(frozen=True)
class Block:
    """A fenced block of shell.

    Parameters
    ----------
    line : int
        Of its fence.
    text : str
        What a reader pastes.
    skip : str or None
        Why it is not run; "" where another test runs it.
    shown : str or None
        The output that the page shows for it, the ```text block that follows.
    """

    line: int
    text: str
    skip: str | None = None
    shown: str | None = None


@dataclass
class Page:
    """What one page holds; `links`, `images` are (line, address, text)."""

    path: Path
    anchors: set[str] = field(default_factory=set)
    links: list[tuple[int, str]] = field(default_factory=list)
    images: list[tuple[int, str, str]] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    spans: list[tuple[int, str]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its path in the repository."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def text(self) -> str:
        """The page as it is written."""
        return self.path.read_text(encoding="utf-8")


def pages() -> dict[str, Page]:
    """Return every page of the repository by its path there."""
    tops = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "data/README.md")]
    found = [read(path) for path in [*tops, *sorted((ROOT / "docs").rglob("*.md"))]]
    return {page.name: page for page in found}


def read(path: Path) -> Page:
    """Take one page apart."""
    page = Page(path)
    tokens = MarkdownIt("commonmark").enable("table").parse(page.text)
    for at, token in enumerate(tokens):
        if token.type == "heading_open":
            page.anchors.add(_slug(tokens[at + 1], page.anchors))
        elif token.type == "inline":
            _inline(page, token)
        elif token.type == "fence" and token.info.strip() in SHELLS:
            page.blocks.append(_block(tokens, at))
    return page


def commands(shell: str) -> Iterator[list[str]]:
    """Yield the words of each simple command of a piece of shell, without assignments before it."""
    plain = HEREDOC.sub(lambda found: found["rest"], shell).replace("\\\n", " ")
    for line in plain.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split, lexer.commenters = True, "#"
        words: list[str] = []
        for word in [*lexer, ";"]:
            if word in BEFORE or word in (")", "))"):
                if words:
                    yield words
                words = []
            elif words or not ASSIGNMENT.match(word):
                words.append(word)


def _block(tokens: list[Token], at: int) -> Block:
    fence, before = tokens[at], tokens[at - 1] if at else None
    skip = None
    if before is not None and before.type == "html_block" and (mark := MARK.fullmatch(before.content)):
        skip = mark["why"] or ""
    after = tokens[at + 1] if at + 1 < len(tokens) else None
    shown = after.content if after is not None and after.type == "fence" and after.info.strip() == "text" else None
    return Block((fence.map or [0])[0] + 1, fence.content, skip, shown)


def _inline(page: Page, token: Token) -> None:
    line = (token.map or [0])[0] + 1
    for child in token.children or []:
        if child.type == "link_open":
            page.links.append((line, str(child.attrs["href"])))
        elif child.type == "image":
            page.images.append((line, str(child.attrs["src"]), child.content))
        elif child.type == "code_inline":
            page.spans.append((line, child.content))


def _slug(inline: Token, taken: set[str]) -> str:
    """Name a heading as GitHub does."""
    words = "".join(child.content for child in inline.children or [])
    slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
    return next(name for name in (slug, *(f"{slug}-{n}" for n in range(1, 100))) if name not in taken)
