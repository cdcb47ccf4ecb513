"""Schemas of a webhook's client certificate: PEM in, subject and fingerprint out."""

from typing import Self

from pydantic import Field, PrivateAttr, ValidationError, ValidationInfo, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from packhook.api.schemas.model import RequestModel, ResponseModel, Time
from packhook.core.client_certificate import InvalidClientCertificate, parse_client_certificate


class ClientCertificateInput(RequestModel):
    """Set a certificate and its key for mutual TLS: both members, or none to remove it."""

    certificate: str = Field(default="", description="PEM: the webhook's own certificate, then those that issued it.")
    key: str = Field(default="", description="PEM, unencrypted: the certificate's private key. Write-only.")
    _identity: tuple[str, str] = PrivateAttr(default=("", ""))

    @property
    def identity(self) -> tuple[str, str]:
        """Return the certificate and its key, rebuilt; two empty strings remove them."""
        return self._identity

    @model_validator(mode="after")
    def _check_pair(self, info: ValidationInfo) -> Self:
        if self.model_fields_set:
            try:
                self._identity = parse_client_certificate(self.certificate, self.key, (info.context or {}).get("now"))
            except InvalidClientCertificate as error:
                raise ValidationError.from_exception_data("ClientCertificateInput", _details(error.problems)) from None
        return self


def _details(problems: list[tuple[str, str]]) -> list[InitErrorDetails]:
    """Return one error for each (member, message), without the input."""
    return [
        InitErrorDetails(type=PydanticCustomError("invalid", "{words}", {"words": words}), loc=(member,), input=None)
        for member, words in problems
    ]


class CertificateOut(ResponseModel):
    """Show a client certificate, without its key."""

    subject: str
    issuer: str
    expires_at: Time
    sha256: str = Field(description="SHA-256 fingerprint of the certificate, in hex.")
