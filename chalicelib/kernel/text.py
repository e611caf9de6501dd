"""Texts as people compare them."""

import unicodedata


def folded(name: str) -> str:
    """The name without its case, its outer blanks and its way of composing accents.

    macOS hands out decomposed letters, most others composed ones, and they look the same (UAX #15).
    """
    decomposed = unicodedata.normalize("NFD", name.strip()).casefold()
    return unicodedata.normalize("NFC", decomposed)
