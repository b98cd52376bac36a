-- The audit log of one person, one kind of deed, one object.
CREATE INDEX audit_log_who ON audit_log (who, at, id);
CREATE INDEX audit_log_action ON audit_log (action, at, id);
CREATE INDEX audit_log_object ON audit_log (object_id, at, id);
