//! Which symptoms a kind of change can cause, and how late.
//!
//! *Method*: for each effect, the symptoms that it causes directly (1), often (0.6) or sometimes (0.3). A mechanism
//! that has to fill, empty or age something first shows late.
//! *Source*: what causes what, as told in textbooks of operations (Beyer et al., "Site Reliability Engineering", 2016,
//! chapters 21–23 on overload, cascades and their causes; Nygard, "Release It!", 2nd ed. 2018, stability antipatterns).

use super::effect::Effect;
use super::phrases::Kind::{self, *};

const DIRECT: f64 = 1.0;
const OFTEN: f64 = 0.6;
const SOMETIMES: f64 = 0.3;

/// Symptoms of a kind of change, with how typical they are.
pub(super) fn symptoms(effect: Effect) -> &'static [(Kind, f64)] {
    match effect {
        Effect::TimeoutLowered => &[
            (Deadline, DIRECT),
            (Retries, OFTEN),
            (SlowQuery, SOMETIMES),
            (Refused, SOMETIMES),
            (Crash, SOMETIMES),
            (Errors, SOMETIMES),
        ],
        Effect::TimeoutRaised => &[
            (Pool, OFTEN),
            (Latency, OFTEN),
            (Leak, OFTEN),
            (Queue, OFTEN),
            (Deadline, SOMETIMES),
            (Memory, SOMETIMES),
        ],
        Effect::LifetimeLowered => &[
            (CacheMiss, DIRECT),
            (Auth, OFTEN),
            (FanOut, OFTEN),
            (SlowQuery, OFTEN),
            (Cpu, SOMETIMES),
            (Quota, OFTEN),
            (RateLimited, OFTEN),
            (Refused, SOMETIMES),
            (Dns, SOMETIMES),
            (Latency, SOMETIMES),
            (CertExpired, SOMETIMES),
        ],
        Effect::LifetimeRaised => &[
            (WrongResult, OFTEN),
            (Memory, OFTEN),
            (Auth, SOMETIMES),
            (Oom, SOMETIMES),
            (Disk, SOMETIMES),
            (Refused, SOMETIMES),
            (Leak, SOMETIMES),
        ],
        Effect::CapacityLowered => &[
            (Pool, DIRECT),
            (Queue, DIRECT),
            (RateLimited, OFTEN),
            (Deadline, OFTEN),
            (Latency, OFTEN),
            (Leak, OFTEN),
            (Quota, OFTEN),
            (Cpu, SOMETIMES),
            (Crash, SOMETIMES),
            (Schema, SOMETIMES),
        ],
        Effect::CapacityRaised => &[
            (Pool, OFTEN),
            (Memory, OFTEN),
            (Oom, OFTEN),
            (Locks, OFTEN),
            (Cpu, OFTEN),
            (RateLimited, OFTEN),
            (Quota, OFTEN),
            (Refused, SOMETIMES),
            (Leak, SOMETIMES),
            (Latency, SOMETIMES),
        ],
        Effect::RateLowered => &[
            (RateLimited, DIRECT),
            (Quota, DIRECT),
            (Queue, OFTEN),
            (Errors, SOMETIMES),
            (Deadline, SOMETIMES),
            (Retries, SOMETIMES),
        ],
        Effect::RateRaised => &[
            (Quota, OFTEN),
            (RateLimited, OFTEN),
            (Cpu, OFTEN),
            (Latency, SOMETIMES),
            (Surge, SOMETIMES),
        ],
        Effect::BatchChanged => &[
            (FanOut, OFTEN),
            (Queue, OFTEN),
            (Memory, OFTEN),
            (Oom, OFTEN),
            (Quota, OFTEN),
            (Locks, OFTEN),
            (Deadline, OFTEN),
            (SlowQuery, SOMETIMES),
            (RateLimited, OFTEN),
            (Latency, SOMETIMES),
        ],
        Effect::RetryRaised | Effect::RetryAdded => &[
            (Retries, DIRECT),
            (FanOut, OFTEN),
            (RateLimited, OFTEN),
            (Quota, OFTEN),
            (Cpu, OFTEN),
            (Pool, OFTEN),
            (Surge, SOMETIMES),
            (Queue, SOMETIMES),
            (Latency, SOMETIMES),
            (BadData, SOMETIMES),
            (WrongResult, SOMETIMES),
            (Refused, SOMETIMES),
        ],
        Effect::BackoffRemoved => &[
            (Retries, DIRECT),
            (RateLimited, DIRECT),
            (FanOut, OFTEN),
            (Quota, OFTEN),
            (Cpu, OFTEN),
            (Pool, OFTEN),
            (Refused, OFTEN),
            (Surge, SOMETIMES),
            (Queue, SOMETIMES),
            (CacheMiss, SOMETIMES),
        ],
        Effect::RetryLowered => &[
            (Errors, OFTEN),
            (Deadline, SOMETIMES),
            (Refused, OFTEN),
            (Retries, OFTEN),
        ],
        Effect::IntervalLowered => &[
            (Cpu, OFTEN),
            (FanOut, OFTEN),
            (RateLimited, OFTEN),
            (Quota, OFTEN),
            (Locks, OFTEN),
            (Crash, SOMETIMES),
            (SlowQuery, SOMETIMES),
            (Queue, SOMETIMES),
            (Pool, SOMETIMES),
        ],
        Effect::IntervalRaised => &[
            (WrongResult, OFTEN),
            (Queue, OFTEN),
            (Auth, SOMETIMES),
            (Refused, SOMETIMES),
            (Memory, SOMETIMES),
            (Latency, SOMETIMES),
        ],
        Effect::MemoryLowered => &[(Oom, DIRECT), (Memory, DIRECT), (Crash, OFTEN), (Latency, SOMETIMES)],
        Effect::CacheShrunk => &[
            (CacheMiss, DIRECT),
            (FanOut, OFTEN),
            (SlowQuery, OFTEN),
            (Cpu, SOMETIMES),
            (Latency, OFTEN),
            (Quota, SOMETIMES),
        ],
        Effect::CacheGrown => &[(Memory, DIRECT), (Oom, DIRECT), (Crash, SOMETIMES)],
        Effect::ToleranceLowered => &[
            (Auth, DIRECT),
            (Clock, DIRECT),
            (Errors, SOMETIMES),
            (WrongResult, SOMETIMES),
        ],
        Effect::ThresholdChanged => &[
            (RateLimited, OFTEN),
            (WrongResult, OFTEN),
            (Errors, SOMETIMES),
            (Queue, SOMETIMES),
            (Latency, SOMETIMES),
        ],
        Effect::NumberChanged => &[
            (WrongResult, OFTEN),
            (Errors, SOMETIMES),
            (Bounds, OFTEN),
            (Arithmetic, OFTEN),
            (Latency, SOMETIMES),
        ],
        Effect::SwitchFlipped => &[
            (Errors, SOMETIMES),
            (Auth, OFTEN),
            (Tls, OFTEN),
            (WrongResult, OFTEN),
            (Latency, SOMETIMES),
            (CacheMiss, OFTEN),
            (Configuration, OFTEN),
            (Locks, SOMETIMES),
            (Queue, SOMETIMES),
            (Schema, SOMETIMES),
            (Permission, OFTEN),
        ],
        Effect::ConditionChanged => &[
            (Bounds, DIRECT),
            (WrongResult, OFTEN),
            (Auth, OFTEN),
            (Errors, SOMETIMES),
            (Nil, OFTEN),
            (Permission, OFTEN),
            (Arithmetic, OFTEN),
            (Cpu, SOMETIMES),
            (BadData, OFTEN),
            (Queue, SOMETIMES),
        ],
        Effect::GuardRemoved => &[
            (Nil, DIRECT),
            (Bounds, DIRECT),
            (BadData, OFTEN),
            (Crash, OFTEN),
            (Arithmetic, OFTEN),
            (Schema, OFTEN),
            (WrongResult, OFTEN),
            (Errors, OFTEN),
            (Auth, OFTEN),
            (Permission, SOMETIMES),
        ],
        Effect::HandlerRemoved => &[
            (Crash, DIRECT),
            (Errors, OFTEN),
            (Refused, OFTEN),
            (Schema, OFTEN),
            (Nil, OFTEN),
            (Deadline, SOMETIMES),
            (Queue, SOMETIMES),
            (Dependency, SOMETIMES),
        ],
        Effect::ErrorSwallowed => &[
            (WrongResult, DIRECT),
            (Nil, OFTEN),
            (Queue, SOMETIMES),
            (BadData, OFTEN),
        ],
        Effect::Stricter => &[
            (Schema, DIRECT),
            (Crash, OFTEN),
            (Errors, OFTEN),
            (BadData, OFTEN),
            (Auth, OFTEN),
            (Configuration, OFTEN),
            (Dependency, SOMETIMES),
            (Nil, OFTEN),
        ],
        Effect::CallInLoop => &[
            (FanOut, DIRECT),
            (SlowQuery, OFTEN),
            (Latency, OFTEN),
            (Pool, OFTEN),
            (Quota, OFTEN),
            (RateLimited, OFTEN),
            (Deadline, SOMETIMES),
            (Cpu, SOMETIMES),
            (Queue, OFTEN),
        ],
        Effect::BatchingRemoved => &[
            (FanOut, DIRECT),
            (Quota, DIRECT),
            (RateLimited, OFTEN),
            (Queue, OFTEN),
            (Latency, OFTEN),
            (Pool, OFTEN),
            (SlowQuery, SOMETIMES),
            (Cpu, SOMETIMES),
        ],
        Effect::CacheRemoved => &[
            (CacheMiss, DIRECT),
            (FanOut, DIRECT),
            (SlowQuery, OFTEN),
            (Latency, OFTEN),
            (Cpu, OFTEN),
            (Quota, OFTEN),
            (RateLimited, OFTEN),
            (Pool, OFTEN),
        ],
        Effect::CleanupRemoved => &[
            (Leak, DIRECT),
            (Pool, DIRECT),
            (Memory, DIRECT),
            (Oom, OFTEN),
            (Locks, DIRECT),
            (Disk, OFTEN),
            (Crash, SOMETIMES),
            (Queue, OFTEN),
            (WrongResult, SOMETIMES),
        ],
        Effect::Accumulates => &[
            (Memory, DIRECT),
            (Oom, DIRECT),
            (Crash, OFTEN),
            (Disk, SOMETIMES),
            (Latency, SOMETIMES),
            (Cpu, SOMETIMES),
            (Leak, OFTEN),
        ],
        Effect::Spawns => &[
            (Leak, DIRECT),
            (Memory, OFTEN),
            (Oom, OFTEN),
            (Cpu, OFTEN),
            (Pool, OFTEN),
            (Locks, SOMETIMES),
        ],
        Effect::LockAdded => &[
            (Locks, DIRECT),
            (SlowQuery, OFTEN),
            (Latency, OFTEN),
            (Pool, OFTEN),
            (Deadline, OFTEN),
            (Queue, OFTEN),
        ],
        Effect::CallAdded => &[
            (Latency, OFTEN),
            (Deadline, OFTEN),
            (Refused, SOMETIMES),
            (FanOut, OFTEN),
            (Errors, SOMETIMES),
            (Permission, SOMETIMES),
            (RateLimited, SOMETIMES),
        ],
        Effect::CallRemoved => &[(WrongResult, OFTEN), (Errors, SOMETIMES), (Nil, SOMETIMES)],
        Effect::HeavyWork => &[(Cpu, DIRECT), (Latency, OFTEN), (Memory, SOMETIMES)],
        Effect::QueryChanged => &[
            (SlowQuery, DIRECT),
            (WrongResult, OFTEN),
            (Locks, SOMETIMES),
            (Cpu, OFTEN),
            (Latency, OFTEN),
            (Memory, OFTEN),
            (MissingColumn, OFTEN),
            (Oom, SOMETIMES),
        ],
        Effect::SchemaChanged => &[
            (MissingColumn, DIRECT),
            (Schema, OFTEN),
            (Locks, OFTEN),
            (Errors, SOMETIMES),
            (BadData, OFTEN),
        ],
        Effect::IndexRemoved => &[
            (SlowQuery, DIRECT),
            (Cpu, OFTEN),
            (Latency, OFTEN),
            (Locks, SOMETIMES),
            (Pool, SOMETIMES),
            (Deadline, SOMETIMES),
        ],
        Effect::FieldRenamed => &[
            (Schema, DIRECT),
            (Nil, OFTEN),
            (MissingColumn, OFTEN),
            (WrongResult, OFTEN),
            (Configuration, OFTEN),
            (Errors, SOMETIMES),
            (Auth, SOMETIMES),
        ],
        Effect::TypeChanged => &[
            (Schema, DIRECT),
            (Arithmetic, OFTEN),
            (Bounds, SOMETIMES),
            (WrongResult, OFTEN),
            (BadData, OFTEN),
            (Errors, SOMETIMES),
        ],
        Effect::FormatChanged => &[
            (Schema, DIRECT),
            (WrongResult, OFTEN),
            (Errors, SOMETIMES),
            (BadData, SOMETIMES),
            (Cpu, SOMETIMES),
        ],
        Effect::DependencyMajor => &[
            (Dependency, DIRECT),
            (Crash, DIRECT),
            (Schema, OFTEN),
            (Tls, SOMETIMES),
            (Errors, SOMETIMES),
            (Memory, SOMETIMES),
            (Latency, SOMETIMES),
            (Auth, SOMETIMES),
            (Leak, SOMETIMES),
        ],
        Effect::DependencyMinor => &[
            (Dependency, DIRECT),
            (Crash, OFTEN),
            (Schema, SOMETIMES),
            (Memory, SOMETIMES),
            (Tls, SOMETIMES),
        ],
        Effect::DependencyPatch => &[(Dependency, OFTEN), (Crash, SOMETIMES)],
        Effect::KeyRenamed => &[
            (Configuration, DIRECT),
            (Crash, OFTEN),
            (Auth, OFTEN),
            (Refused, OFTEN),
            (Schema, SOMETIMES),
            (Errors, SOMETIMES),
            (Nil, SOMETIMES),
        ],
        Effect::EndpointChanged => &[
            (Refused, DIRECT),
            (Dns, DIRECT),
            (Deadline, OFTEN),
            (Tls, OFTEN),
            (Auth, SOMETIMES),
            (Latency, OFTEN),
            (Permission, SOMETIMES),
            (Errors, OFTEN),
            (MissingColumn, SOMETIMES),
            (Network, OFTEN),
            (Queue, OFTEN),
        ],
        Effect::TextChanged => &[
            (Errors, SOMETIMES),
            (Schema, OFTEN),
            (Configuration, OFTEN),
            (WrongResult, SOMETIMES),
            (Auth, SOMETIMES),
        ],
        Effect::TlsChanged => &[
            (Tls, DIRECT),
            (Refused, OFTEN),
            (Auth, SOMETIMES),
            (CertExpired, SOMETIMES),
        ],
        Effect::AuthChanged => &[(Auth, DIRECT), (Permission, OFTEN), (Errors, SOMETIMES)],
        Effect::PermissionChanged => &[
            (Permission, DIRECT),
            (Auth, OFTEN),
            (Refused, SOMETIMES),
            (Network, SOMETIMES),
        ],
        Effect::TimeHandling => &[
            (Clock, DIRECT),
            (WrongResult, OFTEN),
            (Auth, OFTEN),
            (Schema, OFTEN),
            (BadData, SOMETIMES),
        ],
        Effect::StartupChanged => &[
            (Crash, DIRECT),
            (Configuration, OFTEN),
            (Dependency, OFTEN),
            (Latency, SOMETIMES),
        ],
    }
}

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
    )
}
