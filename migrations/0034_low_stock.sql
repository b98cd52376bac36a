-- What is nearly gone, found without a look at all stock. The number is `LOW_STOCK` of `dashboard::figures`: a partial
-- index is used for the very condition that it was made with.
CREATE INDEX stock_low ON stock (variant_id) WHERE on_hand - allocated <= 5;
