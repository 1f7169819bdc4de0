//! System calls that untrusted code does not get. A list of denials, so that ordinary programs go on: most are
//! answered by `EPERM`, those whose absence programs know how to handle by `ENOSYS`.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition as Cond, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};

use crate::SandboxError;

#[cfg(target_arch = "x86_64")]
const ARCH: TargetArch = TargetArch::x86_64;
#[cfg(target_arch = "aarch64")]
const ARCH: TargetArch = TargetArch::aarch64;
#[cfg(target_arch = "riscv64")]
const ARCH: TargetArch = TargetArch::riscv64;

/// Changing what exists: mounts, namespaces, the kernel, the clock, other processes, keys.
const NOT_PERMITTED: &[libc::c_long] = &[
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_fanotify_init,
    libc::SYS_lookup_dcookie,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    libc::SYS_nfsservctl,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
];

#[cfg(target_arch = "x86_64")]
const NOT_PERMITTED_HERE: &[libc::c_long] = &[
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_modify_ldt,
    libc::SYS_uselib,
    libc::SYS_ustat,
    libc::SYS_sysfs,
];
#[cfg(not(target_arch = "x86_64"))]
const NOT_PERMITTED_HERE: &[libc::c_long] = &[];

/// What programs do without when the kernel lacks it. `clone3` is here because its flags are in memory, where a
/// filter cannot read them; the C library then uses `clone`.
const NOT_THERE: &[libc::c_long] = &[
    libc::SYS_clone3,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_userfaultfd,
    libc::SYS_memfd_secret,
];

/// `CLONE_NEW*` and `CLONE_INTO_CGROUP` is out of reach of the 32-bit argument.
const NEW_NAMESPACES: &[libc::c_int] = &[
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWNS,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
];

/// Terminal requests that type into or steal from the terminal of the one who looks: `TIOCSTI`, `TIOCLINUX`,
/// `TIOCSETD`.
const TERMINAL: &[u64] = &[0x5412, 0x541C, 0x5423];

/// Which sockets there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sockets {
    /// Local, IP and routing sockets; a network namespace bounds where they lead. No raw packets, no virtual
    /// machine sockets (`AF_VSOCK` leaves through the hypervisor), no kernel crypto.
    Contained,
    /// Only unnamed pairs.
    Pairs,
}

/// The programs, to be loaded in this order.
pub(super) fn programs(sockets: Sockets) -> Result<Vec<BpfProgram>, SandboxError> {
    let mut denied: Rules = NOT_PERMITTED
        .iter()
        .chain(NOT_PERMITTED_HERE)
        .map(|&nr| (nr, Vec::new()))
        .collect();
    let clone = NEW_NAMESPACES
        .iter()
        .map(|&flag| {
            rule(
                0,
                Len::Dword,
                Op::MaskedEq(u64::from(flag.cast_unsigned())),
                u64::from(flag.cast_unsigned()),
            )
        })
        .collect::<Result<_, _>>()?;
    denied.insert(libc::SYS_clone, clone);
    let ioctl = TERMINAL
        .iter()
        .map(|&nr| rule(1, Len::Dword, Op::Eq, nr))
        .collect::<Result<_, _>>()?;
    denied.insert(libc::SYS_ioctl, ioctl);

    let mut families = Rules::new();
    match sockets {
        Sockets::Contained => {
            let allowed = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
            let conditions = allowed
                .iter()
                .map(|&f| cond(0, Len::Dword, Op::Ne, u64::from(f.cast_unsigned())));
            let none_of_these = SeccompRule::new(conditions.collect::<Result<_, _>>()?).map_err(wrong)?;
            families.insert(libc::SYS_socket, vec![none_of_these]);
        }
        Sockets::Pairs => drop(families.insert(libc::SYS_socket, Vec::new())),
    }
    let absent: Rules = NOT_THERE.iter().map(|&nr| (nr, Vec::new())).collect();
    let mut programs = vec![
        compile(families, libc::EAFNOSUPPORT)?,
        compile(absent, libc::ENOSYS)?,
        compile(denied, libc::EPERM)?,
    ];
    if cfg!(target_arch = "x86_64") {
        programs.push(no_x32());
    }
    Ok(programs)
}

/// Loads the programs for this process and all that it starts. `no_new_privs` must be set; nothing that a program
/// forbids can be done afterwards, so the order within the caller matters.
pub(super) fn load(programs: &[BpfProgram]) -> Result<(), SandboxError> {
    programs
        .iter()
        .try_for_each(|p| seccompiler::apply_filter(p).map_err(|e| SandboxError::setup("seccomp", e)))
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn compile(rules: Rules, errno: libc::c_int) -> Result<BpfProgram, SandboxError> {
    let deny = SeccompAction::Errno(errno.cast_unsigned());
    SeccompFilter::new(rules, SeccompAction::Allow, deny, ARCH)
        .and_then(TryInto::try_into)
        .map_err(wrong)
}

/// The x32 numbers (bit 30 set) are a second way to the same calls on kernels that have them (seccomp(2)).
fn no_x32() -> BpfProgram {
    const LOAD: u16 = 0x20;
    const JUMP_IF_GE: u16 = 0x35;
    const RETURN: u16 = 0x06;
    const ALLOW: u32 = 0x7fff_0000;
    let errno = 0x0005_0000 | libc::ENOSYS.cast_unsigned();
    vec![
        sock_filter {
            code: LOAD,
            jt: 0,
            jf: 0,
            k: 0,
        },
        sock_filter {
            code: JUMP_IF_GE,
            jt: 0,
            jf: 1,
            k: 0x4000_0000,
        },
        sock_filter {
            code: RETURN,
            jt: 0,
            jf: 0,
            k: errno,
        },
        sock_filter {
            code: RETURN,
            jt: 0,
            jf: 0,
            k: ALLOW,
        },
    ]
}

fn cond(index: u8, len: Len, op: Op, value: u64) -> Result<Cond, SandboxError> {
    Cond::new(index, len, op, value).map_err(wrong)
}

fn rule(index: u8, len: Len, op: Op, value: u64) -> Result<SeccompRule, SandboxError> {
    SeccompRule::new(vec![cond(index, len, op, value)?]).map_err(wrong)
}

fn wrong(error: impl ToString) -> SandboxError {
    SandboxError::setup("compile the seccomp filter", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sets_compile() {
        for sockets in [Sockets::Contained, Sockets::Pairs] {
            let programs = programs(sockets).unwrap();
            assert!(programs.iter().all(|p| !p.is_empty() && p.len() < 4096));
        }
    }
}
