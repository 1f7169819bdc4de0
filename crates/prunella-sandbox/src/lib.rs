//! Runs untrusted code without credentials or network: specification and jail.
