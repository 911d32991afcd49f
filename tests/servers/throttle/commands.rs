//! The commands on counts in Redis.

use crate::support::redis::Redis;

use crate::support::throttle_commands::*;
use crate::support::throttled::*;

#[test]
fn of_redis() {
    let redis = Redis::start();
    lists_and_clears(&Cgi::new(&config(&redis.keys())));
}
