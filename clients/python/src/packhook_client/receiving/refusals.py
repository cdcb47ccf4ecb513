"""Say why a request was refused: one tree of errors, each with a stable code and words for the receiver's owner."""

from typing import ClassVar


class Refused(Exception):
    """Report that a request is not proven to be a recent one of the sender. Respond with 401 and do nothing else.

    ``str(refused)`` is for your log: what is wrong, and what to check. ``public_reason`` is for the response: it says
    nothing about your secrets or your code. ``code`` is stable.
    """

    code: ClassVar[str] = "refused"
    public_reason: str = "the request is not proven to be genuine"


class HeaderMissing(Refused):
    """Report that a header that Standard Webhooks needs is missing or empty."""

    code = "header_missing"

    def __init__(self, header: str) -> None:
        self.header = header
        self.public_reason = f"the header {header} is missing"
        super().__init__(
            f"{self.public_reason}: the request was not sent by a webhook service, or a proxy removed the header"
        )


class Malformed(Refused):
    """Report that a header cannot be read, such as a time that is no number."""

    code = "malformed"

    def __init__(self, header: str, problem: str) -> None:
        self.header = header
        self.public_reason = f"the header {header} {problem}"
        super().__init__(self.public_reason)


class _WrongTime(Refused):
    """Hold how far away a message is. ``is_genuine`` tells whether its signature is right for its own time."""

    _word: ClassVar[str]
    _likely: ClassVar[str]

    def __init__(self, seconds: int, tolerance_seconds: float, *, is_genuine: bool) -> None:
        self.seconds = seconds
        self.tolerance_seconds = tolerance_seconds
        self.is_genuine = is_genuine
        limit = f"at most {tolerance_seconds:g} s are allowed"
        self.public_reason = f"webhook-timestamp is {seconds} s {self._word}, {limit}"
        signature = f"its signature is right, so {self._likely}" if is_genuine else "its signature is wrong too"
        super().__init__(f"{self.public_reason}; {signature}")


class TooOld(_WrongTime):
    """Report that a message was signed too long ago, by ``seconds``: it may be a replayed request."""

    code = "too_old"
    _word = "in the past"
    _likely = "it is an old request that was sent again, or this machine's clock is ahead"


class TooNew(_WrongTime):
    """Report that a message was signed in the future, by ``seconds``: a clock is wrong."""

    code = "too_new"
    _word = "in the future"
    _likely = "this machine's clock is behind, or the sender's is ahead"


class SignatureMismatch(Refused):
    """Report that no token was made with a known secret over this id, time and body.

    A signature alone cannot tell a wrong secret from a changed body. ``causes`` are the likely ones, most likely first.
    Where one of them can be shown, the error is a WrongSecret or a BodyChanged.
    """

    code = "signature_mismatch"
    public_reason = "the signature in webhook-signature does not match"

    def __init__(self, problem: str, *causes: str) -> None:
        self.causes = causes
        super().__init__(f"{self.public_reason}: {problem}" + "".join(f"\n- {cause}" for cause in causes))


class WrongSecret(SignatureMismatch):
    """Report that the secret is written in another form than the sender's; it verifies when it is corrected."""

    code = "wrong_secret"


class BodyChanged(SignatureMismatch):
    """Report that the body is not the one that was sent: it verifies without the change, or its length differs."""

    code = "body_changed"
