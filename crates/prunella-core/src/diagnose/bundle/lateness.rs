//! Which changes show late.
//!
//! *Method*: a mechanism that has to fill, empty or age something, that waits for its load, or for an input for which it
//! is wrong, shows some time after the deploy.
//! *Source*: Nygard, "Release It!", 2nd ed. 2018, on slow leaks and on what shows only under load.

use super::effect::Effect;

/// Whether it shows only after something has filled, emptied, aged or met its load, or when an input comes for which
/// it is wrong.
pub(super) fn is_late(effect: Effect) -> bool {
    matches!(
        effect,
        Effect::LifetimeLowered
            | Effect::LifetimeRaised
            | Effect::CapacityLowered
            | Effect::CapacityRaised
            | Effect::TimeoutLowered
            | Effect::TimeoutRaised
            | Effect::RateLowered
            | Effect::MemoryLowered
            | Effect::CacheShrunk
            | Effect::CacheGrown
            | Effect::CleanupRemoved
            | Effect::Accumulates
            | Effect::Spawns
            | Effect::ConnectionEachCall
            | Effect::BackoffRemoved
            | Effect::RetryAdded
            | Effect::RetryRaised
            | Effect::BatchChanged
            | Effect::IntervalLowered
            | Effect::IntervalRaised
            | Effect::LockAdded
            | Effect::IndexRemoved
            | Effect::QueryChanged
            | Effect::TimeHandling
            | Effect::TypeChanged
            | Effect::GuardRemoved
            | Effect::ConditionChanged
            | Effect::WritesFiles
            | Effect::IdentityChanged
    )
}
