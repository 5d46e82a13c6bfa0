"""The tables of the control plane, one module per noun."""

from tenants.models.audit import AuditEntry
from tenants.models.connection import Connection, LogEpoch, SubscriptionInterval
from tenants.models.destination import Destination
from tenants.models.filter import DestinationFilter, FilterVersion, SourceToggle
from tenants.models.mapping import Mapping, MappingVersion
from tenants.models.oauth import OAuthApp, OAuthKey, OAuthToken
from tenants.models.source import Source, WriteKey
from tenants.models.user import User
from tenants.models.workspace import Member, Workspace

__all__ = [
    "AuditEntry",
    "Connection",
    "Destination",
    "DestinationFilter",
    "FilterVersion",
    "LogEpoch",
    "Mapping",
    "MappingVersion",
    "Member",
    "OAuthApp",
    "OAuthKey",
    "OAuthToken",
    "Source",
    "SourceToggle",
    "SubscriptionInterval",
    "User",
    "Workspace",
    "WriteKey",
]
