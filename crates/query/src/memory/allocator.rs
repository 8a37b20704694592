//! An allocator that remembers for whom it made its large blocks.

#![allow(
    unsafe_code,
    reason = "an allocator hands out raw memory; it passes on what the one below it promises"
)]

use std::alloc::{GlobalAlloc, Layout};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Account, CURRENT};

/// Smaller blocks are not counted: batches, hash tables and texts are larger.
const LARGE_BYTES: usize = 16 << 10;
/// Tables of blocks, so that threads seldom wait for each other.
const SHARDS: usize = 64;

/// Passes every request on to another allocator, and counts large blocks for the statement that they were made for.
pub struct CountingAllocator<A>(
    /// The one that allocates.
    pub A,
);

impl<A> fmt::Debug for CountingAllocator<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CountingAllocator")
    }
}

/// A block that counts.
struct Block {
    account: Arc<Account>,
    bytes: usize,
}

/// Blocks by address. The nodes of this map are small blocks: changing it under its lock never comes back here.
struct Shard {
    blocks: Mutex<BTreeMap<usize, Block>>,
    /// Blocks in it: whoever frees one that was counted has seen the count that its maker left.
    count: AtomicUsize,
}

static BLOCKS: [Shard; SHARDS] =
    [const { Shard { blocks: Mutex::new(BTreeMap::new()), count: AtomicUsize::new(0) } }; SHARDS];

fn shard(address: usize) -> &'static Shard {
    // Large blocks begin at multiples of pages: the low bits say nothing, the product mixes the others into the high ones.
    let mixed = (address as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    &BLOCKS[(mixed >> (u64::BITS - SHARDS.trailing_zeros())) as usize]
}

/// The account of the statement that this thread works on.
fn current() -> Option<Arc<Account>> {
    let account = CURRENT.get();
    if account.is_null() {
        return None;
    }
    // SAFETY: `AccountScope` sets the pointer to one that `Arc::as_ptr` gave, and keeps that `Arc` as long as it stands there.
    unsafe {
        Arc::increment_strong_count(account);
        Some(Arc::from_raw(account))
    }
}

fn add(address: usize, bytes: usize, account: Option<Arc<Account>>) {
    let Some(account) = account else { return };
    account.add(bytes);
    let shard = shard(address);
    shard.count.fetch_add(1, Ordering::Relaxed);
    let mut blocks = shard.blocks.lock().unwrap_or_else(PoisonError::into_inner);
    let before = blocks.insert(address, Block { account, bytes });
    drop(blocks);
    drop(before);
}

/// Forgets a block, before anybody else can be given its address.
fn remove(address: usize) -> Option<Arc<Account>> {
    let shard = shard(address);
    if shard.count.load(Ordering::Relaxed) == 0 {
        return None;
    }
    let block = shard.blocks.lock().unwrap_or_else(PoisonError::into_inner).remove(&address)?;
    shard.count.fetch_sub(1, Ordering::Relaxed);
    block.account.take(block.bytes);
    Some(block.account)
}

// SAFETY: every request goes to `A` as it came, and its answer comes back as it is.
unsafe impl<A: GlobalAlloc> GlobalAlloc for CountingAllocator<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are passed on.
        let block = unsafe { self.0.alloc(layout) };
        if layout.size() >= LARGE_BYTES && !block.is_null() {
            add(block.addr(), layout.size(), current());
        }
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are passed on.
        let block = unsafe { self.0.alloc_zeroed(layout) };
        if layout.size() >= LARGE_BYTES && !block.is_null() {
            add(block.addr(), layout.size(), current());
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if layout.size() >= LARGE_BYTES {
            drop(remove(block.addr()));
        }
        // SAFETY: the caller's promises are passed on.
        unsafe { self.0.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let owner = if layout.size() >= LARGE_BYTES { remove(block.addr()) } else { current() };
        // SAFETY: the caller's promises are passed on.
        let moved = unsafe { self.0.realloc(block, layout, new_size) };
        let (kept, bytes) = if moved.is_null() { (block, layout.size()) } else { (moved, new_size) };
        if bytes >= LARGE_BYTES {
            add(kept.addr(), bytes, owner);
        }
        moved
    }
}
