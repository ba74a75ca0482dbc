//! Watches what the process groups of servers take.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use proxy_core::{config::byte_size, error::ErrorKind};
use tokio::{
    sync::{Notify, watch},
    time::{MissedTickBehavior, interval},
};

use super::{config::ServerConfig, launch::Ended, usage};

/// How often is looked.
const EVERY: Duration = Duration::from_secs(1);

/// What a server with everything that it started may take, and those that are watched.
#[derive(Debug)]
pub(super) struct Watched {
    max_memory: Option<usize>,
    max_processes: usize,
    groups: Mutex<HashMap<i32, watch::Sender<Option<Ended>>>>,
    changed: Notify,
    has_begun: AtomicBool,
}

/// Fires when its group takes too much. The group is watched until this is dropped.
#[derive(Debug)]
pub(super) struct Breach {
    watched: Arc<Watched>,
    group: i32,
    told: watch::Receiver<Option<Ended>>,
}

impl Watched {
    pub(super) fn new(config: &ServerConfig) -> Arc<Self> {
        Arc::new(Self {
            max_memory: config.max_memory,
            max_processes: config.max_processes,
            groups: Mutex::default(),
            changed: Notify::new(),
            has_begun: AtomicBool::new(false),
        })
    }

    /// Watches a group from now on.
    pub(super) fn watch(self: &Arc<Self>, group: i32) -> Breach {
        let (tell, told) = watch::channel(None);
        self.groups().insert(group, tell);
        self.changed.notify_one();
        Breach { watched: Arc::clone(self), group, told }
    }

    /// Whether this is the first time that this is asked: then [`Self::look`] has to be spawned.
    pub(super) fn is_first(&self) -> bool {
        !self.has_begun.swap(true, Ordering::Relaxed)
    }

    /// Looks again and again, while there is something to be watched.
    pub(super) async fn look(self: Arc<Self>) {
        if !usage::is_known() {
            tracing::warn!(
                "this system has no /proc: max_memory and max_processes of servers have no effect"
            );
            return;
        }
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let groups: Vec<i32> = self.groups().keys().copied().collect();
            if groups.is_empty() {
                self.changed.notified().await;
                continue;
            }
            match tokio::task::spawn_blocking(move || usage::of_groups(&groups)).await {
                Ok(Ok(usages)) => self.judge(&usages),
                Ok(Err(error)) => tracing::debug!(%error, "what servers take cannot be read"),
                Err(error) => tracing::debug!(%error, "what servers take was not read"),
            }
        }
    }

    fn judge(&self, usages: &HashMap<i32, usage::Usage>) {
        let groups = self.groups();
        for (group, usage) in usages {
            let Some(breach) = self.breach(*usage) else { continue };
            if let Some(tell) = groups.get(group) {
                tell.send_replace(Some(breach));
            }
        }
    }

    fn breach(&self, usage: usage::Usage) -> Option<Ended> {
        let killed = |reason, what| Ended { reason, what, kind: ErrorKind::Unavailable, must_die: true };
        if let Some(most) = self.max_memory.filter(|most| usage.memory > *most) {
            let (used, most) = (byte_size::format(usage.memory), byte_size::format(most));
            return Some(killed(
                "max_memory",
                format!("was killed (it took {used} of memory, more than the {most} of max_memory)"),
            ));
        }
        (usage.processes > self.max_processes).then(|| {
            let (count, most) = (usage.processes, self.max_processes);
            killed(
                "max_processes",
                format!("was killed (it was {count} processes, more than the {most} of max_processes)"),
            )
        })
    }

    fn groups(&self) -> MutexGuard<'_, HashMap<i32, watch::Sender<Option<Ended>>>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Breach {
    /// Resolves when the group takes too much. Dropping the future loses nothing.
    pub(super) async fn come(&mut self) -> Ended {
        loop {
            if let Some(breach) = self.told.borrow_and_update().clone() {
                return breach;
            }
            if self.told.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Drop for Breach {
    fn drop(&mut self) {
        let mut groups = self.watched.groups();
        // the id may be another's by now
        if groups.get(&self.group).is_some_and(|tell| tell.subscribe().same_channel(&self.told)) {
            groups.remove(&self.group);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_is_given_out_again_is_watched_on() {
        let watched = Watched::new(&ServerConfig::default());
        let (old, new) = (watched.watch(7), watched.watch(7));
        drop(old);
        assert!(watched.groups().contains_key(&7), "the new group takes what it likes");
        drop(new);
        assert!(watched.groups().is_empty());
    }
}
