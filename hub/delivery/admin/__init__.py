"""Delivery in the admin: how pipelines stand, what failed, every attempt, the trace of one event; and what one can do.

The pages of this room that belong to no model are added to the site here.
"""

from hub.adminsite.site import ExtraPage, site
from hub.delivery.admin import (
    attempts,
    books,
    catalog,
    choosing,
    connecting,
    deliveries,
    destinations,
    failures,
    figures,
    filters,
    groups,
    panels,
    pipelines,
    replaying,
    replays,
    tracing,
    trying,
)

__all__ = ["attempts", "books", "destinations", "failures", "filters", "pipelines", "replays"]

site.extra_pages += [
    ExtraPage("catalog/", catalog.catalog_page, "catalog"),
    ExtraPage("catalog/destinations/<slug:slug>/", catalog.connector_page, "catalog_destination"),
    ExtraPage("catalog/sources/<slug:slug>/", catalog.source_page, "catalog_source"),
    ExtraPage("destinations/<uuid:pk>/test/", trying.test_page, "destination_test"),
    ExtraPage("destinations/<uuid:pk>/choices/", choosing.choices_page, "destination_choices"),
    ExtraPage("destinations/<uuid:pk>/connection/", connecting.connection_page, "destination_connection"),
    ExtraPage("deliveries/", deliveries.deliveries, "deliveries"),
    ExtraPage("failures/", groups.failures, "failures"),
    ExtraPage("failures/group/", groups.group, "failure_group"),
    ExtraPage("failures/repair/", groups.repair, "repair"),
    ExtraPage("filters/<uuid:pk>/matches/", filters.matches_page, "filter_matches"),
    ExtraPage("replays/start/", replaying.start_page, "replay_start"),
    ExtraPage("events/event/<int:seq>/trace/", tracing.trace_page, "events_event_trace"),
    ExtraPage("events/event/<int:seq>/trace/reveal/", tracing.reveal_trace, "events_event_trace_reveal"),
]
site.figures.append(figures.figures)
site.panels.append(panels.panels)
site.menu[:0] = [
    ("Deliveries", "deliveries", deliveries.PERMISSION),
    ("Failures", "failures", groups.PERMISSION),
    ("Events", "events_event_changelist", "events.view_event"),
    ("Attempts", "delivery_attempt_changelist", "delivery.view_attempt"),
    ("Retries", "delivery_retryrow_changelist", "delivery.view_retryrow"),
    ("Dead letters", "delivery_deadletter_changelist", "delivery.view_deadletter"),
    ("Pipelines", "delivery_pipeline_changelist", "delivery.view_pipeline"),
    ("Replays", "delivery_replay_changelist", "delivery.view_replay"),
    ("Jobs", "jobs_job_changelist", "jobs.view_job"),
    ("Sources", "tenants_source_changelist", "tenants.view_source"),
    ("Destinations", "tenants_destination_changelist", "tenants.view_destination"),
    ("Mappings", "tenants_mapping_changelist", "tenants.view_mapping"),
    ("Filters", "tenants_destinationfilter_changelist", "tenants.view_destinationfilter"),
    ("Toggles", "tenants_sourcetoggle_changelist", "tenants.view_sourcetoggle"),
    ("Catalogue", "catalog", catalog.PERMISSION),
    ("Audit trail", "tenants_auditentry_changelist", "tenants.view_auditentry"),
]
