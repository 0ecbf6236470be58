"""Search on plain PostgreSQL: Chinese by single characters and pairs, other words whole and found by their beginning.

Context: the server may have no extension, and PostgreSQL's own parsers take a Chinese sentence for one word.
Decision: we cut the words ourselves and keep them as a `tsvector` under a GIN index; the title's carry weight A.
Consequence: 龙井 finds 明前龙井, `air` finds AirPods, punctuation finds nothing; after a change here products must be
written again. Alternative: pg_trgm, which finds no two-character word and is not everywhere; or a search server.
"""

import re
import unicodedata

_CHINESE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uac00-\ud7af\U00020000-\U0003ffff"
_RUNS = re.compile(rf"[{_CHINESE}]+|[^\W_{_CHINESE}]+")
_IS_CHINESE = re.compile(rf"[{_CHINESE}]")
_PIECES = re.compile(r"\d+|\D+")
_LONGEST_WORD = 40


def _runs(written: str) -> list[str]:
    """Full width becomes half width, capitals small; then runs of Chinese and runs of letters and digits."""
    return _RUNS.findall(unicodedata.normalize("NFKC", written).casefold())


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)]


def _terms(written: str) -> set[str]:
    """Everything by which a text can be found."""
    terms: set[str] = set()
    for run in _runs(written):
        if _IS_CHINESE.match(run):
            terms.update(run, _pairs(run))
        else:
            terms.update(word[:_LONGEST_WORD] for word in (run, *_PIECES.findall(run)))
    return terms


def document(title: str, others: list[str]) -> str:
    """What stands in `product.search_vector`, as the text of a `tsvector`. Terms hold only letters and digits."""
    named = _terms(title)
    rest = set().union(*map(_terms, others)) - named
    return " ".join([f"'{term}':1A" for term in sorted(named)] + [f"'{term}':1" for term in sorted(rest)])


def queries(words: str) -> tuple[str, str] | None:
    """`(anywhere, in the title)` as texts of `tsquery`: every word must be found. `None` when there is no word in it."""
    anywhere: list[str] = []
    titled: list[str] = []
    for run in _runs(words):
        if not _IS_CHINESE.match(run):
            anywhere.append(f"'{run[:_LONGEST_WORD]}':*")
            titled.append(f"'{run[:_LONGEST_WORD]}':*A")
            continue
        for term in _pairs(run) or [run]:
            anywhere.append(f"'{term}'")
            titled.append(f"'{term}':A")
    return (" & ".join(anywhere), " & ".join(titled)) if anywhere else None
