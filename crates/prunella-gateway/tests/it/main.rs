//! The gateway as its clients and its daemon see it: real sockets on loopback, a gateway on a
//! thread (or in a process where its death is the point), and small upstreams made for the test.

mod control;
mod failover;
mod limits;
mod process;
mod protocol;
mod support;
mod traffic;
