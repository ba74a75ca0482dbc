//! What one exchange costs in the state machine, which is under one lock. Prints the measure:
//! `cargo test --release -p proxy-core one_exchange -- --nocapture`.

use super::*;

/// Exchanges that are measured, after as many for warming up.
const EXCHANGES: u32 = 20_000;

/// Far above what it costs, even without optimisation on a busy machine; what grows with the traffic is above that.
const AT_MOST: Duration = Duration::from_millis(1);

#[test]
fn one_exchange_costs_microseconds() {
    let config = SessionConfig { max_sessions: 1_000, ..SessionConfig::default() };
    let mut rig = Rig::with(config, usize::MAX);
    let clients: Vec<Client> = (0..1_000).map(|_| rig.open()).collect();
    for round in ["warm", "measured"] {
        let started = Instant::now();
        for (number, client) in (0..EXCHANGES).zip(clients.iter().cycle()) {
            let (stream, wire) = rig.call(client, &number.to_string());
            rig.answer(&wire, r#""result":{"content":[{"type":"text","text":"done"}]}"#);
            assert_eq!(whole(&stream).len(), 1);
        }
        let each = started.elapsed() / EXCHANGES;
        println!("{round}: {each:?} an exchange, parsing and its reports included");
        assert!(each < AT_MOST, "{each:?}");
    }
}
