//! A transport that loses, duplicates, delays and reorders messages and fails sends, by a seed that can be used again.
//!
//! It wraps any [`Backend`] and any [`Inbox`], so that both directions of any transport can be made as bad as queues may be.

mod backend;
mod inbox;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use fastrand::Rng;
use proxy_core::backend::{Backend, Inbox};
use tokio_util::task::TaskTracker;

pub use self::{backend::ChaosBackend, inbox::ChaosInbox};

/// What goes wrong, each in messages out of a thousand. Of `not_sent`, `maybe_sent`, `lost` and `duplicated` at most one befalls a
/// message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Faults {
    /// Sends that fail with `NotSent`.
    pub not_sent: u16,
    /// Sends that fail with `MaybeSent`; half of these messages arrive.
    pub maybe_sent: u16,
    /// Messages, of either direction, that the transport takes and never delivers.
    pub lost: u16,
    /// Messages, of either direction, that arrive twice.
    pub duplicated: u16,
    /// Messages, of either direction, that take up to [`Self::longest_delay`], so that later ones overtake them.
    pub delayed: u16,
    /// The longest delay.
    pub longest_delay: Duration,
}

impl Faults {
    /// Nothing goes wrong.
    pub const NONE: Self = Self {
        not_sent: 0,
        maybe_sent: 0,
        lost: 0,
        duplicated: 0,
        delayed: 0,
        longest_delay: Duration::ZERO,
    };

    /// What a standard queue may do on a bad day, and more often: 2 % of sends fail either way, 2 % of messages are lost, 10 % come
    /// twice, half are delayed by up to 2 s.
    pub const BAD_DAY: Self = Self {
        not_sent: 20,
        maybe_sent: 20,
        lost: 20,
        duplicated: 100,
        delayed: 500,
        longest_delay: Duration::from_secs(2),
    };
}

/// The source of what goes wrong. Clones share it.
#[derive(Debug, Clone)]
pub struct Chaos {
    state: Arc<Mutex<State>>,
    /// Duplicates on their way.
    copies: TaskTracker,
}

#[derive(Debug)]
struct State {
    dice: Rng,
    faults: Faults,
}

/// What befalls one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Passes,
    IsLost,
    /// It comes again after this long.
    ComesTwice(Duration),
    NotSent,
    MaybeSent {
        arrives: bool,
    },
}

impl Chaos {
    /// Chaos by this seed, which is printed so that a failed test can be run again with it.
    #[expect(clippy::print_stderr, reason = "test runners show it where a test failed")]
    pub fn new(seed: u64, faults: Faults) -> Self {
        eprintln!("chaos seed: {seed}");
        let state = State { dice: Rng::with_seed(seed), faults };
        Self { state: Arc::new(Mutex::new(state)), copies: TaskTracker::new() }
    }

    /// Changes what goes wrong from now on.
    pub fn set(&self, faults: Faults) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).faults = faults;
    }

    /// The backend, with what is sent over it in danger.
    pub fn backend(&self, inner: Arc<dyn Backend>) -> Arc<ChaosBackend> {
        Arc::new(ChaosBackend::new(inner, self.clone()))
    }

    /// The inbox, with what is delivered to it in danger.
    pub fn inbox(&self, inner: Arc<dyn Inbox>) -> Arc<ChaosInbox> {
        Arc::new(ChaosInbox::new(inner, self.clone()))
    }

    /// What befalls a message that is sent, and how long it takes.
    fn sent(&self) -> (Fate, Duration) {
        self.draw(|faults| [faults.not_sent, faults.maybe_sent])
    }

    /// What befalls a message that comes back, and how long it takes.
    fn received(&self) -> (Fate, Duration) {
        self.draw(|_| [0, 0])
    }

    fn draw(&self, failures: impl FnOnce(&Faults) -> [u16; 2]) -> (Fate, Duration) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { dice, faults } = &mut *state;
        let delay = if dice.u16(..1000) < faults.delayed {
            up_to(dice, faults.longest_delay)
        } else {
            Duration::ZERO
        };
        let [not_sent, maybe_sent] = failures(faults);
        let mut thrown = dice.u16(..1000);
        let mut is = |share: u16| match thrown.checked_sub(share) {
            Some(rest) => {
                thrown = rest;
                false
            }
            None => true,
        };
        // `is` takes the shares off one after the other; once one fits no other is asked.
        let fate = if is(not_sent) {
            Fate::NotSent
        } else if is(maybe_sent) {
            Fate::MaybeSent { arrives: dice.bool() }
        } else if is(faults.lost) {
            Fate::IsLost
        } else if is(faults.duplicated) {
            Fate::ComesTwice(up_to(dice, faults.longest_delay))
        } else {
            Fate::Passes
        };
        (fate, delay)
    }
}

fn up_to(dice: &mut Rng, longest: Duration) -> Duration {
    longest.mul_f64(dice.f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_plays_the_same_again() {
        let play = |seed| {
            let chaos = Chaos::new(seed, Faults::BAD_DAY);
            (0..200).map(|_| chaos.sent()).collect::<Vec<_>>()
        };
        assert_eq!(play(7), play(7));
        assert_ne!(play(7), play(8));
    }

    #[test]
    fn faults_come_as_often_as_they_are_told_to() {
        let chaos = Chaos::new(1, Faults::BAD_DAY);
        let fates: Vec<_> = (0..10_000).map(|_| chaos.sent()).collect();
        let count = |is: fn(&Fate) -> bool| fates.iter().filter(|(fate, _)| is(fate)).count();
        assert!((100..300).contains(&count(|fate| *fate == Fate::NotSent)));
        assert!((100..300).contains(&count(|fate| *fate == Fate::IsLost)));
        assert!((800..1200).contains(&count(|fate| matches!(fate, Fate::ComesTwice(_)))));
        let delayed = fates.iter().filter(|(_, delay)| !delay.is_zero()).count();
        assert!((4500..5500).contains(&delayed));
        chaos.set(Faults::NONE);
        assert!((0..100).all(|_| chaos.received() == (Fate::Passes, Duration::ZERO)));
    }
}
