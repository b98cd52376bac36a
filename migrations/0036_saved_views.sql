-- Lists that somebody often wants: filters of a page under a name of their own.
CREATE TABLE staff_views (
    id TEXT NOT NULL PRIMARY KEY,
    staff_id TEXT NOT NULL REFERENCES staff (id),
    list TEXT NOT NULL,                 -- which page: orders, products
    name TEXT NOT NULL,
    query TEXT NOT NULL,                -- its filters as they stand in the address
    created_at BIGINT NOT NULL
);
CREATE INDEX staff_views_staff ON staff_views (staff_id, list, created_at, id);
