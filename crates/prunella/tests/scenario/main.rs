//! The whole pipeline with the real binary: real processes, real traffic on loopback, throw-away repositories. Every wait
//! is for an event and has a deadline; whatever a test leaves behind is ended, also when it fails.

mod bad_input;
mod client;
mod elsewhere;
mod healing;
mod killing;
mod ladder;
mod plain;
mod process;
mod service;
mod silent;
mod symptoms;
mod tampering;
mod telemetry;
mod world;
