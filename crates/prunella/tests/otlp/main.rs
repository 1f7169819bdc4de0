//! OTLP: the reader against an independent implementation, and the intake against clients that speak real gRPC and HTTP.

mod agreement;
mod intake;
mod tls;
