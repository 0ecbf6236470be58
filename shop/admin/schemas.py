"""Bodies on the wire."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from kit.audit import AuditEntry
from kit.fields import Id, Word
from kit.paging import Page
from shop.admin.models import Staff
from shop.admin.roles import PERMISSIONS, Role

Login = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9][a-z0-9._@-]{1,63}$(?!\n)",
        description="Lower-case letters, digits and ._@-, 2 to 64 characters",
    ),
]
NewPassword = Annotated[str, Meta(min_length=10, max_length=128)]
GivenPassword = Annotated[str, Meta(min_length=1, max_length=128)]


class _Body(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    pass


class _View(msgspec.Struct, rename="camel", kw_only=True):
    pass


class StaffSignInBody(_Body):
    login: Word
    password: GivenPassword


class PasswordChangeBody(_Body):
    password: GivenPassword
    new_password: NewPassword


class PasswordResetBody(_Body):
    new_password: NewPassword


class NewStaffBody(_Body):
    login: Login
    name: Word
    password: NewPassword
    role: Role


class StaffBody(_Body):
    """What is left out stays."""

    name: Word | UnsetType = UNSET
    role: Role | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET


class StaffView(_View):
    id: Id
    login: str
    name: str
    role: Role
    disabled: bool
    created_at: datetime


class StaffMe(_View):
    """`permissions`: what the console may show."""

    id: Id
    login: str
    name: str
    role: Role
    permissions: list[str]


class StaffSignInView(_View):
    """`expires_in`: seconds."""

    access_token: str
    expires_in: int
    staff: StaffMe


class StaffList(_View):
    items: list[StaffView]


class AuditEntryView(_View):
    id: str
    at: datetime
    actor: str
    action: str
    subject_kind: str
    subject: str
    facts: dict[str, Any]
    request_id: str | None


def staff_view(staff: Staff) -> StaffView:
    return StaffView(
        id=str(staff.id),
        login=staff.login,
        name=staff.name,
        role=Role(staff.role),
        disabled=staff.disabled,
        created_at=staff.created_at,
    )


def me_view(staff: Staff) -> StaffMe:
    return StaffMe(
        id=str(staff.id),
        login=staff.login,
        name=staff.name,
        role=Role(staff.role),
        permissions=sorted(PERMISSIONS[staff.role]),
    )


def audit_page(found: Page[AuditEntry]) -> Page[AuditEntryView]:
    views = [
        AuditEntryView(
            id=str(entry.id),
            at=entry.at,
            actor=entry.actor,
            action=entry.action,
            subject_kind=entry.subject_kind,
            subject=entry.subject,
            facts=entry.facts,
            request_id=entry.request_id,
        )
        for entry in found.items
    ]
    return Page(views, found.next_cursor)
