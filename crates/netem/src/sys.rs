//! The system calls that have no safe wrapper: TAP set-up, netlink and packet sockets, network namespaces, epoll,
//! eventfd, timerfd and the scheduling of the worker thread. Reads and writes go through [`File`], which is safe.
#![allow(unsafe_code, reason = "the one file of this crate that calls the kernel directly")]

mod packet;

pub(crate) use packet::{
    device_index, enter_network, feature_names, packet_drops, packet_socket, receive_room, switch_off,
    unshare_network,
};

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Size of the virtio-net header before every frame: `struct virtio_net_hdr` of `linux/virtio_net.h`.
const VNET_HEADER_LEN: libc::c_int = crate::model::wire::VNET_LEN as libc::c_int;

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn owned(fd: libc::c_int) -> io::Result<OwnedFd> {
    let fd = check(fd)?;
    // SAFETY: the kernel just returned this descriptor and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Attaches an open `/dev/net/tun` to a new TAP named `name`, with a virtio-net header before each frame.
pub(crate) fn attach_tap(tun: &File, name: &str) -> io::Result<()> {
    // SAFETY: `ifreq` is plain data, for which all zeroes is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (slot, byte) in request.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1).zip(name.bytes()) {
        *slot = byte as libc::c_char;
    }
    let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
    request.ifr_ifru.ifru_flags = flags as libc::c_short;
    // SAFETY: TUNSETIFF reads and writes one `ifreq`, which outlives the call.
    check(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETIFF as libc::Ioctl, &raw mut request) })?;
    let size = VNET_HEADER_LEN;
    // SAFETY: TUNSETVNETHDRSZ reads one int, which outlives the call.
    check(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETVNETHDRSZ as libc::Ioctl, &raw const size) })?;
    Ok(())
}

/// Tells the kernel which unfinished work (`TUN_F_*`) may be left in frames.
pub(crate) fn set_offload(tun: &File, flags: u32) -> io::Result<()> {
    let flags = libc::c_ulong::from(flags);
    // SAFETY: TUNSETOFFLOAD takes its argument by value.
    check(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETOFFLOAD as libc::Ioctl, flags) })?;
    Ok(())
}

/// Makes reads and writes return `WouldBlock` instead of waiting.
pub(crate) fn set_nonblocking(file: &File) -> io::Result<()> {
    // SAFETY: F_GETFL and F_SETFL take and return plain integers.
    unsafe {
        let flags = check(libc::fcntl(file.as_raw_fd(), libc::F_GETFL))?;
        check(libc::fcntl(file.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK))?;
    }
    Ok(())
}

/// A route netlink socket of the calling thread's network namespace; reads give up after `timeout_s`.
pub(crate) fn netlink_socket(timeout_s: i64) -> io::Result<File> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC;
    // SAFETY: socket takes integers only.
    let socket = owned(unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_ROUTE) })?;
    let timeout = libc::timeval { tv_sec: timeout_s as libc::time_t, tv_usec: 0 };
    // SAFETY: the option's value is one `timeval`, which outlives the call.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVTIMEO,
            (&raw const timeout).cast(),
            size_of::<libc::timeval>() as libc::socklen_t,
        )
    })?;
    Ok(File::from(socket))
}

/// The effective group of the process.
pub(crate) fn effective_group() -> u32 {
    // SAFETY: getegid has no arguments and cannot fail.
    unsafe { libc::getegid() }
}

/// A counter that wakes the worker.
pub(crate) fn event_counter() -> io::Result<File> {
    // SAFETY: eventfd takes integers only.
    owned(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) }).map(File::from)
}

fn timespec(nanos: u64) -> libc::timespec {
    libc::timespec {
        tv_sec: (nanos / 1_000_000_000) as libc::time_t,
        tv_nsec: (nanos % 1_000_000_000) as libc::c_long,
    }
}

/// Waits for readable descriptors with a deadline in nanoseconds.
#[derive(Debug)]
pub(crate) struct Poller {
    epoll: OwnedFd,
    /// Used where the kernel lacks `epoll_pwait2` (before 5.11) or a filter forbids it.
    timer: Option<File>,
    events: Vec<libc::epoll_event>,
}

/// What the timer of a fallback [`Poller`] is registered as; never reported to the caller.
const TIMER_TOKEN: u64 = u64::MAX;

impl Poller {
    /// A poller that reports at most `capacity` descriptors a time.
    pub(crate) fn new(capacity: usize) -> io::Result<Self> {
        // SAFETY: epoll_create1 takes integers only.
        let epoll = owned(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        let events = vec![libc::epoll_event { events: 0, u64: 0 }; capacity.max(1)];
        let mut poller = Self { epoll, timer: None, events };
        if poller.wait_precisely(Some(0)).is_err() {
            poller.use_timer()?;
        }
        Ok(poller)
    }

    /// Falls back to a timer descriptor for deadlines.
    fn use_timer(&mut self) -> io::Result<()> {
        let flags = libc::TFD_NONBLOCK | libc::TFD_CLOEXEC;
        // SAFETY: timerfd_create takes integers only.
        let timer = File::from(owned(unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) })?);
        self.add(timer.as_raw_fd(), TIMER_TOKEN)?;
        self.timer = Some(timer);
        Ok(())
    }

    /// What deadlines are kept with.
    pub(crate) fn timer_name(&self) -> &'static str {
        if self.timer.is_some() { "timerfd" } else { "epoll_pwait2" }
    }

    /// Watches `fd` for input, level-triggered; it is reported as `token`.
    pub(crate) fn add(&self, fd: RawFd, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: token };
        // SAFETY: the event outlives the call.
        check(unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &raw mut event) })?;
        Ok(())
    }

    /// Stops watching `fd`.
    pub(crate) fn remove(&self, fd: RawFd) -> io::Result<()> {
        let none = std::ptr::null_mut();
        // SAFETY: EPOLL_CTL_DEL ignores the event.
        check(unsafe { libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_DEL, fd, none) })?;
        Ok(())
    }

    /// Waits for input or until `timeout_ns` has passed (`None`: for ever) and puts the ready tokens into
    /// `ready`.
    pub(crate) fn wait(&mut self, timeout_ns: Option<u64>, ready: &mut Vec<u64>) -> io::Result<()> {
        ready.clear();
        let count = match &self.timer {
            None => self.wait_precisely(timeout_ns),
            Some(timer) => {
                arm(timer, timeout_ns)?;
                self.wait_coarsely(if timeout_ns == Some(0) { 0 } else { -1 })
            }
        };
        let count = match count {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            other => other?,
        };
        ready
            .extend(self.events[..count].iter().map(|event| event.u64).filter(|token| *token != TIMER_TOKEN));
        Ok(())
    }

    fn wait_precisely(&mut self, timeout_ns: Option<u64>) -> io::Result<usize> {
        let timeout = timeout_ns.map(timespec);
        let timeout = timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: the kernel writes at most `events.len()` events; the timeout, where given, and the absent
        // signal mask are only read. The raw call serves C libraries without the wrapper.
        let count = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.epoll.as_raw_fd(),
                self.events.as_mut_ptr(),
                self.events.len() as libc::c_int,
                timeout,
                std::ptr::null::<libc::sigset_t>(),
                0_usize,
            )
        };
        check(count as libc::c_int).map(|count| count as usize)
    }

    fn wait_coarsely(&mut self, timeout_ms: libc::c_int) -> io::Result<usize> {
        let room = self.events.len() as libc::c_int;
        // SAFETY: the kernel writes at most `room` events.
        check(unsafe { libc::epoll_wait(self.epoll.as_raw_fd(), self.events.as_mut_ptr(), room, timeout_ms) })
            .map(|count| count as usize)
    }
}

/// Sets the timer to fire once after `timeout_ns`, or never. Setting it also clears an earlier expiry.
fn arm(timer: &File, timeout_ns: Option<u64>) -> io::Result<()> {
    let value = timespec(timeout_ns.map_or(0, |nanos| nanos.max(1)));
    let setting = libc::itimerspec { it_interval: timespec(0), it_value: value };
    let none = std::ptr::null_mut();
    // SAFETY: the setting outlives the call and the old one is not asked for.
    check(unsafe { libc::timerfd_settime(timer.as_raw_fd(), 0, &raw const setting, none) })?;
    Ok(())
}

/// Asks for timers without slack and, where permitted, real-time priority for the calling thread. Returns how
/// the thread is scheduled.
pub(crate) fn sharpen_thread() -> &'static str {
    // SAFETY: prctl with PR_SET_TIMERSLACK takes integers only.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong, 0, 0, 0) };
    // SAFETY: `sched_param` is plain data, for which all zeroes is a valid value.
    let mut parameters: libc::sched_param = unsafe { std::mem::zeroed() };
    parameters.sched_priority = 10;
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    // SAFETY: the parameters outlive the call; 0 is the calling thread.
    let result = unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) };
    if result == 0 { "SCHED_FIFO 10" } else { "SCHED_OTHER" }
}

/// CPU time that the calling thread has used, in nanoseconds.
pub(crate) fn thread_cpu_nanos() -> u64 {
    let mut time = timespec(0);
    // SAFETY: the kernel writes one `timespec`, which outlives the call.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn both_timers_wait_for_input_and_for_deadlines() {
        for fallback in [false, true] {
            let mut poller = Poller::new(4).unwrap();
            if fallback && poller.timer.is_none() {
                poller.use_timer().unwrap();
            }
            let counter = event_counter().unwrap();
            poller.add(counter.as_raw_fd(), 7).unwrap();
            let mut ready = vec![1, 2, 3];
            poller.wait(Some(0), &mut ready).unwrap();
            assert!(ready.is_empty());
            poller.wait(Some(200_000), &mut ready).unwrap();
            assert!(ready.is_empty(), "{} ran out", poller.timer_name());
            (&counter).write_all(&1_u64.to_ne_bytes()).unwrap();
            for timeout_ns in [None, Some(0), Some(60_000_000_000)] {
                poller.wait(timeout_ns, &mut ready).unwrap();
                assert_eq!(ready, [7], "{}", poller.timer_name());
            }
            poller.remove(counter.as_raw_fd()).unwrap();
            poller.wait(Some(1), &mut ready).unwrap();
            assert!(ready.is_empty());
        }
    }
}
