//! The schema, step by step, embedded in the program. A released step never changes; it is checked by
//! its SHA-256 at every start.

use platform::db::Migration;

macro_rules! shared {
    ($version:literal, $name:literal, $file:literal) => {
        Migration {
            version: $version,
            name: $name,
            sqlite: include_str!(concat!("../migrations/", $file)),
            postgres: include_str!(concat!("../migrations/", $file)),
        }
    };
}

/// All steps, in order.
pub static MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "platform",
        sqlite: include_str!("../migrations/0001_platform.sqlite.sql"),
        postgres: include_str!("../migrations/0001_platform.postgres.sql"),
    },
    shared!(2, "core", "0002_core.sql"),
    shared!(3, "notifications", "0003_notifications.sql"),
    shared!(4, "reports", "0004_reports.sql"),
    Migration {
        version: 6,
        name: "users",
        sqlite: include_str!("../migrations/0006_users.sqlite.sql"),
        postgres: include_str!("../migrations/0006_users.postgres.sql"),
    },
    shared!(7, "orders_email", "0007_orders_email.sql"),
    shared!(8, "answers", "0008_answers.sql"),
    shared!(10, "ended_secrets", "0010_ended_secrets.sql"),
    shared!(11, "dead_jobs", "0011_dead_jobs.sql"),
    shared!(
        15,
        "notification_category",
        "0015_notification_category.sql"
    ),
    shared!(20, "dashboard", "0020_dashboard.sql"),
    shared!(21, "oauth_flows", "0021_oauth_flows.sql"),
    shared!(22, "oauth_devices", "0022_oauth_devices.sql"),
    shared!(23, "client_keys", "0023_client_keys.sql"),
    shared!(24, "client_dpop", "0024_client_dpop.sql"),
    shared!(25, "sign_in", "0025_sign_in.sql"),
    shared!(27, "jobs_list", "0027_jobs_list.sql"),
    shared!(28, "audit_filters", "0028_audit_filters.sql"),
    shared!(29, "grant_key", "0029_grant_key.sql"),
    shared!(33, "passkeys", "0033_passkeys.sql"),
    shared!(34, "low_stock", "0034_low_stock.sql"),
    shared!(35, "client_registration", "0035_client_registration.sql"),
    shared!(36, "saved_views", "0036_saved_views.sql"),
    shared!(37, "code_key", "0037_code_key.sql"),
    shared!(38, "not_set_up", "0038_not_set_up.sql"),
    shared!(39, "audit_detail", "0039_audit_detail.sql"),
];
