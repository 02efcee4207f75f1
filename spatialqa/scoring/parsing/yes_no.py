"""Parses yes or no in plain text."""

import re

_ANSWERS_NEXT = r"(?=\s*(?:[,.;:!)\n]|- |\Z|because\b|since\b|as\b|it\b|they\b|the\b|both\b|neither\b|sir\b|not\b))"
_START, _END = r"(?:\A|[.,;:!(\n])\s*", r"(?=\s*(?:[.,;:!)\n]|\Z))"  # of a clause
_NEUTRAL = re.compile(
    r"\bno (?:doubt|question|problem|matter|idea)\b|\bnot only\b|\byes(?: ?/ ?| or )no\b|\bfor sure\b"
)
_NO = re.compile(
    r"\bnot (?:true|correct|right|the case|really|at all|both)\b"
    r"|\b(?:certainly|definitely|absolutely|of course|indeed|probably|surely|think|guess|clearly) not\b"
    r"|\b(?:isn't|aren't|doesn't|don't|wasn't|isnt|arent) (?:true|correct|right|the case)\b"
    r"|\b(?:don't|do not|wouldn't|would not) (?:really )?(?:think|believe|say|suppose) (?:so|that)\b"
    r"|\b(?:doesn't|does not|don't|do not) (?:seem|appear|look|sound) (?:so|that way|like it)\b"
    r"|\b(?:say|guess|assume|suspect|suppose) not\b|\bi doubt (?:it|that)\b|\bby no means\b|\bnot (?:quite|exactly)\b"
    r"|\bon (?:different|opposite) sides\b"
    r"|\b(?:nope|nah|false|incorrect|untrue|wrong|negative)\b"
    rf"|(?:\A|[.,;:!(\n]|- )\s*(?:so,? |then,? |but,? |and,? |well,? )?no\b|\bno{_ANSWERS_NEXT}"
)
_NOT_NO = re.compile(r"\b(?:not|isn't) (?:false|wrong|incorrect|untrue)\b")
_YES = re.compile(
    r"\b(?:yes|yeah|yep|yup|yea|aye|correct|true|affirmative|indeed|certainly|definitely)\b"
    r"|\b(?:absolutely|surely|of course)\b"
    r"|\b(?:that's|that is|you're|you are) right\b"
    r"|\b(?:think|believe|suppose|guess|assume|suspect|(?:would|'d) say|seems?|appears?|looks?)"
    r" (?:so|that way|like it)\b"
    rf"|{_START}(?:well,? )?(?:sure(?: thing)?|exactly|right|precisely){_END}"
)
_SUBJECT = r"(?:it|that|this|they|both(?: of them)?|both sounds|both sources|they both|neither(?: of them)?)"
_SHORT = re.compile(
    r"(?:so |then |well |i think |i believe )?"
    rf"(?P<subject>{_SUBJECT})(?:\s+(?:is|are|does|do|was|were)(?P<denied>n't| not)?|'(?:s|re)(?P<short> not))"
    r"(?: (?:so|both))?"
)
_LETTER = {"y": True, "n": False}


def yes_no(text: str) -> bool | None:
    """Return whether plain text says yes (True) or no (False); None when it says neither or both.

    Words decide (yes, yep, correct, true, indeed; no, nope, false, not true, of course not). Without one, a clause that
    is only a subject and a verb does: "it is", "they aren't", "both are", "neither is". A statement that would have to
    be compared with the question ("it is on the right") is not read.
    """
    text = _NOT_NO.sub("yes", _NEUTRAL.sub(" ", text))
    if text.strip(" .()") in _LETTER:
        return _LETTER[text.strip(" .()")]
    no = bool(_NO.search(text))
    yes = bool(_YES.search(_NO.sub(" ", text)))
    if yes != no:
        return yes
    if yes:
        return None
    said = {_short_answer(clause) for clause in re.split(r"[,.;:!()\n]", text)} - {None}
    return said.pop() if len(said) == 1 else None


def _short_answer(clause: str) -> bool | None:
    match = _SHORT.fullmatch(clause.strip())
    if not match:
        return True if clause.strip() == "both" else False if clause.strip() == "neither" else None
    return not (match["subject"].startswith("neither") or match["denied"] or match["short"])
