//! Runs releases as supervised process trees that outlive the daemon.
