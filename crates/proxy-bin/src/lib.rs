#![doc = include_str!("../README.md")]
//!
//! To read it: `commands` (what a run of the binary does), `config` (the layers of settings), `app` (how the parts are put
//! together and taken apart), `backends` (the only place that knows them all).

mod app;
mod backends;
mod cli;
mod commands;
pub mod config;
mod signals;
mod telemetry;

pub use self::{
    app::{App, StdioApp},
    cli::{
        Cli, Command, ConfigCommand, DoctorSettings, Layers, ProvisionSettings, Settings, ShowFormat,
        StdioSettings,
    },
    commands::run,
};
