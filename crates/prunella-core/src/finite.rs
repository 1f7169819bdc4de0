//! Numbers in the ledger are finite: JSON has no infinity, and what it writes in its place cannot be read back.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// For `#[serde(with = "crate::finite")]`. Infinities become the largest number, what is no number becomes 0.
pub(crate) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    clamp(*value).serialize(serializer)
}

/// Reads a number; what older versions wrote for one that was not finite reads as 0.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.map_or(0.0, clamp))
}

fn clamp(value: f64) -> f64 {
    if value.is_nan() {
        0.0
    } else {
        value.clamp(f64::MIN, f64::MAX)
    }
}
