"""Schemas of errors and of the health checks."""

from pydantic import Field

from packhook.api.schemas.model import ResponseModel


class FieldProblem(ResponseModel):
    """Name an invalid field: a JSON Pointer into the body, or the name of a parameter."""

    field: str
    code: str
    message: str


class Problem(ResponseModel):
    """Describe an error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] = Field(default=[])


class HealthStatus(ResponseModel):
    """Show the result of a health check."""

    status: str
