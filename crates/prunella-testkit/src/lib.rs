//! Development only: repository builders, scripted services, backend suites.

pub mod repo;
