"""What a what-if says of itself: what was tried, and what it means that nothing was found; knows no model."""

from collections.abc import Sequence

from credit.portfolio import Action, Label, Language, Portfolio, words
from credit.scoring.changes import Lever
from credit.scoring.trials import Trial

__all__ = ["note"]

Known = Sequence[tuple[Action, Lever | str]]

#: By goal: what is said of proposals, and what is said where there is none; {n} is the number of changes.
FOUND = {
    "approve": Label(
        "The smallest of {n} plausible changes tried that lead to an approval",
        "Les plus petites des {n} modifications plausibles essayées qui mènent à une acceptation",
    ),
    "review": Label(
        "None of {n} plausible changes tried leads to an approval; the smallest that lead to a review",
        "Aucune des {n} modifications plausibles essayées ne mène à une acceptation ; "
        "les plus petites qui mènent à un examen",
    ),
    "headroom": Label(
        "The nearest of {n} plausible changes tried that lose the approval",
        "Les plus proches des {n} modifications plausibles essayées qui font perdre l'acceptation",
    ),
}
AGAIN = Label("; each was scored again as a whole.", " ; chacune a été évaluée à nouveau en entier.")
NONE = {
    "approve": Label(
        "None of {n} plausible changes tried leads to an approval.",
        "Aucune des {n} modifications plausibles essayées ne mène à une acceptation.",
    ),
    "headroom": Label(
        "None of {n} plausible changes tried loses the approval.",
        "Aucune des {n} modifications plausibles essayées ne fait perdre l'acceptation.",
    ),
}
NOTHING = Label("No change could be tried.", "Aucune modification n'a pu être essayée.")
UNNAMED = Label(
    "The portfolio names nothing that can be changed in an application.",
    "Le portefeuille ne nomme rien qui puisse être modifié dans une demande.",
)
BETWEEN = Label("; ", " ; ")
TRIED = Label("Tried: {list}.", "Essayé : {list}.")
UNTRIED = Label("Not tried: {list}.", "Non essayé : {list}.")
RANGE = Label("{label} ({column}: {low} to {high})", "{label} ({column} : {low} à {high})")
TOGETHER = Label("two of these together", "deux à la fois")
ABSENT = Label("{label} (needs a value: {column})", "{label} (il faut une valeur : {column})")
STUCK = Label("{label} (no other value is plausible)", "{label} (aucune autre valeur n'est plausible)")
LOWEST = Label(
    "The lowest probability of default reached is {low}; now it is {now}.",
    "La plus faible probabilité de défaut atteinte est de {low} ; elle est actuellement de {now}.",
)
HARDLY = Label(
    "None lowers the probability of default below {now}.", "Aucune ne ramène la probabilité de défaut sous {now}."
)
STILL = Label("The probability of default does not depend on them.", "La probabilité de défaut n'en dépend pas.")
OTHERS = Label(
    "What decides are other facts, which this application cannot change.",
    "Ce qui décide, ce sont d'autres éléments, que cette demande ne peut pas changer.",
)


def note(
    book: Portfolio, goal: str, found: bool, known: Known, trials: Sequence[Trial], now: float, lang: Language
) -> str:
    """Write the note.

    Parameters
    ----------
    book : Portfolio
        The book.
    goal : {"approve", "review", "headroom"}
        What was looked for; "review" only where it was found.
    found : bool
        Whether there are proposals.
    known : sequence of (Action, Lever or str)
        The actions, each with what it starts from or with the column that has no value.
    trials : sequence of Trial
        The plausible changes that were scored.
    now : float
        The applicant's probability of default.
    lang : {"en", "fr"}
        The language.
    """
    count = words.number(len(trials), lang, 0)
    tried, untried = _tried(book, known, trials, lang)
    left = [words.say(UNTRIED, lang).format(list=words.say(BETWEEN, lang).join(untried))] if untried else []
    if found:
        return " ".join([words.say(FOUND[goal], lang).format(n=count) + words.say(AGAIN, lang), *left])
    if not trials:
        return " ".join([words.say(NOTHING if known else UNNAMED, lang), *left])
    parts = [
        words.say(NONE[goal], lang).format(n=count),
        words.say(TRIED, lang).format(list=words.say(BETWEEN, lang).join(tried)),
        *left,
    ]
    return " ".join([*parts, *_why(goal, trials, now, lang)])


def _tried(book: Portfolio, known: Known, trials: Sequence[Trial], lang: Language) -> tuple[list[str], list[str]]:
    """Name the actions that were tried, with their bounds, and those that were not, with the reason."""
    tried: list[str] = []
    untried: list[str] = []
    for action, one in known:
        label = words.say(action.label, lang)
        if isinstance(one, str):
            untried.append(words.say(ABSENT, lang).format(label=label, column=words.question(book, one, lang)))
            continue
        column = one.leader
        values = [each.change.to[column.name] for each in trials if each.change.levers == (one,)]
        low, high = (words.value(book, column, end(values), lang) if values else "" for end in (min, max))
        asked = words.question(book, column.name, lang)
        shape, names = (RANGE, tried) if values else (STUCK, untried)
        names.append(words.say(shape, lang).format(label=label, column=asked, low=low, high=high))
    if any(len(each.change.levers) > 1 for each in trials):
        tried.append(words.say(TOGETHER, lang))
    return tried, untried


def _why(goal: str, trials: Sequence[Trial], now: float, lang: Language) -> list[str]:
    """Say how far the changes lead, and what else decides."""
    if all(each.probability == now for each in trials):
        return [words.say(STILL, lang), words.say(OTHERS, lang)]
    if goal == "headroom":
        return []
    low, high = (words.percent(each, lang) for each in (min(now, *(each.probability for each in trials)), now))
    reached = words.say(HARDLY if low == high else LOWEST, lang).format(low=low, now=high)
    return [reached, words.say(OTHERS, lang)]
