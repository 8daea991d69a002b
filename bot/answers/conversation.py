"""Makes a question that leans on earlier ones stand alone, and knows talk that asks nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence

_ABOUT = (
    "I answer questions from the articles that were taken in. Every sentence I give is a quote with its source; "
    "when the articles do not say, I say so."
)
_SMALL_TALK = {
    r"(hi|hello|hey|hiya|good (morning|afternoon|evening|day))( (there|all|everyone|citewire))?": f"Hello. {_ABOUT}",
    r"(many )?(thanks|thank you|thx|cheers)( (a lot|so much|very much|again))?": "You are welcome.",
    r"bye|goodbye|see you|good night": "Goodbye.",
    r"help|who are you|what (are|can) you( do)?|what is this|how do you work": _ABOUT,
    r"ok|okay|great|nice|cool|perfect|got it|i see": "Ask on whenever you like.",
}

# Words by which a question points back at the conversation, and beginnings that go on from it.
_POINTS_BACK = re.compile(
    r"\b(he|him|his|she|her|hers|it|its|they|them|their|theirs|this|that|these|those|there|then|ones?|same|"
    r"former|latter|such|else)\b",
    re.IGNORECASE,
)
_GOES_ON = re.compile(r"\W*(and|but|or|also|so|what about|how about)\b", re.IGNORECASE)
_SHORT = 4  # words: "Which year?" cannot be understood alone


def small_talk_reply(question: str) -> str | None:
    """Return a reply to a greeting, thanks or a plea for help; None for anything that could be a question."""
    plain = " ".join(re.sub(r"[^\w\s]", " ", question).casefold().split())
    return next((reply for pattern, reply in _SMALL_TALK.items() if re.fullmatch(pattern, plain)), None)


def standalone_question(question: str, history: Sequence[str]) -> str:
    """Return `question` in a form that can be searched for without its conversation.

    A follow-up is joined to the question it leans on. Nothing better is certain without a language model,
    and for a search a word too many does less harm than a name too few.
    """
    earlier = [line for line in history if line.strip() and not small_talk_reply(line)]
    if not earlier or not _leans(question):
        return question
    return f"{standalone_question(earlier[-1], earlier[:-1])} {question}"


def _leans(question: str) -> bool:
    """Say whether a question is a follow-up: it goes on, is very short, or points back and names nobody."""
    words = question.split()
    names_somebody = any(word[:1].isupper() for word in words[1:])
    points_back = _POINTS_BACK.search(question) is not None
    return bool(_GOES_ON.match(question)) or (not names_somebody and (points_back or len(words) <= _SHORT))
