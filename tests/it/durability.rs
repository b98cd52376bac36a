//! An answered write survives `kill -9`, and a repeated `Idempotency-Key` never does the thing twice.

use crate::program::{Answer, Http, Place, Server};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const ROUNDS: usize = 20;
const BUYERS: usize = 4;
/// How long orders come in before the plug is pulled.
const LOAD: Duration = Duration::from_millis(400);
/// Orders that one buyer sends in one round.
const ORDERS_MAX: usize = 200;

/// Keys and the order each was answered with, if it was answered.
type Sent = BTreeMap<String, Option<String>>;

#[tokio::test]
async fn twenty_times_killed_and_nothing_lost_or_doubled() {
    let place = Place::new().await;
    let credentials = place.credentials();
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    let mut last: Sent = Sent::new();
    for round in 0..=ROUNDS {
        let server = place.serve(&["--log-requests=false"]);
        let bearer = format!("Bearer {}", server.token(&credentials));
        if round == 0 {
            stock(&server, &bearer);
        }
        settle(&server, &bearer, &std::mem::take(&mut last), &mut all);
        if round < ROUNDS {
            last = load(server, &bearer, round);
            assert!(
                last.values().flatten().count() > 0,
                "no order was answered in round {round}"
            );
        }
    }
    let report = place.run_well(&["doctor", "--json"]);
    let report: Value = serde_json::from_str(&report).expect("JSON");
    assert_eq!(report["wrong"], 0, "{report}");
    assert_eq!(report["orders"], json!(all.len()), "one order for each key");
}

fn stock(server: &Server, bearer: &str) {
    let product = json!({ "title": "Mug", "sku": "MUG", "price": 1250, "currency": "USD", "inventory_quantity": 1_000_000 });
    let with = [("Authorization", bearer)];
    let made = server
        .connect()
        .send("POST", "/v2/products", &with, Some(&product));
    let made = made.expect("an answer");
    assert_eq!(made.status, 201, "{}", made.body);
}

fn place_order(http: &mut Http, bearer: &str, key: &str) -> std::io::Result<Answer> {
    let order = json!({ "email": "ada@example.com", "currency": "USD", "items": [{ "sku": "MUG", "quantity": 1 }] });
    let with = [("Authorization", bearer), ("Idempotency-Key", key)];
    http.send("POST", "/v2/orders", &with, Some(&order))
}

fn id_of(answer: &Answer) -> String {
    assert_eq!(answer.status, 201, "{}", answer.body);
    answer.json()["id"].as_str().expect("an id").to_owned()
}

/// Several buyers place orders; in the middle of it the server is killed.
fn load(server: Server, bearer: &str, round: usize) -> Sent {
    let dead = AtomicBool::new(false);
    let port = server.port;
    std::thread::scope(|scope| {
        let buyers: Vec<_> = (0..BUYERS)
            .map(|buyer| {
                let dead = &dead;
                scope.spawn(move || {
                    let mut sent = Sent::new();
                    let mut http = Http::connect(port).expect("a connection");
                    for n in 0..ORDERS_MAX {
                        let key = format!("{round}-{buyer}-{n}");
                        match place_order(&mut http, bearer, &key) {
                            Ok(answer) => sent.insert(key, Some(id_of(&answer))),
                            Err(_) if dead.load(Ordering::SeqCst) => {
                                sent.insert(key, None);
                                break;
                            }
                            Err(error) => panic!("no answer while the server was alive: {error}"),
                        };
                    }
                    sent
                })
            })
            .collect();
        std::thread::sleep(LOAD);
        dead.store(true, Ordering::SeqCst);
        server.kill();
        buyers
            .into_iter()
            .flat_map(|buyer| buyer.join().expect("a buyer"))
            .collect()
    })
}

/// What was answered is there, and every key that was sent gives one order however often it is sent.
fn settle(server: &Server, bearer: &str, sent: &Sent, all: &mut BTreeMap<String, String>) {
    let mut http = server.connect();
    for (key, answered) in sent {
        let again = place_order(&mut http, bearer, key).expect("an answer");
        let id = id_of(&again);
        if let Some(answered) = answered {
            assert_eq!(&id, answered, "{key} made two orders");
            assert_eq!(again.header("idempotent-replayed"), "true");
        }
        let path = format!("/v2/orders/{id}");
        let read = http.send("GET", &path, &[("Authorization", bearer)], None);
        assert_eq!(
            read.expect("an answer").status,
            200,
            "{key} was answered and is not there"
        );
        let third = place_order(&mut http, bearer, key).expect("an answer");
        assert_eq!(id_of(&third), id, "{key} made two orders");
        assert!(all.insert(key.clone(), id).is_none());
    }
}
