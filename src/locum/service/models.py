"""Models: the names that a run may ask for."""

from typing import Final

from locum import logs
from locum.errors import Forbidden, no_such_model
from locum.llm.protocol import ModelError
from locum.service.scope import Scope
from locum.wire.fields import Deleted
from locum.wire.models import Model, ModelList

# Nobody knows when a model was made; clients want a number that does not change.
_CREATED: Final = 1_700_000_000
_EVERY_OTHER: Final = "*"


async def list_models(scope: Scope) -> ModelList:
    return ModelList(data=tuple([_model(name) for name in await _names(scope)]))


async def get_model(scope: Scope, *, model: str) -> Model:
    if model not in await _names(scope):
        raise no_such_model(model)
    return _model(model)


async def delete_model(scope: Scope, *, model: str) -> Deleted:
    """Models belong to whoever runs the server: there is none that a client could delete."""
    await get_model(scope, model=model)
    raise Forbidden(
        f"You have insufficient permissions for this operation: the model '{model}' is not"
        " a fine-tuned model of yours.",
        param="model",
    )


async def _names(scope: Scope) -> list[str]:
    """Names the operator gave, then those the backend tells, as far as it can be reached."""
    names = [name for name in scope.house.settings.models if name != _EVERY_OTHER]
    try:
        names += await scope.house.backend.models()
    except ModelError as error:
        logs.warning("models.unknown", reason=error.code)
    return list(dict.fromkeys(names))


def _model(name: str) -> Model:
    return Model(id=name, created=_CREATED, owned_by="locum")
