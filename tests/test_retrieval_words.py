"""Words for BM25 in several scripts."""

from __future__ import annotations

import pytest

from ragft.retrieval.words import words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The B-52's engine, 3.5 km/h", ["the", "b", "52", "s", "engine", "3", "5", "km", "h"]),
        ("to be or not to be", ["to", "be", "or", "not", "to", "be"]),
        ("ÜBER Straße", ["über", "straße"]),
        ("Привет, МИР", ["привет", "мир"]),
        ("Καλημέρα κόσμε", ["καλημέρα", "κόσμε"]),
        ("مرحبا بالعالم", ["مرحبا", "بالعالم"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),  # the vowel signs are marks, at which \w+ would cut
        ("தமிழ் மொழி", ["தமிழ்", "மொழி"]),
        ("שָׁלוֹם", ["שָׁלוֹם"]),
        ("cafe\u0301 caf\u00e9", ["café", "café"]),  # composed and decomposed are one word
        ("東京都", ["東京", "京都"]),
        ("東", ["東"]),
        ("iPhone発売日", ["iphone", "発売", "売日"]),
        ("ภาษาไทย", ["ภา", "าษ", "ษา", "าไ", "ไท", "ทย"]),
        ("서울에서", ["서울", "울에", "에서"]),
        ("ﬁne ＡＢＣ", ["fine", "abc"]),
        ("snake_case", ["snake_case"]),
        ("... — !?", []),
        ("", []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected
