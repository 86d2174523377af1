"""HTML with its texts masked: the tags stay that shape a page, and nothing that could tell more.

Kept are tags of a list below, without their attributes but for those of cells, and the texts
between them. Addresses of links and pictures, styles, scripts, comments and names of classes are
left out: each can hold a person's name, or who is to be told that the mail was read.
"""

from collections.abc import Callable, Sequence
from html import escape
from html.parser import HTMLParser

_HIDDEN = frozenset({"script", "style", "head", "template", "noscript", "title", "svg", "math"})
_BLOCKS = frozenset({
    "p", "div", "br", "tr", "td", "th", "li", "h1", "h2", "h3", "h4", "h5", "h6", "table", "tbody",
    "thead", "tfoot", "ul", "ol", "dl", "dt", "dd", "blockquote", "section", "article", "header",
    "footer", "hr", "pre", "body", "html", "center", "caption", "address",
})  # fmt: skip  # names only
_INLINE = frozenset({
    "a", "b", "i", "u", "s", "em", "strong", "span", "font", "small", "big", "sub", "sup", "code",
    "tt", "q", "cite", "abbr",
})  # fmt: skip  # names only
_EMPTY = frozenset({"br", "hr"})
_NUMBERED = frozenset({"colspan", "rowspan"})
_MAX_SPAN_DIGITS = 3
_SHOWN = frozenset({"alt", "title"})
"""Attributes that people read: their texts are kept, in brackets, where the element stands."""


class _Cutter(HTMLParser):
    """Cuts a page into pieces: texts, and between them what is markup."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[tuple[str, str]] = []
        """(markup, text after it); one of them is empty."""
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "body":
            self._hidden = 0  # whatever was left open before
        if tag in _HIDDEN:
            self._hidden += 1
        if self._hidden:
            return
        if tag in _BLOCKS or tag in _INLINE:
            kept = "".join(
                f' {name}="{value}"'
                for name, value in attrs
                if name in _NUMBERED and value and value.isascii() and value.isdigit()
                and len(value) <= _MAX_SPAN_DIGITS
            )  # fmt: skip
            self.pieces.append((f"<{tag}{kept}>", ""))
        self.pieces += [("", f" [{value}] ") for name, value in attrs if name in _SHOWN and value]

    def handle_endtag(self, tag: str) -> None:
        if tag in _HIDDEN:
            self._hidden = max(0, self._hidden - 1)
        elif not self._hidden and tag not in _EMPTY and (tag in _BLOCKS or tag in _INLINE):
            self.pieces.append((f"</{tag}>", ""))

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.pieces.append(("", data))


def mask_page(html: str, mask_pieces: Callable[[Sequence[str]], list[str]]) -> str:
    """The page with its texts masked as the one text that a reader sees.

    Args:
        html: any text: unclosed and unknown tags are no error.
        mask_pieces: masks the pieces of one text, such as `TextMasker.mask_pieces`.
    """
    cutter = _Cutter()
    cutter.feed(html)
    cutter.close()
    # Blocks are apart for a reader, so they are for what looks for names; nothing of that is kept.
    texts = [_separator(markup) if markup else text for markup, text in cutter.pieces]
    masked = mask_pieces(texts)
    return "".join(
        markup or escape(text, quote=False)
        for (markup, _), text in zip(cutter.pieces, masked, strict=True)
    )


def _separator(markup: str) -> str:
    name = markup.strip("</>").partition(" ")[0]
    return "\n" if name in _BLOCKS else ""
