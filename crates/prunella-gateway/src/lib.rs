//! The data plane: carries the traffic and serves on when the rest of Prunella is gone.
//!
//! The gateway is a process of its own. It owns nothing but a listening socket, a small state
//! directory and its last configuration, and it depends on no other Prunella crate, so that no
//! fault of the healer can stop the traffic.
//!
//! ```text
//!            control thread                        worker threads (one runtime each, nothing shared)
//!  ┌───────────────────────────────┐   sockets   ┌──────────────────────────────────────────────┐
//!  │ accept · gateway.sock · hub   │ ──────────▶ │ hyper server → route → attempt → pool → hyper │
//!  │ totals · subscribers · signals│ ◀────────── │ client; statistics and captures kept locally  │
//!  └───────────────────────────────┘   deltas    └──────────────────────────────────────────────┘
//! ```
//!
//! - [`control`] is the wire protocol and its client, for the daemon.
//! - [`main`] is the process, from its arguments to its last connection.
//!
//! Forwarding follows RFC 9110 §7.6 (message forwarding) and RFC 9112 (HTTP/1.1 framing).

mod args;
mod capture;
mod clock;
pub mod control;
mod gate;
mod gather;
mod hub;
mod listener;
mod process;
mod proxy;
mod route;
mod server;
mod session;
pub mod shape;
mod stats;
mod store;
mod tls;
mod worker;

pub use args::{GatewayArgs, GatewayError, TlsFiles};
pub use process::main;
pub use route::route_template;
