"""The control plane in the admin: people, workspaces and what they have set up, to look at; and the door itself.

Nothing is edited in a model form. What changes something is an act or a page of its own, which calls a service and
notes its reason in the audit trail. Destinations and filters are registered by delivery, which adds what only it can do
and show.
"""

from hub.adminsite.site import ExtraPage, site
from tenants.admin import (
    audit,
    filters,
    mappings,
    oauth,
    oauth_pages,
    people,
    rule_pages,
    second_factor,
    sign_in,
    sources,
    subscriptions,
    workspaces,
)

__all__ = [
    "audit",
    "filters",
    "mappings",
    "oauth",
    "oauth_pages",
    "people",
    "rule_pages",
    "sources",
    "subscriptions",
    "workspaces",
]

site.login_form = sign_in.SignInForm
site.extra_pages.append(ExtraPage("second-factor/", second_factor.enrol, "second_factor", is_open=True))
