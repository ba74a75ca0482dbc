//! Thousands of exchanges over a transport that loses, duplicates, delays and reorders: every admitted request ends exactly once, under
//! its own id, and nothing shows up in another session.
//!
//! `CHAOS_SEED` repeats one seed; otherwise each run takes new ones, 3 or as many as `CHAOS_SEEDS` says, and prints them.
#![expect(clippy::expect_used, reason = "tests")]

mod client;
mod world;

use std::time::Duration;

use testkit::chaos::Faults;

use crate::{client::Client, world::World};

/// Sessions at once.
const CLIENTS: usize = 24;

/// Calls of a session.
const CALLS: usize = 96;

/// Runs one world full of clients to its end, and returns how many of their requests were admitted.
async fn play(seed: u64, faults: Faults) -> usize {
    let world = World::new(seed, faults);
    let mut clients = tokio::task::JoinSet::new();
    for name in 0..CLIENTS {
        let client = Client::new(name, seed, &world);
        clients.spawn(client.live(CALLS));
    }
    let mut admitted = 0;
    while let Some(client) = clients.join_next().await {
        admitted += client.expect("a client that saw nothing wrong");
    }
    assert_eq!(world.proxy.exchanges_in_flight(), 0, "seed {seed}");
    assert_eq!(world.ended_exchanges(), admitted, "every admitted request ended once, seed {seed}");
    world.check_what_the_server_saw();
    admitted
}

fn seeds() -> Vec<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    match number("CHAOS_SEED") {
        Some(seed) => vec![seed],
        None => (0..number("CHAOS_SEEDS").unwrap_or(3)).map(|_| fastrand::u64(..)).collect(),
    }
}

#[tokio::test(start_paused = true)]
async fn every_request_ends_once_and_in_its_own_session_on_a_bad_day() {
    for seed in seeds() {
        let admitted = play(seed, Faults::BAD_DAY).await;
        assert!(admitted >= CLIENTS * CALLS / 2, "most requests are admitted: {admitted}, seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn duplicates_and_reordering_alone_lose_no_answer() {
    let faults =
        Faults { duplicated: 300, delayed: 900, longest_delay: Duration::from_secs(20), ..Faults::NONE };
    for seed in seeds() {
        let admitted = play(seed, faults).await;
        assert_eq!(admitted, CLIENTS * (CALLS + 1), "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_transport_that_loses_a_third_still_ends_every_request() {
    let faults = Faults { lost: 330, not_sent: 100, maybe_sent: 100, ..Faults::BAD_DAY };
    for seed in seeds() {
        assert!(play(seed, faults).await > 0, "seed {seed}");
    }
}
