//! What `test` and `route` say of counts in Redis.

use crate::support::redis::Redis;

use crate::support::throttle_foreseen::*;

#[test]
fn from_redis() {
    let redis = Redis::start();
    is_foreseen(&redis.keys());
}
