"""The web API of a model, as FastAPI declares it (M2); `serving` answers it."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import uuid4

from dslp.models.api import Api
from fastapi import FastAPI, Header
from fastapi.responses import Response
from pydantic import Discriminator, Tag

BYTES = 1_000_000  # of a body
ID = Header(
    default_factory=lambda: uuid4().hex,
    pattern="^[ -~]{1,128}$",
    description="The name of the request in the log of predictions.",
)
KEY = Header(description="The same version answers a key each time: a customer's number.")


def declare(
    api: Api, answer: Callable[[Any, str, str], Awaitable[Response]] | None = None, **options: Any
) -> FastAPI:
    """An application with the route `/predict`.

    Args:
        api: of the model.
        answer: takes the body, the identifier of the request and its key. Without it, only the
            OpenAPI document of the application is of use.
        options: of FastAPI.
    """
    docs: Any = {"version": api.digest, "docs_url": None, "redoc_url": None}
    app = FastAPI(title=api.model.name, **docs, **options)
    one, many = Annotated[api.request, Tag("record")], Annotated[api.many, Tag("records")]
    kind = Discriminator(lambda body: "records" if isinstance(body, list) else "record")
    Body: Any = Annotated[one | many, kind]

    @app.post(
        "/predict",
        summary=(api.request.__doc__ or api.model.name).strip().splitlines()[0],
        response_model=api.response | list[api.response],  # type: ignore[name-defined]
        max_body_size=BYTES,
    )
    async def predict(
        body: Body, x_request_id: Annotated[str, ID], x_split_key: Annotated[str, KEY] = ""
    ) -> Response:
        assert answer is not None
        return await answer(body, x_request_id, x_split_key)

    return app


def openapi_document(api: Api) -> dict[str, Any]:
    """The OpenAPI document of a model that is not served."""
    return declare(api).openapi()
