#![doc = include_str!("../README.md")]

mod callback;
mod config;
mod http_client;
