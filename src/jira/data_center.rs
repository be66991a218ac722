//! Data Center.
/// x
pub struct DataCenter;
