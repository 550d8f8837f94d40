//! What hosts are to each other and to the machine.

use crate::setting::{Setting, plan, shell, succeed};
use fogline_testbed::{LocalTestbed, Right, TestbedError};
use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use units::Size;

pub(crate) fn have_names_and_reach_each_other(setting: &Setting) {
    let plan = plan(15);
    let testbed = setting.deploy(&plan);
    let agents = testbed.agents();
    assert_eq!(agents.len(), 15);
    let mut networks = BTreeSet::new();
    for (host, agent) in plan.hosts.iter().zip(agents) {
        assert_eq!(succeed(agent, "uname -n"), host.name);
        assert_eq!(succeed(agent, "cat /etc/hostname; echo $FOGLINE_HOST"), format!("{0}\n{0}", host.name));
        networks.insert(succeed(agent, "readlink /proc/self/ns/net"));
        for other in &plan.hosts {
            let found = succeed(agent, &format!("getent ahostsv4 {} | cut -d' ' -f1 | head -1", other.name));
            assert_eq!(found, other.address.to_string());
        }
    }
    assert_eq!(networks.len(), 15, "every host has a network of its own");
    let ring: Vec<_> = (0..15).map(|index| (index, (index + 1) % 15)).collect();
    for (source, destination) in ring {
        succeed(&agents[source], &format!("ping -c 1 -W 5 {}", plan.hosts[destination].name));
    }
    let (code, output) = shell(&agents[0], "ping -c 1 -W 1 192.0.2.1");
    assert_ne!(code, 0, "a host reached the outside: {output}");
    testbed.release().unwrap();
    setting.assert_clear();
}

pub(crate) fn keep_their_files_to_themselves(setting: &Setting) {
    let testbed = setting.deploy(&plan(2));
    let [one, two] = testbed.agents() else { panic!("two hosts") };
    let marker = setting.marker();
    let folders = [
        "/opt",
        "/etc",
        "/srv",
        "/mnt",
        "/usr/local/bin",
        "/usr/share",
        "/var/lib",
        "/var/log",
        "/var/tmp",
        "/tmp",
        "/root",
        "/home",
        "/run",
        "/dev/shm",
    ];
    for folder in folders {
        let path = format!("{folder}/{marker}");
        succeed(one, &format!("mkdir -p {path}/deep && echo one > {path}/deep/file"));
        assert_eq!(shell(two, &format!("test -e {path}")).0, 1, "{path} shows on the other host");
        assert!(!Path::new(&path).exists(), "{path} shows on the machine");
    }
    // Removing a directory of the machine and making it again takes marks that overlays keep in extended attributes.
    let replaced = ["/usr/local/src", "/usr/local/games"];
    for path in replaced.into_iter().filter(|path| Path::new(path).is_dir()) {
        let again = format!(
            "rm -r {path} && mkdir {path} && touch {path}/new && mv {path} {path}-moved && mkdir {path}"
        );
        assert_eq!(succeed(one, &format!("{again} && ls {path}; ls {path}-moved")), "new");
        assert!(
            Path::new(path).is_dir()
                && shell(two, &format!("test -d {path} && ! test -e {path}-moved")).0 == 0
        );
    }
    let accounts = fs::read_to_string("/etc/passwd").unwrap();
    succeed(one, "echo changed:x:1:1::/:/bin/sh >> /etc/passwd && sed -i s/changed/again/ /etc/passwd");
    assert!(succeed(one, "cat /etc/passwd").ends_with("again:x:1:1::/:/bin/sh"));
    succeed(one, "rm /etc/group && echo 10.9.9.9 far >> /etc/hosts && getent hosts far");
    assert_eq!(shell(two, "test -e /etc/group && ! getent hosts far").0, 0);
    assert_eq!(succeed(two, "cat /etc/passwd"), accounts.trim());
    assert_eq!(fs::read_to_string("/etc/passwd").unwrap(), accounts);
    assert!(Path::new("/etc/group").exists());
    assert_eq!(
        succeed(one, "find /proc/sys/net -name nothing; ls /sys/class/net | sort | tr '\\n' ' '"),
        "lo net0"
    );
    testbed.release().unwrap();
    setting.assert_clear();
}

pub(crate) fn find_programs_and_cannot_change_them(setting: &Setting) {
    let programs = tempfile::tempdir().unwrap();
    fs::set_permissions(programs.path(), Permissions::from_mode(0o755)).unwrap();
    let program = programs.path().join("say-where");
    fs::write(&program, "#!/bin/sh\necho here: $(uname -n)\n").unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    let mut options = setting.options();
    options.program_directories = vec!["/usr/share".into(), programs.path().to_owned()];
    let testbed = LocalTestbed::deploy(&plan(2), &options).unwrap();
    let agent = &testbed.agents()[1];
    assert_eq!(succeed(agent, "say-where"), "here: fog-1");
    assert_eq!(succeed(agent, "command -v say-where"), "/opt/fogline/bin-1/say-where");
    let (code, output) = shell(agent, "echo broken > /opt/fogline/bin-1/say-where");
    assert!(code != 0 && output.contains("Read-only"), "{code} {output}");
    testbed.release().unwrap();
    assert!(fs::read_to_string(&program).unwrap().contains("here:"));
    options.program_directories = vec!["/nonexistent/programs".into()];
    let error = LocalTestbed::deploy(&plan(1), &options).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/programs"), "{error}");
    setting.assert_clear();
}

pub(crate) fn find_the_software_that_they_ask_for(setting: &Setting) {
    let packages = tempfile::tempdir().unwrap();
    fs::set_permissions(packages.path(), Permissions::from_mode(0o755)).unwrap();
    for name in ["engine", "other", "unasked"] {
        fs::create_dir_all(packages.path().join(name).join("libs")).unwrap();
        fs::write(packages.path().join(name).join("libs/a.jar"), format!("jar of {name}")).unwrap();
    }
    let mut options = setting.options();
    options.software =
        ["engine", "other", "unasked"].map(|name| (name.to_owned(), packages.path().join(name))).into();
    let mut plan = plan(3);
    plan.hosts[0].software = vec!["engine".to_owned(), "other".to_owned()];
    plan.hosts[1].software = vec!["other".to_owned(), "from-elsewhere".to_owned()];
    let testbed = LocalTestbed::deploy(&plan, &options).unwrap();
    let [both, one, none] = testbed.agents() else { panic!("three hosts") };
    let list = "cat /opt/fogline/software/*/libs/*.jar; ls -m /opt/fogline/software";
    assert_eq!(succeed(both, list), "jar of enginejar of otherengine, other");
    assert_eq!(succeed(one, list), "jar of otherother");
    assert_eq!(succeed(none, "ls /opt/fogline/software 2> /dev/null; true"), "");
    for change in
        ["echo broken > /opt/fogline/software/engine/libs/a.jar", "touch /opt/fogline/software/engine/new"]
    {
        let (code, output) = shell(both, change);
        assert!(code != 0 && output.contains("Read-only"), "{change}: {code} {output}");
    }
    succeed(
        both,
        "mkdir /opt/engine && ln -s /opt/fogline/software/engine/libs /opt/engine/libs && cat /opt/engine/libs/a.jar",
    );
    testbed.release().unwrap();
    for (name, folder, culprit) in [
        ("engine", packages.path().join("absent"), "absent"),
        ("engine", packages.path().join("engine/libs/a.jar"), "not a directory"),
        ("../engine", packages.path().join("engine"), "`../engine`"),
    ] {
        options.software = [(name.to_owned(), folder)].into();
        let error = LocalTestbed::deploy(&plan, &options).unwrap_err();
        assert!(error.to_string().contains(culprit), "{error}");
    }
    setting.assert_clear();
}

pub(crate) fn share_a_limit_on_data(setting: &Setting) {
    let mut options = setting.options();
    options.data_limit = Size::from_bytes(24 << 20);
    let testbed = LocalTestbed::deploy(&plan(2), &options).unwrap();
    let [one, two] = testbed.agents() else { panic!("two hosts") };
    succeed(one, "head -c 8M /dev/zero > /opt/some");
    let (code, output) = shell(two, "head -c 32M /dev/zero > /tmp/more");
    assert!(code != 0 && output.contains("No space left"), "{code} {output}");
    succeed(two, "rm /tmp/more && head -c 4M /dev/zero > /var/tmp/less");
    testbed.release().unwrap();
    options.data_limit = Size::from_bytes(1);
    let error = LocalTestbed::deploy(&plan(1), &options).unwrap_err();
    assert!(error.to_string().contains("1mib"), "{error}");
    setting.assert_clear();
}

pub(crate) fn cannot_see_each_others_processes(setting: &Setting) {
    let testbed = setting.deploy(&plan(2));
    let [one, two] = testbed.agents() else { panic!("two hosts") };
    succeed(one, "setsid sh -c 'sleep 1000 & sleep 1000' > /dev/null 2>&1 < /dev/null &");
    let count = "grep -al '^sleep' /proc/[0-9]*/cmdline 2> /dev/null | wc -l";
    crate::traces::wait_for("two sleepers run", || (succeed(one, count) == "2").then_some(()));
    assert_eq!(succeed(two, count), "0");
    // Its agent, this shell and what it starts, and none of the machine's.
    let all: usize = succeed(two, "ls -d /proc/[0-9]* | wc -l").parse().unwrap();
    assert!(all < 8, "a host sees {all} processes");
    testbed.release().unwrap();
    setting.assert_clear();
}

pub(crate) fn links_delay_and_count(setting: &Setting) {
    let testbed = setting.deploy(&plan(3));
    let least = |destination: &str| {
        let output = succeed(&testbed.agents()[0], &format!("ping -q -c 8 -i 0.1 {destination}"));
        let times = output.rsplit(" = ").next().unwrap();
        times.split('/').next().unwrap().parse::<f64>().unwrap()
    };
    let (far, near) = (least("fog-1"), least("fog-2"));
    assert!(far >= 60.0, "a link of 30 ms each way answered after {far} ms");
    assert!(near < far, "a link without delay took {near} ms, one with took {far} ms");
    let snapshot = testbed.network().unwrap();
    let passed = |source: &str, destination: &str| {
        let link =
            snapshot.links.iter().find(|link| link.source == source && link.destination == destination);
        link.map_or(0, |link| link.delivered.packets)
    };
    assert!(passed("fog-0", "fog-1") >= 8 && passed("fog-1", "fog-0") >= 8, "{:?}", snapshot.links);
    testbed.release().unwrap();
    setting.assert_clear();
}

pub(crate) fn troubles_are_named_and_leave_nothing(setting: &Setting) {
    let mut options = setting.options();
    options.congestion = "nonesuch".to_owned();
    let error = LocalTestbed::deploy(&plan(3), &options).unwrap_err().to_string();
    assert!(error.contains("nonesuch") && error.contains("fog-"), "{error}");

    options = setting.options();
    options.tun = "/nonexistent/tun".into();
    options.path = Some(netem::DataPath::Tap);
    match LocalTestbed::deploy(&plan(3), &options) {
        Err(TestbedError::Right(right)) => assert_eq!(right.right, Right::Tap),
        other => panic!("{other:?}"),
    }
    setting.assert_clear();

    options = setting.options();
    options.lab_command.0 = "/nonexistent/lab".into();
    let error = LocalTestbed::deploy(&plan(1), &options).unwrap_err().to_string();
    assert!(error.contains("/nonexistent/lab"), "{error}");
    options.lab_command.0 = "/bin/true".into();
    let error = LocalTestbed::deploy(&plan(1), &options).unwrap_err().to_string();
    assert!(error.contains("has ended"), "{error}");
    setting.assert_clear();

    let mut twins = plan(2);
    twins.hosts[1].address = twins.hosts[0].address;
    let error = LocalTestbed::deploy(&twins, &setting.options()).unwrap_err().to_string();
    assert!(error.contains("fog-0 and fog-1 both have the address 10.77.0.1"), "{error}");
}

pub(crate) fn links_have_congestion_controls(setting: &Setting) {
    let mut plan = plan(3);
    plan.links[0].congestion = Some(link::Congestion::Reno);
    let testbed = setting.deploy(&plan);
    let [one, two, _] = testbed.agents() else { panic!("three hosts") };
    let asked = |host, address: &str| succeed(host, &format!("ip route get {address}; ip -6 route show"));
    let route = |host, address: &str| asked(host, address).lines().take(2).collect::<Vec<_>>().join(" ");
    assert!(route(one, "10.77.0.2").contains("congctl reno"), "{}", route(one, "10.77.0.2"));
    assert!(!route(one, "10.77.0.3").contains("reno"), "{}", route(one, "10.77.0.3"));
    assert!(!route(two, "10.77.0.1").contains("reno"), "{}", route(two, "10.77.0.1"));
    succeed(one, "ping -c 1 -W 5 fog-1");
    testbed.release().unwrap();
    setting.assert_clear();
    let available = fs::read_to_string("/proc/sys/net/ipv4/tcp_available_congestion_control").unwrap();
    if available.split_whitespace().any(|name| name == "bbr") {
        eprintln!("a congestion control that the kernel lacks: skipped, it has bbr");
        return;
    }
    plan.links[0].congestion = Some(link::Congestion::Bbr);
    let error = LocalTestbed::deploy(&plan, &setting.options()).unwrap_err().to_string();
    assert!(error.contains("fog-0") && error.contains("refuses the congestion control bbr"), "{error}");
}

pub(crate) fn speak_ipv6_at_once(setting: &Setting) {
    let plan = plan(3);
    let testbed = setting.deploy(&plan);
    let agents = testbed.agents();
    if shell(&agents[0], "test -e /proc/net/if_inet6").0 != 0 {
        eprintln!("IPv6 between hosts: skipped, this kernel has none");
        return;
    }
    // The first packet already: nobody waits for an address to be found free or for a neighbour to answer.
    succeed(&agents[0], "ping -6 -c 1 -W 1 fog-2.ip6");
    let output = succeed(&agents[1], "ping -6 -q -c 3 -i 0.1 fog-0.ip6");
    let least: f64 = output.rsplit(" = ").next().unwrap().split('/').next().unwrap().parse().unwrap();
    assert!(least >= 60.0, "links shape IPv6 too: {output}");
    let own = plan.hosts[1].address6();
    assert!(succeed(&agents[1], "ip -6 address show net0").contains(&format!("{own}/96")));
    assert_eq!(succeed(&agents[0], "getent ahosts fog-1.ip6 | head -1 | cut -d' ' -f1"), own.to_string());
    let plain = succeed(&agents[0], "getent ahosts fog-1 | cut -d' ' -f1 | sort -u");
    assert_eq!(plain, plan.hosts[1].address.to_string(), "a plain name is no IPv6 address");
    testbed.release().unwrap();
    setting.assert_clear();
}
