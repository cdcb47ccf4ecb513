"""A client certificate over the wire: both halves in, names and a fingerprint out."""

from typing import Self

from pydantic import Field, PrivateAttr, ValidationError, ValidationInfo, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from packhook.api.shape import Answer, Request
from packhook.core.client_certificate import InvalidClientCertificate, parse_client_certificate


class ClientCertificate(Request):
    """With what packhook shows the endpoint who it is (mTLS): both members, or none to unset it."""

    certificate: str = Field(default="", description="PEM: the webhook's own certificate, then those that issued it.")
    key: str = Field(default="", description="PEM, unencrypted: the certificate's private key. Write-only.")
    _identity: tuple[str, str] = PrivateAttr(default=("", ""))

    @property
    def identity(self) -> tuple[str, str]:
        """The certificate and its key, rebuilt; two empty texts unset them."""
        return self._identity

    @model_validator(mode="after")
    def _belong_together(self, info: ValidationInfo) -> Self:
        if self.model_fields_set:
            try:
                self._identity = parse_client_certificate(self.certificate, self.key, (info.context or {}).get("now"))
            except InvalidClientCertificate as error:
                raise ValidationError.from_exception_data("ClientCertificate", _each(error.problems)) from None
        return self


def _each(problems: list[tuple[str, str]]) -> list[InitErrorDetails]:
    """Every problem at its own member, without what was given."""
    return [
        InitErrorDetails(type=PydanticCustomError("invalid", "{words}", {"words": words}), loc=(member,), input=None)
        for member, words in problems
    ]


class CertificateOut(Answer):
    """What is shown of a client certificate; the key never is."""

    subject: str
    issuer: str
    expires_at: str
    sha256: str = Field(description="Of the certificate itself, in hex.")
