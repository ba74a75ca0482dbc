#![doc = include_str!("../README.md")]
//!
//! To read it: `commands` (what a run of the binary does), `config` (the layers of settings), `app` (how the parts are put
//! together and taken apart), `backends` (the only place that knows them all).

mod app;
mod backends;
mod cli;
mod colour;
mod commands;
pub mod config;
#[cfg(feature = "demo")]
mod demo;
mod helpers;
mod intakes;
mod signals;
mod telemetry;

#[cfg(feature = "demo")]
pub use self::cli::DemoSettings;
pub use self::{
    app::{App, StdioApp, WorkerApp},
    cli::{
        Cli, Command, ConfigCommand, DoctorSettings, EitherSettings, Layers, ProvisionSettings, Settings,
        ShowFormat, StdioSettings, WorkerSettings,
    },
    commands::run,
    helpers::helper,
};
