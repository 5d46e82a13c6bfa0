-- What Django's models cannot say: foreign keys that include the workspace, and an audit trail that nobody edits.

-- Foreign keys are checked past row-level security, so a plain one would let a workspace point at another's row.
ALTER TABLE tenants_writekey ADD CONSTRAINT writekey_source_of_workspace
    FOREIGN KEY (workspace_id, source_id) REFERENCES tenants_source (workspace_id, id);
ALTER TABLE tenants_connection ADD CONSTRAINT connection_source_of_workspace
    FOREIGN KEY (workspace_id, source_id) REFERENCES tenants_source (workspace_id, id);
ALTER TABLE tenants_connection ADD CONSTRAINT connection_destination_of_workspace
    FOREIGN KEY (workspace_id, destination_id) REFERENCES tenants_destination (workspace_id, id);
ALTER TABLE tenants_mapping ADD CONSTRAINT mapping_destination_of_workspace
    FOREIGN KEY (workspace_id, destination_id) REFERENCES tenants_destination (workspace_id, id);
ALTER TABLE tenants_mappingversion ADD CONSTRAINT mappingversion_mapping_of_workspace
    FOREIGN KEY (workspace_id, mapping_id) REFERENCES tenants_mapping (workspace_id, id);
ALTER TABLE tenants_destinationfilter ADD CONSTRAINT filter_destination_of_workspace
    FOREIGN KEY (workspace_id, destination_id) REFERENCES tenants_destination (workspace_id, id);
ALTER TABLE tenants_destinationfilter ADD CONSTRAINT filter_source_of_workspace
    FOREIGN KEY (workspace_id, source_id) REFERENCES tenants_source (workspace_id, id);
ALTER TABLE tenants_filterversion ADD CONSTRAINT filterversion_filter_of_workspace
    FOREIGN KEY (workspace_id, filter_id) REFERENCES tenants_destinationfilter (workspace_id, id);
ALTER TABLE tenants_sourcetoggle ADD CONSTRAINT toggle_destination_of_workspace
    FOREIGN KEY (workspace_id, destination_id) REFERENCES tenants_destination (workspace_id, id);
ALTER TABLE tenants_sourcetoggle ADD CONSTRAINT toggle_source_of_workspace
    FOREIGN KEY (workspace_id, source_id) REFERENCES tenants_source (workspace_id, id);
ALTER TABLE tenants_oauthkey ADD CONSTRAINT oauthkey_app_of_workspace
    FOREIGN KEY (workspace_id, app_id) REFERENCES tenants_oauthapp (workspace_id, id);
ALTER TABLE tenants_oauthtoken ADD CONSTRAINT oauthtoken_app_of_workspace
    FOREIGN KEY (workspace_id, app_id) REFERENCES tenants_oauthapp (workspace_id, id);
ALTER TABLE tenants_oauthtoken ADD CONSTRAINT oauthtoken_key_of_workspace
    FOREIGN KEY (workspace_id, key_id) REFERENCES tenants_oauthkey (workspace_id, id);
ALTER TABLE tenants_source ADD CONSTRAINT source_oauth_app_of_workspace
    FOREIGN KEY (workspace_id, oauth_app_id) REFERENCES tenants_oauthapp (workspace_id, id);

CREATE FUNCTION audit_entry_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF coalesce(current_setting('app.audit_maintenance', true), '') = 'on' THEN
        RETURN CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
    END IF;
    RAISE EXCEPTION 'audit entries are append-only' USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER audit_entry_append_only BEFORE UPDATE OR DELETE ON tenants_auditentry
    FOR EACH ROW EXECUTE FUNCTION audit_entry_is_append_only();

INSERT INTO log_epoch (id, epoch) VALUES (1, 1) ON CONFLICT DO NOTHING;
