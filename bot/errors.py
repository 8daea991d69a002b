"""Exception hierarchy; every message says what failed, where, and what to do.

CitewireError
├── SettingsError                     a setting is unknown or has an invalid value
├── ParseError                        a file or record cannot be parsed as an article
├── QuestionError                     a question is invalid: empty, far too long, or with an impossible filter
├── DatabaseError                     the article store (SQL) cannot be opened or has rejected a statement
├── EmbeddingError                    the embedding model cannot be loaded
│   └── ModelChecksumError            the packaged weights are not the tested ones
├── ReaderError                       the reader, the model that finds answers in passages, cannot be loaded
├── ChatModelError                    a chat model cannot be set up or has not answered
├── VectorStoreError                  Chroma cannot be reached or its collection cannot be used
│   ├── VectorStoreUnavailableError   its server does not respond now; a retry may succeed
│   ├── CollectionNotFoundError       its server does not have the collection
│   └── VectorStoreRequestError       its server rejects the request
├── KeywordIndexError                 the BM25 index cannot be opened
├── FetchError                        a page or feed cannot be fetched from the web
│   └── FetchForbiddenError           Citewire does not fetch it: because of its address, or of robots.txt
├── BackupError                       a backup cannot be created, or cannot be restored here
├── RayError                          Ray is not installed, cannot be reached, or has failed
├── SlackError                        Slack cannot be reached, or rejects a request
│   ├── SlackRejectedError            Slack has rejected a call, without any effect
│   └── SlackUnavailableError         it is unknown if a call had an effect; a retry may succeed
├── BindError                         an address to listen at is not available
└── EvaluationError                   a test set, run file or gate cannot be used (exit code 2)
"""

from __future__ import annotations


class CitewireError(Exception):
    """Base class of errors that the user can fix; the message says what failed, where, and what to do."""

    exit_code = 1


class SettingsError(CitewireError):
    """A setting is unknown or has an invalid value."""


class ParseError(CitewireError):
    """A file or record cannot be parsed as an article.

    Attributes:
        line: line of the file, from 1, or None if unknown.
    """

    def __init__(self, reason: str, *, line: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


class QuestionError(CitewireError):
    """A question is invalid: empty, far too long, or with an impossible filter."""


class DatabaseError(CitewireError):
    """The article store cannot be opened or has rejected a statement."""


class EmbeddingError(CitewireError):
    """The embedding model cannot be loaded."""


class ModelChecksumError(EmbeddingError):
    """The packaged weights are not the tested ones."""


class ReaderError(CitewireError):
    """The reader cannot be loaded or exported."""


class ChatModelError(CitewireError):
    """A chat model cannot be set up or has not answered."""


class VectorStoreError(CitewireError):
    """Chroma cannot be reached or its collection cannot be used."""


class VectorStoreUnavailableError(VectorStoreError):
    """The Chroma server does not respond now; a retry may succeed."""


class CollectionNotFoundError(VectorStoreError):
    """The Chroma server does not have the collection."""


class VectorStoreRequestError(VectorStoreError):
    """The Chroma server rejects the request."""


class KeywordIndexError(CitewireError):
    """The BM25 index cannot be opened."""


class FetchError(CitewireError):
    """A page or feed cannot be fetched from the web.

    Attributes:
        status: HTTP status, or 0 if there was no response.
        wait: seconds that the host asks to wait before the next request.
    """

    def __init__(self, reason: str, *, status: int = 0, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.status = status
        self.wait = wait


class FetchForbiddenError(FetchError):
    """Citewire does not fetch an address: because of its target or syntax, or of robots.txt."""


class BackupError(CitewireError):
    """A backup cannot be created, or cannot be restored here."""


class RayError(CitewireError):
    """Ray is not installed, cannot be reached, or has failed."""


class SlackError(CitewireError):
    """Slack cannot be reached, or rejects a request."""


class SlackRejectedError(SlackError):
    """Slack has rejected a call, without any effect.

    Attributes:
        reason: error code of Slack, such as "not_in_channel".
    """

    def __init__(self, method: str, reason: str, *, missing: bool = False) -> None:
        """Create an error for a rejected call.

        Args:
            missing: True if the server does not have the method.
        """
        super().__init__(f"{method}: {reason}")
        self.method = method
        self.reason = reason
        self.missing = missing


class SlackUnavailableError(SlackError):
    """The connection broke or Slack failed, so it is unknown if a call had an effect; a retry may succeed."""


class BindError(CitewireError):
    """An address to listen at is not available."""


class EvaluationError(CitewireError):
    """A test set, run file or gate cannot be used."""

    exit_code = 2
