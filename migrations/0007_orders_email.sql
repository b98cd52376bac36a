-- Orders are found by email whatever the case, as users are.
DROP INDEX orders_email;
CREATE INDEX orders_email ON orders (lower(email), created_at, id) WHERE email IS NOT NULL;
