"""The errors a user can meet, as one family.

CitewireError
├── SettingsError      a setting is unknown or has a value that cannot be used
├── ParseError          one file or record cannot be read as an article
├── QuestionError      a question cannot be put: empty, far too long, or with an impossible filter
├── DatabaseError       the library (SQL) cannot be opened or has refused a statement
├── EmbeddingError     the embedding model cannot be loaded
│   └── ModelChecksumError   the packaged weights are not the ones that were tested
├── ReaderError        the reader, the model that finds answers in passages, cannot be loaded
├── ChatModelError     a chat model cannot be set up, or has not answered
├── VectorStoreError       Chroma cannot be reached or its collection is not usable
│   ├── VectorStoreUnavailableError   its server does not answer now, and may again later
│   ├── CollectionNotFoundError   its server does not have the collection
│   └── VectorStoreRequestError   its server does not do what it is asked
├── KeywordIndexError         the word index cannot be opened
├── FetchError         a page or feed cannot be had from the web
│   └── FetchForbiddenError   Citewire does not ask for it: for its address, or because robots.txt says so
├── BackupError        a back-up cannot be made, or is not one that can be restored here
├── RayError        Ray is not installed, cannot be reached, or has failed
├── SlackError         Slack cannot be reached, or refuses what it is asked
│   ├── SlackRejectedError   it has refused a call, and nothing has happened
│   └── SlackUnavailableError   nobody knows whether a call had its effect; it may be tried again
├── BindError       an address to be reached at cannot be had
└── EvaluationError    a test set, run file or gate cannot be used (exit 2)
"""

from __future__ import annotations


class CitewireError(Exception):
    """Something went wrong that the user can act on; the message says what, where, and what to do."""

    exit_code = 1


class SettingsError(CitewireError):
    """A setting is unknown or has a value that cannot be used."""


class ParseError(CitewireError):
    """One file or record cannot be read as an article; `text_section` counts from 1."""

    def __init__(self, reason: str, *, line: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


class QuestionError(CitewireError):
    """A question cannot be put: empty, far too long, or with an impossible filter."""


class DatabaseError(CitewireError):
    """The library cannot be opened or has refused a statement."""


class EmbeddingError(CitewireError):
    """The embedding model cannot be loaded."""


class ModelChecksumError(EmbeddingError):
    """The packaged weights are not the ones that were tested."""


class ReaderError(CitewireError):
    """The reader cannot be loaded or exported."""


class ChatModelError(CitewireError):
    """A chat model cannot be set up, or has not answered."""


class VectorStoreError(CitewireError):
    """Chroma cannot be reached or its collection is not usable."""


class VectorStoreUnavailableError(VectorStoreError):
    """Chroma's server does not answer now, and may again later."""


class CollectionNotFoundError(VectorStoreError):
    """Chroma's server does not have the collection."""


class VectorStoreRequestError(VectorStoreError):
    """Chroma's server does not do what it is asked, for a reason of its own."""


class KeywordIndexError(CitewireError):
    """The word index cannot be opened."""


class FetchError(CitewireError):
    """A page or feed cannot be had from the web; `status` is HTTP's, `wait` the seconds its host wants to be left."""

    def __init__(self, reason: str, *, status: int = 0, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.status = status
        self.wait = wait


class FetchForbiddenError(FetchError):
    """Citewire does not ask for an address: where it leads to, how it is written, or because robots.txt says so."""


class BackupError(CitewireError):
    """A back-up cannot be made, or is not one that can be restored here."""


class RayError(CitewireError):
    """Ray is not installed, cannot be reached, or has failed."""


class SlackError(CitewireError):
    """Slack cannot be reached, or refuses what it is asked."""


class SlackRejectedError(SlackError):
    """Slack has refused a call and said why, in a word such as "not_in_channel"; nothing has happened."""

    def __init__(self, method: str, reason: str, *, missing: bool = False) -> None:
        """Name the method and Slack's reason; `missing` where the server does not have the method at all."""
        super().__init__(f"{method}: {reason}")
        self.method = method
        self.reason = reason
        self.missing = missing


class SlackUnavailableError(SlackError):
    """A call whose effect nobody knows: the connection broke, or Slack failed within. It may be tried again."""


class BindError(CitewireError):
    """An address to be reached at cannot be had."""


class EvaluationError(CitewireError):
    """A test set, run file or gate cannot be used."""

    exit_code = 2
