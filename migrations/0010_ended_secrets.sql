-- Every node looks twice a second for secrets that have ended lately: tokens got with them later are dead.
CREATE INDEX oauth_client_secrets_ended ON oauth_client_secrets (expires_at) WHERE expires_at IS NOT NULL;
