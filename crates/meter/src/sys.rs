//! What the kernel says about this process: CPU time and memory.
#![allow(unsafe_code, reason = "clock_gettime, getrusage and sysconf have no safe form in std")]

use std::fs;

/// CPU time of this process so far, all threads, user and system, in nanoseconds.
pub(crate) fn process_cpu_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec that outlives the call; the kernel writes nothing else.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
    if result != 0 {
        return 0;
    }
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// Resident memory of this process now, in KiB; 0 when `/proc` is not there.
pub(crate) fn rss_kib() -> u64 {
    // SAFETY: sysconf only reads a constant of the system.
    let page = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    let pages = fs::read_to_string("/proc/self/statm").ok().and_then(|statm| {
        // proc(5): the second field is the resident set in pages.
        statm.split_ascii_whitespace().nth(1).and_then(|resident| resident.parse::<u64>().ok())
    });
    pages.unwrap_or(0) * page / 1024
}

/// Largest resident memory of this process so far, in KiB.
pub(crate) fn rss_kib_max() -> u64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: `usage` is valid memory for one rusage, which the call fills.
    let result = unsafe { libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr()) };
    if result != 0 {
        return 0;
    }
    // SAFETY: all bytes were zeroed, which is a valid rusage, and the call succeeded.
    let usage = unsafe { usage.assume_init() };
    u64::try_from(usage.ru_maxrss).unwrap_or(0)
}
