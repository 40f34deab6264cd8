"""The store of computed texts: the longest common beginning, and a bound in bytes."""

from hypothesis import given
from hypothesis import strategies as st

from motherfluxer_model.core.prefixes import MIN_TOKENS, PrefixStore, shared_count

texts = st.lists(st.integers(0, 2), max_size=40).map(tuple)


def text(*tail: int) -> list[int]:
    """Give a text long enough to be worth keeping."""
    return [*range(100, 100 + MIN_TOKENS), *tail]


@given(texts, texts)
def test_shared_beginning_is_counted(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    count = shared_count(a, b)
    assert a[:count] == b[:count]
    assert count == min(len(a), len(b)) or a[count] != b[count]


def test_longest_beginning_is_found() -> None:
    store: PrefixStore[str] = PrefixStore(100)
    store.put(text(1, 2, 3), "three", 1)
    store.put(text(1, 5), "one", 1)
    assert store.find(text(1, 2, 9)) == ("three", MIN_TOKENS + 2)
    assert store.find(text(1, 5, 9)) == ("one", MIN_TOKENS + 2)
    assert store.find(text()) in (("three", MIN_TOKENS), ("one", MIN_TOKENS))


def test_short_beginnings_are_not_worth_it() -> None:
    store: PrefixStore[str] = PrefixStore(100)
    store.put(text(1), "kept", 1)
    assert store.find(text(1)[: MIN_TOKENS - 1]) is None
    assert store.find([5, *text(1)]) is None
    assert PrefixStore[str](100).find(text(1)) is None


def test_longer_text_takes_the_place_of_its_beginning() -> None:
    store: PrefixStore[str] = PrefixStore(100)
    store.put(text(1), "turn one", 1)
    assert store.holds(text(1))
    assert store.holds(text())
    assert not store.holds(text(1, 2))
    store.put(text(1, 2), "turn two", 1)
    assert len(store) == 1
    assert store.find(text(1)) == ("turn two", MIN_TOKENS + 1)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 60)), max_size=30))
def test_store_never_holds_more_than_its_bound(puts: list[tuple[int, int]]) -> None:
    store: PrefixStore[int] = PrefixStore(100)
    for name, size in puts:
        store.put(text(name), name, size)
        assert store.used_bytes <= 100
        if size <= 100:
            assert store.find(text(name)) == (name, MIN_TOKENS + 1)


def test_what_was_used_longest_ago_goes_first() -> None:
    store: PrefixStore[str] = PrefixStore(2)
    store.put(text(1), "a", 1)
    store.put(text(2), "b", 1)
    store.find(text(1))
    store.put(text(3), "c", 1)
    assert store.holds(text(1))
    assert not store.holds(text(2))
    store.put(text(4), "too large", 3)
    assert store.holds(text(1))
    assert not store.holds(text(4))
