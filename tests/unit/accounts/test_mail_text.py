"""Parts of a mail's text."""

from apps.accounts.core.mail_text import Part, parts_of


def test_codes_and_links_in_a_paragraph_of_their_own_are_told_from_text() -> None:
    text = (
        "Type this\ncode:\n\nABCD-2345\n\n\nor go to:\n\nhttp://a.example/b\n\nSee http://c.example"
    )
    assert parts_of(text) == [
        Part("text", "Type this\ncode:"),
        Part("code", "ABCD-2345"),
        Part("text", "or go to:"),
        Part("link", "http://a.example/b"),
        Part("text", "See http://c.example"),
    ]


def test_nothing_has_no_parts() -> None:
    assert parts_of(" \n\n ") == []
