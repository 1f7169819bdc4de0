//! What is seen of the host's files, and what becomes of writes.

use std::os::unix::fs::PermissionsExt;

use crate::common::{backends, inside, run, run_on, shell, tree};
use prunella_sandbox::{ChangeKind, Exit, JailSpec, Mount, MountKind, scratch_changes};

#[test]
fn an_overlay_is_private_and_writable() {
    for (name, backend) in backends() {
        let work = tree();
        std::fs::create_dir(work.path().join("dir")).unwrap();
        std::fs::write(work.path().join("dir/old"), "old").unwrap();
        let script = "echo after > file && rm -r dir && mkdir dir && touch dir/new \
                      && ls dir && cat file";
        let mut spec = inside(work.path(), &[]);
        spec.argv = vec!["/bin/sh".into(), "-c".into(), script.into()];
        let report = run_on(&*backend, &spec);
        assert!(report.success(), "{name}: {} {:?}", report.stderr.text(), report.notes);
        assert_eq!(report.stdout.text(), "new\nafter\n", "{name}");
        assert_eq!(std::fs::read_to_string(work.path().join("file")).unwrap(), "before");
        assert_eq!(std::fs::read_to_string(work.path().join("dir/old")).unwrap(), "old");
    }
}

#[test]
fn changes_can_be_kept_and_listed() {
    let (work, scratch) = (tree(), tempfile::tempdir().unwrap());
    let mut spec = shell("cd /tree; rm file; echo x > new; mkdir -p a/b; echo y > a/b/c");
    let kind = MountKind::Overlay {
        scratch: Some(scratch.path().into()),
    };
    spec.mounts.push(Mount {
        source: work.path().into(),
        target: "/tree".into(),
        kind,
    });
    let report = run(&spec);
    assert!(report.success(), "{}", report.stderr.text());
    if scratch.path().join("copy").is_dir() {
        println!("this machine has no overlay: {:?}", report.notes);
        assert!(!scratch.path().join("copy/file").exists() && scratch.path().join("copy/new").exists());
        return;
    }
    let found = scratch_changes(scratch.path()).unwrap();
    let found: Vec<_> = found.iter().map(|c| (c.path.to_str().unwrap(), c.kind)).collect();
    assert_eq!(
        found,
        [
            ("a/b/c", ChangeKind::Written),
            ("file", ChangeKind::Deleted),
            ("new", ChangeKind::Written)
        ]
    );
    assert_eq!(
        std::fs::read_to_string(scratch.path().join("upper/a/b/c")).unwrap(),
        "y\n"
    );
}

#[test]
fn private_files_of_the_trees_owner_are_readable_and_writable() {
    let work = tree();
    let secret = work.path().join("db.sqlite");
    std::fs::write(&secret, "rows").unwrap();
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let mut spec = inside(work.path(), &[]);
    spec.argv = [
        "/bin/sh",
        "-c",
        "cat db.sqlite && echo more >> db.sqlite && stat -c %U db.sqlite && id -un",
    ]
    .map(String::from)
    .to_vec();
    let report = run(&spec);
    assert_eq!(report.stdout.text(), "rowsjail\njail\n", "{}", report.stderr.text());
    assert_eq!(std::fs::read_to_string(&secret).unwrap(), "rows");
}

#[test]
fn writable_mounts_are_writable_and_read_only_ones_are_not() {
    let (one, two) = (tree(), tree());
    let mut spec = shell("echo in > /one/out; echo in > /two/out; echo end");
    spec.mounts.push(Mount::writable(one.path(), "/one"));
    spec.mounts.push(Mount::read_only(two.path(), "/two"));
    spec.mounts.push(Mount::tmpfs("/three", 1 << 20));
    let report = run(&spec);
    assert_eq!(report.stdout.text(), "end\n");
    assert_eq!(
        std::fs::read_to_string(one.path().join("out")).unwrap(),
        "in\n",
        "{}",
        report.stderr.text()
    );
    assert!(!two.path().join("out").exists());
}

#[test]
fn a_hostile_link_cannot_move_a_mount_point() {
    let work = tree();
    std::os::unix::fs::symlink("/", work.path().join("trap")).unwrap();
    let mut spec = JailSpec::new(["true"]);
    spec.mounts.push(Mount::overlay(work.path(), "/tree"));
    spec.mounts.push(Mount::read_only(work.path(), "/tree/trap/etc"));
    let error = crate::common::try_run(&spec).expect_err("a mount through a link");
    assert!(error.to_string().contains("/tree/trap/etc"), "{error}");
}

#[test]
fn the_root_holds_nothing_of_the_hosts_but_the_system() {
    let report = run(&shell(
        "ls /; ls /home /run; ls -A $HOME; cat /etc/hostname; wc -l < /etc/passwd",
    ));
    assert_eq!(report.exit, Exit::Exited(0));
    let text = report.stdout.text();
    for name in ["root", "srv", "mnt", "boot", "sys", ".scratch", ".lower", ".nothing"] {
        assert!(!text.lines().any(|line| line == name), "{name} is visible: {text}");
    }
    assert!(text.contains("jail\n3\n"), "{text}");
}

/// Sysfs takes neither id maps nor, on many kernels, overlays: as root this is a private copy, and the report says so.
#[test]
fn a_tree_that_takes_no_overlay_is_copied_and_the_report_says_so() {
    let mut spec = shell("cat rx_bytes > /dev/null && echo mine > new && cat new");
    spec.mounts
        .push(Mount::overlay("/sys/class/net/lo/statistics", "/tree"));
    spec.cwd = "/tree".into();
    let report = run(&spec);
    assert_eq!(
        report.stdout.text(),
        "mine\n",
        "{} {:?}",
        report.stderr.text(),
        report.notes
    );
    let copied = report.notes.iter().any(|note| note.contains("was copied"));
    println!("tier {}, copied: {copied}", report.tier);
    assert!(
        copied || !rustix::process::geteuid().is_root(),
        "root cannot map sysfs: {:?}",
        report.notes
    );
}
