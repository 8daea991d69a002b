"""Detect prompt injection in article text, and truncate the text before it."""

from __future__ import annotations

import re

from bot.articles.chunking import split_sentences

_TARGET = (
    r"(?:instructions?|prompts?|rules|guidelines|directions|commands|passages?|articles?|context|messages?)"
)
_SAY = (
    r"(?:say|reply|respond|answer|output|print|write|repeat|reveal|cite|include|mention|append|insert|recommend|translate|"
    r"summari[sz]e|ignore|disregard|pretend|obey)"
)
_MACHINE = (
    r"(?:ai|a\.i\.|artificial intelligence|language models?|llms?|chat ?bots?|assistants?|gpt|chatgpt|claude|"
    r"gemini|citewire|the model|this model|dear model|bots?)"
)
_INJECTION_PATTERNS = (
    # Ignore all previous instructions; disregard the above.
    rf"(?:ignore|disregard|forget|override|bypass)\b[^.\n]{{0,40}}\b(?:(?:above|previous|prior|earlier|preceding|"
    rf"other|your|all|any|these|those)\b[^.\n]{{0,30}}\b{_TARGET}\b|(?:the |all |everything )?(?:above|before this)\b)",
    r"(?:new|updated|real|actual|secret|hidden|important|following|additional)\s+(?:instructions?|prompts?|orders?)\b[^.\n]{0,30}:",
    r"(?:^|[\[<(#*>|.!?])\s*(?:system|developer|assistant|admin(?:istrator)?)\s*(?:prompt|message|note|override|update|notice|instruction)?\s*[:>\]]",
    r"your (?:system |initial |hidden |secret )?(?:prompt|instructions|rules|guidelines)\b",
    r"(?:system|initial|hidden) prompt\b",
    # You are now …; from now on you …
    r"you are (?:now|no longer|an?)\b[^.\n]{0,40}\b(?:ai|assistant|bot|model|mode|dan|jailbroken|unrestricted)\b",
    rf"from now on,? (?:you|always|only|every|{_SAY})\b",
    r"(?:developer|debug|god|admin|dan|jailbreak) mode\b",
    # An AI that reads this must …; note to the assistant: …
    rf"\b{_MACHINE}\b[^.\n]{{0,60}}\b(?:must|should|shall|have to|has to|needs? to|please|reading this|"
    rf"(?:is|are) (?:ordered|required)|instructed)\b",
    rf"(?:attention|note|message|notice|instructions?|hey|dear|hello|to)[ ,:]+(?:to |for )?"
    rf"(?:the |any |all |every )?{_MACHINE}\b\s*[:,!.—-]",
    # Say “…”; reply with: …; when asked about X, answer Y
    rf"(?:^|(?<=[.!?:;\n] ))\W*(?:please |now |instead,? |then |just |only |always |simply )*{_SAY}\b"
    rf"(?:[^.\n]{{0,40}}(?:[“\"‘:]|\s')|\s+(?:only|exactly|nothing|with|verbatim|that|in|like|as|"
    rf"the (?:following|words?|phrase|sentence|text))\b)",
    rf"(?:when|if|whenever) (?:(?:you are |you're )?(?:asked|questioned)|(?:someone|the user|anyone) asks)\b"
    rf"[^.\n]{{0,80}}\b{_SAY}\b",
    # Parts of a prompt: fences, turn markers
    r"[<＜﹤‹〈]/?\s*(?:passages?|question|context|documents?|articles?|system|user|assistant|instructions?)\b"
    r"[^>＞﹥›〉\n]{0,60}[>＞﹥›〉]",
    r"<\|[^|\n]{1,30}\|>|\[/?(?:INST|SYS)\]|<</?SYS>>",
    r"#{2,}\s*(?:system|instructions?|response|assistant|human|user)\b",
    r"\b(?:end|beginning|start) of (?:the )?(?:passages?|context|articles?|documents?|data|prompt|instructions?)\b",
)
# Letters of other alphabets that look like Latin ones, and invisible characters: both hide an injection from a search.
_LOOKALIKES = str.maketrans("асԁеһіјорѕухАВЕІКМНОРСТХ", "acdehijopsyxABEIKMHOPCTX")
_INVISIBLE = "\u00ad\u200b-\u200f\u2060-\u2064\U000e0000-\U000e007f"
_INJECTION = re.compile(
    "|".join(f"(?:{order})" for order in _INJECTION_PATTERNS), re.IGNORECASE | re.MULTILINE
)


def truncate_at_injection(text: str) -> str:
    """Return `text` up to the first sentence with a prompt injection, or all of it if there is none.

    Offsets into the returned text remain valid. No model reads the rest of the passage, and it supports no sentence,
    because the text that an injection tries to place in the answer probably follows it.
    """
    order = _INJECTION.search(re.sub(f"[{_INVISIBLE}]", "", text).translate(_LOOKALIKES))
    if order is None:
        return text
    begins = order.end() - len(re.sub(r"^\W+", "", order[0]))
    if re.search(f"[{_INVISIBLE}]", text):
        begins = [match.start() for match in re.finditer(f"[^{_INVISIBLE}]", text)][begins]
    sentence = max((span.start for span in split_sentences(text) if span.start <= begins), default=0)
    return text[:sentence].rstrip()
