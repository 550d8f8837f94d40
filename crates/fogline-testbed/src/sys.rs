//! The system calls that the standard library lacks. All are Linux's; each wrapper turns -1 into the error number.
#![allow(unsafe_code, reason = "the crate's one door to the kernel")]

use std::ffi::CString;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::time::{Duration, Instant};

/// How long threads that have been joined may still be listed.
const JOINED_THREADS_DEADLINE: Duration = Duration::from_secs(1);

/// A process that this one has forked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pid(libc::pid_t);

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn check_long(result: libc::c_long) -> io::Result<libc::c_long> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn text(path: impl AsRef<Path>) -> io::Result<CString> {
    Ok(CString::new(path.as_ref().as_os_str().as_bytes())?)
}

/// Puts the calling thread (the process, for `CLONE_NEWUSER`) into new namespaces.
pub(crate) fn unshare(flags: libc::c_int) -> io::Result<()> {
    // SAFETY: takes no pointer.
    check(unsafe { libc::unshare(flags) }).map(drop)
}

/// Enters the namespace that `namespace` refers to; of a process (Linux 5.8) its namespace of this kind.
pub(crate) fn enter(namespace: BorrowedFd<'_>, kind: libc::c_int) -> io::Result<()> {
    // SAFETY: takes no pointer; the descriptor is open for the borrow.
    check(unsafe { libc::setns(namespace.as_raw_fd(), kind) }).map(drop)
}

/// Asks the kernel to kill this process when the thread that forked it ends.
pub(crate) fn die_with_parent() -> io::Result<()> {
    // SAFETY: PR_SET_PDEATHSIG takes a signal number.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) }).map(drop)
}

/// The name by which `ps` knows the calling thread, cut to 15 bytes.
pub(crate) fn set_name(name: &str) -> io::Result<()> {
    let name = text(name)?;
    // SAFETY: PR_SET_NAME reads a zero-terminated string, which outlives the call.
    check(unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr(), 0, 0, 0) }).map(drop)
}

/// Takes a capability away from every program that this process will ever start.
pub(crate) fn forbid_capability(number: libc::c_ulong) -> io::Result<()> {
    // SAFETY: PR_CAPBSET_DROP takes a number.
    check(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, number, 0, 0, 0) }).map(drop)
}

/// Begins a session without a terminal, so that signals of the runner's terminal do not come here.
pub(crate) fn begin_session() -> io::Result<()> {
    // SAFETY: takes nothing.
    check(unsafe { libc::setsid() }).map(drop)
}

/// Makes standard input read from `source`.
pub(crate) fn replace_stdin(source: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: takes no pointer; nobody owns descriptor 0.
    check(unsafe { libc::dup2(source.as_raw_fd(), 0) }).map(drop)
}

/// The effective user and group.
pub(crate) fn user_and_group() -> (u32, u32) {
    // SAFETY: both take nothing and cannot fail.
    unsafe { (libc::geteuid(), libc::getegid()) }
}

/// Forks and runs `body` in the child, whose exit code it returns. The child never comes back from here.
///
/// Refused when the process has more than one thread: the child would inherit their locks, locked for ever.
pub(crate) fn fork(body: impl FnOnce() -> i32) -> io::Result<Pid> {
    let deadline = Instant::now() + JOINED_THREADS_DEADLINE;
    loop {
        match std::fs::read_dir("/proc/self/task")?.count() {
            1 => break,
            // A thread that has been joined is listed until the kernel has taken it apart.
            _ if Instant::now() < deadline => std::thread::yield_now(),
            threads => {
                return Err(io::Error::other(format!(
                    "a process with {threads} threads cannot be forked safely"
                )));
            }
        }
    }
    // SAFETY: there is one thread, so the child's memory is whole: no lock is held by a thread that it lacks.
    let pid = check(unsafe { libc::fork() })?;
    if pid != 0 {
        return Ok(Pid(pid));
    }
    let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).unwrap_or(101);
    exit_now(code)
}

/// Ends the process without running anything more of it.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: ends the process; nothing is left to be unsound.
    unsafe { libc::_exit(code) }
}

/// Waits for a child and says how it ended, as a shell would: its code, or 128 and the signal.
pub(crate) fn wait_for(child: Pid) -> io::Result<i32> {
    let mut status = 0;
    loop {
        // SAFETY: `status` outlives the call.
        match check(unsafe { libc::waitpid(child.0, &mut status, 0) }) {
            Ok(_) if libc::WIFSIGNALED(status) => return Ok(128 + libc::WTERMSIG(status)),
            Ok(_) => return Ok(libc::WEXITSTATUS(status)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

impl Pid {
    /// A descriptor of the child, which has not been waited for.
    pub(crate) fn descriptor(self) -> io::Result<OwnedFd> {
        process_descriptor(self.0.unsigned_abs())
    }
}

/// Kills a child that has not been waited for.
pub(crate) fn kill(child: Pid) -> io::Result<()> {
    // SAFETY: takes no pointer. The number is a child's, and stays so until it is waited for.
    check(unsafe { libc::kill(child.0, libc::SIGKILL) }).map(drop)
}

/// A descriptor of a child: readable when it has ended, and never another process of the same number.
pub(crate) fn process_descriptor(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: takes no pointer; the result is a new descriptor that nobody else owns.
    unsafe {
        let fd = check_long(libc::syscall(libc::SYS_pidfd_open, pid as libc::pid_t, 0))?;
        Ok(OwnedFd::from_raw_fd(fd as RawFd))
    }
}

/// Kills the process of a descriptor; one that has ended is no error.
pub(crate) fn kill_process(process: BorrowedFd<'_>) -> io::Result<()> {
    let nothing = ptr::null::<libc::siginfo_t>();
    // SAFETY: a null siginfo is allowed and means the usual one.
    let sent =
        unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process.as_raw_fd(), libc::SIGKILL, nothing, 0) };
    match check_long(sent) {
        Err(error) if error.raw_os_error() != Some(libc::ESRCH) => Err(error),
        _ => Ok(()),
    }
}

/// Waits until a descriptor is readable or its other end closed; false when the deadline passes first.
pub(crate) fn wait_readable(fd: BorrowedFd<'_>, deadline: Option<Duration>) -> io::Result<bool> {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let millis = deadline.map_or(-1, |limit| i32::try_from(limit.as_millis()).unwrap_or(i32::MAX));
    loop {
        // SAFETY: one pollfd, which outlives the call.
        match check(unsafe { libc::poll(&mut poll, 1, millis) }) {
            Ok(count) => return Ok(count > 0),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Closes every descriptor from 3 up but those in `keep`, whoever owns them.
///
/// Only for a process that has just been forked and will never use what it inherited.
pub(crate) fn close_all_but(keep: &[RawFd]) -> io::Result<()> {
    let mut keep: Vec<libc::c_uint> = keep.iter().map(|fd| fd.unsigned_abs()).filter(|fd| *fd > 2).collect();
    keep.sort_unstable();
    let mut first = 3;
    for fd in keep.into_iter().chain([libc::c_uint::MAX]) {
        if first < fd {
            // SAFETY: closing is all it does; the owners of these descriptors live in the parent only.
            check_long(unsafe { libc::syscall(libc::SYS_close_range, first, fd - 1, 0) })?;
        }
        first = fd.saturating_add(1);
    }
    Ok(())
}

/// Replaces the environment. Only for a process with one thread.
pub(crate) fn set_environment(variables: &[(String, String)]) {
    let old: Vec<_> = std::env::vars_os().map(|(name, _)| name).collect();
    for name in old {
        // SAFETY: the process has one thread, so nobody reads the environment meanwhile.
        unsafe { std::env::remove_var(name) };
    }
    for (name, value) in variables {
        // SAFETY: as above.
        unsafe { std::env::set_var(name, value) };
    }
}

/// Lets this process open as many descriptors as it may.
pub(crate) fn raise_descriptor_limit() -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` outlives both calls.
    unsafe {
        check(libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit))?;
        limit.rlim_cur = limit.rlim_max;
        check(libc::setrlimit(libc::RLIMIT_NOFILE, &limit)).map(drop)
    }
}

/// Sets the hostname of this UTS namespace.
pub(crate) fn set_hostname(name: &str) -> io::Result<()> {
    // SAFETY: reads `name.len()` bytes of `name`.
    check(unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) }).map(drop)
}

/// New files can be read by all and written by their owner, whatever the runner's shell says.
pub(crate) fn set_usual_umask() {
    // SAFETY: takes a number and cannot fail.
    unsafe { libc::umask(0o022) };
}

/// `mount(2)`.
pub(crate) fn mount(
    source: impl AsRef<Path>,
    target: impl AsRef<Path>,
    kind: &str,
    flags: libc::c_ulong,
    options: &str,
) -> io::Result<()> {
    let (source, target) = (text(source)?, text(target)?);
    let (kind, options) = (text(kind)?, text(options)?);
    // SAFETY: four zero-terminated strings that outlive the call.
    let result = unsafe {
        libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, options.as_ptr().cast())
    };
    check(result).map(drop)
}

/// Makes a mount and all below it read-only, without touching its other flags.
pub(crate) fn make_read_only(target: impl AsRef<Path>) -> io::Result<()> {
    let target = text(target)?;
    // SAFETY: all zeroes is a valid mount_attr.
    let mut attributes: libc::mount_attr = unsafe { mem::zeroed() };
    attributes.attr_set = libc::MOUNT_ATTR_RDONLY;
    // SAFETY: the string and the structure outlive the call, and the size is the structure's.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            target.as_ptr(),
            libc::AT_RECURSIVE,
            &attributes,
            mem::size_of::<libc::mount_attr>(),
        )
    };
    check_long(result).map(drop)
}

/// Makes the current directory the root, and takes the old root and all its mounts away.
pub(crate) fn become_root() -> io::Result<()> {
    let here = c".";
    // SAFETY: the strings are static. Old and new root are stacked at one place, so the old one is what "." names.
    unsafe {
        check_long(libc::syscall(libc::SYS_pivot_root, here.as_ptr(), here.as_ptr()))?;
        check(libc::umount2(here.as_ptr(), libc::MNT_DETACH)).map(drop)
    }
}

/// Room for one descriptor in a control message, aligned as the kernel wants it.
#[repr(C, align(8))]
struct Room([u8; 24]);

/// Sends bytes over a Unix socket, with a descriptor or without.
pub(crate) fn send_with_descriptor(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    descriptor: Option<BorrowedFd<'_>>,
) -> io::Result<usize> {
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut room = Room([0; 24]);
    // SAFETY: `part`, `bytes` and `room` outlive the call; `room` holds CMSG_SPACE(4) = 24 bytes and is aligned.
    unsafe {
        let mut message: libc::msghdr = mem::zeroed();
        message.msg_iov = &mut part;
        message.msg_iovlen = 1;
        if let Some(descriptor) = descriptor {
            let size = mem::size_of::<RawFd>() as libc::c_uint;
            message.msg_control = room.0.as_mut_ptr().cast();
            message.msg_controllen = libc::CMSG_SPACE(size) as usize;
            let header = libc::CMSG_FIRSTHDR(&message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(size) as usize;
            ptr::write_unaligned(libc::CMSG_DATA(header).cast(), descriptor.as_raw_fd());
        }
        let sent = libc::sendmsg(socket.as_raw_fd(), &message, libc::MSG_NOSIGNAL);
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

/// Receives bytes from a Unix socket, and the descriptor that came with them.
pub(crate) fn receive_with_descriptor(
    socket: BorrowedFd<'_>,
    bytes: &mut [u8],
) -> io::Result<(usize, Option<OwnedFd>)> {
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let mut room = Room([0; 24]);
    // SAFETY: `part`, `bytes` and `room` outlive the call; a descriptor in an SCM_RIGHTS message is new and ours.
    unsafe {
        let mut message: libc::msghdr = mem::zeroed();
        message.msg_iov = &mut part;
        message.msg_iovlen = 1;
        message.msg_control = room.0.as_mut_ptr().cast();
        message.msg_controllen = room.0.len();
        let got = libc::recvmsg(socket.as_raw_fd(), &mut message, libc::MSG_CMSG_CLOEXEC);
        let got = usize::try_from(got).map_err(|_| io::Error::last_os_error())?;
        let header = libc::CMSG_FIRSTHDR(&message);
        let mut descriptor = None;
        if !header.is_null()
            && (*header).cmsg_level == libc::SOL_SOCKET
            && (*header).cmsg_type == libc::SCM_RIGHTS
        {
            let fd = ptr::read_unaligned(libc::CMSG_DATA(header).cast::<RawFd>());
            descriptor = Some(OwnedFd::from_raw_fd(fd));
        }
        Ok((got, descriptor))
    }
}
