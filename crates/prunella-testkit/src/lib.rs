//! Development only: repository builders, scripted services, backend suites.
