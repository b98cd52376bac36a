-- Types both engines share: TEXT, BIGINT (microseconds UTC, minor units, counts), BOOLEAN; JSON is TEXT.
-- Unique indexes are named <table>_<columns>_key: the seam reports them under that name on both engines.

-- ---- oauth --------------------------------------------------------------------------------------
CREATE TABLE oauth_clients (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,               -- space-separated
    signing_alg TEXT NOT NULL,
    token_ttl_seconds BIGINT,
    ip_allow TEXT NOT NULL,             -- JSON array of CIDRs; empty allows every address
    expires_at BIGINT,
    disabled_at BIGINT,
    tokens_not_before BIGINT NOT NULL,  -- access tokens issued before this instant are revoked
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE INDEX oauth_clients_order ON oauth_clients (created_at, id);
CREATE INDEX oauth_clients_revoked ON oauth_clients (tokens_not_before) WHERE tokens_not_before > 0;

CREATE TABLE oauth_client_secrets (
    id TEXT NOT NULL PRIMARY KEY,
    client_id TEXT NOT NULL REFERENCES oauth_clients (id),
    hash TEXT NOT NULL,                 -- SHA-256 of a 256-bit random secret
    hint TEXT NOT NULL,                 -- its last four characters
    created_at BIGINT NOT NULL,
    expires_at BIGINT,                  -- from this instant on it no longer works
    last_used_at BIGINT
);
CREATE INDEX oauth_client_secrets_client ON oauth_client_secrets (client_id, created_at);

CREATE TABLE oauth_signing_keys (
    kid TEXT NOT NULL PRIMARY KEY,
    alg TEXT NOT NULL,
    sealed TEXT NOT NULL,               -- the secret half, encrypted under the master key
    created_at BIGINT NOT NULL,
    activates_at BIGINT NOT NULL        -- signs from this instant until a later key of its alg does
);

CREATE TABLE oauth_revoked_tokens (
    jti TEXT NOT NULL PRIMARY KEY,
    client_id TEXT NOT NULL,
    revoked_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX oauth_revoked_tokens_recent ON oauth_revoked_tokens (revoked_at, jti);

-- ---- users --------------------------------------------------------------------------------------
CREATE TABLE users (
    id TEXT NOT NULL PRIMARY KEY,
    username TEXT NOT NULL,
    username_folded TEXT NOT NULL,
    email TEXT NOT NULL,
    email_folded TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('active', 'inactive')),
    profile TEXT NOT NULL,
    addresses TEXT NOT NULL,
    consent TEXT NOT NULL,
    external_id TEXT,
    metadata TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    anonymized_at BIGINT,
    deleted_at BIGINT,
    version BIGINT NOT NULL
);
CREATE UNIQUE INDEX users_username_folded_key ON users (username_folded) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX users_email_folded_key ON users (email_folded) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX users_external_id_key ON users (external_id) WHERE deleted_at IS NULL;
CREATE INDEX users_order ON users (created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX users_status ON users (status, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX users_updated ON users (updated_at, id) WHERE deleted_at IS NULL;

-- ---- products -----------------------------------------------------------------------------------
CREATE TABLE products (
    id TEXT NOT NULL PRIMARY KEY,
    title TEXT NOT NULL,
    slug TEXT NOT NULL,
    description TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('draft', 'active', 'archived')),
    type TEXT,
    vendor TEXT,
    brand TEXT,
    categories TEXT NOT NULL,
    tags TEXT NOT NULL,
    options TEXT NOT NULL,
    images TEXT NOT NULL,
    seo TEXT,
    attributes TEXT NOT NULL,
    tax_category TEXT,
    external_id TEXT,
    metadata TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    archived_at BIGINT,
    deleted_at BIGINT,
    version BIGINT NOT NULL
);
CREATE UNIQUE INDEX products_slug_key ON products (slug) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX products_external_id_key ON products (external_id) WHERE deleted_at IS NULL;
CREATE INDEX products_order ON products (created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX products_updated ON products (updated_at, id) WHERE deleted_at IS NULL;
CREATE INDEX products_title ON products (title, id) WHERE deleted_at IS NULL;
CREATE INDEX products_status ON products (status, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX products_type ON products (type, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX products_vendor ON products (vendor, created_at, id) WHERE deleted_at IS NULL;

-- Categories and tags once more, for filters that use an index.
CREATE TABLE product_labels (
    kind TEXT NOT NULL CHECK (kind IN ('category', 'tag')),
    label TEXT NOT NULL,
    product_id TEXT NOT NULL REFERENCES products (id),
    PRIMARY KEY (kind, label, product_id)
);
CREATE INDEX product_labels_product ON product_labels (product_id);

CREATE TABLE variants (
    id TEXT NOT NULL PRIMARY KEY,
    product_id TEXT NOT NULL REFERENCES products (id),
    position BIGINT NOT NULL,
    title TEXT,
    sku TEXT,
    barcode TEXT,
    weight_grams BIGINT,
    dimensions_mm TEXT,
    option_values TEXT NOT NULL,
    tax_category TEXT,
    track_inventory BOOLEAN NOT NULL,
    allow_backorder BOOLEAN NOT NULL,
    metadata TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE UNIQUE INDEX variants_sku_key ON variants (sku) WHERE deleted_at IS NULL;
CREATE INDEX variants_product ON variants (product_id, position);

CREATE TABLE prices (
    id TEXT NOT NULL PRIMARY KEY,
    variant_id TEXT NOT NULL REFERENCES variants (id),
    currency TEXT NOT NULL,
    amount BIGINT NOT NULL CHECK (amount >= 0),
    compare_at_amount BIGINT,
    min_quantity BIGINT NOT NULL,
    price_group TEXT,
    starts_at BIGINT,
    ends_at BIGINT,
    created_at BIGINT NOT NULL
);
CREATE INDEX prices_variant ON prices (variant_id);

-- The prices that were in force and are no longer rows of prices, with the span in which they were, for the lowest
-- price of the last 30 days (EU Directive 98/6/EC art. 6a).
CREATE TABLE price_history (
    variant_id TEXT NOT NULL,
    price_id TEXT NOT NULL,
    currency TEXT NOT NULL,
    amount BIGINT NOT NULL,
    min_quantity BIGINT NOT NULL,
    price_group TEXT,
    starts_at BIGINT NOT NULL,
    ends_at BIGINT NOT NULL,
    PRIMARY KEY (variant_id, price_id)
);
CREATE INDEX price_history_recent ON price_history (variant_id, ends_at);

-- Units sold, followed from the event log: for the order by best selling.
CREATE TABLE product_sales (
    product_id TEXT NOT NULL PRIMARY KEY,
    units BIGINT NOT NULL,
    changed_at BIGINT NOT NULL
);
CREATE INDEX product_sales_changed ON product_sales (changed_at);

CREATE TABLE locations (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
INSERT INTO locations (id, name, created_at) VALUES ('loc_default', 'Default', 0);

-- Narrow on purpose: every order writes here, and a page holds many rows.
CREATE TABLE stock (
    variant_id TEXT NOT NULL,
    location_id TEXT NOT NULL,
    on_hand BIGINT NOT NULL CHECK (on_hand >= 0),
    allocated BIGINT NOT NULL CHECK (allocated >= 0),
    PRIMARY KEY (variant_id, location_id)
);

-- The truth of stock: append-only; the counters above are its sums.
CREATE TABLE stock_movements (
    id TEXT NOT NULL PRIMARY KEY,
    variant_id TEXT NOT NULL,
    location_id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('received', 'allocated', 'released', 'shipped', 'returned', 'adjusted', 'transferred')),
    on_hand_delta BIGINT NOT NULL,
    allocated_delta BIGINT NOT NULL,
    order_id TEXT,
    reason TEXT,
    actor TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX stock_movements_variant ON stock_movements (variant_id, created_at, id);
CREATE INDEX stock_movements_order ON stock_movements (created_at, id);

-- ---- orders -------------------------------------------------------------------------------------
CREATE TABLE orders (
    id TEXT NOT NULL PRIMARY KEY,
    number TEXT NOT NULL,
    document TEXT NOT NULL CHECK (document IN ('order', 'credit_note', 'adjustment')),
    status TEXT NOT NULL CHECK (status IN ('draft', 'pending', 'confirmed', 'completed', 'cancelled')),
    payment_status TEXT NOT NULL,
    fulfillment_status TEXT NOT NULL,
    user_id TEXT,
    email TEXT,
    currency TEXT NOT NULL,
    country TEXT,
    shipping_address TEXT,
    billing_address TEXT,
    shipping_method TEXT,
    items_total BIGINT NOT NULL,
    discount_total BIGINT NOT NULL,
    shipping_total BIGINT NOT NULL,
    tax_total BIGINT NOT NULL,
    tax_included BOOLEAN NOT NULL,
    total BIGINT NOT NULL,
    authorized BIGINT NOT NULL,
    captured BIGINT NOT NULL,
    refunded BIGINT NOT NULL,
    note TEXT,
    external_id TEXT,
    channel TEXT,
    cancel_reason TEXT,
    tags TEXT NOT NULL,
    metadata TEXT NOT NULL,
    placed_at BIGINT,
    confirmed_at BIGINT,
    completed_at BIGINT,
    cancelled_at BIGINT,
    expires_at BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);
CREATE UNIQUE INDEX orders_number_key ON orders (number);
CREATE UNIQUE INDEX orders_external_id_key ON orders (external_id) WHERE external_id IS NOT NULL;
CREATE INDEX orders_order ON orders (created_at, id);
CREATE INDEX orders_updated ON orders (updated_at, id);
CREATE INDEX orders_placed ON orders (placed_at, id);
CREATE INDEX orders_user ON orders (user_id, created_at, id) WHERE user_id IS NOT NULL;
CREATE INDEX orders_email ON orders (email, created_at, id) WHERE email IS NOT NULL;
CREATE INDEX orders_status ON orders (status, created_at, id);
CREATE INDEX orders_expiry ON orders (expires_at) WHERE status = 'pending' AND expires_at IS NOT NULL;

CREATE TABLE order_items (
    order_id TEXT NOT NULL,
    position BIGINT NOT NULL,
    id TEXT NOT NULL,
    variant_id TEXT,
    product_id TEXT,
    sku TEXT,
    title TEXT NOT NULL,
    quantity BIGINT NOT NULL,
    unit_price BIGINT NOT NULL,
    list_unit_price BIGINT NOT NULL,
    price_id TEXT,
    discount BIGINT NOT NULL,
    tax BIGINT NOT NULL,
    tax_rate_ppm BIGINT NOT NULL,
    subtotal BIGINT NOT NULL,
    total BIGINT NOT NULL,
    allocated BIGINT NOT NULL,
    fulfilled BIGINT NOT NULL,
    returned BIGINT NOT NULL,
    refunded BIGINT NOT NULL,
    metadata TEXT NOT NULL,
    PRIMARY KEY (order_id, position)
);
CREATE INDEX order_items_sku ON order_items (sku, order_id) WHERE sku IS NOT NULL;
