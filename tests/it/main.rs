//! The stories. Each starts what it needs and stops it again.

mod bad_callbacks;
mod bad_messages;
mod by_hand;
mod checklist;
mod clients;
mod conformance;
mod far_end_restart;
mod fifo;
mod fixture;
mod many_clients;
mod operator;
mod outage;
mod policies;
mod proxy_restart;
mod real_servers;
mod settings;
mod shutdown;
mod sizes;
mod stateless;
mod stdio;
mod wire;
mod worker_chaos;
mod worker_fleet;
mod worker_queue;
mod worker_restart;
mod worker_server;
