//! Both ends of asyncmcp's webhook transport. The proxy's: requests are posted to a server, and everything that it sends comes to callback
//! URLs. The worker's is the other way round.
//!
//! To read it: `backend`, then `request` (what is posted) and `receipt` (what the server says to that); for the worker `intake`.

pub(crate) mod backend;
pub(crate) mod config;
mod doctor;
pub(crate) mod intake;
mod provision;
mod receipt;
mod request;

pub use self::{
    doctor::doctor,
    intake::{intake_doctor, intake_provision},
    provision::provision,
};
