"""A concept that speaks against an applicant, in words: which features to name, and how; knows no model and no page."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

from credit.features import Feature
from credit.portfolio import Label, Language, Portfolio, words
from credit.scoring.reference import Value

__all__ = ["Fact", "Teller"]

#: A feature is worth naming from this share of its concept's strongest one on.
WORTH = 0.5
#: So many features of a concept are named.
NAMED = 2

#: What history does not tell was not "not given": there is none.
NONE = Label("none on record", "rien au dossier")
SAID = Label("{}: {}", "{}\u00a0: {}")
USUAL = Label(" (usual among approved applicants: {})", " (valeur habituelle chez les demandeurs acceptés\u00a0: {})")
HEAD, AND = Label("{} \u2013 {}", "{} \u2013 {}"), Label("; ", "\u00a0; ")


@dataclass(frozen=True)
class Fact:
    """A feature with the applicant's value, beside what approved applicants usually have.

    Parameters
    ----------
    feature : Feature
        Which.
    value, usual : float, str or None
        As data hold them; None is "missing".
    compared : bool
        Whether `usual` is known.
    unlike : bool
        Whether the two differ as people read them, and not towards less risk.
    """

    feature: Feature
    value: Value
    usual: Value
    compared: bool
    unlike: bool

    @property
    def sure(self) -> bool:
        """Whether adverse words may be said of it: a category, or a number whose direction is known, off the usual."""
        return (
            self.value is not None and self.unlike and (self.feature.kind == "category" or self.feature.monotone != 0)
        )


class Teller:
    """Words for one model's reasons.

    Parameters
    ----------
    book : Portfolio
        Its words.
    features : mapping of str to Feature
        The model's own, by name; no other is ever named.
    approved : mapping of str to float, str or None
        What approved applicants usually have, by feature; empty where none is approved.
    """

    def __init__(self, book: Portfolio, features: Mapping[str, Feature], approved: Mapping[str, Value]) -> None:
        self.book, self.features, self.approved = book, features, approved

    def facts(self, strengths: Mapping[str, float], value: Callable[[str], Value]) -> list[Fact]:
        """Choose what to name of a concept.

        Parameters
        ----------
        strengths : mapping of str to float
            The concept's features and how strongly each speaks against the applicant; the strongest first.
        value : callable
            A feature's name to the applicant's value of it; None is "missing".

        Returns
        -------
        list of Fact
            One or two.  Features unlike the usual come first, of these the columns and summaries that people know from
            their papers, before what is computed of several; else the strongest alone.
        """
        strongest = next(iter(strengths.values()))
        worth = [name for name, strength in strengths.items() if strength >= WORTH * strongest]
        known = sorted(worth, key=lambda name: not self._plain(self.features[name]))
        for names, most in ((known, NAMED), ([name for name in strengths if name not in worth], 1)):
            facts = (self._fact(name, value(name)) for name in names)
            if found := list(islice((fact for fact in facts if fact.unlike), most)):
                return found
        first = next(iter(strengths))
        return [self._fact(first, value(first))]

    def say(self, concept: str, facts: Sequence[Fact], lang: Language) -> str:
        """Put a reason into words.

        Parameters
        ----------
        concept : str
            The concept.
        facts : sequence of Fact
            From `facts`.
        lang : {"en", "fr"}
            The language.

        Returns
        -------
        str
            The concept's adverse words where they are sure, else its own; then each feature with its value, and the
            usual one where that differs.
        """
        own = self.book.concepts.get(concept, facts[0].feature.label)
        head = self.book.adverse.get(concept, own) if facts[0].sure else own
        clauses = words.say(AND, lang).join(self._clause(fact, lang) for fact in facts)
        return words.say(HEAD, lang).format(words.say(head, lang), clauses)

    def _fact(self, name: str, value: Value) -> Fact:
        feature = self.features[name]
        if not self.approved:
            return Fact(feature, value, None, compared=False, unlike=value is not None)
        usual = self.approved[name]
        unlike = self._value(feature, value, "en") != self._usual[name]
        if unlike and isinstance(value, float) and isinstance(usual, float):
            unlike = feature.monotone * (value - usual) >= 0
        return Fact(feature, value, usual, compared=True, unlike=unlike)

    def _clause(self, fact: Fact, lang: Language) -> str:
        feature = fact.feature
        own = feature.name in self.book.columns
        label = words.question(self.book, feature.name, lang) if own else words.say(feature.label, lang)
        said = words.say(SAID, lang).format(label, self._value(feature, fact.value, lang))
        if not (fact.compared and fact.unlike):
            return said
        return said + words.say(USUAL, lang).format(self._value(feature, fact.usual, lang))

    def _value(self, feature: Feature, value: Value, lang: Language) -> str:
        if value is None and feature.tables != {self.book.main}:
            return words.say(NONE, lang)
        return words.value(self.book, feature, value, lang)

    def _plain(self, feature: Feature) -> bool:
        """Whether a feature is a column of the application, or one summary of history."""
        return feature.name in self.book.columns or feature.aggregate is not None

    @cached_property
    def _usual(self) -> dict[str, str]:
        return {name: self._value(self.features[name], value, "en") for name, value in self.approved.items()}
