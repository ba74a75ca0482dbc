//! The SQS backend against the in-process emulator.

mod attributes;
mod harness;
mod polling;
mod sending;
mod shutdown;
mod start;
