//! What an operator's commands need of every AWS backend: policies, provisioned queues, and the doctor's checks of AWS itself.

mod checks;
mod clock;
mod payloads;
mod policy;
mod provisioned_queue;
mod readers;
mod reply_queue;
mod worker;

pub use self::{
    checks::{dead_letters, failed, identity, is_there, left_behind, permission, region},
    clock::{DateObserver, clock},
    payloads::{large_payload_statements, large_payloads},
    policy::{Statement, policy, queue_arn},
    provisioned_queue::{
        PROVISIONED_TAG, ProvisionedQueue, RequestQueuePlan, dead_letters_url, is_provisioned,
        provision_queue, provision_request_queue, provision_request_queue_for,
    },
    reply_queue::reply_queue,
    worker::WorkerChecks,
};
