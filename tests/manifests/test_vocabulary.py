from __future__ import annotations

import re
from collections import Counter

import pytest

from manifests.errors import ConfigError, InputError
from manifests.vocabulary import AFFECTNET8, PRIMARY6, RAFDB7, find_word, parse_vocabulary, rafdb7_number, vocabulary, words_of

HEADER = "word,primary,cluster,valence,arousal,affectnet8,rafdb7,mapping_confidence,blend,action_units"


def test_there_are_136_different_words_with_neutral_first():
    words = [word.word for word in vocabulary()]
    assert len(words) == len(set(words)) == 136
    assert words[0] == "neutral"


def test_families_have_the_sizes_of_the_tree_of_shaver_and_others_1987():
    counts = Counter(word.primary for word in vocabulary())
    assert counts == {"love": 16, "joy": 33, "surprise": 3, "anger": 29, "sadness": 37, "fear": 17, None: 1}


def test_there_are_25_clusters_each_within_one_family():
    clusters = {(word.primary, word.cluster) for word in vocabulary() if word.cluster}
    assert len(clusters) == 25
    assert {primary for primary, _ in clusters} == set(PRIMARY6)


@pytest.mark.parametrize("name", AFFECTNET8)
def test_every_affectnet_class_is_a_word_that_maps_to_itself_with_full_confidence(name):
    word = find_word(name)
    assert word.affectnet8 == name
    assert word.mapping_confidence == 1


def test_rafdb_class_equals_affectnet_class_except_for_contempt():
    for word in vocabulary():
        assert word.rafdb7 == (None if word.affectnet8 == "contempt" else word.affectnet8), word.word


def test_confidence_is_zero_exactly_where_there_is_no_mapping():
    for word in vocabulary():
        assert (word.mapping_confidence == 0) == (word.affectnet8 is None), word.word


@pytest.mark.parametrize("name", ["lust", "torment", "envy", "jealousy", "sympathy", "arousal"])
def test_words_without_an_honest_class_have_none(name):
    assert find_word(name).affectnet8 is None


def test_valence_has_the_sign_of_the_family():
    for word in vocabulary():
        if word.primary == "joy":
            assert word.valence > 0, word.word
        if word.primary in ("anger", "fear"):
            assert word.valence < 0, word.word


def test_words_of_a_cluster_lie_closer_together_than_words_at_large():
    words = [word for word in vocabulary() if word.cluster]

    def distance(a, b):
        return ((a.valence - b.valence) ** 2 + (a.arousal - b.arousal) ** 2) ** 0.5

    inside = [distance(a, b) for a in words for b in words if a.word < b.word and a.cluster == b.cluster]
    outside = [distance(a, b) for a in words for b in words if a.word < b.word and a.cluster != b.cluster]
    assert sum(inside) / len(inside) < 0.5 * sum(outside) / len(outside)


def test_action_units_have_facs_names_and_only_neutral_has_none():
    for word in vocabulary():
        assert bool(word.action_units) == (word.word != "neutral")
        assert all(re.fullmatch(r"AU\d{1,2}", unit) for unit in word.action_units), word.word


def test_happiness_is_a_smile_with_raised_cheeks():
    assert max(find_word("happiness").action_units, key=find_word("happiness").action_units.__getitem__) == "AU12"
    assert "AU6" in find_word("happiness").action_units


def test_action_units_are_the_blend_of_the_documented_prototypes():
    from importlib import resources

    text = (resources.files("manifests") / "data" / "README.md").read_text(encoding="utf-8")
    prototypes = {}
    for basic, units in re.findall(r"^\| (\w+) \| ((?:AU\d+:[\d.]+ ?)+)", text, re.MULTILINE):
        prototypes[basic] = {unit: float(weight) for unit, weight in re.findall(r"(AU\d+):([\d.]+)", units)}
    assert len(prototypes) == 7
    for word in vocabulary():
        expected: Counter[str] = Counter()
        for basic, weight in word.blend.items():
            for unit, strength in prototypes[basic].items():
                expected[unit] += weight * strength
        kept = {unit: min(weight, 1.0) for unit, weight in expected.items() if weight >= 0.05}
        assert word.action_units == pytest.approx(kept, abs=0.006), word.word


def test_typical_strength_is_zero_for_neutral_and_at_most_one():
    assert find_word("neutral").typical_strength == 0
    assert max(word.typical_strength for word in vocabulary()) == 1


def test_find_word_ignores_case_and_blanks():
    assert find_word(" Joy ").word == "joy"


def test_unknown_word_is_answered_with_the_nearest_one():
    with pytest.raises(ConfigError, match='"hapiness" is not one of the 136 expression words. Did you mean "happiness"'):
        find_word("hapiness")


def test_a_name_like_no_word_still_gets_an_answer():
    with pytest.raises(ConfigError, match="Did you mean"):
        find_word("???")


def test_words_of_selects_by_family_and_class():
    assert {word.word for word in words_of(primary="surprise")} == {"amazement", "surprise", "astonishment"}
    assert {word.word for word in words_of(affectnet8="disgust")} == {"disgust", "revulsion", "loathing", "dislike"}
    assert words_of() == vocabulary()


def test_words_of_names_the_families_that_exist():
    with pytest.raises(ConfigError, match="love, joy, surprise"):
        words_of(primary="happiness")


def test_rafdb_numbers_are_its_own():
    assert [rafdb7_number(name) for name in RAFDB7] == [1, 2, 3, 4, 5, 6, 7]
    assert rafdb7_number("neutral") == 7


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("calm,serenity,x,0,0,,,0,,", "primary"),
        ("calm,joy,x,2,0,,,0,,", "outside its range"),
        ("calm,joy,x,a,0,,,0,,", "can't be read"),
        ("calm,joy,x,0,0,,,0,happiness,", "can't be read"),
        ("calm,joy,x,0,0,,,0,happiness:3,", "weight outside"),
        ("calm,joy", "can't be read"),
    ],
)
def test_a_wrong_row_is_named(line, reason):
    with pytest.raises(InputError, match=reason):
        parse_vocabulary([HEADER, line])


def test_a_repeated_word_is_refused():
    with pytest.raises(InputError, match="twice"):
        parse_vocabulary([HEADER, "calm,joy,x,0,0,,,0,,", "calm,joy,x,0,0,,,0,,"])
