"""What staff call."""

from typing import Any

from litestar import Request, get, put
from litestar.di import NamedDependency
from litestar.params import JSONBody

from kit.clock import Clock
from kit.database import Database
from kit.errors import InvalidInput, SignInNeeded
from kit.fields import as_id
from kit.web.actor import NotPermitted, actor_of, requires
from kit.web.declared import BODY, declared
from kit.web.parameters import PathId
from shop.shipping import schemas, templates
from shop.shipping.schemas import FreightTemplateBody, FreightTemplates, FreightTemplateView
from shop.shipping.templates import TemplateNotFound

_WRITE = [requires("shipping.write")]


@get(
    "/freight-templates",
    operation_id="listFreightTemplates",
    summary="What sending costs; the default first",
    guards=_WRITE,
    responses=declared(SignInNeeded, NotPermitted),
)
async def list_freight_templates(db: NamedDependency[Database]) -> FreightTemplates:
    async with db.begin() as session:
        found = await templates.list_all(session)
    return FreightTemplates([schemas.template_view(row) for row in found])


@get(
    "/freight-templates/{template_id:str}",
    operation_id="getFreightTemplate",
    summary="One freight template",
    guards=_WRITE,
    responses=declared(InvalidInput, SignInNeeded, NotPermitted, TemplateNotFound),
)
async def get_freight_template(template_id: PathId, db: NamedDependency[Database]) -> FreightTemplateView:
    async with db.begin() as session:
        row = await templates.get(session, as_id(template_id))
    return schemas.template_view(row)


@put(
    "/freight-templates/{template_id:str}",
    operation_id="updateFreightTemplate",
    summary="Replace a freight template; orders placed keep what they were promised",
    guards=_WRITE,
    responses=declared(*BODY, SignInNeeded, NotPermitted, TemplateNotFound),
)
async def update_freight_template(
    request: Request[Any, Any, Any],
    template_id: PathId,
    data: JSONBody[FreightTemplateBody],
    db: NamedDependency[Database],
    clock: NamedDependency[Clock],
) -> FreightTemplateView:
    async with db.begin() as session:
        row = await templates.change(
            session,
            as_id(template_id),
            name=data.name,
            template=data.template(),
            by=actor_of(request),
            now=clock.now(),
        )
    return schemas.template_view(row)


ROUTES: list[Any] = [list_freight_templates, get_freight_template, update_freight_template]
