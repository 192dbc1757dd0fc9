//! Which part of the list is whose, when several runs share it.
//!
//! Every run computes the whole division by itself and comes to the same one. A component (entries that
//! need each other) goes to the shard that likes its name best, by rendezvous hashing, so that entries
//! added elsewhere move nothing; only when that shard would have more than its share does the next best
//! take it.

use sha2::{Digest, Sha256};

use crate::config::Shard;

/// How much more than its even share a shard may get before the next one is asked, in per cent.
const SLACK: usize = 10;

/// Divides components of entries among `count` shards. `names` are what the entries are called in the
/// list. Returns the shard of each entry.
pub fn divide(components: &[Vec<usize>], names: &[String], count: u32) -> Vec<u32> {
    let total: usize = components.iter().map(Vec::len).sum();
    let even = total.div_ceil(count as usize);
    let most = even + (even * SLACK).div_ceil(100);
    let mut keyed: Vec<(&str, &Vec<usize>)> = components
        .iter()
        .map(|members| (members.iter().map(|&m| names[m].as_str()).min().unwrap_or_default(), members))
        .collect();
    // The large ones first, while there is room; names break ties, so that the order of the list does not
    // matter.
    keyed.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then_with(|| a.0.cmp(b.0)));
    let mut loads = vec![0_usize; count as usize];
    let mut shards = vec![0; names.len()];
    for (key, members) in keyed {
        let mut liking: Vec<u32> = (0..count).collect();
        liking.sort_by_cached_key(|&shard| std::cmp::Reverse(score(key, shard)));
        let fits = |shard: &&u32| loads[**shard as usize] + members.len() <= most;
        let least = || (0..count).min_by_key(|&shard| loads[shard as usize]).unwrap_or(0);
        let chosen = liking.iter().find(fits).copied().unwrap_or_else(least);
        loads[chosen as usize] += members.len();
        members.iter().for_each(|&member| shards[member] = chosen);
    }
    shards
}

fn score(key: &str, shard: u32) -> u64 {
    let digest =
        Sha256::new().chain_update(key).chain_update([0]).chain_update(shard.to_le_bytes()).finalize();
    digest.iter().take(8).fold(0, |score, &byte| score << 8 | u64::from(byte))
}

/// Why an entry of another shard is skipped.
pub fn elsewhere(theirs: u32, ours: Shard) -> String {
    format!("belongs to shard {theirs}/{}, this is {ours}", ours.count)
}
