"""Makes a question that leans on earlier ones stand alone, and knows talk that asks nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence

_SMALL_TALK = (
    (re.compile(r"(hi|hello|hey|hiya|good (morning|afternoon|evening|day))( (there|all|everyone|citewire))?"),
     "Hello. Ask me about what the articles report, and I answer with quotes from them."),
    (re.compile(r"(many )?(thanks|thank you|thx|ta|cheers)( (a lot|so much|very much|again))?"),
     "You are welcome."),
    (re.compile(r"(bye|goodbye|see you|good night)"),
     "Goodbye."),
    (re.compile(r"(help|who are you|what (are|can) you( do)?|what is this|how do you work)"),
     "I answer questions from the articles that were ingested. Every sentence I give is a quote with its source; "
     "when the articles do not say, I say so."),
    (re.compile(r"(ok|okay|great|nice|cool|perfect|got it|i see)"),
     "Ask on whenever you like."),
)  # fmt: skip

# Words by which a question points back: pronouns, "there", "that", "the same", "what about", "and …".
_POINTS_BACK = re.compile(
    r"\b(he|him|his|she|her|hers|it|its|they|them|their|theirs|this|that|these|those|there|then|one|ones|same|"
    r"former|latter|such|else|so)\b",
    re.IGNORECASE,
)
_CONTINUES = re.compile(
    r"^\W*(and|but|or|also|what about|how about|why|when|where|who|how (much|many|long|far|old))\W*",
    re.IGNORECASE,
)
_SHORT = 5  # words: "And the runner-up?" cannot be understood alone


def small_talk_reply(question: str) -> str | None:
    """Return a reply to a greeting, thanks or a plea for help; None for anything that could be a question."""
    plain = re.sub(r"[^\w\s']", " ", question).casefold()
    plain = " ".join(plain.split())
    return next((reply for pattern, reply in _SMALL_TALK if pattern.fullmatch(plain)), None)


def standalone_question(question: str, history: Sequence[str]) -> str:
    """Return `question` so that it can be searched for without its conversation.

    A follow-up is joined to the question it leans on (and that one, if it leans itself, to the one before).
    Without a language model nothing better is certain, and words added wrongly cost less than words missing.
    """
    earlier = [line for line in history if line.strip()]
    if not earlier or not _leans(question):
        return question
    return f"{standalone_question(earlier[-1], earlier[:-1])} {question}"


def _leans(question: str) -> bool:
    words = question.split()
    rest = _CONTINUES.sub("", question)
    names = [word for word in rest.split()[:] if word[:1].isupper()]
    if _POINTS_BACK.search(question) and not names:
        return True
    return len(words) <= _SHORT and (not names or _CONTINUES.match(question) is not None)
