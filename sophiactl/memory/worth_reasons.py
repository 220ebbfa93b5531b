"""Why a memory is worth what it is, in plain words."""

from __future__ import annotations

from math import expm1, log

_ABOVE_BELOW: dict[str, tuple[str, str]] = {
    "length": ("has {exp} words", "has only {exp} words"),
    "information": ("its words say much", "its words say little"),
    "rarity": ("uses uncommon words", "uses common words"),
    "rarest words": ("has rare words", "has no rare word"),
    "asked-about words": ("has many words that people ask about", "has few words that people ask about"),
    "most asked-about word": ("names something people ask about", "names nothing people ask about"),
    "asked-about on average": ("is mostly about things people ask about", "is mostly small words"),
    "names": ("has {count} names", "has no name"),
    "digits": ("has {count} numbers", "has no number"),
    "links and amounts": ("has {count} links, addresses or amounts", "has no link, address or amount"),
    "question": ("is a question", "is no question"),
    "statement": ("states something", "states little"),
    "exclamations": ("exclaims", "does not exclaim"),
    "repetition": ("repeats its own words", "does not repeat itself"),
    "answers a question": ("answers a question", "answers no question"),
    "echo": ("repeats what was said before it", "adds to what was said before it"),
    "chatter": ("is mostly small talk", "has little small talk"),
    "courtesy words": ("greets, thanks or agrees ({count} words)", "does not greet, thank or agree"),
    "function words": ("has {count} small words", "has few small words"),
    "self words": ("speaks of its author ({count} words)", "does not speak of its author"),
    "addressee words": ("speaks to somebody ({count} words)", "speaks to nobody"),
    "possession words": ("says what somebody has ({count} words)", "says nothing of what somebody has"),
    "others words": ("speaks of others ({count} words)", "speaks of nobody else"),
    "vague words": ("leaves open what it means ({count} words)", "says what it means"),
    "asking words": ("has {count} words of asking", "has no word of asking"),
    "hedge words": ("is unsure ({count} words)", "is not unsure"),
    "time words": ("gives a time ({count} words)", "gives no time"),
    "number words": ("counts something ({count} words)", "counts nothing"),
    "kin words": ("names people close to its author ({count} words)", "names nobody close to its author"),
    "event words": ("tells what happened ({count} words)", "tells of nothing that happened"),
    "standing words": ("tells what usually holds ({count} words)", "tells nothing that usually holds"),
    "plan words": ("tells of a plan or a wish ({count} words)", "tells of no plan or wish"),
    "taste words": ("tells what somebody likes ({count} words)", "tells of no liking"),
    "reason words": ("gives a reason ({count} words)", "gives no reason"),
    "life words": ("is about work, home or leisure ({count} words)", "is not about work, home or leisure"),
    "decision words": ("is about a decision or a duty ({count} words)", "is about no decision or duty"),
}
_ONE = {" words": " word", " names": " name", " numbers": " number"}


def wording(feature: str, value: float, *, above: bool) -> str:
    """What a value of a feature says, `above` or below what is typical."""
    pair = _ABOVE_BELOW.get(feature)
    if pair is None:
        return f"{feature}: {'more' if above else 'less'} than is typical"
    many = round(-1.5 * log(1 - value)) if 0 <= value < 1 else 0
    text = pair[0 if above else 1].format(count=max(many, 1), exp=round(expm1(min(value, 6.0))))
    if "{count}" in pair[0] and above and many <= 1:
        for plural, singular in _ONE.items():
            text = text.replace(f"1{plural}", f"1{singular}")
    return text
