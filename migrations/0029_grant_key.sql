-- The key to which the refresh tokens of a public client's grant are bound (DPoP, RFC 9449 § 5); NULL without one.
ALTER TABLE oauth_grants ADD COLUMN bound_to TEXT; -- RFC 7638 thumbprint
