//! Whose turn it is in each FIFO group.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::OwnedMutexGuard;

/// The groups that have messages on their way, or waiting for those.
#[derive(Debug, Default)]
pub(super) struct Groups(Arc<Mutex<HashMap<Box<str>, Group>>>);

#[derive(Debug, Default)]
struct Group {
    // fair: turns come in the order in which they were asked for
    turn: Arc<tokio::sync::Mutex<()>>,
    members: usize,
}

/// The right to have a message of a group on its way, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    held: Option<OwnedMutexGuard<()>>,
    _member: Member,
}

#[derive(Debug)]
struct Member {
    groups: Arc<Mutex<HashMap<Box<str>, Group>>>,
    id: Box<str>,
}

impl Groups {
    /// Waits until every earlier message of the group has its outcome.
    pub(super) async fn turn(&self, id: &str) -> Turn {
        let turn = {
            let mut groups = lock(&self.0);
            let group = groups.entry(id.into()).or_default();
            group.members += 1;
            Arc::clone(&group.turn)
        };
        let member = Member { groups: Arc::clone(&self.0), id: id.into() };
        Turn { held: Some(turn.lock_owned().await), _member: member }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // before its membership ends
        self.held = None;
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        let mut groups = lock(&self.groups);
        let left = groups.get_mut(&self.id).map(|group| {
            group.members -= 1;
            group.members
        });
        if left == Some(0) {
            groups.remove(&self.id);
        }
    }
}

fn lock(groups: &Mutex<HashMap<Box<str>, Group>>) -> MutexGuard<'_, HashMap<Box<str>, Group>> {
    groups.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_group_has_one_turn_at_a_time_in_order_and_leaves_nothing_behind() {
        let groups = Groups::default();
        let first = groups.turn("a").await;
        let other = groups.turn("b").now_or_never();
        assert!(other.is_some(), "groups do not wait for each other");
        let mut second = Box::pin(groups.turn("a"));
        let mut third = Box::pin(groups.turn("a"));
        assert!(second.as_mut().now_or_never().is_none());
        assert!(third.as_mut().now_or_never().is_none());
        drop(first);
        assert!(third.as_mut().now_or_never().is_none(), "the second was there before");
        // one that gives up lets the next one in
        drop(second);
        drop(third.await);
        drop(other);
        assert!(lock(&groups.0).is_empty());
    }
}
