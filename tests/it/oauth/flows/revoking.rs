//! How a grant is taken back.

use super::*;

async fn revoke(app: &TestApp, visited: &Visited, token: &str) -> Reply {
    let mut fields = vec![("token", token), ("client_id", visited.id.as_str())];
    if let Some(secret) = &visited.secret {
        fields.push(("client_secret", secret));
    }
    ask(app, "/oauth/revoke", FORM, None, &form(&fields)).await
}

#[tokio::test]
async fn revoking_a_refresh_token_of_any_age_ends_the_family() {
    for is_public in [false, true] {
        let (app, mut owner, _) = shop().await;
        let visited = Visited::start(&app, WANTED, is_public).await;
        for with_newest in [false, true] {
            let (access, first) = visited.tokens(&app, &mut owner).await;
            let second = refresh_token(&visited.refresh(&app, &first).await);
            let other = node(&app, master_key(&app)).await.unwrap();
            let shown = if with_newest { &second } else { &first };
            for _ in 0..2 {
                assert_eq!(revoke(&app, &visited, shown).await.status, 200);
            }
            assert_eq!(bearer(&app, &access).get("/v2/orders").await.status, 401);
            assert_refused(&visited.refresh(&app, &second).await, 400, "invalid_grant");
            let now = app.clock.now();
            assert!(
                other.signer.verify(&access, now.to_jiff()).is_ok(),
                "its own memory"
            );
            other.refresh(&app.db, now).await.unwrap();
            assert!(other.signer.verify(&access, now.to_jiff()).is_err());
        }
    }
}

#[tokio::test]
async fn an_app_revokes_its_own_alone_and_one_access_token_is_not_the_grant() {
    let (app, mut owner, visited) = shop().await;
    let thief = Visited::start(&app, WANTED, true).await;
    let (access, refresh) = visited.tokens(&app, &mut owner).await;
    for token in [&access, &refresh] {
        let reply = revoke(&app, &thief, token).await;
        assert_refused(&reply, 400, "unauthorized_client");
    }
    let unknown = format!("rt_{}", "a".repeat(43));
    assert_eq!(revoke(&app, &thief, &unknown).await.status, 200);
    assert_eq!(bearer(&app, &access).get("/v2/orders").await.status, 200);
    assert_eq!(revoke(&app, &visited, &access).await.status, 200);
    assert_eq!(bearer(&app, &access).get("/v2/orders").await.status, 401);
    assert_eq!(visited.refresh(&app, &refresh).await.status, 200);
}

#[tokio::test]
async fn people_see_which_apps_act_for_them_and_end_it() {
    let (app, mut owner, visited) = shop().await;
    let mut other = browser::member(&app, "dev@example.com", Role::Developer).await;
    assert!(
        owner
            .get("/dashboard/account")
            .await
            .text()
            .contains("No app has access to your account.")
    );
    visited.code(&mut owner).await; // never exchanged: the app has nothing
    assert!(
        owner
            .get("/dashboard/account")
            .await
            .text()
            .contains("No app has access to your account.")
    );
    let (access, refresh) = visited.tokens(&app, &mut owner).await;
    let page = owner.get("/dashboard/account").await.text();
    let id = browser::between(&page, "/dashboard/account/apps/", "/revoke");
    assert!(
        page.contains("orders:read") && page.contains("Connected apps"),
        "{page}"
    );
    assert!(
        other
            .get("/dashboard/account")
            .await
            .text()
            .contains("No app has access to your account.")
    );
    let path = format!("/dashboard/account/apps/{id}/revoke");
    assert_eq!(other.post(&path, &[]).await.status, 404, "it is not theirs");
    assert_eq!(bearer(&app, &access).get("/v2/orders").await.status, 200);
    let reply = owner.post(&path, &[]).await;
    assert_eq!(browser::landed(&reply), "/dashboard/account, app");
    assert_eq!(bearer(&app, &access).get("/v2/orders").await.status, 401);
    assert_refused(&visited.refresh(&app, &refresh).await, 400, "invalid_grant");
    let page = owner.get("/dashboard/account").await.text();
    assert!(
        page.contains("No app has access to your account."),
        "{page}"
    );
    let audit = owner.get("/dashboard/audit").await.text();
    assert!(
        audit.contains(&id) && audit.contains("App disconnected"),
        "{audit}"
    );
}
