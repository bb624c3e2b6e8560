"""Near-duplicates: MinHash finds what counting every pair finds, and an embedder finds what means the same."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import pytest

from ragft.config import ChecksConfig
from ragft.data.checks import CheckScope, examine
from ragft.data.checks.near import COUNTED, Near, Vectors, bands, by_embedding, by_minhash, grams, jaccard
from ragft.data.examples import Splits
from ragft.records import Example


def test_grams_and_their_likeness_by_hand() -> None:
    assert grams("harbour") == {"harbo", "arbou", "rbour"}
    assert grams("sea") == {"sea"}
    # harbour: 3 grams; harbours: the same and "bours"; 3 / 4.
    assert jaccard(grams("harbour"), grams("harbours")) == 0.75


@pytest.mark.parametrize(("threshold", "expected"), [(0.5, (42, 3)), (0.7, (32, 4)), (0.9, (12, 10)), (1.0, (2, 64))])
def test_the_table_misses_at_most_one_pair_in_a_hundred_at_the_threshold(
    threshold: float, expected: tuple[int, int]
) -> None:
    n, rows = bands(threshold)
    assert (n, rows) == expected
    assert 1 - (1 - threshold**rows) ** n >= 0.99
    more = rows + 1
    assert threshold == 1.0 or 1 - (1 - threshold**more) ** (128 // more) < 0.99  # one row more would miss more


def _changed(text: str, chance: random.Random) -> str:
    """Return the text with up to a third of its words exchanged."""
    words = text.split()
    for _ in range(chance.randint(0, len(words) // 3)):
        words[chance.randrange(len(words))] = "".join(chance.choices("abcdefghij", k=5))
    return " ".join(words)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_minhash_finds_what_counting_every_pair_finds(seed: int) -> None:
    chance = random.Random(seed)
    others = [" ".join("".join(chance.choices("abcdefghij", k=5)) for _ in range(12)) for _ in range(150)]
    texts = [_changed(chance.choice(others), chance) for _ in range(150)]
    found = {near.text: near for near in by_minhash(0.7)(texts, others)}
    best = [max(jaccard(grams(text), grams(other)) for other in others) for text in texts]
    near = {position for position, likeness in enumerate(best) if likeness >= 0.7}
    assert 30 < len(near) < 120  # there is something to find, and something to leave
    assert found.keys() <= near  # nothing under the threshold, ever
    assert len(near - found.keys()) <= 1  # a pair right at the threshold is missed once in a hundred
    assert all(found[position].likeness == best[position] for position in found)


def test_the_nearest_of_many_of_one_pattern_is_found_although_not_all_are_counted() -> None:
    names = ["".join(random.Random(n).choices("bcdfghjklm", k=8)) for n in range(20 * COUNTED)]
    others = [f"in which year was the harbour of {name} first dredged by hand" for name in names]
    text = others[137] + " again"
    assert by_minhash(0.7)([text], others) == [Near(0, 137, jaccard(grams(text), grams(others[137])))]


def test_nothing_is_near_where_there_is_nothing() -> None:
    assert by_minhash(0.7)([], ["a text of some length"]) == []
    assert by_minhash(0.7)(["a text of some length"], []) == []
    assert by_embedding(0.9, _on_a_circle)(["0"], []) == []


def _on_a_circle(texts: Sequence[str]) -> Vectors:
    """Return unit vectors at the angles that the texts name, in degrees: their cosines are known."""
    angles = np.radians([float(text) for text in texts])
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def test_embedding_takes_the_nearest_with_at_least_the_cosine() -> None:
    # cos 10° = 0.985, cos 15° = 0.966, cos 20° = 0.940.
    found = by_embedding(0.95, _on_a_circle)(["0", "100", "200"], ["15", "10", "120"])
    assert [(near.text, near.other) for near in found] == [(0, 1)]
    assert found[0].likeness == pytest.approx(0.98481, abs=1e-5)


def test_more_texts_than_fit_one_block_keep_their_places() -> None:
    texts = ["0"] * 1500 + ["90"]
    found = by_embedding(0.95, _on_a_circle)(texts, ["90"])
    assert [(near.text, near.other) for near in found] == [(1500, 0)]


def test_the_file_chooses_the_embedder_and_it_finds_other_words_for_the_same() -> None:
    means = {"when was it built": [1.0, 0.0], "year of construction": [0.98, 0.199], "who built it": [0.0, 1.0]}

    def embed(texts: Sequence[str]) -> Vectors:
        return np.array([means[text] for text in texts], dtype=np.float32)

    taught = (Example("t1", "When was it built?", ("1911",)),)
    evaluation = (Example("e1", "Year of construction?", ("1911",)), Example("e2", "Who built it?", ("Hob",)))
    scope = CheckScope(config=ChecksConfig(near_duplicates="embedding"), embed=embed)
    found = {check.name: check for check in examine((), Splits(taught, (), evaluation), scope)}["leak_near"]
    assert (found.found, found.severity, found.example_ids) == (1, "warning", ("e1",))
    assert "(a cosine of 0.95 or more)" in found.message


def test_without_an_embedder_the_table_says_that_nobody_looked() -> None:
    scope = CheckScope(config=ChecksConfig(near_duplicates="embedding"))
    splits = Splits((Example("t1", "a", ("x",)),), (), (Example("e1", "b", ("x",)),))
    found = {check.name: check for check in examine((), splits, scope)}["leak_near"]
    assert (found.looked_at, found.severity, found.message) == (0, "note", "not looked for: no embedder is loaded")


def test_the_checks_import_no_library_that_they_do_not_use_yet() -> None:
    code = "import sys, ragft.data.checks; print([m for m in ('datasketch', 'scipy', 'torch') if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"
