"""Everything that changes the control plane. Each verb is one transaction, writes its audit entry, and moves the
subscription intervals that its change touches; rows are never saved from anywhere else.
"""

from tenants.auditing import SYSTEM, Actor
from tenants.services.connections import connect, disconnect, set_connection_enabled
from tenants.services.destinations import (
    DestinationChange,
    create_destination,
    delete_destination,
    set_destination_enabled,
    update_destination,
)
from tenants.services.editing import mark_of, require_unchanged
from tenants.services.filters import (
    create_filter,
    move_filter,
    restore_filter,
    set_filter_enabled,
    update_filter,
)
from tenants.services.mappings import (
    create_mapping,
    duplicate_mapping,
    move_mapping,
    restore_mapping,
    set_mapping_enabled,
    update_mapping,
)
from tenants.services.oauth import (
    add_oauth_key,
    create_oauth_app,
    delete_oauth_app,
    revoke_oauth_key,
    set_oauth_app_enabled,
    set_source_oauth,
    update_oauth_app,
)
from tenants.services.oauth_tokens import (
    GivenToken,
    NotGiven,
    give_token,
    revoke_oauth_token,
    revoke_pasted_token,
)
from tenants.services.sources import (
    CreatedSource,
    create_source,
    delete_source,
    end_secret_overlap,
    set_source_enabled,
    update_source,
)
from tenants.services.status import (
    note_recovery,
    note_trouble,
    pause_destination,
    resume_destination,
    stop_destination,
)
from tenants.services.toggles import create_toggle, set_toggle_enabled, update_toggle
from tenants.services.workspaces import (
    add_member,
    change_member,
    create_user,
    create_workspace,
    remove_member,
    set_password,
    update_workspace,
)
from tenants.services.write_keys import GivenKey, IssuedKey, add_write_key, revoke_write_key, rotate_write_key

__all__ = [
    "SYSTEM",
    "Actor",
    "CreatedSource",
    "DestinationChange",
    "GivenKey",
    "GivenToken",
    "IssuedKey",
    "NotGiven",
    "add_member",
    "add_oauth_key",
    "add_write_key",
    "change_member",
    "connect",
    "create_destination",
    "create_filter",
    "create_mapping",
    "create_oauth_app",
    "create_source",
    "create_toggle",
    "create_user",
    "create_workspace",
    "delete_destination",
    "delete_oauth_app",
    "delete_source",
    "disconnect",
    "duplicate_mapping",
    "end_secret_overlap",
    "give_token",
    "mark_of",
    "move_filter",
    "move_mapping",
    "note_recovery",
    "note_trouble",
    "pause_destination",
    "remove_member",
    "require_unchanged",
    "restore_filter",
    "restore_mapping",
    "resume_destination",
    "revoke_oauth_key",
    "revoke_oauth_token",
    "revoke_pasted_token",
    "revoke_write_key",
    "rotate_write_key",
    "set_connection_enabled",
    "set_destination_enabled",
    "set_filter_enabled",
    "set_mapping_enabled",
    "set_oauth_app_enabled",
    "set_password",
    "set_source_enabled",
    "set_source_oauth",
    "set_toggle_enabled",
    "stop_destination",
    "update_destination",
    "update_filter",
    "update_mapping",
    "update_oauth_app",
    "update_source",
    "update_toggle",
    "update_workspace",
]
