//! Stores on a file server, with and without root_squash, and a repository that goes to another place: by rename and to another file
//! system, on a disk, with systemd and SELinux enforcing, there and back.

use crate::{ONE_MACHINE, PART, REPO, adoption, give, install, mover, must, runs_as};
use adopt::{Adoption, Relocation};
use std::time::Instant;
use vm::{Disk, Image, Machine, Options, cache};

/// Where upstream's service has its repository.
const OLD: &str = "/root/.lotus";
/// A repository at a place, and the service with it there.
const SERVES: &str =
    "set -e; mkdir -p $AT/keystore $AT/datastore; cd $AT; echo t >token; echo k >keystore/key; chmod 600 token keystore/key
    for n in $(seq 300); do echo $n >datastore/$n; done; setfacl -m u:backup:r token
    sed -i \"s#LOTUS_PATH=.*#LOTUS_PATH=$AT#\" /etc/systemd/system/lotus-daemon.service; systemctl daemon-reload
    systemctl restart lotus-daemon.service; for n in $(seq 60); do nc -z 127.0.0.1 1234 && break; sleep 0.5; done";
/// A store on a server, which is this machine itself. Version 4 alone: no port mapper.
const SERVER: &str = "set -e; mkdir -p /srv/store/sealed /mnt/store; for n in $(seq 50); do echo $n >/srv/store/sealed/s-t01000-$n; done
    chmod 600 /srv/store/sealed/*; setsebool nfs_export_all_rw on; printf '[nfsd]\\nvers3=n\\n' >/etc/nfs.conf.d/lab.conf
    echo '/srv/store 127.0.0.1(rw,no_subtree_check,root_squash)' >/etc/exports; systemctl start nfs-server.service
    mount -t nfs4 127.0.0.1:/srv/store /mnt/store; findmnt -n -o FSTYPE /mnt/store";
/// The server trusts this client's root for the time of the move.
const TRUSTS: &str = "sed -i s/root_squash/no_root_squash/ /etc/exports; exportfs -ra";
/// Another file system on a disk of its own.
const DISK: &str =
    "set -e; truncate -s 200M /var/second.img; mkfs.ext4 -q /var/second.img; mkdir -p /big; mount -o loop /var/second.img /big";

/// Owners, modes, access lists and content below a directory; what the service writes while it runs is left out.
fn all(machine: &mut Machine, at: &str) -> String {
    must(
        machine,
        &format!(
            "cd {at}; find . ! -name written -printf '%p %u:%g %m\\n' | sort; getfacl -R . | grep -v written; find . -type f ! -name written | sort | xargs sha256sum"
        ),
    )
}

#[test]
fn stores_on_a_file_server_and_a_repository_that_moves() {
    if std::env::var_os(PART).is_some() {
        return;
    }
    let _alone = ONE_MACHINE.lock();
    let image = Image::ready(&cache::directory(), &|what| println!("{what}")).unwrap_or_else(|e| panic!("{e} {:?}", e.help()));
    let disk = Disk::new(&image).expect("a disk");
    let begun = Instant::now();
    let mut machine = Machine::boot(&image, &disk, &Options::default()).unwrap_or_else(|e| panic!("{e}"));
    install(&mut machine);
    must(&mut machine, &format!("AT={REPO}; {SERVES}"));
    assert_eq!(must(&mut machine, SERVER).trim(), "nfs4");

    // Root is nobody at the server: said before anything is stopped or changed.
    let mut plan = adoption(REPO);
    plan.roots.push("/mnt/store".into());
    give(&mut machine, &plan);
    let (repo, store) = (all(&mut machine, REPO), all(&mut machine, "/srv/store"));
    let said = mover(&mut machine, "look");
    assert!(said.contains("looked: /mnt/store: the file server maps root to nobody (root_squash)"), "{said}");
    assert_eq!(
        (runs_as(&mut machine).as_str(), all(&mut machine, REPO), all(&mut machine, "/srv/store")),
        ("root", repo.clone(), store.clone())
    );

    must(&mut machine, TRUSTS);
    let said = mover(&mut machine, "look");
    assert!(said.contains("looked: Survey"), "{said}");
    mover(&mut machine, "begin");
    let owners = "stat -c %U /srv/store/sealed /srv/store/sealed/s-t01000-50 /data/lotus/token | sort -u";
    assert_eq!((runs_as(&mut machine).as_str(), must(&mut machine, owners).trim()), ("lotus", "lotus"));
    mover(&mut machine, "undo");
    assert_eq!((runs_as(&mut machine).as_str(), all(&mut machine, REPO), all(&mut machine, "/srv/store")), ("root", repo, store));
    println!("a store on a file server: refused with root_squash, moved without, and back; {:.0} s", begun.elapsed().as_secs_f64());

    must(&mut machine, &format!("systemctl stop lotus-daemon.service; rm -r {REPO}; {DISK}"));
    for to in [REPO, "/big/lotus"] {
        must(&mut machine, &format!("AT={OLD}; {SERVES}"));
        let before = all(&mut machine, OLD);
        let relocation = Some(Relocation { from: OLD.into(), to: to.into() });
        give(&mut machine, &Adoption { relocation, ..adoption(to) });
        mover(&mut machine, "begin");
        assert_eq!(runs_as(&mut machine), "lotus", "{to}");
        let there = format!("! test -e {OLD}; stat -c %U {to}/token {to}/datastore/300 {to}/written | sort -u; cat {to}/datastore/300");
        assert_eq!(must(&mut machine, &there).trim(), "lotus\n300", "{to}");
        mover(&mut machine, "undo");
        assert_eq!((runs_as(&mut machine).as_str(), all(&mut machine, OLD)), ("root", before), "{to}");
        must(&mut machine, &format!("! ls -A {to} 2>/dev/null | grep . && systemctl stop lotus-daemon.service && rm -r {OLD}"));
        println!("a repository goes from {OLD} to {to} and back; {:.0} s", begun.elapsed().as_secs_f64());
    }
}
