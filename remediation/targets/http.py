"""HTTP: one request to a service that repairs itself when it is asked to."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Literal, Self, cast

from pydantic import Field, model_validator

from remediation import registry, secrets
from remediation.exceptions import ConfigurationError, EffectNotStarted, EffectUncertain
from remediation.targets.base import Attempt, Backend, Effect, Facts, Found, Runs, TargetRef
from remediation.targets.request import Url, refuse_url, send
from remediation.targets.wire import Deadline, reading

SHOWN = 500
"""Characters of an answer's body that are kept."""

JSON = "application/json"
SET_HERE = {"authorization", "connection", "content-length", "content-type", "host", "homeostat-fence",
            "idempotency-key", "proxy-authorization", "transfer-encoding"}  # fmt: skip

HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
HeaderValue = Annotated[str, Field(pattern=r"^[\x20-\x7e]{0,1000}$")]


class HttpParams(registry.Params):
    url: Url = Field(description="Where the request goes (http or https). Redirects are not followed.")
    method: Literal["POST", "PUT", "PATCH", "DELETE", "GET"] = Field(default="POST", description="HTTP method.")
    body: str = Field(default="", max_length=20000, description="The request's body; JSON unless the type says text.")
    content_type: Literal["application/json", "text/plain", "application/x-www-form-urlencoded"] = Field(
        default="application/json", description="Type of the body."
    )
    expect_status: list[Annotated[int, Field(ge=200, le=599)]] = Field(
        default=[200, 201, 202, 204], min_length=1, max_length=20, description="Status codes that mean it was done."
    )
    timeout_s: float = Field(default=10.0, gt=0, le=600, description="Seconds the request may take in all.")
    headers: dict[HeaderName, HeaderValue] = Field(
        default={}, max_length=20, description="More headers; never a secret."
    )
    secret_ref: str = Field(
        default="", pattern=secrets.PATTERN, description="Bearer token: env:NAME or file:/path, never the token."
    )
    state_url: Url | None = Field(default=None, description="GET here shows the target's state (its status code).")
    probe_url: Url | None = Field(
        default=None,
        description='GET here, with the Idempotency-Key of a request, answers {"done": true} or {"done": false} '
        "for that request, if its answer is lost.",
    )

    @model_validator(mode="after")
    def _sendable(self) -> Self:
        wrong = sorted(name for name in self.headers if name.lower() in SET_HERE)
        if wrong:
            raise ValueError(f"{', '.join(wrong)} is set by Homeostat; a token goes into secret_ref")
        if self.body and self.content_type == JSON:
            try:
                json.loads(self.body)
            except (ValueError, RecursionError) as error:
                raise ValueError(f"the body is not JSON: {error}") from None
        return self


class Http(Runs, Backend):
    """One HTTP request to a service, a webhook or an automation server. It carries an `Idempotency-Key`, the same for
    every try of one remediation, so that a receiver which honours it does the work once, and a fencing number in
    `Homeostat-Fence`, which rises with every claim, so that it can refuse a request that comes late. The probe carries
    both as well: the key says which request is asked about."""

    name = "http"
    label = "HTTP request"
    Params = HttpParams

    def state(self, target: TargetRef, *, timeout_s: float = 5.0) -> Facts:
        params = _params(target)
        if not params.state_url:
            return {}
        with reading():
            answer = send("GET", params.state_url, deadline=Deadline(timeout_s), headers=_authorization(_token(params)))
        return {"status": answer.status}

    def check(self, target: TargetRef, *, timeout_s: float = 5.0) -> None:
        params, deadline = _params(target), Deadline(timeout_s)
        _token(params)
        for url in (params.url, params.state_url, params.probe_url):
            if url:
                try:
                    refuse_url(url, deadline)
                except EffectNotStarted as error:
                    raise ConfigurationError(str(error)) from error

    def run(self, target: TargetRef, arguments: Facts, attempt: Attempt) -> Effect:
        params = _params(target)
        token, body = _token(params), body_of(params, arguments)
        headers = {**params.headers, **_authorization(token), **_named(attempt)}
        if body is not None:
            headers["Content-Type"] = params.content_type
        deadline = Deadline(min(params.timeout_s, attempt.timeout_s))
        answer = send(params.method, params.url, deadline=deadline, headers=headers, body=body)
        said = f"{params.method} {params.url} answered {answer.status}"
        if shown := shorten(answer.body, token):
            said = f"{said}: {shown}"
        if answer.status in params.expect_status:
            return Effect(output=said, facts={"status": answer.status})
        if 400 <= answer.status < 500:
            raise EffectNotStarted(f"{said}; expected {_listed(params.expect_status)}")
        if 300 <= answer.status < 400:
            raise EffectUncertain(f"{said}; redirects are not followed")
        raise EffectUncertain(f"{said}; expected {_listed(params.expect_status)}")

    def run_text(self, target: TargetRef, arguments: Facts) -> str:
        params = _params(target)
        body = body_of(params, arguments)
        return f"{params.method} {params.url}" + (f" with {body.decode()}" if body is not None else "")

    def ran(
        self, target: TargetRef, arguments: Facts, *, timeout_s: float = 5.0, attempt: Attempt | None = None
    ) -> Found:
        params = _params(target)
        if not params.probe_url:
            return super().ran(target, arguments, timeout_s=timeout_s, attempt=attempt)
        headers = {**_authorization(_token(params)), **_named(attempt)}
        with reading():
            answer = send("GET", params.probe_url, deadline=Deadline(timeout_s), headers=headers)
        done = done_in(answer.body) if answer.status == 200 else None
        told = {True: "it was done", False: "it was not done", None: "nothing that can be understood"}[done]
        return Found(done=done, reason=f"{params.probe_url} says: {told}", facts={"status": answer.status})


def body_of(params: HttpParams, arguments: Facts) -> bytes | None:
    """The configured body, with the step's arguments as further fields where it is a JSON object or empty."""
    if not arguments:
        return params.body.encode() if params.body else None
    fields = json.loads(params.body or "{}") if params.content_type == JSON else None
    if not isinstance(fields, dict):
        raise ConfigurationError("arguments can only be added to a body that is a JSON object")
    return json.dumps({**fields, **arguments}).encode()


def done_in(body: bytes) -> bool | None:
    """The answer of a probe; None for anything but a plain yes or no."""
    try:
        told: Any = json.loads(body)
    except (ValueError, RecursionError):
        return None
    done = told.get("done") if isinstance(told, dict) else None
    return done if isinstance(done, bool) else None


def shorten(body: bytes, secret: str) -> str:
    """What may be shown of an answer: short, printable, and without the secret an echoing server sent back."""
    text = body.decode(errors="replace")
    if secret:
        text = text.replace(secret, "***")
    text = re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", text).strip()
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _token(params: HttpParams) -> str:
    token = secrets.resolve(params.secret_ref) if params.secret_ref else ""
    if token and not re.fullmatch(r"[\x21-\x7e]+", token):
        raise ConfigurationError(f"the secret {params.secret_ref} holds characters that no token has")
    return token


def _authorization(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def _named(attempt: Attempt | None) -> dict[str, str]:
    return {"Idempotency-Key": attempt.key, "Homeostat-Fence": str(attempt.fence)} if attempt is not None else {}


def _listed(statuses: list[int]) -> str:
    return " or ".join(map(str, statuses))


def _params(target: TargetRef) -> HttpParams:
    return cast(HttpParams, target.params)
