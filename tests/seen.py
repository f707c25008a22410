"""What a reader sees of a piece of HTML, for tests of what is shown."""

from html.parser import HTMLParser

__all__ = ["EVIL", "Seen"]

EVIL = '<script>alert("1")</script>&'


class Seen(HTMLParser):
    """The text and the tags of a piece of HTML; whether what is opened is closed."""

    VOID = ("br", "img")

    def __init__(self, html):
        super().__init__()
        self.text, self.tags, self.depth = "", [], []
        self.feed(html)
        self.close()
        assert self.depth == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in self.VOID:
            self.depth.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.depth.pop() == tag

    def handle_data(self, data):
        self.text += data
